package secondary

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var tsigKey = dns.TSIGKey{Name: dns.MustName("transfer.key."), Algorithm: dns.HMACSHA256, Secret: []byte("sixteen octets and more of them")}

func keys(k ...dns.TSIGKey) *authority.Keys {
	out := new(authority.Keys)
	out.Set(k)
	return out
}

// rig is a secondary of one zone, and what it has reported.
type rig struct {
	*Secondary
	zones *memory
	mu    sync.Mutex
	saved map[zone.ID][]byte
	ended []Report
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	r := &rig{zones: newMemory(), saved: make(map[zone.ID][]byte)}
	o := Options{
		Zones: r.zones,
		Save: func(_ context.Context, batch []Saved) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, s := range batch {
				r.saved[s.Zone] = s.Data
			}
			return nil
		},
		Ended: func(report Report) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ended = append(r.ended, report)
		},
	}
	if change != nil {
		change(&o)
	}
	r.Secondary = New(o)
	return r
}

func (r *rig) reports() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Report(nil), r.ended...)
}

func (r *rig) current() *zone.Version { return r.zones.Zone(id).Current() }

// TestTransfer: the whole zone first, then differences, signed or not.
func TestTransfer(t *testing.T) {
	for _, signed := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed=%v", signed), func(t *testing.T) {
			k := keys(tsigKey)
			acl := authority.ACL{{}}
			to := Primary{Proto: transport.TCP}
			if signed {
				acl[0].Key, to.Key = tsigKey.Name, tsigKey.Name
			}
			v := build(t, 1, 3000)
			p := startPrimary(t, authority.Options{Keys: k, Transfers: authority.TransferOptions{Allow: acl}}, v)
			to.Addr = p.Addrs()[0]
			r := newRig(t, func(o *Options) { o.Keys = k })
			r.zones.add(id, nil)
			r.Add(ZoneConfig{ID: id, Primaries: []Primary{to}})
			run(t, r.Secondary)
			awaitSerial(t, r.Secondary, id, 1)
			same(t, v, r.current())
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 20 {
				v = p.change(t, func(e *zone.Editor) error { return scramble(e, random) })
				if r.Notified(authority.Notice{Zone: origin, From: to.Addr, Serial: v.Serial(), HasSerial: true}) != authority.NoticeTaken {
					t.Fatal("the NOTIFY was not taken")
				}
				awaitSerial(t, r.Secondary, id, uint32(i+2))
				same(t, v, r.current())
			}
			reports := r.reports()
			if len(reports) != 21 || reports[0].Kind != authority.Whole {
				t.Errorf("%d transfers, expected 21: %+v", len(reports), reports)
			}
			for _, report := range reports[1:] {
				if report.Kind != authority.Incremental || report.Err != nil {
					t.Errorf("a change came by %s (%v), expected a difference", report.Kind, report.Err)
				}
			}
			c := r.zones.seen[len(r.zones.seen)-1]
			if c.By.Door != zone.DoorTransfer || c.By.Name != "primary:"+to.Addr.String() || !c.KeepSerial || c.Base == 0 || c.Edit == nil {
				t.Errorf("the change is %+v", c)
			}
		})
	}
}

// scramble changes some names.
func scramble(e *zone.Editor, random *rand.Rand) error {
	for range 1 + random.IntN(8) {
		n := random.IntN(4000)
		name := dns.MustName(fmt.Sprintf("n%d.secondary.example.", n))
		if random.IntN(2) == 0 {
			e.RemoveName(name)
			continue
		}
		texts := []string{"%s %d IN A 192.0.2.%d", "%s %d IN TXT \"number %d\"", "%s %d IN MX %d mail.secondary.example."}
		if _, err := e.Add(record(texts[random.IntN(3)], name, 60+random.IntN(3), random.IntN(250))); err != nil {
			return err
		}
	}
	return nil
}

// TestSeveralVersionsAtOnce: the primary's difference spans many versions, or is
// not to be had any more.
func TestSeveralVersionsAtOnce(t *testing.T) {
	v := build(t, 1, 500)
	p := startPrimary(t, authority.Options{}, v)
	r := newRig(t, nil)
	r.zones.add(id, v)
	random := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		v = p.change(t, func(e *zone.Editor) error { return scramble(e, random) })
	}
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}})
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 11)
	same(t, v, r.current())
	p.zones[id].Keep(zone.NewHistory(zone.HistoryLimits{})) // the primary was started anew
	v = p.change(t, func(e *zone.Editor) error { return scramble(e, random) })
	p.zones[id].Keep(zone.NewHistory(zone.HistoryLimits{}))
	r.Refresh(id)
	awaitSerial(t, r.Secondary, id, 12)
	same(t, v, r.current())
	reports := r.reports()
	if len(reports) != 2 || reports[0].Kind != authority.Incremental || reports[1].Kind != authority.WholeInstead {
		t.Errorf("reported %+v, expected a difference and then the whole zone", reports)
	}
}

// TestOtherContent: who has another zone of the same version notices it, and
// fetches the whole.
func TestOtherContent(t *testing.T) {
	p := startPrimary(t, authority.Options{}, build(t, 1, 50))
	r := newRig(t, nil)
	r.zones.add(id, build(t, 1, 20))
	v := p.change(t, func(e *zone.Editor) error {
		e.RemoveName(dns.MustName("n40.secondary.example."))
		return nil
	})
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}})
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 2)
	same(t, v, r.current())
	if n := r.Stats().Fallbacks; n != 1 {
		t.Errorf("%d times the whole zone was asked for instead of a difference, expected once", n)
	}
}

