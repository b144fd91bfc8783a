package xdp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slowSum is RFC 1071 §1, word by word.
func slowSum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		if s += w; s > 0xffff {
			s -= 0xffff
		}
	}
	return uint16(s)
}

// builder makes frames for tests, from scratch and slowly.
type builder struct {
	dst, src [6]byte
	tags     []uint32 // TPID and TCI
	from, to netip.AddrPort
	msg      []byte
	options  []byte // of IPv4
	fragment uint16
	next     []byte // extension header of IPv6, complete
	noSum    bool
	partial  bool // the checksum is left to a card
}

// simple is a query from one of the documentation's hosts to another.
func simple(from, to string, msg []byte) builder {
	return builder{
		dst: [6]byte{2, 0, 0, 0, 0, 1}, src: [6]byte{2, 0, 0, 0, 0, 2},
		from: netip.MustParseAddrPort(from), to: netip.MustParseAddrPort(to), msg: msg,
	}
}

func (b builder) frame() []byte {
	f := append(b.dst[:], b.src[:]...)
	for _, tag := range b.tags {
		f = binary.BigEndian.AppendUint32(f, tag)
	}
	if b.from.Addr().Is4() {
		return append(binary.BigEndian.AppendUint16(f, typeIP4), b.ip4()...)
	}
	return append(binary.BigEndian.AppendUint16(f, typeIP6), b.ip6()...)
}

func (b builder) udp() []byte {
	u := binary.BigEndian.AppendUint16(nil, b.from.Port())
	u = binary.BigEndian.AppendUint16(u, b.to.Port())
	u = binary.BigEndian.AppendUint16(u, uint16(udpLen+len(b.msg)))
	u = append(append(u, 0, 0), b.msg...)
	pseudo := append(b.from.Addr().AsSlice(), b.to.Addr().AsSlice()...)
	pseudo = binary.BigEndian.AppendUint16(append(pseudo, 0, protoUDP), uint16(len(u)))
	c := ^slowSum(append(pseudo[:len(pseudo):len(pseudo)], u...))
	if c == 0 {
		c = 0xffff
	}
	switch {
	case b.noSum:
		c = 0
	case b.partial:
		c = slowSum(pseudo)
	}
	binary.BigEndian.PutUint16(u[6:], c)
	return u
}

func (b builder) ip4() []byte {
	u := b.udp()
	h := []byte{byte(4<<4 | (ip4Len+len(b.options))/4), 0, 0, 0, 0, 9, 0, 0, 63, protoUDP, 0, 0}
	binary.BigEndian.PutUint16(h[2:], uint16(ip4Len+len(b.options)+len(u)))
	binary.BigEndian.PutUint16(h[6:], b.fragment)
	h = append(append(append(h, b.from.Addr().AsSlice()...), b.to.Addr().AsSlice()...), b.options...)
	binary.BigEndian.PutUint16(h[10:], ^slowSum(h))
	return append(h, u...)
}

func (b builder) ip6() []byte {
	u := append(b.next[:len(b.next):len(b.next)], b.udp()...)
	h := []byte{0x6a, 0xbc, 0xde, 0xf1, byte(len(u) >> 8), byte(len(u)), protoUDP, 63}
	if b.next != nil {
		h[6] = 60 // destination options
	}
	h = append(append(h, b.from.Addr().AsSlice()...), b.to.Addr().AsSlice()...)
	return append(h, u...)
}

func TestSumEqualsTheSlowOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for _, fill := range []int{-1, 0, 0xff} {
			if fill >= 0 {
				b = bytes.Repeat([]byte{byte(fill)}, n)
			}
			// 0 and 0xffff are the same number.
			if got, want := fold(sum(0, b))%0xffff, slowSum(b)%0xffff; got != want {
				t.Errorf("%d bytes, fill %d: sum %#x, want %#x", n, fill, got, want)
			}
		}
	}
}

var dnsMsg = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01")

