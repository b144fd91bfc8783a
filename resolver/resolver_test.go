package resolver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/iterator"
	"onoma/transport"
)

func TestAnswerAndHit(t *testing.T) {
	inWorld(t, Config{}, "www 300 A 198.51.100.1", func(t *testing.T, w *world) {
		expect(t, "a miss", text(w.ask(query("www.example.com.", dns.TypeA, 1232, false))),
			"NOERROR qr,rd,ra www.example.com. 300 A 198.51.100.1;")
		w.asked()
		time.Sleep(100 * time.Second)
		m := query("wWw.eXample.com.", dns.TypeA, 0, false)
		m.ID, m.Flags = 99, dns.FlagCD|dns.FlagRD|dns.FlagAD
		expect(t, "a new variant is built without asking", text(w.ask(m)), "NOERROR qr,rd,ra,cd wWw.eXample.com. 200 A 198.51.100.1;")
		m.Flags &^= dns.FlagCD
		a := w.ask(m)
		expect(t, "a hit", text(a), "NOERROR qr,rd,ra wWw.eXample.com. 200 A 198.51.100.1;")
		if a.ID != 99 || a.Question().Name != m.Question().Name || a.EDNS != nil {
			t.Errorf("the hit does not repeat ID and question, or has OPT: %+v", a)
		}
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent for hits", n)
		}
		time.Sleep(201 * time.Second)
		expect(t, "after the TTL", text(w.ask(m)), "NOERROR qr,rd,ra wWw.eXample.com. 300 A 198.51.100.1;")
	})
}

