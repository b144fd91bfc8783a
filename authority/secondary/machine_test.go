package secondary

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// drive is a machine in a test: its clock, and what it has asked for.
type drive struct {
	t       *testing.T
	c       *machine
	now     time.Time
	pending []action
	told    []task // of withdrawing
}

func newDrive(t *testing.T, b bounds) *drive {
	return &drive{t: t, c: newMachine(b, func(int64) int64 { return 0 }), now: time.Unix(1_000_000_000, 0)}
}

var wide = bounds{all: [2]int{64, 10}, each: [2]int{16, 4}}

func to(n int) Primary {
	return Primary{Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:53", n))}
}

// standard are the timers of the zones of these tests.
var standard = times{time.Hour, 10 * time.Minute, 24 * time.Hour}

// step has what is due begun.
func (d *drive) step() time.Time {
	out, wake := d.c.step(d.now)
	for _, a := range out {
		if a.task == taskWithdraw || a.task == taskResume {
			d.told = append(d.told, a.task)
			continue
		}
		d.pending = append(d.pending, a)
	}
	return wake
}

// pass lets time pass.
func (d *drive) pass(by time.Duration) {
	for until := d.now.Add(by); ; {
		wake := d.step()
		if wake.IsZero() || wake.After(until) {
			d.now = until
			d.step()
			return
		}
		if wake.After(d.now) {
			d.now = wake
		}
		if len(d.pending) > 0 {
			d.now = until
			d.step()
			return
		}
	}
}

// expect checks what is asked next, and answers it.
func (d *drive) expect(want task, primary int, r result) {
	d.t.Helper()
	d.step()
	if len(d.pending) == 0 {
		d.t.Fatalf("nothing is asked, expected task %d of primary %d", want, primary)
	}
	a := d.pending[0]
	d.pending = d.pending[1:]
	if a.task != want || a.primary != to(primary) {
		d.t.Fatalf("task %d is asked of %s, expected %d of %s", a.task, a.primary.Addr, want, to(primary).Addr)
	}
	d.c.done(a, r, d.now)
	d.step()
}

func (d *drive) expectNothing() {
	d.t.Helper()
	d.step()
	for _, a := range d.pending {
		d.t.Fatalf("task %d is asked of %s, expected nothing", a.task, a.primary.Addr)
	}
}

var id = zone.IDOf("", origin)

// add adds the zone, fetched just now with serial number 1.
func (d *drive) add(primaries ...int) *member {
	d.t.Helper()
	cfg := ZoneConfig{ID: id}
	for _, n := range primaries {
		cfg.Primaries = append(cfg.Primaries, to(n))
	}
	d.c.add(cfg, &result{have: false, ours: 0, times: times{}}, d.now)
	d.expect(taskAXFR, primaries[0], fetched(1))
	return d.c.zones[id]
}

func fetched(serial uint32) result {
	return result{done: true, serial: serial, have: true, ours: serial, times: standard}
}

func at(serial uint32) result { return result{serial: serial} }

var (
	errTest = errors.New("it does not want to")
	fails   = result{err: errTest}
	isDown  = result{err: errTest, isDown: true}
)

func (d *drive) notify(n int, serial uint32) standing {
	return d.c.notified(id, to(n).Addr.Addr(), dns.Name{}, &serial, d.now)
}

// TestTimers: RFC 1034 §4.3.5: refresh, retry, expire, and back.
func TestTimers(t *testing.T) {
	d := newDrive(t, wide)
	d.add(1)
	d.pass(time.Hour - time.Second)
	d.expectNothing()
	d.pass(time.Second)
	d.expect(taskCheck, 1, at(1))
	d.pass(time.Hour)
	d.expect(taskCheck, 1, at(2))
	d.expect(taskIXFR, 1, fetched(2))
	d.pass(time.Hour)
	d.expect(taskCheck, 1, fails)
	for range 6*23 - 1 {
		d.pass(10 * time.Minute)
		d.expect(taskCheck, 1, fails)
	}
	if len(d.told) != 0 {
		t.Fatal("the zone has expired too early")
	}
	d.pass(10*time.Minute + time.Second)
	if len(d.told) != 1 || d.told[0] != taskWithdraw {
		t.Fatalf("told %v, expected the zone to be withdrawn", d.told)
	}
	d.expect(taskCheck, 1, at(2))
	if len(d.told) != 2 || d.told[1] != taskResume {
		t.Fatalf("told %v, expected the zone to be resumed", d.told)
	}
}

// TestBounds: timers are kept within bounds, whatever the SOA record says.
func TestBounds(t *testing.T) {
	d := newDrive(t, wide)
	cfg := ZoneConfig{ID: id, Primaries: []Primary{to(1)}, Timers: Timers{MinRefresh: time.Minute, MaxRefresh: time.Hour}}
	d.c.add(cfg, &result{have: false, ours: 0, times: times{}}, d.now)
	d.expect(taskAXFR, 1, result{done: true, serial: 1, have: true, ours: 1, times: times{0, 0, time.Hour * 24}})
	d.pass(59 * time.Second)
	d.expectNothing()
	d.pass(time.Second)
	d.expect(taskCheck, 1, result{serial: 2})
	d.expect(taskIXFR, 1, result{done: true, serial: 2, have: true, ours: 2, times: times{time.Hour * 9, 1, time.Hour * 24}})
	d.pass(time.Hour)
	d.expect(taskCheck, 1, at(2))
}

// TestNotify: what a NOTIFY brings about, whom it is believed from, and that it
// cannot be used to keep anybody busy.
func TestNotify(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1, 2)
	if got := d.c.notified(zone.IDOf("", dns.MustName("other.example.")), to(1).Addr.Addr(), dns.Name{}, nil, d.now); got != unknown {
		t.Errorf("a NOTIFY for another zone gives %d", got)
	}
	if got := d.notify(9, 2); got != refused {
		t.Errorf("a NOTIFY from a stranger gives %d", got)
	}
	if got := d.notify(2, 1); got != taken {
		t.Errorf("a NOTIFY of the version that is here gives %d", got)
	}
	d.expectNothing()
	d.notify(2, 2)
	d.notify(2, 2)
	d.notify(1, 2)
	d.expect(taskIXFR, 2, fetched(2)) // the one that has told is asked, and once
	d.expectNothing()

	d.notify(1, 3)
	d.step()
	d.notify(1, 4) // while the transfer of 3 is under way
	d.expect(taskIXFR, 1, fetched(3))
	d.expect(taskIXFR, 1, fetched(4))
	d.expectNothing()

	if d.c.notified(id, to(1).Addr.Addr(), dns.Name{}, nil, d.now) != taken { // without a hint
		t.Error("a NOTIFY without a SOA record is not taken")
	}
	d.expect(taskCheck, 1, at(4))
	d.expectNothing()

	asked := 0
	for range 10_000 { // a flood within one second
		d.notify(1, 5)
		d.step()
		for len(d.pending) > 0 {
			asked++
			d.expect(taskIXFR, 1, at(4)) // nothing is new
			d.expect(taskIXFR, 2, at(4))
		}
	}
	if asked > mostFruitless {
		t.Errorf("a flood of NOTIFYs leads to %d questions, expected %d at most", asked, mostFruitless)
	}
	for _, p := range d.c.peers {
		for _, q := range p.queues {
			if len(q[0])+len(q[1]) > 2 {
				t.Errorf("%d places are queued behind the flood", len(q[0])+len(q[1]))
			}
		}
	}
	d.pass(calm)
	d.expect(taskCheck, 1, at(5)) // a true one among them is not lost
	d.expect(taskIXFR, 1, fetched(5))
	if m.serial != 5 {
		t.Errorf("the zone has version %d, expected 5", m.serial)
	}
}

