package limits

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var start = time.Unix(1e9, 0)

// cause has clients cost that much per second for so long, and returns when it ends.
func cause(s *Sketch, perSecond float64, long time.Duration, client func(i int) netip.Addr) time.Time {
	now := start
	const step = 20 * time.Millisecond
	for i := 0; now.Before(start.Add(long)); i++ {
		s.Add(client(i), perSecond*step.Seconds(), now)
		now = now.Add(step)
	}
	return now
}

func TestRate(t *testing.T) {
	s := NewSketch()
	client := netip.MustParseAddr("192.0.2.1")
	now := cause(s, 500, time.Minute, func(int) netip.Addr { return client })
	if got := s.Rate(client, now); math.Abs(got-500) > 10 {
		t.Errorf("500 a second for a minute are %v a second", got)
	}
	if got := s.Rate(netip.MustParseAddr("::ffff:192.0.2.1"), now); math.Abs(got-500) > 10 {
		t.Errorf("mapped into IPv6 it costs %v", got)
	}
	if got := s.Rate(netip.MustParseAddr("192.0.2.2"), now); got > 20 {
		t.Errorf("its neighbour costs %v, expected 1/32", got)
	}
	if got := s.Rate(netip.MustParseAddr("198.51.100.1"), now); got != 0 {
		t.Errorf("a stranger costs %v", got)
	}
	if got := s.Rate(client, now.Add(halfLife)); math.Abs(got-250) > 10 {
		t.Errorf("after the half-life it costs %v", got)
	}
	if got := s.Rate(client, now.Add(time.Minute)); got > 1 {
		t.Errorf("after a minute of silence it costs %v", got)
	}
}

// Who has a whole network is no better off in it.
func TestNetworks(t *testing.T) {
	s := NewSketch()
	now := cause(s, 64_000, 30*time.Second, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) })
	if got := s.Rate(netip.MustParseAddr("192.0.2.77"), now); math.Abs(got-2000) > 200 {
		t.Errorf("64,000 a second out of a /24 count as %v, expected 64,000/32", got)
	}
	six := netip.MustParsePrefix("2001:db8:1:2::/64").Addr().As16()
	now = cause(s, 900, 30*time.Second, func(int) netip.Addr {
		for i := 8; i < 16; i++ {
			six[i] = byte(rand.Uint32())
		}
		return netip.AddrFrom16(six)
	})
	if got := s.Rate(netip.MustParseAddr("2001:db8:1:2::1"), now); math.Abs(got-900) > 20 {
		t.Errorf("900 a second out of a /64 of IPv6 count as %v", got)
	}
}

// Many strangers make an honest client pay next to nothing.
func TestStrangers(t *testing.T) {
	s := NewSketch()
	r := rand.New(rand.NewPCG(1, 2))
	now := cause(s, 100_000, 5*time.Second, func(int) netip.Addr { return netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32()), 1, 1}) })
	pay := 0
	for range 1000 {
		if s.Rate(netip.AddrFrom4([4]byte{203, byte(r.Uint32()), byte(r.Uint32()), 9}), now) > 10 {
			pay++
		}
	}
	if pay > 10 {
		t.Errorf("%d of 1000 honest clients pay for others", pay)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := NewSketch()
	client := netip.MustParseAddr("192.0.2.1")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				s.Add(client, 1, start)
			}
		})
	}
	all.Wait()
	if got, want := s.Rate(client, start), 8000*math.Ln2/halfLife.Seconds(); math.Abs(got-want) > 1 {
		t.Errorf("rate %v, expected %v: something was not counted", got, want)
	}
}

func TestWaiting(t *testing.T) {
	var w Waiting
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if !w.Enter(a, 2) || !w.Enter(b, 2) || w.Enter(a, 2) {
		t.Error("of a /64 with two at most there were others")
	}
	if !w.Enter(netip.MustParseAddr("192.0.2.1"), 2) {
		t.Error("somebody else has to wait for them")
	}
	w.Leave(a)
	if !w.Enter(b, 2) {
		t.Error("nobody gets in after one has left")
	}
	for range 2 {
		w.Leave(b)
	}
	w.Leave(netip.MustParseAddr("192.0.2.1"))
	if len(w.by) != 0 {
		t.Errorf("%d networks are remembered for nothing", len(w.by))
	}
}

func TestAllocations(t *testing.T) {
	s := NewSketch()
	client := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { s.Add(client, 1, start); s.Rate(client, start) }); n != 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

func BenchmarkSketch(b *testing.B) {
	s := NewSketch()
	client := netip.MustParseAddr("192.0.2.1")
	b.Run("rate", func(b *testing.B) {
		for b.Loop() {
			s.Rate(client, start)
		}
	})
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			s.Add(client, 1, start)
		}
	})
}
