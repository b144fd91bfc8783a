package resolver

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/cache"
)

// liar changes the answers of a server as a script says: five octets a change, for
// the answer that they are for, what is done, to what, and with what.
type liar struct {
	script []byte
	seen   []dns.Record
	n      byte // answers so far
}

var (
	liarNames = []dns.Name{
		dns.MustName("www.example."), dns.MustName("example."), dns.MustName("*.example."), dns.MustName("a.www.example."), dns.MustName("plain."),
		dns.MustName("www.plain."), dns.MustName("."), dns.MustName("zzz."), dns.MustName("x.wild.example."), dns.MustName("*.wild.example."), dns.MustName("no.example."),
		dns.MustName("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example."), dns.MustName("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.plain."), dns.MustName("old.example."),
	}
	liarTypes = []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeCNAME, dns.TypeDNAME, dns.TypeNS, dns.TypeDS, dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeMX, dns.TypeDNSKEY}
)

func (l *liar) change(_ dns.Question, a *dns.Message) {
	l.seen = append(l.seen, slices.Concat(a.Answer, a.Authority)...)
	for s := l.script; len(s) >= 5; s = s[5:] {
		if s[0]%16 == l.n%16 {
			l.apply(a, s[1], s[2], s[3], s[4])
		}
	}
	l.n++
}

func (l *liar) apply(a *dns.Message, what, where, x, y byte) {
	list := []*[]dns.Record{&a.Answer, &a.Authority, &a.Additional}[where%3]
	*list = slices.Clone(*list)
	name := liarNames[int(x)%len(liarNames)]
	switch what % 10 {
	case 0:
		a.RCode = []dns.RCode{dns.RCodeNoError, dns.RCodeNXDomain, dns.RCodeYXDomain}[x%3]
		a.Flags = a.Flags.WithRCode(a.RCode)
		return
	case 1:
		*list = append(*list, l.seen[int(x)%len(l.seen)])
		return
	case 2:
		*list = append(*list, dns.Record{Name: name, Type: dns.TypeNSEC, Class: dns.ClassIN, TTL: 3600, Data: dns.RData(liarNames[int(y)%len(liarNames)].Wire() + "\x00\x06\x40\x00\x00\x00\x00\x03")})
		return
	case 3:
		*list = append(*list, dns.Record{Name: name, Type: dns.TypeNSEC3, Class: dns.ClassIN, TTL: 3600, Data: append(dns.RData{1, y & 1, 0, y >> 4, 0, 20}, make(dns.RData, 20)...)})
		return
	case 4:
		*list = append(*list, dns.Record{Name: name, Type: []dns.Type{dns.TypeDNAME, dns.TypeCNAME, dns.TypeNS}[y%3], Class: dns.ClassIN, TTL: 3600, Data: dns.RData(liarNames[int(y)%len(liarNames)].Wire())})
		return
	}
	if len(*list) == 0 {
		return
	}
	r := &(*list)[int(where>>2)%len(*list)]
	r.Data = slices.Clone(r.Data)
	switch what % 10 {
	case 5:
		r.Name = name
	case 6:
		r.TTL = uint32(x)<<16 | uint32(y)
	case 7:
		r.Data[int(x)%len(r.Data)] ^= y
	case 8:
		r.Data[min(3, len(r.Data)-1)] = y // of RRSIG the number of labels
	case 9:
		*list = slices.Delete(*list, int(where>>2)%len(*list), int(where>>2)%len(*list)+1)
	}
}

// FuzzLyingServers: whatever the servers of a signed zone, or those between, say,
// nothing is kept as secure that the zone did not sign, no other zone learns of it,
// and no question costs more than it may.
func FuzzLyingServers(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{2, 8, 4, 0, 0}, false)                           // fewer labels in a signature
	f.Add([]byte{3, 2, 1, 10, 7, 3, 1, 1, 3, 0}, false)           // a span that ends in another zone
	f.Add([]byte{3, 3, 1, 12, 0, 4, 3, 1, 11, 17}, true)          // a hash of another zone
	f.Add([]byte{2, 5, 0, 0, 0, 2, 5, 4, 0, 0}, true)             // a wildcard's data at another name
	f.Add([]byte{3, 0, 0, 1, 0, 2, 6, 0, 255, 255}, false)        // NXDOMAIN of what is there, and long TTLs
	f.Add([]byte{2, 4, 0, 1, 0, 4, 4, 1, 4, 2, 5, 1, 0, 9}, true) // a DNAME for the whole zone, a cut in another
	f.Fuzz(func(t *testing.T, script []byte, isHashed bool) {
		if len(script) <= 200 {
			lie(t, script, isHashed)
		}
	})
}

// TestLyingServers does that with scripts out of the blue.
func TestLyingServers(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	r := rand.New(rand.NewPCG(3, 4))
	for round := range rounds {
		script := make([]byte, 5*(1+r.IntN(12)))
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		if lie(t, script, round%2 == 0); t.Failed() {
			t.Fatalf("script %q", script)
		}
	}
}

