package resolver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/policy"
	"onoma/transport"
)

// Who has too much looked up gets no more of it, and what is in the cache nevertheless; others are none the worse.
func TestClientsThatCostTooMuch(t *testing.T) {
	for action, want := range map[policy.Action]string{policy.None: "REFUSED qr,rd,ra EDE18:" + edeCostly.Text, policy.TCPOnly: "NOERROR qr,tc,rd,ra", policy.Drop: "nothing"} {
		cfg := Config{Limit: ClientLimits{Soft: 20, Hard: 20, Action: action}}
		inWorld(t, cfg, exampleZone+"\n* 300 A 192.0.2.99", func(t *testing.T, w *world) {
			ask := func(client, name string) string {
				w.client = mustAddrPort(client)
				raw := w.start(pack(t, query(name, dns.TypeA, 1232, false)))()
				if raw == nil {
					return "nothing"
				}
				return text(w.parse(raw))
			}
			const bad, good = "10.0.0.1", "10.200.0.1"
			if got := ask(bad, "www.example.com."); !strings.Contains(got, "192.0.2.80") {
				t.Fatal(got)
			}
			asked := 0
			for i := 0; ; i++ {
				w.asked()
				got := ask(bad, fmt.Sprintf("n%d.example.com.", i))
				if asked += w.asked(); got == want {
					break
				} else if i > 200 {
					t.Fatalf("after %d questions: %s", i, got)
				}
			}
			if asked < 50 || asked > 400 {
				t.Errorf("servers were asked %d times before the end, expected some 120: 20 a second for 4/ln 2 seconds", asked)
			}
			if got := ask(bad, "www.example.com."); !strings.Contains(got, "192.0.2.80") {
				t.Errorf("out of the cache: %s", got)
			}
			if got := ask(good, "others.example.com."); !strings.Contains(got, "192.0.2.99") {
				t.Errorf("somebody else: %s", got)
			}
			w.proto = transport.TCP
			if got := ask(bad, "bytcp.example.com."); action != policy.Drop && strings.Contains(got, "192.0.2.99") != (action == policy.TCPOnly) {
				t.Errorf("action %v, by TCP: %s", action, got)
			}
			w.proto = transport.UDP
			time.Sleep(time.Minute)
			if got := ask(bad, "later.example.com."); !strings.Contains(got, "192.0.2.99") {
				t.Errorf("a minute later: %s", got)
			}
		})
	}
}

// Nobody is limited who costs much while nobody else waits, unless it is very much.
func TestClientsThatCostMuch(t *testing.T) {
	inWorld(t, Config{Limit: ClientLimits{Soft: 1}}, exampleZone+"\n* 300 A 192.0.2.99", func(t *testing.T, w *world) {
		w.client = mustAddrPort("10.0.0.1")
		for i := range 50 {
			if m := w.ask(query(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, 0, false)); len(m.Answer) != 1 {
				t.Fatalf("question %d: %s", i, text(m))
			}
		}
	})
}

// slow makes the servers of com and example.com answer late, the latter with much.
func slow(w *world, late time.Duration) {
	lines := "@ 300 NS ns\nns 300 A 192.0.2.3\nshort 300 A 192.0.2.1"
	for i := range 10 {
		lines += fmt.Sprintf("\nlong 300 TXT \"%d%s\"", i, strings.Repeat("x", 80))
	}
	w.Serve("192.0.2.2", fakenet.ParseZone("com", comZone)).RTT = late
	w.Serve("192.0.2.3", fakenet.ParseZone("example.com", lines)).RTT = late
}

// Answers that are late and large are not sent by UDP (DNSBomb): the client comes again.
func TestLateAnswersAreSmall(t *testing.T) {
	for _, c := range []struct {
		name  string
		late  time.Duration
		proto transport.Proto
		isTC  bool
	}{
		{"long.example.com.", 100 * time.Millisecond, transport.UDP, false},
		{"long.example.com.", 700 * time.Millisecond, transport.UDP, true},
		{"long.example.com.", 700 * time.Millisecond, transport.TCP, false},
		{"short.example.com.", 700 * time.Millisecond, transport.UDP, false},
	} {
		inWorld(t, Config{}, "", func(t *testing.T, w *world) {
			slow(w, c.late)
			typ := dns.TypeTXT
			if c.name == "short.example.com." {
				typ = dns.TypeA
			}
			w.proto = c.proto
			m := w.ask(query(c.name, typ, 1232, false))
			if m.Flags.Has(dns.FlagTC) != c.isTC || len(m.Answer) == 0 != c.isTC {
				t.Errorf("%s after %v by %v: %s", c.name, c.late, c.proto, text(m))
			}
			if m = w.ask(query(c.name, typ, 1232, false)); len(m.Answer) == 0 {
				t.Errorf("%s once more: %s", c.name, text(m))
			}
		})
	}
}

// A network has a bounded number of queries that wait.
func TestWaitingIsBounded(t *testing.T) {
	inWorld(t, Config{Limit: ClientLimits{Waiting: 3}}, "", func(t *testing.T, w *world) {
		slow(w, time.Second)
		w.client = mustAddrPort("10.0.0.1")
		var waits []func() []byte
		for i := range 4 {
			waits = append(waits, w.start(pack(t, query(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, 1232, false))))
		}
		w.client = mustAddrPort("10.0.0.2")
		other := w.start(pack(t, query("short.example.com.", dns.TypeA, 1232, false)))
		if m := w.parse(waits[3]()); !strings.Contains(text(m), edeCrowded.Text) {
			t.Errorf("the fourth of three: %s", text(m))
		}
		for _, wait := range waits[:3] {
			if m := w.parse(wait()); m.RCode != dns.RCodeNXDomain {
				t.Errorf("one of three: %s", text(m))
			}
		}
		if m := w.parse(other()); len(m.Answer) != 1 {
			t.Errorf("somebody else: %s", text(m))
		}
		w.client = mustAddrPort("10.0.0.1")
		if m := w.ask(query("n5.example.com.", dns.TypeA, 1232, false)); m.RCode != dns.RCodeNXDomain {
			t.Errorf("when none waits any more: %s", text(m))
		}
	})
}
