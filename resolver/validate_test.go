package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

// signedZone is a zone with one key, as a server has it.
type signedZone struct {
	key     *dnssec.Key
	worker  transport.Worker
	version *zone.Version
}

// signZone makes a zone of text, signed now for validity; children get their DS.
func signZone(t testing.TB, origin, text string, validity time.Duration, children map[string]*signedZone) *signedZone {
	t.Helper()
	return signZoneAs(t, origin, text, validity, children, sign.Denial{Kind: sign.NSEC})
}

func signZoneAs(t testing.TB, origin, text string, validity time.Duration, children map[string]*signedZone, denial sign.Denial) *signedZone {
	t.Helper()
	name := dns.MustName(origin)
	b := zone.NewBuilder(name)
	r := zonefile.NewReader(strings.NewReader("@ 3600 SOA ns hostmaster 1 3600 900 604800 300\n"+text), zonefile.Options{Origin: name, DefaultTTL: 3600})
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		rec.Name, rec.Data = dns.MustName(rec.Name.String()), slices.Clone(rec.Data)
		if err := b.Add(rec); err != nil {
			t.Fatal(err)
		}
	}
	for child, z := range children {
		ds, err := dnssec.MakeDS(dns.MustName(child), z.key.DNSKEY(), dnssec.DigestSHA256)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(dns.Record{Name: dns.MustName(child), Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: ds.RData()}); err != nil {
			t.Fatal(err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatal(findings)
	}
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	plan := sign.Plan{
		Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Denial: denial, ZONEMD: []uint8{dnssec.ZONEMDSHA384}, Validity: validity, Skew: time.Hour,
		Apex: []dns.Record{{Name: name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()}},
	}
	if v, _, err = plan.Whole(context.Background(), v, time.Now()); err != nil {
		t.Fatal(err)
	}
	served := zone.New(name)
	served.Publish(v)
	server := authority.New(authority.Options{})
	server.AddZone(served)
	return &signedZone{key: k, worker: server.NewWorker(), version: v}
}

// serve has the zone at an address; change, if there is one, may change answers.
func (z *signedZone) serve(w *world, addr string, change func(q dns.Question, a *dns.Message)) {
	w.Serve(addr).Hook = func(q, _ *dns.Message, _ transport.Proto) *dns.Message {
		a := z.answer(q)
		if a != nil && change != nil {
			change(q.Question(), a)
		}
		return a
	}
}

// answer is what the zone's server says to q.
func (z *signedZone) answer(q *dns.Message) *dns.Message {
	msg, err := q.Append(nil)
	if err != nil {
		return nil
	}
	client := netip.MustParseAddrPort("127.0.0.1:1")
	a, err := dns.ParseMessage(z.worker.Answer(nil, transport.NewQuery(msg, client, client, transport.TCP, nil)))
	if err != nil {
		return nil
	}
	return a
}

const signedText = "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.3\nns2 A 192.0.2.4\nwww 300 A 198.51.100.1\n*.wild 300 TXT w\nalias CNAME www\nhome CNAME printer.home.arpa.\n"

// inSignedWorld has a signed root, and example. at two servers; the answers of both
// may be changed.
func inSignedWorld(t *testing.T, cfg Config, change [2]func(q dns.Question, a *dns.Message), test func(t *testing.T, w *world)) {
	t.Helper()
	inWorld(t, cfg, "", func(t *testing.T, w *world) {
		leaf := signZone(t, "example.", signedText, 2*time.Hour, nil)
		root := signZone(t, ".", "@ NS a.root-servers.net.\na.root-servers.net. A 192.0.2.1\nexample. NS ns1.example.\nexample. NS ns2.example.\n"+
			"ns1.example. A 192.0.2.3\nns2.example. A 192.0.2.4\nplain. NS ns.plain.\nns.plain. A 192.0.2.5\n", 24*time.Hour, map[string]*signedZone{"example.": leaf})
		root.serve(w, "192.0.2.1", nil)
		leaf.serve(w, "192.0.2.3", change[0])
		leaf.serve(w, "192.0.2.4", change[1])
		w.Serve("192.0.2.5", fakenet.ParseZone("plain.", "@ NS ns\nns A 192.0.2.5\nwww 60 A 198.51.100.5"))
		w.root, w.leaf = root, leaf
		w.r.Trust([]dns.Record{{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: root.key.RData()}})
		test(t, w)
	})
}

type change = func(q dns.Question, a *dns.Message)

// forge changes the address in an answer, and leaves its signature.
func forge(_ dns.Question, a *dns.Message) {
	for i, r := range a.Answer {
		if r.Type == dns.TypeA {
			a.Answer[i].Data = dns.RData{203, 0, 113, 66}
		}
	}
}

// verdict returns rcode, whether AD is set, and types of the answer and EDE.
func (w *world) verdict(name string, typ dns.Type, edit func(*dns.Message)) string {
	m := query(name, typ, 1232, false)
	edit(m)
	a := w.ask(m)
	parts := []string{a.RCode.String()}
	if a.Flags.Has(dns.FlagAD) {
		parts = append(parts, "AD")
	}
	for _, r := range a.Answer {
		parts = append(parts, r.Type.String())
	}
	for _, e := range a.EDNS.EDE() {
		parts = append(parts, e.Code.String())
	}
	return strings.Join(parts, " ")
}

func withDO(m *dns.Message) { m.EDNS.DO = true }
func withAD(m *dns.Message) { m.Flags |= dns.FlagAD }
func withCD(m *dns.Message) { m.Flags |= dns.FlagCD; m.EDNS.DO = true }
func bare(*dns.Message)     {}

// TestAD: it says that the answer was validated, to those who ask; from the cache
// as from a look-up (RFC 4035 §3.2, RFC 6840 §5.7, §5.8).
func TestAD(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		for range 2 {
			expect(t, "nobody asked", w.verdict("www.example.", dns.TypeA, bare), "NOERROR A")
			expect(t, "AD", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
			expect(t, "DO", w.verdict("www.example.", dns.TypeA, withDO), "NOERROR AD A RRSIG")
			expect(t, "CD", w.verdict("www.example.", dns.TypeA, withCD), "NOERROR A RRSIG")
			expect(t, "an alias", w.verdict("alias.example.", dns.TypeA, withAD), "NOERROR AD CNAME A")
			expect(t, "no such name", w.verdict("no.example.", dns.TypeA, withAD), "NXDOMAIN AD")
			expect(t, "no such type", w.verdict("www.example.", dns.TypeMX, withAD), "NOERROR AD")
			expect(t, "from a wildcard", w.verdict("x.wild.example.", dns.TypeTXT, withAD), "NOERROR AD TXT")
			expect(t, "not signed", w.verdict("www.plain.", dns.TypeA, withAD), "NOERROR A")
			expect(t, "local", w.verdict("localhost.", dns.TypeA, withAD), "NOERROR A")
			expect(t, "on to what is local", w.verdict("home.example.", dns.TypeA, withAD), "NXDOMAIN CNAME")
			expect(t, "signatures", w.verdict("www.example.", dns.TypeRRSIG, withAD), "NOERROR RRSIG RRSIG")
		}
	})
}