func TestHitDoesNotAllocate(t *testing.T) {
	inWorld(t, Config{}, "www 300 A 198.51.100.1\nfail NS ns.nowhere.invalid.", func(t *testing.T, w *world) {
		for _, name := range []string{"www.example.com.", "nix.example.com.", "x.fail.example.com."} {
			msg := pack(t, query(name, dns.TypeA, 1232, true))
			w.start(msg)()
			dst := make([]byte, 0, 1500)
			q := newQuery(msg, w.client)
			w.asked()
			if n := testing.AllocsPerRun(1000, func() {
				if len(w.worker.Answer(dst, q)) == 0 {
					t.Fatal("not a hit")
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations per hit, expected none", name, n)
			}
			if n := w.asked(); n != 0 {
				t.Errorf("%s: %d packets sent", name, n)
			}
		}
	})
}

func TestEDNS(t *testing.T) {
	inWorld(t, Config{}, "www A 198.51.100.1", func(t *testing.T, w *world) {
		if a := w.ask(query("www.example.com.", dns.TypeA, 0, false)); a.EDNS != nil {
			t.Error("OPT in the answer to a client that sent none (RFC 6891 §6.1.1)")
		}
		m := query("www.example.com.", dns.TypeA, 4096, true)
		m.EDNS.Options = []dns.Option{{Code: dns.OptionNSID}, {Code: 65001, Data: []byte("?")}}
		for range 2 {
			a := w.ask(m)
			if a.EDNS == nil || a.EDNS.UDPSize != 1232 || !a.EDNS.DO || len(a.EDNS.Options) != 0 {
				t.Errorf("EDNS of the answer: %+v, expected 1232, DO and no options", a.EDNS)
			}
		}
		m.EDNS.Version = 1
		a := w.ask(m)
		expect(t, "another version", a.RCode.String(), "BADVERS")
		if a.EDNS == nil || a.EDNS.Version != 0 {
			t.Errorf("EDNS of the answer: %+v, expected version 0", a.EDNS)
		}
	})
}

// TestTruncation: UDP answers keep to the client's size and ours; TCP has all.
func TestTruncation(t *testing.T) {
	lines := ""
	for i := range 60 {
		lines += fmt.Sprintf("big A 10.1.1.%d\n", i)
	}
	inWorld(t, Config{}, lines, func(t *testing.T, w *world) {
		for i := range 2 { // the miss and the hit
			for _, c := range []struct {
				size uint16
				want int
			}{{0, 0}, {512, 0}, {1232, 60}, {65535, 60}} {
				raw := w.start(pack(t, query("big.example.com.", dns.TypeA, c.size, false)))()
				a := w.parse(raw)
				if len(a.Answer) != c.want || a.Flags.Has(dns.FlagTC) != (c.want == 0) || len(raw) > max(512, int(c.size)) {
					t.Errorf("%d: size %d: %d records in %d octets, TC %v; expected %d", i, c.size, len(a.Answer), len(raw), a.Flags.Has(dns.FlagTC), c.want)
				}
			}
		}
		w.proto = transport.TCP
		if a := w.ask(query("big.example.com.", dns.TypeA, 0, false)); len(a.Answer) != 60 || a.Flags.Has(dns.FlagTC) {
			t.Errorf("TCP: %d records, expected 60", len(a.Answer))
		}
	})
}

const sig = "13 3 300 20300101000000 20200101000000 1 example.com. AAAA"

// TestDNSSECRecords: passed on with DO, left out without, answered when asked for.
func TestDNSSECRecords(t *testing.T) {
	zone := "www 300 A 198.51.100.1\nwww 300 RRSIG A " + sig + "\n" +
		"*.w 300 A 198.51.100.2\n*.w 300 RRSIG A " + sig
	inWorld(t, Config{}, zone, func(t *testing.T, w *world) {
		const a, s = "www.example.com. 300 A 198.51.100.1;", " www.example.com. 300 RRSIG A "
		for range 2 {
			expect(t, "without DO", text(w.ask(query("www.example.com.", dns.TypeA, 1232, false))), "NOERROR qr,rd,ra "+a)
			if got := text(w.ask(query("www.example.com.", dns.TypeA, 1232, true))); !strings.HasPrefix(got, "NOERROR qr,rd,ra "+a+s) {
				t.Errorf("with DO: %s", got)
			}
			if got := text(w.ask(query("www.example.com.", dns.TypeRRSIG, 0, false))); !strings.HasPrefix(got, "NOERROR qr,rd,ra"+s) {
				t.Errorf("asked for RRSIG: %s", got)
			}
		}
	})
}

// TestNegativeProof: NSEC and signatures go to clients that want them.
func TestNegativeProof(t *testing.T) {
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		server := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3"))
		server.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Authority = append(a.Authority, fakenet.ParseRecord("example.com. 300 RRSIG SOA "+sig, dns.Root),
				fakenet.ParseRecord("example.com. 300 NSEC ns.example.com. NS SOA", dns.Root))
			return a
		}
		for range 2 {
			for do, want := range map[bool]int{false: 1, true: 3} {
				if a := w.ask(query("nix.example.com.", dns.TypeA, 1232, do)); len(a.Authority) != want || a.RCode != dns.RCodeNXDomain {
					t.Errorf("DO %v: %s, expected %d records", do, text(a), want)
				}
			}
		}
	})
}

// TestWildcardProof: the denial that goes with an answer made from a wildcard
// reaches a client that validates.
func TestWildcardProof(t *testing.T) {
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		server := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n*.w 300 A 198.51.100.2\n*.w 300 RRSIG A "+sig))
		server.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			if len(a.Answer) > 0 {
				a.Authority = append(a.Authority, fakenet.ParseRecord("ns.example.com. 300 NSEC w.example.com. A", dns.Root))
			}
			return a
		}
		for range 2 {
			a := w.ask(query("x.y.w.example.com.", dns.TypeA, 1232, true))
			if len(a.Authority) != 1 || a.Authority[0].Type != dns.TypeNSEC {
				t.Errorf("with DO: %s, expected the NSEC record too", text(a))
			}
			if a = w.ask(query("x.y.w.example.com.", dns.TypeA, 1232, false)); len(a.Authority) != 0 {
				t.Errorf("without DO: %s", text(a))
			}
		}
	})
}

func TestAccessList(t *testing.T) {
	inWorld(t, Config{}, "www A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		for client, allowed := range map[string]bool{
			"127.0.0.1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "::1": true, "fd00::1": true, "fe80::1": true,
			"::ffff:10.1.2.3": true, "198.51.100.1": false, "172.32.0.1": false, "2001:db8::1": false, "::ffff:198.51.100.1": false,
		} {
			w.client = mustAddrPort(client)
			got := text(w.ask(m))
			if allowed != strings.HasPrefix(got, "NOERROR") {
				t.Errorf("%s: %s, expected allowed: %v", client, got, allowed)
			}
			if !allowed && !strings.Contains(got, "REFUSED qr,rd,ra EDE18:the access list does not have this client") {
				t.Errorf("%s: %s", client, got)
			}
		}
	})
}

