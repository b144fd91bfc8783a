package transport

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// receiver is a socket with a filter, and how much of what is sent to it comes through.
type receiver struct{ *batchSocket }

func newReceiver(t *testing.T, addr string) *receiver {
	t.Helper()
	cfg := (&Config{}).withDefaults()
	s, err := openBatch(netip.AddrPortFrom(netip.MustParseAddr(addr), 0), &cfg, nil, false)
	if err != nil {
		t.Skipf("no socket at %s: %v", addr, err)
	}
	t.Cleanup(func() { s.close() })
	local, err := net.FilePacketConn(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = local.LocalAddr().(*net.UDPAddr).AddrPort()
	local.Close()
	return &receiver{s}
}

// through sends msg n times from an address and returns how many came.
func (r *receiver) through(t *testing.T, from string, msg []byte, n int) (came int) {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(r.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range n {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		came += r.take(t) // loopback has delivered when Write returns
	}
	return came
}

// take receives what is there and returns how many packets it was.
func (r *receiver) take(t *testing.T) (n int) {
	t.Helper()
	err := r.control(func(fd int) error {
		buf := make([]byte, 512)
		for {
			_, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
			switch err {
			case nil:
				n++
			case unix.EAGAIN:
				return nil
			default:
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func key4(s string) uint32 {
	a := netip.MustParseAddr(s).As4()
	return binary.BigEndian.Uint32(a[:])
}

func TestFilterPassesTheKnown(t *testing.T) {
	r := newReceiver(t, "127.0.0.1")
	query := make([]byte, 40)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{0, 1, 15, 16, 17, 33, 500, maxGuests} {
		// Known are every second address of 127.8.0.0/16, in any order, as far as size goes; the first and the last as well.
		known := make([]uint32, size)
		for i := range known {
			known[i] = key4("127.8.0.0") + uint32(2*i+2)
		}
		rng.Shuffle(size, func(i, j int) { known[i], known[j] = known[j], known[i] })
		kept, err := r.setFilter(known, addrKey{}, 0, 0)
		if err != nil || kept != size {
			t.Fatalf("a filter for %d sources holds %d: %v", size, kept, err)
		}
		for _, i := range []int{0, 1, 15, 16, 17, 31, 32, 255, 256, size / 2, size - 1} {
			if i < 0 || i >= size {
				continue
			}
			in, out := key4("127.8.0.0")+uint32(2*i+2), key4("127.8.0.0")+uint32(2*i+3)
			if r.through(t, text4(in), query, 1) != 1 {
				t.Errorf("of %d known sources, %s does not pass", size, text4(in))
			}
			if r.through(t, text4(out), query, 1) != 0 {
				t.Errorf("beside %d known sources, %s passes", size, text4(out))
			}
		}
	}
	r.clearFilter()
	if r.through(t, "127.9.0.1", query, 10) != 10 {
		t.Error("something is dropped without a filter")
	}
}

func text4(k uint32) string {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], k)
	return netip.AddrFrom4(a).String()
}

func TestFilterKnowsIPv6ByNetwork(t *testing.T) {
	r := newReceiver(t, "::1")
	k := addrKey{hi: 0x12345677, lo: 0x9abcdef1}
	loopback := netip.MustParseAddr("::1").As16()
	for _, known := range []bool{true, false} {
		keys := []uint32{1, 2, 3, 4}
		if known {
			keys = append(keys, k.of6(&loopback))
		}
		if _, err := r.setFilter(keys, k, 0, 0); err != nil {
			t.Fatal(err)
		}
		if came := r.through(t, "::1", make([]byte, 40), 5); (came == 5) != known || (came == 0) == known {
			t.Errorf("%d of 5 packets came from a /64 that is known: %v", came, known)
		}
	}
}

func TestFilterDrawsStrangers(t *testing.T) {
	r := newReceiver(t, "127.0.0.1")
	plain, cookie := make([]byte, 40), cookied(1)
	almost := slices.Clone(cookie)
	almost[len(almost)-cookieTail+3]-- // 23 bytes of cookie
	for _, test := range []struct {
		name          string
		cookie, other float64
		msg           []byte
		low, high     int // of 1000
	}{
		{"all", 1, 1, plain, 1000, 1000},
		{"none", 0, 0, plain, 0, 1},
		{"a quarter", 1, 0.25, plain, 190, 310},
		{"a cookie", 1, 0, cookie, 1000, 1000},
		{"half of the cookies", 0.5, 0, cookie, 430, 570},
		{"not quite a cookie", 1, 0, almost, 0, 1},
		{"shorter than a header", 1, 1, plain[:3], 1000, 1000},
		{"empty", 1, 0, nil, 0, 1},
	} {
		if _, err := r.setFilter([]uint32{9}, addrKey{}, threshold(test.cookie), threshold(test.other)); err != nil {
			t.Fatal(err)
		}
		if came := r.through(t, "127.0.0.5", test.msg, 1000); came < test.low || came > test.high {
			t.Errorf("%s: %d of 1000 came, expected %d to %d", test.name, came, test.low, test.high)
		}
	}
}

// newCalmBatch is a full batch of packets from n sources.
func newCalmBatch(tb testing.TB, n int) *batch {
	cfg := Config{}.withDefaults()
	s, err := openBatch(netip.MustParseAddrPort("127.0.0.1:0"), &cfg, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.close() })
	echo := WorkerFunc(func(dst []byte, q *Query) []byte { return dst })
	b := newBatch(s, newSeat(echo, newLogLimit(cfg.Log, time.Now)))
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range b.rx {
		b.rxName[i].set(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(rng.IntN(1 + n/256)), byte(rng.IntN(256))}), 4000))
		b.rx[i].Len = 40
	}
	b.n = batchSize
	b.seat.q.Now = second0 * 1e9
	return b
}

func TestTriageAllocatesNothing(t *testing.T) {
	b := newCalmBatch(t, 1000)
	if n := testing.AllocsPerRun(100, b.triage); n != 0 {
		t.Errorf("in calm times a batch costs %v allocations", n)
	}
	b.sock.triage.guest.Store(newGuestList([]uint32{1, 2, 3}, 1))
	if n := testing.AllocsPerRun(100, b.triage); n != 0 {
		t.Errorf("under pressure a batch costs %v allocations", n)
	}
}

// BenchmarkTriage shows what a query costs: a batch is 64 of them.
func BenchmarkTriage(b *testing.B) {
	run := func(name string, n int, guests *guestList) {
		b.Run(name, func(b *testing.B) {
			batch := newCalmBatch(b, 1000)
			batch.n = n
			batch.sock.triage.guest.Store(guests)
			b.ReportAllocs()
			for b.Loop() {
				batch.triage()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/query")
		})
	}
	run("calm, full batch", batchSize, nil)
	run("calm, 8 in a batch", 8, nil)
	run("calm, single", 1, nil)
	keys := make([]uint32, maxGuests)
	for i := range keys {
		keys[i] = rand.Uint32()
	}
	run("pressed, full batch", batchSize, newGuestList(keys, 77))
}

func TestLoopAnswersOnlyWhatTriageLets(t *testing.T) {
	b := newCalmBatch(t, 1000)
	known := b.keyOf(200)
	b.sock.triage.guest.Store(newGuestList([]uint32{known}, 1))
	b.sock.triage.door.Store(0)
	b.triage()
	b.answer()
	want := uint64(0)
	for i := range b.n {
		if b.keyOf(i) == known {
			want++
		}
	}
	if b.seat.tally[nQueries] != want || b.seat.tally[nShed] != uint64(b.n)-want {
		t.Errorf("%d queries were answered and %d turned away, expected %d and %d",
			b.seat.tally[nQueries], b.seat.tally[nShed], want, uint64(b.n)-want)
	}
}
