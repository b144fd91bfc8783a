package iterator

import (
	"fmt"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

const exampleDelegation = "example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3\n"

// example sets up root, com and example.com, whose zone has the given lines.
func (w *world) example(lines string) (server *fakenet.Server, zone *fakenet.Zone) {
	w.standard(exampleDelegation)
	zone = fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n"+lines)
	return w.Serve("192.0.2.3", zone), zone
}

func TestReferrals(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.example("www 300 A 198.51.100.1")

		expect(t, "first look-up", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./300/A=198.51.100.1")
		expectList(t, "each server sees one label more", w.asked(),
			"192.0.2.1 . NS",
			"192.0.2.1 com. A",
			"192.0.2.2 example.com. A",
			"192.0.2.3 www.example.com. A")

		time.Sleep(100 * time.Second)
		expect(t, "again, later", w.resolve("WWW.example.COM.", dns.TypeA), "NOERROR www.example.com./200/A=198.51.100.1")
		expectList(t, "from the cache", w.asked())

		expect(t, "no such type", w.resolve("www.example.com.", dns.TypeTXT), "NOERROR | example.com./300/SOA")
		expect(t, "no such name", w.resolve("nix.example.com.", dns.TypeA), "NXDOMAIN | example.com./300/SOA")
		expectList(t, "the delegation is known", w.asked(), "192.0.2.3 www.example.com. TXT", "192.0.2.3 nix.example.com. A")

		expect(t, "no such TLD", w.resolve("a.b.c.nix.", dns.TypeA), "NXDOMAIN | ./300/SOA")
		expect(t, "no such TLD, another name", w.resolve("d.nix.", dns.TypeA), "NXDOMAIN | ./300/SOA")
		expectList(t, "the root sees only the TLD, once", w.asked(), "192.0.2.1 nix. A")
	})
}

func TestGluelessServers(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard(exampleDelegation + "other.com. NS ns.example.com.\nother.com. NS ns2.example.com.")
		w.Serve("192.0.2.3",
			fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nns2 A 192.0.2.3"),
			fakenet.ParseZone("other.com.", "@ NS ns.example.com.\nwww A 198.51.100.2"))
		expect(t, "found through another zone", w.resolve("www.other.com.", dns.TypeA), "NOERROR www.other.com./3600/A=198.51.100.2")
		if n := len(w.asked()); n > 7 {
			t.Errorf("%d packets sent, expected at most 7: one server's address is enough", n)
		}
	})
}

// TestLameServers: servers that refuse, fail, refer upwards or know nothing are
// passed over for one that answers.
func TestLameServers(t *testing.T) {
	for name, hook := range map[string]func(q, a *dns.Message, _ transport.Proto) *dns.Message{
		"refused":  func(q, a *dns.Message, _ transport.Proto) *dns.Message { return with(q, a, dns.RCodeRefused) },
		"servfail": func(q, a *dns.Message, _ transport.Proto) *dns.Message { return with(q, a, dns.RCodeServFail) },
		"empty":    func(q, a *dns.Message, _ transport.Proto) *dns.Message { return with(q, a, dns.RCodeNoError) },
		"hollow": func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			m := with(q, a, dns.RCodeNoError)
			m.Flags |= dns.FlagAA
			return m
		},
		"upward referral with AA": func(q, a *dns.Message, p transport.Proto) *dns.Message {
			m := referTo(".")(q, a, p)
			m.Flags |= dns.FlagAA
			return m
		},
		"always truncated": func(_, a *dns.Message, _ transport.Proto) *dns.Message { a.Flags |= dns.FlagTC; return a },
		"another opcode":   func(q, a *dns.Message, _ transport.Proto) *dns.Message { a.Flags |= 5 << 11; return a },
		"upward referral":  referTo("."),
		"self referral":    referTo("example.com."),
		"sideways":         referTo("example.net."),
		"other question": func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Questions = []dns.Question{question("x.example.com.", dns.TypeA)}
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				w.standard(exampleDelegation + "example.com. NS ns2.example.com.\nns2.example.com. A 192.0.2.4")
				zone := fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1")
				w.Serve("192.0.2.3", zone).Hook = hook
				w.Serve("192.0.2.4", zone)
				for _, q := range []string{"a.", "b.", "c.", "d."} { // enough to meet the lame one first
					zone.Add(fakenet.ParseRecord(q+"example.com. A 198.51.100.1", dns.Root))
					expect(t, q, w.resolve(q+"example.com.", dns.TypeA), "NOERROR "+q+"example.com./3600/A=198.51.100.1")
				}
				bad := 0
				for _, p := range w.Sent() {
					if p.To.String() == "192.0.2.3" {
						bad++
					}
				}
				if spared := name == "servfail" || name == "hollow" || name == "always truncated"; bad > 2 && !spared {
					t.Errorf("the lame server was asked %d times, expected it to be left alone", bad)
				}
			})
		})
	}
}

