package iterator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// lowering answers as a server that does not keep the case of names.
func lowering(q, a *dns.Message, _ transport.Proto) *dns.Message {
	ask := q.Question()
	ask.Name = ask.Name.Fold()
	a.Questions = []dns.Question{ask}
	return a
}

// protos returns the transports of what was sent since the last call.
func (w *world) protos() string {
	var list []string
	for _, p := range w.Sent() {
		list = append(list, p.Proto.String())
	}
	return strings.Join(list, " ")
}

// TestCaseIsNotKept: TCP shows that it is the server's habit, which is remembered.
func TestCaseIsNotKept(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		w.ask(1, "a")
		w.Change(func() { s[0].Hook = lowering })
		w.ask(1, "b")
		w.ask(5, "c")
		w.Sent()
		w.timed("abcdefghijkl.x.example.com.")
		p := w.Sent()
		if len(p) != 1 || p[0].Proto != transport.UDP || p[0].Name.String() != "abcdefghijkl.x.example.com." {
			t.Errorf("sent %+v, expected one packet in lower case", p)
		}
		time.Sleep(caselessFor)
		w.Change(func() { s[0].Hook = nil })
		w.ask(1, "d")
		if p := w.it.servers.manners(at(s[0].Addr.String()), time.Now(), 0); p.sameCase {
			t.Error("it is still thought that the server does not keep the case")
		}
	})
}

// TestCaseIsNotKeptWithoutTCP: then there is no proof, and the server is asked in
// lower case; others ask as before.
func TestCaseIsNotKeptWithoutTCP(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		w.ask(1, "a")
		w.Change(func() { s[0].Hook, s[0].NoTCP = lowering, true })
		w.Sent()
		w.timed("b.x.example.com.")
		expect(t, "over", w.protos(), "udp tcp udp")
	})
}

// TestAnswersHaveTheClientsCase: nobody sees what 0x20 did.
func TestAnswersHaveTheClientsCase(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.example("www CNAME target\ntarget A 198.51.100.1\ns NS ns.s\nns.s A 192.0.2.3")
		for range 10 {
			expect(t, "alias", w.resolve("wWw.eXample.com.", dns.TypeA),
				"NOERROR wWw.eXample.com./3600/CNAME=target.eXample.com. target.eXample.com./3600/A=198.51.100.1") // as it is compressed
			expect(t, "denied", w.resolve("nix.example.com.", dns.TypeA), "NXDOMAIN | example.com./300/SOA")
			w.it.Cache.FlushAll()
		}
	})
}

// TestForgedRepliesCostTheServerNothing: an attacker who has a packet accepted by
// port and ID only sends the question to TCP, and the server's name stays good
// (CVE-2023-26437).
func TestForgedRepliesCostTheServerNothing(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		w.ask(10, "a")
		before := w.it.servers.standing(at(s[0].Addr.String()), dns.Root, time.Now(), 0)
		w.Change(func() {
			s[0].Hook = func(q, a *dns.Message, proto transport.Proto) *dns.Message {
				if proto != transport.UDP {
					return a
				}
				forged := lowering(q, a, proto)
				forged.Answer = []dns.Record{fakenet.ParseRecord(q.Question().Name.String()+" A 192.0.2.66", dns.Root)}
				return forged
			}
			s[0].RTT = time.Millisecond
		})
		for i := range 20 {
			expect(t, "the truth", w.resolve(fmt.Sprintf("bbbbbbbb%d.x.example.com.", i), dns.TypeA),
				fmt.Sprintf("NOERROR bbbbbbbb%d.x.example.com./1/A=198.51.100.1", i))
		}
		after := w.it.servers.standing(at(s[0].Addr.String()), dns.Root, time.Now(), 0)
		if after != before {
			t.Errorf("the server's standing was %+v and is %+v", before, after)
		}
	})
}

// baker is a server that does cookies (RFC 7873 §5.2).
type baker struct {
	secret   string // what its cookies look like now
	strict   bool   // BADCOOKIE without a good one
	stale    bool   // none at all
	wrong    bool   // somebody else's
	onlyOver transport.Proto
	refused  int
}

func (b *baker) hook(q, a *dns.Message, proto transport.Proto) *dns.Message {
	option, ok := q.EDNS.Option(dns.OptionCookie)
	if !ok || b.stale && proto == b.onlyOver || b.stale && b.onlyOver == transport.TLS {
		return a
	}
	c, err := option.Cookie()
	if err != nil {
		panic(err)
	}
	if b.strict && string(c.Server) != b.secret && proto == transport.UDP {
		b.refused++
		a.RCode, a.Answer, a.Authority = dns.RCodeBadCookie, nil, nil
	}
	client := string(c.Client)
	if b.wrong && proto == transport.UDP {
		client = "notyours"
	}
	a.EDNS.Options = append(a.EDNS.Options, dns.Option{Code: dns.OptionCookie, Data: []byte(client + b.secret)})
	return a
}

