package xdp

import (
	"encoding/binary"
	"net/netip"
)

// Lengths of headers, and the places of their fields.
const (
	etherLen = 14
	vlanLen  = 4
	ip4Len   = 20
	ip6Len   = 40
	udpLen   = 8

	maxTags = 2 // one of 802.1ad around one of 802.1Q

	typeIP4  = 0x0800
	typeIP6  = 0x86dd
	tagQ     = 0x8100 // 802.1Q
	tagAD    = 0x88a8 // 802.1ad
	protoUDP = 17

	hopLimit = 64 // RFC 1700's default, as the kernel has it
)

// verdict is what becomes of a frame, and the index of its counter.
type verdict int

const (
	fine      verdict = iota
	alien             // not UDP over IP for our port: the program should not have let it through
	malformed         // lengths that contradict each other
	badSum            // a wrong checksum
	badSource         // a source that nobody may answer
)

// packet is a UDP datagram in a frame. It aliases the frame.
type packet struct {
	frame  []byte
	ip     int // offset of the IP header
	udp    int // offset of the UDP header
	is6    bool
	client netip.AddrPort
	local  netip.Addr
	msg    []byte
}

// parse reads a frame. The fields of p are only valid where the verdict is fine.
func (p *packet) parse(frame []byte, port uint16) verdict {
	kind, off := etherType(frame)
	p.frame, p.ip = frame, off
	switch kind {
	case typeIP4:
		return p.parse4(frame[off:], port)
	case typeIP6:
		return p.parse6(frame[off:], port)
	}
	return alien
}

// etherType finds what the frame carries and where that begins, behind up to two VLAN tags.
func etherType(frame []byte) (kind uint16, off int) {
	if len(frame) < etherLen {
		return 0, 0
	}
	kind, off = binary.BigEndian.Uint16(frame[12:]), etherLen
	for range maxTags {
		if kind != tagQ && kind != tagAD || len(frame) < off+vlanLen {
			break
		}
		kind, off = binary.BigEndian.Uint16(frame[off+2:]), off+vlanLen
	}
	return kind, off
}