func with(q, a *dns.Message, rcode dns.RCode) *dns.Message {
	return &dns.Message{ID: q.ID, Flags: dns.FlagQR, RCode: rcode, Questions: q.Questions, EDNS: a.EDNS}
}

// referTo is a server that refers all questions to zone, whose server it calls
// ns.victim.com, at an address that must never be used.
func referTo(zone string) func(q, a *dns.Message, _ transport.Proto) *dns.Message {
	return func(q, a *dns.Message, _ transport.Proto) *dns.Message {
		m := with(q, a, dns.RCodeNoError)
		m.Authority = []dns.Record{fakenet.ParseRecord(zone+" NS ns.victim.com.", dns.Root)}
		m.Additional = []dns.Record{fakenet.ParseRecord("ns.victim.com. A 192.0.2.66", dns.Root)}
		return m
	}
}

func TestTruncationGoesToTCP(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		lines := ""
		for range 12 {
			lines += "big TXT \"" + string(rune('a'+len(lines)%26)) + longText + "\"\n"
		}
		w.example(lines)
		a, err := w.it.Resolve(t.Context(), question("big.example.com.", dns.TypeTXT), Options{})
		if err != nil || len(a.Chain) != 1 || len(a.Chain[0].Data) != 12 {
			t.Fatalf("got %s, expected 12 TXT records", describe(a, err))
		}
		expectList(t, "UDP, then TCP", w.asked()[3:], "192.0.2.3 big.example.com. TXT", "192.0.2.3 big.example.com. TXT tcp")
	})
}

const longText = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"01234567890123456789012345678901234567890123456789012345678901234567890123456789"

func TestServerWithoutEDNS(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		server, _ := w.example("www A 198.51.100.1\nmail A 198.51.100.2")
		server.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if q.EDNS != nil {
				return &dns.Message{ID: q.ID, Flags: dns.FlagQR, RCode: dns.RCodeFormErr}
			}
			return a
		}
		expect(t, "asked again without EDNS", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=198.51.100.1")
		w.asked()
		expect(t, "and then at once", w.resolve("mail.example.com.", dns.TypeA), "NOERROR mail.example.com./3600/A=198.51.100.2")
		if sent := w.Sent(); len(sent) != 1 || sent[0].EDNS != nil {
			t.Errorf("sent %v, expected one query without EDNS", sent)
		}
	})
}

func TestDSIsAskedAtTheParent(t *testing.T) {
	const ds = "DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		_, com := w.standard(exampleDelegation)
		com.Add(fakenet.ParseRecord("example.com. 900 "+ds, dns.Root))
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1"))
		w.resolve("www.example.com.", dns.TypeA)
		w.asked()
		expect(t, "DS came with the referral", w.resolve("example.com.", dns.TypeDS), "NOERROR example.com./900/DS=36 octets")
		expectList(t, "nobody asked", w.asked())
		time.Sleep(901 * time.Second)
		expect(t, "DS expired", w.resolve("example.com.", dns.TypeDS), "NOERROR example.com./900/DS=36 octets")
		expectList(t, "the parent asked, not the child", w.asked(), "192.0.2.2 example.com. DS")
	})
}

// TestMovedZone: a delegation in the cache whose servers are gone is asked for
// anew (RFC 1034 §5.3.3, step 4d).
func TestMovedZone(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		old, zone := w.example("www 60 A 198.51.100.1\nmail 60 A 198.51.100.3")
		w.resolve("www.example.com.", dns.TypeA)
		_, com := w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.9")
		w.Change(func() { old.Down = true })
		w.Serve("192.0.2.9", zone)
		_ = com
		expect(t, "after the move", w.resolve("mail.example.com.", dns.TypeA), "NOERROR mail.example.com./60/A=198.51.100.3")
	})
}