func TestParse(t *testing.T) {
	v4 := simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg)
	v6 := simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg)
	edit := func(b builder, change func(*builder)) []byte { change(&b); return b.frame() }
	cases := []struct {
		name  string
		frame []byte
		want  verdict
	}{
		{"IPv4", v4.frame(), fine},
		{"IPv6", v6.frame(), fine},
		{"IPv4, padded", append(v4.frame(), make([]byte, 9)...), fine},
		{"IPv4, one tag", edit(v4, func(b *builder) { b.tags = []uint32{0x81000005} }), fine},
		{"IPv6, two tags", edit(v6, func(b *builder) { b.tags = []uint32{0x88a80005, 0x8100e006} }), fine},
		{"three tags", edit(v4, func(b *builder) { b.tags = []uint32{0x88a80005, 0x81000006, 0x81000007} }), alien},
		{"IPv4, no checksum", edit(v4, func(b *builder) { b.noSum = true }), fine},
		{"IPv6, no checksum", edit(v6, func(b *builder) { b.noSum = true }), badSum},
		{"IPv4, checksum left to the card", edit(v4, func(b *builder) { b.partial = true }), fine},
		{"IPv6, checksum left to the card", edit(v6, func(b *builder) { b.partial = true }), fine},
		{"IPv4, options", edit(v4, func(b *builder) { b.options = []byte{1, 1, 1, 0} }), alien},
		{"IPv4, first fragment", edit(v4, func(b *builder) { b.fragment = 0x2000 }), alien},
		{"IPv4, last fragment", edit(v4, func(b *builder) { b.fragment = 0x0010 }), alien},
		{"IPv4, DF", edit(v4, func(b *builder) { b.fragment = 0x4000 }), fine},
		{"IPv6, extension header", edit(v6, func(b *builder) { b.next = []byte{protoUDP, 0, 1, 4, 0, 0, 0, 0} }), alien},
		{"other port", simple("192.0.2.2:4000", "192.0.2.1:54", dnsMsg).frame(), alien},
		{"from 127.0.0.1", simple("127.0.0.1:4000", "192.0.2.1:53", dnsMsg).frame(), badSource},
		{"from multicast", simple("224.0.0.1:4000", "192.0.2.1:53", dnsMsg).frame(), badSource},
		{"from broadcast", simple("255.255.255.255:4000", "192.0.2.1:53", dnsMsg).frame(), badSource},
		{"from IPv6 multicast", simple("[ff02::1]:4000", "[2001:db8::1]:53", dnsMsg).frame(), badSource},
		{"from ::1", simple("[::1]:4000", "[2001:db8::1]:53", dnsMsg).frame(), badSource},
		{"empty", nil, alien},
		{"ARP", append(make([]byte, 12), 8, 6, 0, 1), alien},
		{"cut in the IP header", v4.frame()[:30], malformed},
		{"cut in the message", v4.frame()[:60], malformed},
	}
	for _, c := range cases {
		var p packet
		if got := p.parse(c.frame, 53); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		} else if got == fine && !bytes.Equal(p.msg, dnsMsg) {
			t.Errorf("%s: message %x", c.name, p.msg)
		}
	}
}

// TestDamageIsSeen flips each bit of the packet: all but those that no checksum covers must be noticed.
func TestDamageIsSeen(t *testing.T) {
	for _, b := range []builder{
		simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg), simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg),
	} {
		whole := b.frame()
		for bit := etherLen * 8; bit < len(whole)*8; bit++ {
			f := bytes.Clone(whole)
			f[bit/8] ^= 1 << (bit % 8)
			var p packet
			if p.parse(f, 53) != fine {
				continue
			}
			// IPv6 has no checksum of its own: traffic class, flow label and hop limit are free.
			if at := bit/8 - etherLen; !(b.from.Addr().Is6() && (at < 4 || at == 7)) {
				t.Errorf("IPv6 %v: bit %d of byte %d flipped, and not noticed", b.from.Addr().Is6(), bit%8, at)
			}
		}
	}
}

