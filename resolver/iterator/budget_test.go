package iterator

import (
	"context"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// TestBudgetIsNeverReset: look-ups made with one budget pay from it, one after
// the other, and the time is that of the first.
func TestBudgetIsNeverReset(t *testing.T) {
	inWorld(t, Config{Limits: Limits{Queries: 6, Time: time.Second}}, func(t *testing.T, w *world) {
		w.twoZones("*.x 60 A 198.51.100.1", "* 60 A 198.51.100.2")
		b := w.it.NewBudget()
		last, served := b.Cost(), 0
		for _, name := range []string{"a.x.example.com.", "b.x.example.com.", "c.x.example.com.", "d.x.example.com.", "e.x.example.com.", "f.x.example.com."} {
			_, err := w.it.Resolve(context.Background(), question(name, dns.TypeA), Options{Budget: b})
			if err == nil {
				served++
			}
			now := b.Cost()
			if now.Queries < last.Queries || now.Bytes < last.Bytes {
				t.Errorf("%s: %+v, before %+v", name, now, last)
			}
			last = now
		}
		if sent := len(w.asked()); last.Queries != 6 || sent != 6 || served == 0 || served == 6 {
			t.Errorf("%d of 6 look-ups ended well with %d packets sent, %d counted; expected 6 packets and some failures", served, sent, last.Queries)
		}
		late := w.it.NewBudget()
		time.Sleep(2 * time.Second)
		if got := describe(w.it.Resolve(context.Background(), question("g.x.example.com.", dns.TypeA), Options{Budget: late})); len(w.asked()) != 0 {
			t.Errorf("asked though the time was over: %s", got)
		}
	})
}

// TestDoubted: a server whose answer to a question was found wrong is not asked
// that again, but it is asked other things; Forget makes room for another answer.
func TestDoubted(t *testing.T) {
	inWorld(t, Config{NoMinimise: true}, func(t *testing.T, w *world) {
		w.Serve("192.0.2.1", fakenet.ParseZone(".", "@ NS a.root-servers.net.\na.root-servers.net. A 192.0.2.1\nx. NS ns1.x.\nx. NS ns2.x.\nns1.x. A 192.0.2.7\nns2.x. A 192.0.2.8"))
		w.Serve("192.0.2.7", fakenet.ParseZone("x.", "@ NS ns1\nwww 60 A 198.51.100.7\nwww 60 TXT a"))
		w.Serve("192.0.2.8", fakenet.ParseZone("x.", "@ NS ns1\nwww 60 A 198.51.100.8\nwww 60 TXT a"))
		q := question("www.x.", dns.TypeA)
		first, err := w.it.Resolve(context.Background(), q, Options{})
		if err != nil || len(first.Sources) != 1 || first.Sources[0].Type != dns.TypeA {
			t.Fatalf("%+v %v", first, err)
		}
		w.it.Forget(q, first)
		second, err := w.it.Resolve(context.Background(), q, Options{Doubted: first.Sources})
		if err != nil || len(second.Sources) != 1 || second.Sources[0].Addr == first.Sources[0].Addr {
			t.Fatalf("the answer of %v was followed by one of %+v (%v)", first.Sources, second, err)
		}
		w.it.Forget(q, second)
		both := append(first.Sources, second.Sources...)
		if a, err := w.it.Resolve(context.Background(), q, Options{Doubted: both}); err == nil {
			t.Errorf("both are in doubt, and yet: %s", describe(a, err))
		}
		if a, err := w.it.Resolve(context.Background(), question("www.x.", dns.TypeTXT), Options{Doubted: both}); err != nil {
			t.Errorf("another question: %s", describe(a, err))
		}
	})
}

// TestReferralProvesThatThereIsNoDS: validation is spared a question, and clients
// who ask for DS are told by the parent.
func TestReferralProvesThatThereIsNoDS(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www 60 A 198.51.100.1", "")
		com := w.Serve("192.0.2.2", fakenet.ParseZone("com.", "@ NS a.gtld-servers.net.\nexample NS ns.example\nns.example A 192.0.2.3"))
		com.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			if len(a.Answer) == 0 {
				a.Authority = append(a.Authority, fakenet.ParseRecord("example.com. 60 NSEC f.com. NS RRSIG NSEC", dns.Root))
			}
			return a
		}
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww 60 A 198.51.100.1"))
		w.resolve("www.example.com.", dns.TypeA)
		w.asked()
		q := question("example.com.", dns.TypeDS)
		a, err := w.it.Resolve(context.Background(), q, Options{Proof: true})
		if err != nil || len(a.Authority) != 1 || a.Authority[0].Type != dns.TypeNSEC || len(w.asked()) != 0 {
			t.Errorf("for validation: %+v, %v", a, err)
		}
		w.it.Resolve(context.Background(), q, Options{})
		expectList(t, "for a client", w.asked(), "192.0.2.2 example.com. DS")
	})
}