// TestNotifyIsNotForgotten: what was told of and could not be fetched is tried again
// soon, for it will not be told of twice; later as the SOA record says.
func TestNotifyIsNotForgotten(t *testing.T) {
	d := newDrive(t, wide)
	d.add(1)
	d.notify(1, 2)
	d.expect(taskIXFR, 1, fails)
	for _, wait := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		d.pass(wait - time.Second)
		d.expectNothing()
		d.pass(time.Second)
		d.expect(taskCheck, 1, fails)
	}
	d.pass(16 * time.Second)
	d.expect(taskCheck, 1, at(2))
	d.expect(taskIXFR, 1, fetched(2))
	d.pass(30 * time.Minute)
	d.expectNothing()
}

// TestNotifyToldOfElsewhere: the primary that has told has not got it; another has.
func TestNotifyToldOfElsewhere(t *testing.T) {
	d := newDrive(t, wide)
	d.add(1, 2)
	d.notify(1, 2)
	d.expect(taskIXFR, 1, at(1))
	d.expect(taskIXFR, 2, fetched(2))
}

// TestPrimaries: the next one on failure, an older one is skipped.
func TestPrimaries(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1, 2, 3)
	m.serial = 10
	d.pass(time.Hour)
	d.expect(taskCheck, 1, fails)
	d.expect(taskCheck, 2, at(9))
	d.expect(taskCheck, 3, at(11))
	d.expect(taskIXFR, 3, fetched(11))
	if m.tries != 0 || m.why != nil {
		t.Errorf("%d rounds have failed: %v", m.tries, m.why)
	}
	d.pass(time.Hour)
	d.expect(taskCheck, 1, at(12))
	d.expect(taskIXFR, 1, result{err: errTest, whole: true})
	d.expect(taskAXFR, 1, fails)
	d.expect(taskCheck, 2, at(9))
	d.expect(taskCheck, 3, at(9))
	d.expectNothing()
	if m.tries != 1 || m.why == nil {
		t.Errorf("%d rounds have failed: %v", m.tries, m.why)
	}
}