// TestConflict: another door has changed the zone in the middle.
func TestConflict(t *testing.T) {
	v := build(t, 1, 50)
	p := startPrimary(t, authority.Options{}, v)
	r := newRig(t, nil)
	r.zones.add(id, v)
	v = p.change(t, func(e *zone.Editor) error { return nil })
	var once sync.Once
	r.options.Zones = conflicting{r.zones, &once}
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}})
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 2)
	same(t, v, r.current())
}

type conflicting struct {
	*memory
	once *sync.Once
}

func (c conflicting) Submit(ctx context.Context, changes ...zone.Change) (out []zone.Receipt, err error) {
	c.once.Do(func() { err = zone.ErrConflict })
	if err != nil {
		return nil, err
	}
	return c.memory.Submit(ctx, changes...)
}

// TestManyZones of one primary share its connections, and nothing is fetched twice
// behind a restart.
func TestManyZones(t *testing.T) {
	const n = 300
	var versions []*zone.Version
	for i := range n {
		name := dns.MustName(fmt.Sprintf("z%d.example.", i))
		b := zone.NewBuilder(name)
		for _, s := range []string{"%s 300 IN SOA ns.%[1]s h.%[1]s 1 3600 600 86400 300", "%s 300 IN NS ns.elsewhere.example."} {
			if err := b.Add(record(s, name)); err != nil {
				t.Fatal(err)
			}
		}
		v, _ := b.Build()
		versions = append(versions, v)
	}
	p := startPrimary(t, authority.Options{}, versions...)
	to := []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}
	r := newRig(t, nil)
	for _, v := range versions {
		r.zones.add(zone.IDOf("", v.Origin()), nil)
		r.Add(ZoneConfig{ID: zone.IDOf("", v.Origin()), Primaries: to})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for _, v := range versions {
		awaitSerial(t, r.Secondary, zone.IDOf("", v.Origin()), 1)
	}
	if opened := p.Stats().Conns.Accepted; opened > 20 {
		t.Errorf("%d connections for %d zones, expected them to be shared", opened, n)
	}
	cancel()
	<-done
	if len(r.saved) != n {
		t.Fatalf("the times of %d zones are saved, expected %d", len(r.saved), n)
	}
	again := newRig(t, nil)
	again.zones = r.zones
	again.options.Zones = r.zones
	for _, v := range versions {
		zid := zone.IDOf("", v.Origin())
		again.Add(ZoneConfig{ID: zid, Primaries: to, Saved: r.saved[zid]})
	}
	run(t, again.Secondary)
	again.Refresh(zone.IDOf("", versions[0].Origin()))
	await(t, again.Secondary, zone.IDOf("", versions[0].Origin()), "a check", func(State) bool { return again.Stats().Checks == 1 })
	if s := again.Stats(); s.Checks != 1 || s.Whole+s.Incremental != 0 {
		t.Errorf("behind a restart there were %d questions and %d transfers, expected the one that was asked for", s.Checks, s.Whole+s.Incremental)
	}
}

// TestExpiry: a zone that no primary confirms is withdrawn, and comes back.
func TestExpiry(t *testing.T) {
	p := startPrimary(t, authority.Options{Transfers: authority.TransferOptions{Allow: authority.ACL{{}}}}, build(t, 1, 5))
	dead := netip.MustParseAddrPort("127.0.0.1:1") // refused at once
	r := newRig(t, nil)
	z := r.zones.add(id, build(t, 1, 5))
	short := Timers{MaxRefresh: time.Second, MaxRetry: time.Second, MaxExpire: 1500 * time.Millisecond}
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: dead, Proto: transport.TCP}}, Timers: short})
	run(t, r.Secondary)
	await(t, r.Secondary, id, "expired", func(s State) bool { return s.Expired })
	await(t, r.Secondary, id, "withdrawn", func(State) bool { return z.Current() == nil })
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}, Timers: short})
	await(t, r.Secondary, id, "resumed", func(s State) bool { return !s.Expired && z.Current() != nil })
}

// TestStateSaysWhy: what went wrong is told with who it went wrong with.
func TestStateSaysWhy(t *testing.T) {
	p := startPrimary(t, authority.Options{Transfers: authority.TransferOptions{Allow: authority.ACL{}}}, build(t, 1, 5))
	for _, tc := range []struct {
		to   Primary
		want string
	}{
		{Primary{Addr: p.Addrs()[0], Proto: transport.TCP}, "REFUSED"},
		{Primary{Addr: p.Addrs()[0], Proto: transport.TCP, Key: tsigKey.Name}, "TSIG key transfer.key. is not known"},
		{Primary{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Proto: transport.TCP}, "connection refused"},
		{Primary{Addr: p.Addrs()[0], Proto: transport.TLS}, "whom to trust"},
		{Primary{Addr: p.Addrs()[0], Proto: transport.QUIC}, "no QUIC"},
	} {
		r := newRig(t, nil)
		r.zones.add(id, nil)
		r.Add(ZoneConfig{ID: id, Primaries: []Primary{tc.to}})
		run(t, r.Secondary)
		st := await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" })
		if !strings.Contains(st.Err, tc.want) || !strings.Contains(st.Err, tc.to.Addr.String()) {
			t.Errorf("the error is %q, expected the address and %q", st.Err, tc.want)
		}
	}
}
