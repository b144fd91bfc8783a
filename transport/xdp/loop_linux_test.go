package xdp

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"onoma/transport"
)

// desk is a loop whose kernel is the test: it puts frames into the receive ring and takes answers from the send ring.
type desk struct {
	*loop
	fill uint32 // consumed of the fill ring
	sent uint32 // consumed of the send ring
}

func plainRing[T any](n int) ring[T] {
	return ring[T]{producer: new(atomic.Uint32), consumer: new(atomic.Uint32), flags: new(atomic.Uint32), slots: make([]T, n)}
}

const (
	testMTU  = 1500
	rxFrames = leastFrames
	txFrames = leastFrames / 2
)

func newDesk(t testing.TB, h transport.Handler) *desk {
	t.Helper()
	s := &socket{fd: -1, frame: 2048, rxFrames: rxFrames, txFrames: txFrames, umem: make([]byte, (rxFrames+txFrames)*2048)}
	s.fill, s.completion = plainRing[uint64](rxFrames), plainRing[uint64](txFrames)
	s.rx, s.tx = plainRing[unix.XDPDesc](rxFrames), plainRing[unix.XDPDesc](txFrames)
	s.stock()
	l := &loop{
		sock: s, handler: h, port: 53, mtu: testMTU, zone: "eth0", log: slog.New(slog.DiscardHandler), now: 1,
		free: make([]uint64, 0, txFrames),
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::1", "fe80::1"} {
		addr := netip.MustParseAddr(a)
		l.locals = append(l.locals, local{addr, transport.NewQuery(nil, netip.AddrPort{}, netip.AddrPortFrom(addr, 53), transport.UDP, nil)})
	}
	for i := range txFrames {
		l.free = append(l.free, uint64((rxFrames+i)*s.frame))
	}
	return &desk{loop: l}
}

// deliver puts frames into the receive ring and has the loop answer them.
func (d *desk) deliver(frames ...[]byte) {
	s := d.sock
	for _, f := range frames {
		at := *s.fill.slot(d.fill) + headroom
		d.fill++
		*s.rx.slot(s.rx.producer.Load()) = unix.XDPDesc{Addr: at, Len: uint32(copy(s.umem[at:], f))}
		s.rx.producer.Add(1)
	}
	d.batch(s.rx.ready(batchSize))
}

// round delivers frames, and has all answers leave.
func (d *desk) round(frames ...[]byte) {
	d.deliver(frames...)
	first := d.sent
	d.sent = d.sock.tx.producer.Load()
	d.sock.tx.consumer.Store(d.sent)
	d.complete(first, d.sent-first)
}

// receive delivers frames and returns the answers' frames.
func (d *desk) receive(frames ...[]byte) [][]byte {
	d.deliver(frames...)
	s := d.sock
	var answers [][]byte
	for ; d.sent != s.tx.producer.Load(); d.sent++ {
		a := *s.tx.slot(d.sent)
		answers = append(answers, s.umem[a.Addr:][:a.Len])
	}
	s.tx.consumer.Store(d.sent)
	return answers
}

// complete gives the frames of n answers back, as the kernel does when they have left.
func (d *desk) complete(first, n uint32) {
	c := &d.sock.completion
	for i := range n {
		*c.slot(c.producer.Load()) = d.sock.tx.slot(first + i).Addr
		c.producer.Add(1)
	}
}

