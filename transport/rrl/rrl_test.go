package rrl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const start = int64(1_700_000_000e9)

var (
	www    = []byte("\x03www\x07example")
	victim = netip.MustParseAddr("192.0.2.7")
)

func limiter(t testing.TB, o Options) *Limiter {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// flood asks n times in each second, evenly spread, and counts the verdicts.
func flood(l *Limiter, client netip.Addr, class Class, n, seconds int) (counts [3]int) {
	for i := range n * seconds {
		counts[l.Check(client, class, www, start+int64(i)*int64(time.Second)/int64(n))]++
	}
	return counts
}

// TestRate: in t seconds a flood gets one burst and t times the rate, exactly,
// whatever its own rate is.
func TestRate(t *testing.T) {
	for _, rate := range []int{1, 3, 10, 100, 1000} {
		for _, times := range []int{2, 5, 50} {
			l := limiter(t, Options{Rate: rate, Slip: 0, Total: MaxRate})
			const seconds = 10
			got := flood(l, victim, Positive, rate*times, seconds)[Send]
			if want := rate * (seconds + 1); got < want-1 || got > want {
				t.Errorf("rate %d, flood of %d a second: %d answers in %d s, expected %d", rate, rate*times, got, seconds, want)
			}
		}
	}
}

func TestAtItsRate(t *testing.T) {
	for _, rate := range []int{1, 7, 50, 12345} {
		l := limiter(t, Options{Rate: rate, Slip: 1})
		if c := flood(l, victim, NXDomain, rate, 3); c[Slip]+c[Drop] > 0 {
			t.Errorf("%d of %d answers at the rate of %d were limited", c[Slip]+c[Drop], 3*rate, rate)
		}
	}
}

// TestRecovers: a second of silence, and the client has its burst again.
func TestRecovers(t *testing.T) {
	l := limiter(t, Options{Rate: 10})
	now := start
	for round := range 3 {
		for i := range 15 {
			want := Send
			if i >= 10 {
				want = Drop
			}
			if got := l.Check(victim, NoData, www, now); got != want {
				t.Errorf("round %d, answer %d: verdict %d, expected %d", round, i, got, want)
			}
		}
		now += int64(time.Second)
	}
}

func TestSlip(t *testing.T) {
	for slip, want := range map[int]int{0: 0, 1: 300, 2: 150, 3: 100, 15: 20} {
		l := limiter(t, Options{Rate: 100, Slip: slip})
		got := [3]int{}
		for range 400 {
			got[l.Check(victim, Referral, www, start)]++
		}
		if got[Send] != 100 || got[Slip] != want || got[Drop] != 300-want {
			t.Errorf("slip %d: sent, slipped and dropped %v of 400 at a rate of 100, expected %d slipped", slip, got, want)
		}
	}
}

// TestLeak: one in so many gets through, whoever asks and whenever.
func TestLeak(t *testing.T) {
	l := limiter(t, Options{Rate: 1, Leak: 10})
	sent := 0
	const n = 100_000
	for i := range n {
		if l.Check(victim, Positive, www, start+int64(i)*7) == Send {
			sent++
		}
	}
	if sent < n/10*8/10 || sent > n/10*12/10 {
		t.Errorf("%d of %d answers leaked, expected about one in ten", sent, n)
	}
}

// TestApart: what is not alike has its own count.
func TestApart(t *testing.T) {
	l := limiter(t, Options{Rate: 5})
	for range 100 {
		l.Check(victim, Positive, www, start)
	}
	if l.Check(netip.MustParseAddr("192.0.2.250"), Positive, www, start) != Drop {
		t.Error("a neighbour in the /24 is not limited")
	}
	if l.Check(netip.MustParseAddr("::ffff:192.0.2.7"), Positive, www, start) != Drop {
		t.Error("the same address mapped into IPv6 is not limited")
	}
	for what, v := range map[string]Verdict{
		"another network": l.Check(netip.MustParseAddr("192.0.3.7"), Positive, www, start),
		"another class":   l.Check(victim, NXDomain, www, start),
		"another name":    l.Check(victim, Positive, []byte("\x04mail\x07example"), start),
		"IPv6":            l.Check(netip.MustParseAddr("c000:200::"), Positive, www, start),
	} {
		if v != Send {
			t.Errorf("%s is limited", what)
		}
	}
	six := netip.MustParseAddr("2001:db8:0:1::1")
	for range 100 {
		l.Check(six, Positive, www, start)
	}
	if l.Check(netip.MustParseAddr("2001:db8:0:ff::2"), Positive, www, start) != Drop {
		t.Error("a neighbour in the /56 is not limited")
	}
	if l.Check(netip.MustParseAddr("2001:db8:0:100::1"), Positive, www, start) != Send {
		t.Error("another /56 is limited")
	}
}

// TestWide: an attack on all of a /20, with each /24 below its rate, gets eight
// times the rate of one.
func TestWide(t *testing.T) {
	for _, base := range []string{"198.18.0.1", "2001:db8::1"} {
		l := limiter(t, Options{Rate: 10, Total: MaxRate})
		sent := 0
		for i := range 4096 {
			a := netip.MustParseAddr(base)
			raw := a.AsSlice()
			if a.Is4() {
				raw[2], raw[3] = byte(i%16), byte(i/16)
			} else {
				raw[6], raw[15] = byte(i), byte(i/256)
			}
			a, _ = netip.AddrFromSlice(raw)
			if l.Check(a, Positive, www, start) == Send {
				sent++
			}
		}
		if sent != 80 {
			t.Errorf("%s: %d answers, expected 80", base, sent)
		}
	}
}

// TestTotal: answers that are all different are too many some time, too.
func TestTotal(t *testing.T) {
	l := limiter(t, Options{Rate: 10})
	sent := 0
	for i := range 2000 {
		if l.Check(victim, Referral, fmt.Append(nil, i), start) == Send {
			sent++
		}
	}
	if sent != 320 {
		t.Errorf("%d different answers, expected 320", sent)
	}
}

func TestStream(t *testing.T) {
	l := limiter(t, Options{Stream: 1000})
	sent := 0
	for range 5000 {
		if l.CheckStream(victim, start) == Send {
			sent++
		}
	}
	if sent != 1000 || l.Check(victim, Positive, www, start) != Send {
		t.Errorf("%d answers over TCP, expected 1000, and none over UDP limited", sent)
	}
	l = limiter(t, Options{Rate: 1})
	for range 50 {
		if l.CheckStream(victim, start) != Send {
			t.Fatal("TCP is limited by the rate of UDP")
		}
	}
}

func TestAllow(t *testing.T) {
	l := limiter(t, Options{Rate: 1, Stream: 1, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/28")}})
	for range 10 {
		if l.Check(victim, Positive, www, start) != Send || l.Check(netip.MustParseAddr("::ffff:192.0.2.7"), Positive, www, start) != Send || l.CheckStream(victim, start) != Send {
			t.Fatal("a client on the list is limited")
		}
	}
	if l.Check(netip.MustParseAddr("192.0.2.16"), Positive, www, start) != Send {
		t.Error("those on the list use up what their neighbours have")
	}
	if l.Check(netip.MustParseAddr("192.0.2.16"), Positive, www, start) != Drop {
		t.Error("a neighbour of the list is not limited")
	}
}

func TestNotice(t *testing.T) {
	var events []Event
	l := limiter(t, Options{Rate: 1, Log: func(e Event) { events = append(events, e) }})
	flood(l, victim, NXDomain, 1000, 3)
	if len(events) != 3 || events[0] != (Event{netip.MustParsePrefix("192.0.2.0/24"), NXDomain, false}) {
		t.Errorf("%v in 3 s, expected one a second", events)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no rate"}, {Options{Rate: -1}, "rate -1"}, {Options{Rate: 2e6}, "expected 0 to 1000000"}, {Options{Total: 5, Stream: 1}, "a total without"},
		{Options{Rate: 1, Slip: 16}, "slip 16"}, {Options{Rate: 1, Size: -1}, "-1 entries"}, {Options{Rate: 1, Leak: -1}, "leak -1"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, expected %q", c.o, err, c.want)
		}
	}
	if n := len(limiter(t, Options{Rate: 1}).table.lines) * ways * 8; n > 8<<20 {
		t.Errorf("the table takes %d octets, promised are 8 MB", n)
	}
	for _, size := range []int{1, 8, 9, 1000} {
		if n := len(limiter(t, Options{Rate: 1, Size: size}).table.lines) * ways; n < size || n > max(2*size, 16) {
			t.Errorf("a table for %d entries has %d", size, n)
		}
	}
}

// TestOthersDoNoHarm: under a flood from everywhere that fills the table many
// times over, a client below its rate gets everything.
func TestOthersDoNoHarm(t *testing.T) {
	l := limiter(t, Options{Rate: 5, Size: 1 << 12})
	rng := rand.New(rand.NewPCG(1, 2))
	lost := 0
	const second, perSecond = int64(time.Second), 200_000
	for i := range 5 * perSecond {
		now := start + int64(i)*second/perSecond
		attacker := netip.AddrFrom4([4]byte{byte(rng.UintN(256)) | 1, byte(rng.UintN(8)), byte(rng.UintN(8)), 1})
		l.Check(attacker, Class(rng.UintN(5)), www, now)
		if i%(perSecond/4) == 0 && l.Check(netip.MustParseAddr("10.9.8.7"), Positive, www, now) != Send {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 20 good answers were lost", lost)
	}
}

// TestHeavyStay: the same flood does not make the table forget a heavy hitter.
func TestHeavyStay(t *testing.T) {
	l := limiter(t, Options{Rate: 5, Size: 1 << 12})
	rng := rand.New(rand.NewPCG(3, 4))
	sent := 0
	const seconds, perSecond = 5, 100_000
	for i := range seconds * perSecond {
		now := start + int64(i)*int64(time.Second)/perSecond
		l.Check(netip.AddrFrom4([4]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), 1}), Positive, www, now)
		if i%100 == 0 && l.Check(victim, Positive, www, now) == Send {
			sent++
		}
	}
	if want := 5 * (seconds + 1); sent > 2*want {
		t.Errorf("a heavy hitter got %d answers, expected about %d", sent, want)
	}
}

// slowBucket is the leaky bucket of one key, in fractions of a second.
type slowBucket struct {
	full float64 // when it will be empty
}

func (b *slowBucket) take(rate int, now float64) bool {
	from := max(b.full, now)
	if from+1/float64(rate) > now+1+1e-9 {
		return false
	}
	b.full = from + 1/float64(rate)
	return true
}

// TestAgainstSlow: at random times, in order or a little out of it, over hours,
// the table says what one bucket alone says.
func TestAgainstSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Rates whose interval is a whole number of ticks are exact.
		rate := rapid.SampledFrom([]int{1, 2, 5, 8, 10, 100}).Draw(t, "rate")
		l, err := New(Options{Rate: rate, Total: MaxRate, Size: 64})
		if err != nil {
			t.Fatal(err)
		}
		var b slowBucket
		ticks := start >> tickShift
		for _, step := range rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 5e6), rapid.Int64Range(0, 300_000e6)), 1, 200).Draw(t, "steps") {
			ticks += step
			now := ticks << tickShift
			want := b.take(rate, float64(now-start)/1e9)
			if got := l.Check(victim, Positive, www, now) == Send; got != want {
				t.Fatalf("at %d: sent %v, expected %v", now-start, got, want)
			}
		}
	})
}

