package delegation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

const delegated = `child NS ns1.child
child NS ns2.child
ns1.child A 192.0.2.1
ns2.child A 192.0.2.2
`

// serveChild has both of the delegation's servers serve c.
func (h *house) serveChild(c *child) {
	h.net.set("192.0.2.1", c.serveOn)
	h.net.set("192.0.2.2", c.serveOn)
}

func dsLine(c *child, k *dnssec.Key) string {
	return fmt.Sprintf("child DS %s\n", c.dsText(k)[0])
}

// TestLook: from questions to the zone: a rollover, and what stands in the history.
func TestLook(t *testing.T) {
	c, old, next := rolled(t)
	h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, nil)
	h.serveChild(c)
	r := h.look("Child.TLD.")
	if r.DS.Verdict != Changed || r.Receipt == nil || len(r.Servers) != 2 || r.CSYNC.Looked {
		t.Fatalf("%+v", r)
	}
	if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" {
		t.Error(diff)
	}
	by := h.changes[0].By
	if by.Door != zone.DoorDelegation || by.Name != "child:child.tld." || !strings.Contains(by.Comment, fmt.Sprint("key ", next.Tag())) {
		t.Errorf("%+v", by)
	}
	if r := h.look("child.tld."); r.DS.Verdict != Unchanged || len(h.changes) != 1 {
		t.Errorf("again: %+v", r.DS)
	}
	if s := h.desk.State(h.id, dns.MustName("child.tld.")); s.Last == nil || s.Last.DS.Verdict != Unchanged {
		t.Errorf("state: %+v", s)
	}
}

// TestLookSilentServer: who cannot be asked may say something else.
func TestLookSilentServer(t *testing.T) {
	c, old, _ := rolled(t)
	h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, nil)
	h.net.set("192.0.2.1", c.serveOn)
	r := h.look("child.tld.")
	if r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "ns2.child.tld. (192.0.2.2): connecting") || len(h.changes) > 0 {
		t.Errorf("%+v", r.DS)
	}
}