func TestQuestionsNotLookedUp(t *testing.T) {
	inWorld(t, Config{ID: "ns1.lab", Version: ""}, "", func(t *testing.T, w *world) {
		ask := func(name string, typ dns.Type, class dns.Class) string {
			m := query(name, typ, 1232, false)
			m.Questions[0].Class = class
			return text(w.ask(m))
		}
		expect(t, "ANY", ask("example.com.", dns.TypeANY, dns.ClassIN), `NOERROR qr,rd,ra example.com. 3600 HINFO "RFC8482" "";`)
		expect(t, "AXFR", ask("example.com.", dns.TypeAXFR, dns.ClassIN), "REFUSED qr,rd,ra EDE21:a resolver does not transfer zones")
		expect(t, "NXNAME", ask("example.com.", dns.TypeNXNAME, dns.ClassIN), "FORMERR qr,rd,ra EDE30:no record can have this type")
		expect(t, "MAILA", ask("example.com.", dns.TypeMAILA, dns.ClassIN), "NOTIMP qr,rd,ra EDE30:no record can have this type")
		expect(t, "class HS", ask("example.com.", dns.TypeA, dns.ClassHS), "REFUSED qr,rd,ra EDE21:only class IN is looked up")
		expect(t, "id.server", ask("ID.server.", dns.TypeTXT, dns.ClassCH), `NOERROR qr,aa,rd,ra ID.server. 0 CH TXT "ns1.lab";`)
		expect(t, "version.bind", ask("version.bind.", dns.TypeTXT, dns.ClassCH), "REFUSED qr,rd,ra EDE21:only class IN is looked up")
		m := query("example.com.", dns.TypeA, 0, false)
		m.Flags = m.Flags.WithOpcode(dns.OpcodeUpdate)
		expect(t, "UPDATE", w.ask(m).RCode.String(), "NOTIMP")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent", n)
		}
	})
}

func TestMalformedQueries(t *testing.T) {
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		good := pack(t, query("www.example.com.", dns.TypeA, 1232, false))
		for n := range good {
			raw := w.start(good[:n:n])
			if n < dns.HeaderLen {
				continue // no answer is due
			}
			if a := w.parse(raw()); a.RCode != dns.RCodeFormErr || a.ID != 4711 {
				t.Errorf("%d octets: %s, expected FORMERR", n, text(a))
			}
		}
		for name, change := range map[string]func(m []byte) []byte{
			"no question":   func(m []byte) []byte { m[5] = 0; return m },
			"two questions": func(m []byte) []byte { m[5] = 2; return m },
			"octets behind": func(m []byte) []byte { return append(m, 0) },
			"pointer":       func(m []byte) []byte { m[12] = 0xC0; return m },
		} {
			if a := w.parse(w.start(change(append([]byte(nil), good...)))()); a.RCode != dns.RCodeFormErr {
				t.Errorf("%s: %s, expected FORMERR", name, text(a))
			}
		}
	})
}

// TestWithoutRD: the cache answers, or nobody.
func TestWithoutRD(t *testing.T) {
	inWorld(t, Config{}, "www A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		m.Flags = 0
		expect(t, "not known", text(w.ask(m)), "REFUSED qr,ra EDE20:recursion was not desired, and the answer is not in the cache")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent", n)
		}
		w.ask(query("www.example.com.", dns.TypeA, 1232, false))
		expect(t, "known", text(w.ask(m)), "NOERROR qr,ra www.example.com. 3600 A 198.51.100.1;")
	})
}