func lie(t *testing.T, script []byte, isHashed bool) {
	t.Helper()
	l := &liar{script: script}
	denial := denials["NSEC"]
	if isHashed {
		denial = denials["NSEC3"]
	}
	inDenyingWorld(t, "www 300 A 198.51.100.1\n*.wild 300 TXT w\nalias 300 CNAME www\nold 300 DNAME wild\n", denial, func(t *testing.T, w *world, leaf, root *signedZone) {
		leaf.serve(w, "192.0.2.3", l.change)
		for range 2 {
			for _, q := range []struct {
				name  string
				typ   dns.Type
				truth []string
			}{
				{"www.example.", dns.TypeA, []string{"NOERROR www.example. A 198.51.100.1"}},
				{"x.wild.example.", dns.TypeTXT, []string{`NOERROR x.wild.example. TXT "w"`}},
				{"no.example.", dns.TypeA, []string{"NXDOMAIN ", "NOERROR "}},
				{"y.old.example.", dns.TypeTXT, []string{`NOERROR old.example. DNAME wild.example.; y.old.example. CNAME y.wild.example.; y.wild.example. TXT "w"`}},
				{"nor.example.", dns.TypeA, []string{"NXDOMAIN ", "NOERROR "}},
				{"www.example.", dns.TypeMX, []string{"NOERROR "}},
				{"alias.example.", dns.TypeA, []string{"NOERROR alias.example. CNAME www.example.; www.example. A 198.51.100.1"}},
				{"z.wild.example.", dns.TypeTXT, []string{`NOERROR z.wild.example. TXT "w"`}},
			} {
				w.asked()
				a := w.ask(query(q.name, q.typ, 4096, true))
				if n := w.asked(); n > w.r.cfg.Limits.Queries {
					t.Errorf("%s %s: %d packets", q.name, q.typ, n)
				}
				got := a.RCode.String() + " " + data(a.Answer)
				if a.RCode != dns.RCodeServFail && (!a.Flags.Has(dns.FlagAD) || !slices.ContainsFunc(q.truth, func(truth string) bool { return strings.EqualFold(truth, got) })) { // case is not signed
					t.Errorf("%s %s: %s %s, expected AD and %q", q.name, q.typ, a.Flags, got, q.truth)
				}
				again := query(q.name, q.typ, 4096, true)
				withCD(again)
				w.ask(again)
			}
			w.checkStatuses(leaf, root)
			time.Sleep(200 * time.Second)
		}
	})
}

// checkStatuses looks at all that the cache has of the names that were played with.
func (w *world) checkStatuses(leaf, root *signedZone) {
	c, now := w.r.iterator.Cache, w.r.now()
	example := dns.MustName("example.")
	for _, name := range liarNames {
		var entries []cache.Entry
		add := func(e cache.Entry, ok bool) {
			if ok {
				entries = append(entries, e)
			}
		}
		add(c.NXDomain(name, now))
		for _, typ := range liarTypes {
			add(c.RRset(name, typ, now))
			add(c.NoData(name, typ, now))
			add(c.Wildcard(example, name, typ, now))
		}
		for _, e := range entries {
			if e.Zone.Equal(example) && !name.IsSubdomainOf(example) {
				w.t.Errorf("%s was learnt from %s", name, e.Zone)
			}
			if e.Status == cache.Secure {
				w.checkSigned(e.Sets, leaf, root)
			}
		}
		for _, zone := range []dns.Name{example, dns.Root} {
			if set, ok := c.NSEC(zone, name, now); ok {
				w.checkSigned([]cache.RRset{set}, leaf, root)
			}
			if set, ok := c.NSEC3(zone, []byte("01234567890123456789"), now); ok {
				w.checkSigned([]cache.RRset{set}, leaf, root)
			}
			if set, ok := c.ZoneSOA(zone, now); ok {
				w.checkSigned([]cache.RRset{set}, leaf, root)
			}
		}
	}
}

// checkSigned wants a good signature over each set, but over what a DNAME makes.
func (w *world) checkSigned(sets []cache.RRset, leaf, root *signedZone) {
	w.t.Helper()
	for i, s := range sets {
		set := dnssec.RRset{Owner: s.Name, Type: s.Type, Class: dns.ClassIN, RData: s.Data}
		isGood := func(rd dns.RData) bool {
			sig, err := dns.ParseRRSIG(rd)
			return err == nil && (dnssec.VerifyRRset(set, &sig, leaf.key.DNSKEY(), time.Now()) == nil && sig.Signer.Equal(dns.MustName("example.")) ||
				dnssec.VerifyRRset(set, &sig, root.key.DNSKEY(), time.Now()) == nil && sig.Signer.IsRoot())
		}
		if !slices.ContainsFunc(s.Sigs, isGood) && !isSynthetic(sets, i) {
			w.t.Errorf("%s %s is called secure, and nobody signed it: %+v", s.Name, s.Type, s)
		}
		w.checkSigned(s.Proof, leaf, root)
	}
}