// TestPlayedBack: what was taken is remembered over a restart, so that nothing older is
// taken although its signature has not expired.
func TestPlayedBack(t *testing.T) {
	c, old, next := rolled(t)
	h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, nil)
	h.serveChild(c)
	older := c.clone()
	older.incept = 2 * time.Hour
	c.publish(old, next)
	older.publish(next)
	if r := h.look("child.tld."); r.DS.Verdict != Changed {
		t.Fatalf("%+v", r.DS)
	}
	h.serveChild(older)
	for range 2 {
		if r := h.look("child.tld."); r.DS.Verdict != Refused || !strings.Contains(r.DS.Why, "older") {
			t.Errorf("%+v", r.DS)
		}
		h.desk.saveAll(t.Context())
		h.desk = New(h.desk.o)
		if err := h.desk.Set(t.Context(), Parent{ID: h.id, Policy: Policy{DS: true}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMovedMeanwhile: a delegation that is another one when the change is made stays.
func TestMovedMeanwhile(t *testing.T) {
	c, old, _ := rolled(t)
	var h *house
	h = newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, func(o *Options) {
		submit := o.Submit
		o.Submit = func(ctx context.Context, list ...zone.Change) ([]zone.Receipt, error) {
			if _, err := h.zone.Update(func(e *zone.Editor) error {
				_, err := e.Add(dns.MustRecord("child.tld. 3600 IN NS ns3.example."))
				return err
			}); err != nil {
				t.Error(err)
			}
			return submit(ctx, list...)
		}
	})
	h.serveChild(c)
	r := h.look("child.tld.")
	if r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, zone.ErrConflict.Error()) {
		t.Errorf("%+v", r.DS)
	}
	if diff := cmp.Diff(c.dsText(old), h.has("child.tld.", dns.TypeDS)); diff != "" {
		t.Error(diff)
	}
}

// TestRegistry: a registry gets the order, and the zone is left alone.
func TestRegistry(t *testing.T) {
	c, old, next := rolled(t)
	h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, nil)
	var got Order
	err := h.desk.Set(t.Context(), Parent{ID: h.id, Policy: Policy{DS: true}, Keep: func(_ context.Context, o Order) (zone.Receipt, error) {
		got = o
		return zone.Receipt{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.serveChild(c)
	if r := h.look("child.tld."); r.DS.Verdict != Changed {
		t.Fatalf("%+v", r.DS)
	}
	if len(got.Add) != 1 || len(got.Remove) != 1 || string(got.Add[0].Data) != string(c.ds(next, dnssec.DigestSHA256).RData()) || len(h.changes) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestAddresses: servers outside of the zone are found by the resolver, and addresses that
// must not be asked are not.
func TestAddresses(t *testing.T) {
	c, old, next := rolled(t)
	zoneText := "child NS ns.example.\n" + dsLine(c, old)
	resolve := func(answers ...string) func(*Options) {
		return func(o *Options) {
			o.Resolve = func(_ context.Context, q dns.Question) (*dns.Message, error) {
				m := &dns.Message{}
				for _, a := range answers {
					if r := dns.MustRecord(a); r.Type == q.Type {
						m.Answer = append(m.Answer, r)
					}
				}
				return m, nil
			}
		}
	}
	h := newHouse(t, zoneText, Policy{DS: true}, resolve("ns.example. 1 IN A 192.0.2.7", "ns.example. 1 IN AAAA 2001:db8::7"))
	h.net.set("192.0.2.7", c.serveOn)
	if r := h.look("child.tld."); r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "2001:db8::7") {
		t.Errorf("one of two addresses answers: %+v", r.DS)
	}
	h.net.set("2001:db8::7", c.serveOn)
	if r := h.look("child.tld."); r.DS.Verdict != Changed || len(r.Servers) != 2 {
		t.Errorf("both answer: %+v", r)
	}
	if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255"} {
		h := newHouse(t, zoneText, Policy{DS: true}, resolve("ns.example. 1 IN A 192.0.2.7", "ns.example. 1 IN A "+bad))
		if r := h.look("child.tld."); r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "not one to be asked") || h.net.dialled > 0 {
			t.Errorf("%s: %+v, %d connections", bad, r.DS, h.net.dialled)
		}
	}
	h = newHouse(t, zoneText, Policy{DS: true}, resolve())
	if r := h.look("child.tld."); r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "no address") {
		t.Errorf("no address: %+v", r.DS)
	}
}

// TestBootstrap: the ways to a first DS.
func TestBootstrap(t *testing.T) {
	c := newChild(t, "child.tld.")
	outside := "child NS ns1.provider.example.\nchild NS ns2.provider.example.\n"
	signals := func(change func(map[string]Proven)) func(*Options) {
		return func(o *Options) {
			o.Resolve = func(_ context.Context, q dns.Question) (*dns.Message, error) {
				if q.Type != dns.TypeA {
					return &dns.Message{}, nil
				}
				a := map[string]string{"ns1": "192.0.2.1", "ns2": "192.0.2.2"}[q.Name.FirstLabel()]
				return &dns.Message{Answer: []dns.Record{dns.MustRecord(q.Name.String() + " 1 IN A " + a)}}, nil
			}
			table := make(map[string]Proven)
			for _, ns := range []string{"ns1", "ns2"} {
				for _, typ := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY} {
					name := "_dsboot.child.tld._signal." + ns + ".provider.example."
					p := Proven{Secure: true}
					for _, data := range c.sets[c.at(typ)] {
						p.Answer = append(p.Answer, dns.Record{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN, TTL: 1, Data: data})
					}
					table[name+" "+typ.String()] = p
				}
			}
			if change != nil {
				change(table)
			}
			o.Validate = func(_ context.Context, name dns.Name, typ dns.Type) (Proven, error) {
				p, ok := table[name.String()+" "+typ.String()]
				if !ok {
					return p, errors.New("SERVFAIL")
				}
				return p, nil
			}
		}
	}
	signalled := Policy{DS: true, Bootstrap: Bootstrap{Authenticated: true}}
	const one = "_dsboot.child.tld._signal.ns2.provider.example. CDS"
	for _, x := range []struct {
		name   string
		zone   string
		policy Policy
		change func(*Options)
		want   Verdict
		why    string
	}{
		{"no way", delegated, Policy{DS: true}, nil, Refused, "no way to a first DS"},
		{"own servers", delegated, Policy{DS: true, Bootstrap: Bootstrap{Own: names("NS1.child.tld.", "ns2.child.tld.", "x.")}}, nil, Changed, "this operator's"},
		{"own servers below a name", delegated, Policy{DS: true, Bootstrap: Bootstrap{Own: names("CHILD.tld.")}}, nil, Changed, "this operator's"},
		{"servers beside own ones", delegated, Policy{DS: true, Bootstrap: Bootstrap{Own: names("ld.", "s1.child.tld.", "a.ns1.child.tld.", "a.ns2.child.tld.")}}, nil, Refused, "no way"},
		{"one server of another's", delegated, Policy{DS: true, Bootstrap: Bootstrap{Own: names("ns1.child.tld.")}}, nil, Refused, "no way"},
		{"signals", outside, signalled, signals(nil), Changed, "signals of 2 name servers"},
		{"signals for servers within", delegated, signalled, signals(nil), Refused, "lie within the child"},
		{"one signal is not secure", outside, signalled, signals(func(m map[string]Proven) { m[one] = Proven{Why: "no DS"} }), Refused, "not secure: no DS"},
		{"one signal is missing", outside, signalled, signals(func(m map[string]Proven) { m[one] = Proven{Secure: true} }), Refused, "has no CDS"},
		{"one signal cannot be had", outside, signalled, signals(func(m map[string]Proven) { delete(m, one) }), Waits, "SERVFAIL"},
		{"one signal is another", outside, signalled, signals(func(m map[string]Proven) {
			p := m[one]
			p.Answer = []dns.Record{dns.MustRecord(strings.TrimSuffix(one, " CDS") + " 1 IN CDS 1 13 2 " + strings.Repeat("00", 32))}
			m[one] = p
		}), Waits, "not what the child itself publishes"},
		{"delay", delegated, Policy{DS: true, Bootstrap: Bootstrap{Delay: 72 * time.Hour}}, nil, Waits, "taken at 2026-03-04T12:00:00Z"},
	} {
		h := newHouse(t, x.zone, x.policy, x.change)
		h.serveChild(c)
		r := h.look("child.tld.")
		if r.DS.Verdict != x.want || !strings.Contains(r.DS.Why, x.why) {
			t.Errorf("%s: %s, since %q; expected %s, since %q", x.name, r.DS.Verdict, r.DS.Why, x.want, x.why)
		}
		if has := len(h.has("child.tld.", dns.TypeDS)) > 0; has != (x.want == Changed) {
			t.Errorf("%s: DS is there: %v", x.name, has)
		}
	}
}