func TestLoopAnswersWithoutAllocating(t *testing.T) {
	d := newDesk(t, echo(0))
	four, six := simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg), simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg)
	var frames [][]byte
	for range batchSize / 2 {
		frames = append(frames, four.frame(), six.frame())
	}
	if n := testing.AllocsPerRun(200, func() { d.round(frames...) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	var c Counts
	d.counts.addTo(&c)
	if want := uint64(201 * batchSize); c.Answers != want {
		t.Errorf("%d answers, want %d", c.Answers, want)
	}
}

// TestFramesComeBack answers until all frames are with the card; then queries go unanswered until some come back.
func TestFramesComeBack(t *testing.T) {
	d := newDesk(t, echo(0))
	q := simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame()
	answered := 0
	for range txFrames + 100 {
		answered += len(d.receive(q))
	}
	if answered != txFrames || d.counts.v[nNoFrame].Load() != 100 {
		t.Fatalf("%d answers with %d frames, %d dropped", answered, txFrames, d.counts.v[nNoFrame].Load())
	}
	d.complete(0, 3)
	for range 5 {
		answered += len(d.receive(q))
	}
	if answered != txFrames+3 {
		t.Errorf("%d answers, want %d", answered, txFrames+3)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name       string
		from, to   string
		tags       []uint32
		answer     int
		wholeBelow bool
	}{
		{"IPv4 fits", "192.0.2.2:4000", "192.0.2.1:53", nil, testMTU - 28, true},
		{"IPv4 does not", "192.0.2.2:4000", "192.0.2.1:53", nil, testMTU - 27, false},
		{"IPv6 fits", "[2001:db8::2]:4000", "[2001:db8::1]:53", nil, testMTU - 48, true},
		{"IPv6 does not", "[2001:db8::2]:4000", "[2001:db8::1]:53", nil, testMTU - 47, false},
		{"tags do not count", "192.0.2.2:4000", "192.0.2.1:53", []uint32{0x88a80005, 0x81000006}, testMTU - 28, true},
		{"longer than a frame", "192.0.2.2:4000", "192.0.2.1:53", nil, 60000, false},
	} {
		d := newDesk(t, echo(c.answer))
		b := simple(c.from, c.to, dnsMsg)
		b.tags = c.tags
		answers := d.receive(b.frame())
		if len(answers) != 1 {
			t.Errorf("%s: %d answers", c.name, len(answers))
			continue
		}
		var p packet
		if v := p.parse(answers[0], 4000); v != fine {
			t.Errorf("%s: verdict %d", c.name, v)
		}
		tc := p.msg[2]&tcBit != 0
		if whole := len(p.msg) == c.answer && !tc; whole != c.wholeBelow {
			t.Errorf("%s: %d bytes, TC %v", c.name, len(p.msg), tc)
		}
	}
}

// TestForeignAnswer has a Worker that answers with memory of its own: it is sent, and never changed.
func TestForeignAnswer(t *testing.T) {
	for _, n := range []int{100, 3000} {
		own := append(bytes.Clone(dnsMsg), make([]byte, n)...)
		own[2] |= 0x80
		before := bytes.Clone(own)
		d := newDesk(t, transport.WorkerFunc(func([]byte, *transport.Query) []byte { return own }))
		answers := d.receive(simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame())
		if len(answers) != 1 || !bytes.Equal(own, before) {
			t.Errorf("%d bytes: %d answers, changed %v", n, len(answers), !bytes.Equal(own, before))
		}
	}
}

// TestLinkLocalClientHasAZone, without which a detached answer would not find its way.
func TestLinkLocalClientHasAZone(t *testing.T) {
	var client netip.AddrPort
	d := newDesk(t, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte { client = q.Client; return dst }))
	d.receive(simple("[fe80::2]:4000", "[fe80::1]:53", dnsMsg).frame())
	if want := netip.MustParseAddrPort("[fe80::2%eth0]:4000"); client != want {
		t.Errorf("client %v, want %v", client, want)
	}
}

func TestOtherAddressesAreNotOurs(t *testing.T) {
	d := newDesk(t, echo(0))
	if n := len(d.receive(simple("192.0.2.2:4000", "192.0.2.9:53", dnsMsg).frame())); n != 0 || d.counts.v[nAlien].Load() != 1 {
		t.Errorf("%d answers", n)
	}
}

// FuzzLoop shows a loop any frame; whatever it answers must be a right packet.
func FuzzLoop(f *testing.F) {
	f.Add(simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame())
	f.Add(simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg).frame())
	d := newDesk(f, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		return echo(int(q.Msg[0])<<8|int(q.Msg[1])).NewWorker().Answer(dst, q)
	}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		first := d.sent
		for _, a := range d.receive(frame[:min(len(frame), 2048-headroom)]) {
			if v := new(packet).parse(a, d.pkt.client.Port()); v != fine {
				t.Errorf("verdict %d on %x", v, a)
			}
		}
		d.complete(first, d.sent-first)
	})
}

func BenchmarkBatch(b *testing.B) {
	d := newDesk(b, echo(0))
	q := simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame()
	frames := slices.Repeat([][]byte{q}, batchSize)
	for b.Loop() {
		d.round(frames...)
	}
}
