package transport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Answers of one batch for several clients, of few and of many lengths, arrive whole and with their right addresses, merged
// or not, also behind a wildcard address and over IPv6.
func TestSegments(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, lengths := range []int{1, 3, 400, -400} { // negative: all of that one length, three times
			t.Run(fmt.Sprintf("%s %d lengths", addr, lengths), func(t *testing.T) {
				s := listen(t, Config{
					Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)},
					Handler: WorkerFunc(func(dst []byte, q *Query) []byte {
						return append(flip(dst, q), make([]byte, extra(idOf(q.Msg), lengths))...)
					}),
				})
				const clients, each = 6, 40
				conns := make([]net.Conn, clients)
				for c := range conns {
					conns[c] = dial(t, UDP, reachable(s.Addrs()[0]))
				}
				for i := range clients * each { // all wait before the loop begins: one batch
					send(t, conns[i%clients], message(i, "q"))
				}
				serve(t, s)
				for c, conn := range conns {
					var ids []int
					for range each {
						m := receive(t, conn)
						ids = append(ids, idOf(m))
						if want := headerLen + 1 + extra(idOf(m), lengths); len(m) != want {
							t.Errorf("answer %d has %d bytes, want %d", idOf(m), len(m), want)
						}
					}
					slices.Sort(ids)
					for i, id := range ids {
						if id != i*clients+c {
							t.Fatalf("client %d got the answers %v", c, ids)
						}
					}
				}
				s.Close()
				if st := s.Stats().UDP; st.Answers != clients*each || st.SendErrors != 0 {
					t.Errorf("%d answers and %d errors are counted, want %d and none", st.Answers, st.SendErrors, clients*each)
				}
			})
		}
	}
}

// extra is how many octets an answer is longer than its query.
func extra(id, lengths int) int {
	if lengths < 0 {
		return -3 * lengths
	}
	return id * 7 % lengths * 3
}

func reachable(a netip.AddrPort) netip.AddrPort {
	switch {
	case !a.Addr().IsUnspecified():
		return a
	case a.Addr().Is4():
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
}

// merged makes a send batch with answers of the lengths given, each for the client given, and what merge makes of it: for
// each packet the client and the lengths of its parts.
func merged(t *testing.T, clients, lengths []int) []string {
	t.Helper()
	b := new(batch)
	buf := make([]byte, 4096)
	for i, c := range clients {
		n, err := b.rxName[i].set(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(c)))
		if err != nil {
			t.Fatal(err)
		}
		h := &b.tx[i].Hdr
		h.Name, h.Namelen = &b.rxName[i][0], n
		b.txVec[i].Base = &buf[0]
		b.txVec[i].SetLen(lengths[i])
		h.Iov = &b.txVec[i]
		h.SetIovlen(1)
	}
	n := b.segments.merge(b, len(clients))
	got := describe(b, n)
	n = b.segments.split(b, 0, n)
	if n != len(clients) {
		t.Errorf("%d packets are left after splitting, want %d", n, len(clients))
	}
	for i := range n {
		if h := b.tx[i].Hdr; h.Iovlen != 1 || h.Controllen != 0 || h.Control != nil {
			t.Errorf("packet %d is not alone after splitting: %+v", i, h)
		}
	}
	return got
}

func describe(b *batch, n int) (got []string) {
	for i := range n {
		h := b.tx[i].Hdr
		s := fmt.Sprint((*rawAddr)(unsafe.Pointer(h.Name)).addrPort(nil).Port(), ":")
		for _, v := range unsafe.Slice(h.Iov, int(h.Iovlen)) {
			s += fmt.Sprint(" ", v.Len)
		}
		got = append(got, s)
	}
	slices.Sort(got)
	return got
}