// TestBogus: what is wrong at all servers is SERVFAIL with the reason, for a
// minute; who checks for himself is given it, and other names are not concerned.
func TestBogus(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{forge, forge}, func(t *testing.T, w *world) {
		expect(t, "all forge", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
		w.asked()
		expect(t, "again", w.verdict("www.example.", dns.TypeA, bare), "SERVFAIL Cached Error DNSSEC Bogus")
		expect(t, "again, with DO", w.verdict("www.example.", dns.TypeA, withDO), "SERVFAIL Cached Error DNSSEC Bogus")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets for what is known to be bogus", n)
		}
		expect(t, "with CD", w.verdict("www.example.", dns.TypeA, withCD), "NOERROR A RRSIG")
		expect(t, "another type", w.verdict("x.wild.example.", dns.TypeTXT, withAD), "NOERROR AD TXT")
	})
}

// TestBogusIsForgotten: a zone that was repaired is good again after a minute,
// though clients with CD had its bad data cached.
func TestBogusIsForgotten(t *testing.T) {
	isBad := true
	mend := func(q dns.Question, a *dns.Message) {
		if isBad {
			forge(q, a)
		}
	}
	inSignedWorld(t, Config{}, [2]change{mend, mend}, func(t *testing.T, w *world) {
		expect(t, "bad", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
		w.verdict("www.example.", dns.TypeA, withCD)
		w.Change(func() { isBad = false })
		time.Sleep(61 * time.Second)
		expect(t, "mended", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
	})
}

// TestOneBadServer: the answer of another server is taken, whatever it is that
// the bad one forges.
func TestOneBadServer(t *testing.T) {
	stale := func(typ dns.Type) change {
		return func(q dns.Question, a *dns.Message) {
			if q.Type == typ {
				a.Answer = slices.DeleteFunc(a.Answer, func(r dns.Record) bool { return r.Type == dns.TypeRRSIG })
			}
		}
	}
	for name, c := range map[string]change{"address": forge, "no signature": stale(dns.TypeA), "keys without signature": stale(dns.TypeDNSKEY)} {
		t.Run(name, func(t *testing.T) {
			for range 3 { // whichever is asked first
				inSignedWorld(t, Config{}, [2]change{nil, c}, func(t *testing.T, w *world) {
					for _, q := range []string{"www.example.", "alias.example."} {
						if got := w.verdict(q, dns.TypeA, withAD); !strings.HasPrefix(got, "NOERROR AD") {
							t.Errorf("%s: %s", q, got)
						}
					}
				})
			}
		})
	}
}

// TestValidationIsPaid: what a question costs has one bound, with all that its
// validation asks and checks.
func TestValidationIsPaid(t *testing.T) {
	inSignedWorld(t, Config{Limits: Limits{Queries: 4}}, [2]change{}, func(t *testing.T, w *world) {
		w.asked()
		got := w.verdict("alias.example.", dns.TypeMX, withAD)
		if n := w.asked(); n != 4 || !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("%s after %d packets, expected SERVFAIL after 4", got, n)
		}
	})
	inSignedWorld(t, Config{Limits: Limits{Signatures: 3}}, [2]change{}, func(t *testing.T, w *world) {
		res, err := w.r.Resolve(context.Background(), dns.Question{Name: dns.MustName("www.example."), Type: dns.TypeA, Class: dns.ClassIN}, Options{})
		if err != nil || res.RCode != dns.RCodeServFail || !strings.Contains(res.EDE[0].Text, "too much work") {
			t.Errorf("%+v, %v", res, err)
		}
	})
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		res, err := w.r.Resolve(context.Background(), dns.Question{Name: dns.MustName("www.example."), Type: dns.TypeA, Class: dns.ClassIN}, Options{})
		if err != nil || !res.IsSecure || res.Cost.Checks < 4 || res.Cost.Queries < 4 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// TestNothingOutlivesItsSignatures: RFC 4035 §5.3.3.
func TestNothingOutlivesItsSignatures(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		time.Sleep(2*time.Hour - 100*time.Second)
		a := w.ask(query("www.example.", dns.TypeA, 1232, true))
		for _, r := range a.Answer {
			if r.TTL > 100 || r.TTL < 95 {
				t.Errorf("%s, though its signature ends in 100 seconds", r)
			}
		}
		time.Sleep(101 * time.Second)
		expect(t, "then", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL Signature Expired")
	})
}

// TestUnvalidatedIsNotShown: a question without RD is not told what only clients
// with CD have had looked up.
func TestUnvalidatedIsNotShown(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{forge, forge}, func(t *testing.T, w *world) {
		w.verdict("www.example.", dns.TypeA, withCD)
		expect(t, "without RD", w.verdict("www.example.", dns.TypeA, func(m *dns.Message) { m.Flags &^= dns.FlagRD }), "REFUSED Not Authoritative")
		expect(t, "without RD, local", w.verdict("localhost.", dns.TypeA, func(m *dns.Message) { m.Flags &^= dns.FlagRD }), "NOERROR A")
	})
}