// TestFailureMemory: a primary that cannot be reached is left alone for a while,
// and zones that have no other wait for it together.
func TestFailureMemory(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1, 2)
	d.pass(time.Hour)
	d.expect(taskCheck, 1, isDown)
	d.expect(taskCheck, 2, at(2))
	d.expect(taskIXFR, 2, fetched(2))
	d.notify(1, 3) // it is 1 that tells, but it is down
	d.expect(taskIXFR, 2, fetched(3))
	if m.serial != 3 {
		t.Error("the version was not fetched")
	}
	// 50 zones that have but the one that is down.
	for i := range 50 {
		other := zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.example.", i)))
		d.c.add(ZoneConfig{ID: other, Primaries: []Primary{to(1)}}, &result{have: true, ours: 1, times: standard}, d.now)
	}
	d.expectNothing()
	d.pass(firstRest)
	if len(d.pending) != 1 {
		t.Fatalf("%d questions go to a primary that was down, expected one to see", len(d.pending))
	}
	d.expect(taskCheck, 1, isDown)
	d.pass(firstRest)
	d.expectNothing() // the second rest is longer
	d.pass(firstRest)
	d.expect(taskCheck, 1, at(1))
	if n := len(d.pending); n != wide.each[classCheck] {
		t.Errorf("%d zones ask at once, expected %d", n, wide.each[classCheck])
	}
	for range 48 {
		d.expect(taskCheck, 1, at(1))
	}
	d.expectNothing()
}

// TestBackwards: the primary's serial number is older.
func TestBackwards(t *testing.T) {
	for _, policy := range []Backwards{Ignore, Accept} {
		d := newDrive(t, wide)
		m := d.add(1)
		m.serial, m.cfg.Backwards = 10, policy
		d.pass(time.Hour)
		d.expect(taskCheck, 1, at(5))
		if policy == Ignore {
			d.expectNothing()
			if m.why == nil || m.serial != 10 {
				t.Error("nobody is told of an older version at the primary")
			}
			continue
		}
		d.expect(taskAXFR, 1, fetched(5))
		if m.serial != 5 {
			t.Error("the older version was not taken")
		}
	}
}

