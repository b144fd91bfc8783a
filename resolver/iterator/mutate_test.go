package iterator

import (
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// mutantNames are what mutations are made of, and what the cache is looked through for.
var mutantNames = func() (list []dns.Name) {
	for _, n := range []string{
		"www.example.com.", "example.com.", "sub.example.com.", "www.sub.example.com.", "ns.example.com.", "ns.sub.example.com.",
		"alias.example.com.", "away.example.com.", "www.other.com.", "other.com.", "ns.other.com.", "com.", ".", "a.gtld-servers.net.", "net.",
		"a.root-servers.net.", "root-servers.net.", "org.", "www.org.", "ns.org.", "ns.evil.example.com.", "new.other.com.", "*.com.",
	} {
		list = append(list, dns.MustName(n))
	}
	return list
}()

// mutantWorld has two top-level domains and, below com, two zones; one server changes its answers by a script: that of
// example.com, or with isTLD that of com.
func mutantWorld(w *world, script []byte, isTLD bool) (hostile dns.Name) {
	w.Serve("192.0.2.1", fakenet.ParseZone(".", rootZone+"\norg. 172800 NS ns.org.\nns.org. 172800 A 192.0.2.5"))
	com := w.Serve("192.0.2.2", fakenet.ParseZone("com.", "@ NS a.gtld-servers.net.\n"+exampleDelegation+"other.com. NS ns.other.com.\nns.other.com. A 192.0.2.4"))
	example := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1\nalias CNAME www\n"+
		"away CNAME www.org.\nsub NS ns.sub\nns.sub A 192.0.2.6\ntree DNAME sub"))
	w.Serve("192.0.2.6", fakenet.ParseZone("sub.example.com.", "@ NS ns\nns A 192.0.2.6\nwww A 198.51.100.3"))
	w.Serve("192.0.2.4", fakenet.ParseZone("other.com.", "@ NS ns\nns A 192.0.2.4\nwww A 198.51.100.2"))
	w.Serve("192.0.2.5", fakenet.ParseZone("org.", "@ NS ns\nns A 192.0.2.5\nwww A 198.51.100.5"))
	mutate := func(_, a *dns.Message, _ transport.Proto) *dns.Message { return fakenet.Mutate(a, script, mutantNames) }
	if isTLD {
		com.Hook = mutate
		return dns.MustName("com.")
	}
	example.Hook = mutate
	return dns.MustName("example.com.")
}

// FuzzMutations lets a server change its true answers in every way that Mutate knows: records dropped, doubled, moved between
// sections, given to other owners, forged referrals and aliases. Every look-up ends in time and within its budget, nothing
// stands in the cache that its zone's server may not say, nor longer than the delegation lasts, and other zones are as ever.
func FuzzMutations(f *testing.F) {
	for _, isTLD := range []bool{false, true} {
		f.Add([]byte("\x0a\x09\x14\x0b\x08\x00"), isTLD)                         // a referral and an address of another zone
		f.Add([]byte("\x03\x00\x08\x04\x00\x05"), isTLD)                         // the answer given to another owner, for longest
		f.Add([]byte("\x0f\x0b\x03\x0f\x0a\x81"), isTLD)                         // aliases of com and of the other zone
		f.Add([]byte("\x0c\x0b\x00\x08\x00\x00"), isTLD)                         // com does not exist, and no AA
		f.Add([]byte("\x0a\x01\x08\x0a\x0c\x08\x0a\x0b\x08\x02\x80\x00"), isTLD) // referrals up, down and sideways, glue moved to the answer
		f.Add([]byte("\x0d\x00\x08"), isTLD)                                     // an answer to another question
		f.Add([]byte("\x0c\x0b\x01\x0f\x00\x10"), isTLD)
		f.Add([]byte("\x0a\x02\x05\x07\x80\x03\x07\x81\x04"), isTLD) // glue that is this host
	}
	f.Fuzz(func(t *testing.T, script []byte, isTLD bool) {
		if len(script) > 60 {
			return
		}
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			hostile := mutantWorld(w, script, isTLD)
			for _, q := range []dns.Question{
				question("www.example.com.", dns.TypeA), question("alias.example.com.", dns.TypeA), question("away.example.com.", dns.TypeA),
				question("www.sub.example.com.", dns.TypeA), question("www.tree.example.com.", dns.TypeA), question("nix.example.com.", dns.TypeTXT),
				question("example.com.", dns.TypeNS), question("sub.example.com.", dns.TypeDS),
			} {
				w.checkOne(q)
			}
			w.checkProvenance(hostile)
			others := map[string]string{"www.org.": "198.51.100.5"}
			if !isTLD {
				others["www.other.com."] = "198.51.100.2"
			}
			for name, addr := range others {
				if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(strings.ToLower(got), "noerror "+name) || !strings.HasSuffix(got, "/A="+addr) {
					t.Errorf("%s: %s", name, got)
				}
			}
			w.checkProvenance(hostile)
		})
	})
}

// checkProvenance looks through the cache: every entry is of the zone that it was learnt from, what is outside of the hostile
// zone was learnt elsewhere, and nothing outlives the lease of its zone. The root's servers are known from hints, and leased by nobody.
func (w *world) checkProvenance(hostile dns.Name) {
	now := w.it.now()
	for _, name := range mutantNames {
		check := func(what string, e cache.Entry, ok bool) {
			if !ok {
				return
			}
			if !name.IsSubdomainOf(e.Zone) || !name.IsSubdomainOf(hostile) && e.Zone.IsSubdomainOf(hostile) {
				w.t.Errorf("%s %s was learnt from %s", name, what, e.Zone)
			}
			if d, ok := w.it.Cache.Delegation(e.Zone, now); ok && !e.Zone.IsRoot() && e.Expire > d.Expire {
				w.t.Errorf("%s %s outlives the lease of %s by %d s", name, what, e.Zone, e.Expire-d.Expire)
			}
		}
		for _, typ := range fuzzTypes {
			e, ok := w.it.Cache.RRset(name, typ, now)
			check(typ.String(), e, ok)
			e, ok = w.it.Cache.NoData(name, typ, now)
			check("without "+typ.String(), e, ok)
		}
		e, ok := w.it.Cache.NXDomain(name, now)
		check("not there", e, ok)
		d, ok := w.it.Cache.Delegation(name, now)
		if !ok {
			continue
		}
		if !d.Zone.IsSubdomainOf(d.Parent) || d.Zone.Equal(d.Parent) && !d.Zone.IsRoot() || !name.IsSubdomainOf(hostile) && d.Parent.IsSubdomainOf(hostile) {
			w.t.Errorf("the delegation of %s was learnt from %s", name, d.Parent)
		}
		if parent, ok := w.it.Cache.Delegation(d.Parent, now); ok && !d.Parent.IsRoot() && d.Expire > parent.Expire {
			w.t.Errorf("the delegation of %s outlives that of %s", name, d.Parent)
		}
	}
}