// TestManyAskTheSame: one look-up for all, and everybody gets an answer in the
// form that he asked for.
func TestManyAskTheSame(t *testing.T) {
	inWorld(t, Config{}, "www 300 A 198.51.100.1\nwww 300 RRSIG A "+sig, func(t *testing.T, w *world) {
		var waits []func() []byte
		for i := range 100 {
			name := "www.example.com."
			if i%2 == 1 {
				name = "WWW.Example.Com."
			}
			m := query(name, dns.TypeA, uint16(i%3)*600, i%4 == 0)
			m.ID = uint16(i)
			waits = append(waits, w.start(pack(t, m)))
		}
		for i, wait := range waits {
			a := w.parse(wait())
			records := 1
			if i%4 == 0 && i%3 != 0 {
				records = 2
			}
			if int(a.ID) != i || len(a.Answer) != records || (a.EDNS != nil) != (i%3 != 0) {
				t.Errorf("client %d: %s, expected %d records", i, text(a), records)
			}
		}
		if n := w.asked(); n != 4 {
			t.Errorf("%d packets for 100 clients, expected 4", n)
		}
	})
}

func TestFailuresSayWhy(t *testing.T) {
	inWorld(t, Config{ClientDeadline: -1}, "dead NS ns.dead\nns.dead A 192.0.2.77\nl CNAME l", func(t *testing.T, w *world) {
		const dead = "no server of dead.example.com. gave an answer for www.dead.example.com. A: 192.0.2.77 timed out"
		m := query("www.dead.example.com.", dns.TypeA, 1232, false)
		expect(t, "first", text(w.ask(m)), "SERVFAIL qr,rd,ra EDE22:"+dead+" EDE23:")
		w.asked()
		expect(t, "again", text(w.ask(m)), "SERVFAIL qr,rd,ra EDE13: EDE22:"+dead)
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets were sent for a failure that is known", n)
		}
		expect(t, "a loop", text(w.ask(query("l.example.com.", dns.TypeA, 1232, false))), "SERVFAIL qr,rd,ra EDE0:alias loop at l.example.com.")
		expect(t, "without EDNS", text(w.ask(query("l.example.com.", dns.TypeA, 0, false))), "SERVFAIL qr,rd,ra")
	})
}