// TestExpireOption: RFC 7314 §4.
func TestExpireOption(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1)
	left := func() time.Duration { return m.expires.Sub(d.now) }
	d.pass(time.Hour)
	d.expect(taskCheck, 1, result{serial: 1, hasExpire: true, expire: 2 * time.Hour})
	if left() != 23*time.Hour { // the larger of the option and what was left
		t.Errorf("expires in %s, expected 23 hours", left())
	}
	r := fetched(2)
	r.hasExpire, r.expire = true, 3*time.Hour
	d.notify(1, 2)
	d.expect(taskIXFR, 1, r)
	if left() != 3*time.Hour { // of a version that is new, the option counts
		t.Errorf("expires in %s, expected 3 hours", left())
	}
	r = fetched(3)
	r.hasExpire, r.expire = true, 999*time.Hour
	d.notify(1, 3)
	d.expect(taskIXFR, 1, r)
	if left() != 24*time.Hour { // never more than the SOA record has
		t.Errorf("expires in %s, expected 24 hours", left())
	}
}

// TestRefused: a version that the publish gate refuses is fetched once, not again
// with every retry.
func TestRefused(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1)
	d.notify(1, 2)
	d.expect(taskIXFR, 1, result{refused: true, err: errTest, serial: 2, have: true, ours: 1, times: standard})
	d.notify(1, 2)
	d.expectNothing()
	d.pass(10 * time.Minute)
	d.expect(taskCheck, 1, at(2))
	d.expectNothing()
	if m.why == nil {
		t.Error("the reason is forgotten")
	}
	d.pass(10 * time.Minute)
	d.expect(taskCheck, 1, at(3))
	d.expect(taskIXFR, 1, fetched(3))
	if m.why != nil {
		t.Errorf("behind a good version there is an error: %v", m.why)
	}
	d.notify(1, 4)
	d.expect(taskIXFR, 1, result{refused: true, err: errTest, serial: 4, have: true, ours: 3, times: standard})
	d.c.refresh(id, true, d.now)
	d.expect(taskAXFR, 1, fetched(4))
	d.notify(1, 5)
	d.expect(taskIXFR, 1, result{refused: true, err: errTest, serial: 5, have: true, ours: 4, times: standard})
	d.c.refresh(id, false, d.now) // as after the limits have been raised
	d.expect(taskCheck, 1, at(5))
	d.expect(taskIXFR, 1, fetched(5))
}

// TestRestart: what was fresh a minute ago is not asked for; many zones whose time
// has come are spread; what has expired is not served.
func TestRestart(t *testing.T) {
	d := newDrive(t, wide)
	m := d.add(1)
	saves := d.c.saves(10)
	if len(saves) != 1 || saves[0].Zone != id || len(saves[0].Data) > 40 {
		t.Fatalf("saved %v, expected a few octets of one zone", saves)
	}
	if again := d.c.saves(10); len(again) != 0 {
		t.Errorf("saved %d zones that have not changed", len(again))
	}
	cfg := ZoneConfig{ID: id, Primaries: m.cfg.Primaries, Saved: saves[0].Data}

	fresh := newDrive(t, wide)
	fresh.now = d.now.Add(time.Minute)
	fresh.c.add(cfg, &result{have: true, ours: 1, times: standard}, fresh.now)
	fresh.expectNothing()
	fresh.pass(time.Hour - time.Minute)
	fresh.expect(taskCheck, 1, at(1))

	late := newDrive(t, wide)
	late.now = d.now.Add(25 * time.Hour)
	late.c.add(cfg, &result{have: true, ours: 1, times: standard}, late.now)
	late.step()
	if len(late.told) != 1 || late.told[0] != taskWithdraw {
		t.Errorf("a zone that has expired while the server was down is served")
	}
	late.expect(taskCheck, 1, at(1))

	// 10,000 zones whose time has come: no storm.
	storm := newDrive(t, wide)
	state := uint64(1)
	storm.c.random = func(n int64) int64 {
		state = state*6364136223846793005 + 1442695040888963407
		return int64(state>>1) % n
	}
	for i := range 10_000 {
		other := zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.example.", i)))
		storm.c.add(ZoneConfig{ID: other, Primaries: cfg.Primaries, Saved: []byte{savedForm, 2, 0, 4, 0}}, &result{have: true, ours: 1, times: standard}, storm.now)
	}
	storm.step()
	if n := len(storm.pending); n > wide.each[classCheck] {
		t.Errorf("%d questions at once", n)
	}
	done := 0
	for storm.pass(time.Second); len(storm.pending) > 0 && storm.now.Before(d.now.Add(time.Second)); storm.step() {
		storm.expect(taskCheck, 1, at(1))
		done++
	}
	if done > 3000 {
		t.Errorf("%d zones were asked for within a second, expected them to be spread over ten", done)
	}
}