// TestExceptions: a negative trust anchor makes a broken zone answer until its
// end, and says so (RFC 7646).
func TestExceptions(t *testing.T) {
	name := dns.MustName("Example.")
	inSignedWorld(t, Config{}, [2]change{forge, forge}, func(t *testing.T, w *world) {
		expect(t, "before", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
		w.r.Except(name, time.Now().Add(100*time.Second))
		expect(t, "while it stands", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		expect(t, "no such name", w.verdict("no.example.", dns.TypeA, withAD), "NXDOMAIN Negative Trust Anchor")
		expect(t, "DS is the parent's", w.verdict("example.", dns.TypeDS, withAD), "NOERROR AD DS")
		if got := w.r.Exceptions(); len(got) != 1 || got[name.Fold()].IsZero() {
			t.Errorf("exceptions: %v", got)
		}
		time.Sleep(99 * time.Second)
		expect(t, "shortly before its end", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		time.Sleep(2 * time.Second)
		expect(t, "after its end", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
		if got := w.r.Exceptions(); len(got) != 0 {
			t.Errorf("exceptions: %v", got)
		}
		w.r.Except(name, time.Time{})
		expect(t, "without an end", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		w.r.Except(name, time.Now())
		expect(t, "taken away", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
	})
}

// An anchor below a negative one counts.
func TestAnchorsBelowExceptions(t *testing.T) {
	cfg := Config{Insecure: map[dns.Name]time.Time{dns.Root: {}}}
	inSignedWorld(t, cfg, [2]change{}, func(t *testing.T, w *world) {
		expect(t, "below the exception", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		res, err := w.r.Resolve(context.Background(), dns.Question{Name: dns.MustName("example."), Type: dns.TypeDNSKEY, Class: dns.ClassIN}, Options{})
		if err != nil || len(res.Answer) == 0 {
			t.Fatalf("%+v %v", res, err)
		}
		w.r.Trust(res.Answer)
		expect(t, "below an anchor below it", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
	})
}

// TestMissingProof: what a zone denies without proof is bogus, and says nothing of
// what the name has.
func TestMissingProof(t *testing.T) {
	noProof := func(_ dns.Question, a *dns.Message) {
		a.Authority = slices.DeleteFunc(a.Authority, func(r dns.Record) bool { return r.Type == dns.TypeNSEC })
	}
	inSignedWorld(t, Config{}, [2]change{noProof, noProof}, func(t *testing.T, w *world) {
		expect(t, "denied", w.verdict("www.example.", dns.TypeMX, withAD), "SERVFAIL NSEC Missing")
		expect(t, "there", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
	})
}

// TestBrokenZone: where a zone's keys do not pass, none of its names is looked up
// for a minute; other zones are, and who checks for himself is answered.
func TestBrokenZone(t *testing.T) {
	noKeys := func(q dns.Question, a *dns.Message) {
		if q.Type == dns.TypeDNSKEY {
			a.Answer = slices.DeleteFunc(a.Answer, func(r dns.Record) bool { return r.Type == dns.TypeRRSIG })
		}
	}
	inSignedWorld(t, Config{}, [2]change{noKeys, noKeys}, func(t *testing.T, w *world) {
		expect(t, "one name", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL RRSIGs Missing")
		w.asked()
		expect(t, "another name", w.verdict("x.wild.example.", dns.TypeTXT, withAD), "SERVFAIL Cached Error RRSIGs Missing")
		expect(t, "without RD", w.verdict("alias.example.", dns.TypeA, func(m *dns.Message) { m.Flags &^= dns.FlagRD }), "SERVFAIL Cached Error RRSIGs Missing")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets for names of a zone that is known to be broken", n)
		}
		expect(t, "its DS", w.verdict("example.", dns.TypeDS, withAD), "NOERROR AD DS")
		expect(t, "another zone", w.verdict("www.plain.", dns.TypeA, withAD), "NOERROR A")
		expect(t, "with CD", w.verdict("x.wild.example.", dns.TypeTXT, withCD), "NOERROR TXT RRSIG")
		w.r.Except(dns.MustName("wild.example."), time.Time{})
		expect(t, "below an exception", w.verdict("y.wild.example.", dns.TypeTXT, withAD), "NOERROR TXT Negative Trust Anchor")
	})
	inSignedWorld(t, Config{Limits: Limits{Signatures: 2}}, [2]change{}, func(t *testing.T, w *world) {
		if got := w.verdict("www.example.", dns.TypeA, withAD); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("without a budget: %s", got)
		}
		expect(t, "what was learnt then is there", w.verdict("x.wild.example.", dns.TypeA, withCD), "NOERROR")
		if ede, _, ok := w.r.iterator.Cache.BrokenZone(dns.MustName("example."), w.r.now()); ok {
			t.Errorf("one question's budget made a zone broken: %v", ede)
		}
	})
}
