package transport

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// second0 is when these tests begin.
const second0 = 1_000_000

func newTestSources() *askers {
	var t askers
	t.init(0x9E3779B1)
	return &t
}

func TestSourcesThatAskAgainStayThroughForgedOnes(t *testing.T) {
	s := newTestSources()
	for sec := range uint32(5) {
		for k := range uint32(100) {
			s.note(1000+k, second0+sec)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 * nSources {
		s.note(rng.Uint32()|1<<31, second0+5)
	}
	list := s.list(nil, second0+6)
	known := 0
	for _, c := range list {
		if c.key >= 1000 && c.key < 1100 {
			known++
		}
	}
	if known != 100 {
		t.Errorf("%d of 100 regular sources were kept through a flood of forged ones", known)
	}
	if forged := len(list) - known; forged > 5 {
		t.Errorf("%d sources that were seen in one second only became candidates", forged)
	}
}

func TestSourcesFadeInSilence(t *testing.T) {
	s := newTestSources()
	for sec := range uint32(8) {
		s.note(7, second0+sec)
	}
	if len(s.list(nil, second0+8)) != 1 {
		t.Fatal("a source that was seen in eight seconds is no candidate")
	}
	if n := len(s.list(nil, second0+8+4*fading)); n != 0 {
		t.Errorf("it still is after %d seconds of silence", 4*fading)
	}
	// A clock that goes back makes nobody older or immortal.
	s.note(7, second0-100)
	if st := s.find(7).standing(second0 - 100); st > maxSeconds {
		t.Errorf("the standing is %d after the clock went back", st)
	}
}

func TestProvenSourcesStandHighest(t *testing.T) {
	s := newTestSources()
	for sec := range uint32(2000) {
		s.note(7, second0+sec)
	}
	s.prove(8, second0+1999)
	list := s.list(nil, second0+2000)
	slices.SortFunc(list, func(a, b candidate) int { return int(b.standing) - int(a.standing) })
	if len(list) != 2 || list[0].key != 8 {
		t.Errorf("the candidates are %v; expected 8, which showed a cookie, before 7", list)
	}
}

func TestGuestListFindsItsKeysOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	keys := make([]uint32, maxGuests)
	in := make(map[uint32]bool)
	for i := range keys {
		keys[i] = rng.Uint32() | 1
		in[keys[i]] = true
	}
	g := newGuestList(keys, rng.Uint32())
	for _, k := range keys {
		if g.find(k) < 0 {
			t.Fatalf("%#x is not found", k)
		}
	}
	for range 100_000 {
		if k := rng.Uint32(); (g.find(k) >= 0) != in[k] {
			t.Fatalf("%#x: found %v, expected %v", k, g.find(k) >= 0, in[k])
		}
	}
	if newGuestList(nil, 1).find(0) >= 0 {
		t.Error("an empty list knows the source 0")
	}
}

// flooded is a socket and its loop under a steady load: a buffer, what the loop can do, who sends how much.
type flooded struct {
	p                    pressure
	can, buffer          float64 // packets a second, packets
	known, cookie, other float64 // packets a second
	queue                float64
}

// tenth plays a tenth of a second and returns the part of the known sources' packets that the loop took.
func (f *flooded) tenth() float64 {
	const span = 0.1
	c, o := 1.0, 1.0
	if f.p.on {
		c, o = f.p.cookie, f.p.other
	}
	known, cookie, other := f.known*span, f.cookie*c*span, f.other*o*span
	in := known + cookie + other
	taken := min(in+f.queue, f.can*span)
	left := in + f.queue - taken
	lostFull := max(left-f.buffer, 0)
	f.queue = left - lostFull
	turnedAway := (f.known+f.cookie+f.other)*span - in
	l := load{lost: uint64(lostFull + turnedAway), fill: f.queue / f.buffer, elapsed: time.Second / 10}
	if kinds := [nKinds]float64{known, cookie, other}; f.p.on {
		for i, n := range kinds {
			l.census[i] = uint64(n / in * taken)
		}
	} else {
		l.census[kindOther] = uint64(taken)
	}
	f.p.step(l)
	return 1 - lostFull/in
}

func TestPressureKeepsRoomForTheKnown(t *testing.T) {
	for _, test := range []struct {
		name                 string
		known, cookie, other float64
		best                 float64 // answered strangers a second that would be possible
	}{
		{"three times too much", 5_000, 0, 295_000, 95_000},
		{"thirty times too much", 5_000, 0, 2_995_000, 95_000},
		{"half of it known", 50_000, 0, 250_000, 50_000},
		{"cookies that fit", 5_000, 20_000, 280_000, 75_000},
		{"more cookies than fit", 5_000, 200_000, 100_000, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := flooded{can: 100_000, buffer: 1300, known: test.known, cookie: test.cookie, other: test.other}
			got, strangers := 0.0, 0.0
			for i := range 300 {
				share := f.tenth()
				if i >= 2 {
					got += share / 298
					strangers += f.p.other * f.other / 298
				}
			}
			if got < 0.97 {
				t.Errorf("known sources kept %.1f %% of their answers", 100*got)
			}
			if strangers < 0.7*test.best {
				t.Errorf("strangers were given %.0f answers a second, where there was room for %.0f", strangers, test.best)
			}
			f.cookie, f.other = 0, 0
			for range 50 {
				f.tenth()
			}
			if f.p.on {
				t.Error("the pressure outlives the flood by more than 5 s")
			}
		})
	}
}