// FuzzSaved: what the store gives back may be anything.
func FuzzSaved(f *testing.F) {
	m := &member{checked: time.Unix(1, 0), expires: time.Unix(1<<40, 0), next: time.Unix(-5, 0), tries: 3}
	f.Add(m.save())
	f.Add([]byte{})
	f.Add([]byte{savedForm, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := readSaved(b)
		if !ok {
			return
		}
		again, ok := readSaved((&member{checked: s.checked, expires: s.expires, next: s.next, tries: s.tries}).save())
		if !ok || again != s {
			t.Errorf("%v is read as %v", s, again)
		}
	})
}

// TestRemoval: nothing more is asked for a zone that is gone, and what is under way
// counts no more.
func TestRemoval(t *testing.T) {
	d := newDrive(t, wide)
	d.add(1)
	d.notify(1, 2)
	d.step()
	d.c.remove(id)
	a := d.pending[0]
	d.pending = nil
	d.c.done(a, fetched(2), d.now)
	d.pass(48 * time.Hour)
	d.expectNothing()
	if len(d.c.peers) != 0 || d.c.counts != [2]int{} || len(d.told) != 0 || len(d.c.timers) != 0 {
		t.Errorf("something is left: %d peers, %v under way", len(d.c.peers), d.c.counts)
	}
}

// TestReconfigure: another list of primaries counts at once.
func TestReconfigure(t *testing.T) {
	d := newDrive(t, wide)
	d.add(1)
	d.notify(1, 2)
	d.step()
	d.c.add(ZoneConfig{ID: id, Primaries: []Primary{to(2)}}, &result{have: true, ours: 1, times: standard}, d.now)
	d.expect(taskIXFR, 1, fails)
	d.expect(taskIXFR, 2, fetched(2))
	d.c.add(ZoneConfig{ID: id, Primaries: []Primary{to(3), to(2)}}, &result{have: true, ours: 2, times: standard}, d.now)
	d.expect(taskCheck, 3, at(2))
	d.expectNothing()
}

// Where another server fetches the zone, it is looked at again a little later, when
// what that one has fetched is here.
func TestFetchedElsewhere(t *testing.T) {
	d := newDrive(t, wide)
	d.c.add(ZoneConfig{ID: id, Primaries: []Primary{to(1)}}, &result{have: false, ours: 0, times: times{}}, d.now)
	m := d.c.zones[id]
	d.expect(taskAXFR, 1, result{elsewhere: true})
	d.expectNothing()
	d.pass(calm)
	d.expect(taskAXFR, 1, result{elsewhere: true, have: true, ours: 5, times: standard})
	d.pass(calm)
	d.expect(taskCheck, 1, at(5))
	d.expectNothing()
	if m.serial != 5 || m.why != nil || m.tries != 0 {
		t.Errorf("serial %d, %d tries, %v", m.serial, m.tries, m.why)
	}
	d.notify(1, 6)
	d.expect(taskIXFR, 1, result{elsewhere: true, have: true, ours: 5, times: standard})
	d.pass(calm)
	r := at(6) // the other one is done
	r.have, r.ours, r.times = true, 6, standard
	d.expect(taskCheck, 1, r)
	d.expectNothing()
	if m.serial != 6 || m.next.Before(d.now.Add(calm)) {
		t.Errorf("serial %d, next look at %v", m.serial, m.next)
	}
}