func names(list ...string) (out []dns.Name) {
	for _, n := range list {
		out = append(out, dns.MustName(n))
	}
	return out
}

// TestSignalNameTooLong: such a child has no signals, and no more.
func TestSignalNameTooLong(t *testing.T) {
	long := dns.MustName(strings.Repeat(strings.Repeat("a", 60)+".", 3))
	if _, err := signalName(long, dns.MustName(strings.Repeat("b", 60)+".example.")); err == nil {
		t.Error("a name of more than 255 octets")
	}
}

// inTime runs the Desk of h in a bubble with its clock, until f returns.
func inTime(t *testing.T, f func(t *testing.T, clock func() time.Time)) {
	synctest.Test(t, func(t *testing.T) {
		offset := time.Until(now)
		f(t, func() time.Time { return time.Now().Add(offset) })
	})
}

// start runs the Desk until the returned function is called.
func (h *house) start(t *testing.T) func() {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.desk.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// TestNotifyToChange: a NOTIFY is enough, and what follows takes no time of its own.
func TestNotifyToChange(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c, old, next := rolled(t)
		h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, func(o *Options) { o.Clock = clock })
		h.serveChild(c)
		defer h.start(t)()
		synctest.Wait()
		began := time.Now()
		if a := h.desk.Notified("", dns.MustName("CHILD.tld."), dns.TypeCDS, netip.MustParseAddr("198.51.100.1")); a != Taken {
			t.Fatalf("answered %d", a)
		}
		synctest.Wait()
		if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" || time.Since(began) > 0 {
			t.Errorf("after %v: %s", time.Since(began), diff)
		}
	})
}