func TestPressureLeavesBurstsAlone(t *testing.T) {
	var p pressure
	p.step(load{census: census{kindOther: 10_000}, fill: 0.9, elapsed: time.Second / 10})
	p.step(load{census: census{kindOther: 10_000}, lost: 100, fill: 0.1, elapsed: time.Second / 10})
	if p.on {
		t.Error("a buffer that was full for a moment and one packet lost of a hundred are no flood")
	}
}

func TestFairLevel(t *testing.T) {
	for _, test := range []struct {
		rates []float64
		room  float64
		want  float64
	}{
		{nil, 10, math.Inf(1)},
		{[]float64{1, 2, 3}, 10, math.Inf(1)},
		{[]float64{1, 1, 100}, 10, 8},
		{[]float64{1, 20, 100}, 11, 5},
		{[]float64{10, 10}, 10, 5},
	} {
		if got := fairLevel(test.rates, test.room); got != test.want {
			t.Errorf("fairLevel(%v, %v) = %v, expected %v", test.rates, test.room, got, test.want)
		}
	}
}

// fakeDoor is a socket that counts what it would be told.
type fakeDoor struct {
	fill   float64
	drops  uint32
	ranked []uint32
	open   bool
	err    error
}

func (d *fakeDoor) setFilter(ranked []uint32, k addrKey, cookie, other uint32) (int, error) {
	d.ranked, d.open = slices.Clone(ranked), false
	return len(ranked), d.err
}
func (d *fakeDoor) clearFilter()                   { d.open = true }
func (d *fakeDoor) level() (float64, uint32, bool) { return d.fill, d.drops, true }

// playing is a control whose loop answers at once, on a clock of its own.
type playing struct {
	*triageControl
	door *fakeDoor
	t    *triage
	now  time.Time
}

func newPlaying(t *testing.T, err error) *playing {
	p := &playing{door: &fakeDoor{open: true, err: err}, t: newTriage(nil, 12345), now: time.Unix(second0, 0)}
	p.triageControl = newTriageControl(p.t, p.door, addrKey{1, 1}, newLogLimit(slog.New(slog.DiscardHandler), func() time.Time { return p.now }))
	return p
}

// tenth has the loop take n packets of each key and of `other` strangers, and the kernel drop lost.
func (p *playing) tenth(n map[uint32]int, other int, lost uint32, fill float64) {
	p.now = p.now.Add(time.Second / 10)
	g := p.t.guest.Load()
	msg := make([]byte, headerLen)
	for k, n := range n {
		for range n {
			if g != nil {
				p.t.pressed(g, k, msg, netip.AddrPort{}, p.now.UnixNano())
				continue
			}
			p.t.calmly(k, msg, netip.AddrPort{}, p.now.UnixNano())
			p.t.took[kindOther]++
		}
	}
	p.t.took[kindOther] += uint64(other)
	p.door.drops += lost
	p.door.fill = fill
	for i := range p.t.took {
		p.t.public[i].Store(p.t.took[i])
	}
	done := make(chan bool)
	go func() { // the loop
		for {
			select {
			case <-done:
				return
			default:
				if p.t.wanted.CompareAndSwap(true, false) {
					p.t.candidates <- p.t.sources.list(p.t.spare[:0], second(p.now.UnixNano()))
				}
			}
		}
	}()
	p.look(p.now)
	done <- true
}

func TestControlShutsTheDoorAndOpensItAgain(t *testing.T) {
	p := newPlaying(t, nil)
	asking := map[uint32]int{101: 5, 102: 5, 103: 5}
	for range 30 {
		p.tenth(asking, 0, 0, 0)
	}
	if !p.door.open {
		t.Fatal("the door is shut without a flood")
	}
	for range 20 {
		p.tenth(asking, 5000, 20_000, 0.9)
	}
	slices.Sort(p.door.ranked)
	if p.door.open || !slices.Equal(p.door.ranked, []uint32{101, 102, 103}) {
		t.Fatalf("under a flood the door is open: %v, for %v; expected shut, but for 101, 102 and 103", p.door.open, p.door.ranked)
	}
	for range 100 {
		p.tenth(asking, 0, 0, 0)
	}
	if !p.door.open || p.t.guest.Load() != nil {
		t.Error("the door stays shut after the flood")
	}
}