// TestReply sends an answer back and reads it as the client would.
func TestReply(t *testing.T) {
	tags := [][]uint32{nil, {0x8100e005}, {0x88a80005, 0x81000006}}
	for _, ends := range [][2]string{{"192.0.2.2:4000", "192.0.2.1:53"}, {"[2001:db8::2]:4000", "[2001:db8::1]:53"}} {
		for _, tag := range tags {
			for n := dnsHeader; n < 100; n++ {
				q := simple(ends[0], ends[1], dnsMsg)
				q.tags = tag
				want := simple(ends[1], ends[0], bytes.Repeat([]byte{0xa5}, n))
				want.dst, want.src, want.tags = q.src, q.dst, tag
				if diff := cmp.Diff(normal(want.frame()), normal(replyTo(t, q.frame(), want.msg))); diff != "" {
					t.Fatalf("%v, tags %x, %d bytes (-want +got):\n%s", ends, tag, n, diff)
				}
			}
		}
	}
}

func replyTo(t *testing.T, query, answer []byte) []byte {
	t.Helper()
	var p packet
	if v := p.parse(query, 53); v != fine {
		t.Fatalf("verdict %d", v)
	}
	f := append(make([]byte, p.headers()), answer...)
	p.reply(f, 0, 9)
	var back packet
	if v := back.parse(f, p.client.Port()); v != fine {
		t.Fatalf("the answer's verdict is %d", v)
	}
	return f
}

// normal sets the fields that a builder and a reply differ in: hop limit with IPv4's checksum, and the flow label.
func normal(f []byte) []byte {
	kind, off := etherType(f)
	if ip := f[off:]; kind == typeIP4 {
		ip[8], ip[10], ip[11] = 0, 0, 0
	} else {
		ip[7] = 0
		copy(ip[:4], []byte{0x60, 0, 0, 0})
	}
	return f
}

func TestReplyHasTrafficClassAndHopLimit(t *testing.T) {
	const tos = 0x88
	for _, b := range []builder{
		simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg), simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg),
	} {
		var p packet
		p.parse(b.frame(), 53)
		f := make([]byte, len(b.frame()))
		p.reply(f, tos, 1)
		got := [2]byte{f[etherLen+1], f[etherLen+8]}
		if p.is6 {
			got = [2]byte{f[etherLen]<<4 | f[etherLen+1]>>4, f[etherLen+7]}
		}
		if got != [2]byte{tos, hopLimit} {
			t.Errorf("IPv6 %v: traffic class and hop limit %#x", p.is6, got)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	f := simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg).frame()
	out := make([]byte, len(f))
	var p packet
	if n := testing.AllocsPerRun(100, func() { p.parse(f, 53); p.reply(out, 0, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFrame shows the parser any frame; what it takes for a query must be answerable, and the answer must be what the parser
// itself takes for a right one, from the other side.
func FuzzFrame(f *testing.F) {
	f.Add(simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame())
	six := simple("[2001:db8::2]:4000", "[2001:db8::1]:53", dnsMsg)
	six.tags = []uint32{0x88a80005, 0x81000006}
	f.Add(six.frame())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		var p, back packet
		if p.parse(frame, 53) != fine {
			return
		}
		answer := append(make([]byte, p.headers()), p.msg...)
		p.reply(answer, 0, 7)
		if !bytes.Equal(before, frame) {
			t.Error("the query was changed")
		}
		v := back.parse(answer, p.client.Port())
		// An answer comes from our own address, which the program has checked, and here may be anything.
		if v != badSource && (v != fine || back.client.Addr() != p.local || back.local != p.client.Addr() || !bytes.Equal(back.msg, p.msg)) {
			t.Errorf("verdict %d: %v, answer to %v from %v", v, p.client, back.local, back.client)
		}
	})
}

func BenchmarkParseReply(b *testing.B) {
	f := simple("192.0.2.2:4000", "192.0.2.1:53", dnsMsg).frame()
	out := make([]byte, 500)
	var p packet
	for b.Loop() {
		p.parse(f, 53)
		p.reply(out, 0, 1)
	}
}