// TestTooManyLookups: the oldest gives way once it has had its time, and before
// that newcomers are turned away at once.
func TestTooManyLookups(t *testing.T) {
	inWorld(t, Config{MaxInFlight: 10, MaxWaiters: 5}, "dead NS ns.dead\nns.dead A 192.0.2.77\nwww A 198.51.100.1", func(t *testing.T, w *world) {
		var waits []func() []byte
		for i := range 10 {
			waits = append(waits, w.start(pack(t, query(fmt.Sprintf("n%d.dead.example.com.", i), dns.TypeA, 1232, false))))
		}
		m := query("www.example.com.", dns.TypeA, 1232, false)
		expect(t, "no room", text(w.ask(m)), "SERVFAIL qr,rd,ra EDE0:too many questions are being looked up")
		same := pack(t, query("n5.dead.example.com.", dns.TypeA, 1232, false))
		for range 4 {
			waits = append(waits, w.start(same))
		}
		expect(t, "no room among those who wait", text(w.parse(w.start(same)())), "SERVFAIL qr,rd,ra EDE0:too many questions are being looked up")
		time.Sleep(time.Second)
		expect(t, "room was made", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 3599 A 198.51.100.1;")
		expect(t, "by the oldest", text(w.parse(waits[0]())), "SERVFAIL qr,rd,ra EDE0:too many questions are being looked up")
		for _, wait := range waits[1:] {
			if got := text(w.parse(wait())); !strings.HasPrefix(got, "SERVFAIL qr,rd,ra EDE22:no server of dead.example.com.") {
				t.Errorf("another one: %s", got)
			}
		}
	})
}

// TestTooManyClients: those who wait for all look-ups together are bounded, too.
func TestTooManyClients(t *testing.T) {
	inWorld(t, Config{MaxWaiting: 3}, "dead NS ns.dead\nns.dead A 192.0.2.77\nwww A 198.51.100.1", func(t *testing.T, w *world) {
		for i := range 3 {
			w.start(pack(t, query(fmt.Sprintf("n%d.dead.example.com.", i), dns.TypeA, 1232, false)))
		}
		m := query("www.example.com.", dns.TypeA, 1232, false)
		expect(t, "no room", text(w.ask(m)), "SERVFAIL qr,rd,ra EDE0:too many questions are being looked up")
		time.Sleep(10 * time.Second)
		expect(t, "they have their answers", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 3590 A 198.51.100.1;")
	})
}

func TestCloseEndsLookups(t *testing.T) {
	inWorld(t, Config{}, "dead NS ns.dead\nns.dead A 192.0.2.77", func(t *testing.T, w *world) {
		wait := w.start(pack(t, query("a.dead.example.com.", dns.TypeA, 1232, false)))
		done := make(chan error, 1)
		go func() {
			_, err := w.r.Resolve(context.Background(), query("b.dead.example.com.", dns.TypeA, 0, false).Question(), Options{})
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		if err := w.r.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("Close took %v: %v", time.Since(start), err)
		}
		expect(t, "who waited", text(w.parse(wait())), "SERVFAIL qr,rd,ra EDE14:the resolver is shutting down")
		expect(t, "who comes later", text(w.ask(query("c.example.com.", dns.TypeA, 1232, false))), "SERVFAIL qr,rd,ra EDE14:the resolver is shutting down")
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Resolve: %v, expected ErrClosed", err)
		}
	})
}

type steps struct{ list []iterator.Event }

func (s *steps) Trace(e Event) { s.list = append(s.list, e) }

func TestResolveAndTrace(t *testing.T) {
	inWorld(t, Config{}, "www 300 CNAME web\nweb 200 A 198.51.100.1", func(t *testing.T, w *world) {
		var s steps
		q := query("www.example.com.", dns.TypeA, 0, false).Question()
		res, err := w.r.Resolve(t.Context(), q, Options{Tracer: &s})
		if err != nil || len(res.Answer) != 2 || res.Answer[0].Type != dns.TypeCNAME || res.TTL != 200 || res.Cost.Queries != 5 {
			t.Errorf("got %+v, %v", res, err)
		}
		var got []string
		for _, e := range s.list {
			got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s", e.Kind, e.Outcome, e.Zone, e.Server, e.Child)), " "))
		}
		want := []string{
			"start",
			"ask . a.root-servers.net.", "reply answer . a.root-servers.net.",
			"ask . a.root-servers.net.", "reply referral . a.root-servers.net. com.",
			"ask com. a.gtld-servers.net.", "reply referral com. a.gtld-servers.net. example.com.",
			"ask example.com. ns.example.com.", "reply alias example.com. ns.example.com.",
			"ask example.com. ns.example.com.", "reply answer example.com. ns.example.com.",
			"end answer",
		}
		expect(t, "steps", strings.Join(got, "\n"), strings.Join(want, "\n"))
		if e := s.list[6]; e.RTT != 10*time.Millisecond || e.TTL != 3600 || e.Sent.Name.String() != "example.com." || e.Servers[0].String() != "ns.example.com." {
			t.Errorf("the referral's event: %+v", e)
		}
		res, err = w.r.Resolve(t.Context(), query("www.example.com.", dns.TypeANY, 0, false).Question(), Options{})
		if err != nil || len(res.Answer) != 1 || res.Answer[0].Type != dns.TypeHINFO {
			t.Errorf("ANY: %+v, %v", res, err)
		}
	})
}

func TestFlush(t *testing.T) {
	inWorld(t, Config{}, "www A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 0, false)
		w.ask(m)
		w.ask(query("other.example.com.", dns.TypeA, 0, false))
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nwww A 198.51.100.99\nother A 198.51.100.98"))
		expect(t, "before", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 3600 A 198.51.100.1;")
		if n := w.r.Flush(dns.MustName("example.com."), true); n < 3 {
			t.Errorf("%d entries flushed, expected at least 3", n)
		}
		expect(t, "after", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 3600 A 198.51.100.99;")
		expect(t, "what did not exist", text(w.ask(query("other.example.com.", dns.TypeA, 0, false))), "NOERROR qr,rd,ra other.example.com. 3600 A 198.51.100.98;")
		w.asked()
		w.r.Flush(dns.MustName("www.example.com."), false)
		w.ask(m)
		if n := w.asked(); n != 1 {
			t.Errorf("%d packets after flushing one name, expected 1", n)
		}
	})
}