// TestLeaseIsRenewedByTheParent: near the end of a lease the parent is asked
// again, so that answers keep the TTL that they came with.
func TestLeaseIsRenewedByTheParent(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. 1000 NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n*.x 100 A 198.51.100.1"))
		w.resolve("a.x.example.com.", dns.TypeA)
		time.Sleep(850 * time.Second)
		w.asked()
		w.resolve("b.x.example.com.", dns.TypeA)
		expectList(t, "15 % left", w.asked(), "192.0.2.3 x.example.com. A", "192.0.2.3 b.x.example.com. A")
		time.Sleep(60 * time.Second)
		expect(t, "9 % left", w.resolve("c.x.example.com.", dns.TypeA), "NOERROR c.x.example.com./100/A=198.51.100.1")
		if sent := w.asked(); len(sent) == 0 || sent[0] != "192.0.2.2 example.com. A" {
			t.Errorf("sent %v, expected the parent to be asked first", sent)
		}
	})
}

// TestRecursiveServerIsTheLastResort: one that offers recursion and claims no
// authority may be a cache; its word counts where nobody says better.
func TestRecursiveServerIsTheLastResort(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard(exampleDelegation + "example.com. NS ns2.example.com.\nns2.example.com. A 192.0.2.4")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "*.x A 203.0.113.66")).Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Flags = a.Flags&^dns.FlagAA | dns.FlagRA
			return a
		}
		good := w.Serve("192.0.2.4", fakenet.ParseZone("example.com.", "*.x A 198.51.100.1"))
		for i := range 10 {
			name := fmt.Sprintf("n%d.x.example.com.", i)
			expect(t, "beside a proper server", w.resolve(name, dns.TypeA), "NOERROR "+name+"/3600/A=198.51.100.1")
		}
		w.Change(func() { good.Down = true })
		expect(t, "alone", w.resolve("last.x.example.com.", dns.TypeA), "NOERROR last.x.example.com./3600/A=203.0.113.66")
	})
}

// TestDSFromTheChildIsNotUsed: a server of both zones that answers for the wrong
// one (RFC 4035 §3.1.4.1).
func TestDSFromTheChildIsNotUsed(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		_, com := w.standard(exampleDelegation)
		w.Serve("192.0.2.2", com).Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if q.Question().Type != dns.TypeDS {
				return a
			}
			a.Authority = []dns.Record{fakenet.ParseRecord("example.com. SOA a. b. 1 1 1 1 300", dns.Root)}
			return a
		}
		w.expectQuestion(question("example.com.", dns.TypeDS), "answered for the child side of the cut")
	})
}

// TestReferralBesideSOA: an authority section with both says NODATA, not where
// to go on (RFC 2308 §2.2).
func TestReferralBesideSOA(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		server, _ := w.example("sub TXT \"x\"")
		server.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Authority = append(a.Authority, fakenet.ParseRecord("sub.example.com. NS ns.evil.com.", dns.Root))
			return a
		}
		expect(t, "NODATA", w.resolve("sub.example.com.", dns.TypeA), "NOERROR | example.com./300/SOA")
	})
}

// TestKnownGlueIsUsed: the address of a server that serves many zones is known
// from the first one's referral.
func TestKnownGlueIsUsed(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard(exampleDelegation + "other.com. NS ns.example.com.")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1"),
			fakenet.ParseZone("other.com.", "www A 198.51.100.2"))
		w.resolve("www.example.com.", dns.TypeA)
		w.asked()
		expect(t, "another zone", w.resolve("www.other.com.", dns.TypeA), "NOERROR www.other.com./3600/A=198.51.100.2")
		expectList(t, "nobody is asked for the server's address", w.asked(), "192.0.2.2 other.com. A", "192.0.2.3 www.other.com. A")
	})
}

// TestHollowAnswerOfAll: where every server says so, it is so.
func TestHollowAnswerOfAll(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		server, _ := w.example("www A 198.51.100.1")
		server.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			m := with(q, a, dns.RCodeNoError)
			m.Flags |= dns.FlagAA
			return m
		}
		expect(t, "NODATA", w.resolve("www.example.com.", dns.TypeA), "NOERROR")
	})
}