func TestControlTakesTheStandingOfAKnownSourceThatFloods(t *testing.T) {
	p := newPlaying(t, nil)
	for range 30 {
		p.tenth(map[uint32]int{101: 5, 102: 5, 666: 5}, 0, 0, 0)
	}
	for range 30 {
		p.tenth(map[uint32]int{101: 5, 102: 5, 666: 5000}, 0, 20_000, 0.9)
	}
	slices.Sort(p.door.ranked)
	if !slices.Equal(p.door.ranked, []uint32{101, 102}) {
		t.Errorf("known are %v; expected 101 and 102 without 666, which floods", p.door.ranked)
	}
	for range 150 {
		p.tenth(map[uint32]int{101: 5, 102: 5, 666: 5}, 1000, 5000, 0)
	}
	if !slices.Contains(p.door.ranked, 666) {
		t.Error("666 does not get its standing back when it asks like others")
	}
}

func TestControlKnowsWhoFloodedBeforeItBegan(t *testing.T) {
	p := newPlaying(t, nil)
	for range 35 {
		p.tenth(map[uint32]int{101: 5, 102: 5, 666: 1000}, 0, 0, 0)
	}
	p.tenth(map[uint32]int{101: 5, 102: 5, 666: 1000}, 0, 20_000, 0.9)
	slices.Sort(p.door.ranked)
	if !slices.Equal(p.door.ranked, []uint32{101, 102}) {
		t.Errorf("known are %v from the start; expected 101 and 102 without 666, which floods", p.door.ranked)
	}
}

func TestLoopTurnsAwayWhereTheKernelCannot(t *testing.T) {
	p := newPlaying(t, errors.New("no filter here"))
	for range 30 {
		p.tenth(map[uint32]int{101: 5}, 0, 0, 0)
	}
	for range 5 {
		p.tenth(map[uint32]int{101: 5}, 5000, 50_000, 0.9)
	}
	g, msg, passed := p.t.guest.Load(), make([]byte, headerLen), 0
	for range 1000 {
		if !p.t.pressed(g, 101, msg, netip.AddrPort{}, p.now.UnixNano()) {
			t.Fatal("a known source is turned away")
		}
		if p.t.pressed(g, 7, msg, netip.AddrPort{}, p.now.UnixNano()) {
			passed++
		}
	}
	if passed > 500 {
		t.Errorf("%d of 1000 packets of strangers pass, at eleven times what can be done", passed)
	}
}

// cookied is a query for the root that ends in a cookie option.
func cookied(server byte) []byte {
	msg := append(make([]byte, headerLen), 0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, cookieTail, 0, cookieOption, 0, cookieLen)
	return append(msg, append(make([]byte, cookieLen-1), server)...)
}

func TestCookieMakesAStrangerKnown(t *testing.T) {
	vouch := func(msg []byte, client netip.AddrPort, now int64) bool { return msg[len(msg)-1] == 1 }
	tr := newTriage(vouch, 99)
	tr.door.Store(0)
	g := newGuestList(nil, 1)
	now := int64(second0 * 1e9)
	if tr.pressed(g, 5, cookied(2), netip.AddrPort{}, now) {
		t.Error("a wrong cookie passes a shut door")
	}
	if !tr.pressed(g, 6, cookied(1), netip.AddrPort{}, now) {
		t.Error("a right cookie does not pass")
	}
	if list := tr.sources.list(nil, second0); len(list) != 1 || list[0].key != 6 {
		t.Errorf("candidates are %v; expected 6 alone, whose cookie was right", list)
	}
	if tr.took[kindCookie] != 2 {
		t.Errorf("%d queries with a cookie were counted, expected 2", tr.took[kindCookie])
	}
}

// FuzzMayHoldCookie compares with what the filter does: one comparison of the word before the cookies.
func FuzzMayHoldCookie(f *testing.F) {
	f.Add(cookied(1))
	f.Add(cookied(1)[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		want := false
		if len(msg) >= shortestCookied {
			want = binary.BigEndian.Uint32(msg[len(msg)-cookieTail:]) == cookieOption<<16|cookieLen
		}
		if got := mayHoldCookie(msg); got != want {
			t.Errorf("%x: %v, want %v", msg, got, want)
		}
	})
}
