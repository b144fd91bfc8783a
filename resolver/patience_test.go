package resolver

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// timed asks and returns the answer's text and how long it took.
func (w *world) timed(m *dns.Message) (string, time.Duration) {
	w.t.Helper()
	start := time.Now()
	return text(w.ask(m)), time.Since(start)
}

func (w *world) expectIn(what string, m *dns.Message, least, most time.Duration, want string) {
	w.t.Helper()
	got, took := w.timed(m)
	expect(w.t, what, got, want)
	if took < least || took > most {
		w.t.Errorf("%s: took %v, expected %v to %v", what, took, least, most)
	}
}

// down has the servers of example.com and of its parents not answer, or answer again.
func (w *world) down(yes bool) {
	w.Change(func() {
		for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			w.At(addr).Down = yes
		}
	})
}

const staleAnswer = "NOERROR qr,rd,ra www.example.com. 30 A 198.51.100.1; EDE3:"

func TestStaleWhenServersAreSilent(t *testing.T) {
	inWorld(t, Config{}, "www 60 A 198.51.100.1\nno 60 TXT x", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		gone := query("gone.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		w.ask(gone)
		time.Sleep(2 * time.Hour)
		w.down(true)
		w.expectIn("the first waits for the response timer", m, 1800*time.Millisecond, 1810*time.Millisecond, staleAnswer)
		w.expectIn("the next does not", m, 0, 0, staleAnswer)
		a := w.ask(gone)
		if a.RCode != dns.RCodeNXDomain || a.EDNS.EDE()[0].Code != dns.EDEStaleNXDomain || a.Authority[0].TTL != 30 {
			t.Errorf("a stale NXDOMAIN: %s", text(a))
		}
		if a := w.ask(query("no.example.com.", dns.TypeA, 1232, false)); a.RCode != dns.RCodeServFail {
			t.Errorf("nothing is stale: %s", text(a))
		}
		time.Sleep(10 * time.Second) // all look-ups have failed
		w.asked()
		for range 5 {
			w.expectIn("until the recheck nobody asks", m, 0, 0, staleAnswer)
			time.Sleep(time.Second)
		}
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets before the recheck", n)
		}
		time.Sleep(30 * time.Second)
		w.expectIn("a recheck keeps nobody waiting", m, 0, 0, staleAnswer)
		w.down(false)
		time.Sleep(10 * time.Minute) // longer than failures are remembered
		w.expectIn("repaired", m, 0, time.Second, "NOERROR qr,rd,ra www.example.com. 60 A 198.51.100.1;")
	})
}

func TestStaleWhenLookupsFail(t *testing.T) {
	inWorld(t, Config{}, "www 60 A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		time.Sleep(61 * time.Second)
		broken := w.At("192.0.2.3")
		w.Change(func() {
			broken.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
				a.RCode, a.Answer, a.Authority = dns.RCodeServFail, nil, nil
				return a
			}
		})
		w.expectIn("SERVFAIL", m, 0, 1799*time.Millisecond, staleAnswer)
		time.Sleep(24 * time.Hour)
		a := w.ask(m)
		if a.RCode != dns.RCodeServFail {
			t.Errorf("a day and a minute later: %s", text(a))
		}
		// What there is now is believed, whatever it was before.
		w.Change(func() {
			broken.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
				a.RCode, a.Answer = dns.RCodeNXDomain, nil
				return a
			}
		})
		time.Sleep(10 * time.Minute)
		if a := w.ask(m); a.RCode != dns.RCodeNXDomain || len(a.EDNS.EDE()) > 0 {
			t.Errorf("gone: %s", text(a))
		}
	})
}