// TestCookies: the server's cookie comes back to it, and to it alone.
func TestCookies(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 10*time.Millisecond)
		b := &baker{secret: "server-secret-16"}
		s[0].Hook, s[1].Hook = b.hook, b.hook
		w.ask(50, "a")
		w.Sent()
		for i := range 100 {
			w.timed(fmt.Sprintf("b%d.x.example.com.", i))
			if i == 50 {
				w.Change(func() { s[0].RTT = 80 * time.Millisecond })
			}
		}
		seen := map[string]string{}
		for _, p := range w.Sent() {
			o, _ := p.EDNS.Option(dns.OptionCookie)
			c, err := o.Cookie()
			if err != nil || string(c.Server) != b.secret {
				t.Fatalf("to %v: %v %q", p.To, err, o.Data)
			}
			if known, ok := seen[string(c.Client)]; ok && known != p.To.String() {
				t.Errorf("%s and %v see the same cookie", known, p.To)
			}
			seen[string(c.Client)] = p.To.String()
		}
		if len(seen) != 2 {
			t.Errorf("%d client cookies, expected one for each of two servers", len(seen))
		}
		time.Sleep(cookieLife + time.Hour)
		w.Sent()
		w.timed("c.x.example.com.")
		p := w.Sent()
		o, _ := p[len(p)-1].EDNS.Option(dns.OptionCookie)
		if seen[string(o.Data[:8])] != "" {
			t.Error("after a day the client cookie is the same")
		}
	})
}

// TestBadCookie: a server that wants its cookie gets it, without TCP.
func TestBadCookie(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		b := &baker{secret: "server-secret-16", strict: true}
		s[0].Hook = b.hook
		w.ask(1, "a")
		w.Sent()
		b.secret = "another--secret!"
		w.timed("b.x.example.com.")
		expect(t, "a new secret", w.protos(), "udp udp")
		w.timed("c.x.example.com.")
		expect(t, "then it is known", w.protos(), "udp")
		if b.refused != 2 {
			t.Errorf("refused %d times, expected twice", b.refused)
		}
	})
}

// TestForgedCookies: who has shown a cookie is not believed without it.
func TestForgedCookies(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		b := &baker{secret: "server-secret-16"}
		s[0].Hook = b.hook
		w.ask(2, "a")
		w.Sent()
		b.stale, b.onlyOver = true, transport.UDP
		w.timed("b.x.example.com.")
		expect(t, "without", w.protos(), "udp tcp")
		w.timed("c.x.example.com.")
		expect(t, "without, each time", w.protos(), "udp tcp")
		b.stale, b.wrong = false, true
		w.timed("d.x.example.com.")
		expect(t, "somebody else's", w.protos(), "udp tcp")
		b.wrong, b.stale, b.onlyOver = false, true, transport.TLS
		w.timed("e.x.example.com.")
		expect(t, "it has given them up, as TCP shows", w.protos(), "udp tcp")
		w.timed("f.x.example.com.")
		expect(t, "and is believed", w.protos(), "udp")
	})
}

// TestCookieTrouble: FORMERR to the option alone costs the option alone.
func TestCookieTrouble(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		s[0].Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if _, ok := q.EDNS.Option(dns.OptionCookie); ok {
				a = with(q, a, dns.RCodeFormErr)
			}
			return a
		}
		w.ask(1, "a")
		w.Sent()
		w.timed("b.x.example.com.")
		if p := w.Sent(); len(p) != 1 || p[0].EDNS == nil || len(p[0].EDNS.Options) != 0 {
			t.Errorf("sent %+v, expected EDNS without a cookie", p)
		}
	})
}

// TestSilentToEDNS: RFC 6891 §6.2.2, though never for a zone that is signed.
func TestSilentToEDNS(t *testing.T) {
	silent := func(q, a *dns.Message, _ transport.Proto) *dns.Message {
		if q.EDNS != nil {
			return nil
		}
		return a
	}
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		s[0].Hook = silent
		if took := w.timed("a.x.example.com."); took > time.Second {
			t.Errorf("took %v", took)
		}
		if took := w.timed("b.x.example.com."); took > 15*time.Millisecond {
			t.Errorf("then it took %v, expected that the habit is remembered", took)
		}
		time.Sleep(plainSilence)
		w.Change(func() { s[0].Hook = nil })
		w.ask(1, "c")
		w.Sent()
		w.Change(func() { s[0].Hook = silent })
		w.expectFailure("d.x.example.com.", "timed out")
		for _, p := range w.Sent() {
			if p.To == s[0].Addr && p.EDNS == nil {
				t.Error("asked without EDNS, which the server has shown to know")
			}
		}
	})
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3\nexample.com. DS 1 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "www A 198.51.100.1")).Hook = silent
		w.expectFailure("www.example.com.", "timed out")
		for _, p := range w.Sent() {
			if p.EDNS == nil && p.Question.Type != dns.TypeSOA {
				t.Errorf("%v was asked without EDNS for %v, which is in a signed zone", p.To, p.Question)
			}
		}
	})
}

// TestRefusedType: who refuses a type, or drops it, is well for all others.
func TestRefusedType(t *testing.T) {
	for what, hook := range map[string]func(q, a *dns.Message, _ transport.Proto) *dns.Message{
		"refused": func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if q.Question().Type == dns.TypeHTTPS {
				return with(q, a, dns.RCodeRefused)
			}
			return a
		},
		"dropped": func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if q.Question().Type == dns.TypeHTTPS {
				return nil
			}
			return a
		},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				s := w.manyServers(10 * time.Millisecond)
				s[0].Hook = hook
				w.ask(3, "a")
				for i := range 5 {
					w.expectQuestion(question(fmt.Sprintf("b%d.x.example.com.", i), dns.TypeHTTPS), "")
				}
				if st := w.it.servers.standing(at(s[0].Addr.String()), dns.MustName("example.com."), time.Now(), 0); st.doubtful {
					t.Error("the server is in doubt")
				}
				w.ask(3, "c")
			})
		})
	}
}