// A merged packet has parts of one length and at most one shorter one behind them.
func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		clients, lengths []int
		want             []string
	}{
		{[]int{1, 1, 1}, []int{50, 60, 50}, []string{"1: 50", "1: 60 50"}},
		{[]int{1, 1, 1, 1}, []int{50, 50, 50, 50}, []string{"1: 50 50 50 50"}},
		{[]int{1, 2, 1, 2}, []int{50, 70, 50, 60}, []string{"1: 50 50", "2: 70 60"}},
		{[]int{1, 1, 2, 2, 2}, []int{1400, 1400, 9, 8, 7}, []string{"1: 1400", "1: 1400", "2: 7", "2: 9 8"}},
		{[]int{1, 2, 3, 4}, []int{5, 5, 5, 5}, []string{"1: 5", "2: 5", "3: 5", "4: 5"}},
	} {
		if got := merged(t, tt.clients, tt.lengths); !slices.Equal(got, tt.want) {
			t.Errorf("clients %v, lengths %v:\ngot  %q\nwant %q", tt.clients, tt.lengths, got, tt.want)
		}
	}
	for i, v := range merged(t, make([]int, batchSize), slices.Repeat([]int{1200}, batchSize)) {
		if parts := strings.Count(v, " "); parts*1200 > maxUDPPayload {
			t.Errorf("packet %d has %d parts of 1200 octets, more than a datagram holds", i, parts)
		}
	}
	many := merged(t, make([]int, batchSize), slices.Repeat([]int{40}, batchSize))
	if len(many) != batchSize/maxSegments {
		t.Errorf("%d answers became %d packets, want %d", batchSize, len(many), batchSize/maxSegments)
	}
}

// Under a steady load a loop gathers; what comes seldom is answered at once, and so is what waits already.
func TestPace(t *testing.T) {
	run := func(p *pace, n int, gap time.Duration, times int) (d time.Duration) {
		for range times {
			d = p.pause(n, p.last+int64(gap))
		}
		return d
	}
	for _, tt := range []struct {
		what string
		n    int
		gap  time.Duration
		most time.Duration
		some bool
	}{
		{"one a second", 1, time.Second, 0, false},
		{"ten thousand a second", 1, 100 * time.Microsecond, 0, false},
		{"a hundred thousand a second", 1, 10 * time.Microsecond, maxPause, true},
		{"the same in batches", 10, 100 * time.Microsecond, maxPause, true},
		{"more than half a batch", batchSize / 2, 500 * time.Microsecond, 0, false},
	} {
		d := run(&pace{last: 1}, tt.n, tt.gap, 100)
		if d > tt.most || tt.some && d < maxPause/10 {
			t.Errorf("%s: the pause is %v, want up to %v", tt.what, d, tt.most)
		}
	}
	p := &pace{last: 1}
	run(p, 10, 100*time.Microsecond, 100)
	if d := p.pause(10, p.last+int64(time.Minute)); d != 0 {
		t.Errorf("the first batch after a minute's silence waits %v", d)
	}
	if d := p.pause(10, 1); d != 0 {
		t.Errorf("after the clock was set back a batch waits %v", d)
	}
}

// A batch becomes as small as keeps its time, at once, and grows again step by step.
func TestBatchSize(t *testing.T) {
	var p pace
	if n := p.size(); n != batchSize {
		t.Errorf("the first batch may have %d packets, want %d", n, batchSize)
	}
	for _, tt := range []struct {
		n    int
		each time.Duration
		want int
	}{
		{batchSize, 2 * time.Microsecond, batchSize},
		{batchSize, 400 * time.Microsecond, 10}, // 2500 iterations
		{10, 400 * time.Microsecond, 10},
		{10, 100 * time.Millisecond, fewPackets},
		{fewPackets, time.Microsecond, 2 * fewPackets},
		{2 * fewPackets, time.Microsecond, 4 * fewPackets},
	} {
		p.took(tt.n, time.Duration(tt.n)*tt.each)
		if n := p.size(); n != tt.want {
			t.Errorf("after %d packets at %v each %d may come, want %d", tt.n, tt.each, n, tt.want)
		}
	}
	for range 10 {
		p.took(p.size(), time.Microsecond)
	}
	if n := p.size(); n != batchSize {
		t.Errorf("cheap answers have brought the batch to %d packets, want %d", n, batchSize)
	}
}