// TestStaleForms: a client gets the stale answer in the form that it can use, also
// where only others have asked before.
func TestStaleForms(t *testing.T) {
	inSignedWorld(t, Config{StaleAfter: -1}, [2]change{}, func(t *testing.T, w *world) {
		w.verdict("www.example.", dns.TypeA, withDO)
		w.verdict("alias.example.", dns.TypeA, withAD)
		w.verdict("www.plain.", dns.TypeA, bare)
		time.Sleep(20 * time.Minute)
		w.down(true)
		w.Change(func() { w.At("192.0.2.4").Down, w.At("192.0.2.5").Down = true, true })
		for _, c := range []struct {
			name string
			edit func(*dns.Message)
			want string
		}{
			{"www.example.", withAD, "NOERROR AD A Stale Answer"},
			{"www.example.", withDO, "NOERROR AD A RRSIG Stale Answer"},
			{"www.example.", withCD, "NOERROR AD A RRSIG Stale Answer"},
			{"www.plain.", withDO, "NOERROR A Stale Answer"},
			{"alias.example.", bare, "NOERROR CNAME A Stale Answer"},
		} {
			expect(t, c.name, w.verdict(c.name, dns.TypeA, c.edit), c.want)
		}
		if got := w.verdict("alias.example.", dns.TypeA, withDO); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("secure without signatures: %s", got)
		}
	})
}

// TestZeroTTLReplacesStale: an answer that must not be kept ends the old one.
func TestZeroTTLReplacesStale(t *testing.T) {
	inWorld(t, Config{}, "www 60 A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		time.Sleep(time.Hour)
		w.down(true)
		expect(t, "silent", text(w.ask(m)), staleAnswer)
		time.Sleep(10 * time.Minute)
		w.down(false)
		w.Change(func() {
			z := fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww 0 A 198.51.100.2")
			w.At("192.0.2.3").Zones = []*fakenet.Zone{z}
		})
		for range 2 {
			expect(t, "TTL 0", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 0 A 198.51.100.2;")
		}
	})
}

func TestStaleSettings(t *testing.T) {
	fast := Config{StaleAfter: -1, StaleReplyTTL: 123 * time.Second, StaleTTL: 10 * time.Second}
	inWorld(t, fast, "www 60 A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		time.Sleep(65 * time.Second)
		w.expectIn("no patience", m, 0, 0, "NOERROR qr,rd,ra www.example.com. 123 A 198.51.100.1; EDE3:")
		synctest.Wait()
		time.Sleep(time.Second)
		expect(t, "renewed behind it", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 59 A 198.51.100.1;")
		time.Sleep(71 * time.Second)
		expect(t, "too old", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 60 A 198.51.100.1;")
	})
	inWorld(t, Config{NoStale: true, ClientDeadline: time.Second}, "www 60 A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		time.Sleep(time.Hour)
		w.down(true)
		w.expectIn("never stale", m, time.Second, time.Second, "SERVFAIL qr,rd,ra EDE22:no answer was found in time; the look-up goes on")
	})
	inWorld(t, Config{StaleTTL: time.Second, StaleTTLReset: true}, "www 60 A 198.51.100.1", func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		time.Sleep(time.Hour)
		w.down(true)
		w.expectIn("when the look-up has failed", m, 1801*time.Millisecond, 10*time.Second, staleAnswer)
	})
}

// TestPrefetch: an answer that is asked for often is renewed in the last tenth of
// its time, by one look-up, and one that is not is left to expire.
func TestPrefetch(t *testing.T) {
	inWorld(t, Config{}, "www 1000 A 198.51.100.1\nrare 1000 A 198.51.100.2", func(t *testing.T, w *world) {
		m, rare := query("www.example.com.", dns.TypeA, 1232, false), query("rare.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		w.ask(rare)
		w.ask(m)
		w.asked()
		time.Sleep(890 * time.Second)
		w.ask(m)
		time.Sleep(time.Second)
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets before the last tenth", n)
		}
		time.Sleep(20 * time.Second)
		for range 10 {
			w.ask(m)
		}
		w.ask(rare)
		time.Sleep(time.Second)
		if sent := w.Sent(); len(sent) != 1 {
			t.Errorf("sent for a renewal: %v", sent)
		}
		expect(t, "renewed", text(w.ask(m)), "NOERROR qr,rd,ra www.example.com. 999 A 198.51.100.1;")
	})
}