// TestDelay: a first DS comes when all servers have said the same for as long as the policy
// says: over a restart, with a server that was down for a while, and from the beginning
// again where the child has changed its mind.
func TestDelay(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c := newChild(t, "child.tld.")
		policy := Policy{DS: true, Bootstrap: Bootstrap{Delay: 72 * time.Hour}}
		h := newHouse(t, delegated, policy, func(o *Options) { o.Clock = clock })
		h.serveChild(c)
		stop := h.start(t)
		h.desk.Notified("", c.name, dns.TypeCDS, netip.MustParseAddr("198.51.100.1"))
		time.Sleep(24 * time.Hour)
		second := newKey(t, dnssec.ECDSAP256SHA256, 257)
		c = c.clone()
		c.ksk = append(c.ksk, second)
		c.publish(c.ksk...)
		h.serveChild(c)
		time.Sleep(24 * time.Hour)
		stop()
		if s := h.desk.State(h.id, c.name); s.Since.IsZero() || s.Pending == "" {
			t.Fatalf("%+v", s)
		}
		h.desk = New(h.desk.o)
		if err := h.desk.Set(t.Context(), Parent{ID: h.id, Policy: policy}); err != nil {
			t.Fatal(err)
		}
		defer h.start(t)()
		h.net.set("192.0.2.2", nil)
		time.Sleep(10 * time.Hour)
		h.serveChild(c)
		time.Sleep(30 * time.Hour) // 64 hours since the new set
		synctest.Wait()
		if got := h.has("child.tld.", dns.TypeDS); len(got) > 0 {
			t.Fatalf("too early: %v", got)
		}
		time.Sleep(20 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff(c.dsText(c.ksk...), h.has("child.tld.", dns.TypeDS)); diff != "" {
			t.Errorf("%s\n%+v", diff, h.desk.State(h.id, c.name))
		}
	})
}

// TestRetry: secondaries of the child that are some seconds behind delay it by no more.
func TestRetry(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c, old, next := rolled(t)
		behind := c.clone()
		behind.publish(old)
		h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, func(o *Options) { o.Clock = clock })
		h.serveChild(c)
		h.net.set("192.0.2.2", behind.serveOn)
		defer h.start(t)()
		h.desk.Notified("", c.name, dns.TypeCDS, netip.MustParseAddr("198.51.100.1"))
		time.Sleep(time.Second)
		if s := h.desk.State(h.id, c.name); s.Last == nil || s.Last.DS.Verdict != Waits || s.Pending != "waits" {
			t.Errorf("%+v", s)
		}
		h.serveChild(c)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestFloodForOneChild: thousands of NOTIFYs for one child are a look in MinInterval, and
// those for what is not delegated are none.
func TestFloodForOneChild(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c := newChild(t, "child.tld.")
		h := newHouse(t, delegated+dsLine(c, c.ksk[0]), Policy{DS: true, CSYNC: true}, func(o *Options) { o.Clock = clock })
		h.serveChild(c)
		defer h.start(t)()
		for i := range 20_000 {
			from := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
			if a := h.desk.Notified("", c.name, dns.TypeCDS, from); a != Taken {
				t.Fatalf("answered %d", a)
			}
			if a := h.desk.Notified("", dns.MustName(fmt.Sprintf("x%d.tld.", i)), dns.TypeCDS, from); a != NotOurs {
				t.Fatalf("for a name that is not delegated: answered %d", a)
			}
			if a := h.desk.Notified("", dns.MustName(fmt.Sprintf("x%d.child.tld.", i)), dns.TypeCDS, from); a != NotOurs {
				t.Fatalf("for a name below a delegation: answered %d", a)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := h.desk.Counts().Looks; n < 4 || n > 6 {
			t.Errorf("%d looks in 20 s, expected one in 5 s", n)
		}
		if s := h.desk.Pending(10); len(s) > 0 || len(h.desk.schedule.tasks) > 0 {
			t.Errorf("still pending: %+v", s)
		}
	})
}

