package resolver

import (
	"testing"
	"time"

	"onoma/dns"
)

func TestAnswerAndHit(t *testing.T) {
	inWorld(t, Config{}, "www 300 A 198.51.100.1", func(t *testing.T, w *world) {
		expect(t, "a miss", text(w.ask(query("www.example.com.", dns.TypeA, 1232, false))),
			"NOERROR qr,rd,ra www.example.com. 300 A 198.51.100.1;")
		w.asked()
		time.Sleep(100 * time.Second)
		m := query("wWw.eXample.com.", dns.TypeA, 0, false)
		m.ID, m.Flags = 99, dns.FlagCD
		m.Flags |= dns.FlagRD
		a := w.ask(m)
		expect(t, "a new variant is built without asking", text(a), "NOERROR qr,rd,ra,cd wWw.eXample.com. 200 A 198.51.100.1;")
		m.Flags &^= dns.FlagCD
		a = w.ask(m)
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