// parse4 reads an IPv4 packet without options that is no fragment (RFC 791 §3.1).
func (p *packet) parse4(b []byte, port uint16) verdict {
	if len(b) < ip4Len+udpLen {
		return malformed
	}
	const moreFragmentsAndOffset = 0x3fff
	if b[0] != 4<<4|ip4Len/4 || b[9] != protoUDP || binary.BigEndian.Uint16(b[6:])&moreFragmentsAndOffset != 0 {
		return alien
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total < ip4Len+udpLen || total > len(b) {
		return malformed // longer is fine: Ethernet pads to 60 bytes
	}
	if fold(sum(0, b[:ip4Len])) != 0xffff {
		return badSum
	}
	src := netip.AddrFrom4([4]byte(b[12:]))
	p.local = netip.AddrFrom4([4]byte(b[16:]))
	p.is6, p.udp = false, p.ip+ip4Len
	// RFC 1122 §3.2.1.3: these are never sources. 0.0.0.0/8 and 240.0.0.0/4 with them.
	if b[12] == 0 || b[12] == 127 || b[12] >= 224 {
		return badSource
	}
	return p.parseUDP(b[ip4Len:total], sum(0, b[12:ip4Len]), src, port)
}

// parse6 reads an IPv6 packet whose next header is UDP (RFC 8200 §3).
func (p *packet) parse6(b []byte, port uint16) verdict {
	if len(b) < ip6Len+udpLen {
		return malformed
	}
	if b[0]>>4 != 6 || b[6] != protoUDP {
		return alien
	}
	total := ip6Len + int(binary.BigEndian.Uint16(b[4:]))
	if total < ip6Len+udpLen || total > len(b) {
		return malformed
	}
	src := netip.AddrFrom16([16]byte(b[8:]))
	p.local = netip.AddrFrom16([16]byte(b[24:]))
	p.is6, p.udp = true, p.ip+ip6Len
	// RFC 4291 §2.5.2, 2.5.3 and 2.7; and an IPv4 address in IPv6's clothes is not one on the wire (RFC 4942 §2.2).
	if b[8] == 0xff || src.IsUnspecified() || src.IsLoopback() || src.Is4In6() {
		return badSource
	}
	return p.parseUDP(b[ip6Len:total], sum(0, b[8:ip6Len]), src, port)
}

// parseUDP reads the datagram (RFC 768); addrs is the sum over both addresses.
func (p *packet) parseUDP(b []byte, addrs uint64, src netip.Addr, port uint16) verdict {
	if binary.BigEndian.Uint16(b[2:]) != port {
		return alien
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < udpLen || n > len(b) {
		return malformed
	}
	b = b[:n] // what follows in the IP packet is not the datagram's
	if !p.rightSum(b, addrs) {
		return badSum
	}
	p.client = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	p.msg = b[udpLen:]
	return fine
}

// rightSum verifies a datagram's checksum.
//
// A sender on this machine (a veth pair, a container) leaves it to the network card, which is not there: the packet then
// comes with the sum over the pseudo-header in the field, not complemented, since that is what a card starts from
// (CHECKSUM_PARTIAL). It never left memory, so there is nothing to verify, and such a field is accepted. From the wire a
// damaged packet passes for one in 1 of 65,535 cases, as often as it passes by its sum.
func (p *packet) rightSum(datagram []byte, addrs uint64) bool {
	field := binary.BigEndian.Uint16(datagram[6:])
	if field == 0 {
		return !p.is6 // none: allowed over IPv4 (RFC 768), not over IPv6 (RFC 8200 §8.1)
	}
	pseudo := pseudoSum(addrs, len(datagram))
	return fold(sum(pseudo, datagram)) == 0xffff || field == fold(pseudo)
}

// pseudoSum completes the sum over the addresses to that over the pseudo-header.
func pseudoSum(addrs uint64, n int) uint64 { return add(addrs, uint64(n)+protoUDP) }

// headers is how many bytes stand before the message.
func (p *packet) headers() int { return p.udp + udpLen }

// reply writes the headers of the answer to p into f, which holds the answer's message behind headers() bytes and ends with
// it. It goes back where it came from: to the sender's MAC address, with the same VLAN tags.
func (p *packet) reply(f []byte, tos uint8, id uint16) {
	q := p.frame
	copy(f[0:6], q[6:12])
	copy(f[6:12], q[0:6])
	copy(f[12:p.ip], q[12:p.ip])
	ip, from := f[p.ip:], q[p.ip:]
	var addrs uint64
	if p.is6 {
		addrs = reply6(ip, from, tos)
	} else {
		addrs = reply4(ip, from, tos, id)
	}
	u := f[p.udp:]
	copy(u[0:2], q[p.udp+2:])
	copy(u[2:4], q[p.udp:])
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	u[6], u[7] = 0, 0
	c := ^fold(sum(pseudoSum(addrs, len(u)), u))
	if c == 0 {
		c = 0xffff // 0 would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(u[6:], c)
}

// reply4 writes an IPv4 header and returns the sum over its addresses. DF stays clear as on our sockets, so the packet
// needs an ID of its own (RFC 6864 §4.1).
func reply4(ip, from []byte, tos uint8, id uint16) (addrs uint64) {
	ip[0], ip[1] = 4<<4|ip4Len/4, tos
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], id)
	ip[6], ip[7] = 0, 0
	ip[8], ip[9] = hopLimit, protoUDP
	ip[10], ip[11] = 0, 0
	copy(ip[12:16], from[16:20])
	copy(ip[16:20], from[12:16])
	addrs = sum(0, ip[12:ip4Len])
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(addrs, ip[:12])))
	return addrs
}

// reply6 writes an IPv6 header and returns the sum over its addresses. The flow label of the query is not ours to repeat.
func reply6(ip, from []byte, tos uint8) (addrs uint64) {
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(tos)<<20)
	binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ip6Len))
	ip[6], ip[7] = protoUDP, hopLimit
	copy(ip[8:24], from[24:40])
	copy(ip[24:40], from[8:24])
	return sum(0, ip[8:ip6Len])
}
