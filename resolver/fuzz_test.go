package resolver

import (
	"slices"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// What mutated replies are made of.
var mutantNames = func() (list []dns.Name) {
	for _, n := range []string{
		"www.example.com.", "example.com.", "sub.example.com.", "alias.example.com.", "x.example.com.", "com.", ".", "www.com.", "ns.example.com.",
		"a.gtld-servers.net.", "a.root-servers.net.", "*.example.com.", "tree.example.com.",
	} {
		list = append(list, dns.MustName(n))
	}
	return list
}()

// FuzzAnswers lets a server change its true answers by a script, or send any octets, and looks at what clients get of it:
// an answer in time, that can be read, that begins with the name asked for and leads from alias to alias to the end; the same
// again from the cache; and names of other zones as ever. The iterator's FuzzMutations looks into the cache.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("\x0a\x09\x14\x0b\x08\x00"), false)
	f.Add([]byte("\x03\x00\x05\x04\x00\x05\x0f\x00\x06"), false) // another owner, and aliases
	f.Add([]byte("\x0f\x03\x00\x0f\x00\x06"), false)             // a loop of aliases
	f.Add([]byte("\x0c\x05\x00\x0e\x00\x00"), false)             // com does not exist
	f.Add([]byte("\x01\x00\x00\x01\x00\x00\x02\x00\x01"), false) // doubled records, one of them in another section
	f.Add([]byte("\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04"), true)
	f.Add([]byte("\x81\x80\xff\xff\xff\xff\xff\xff\xff\xff"), true)
	f.Fuzz(func(t *testing.T, script []byte, raw bool) {
		if len(script) > 60 {
			return
		}
		inWorld(t, Config{}, "www A 198.51.100.1\nalias CNAME www\ntree DNAME sub\nwww.sub A 198.51.100.2\n*.wild TXT any", func(t *testing.T, w *world) {
			com := fakenet.ParseZone("com.", comZone+"\nwww A 198.51.100.9")
			w.Serve("192.0.2.2", com)
			evil := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1\nalias CNAME www\ntree DNAME sub\nwww.sub A 198.51.100.2\n*.wild TXT any"))
			if raw {
				evil.Raw = func(answer []byte) []byte { return append(answer[:2:2], script...) }
			} else {
				evil.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message { return fakenet.Mutate(a, script, mutantNames) }
			}
			for _, m := range []*dns.Message{
				query("www.example.com.", dns.TypeA, 1232, true), query("alias.example.com.", dns.TypeA, 1232, false), query("www.tree.example.com.", dns.TypeA, 4096, true),
				query("x.example.com.", dns.TypeMX, 0, false), query("a.wild.example.com.", dns.TypeTXT, 1232, true), query("example.com.", dns.TypeNS, 1232, false),
			} {
				start := time.Now()
				first := w.ask(m)
				if took := time.Since(start); took > w.r.iterator.Limits.Time {
					t.Errorf("%s took %v", m.Question(), took)
				}
				checkAnswer(t, m, first)
				checkAnswer(t, m, w.ask(m))
			}
			expect(t, "a name of another zone", text(w.ask(query("www.com.", dns.TypeA, 0, false))), "NOERROR qr,rd,ra www.com. 3600 A 198.51.100.9;")
		})
	})
}

// checkAnswer wants the form that every answer has, whatever was said upstream.
func checkAnswer(t *testing.T, q, a *dns.Message) {
	t.Helper()
	asked := q.Question()
	if a.ID != q.ID || a.Question() != asked || !a.Flags.Has(dns.FlagQR|dns.FlagRA) || a.Flags.Has(dns.FlagAA) || a.Flags.Has(dns.FlagAD) || (a.EDNS == nil) != (q.EDNS == nil) {
		t.Errorf("%s: %s", asked, text(a))
	}
	if !slices.Contains([]dns.RCode{dns.RCodeNoError, dns.RCodeNXDomain, dns.RCodeServFail, dns.RCodeYXDomain}, a.RCode) {
		t.Errorf("%s: rcode %s", asked, a.RCode)
	}
	name, links := asked.Name, 0
	for _, r := range a.Answer {
		if r.TTL > 86400 {
			t.Errorf("%s: TTL %d", asked, r.TTL)
		}
		switch {
		case r.Type == dns.TypeRRSIG, r.Type == dns.TypeDNAME && name.IsSubdomainOf(r.Name):
		case !r.Name.Equal(name):
			t.Errorf("%s: %s is not on the way: %s", asked, r.Name, text(a))
			return
		case r.Type == dns.TypeCNAME && asked.Type != dns.TypeCNAME:
			name = r.Data.Target(r.Type)
			links++
		case r.Type != asked.Type:
			t.Errorf("%s: a record of type %s", asked, r.Type)
		}
	}
	if links > 11 {
		t.Errorf("%s: %d aliases", asked, links)
	}
	for _, r := range a.Authority {
		if r.Type != dns.TypeSOA && r.Type != dns.TypeNSEC && r.Type != dns.TypeNSEC3 && r.Type != dns.TypeRRSIG || r.TTL > 86400 {
			t.Errorf("%s: beside the answer, %s", asked, r)
		}
	}
	if len(a.Additional) > 0 {
		t.Errorf("%s: %d records in the additional section", asked, len(a.Additional))
	}
}