// TestSlowServers: a server that sends an octet now and then costs one look's time, and
// others are looked at meanwhile.
func TestSlowServers(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c, old, next := rolled(t)
		text := delegated + dsLine(c, old)
		for i := range 200 {
			text += fmt.Sprintf("slow%d NS ns.slow%d\nslow%d DS 1 13 2 %s\nns.slow%d A 198.51.100.%d\n", i, i, i, strings.Repeat("00", 32), i, i)
		}
		h := newHouse(t, text, Policy{DS: true, Scan: 10 * time.Second}, func(o *Options) { o.Clock, o.Parallel = clock, 8 })
		h.serveChild(c)
		for i := range 200 {
			h.net.set(fmt.Sprintf("198.51.100.%d", i), func(conn net.Conn) {
				defer conn.Close()
				go func() {
					for {
						if _, _, err := readQuery(conn); err != nil {
							return
						}
					}
				}()
				for {
					if _, err := conn.Write([]byte{0xFF}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		stop := h.start(t)
		defer func() { stop(); time.Sleep(2 * time.Second) }()
		time.Sleep(15 * time.Second) // the scan has come by slow ones
		began := time.Now()
		h.desk.Notified("", c.name, dns.TypeCDS, netip.MustParseAddr("203.0.113.1"))
		for len(h.changes) == 0 && time.Since(began) < 20*time.Second {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the DS came after %v", took)
		}
		if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" {
			t.Error(diff)
		}
		if s := h.desk.State(h.id, dns.MustName("slow0.tld.")); s.Last == nil || s.Last.Took > 11*time.Second || !strings.Contains(s.Last.DS.Why, "in time") {
			t.Errorf("a slow one: %+v", s.Last)
		}
	})
}

// TestPolicyChanges: another policy counts from the next message on, what was taken is still
// known; and a parent that is gone knows no children.
func TestPolicyChanges(t *testing.T) {
	c, old, _ := rolled(t)
	h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, nil)
	h.serveChild(c)
	if r := h.look("child.tld."); r.DS.Verdict != Changed {
		t.Fatalf("%+v", r.DS)
	}
	from := netip.MustParseAddr("198.51.100.1")
	if a := h.desk.Notified("", c.name, dns.TypeCSYNC, from); a != Rejected {
		t.Errorf("NOTIFY(CSYNC) is answered %d", a)
	}
	if err := h.desk.Set(t.Context(), Parent{ID: h.id, Policy: Policy{DS: true, CSYNC: true}}); err != nil {
		t.Fatal(err)
	}
	if a := h.desk.Notified("", c.name, dns.TypeCSYNC, from); a != Taken {
		t.Errorf("NOTIFY(CSYNC) is answered %d", a)
	}
	older := c.clone()
	older.incept = 2 * time.Hour
	older.publish(old, c.ksk[1])
	h.serveChild(older)
	if r := h.look("child.tld."); r.DS.Verdict != Refused || !strings.Contains(r.DS.Why, "older") {
		t.Errorf("%+v", r.DS)
	}
	h.desk.Remove(h.id)
	if a := h.desk.Notified("", c.name, dns.TypeCDS, from); a != NotOurs {
		t.Errorf("NOTIFY(CDS) is answered %d", a)
	}
	if _, err := h.desk.Look(t.Context(), h.id, c.name, false); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if s := h.desk.Pending(10); len(s) > 0 {
		t.Errorf("pending: %+v", s)
	}
}