// TestThreads: many threads at once give no more than the rate allows.
func TestThreads(t *testing.T) {
	l := limiter(t, Options{Rate: 1000, Slip: 2})
	var sent atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5000 {
				if l.Check(victim, Positive, www, start) == Send {
					sent.Add(1)
				}
			}
		})
	}
	all.Wait()
	// A thread that loses its place four times in a row sends without counting.
	if n := sent.Load(); n < 1000 || n > 1100 {
		t.Errorf("%d answers, expected 1000", n)
	}
}

// FuzzCharge: no state of an entry makes the arithmetic say more than a burst.
func FuzzCharge(f *testing.F) {
	f.Add(uint64(0), uint64(1), uint64(start>>tickShift), 10, uint64(2))
	f.Add(^uint64(0), uint64(5), uint64(0), 1, uint64(15))
	f.Fuzz(func(t *testing.T, entry, hash, now uint64, perSecond int, slip uint64) {
		perSecond = 1 + int(uint(perSecond)%1e6)
		r, tag := rateOf(perSecond), hash<<tagShift
		sent := 0
		for range min(perSecond+1, 2000) {
			next, v := charge(entry, tag, r, now, slip&slipMask)
			if v == Send {
				sent++
			}
			if v == Slip && slip&slipMask == 0 {
				t.Fatal("slipped, with slip 0")
			}
			if v == Send && next>>tagShift != tag>>tagShift {
				t.Fatal("charged somebody else")
			}
			if v == Send || entry>>tagShift == tag>>tagShift {
				entry = next
			}
		}
		if sent > perSecond {
			t.Fatalf("%d answers at once, the rate is %d", sent, perSecond)
		}
	})
}

func TestNoAllocs(t *testing.T) {
	l := limiter(t, Options{Rate: 5, Slip: 2, Stream: 5})
	if n := testing.AllocsPerRun(1000, func() { l.Check(victim, Positive, www, start); l.CheckStream(victim, start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCheck: Below are clients that are never limited, for whom the table
// is read and written three times; 65,536 networks are more than the
// processor's caches hold.
func BenchmarkCheck(b *testing.B) {
	for _, bench := range []struct {
		name    string
		clients uint32
		rate    int
	}{{"Limited", 1, 10}, {"Below1", 1, MaxRate}, {"Below1000", 1000, MaxRate}, {"Below65536", 1 << 16, MaxRate}} {
		b.Run(bench.name, func(b *testing.B) {
			l := limiter(b, Options{Rate: bench.rate, Slip: 2})
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i++
				c := i * 0x9E3779B1 % bench.clients
				l.Check(netip.AddrFrom4([4]byte{10, byte(c >> 8), byte(c), 1}), Positive, www, start+int64(i)*2000)
			}
		})
	}
}
