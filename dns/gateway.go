package dns

import (
	"encoding/base64"
	"encoding/binary"
)

// The forms of a gateway (RFC 4025 §2.3, RFC 8777 §4.2.3).
const (
	gatewayNone = 0
	gatewayIPv4 = 1
	gatewayIPv6 = 2
	gatewayName = 3
)

// gatewayForm returns the form of the gateway in rdata, whose second octet
// says it. AMTRELAY has its D bit there too.
func gatewayForm(k kind, rdata []byte) byte {
	if k == relay {
		return rdata[1] & 0x7F
	}
	return rdata[1]
}

// gatewayLen measures a gateway. One of an unknown form takes all that is left:
// it can be carried but not written.
func gatewayLen(form byte, b []byte) (int, error) {
	n := len(b)
	switch form {
	case gatewayNone:
		n = 0
	case gatewayIPv4:
		n = 4
	case gatewayIPv6:
		n = 16
	case gatewayName:
		return nameFieldLen(b)
	}
	if n > len(b) {
		return 0, errShortRData
	}
	return n, nil
}

// gateway reads a gateway of the form that stands in what was read before.
func (p *rdataParser) gateway(dst []byte, k kind) []byte {
	switch gatewayForm(k, dst[p.start:]) {
	case gatewayNone:
		tok := p.next("a dot, as the gateway's type 0 says that there is none")
		if p.err == nil && string(tok.Text) != "." {
			return p.bad(dst, "gateway", "a dot, as the gateway's type 0 says that there is none")
		}
		return dst
	case gatewayIPv4:
		return p.ipv4(dst)
	case gatewayIPv6:
		return p.ipv6(dst)
	}
	return p.name(dst)
}

func (p *rdataParser) gatewayType(dst []byte) []byte {
	v := p.uint(3, "a gateway type: 0 for none, 1 for IPv4, 2 for IPv6, 3 for a name")
	return append(dst, byte(v))
}

// relayType reads AMTRELAY's D bit and relay type (RFC 8777 §4.3.1).
func (p *rdataParser) relayType(dst []byte) []byte {
	d := p.uint(1, "the discovery bit, 0 or 1")
	v := p.uint(3, "a relay type: 0 for none, 1 for IPv4, 2 for IPv6, 3 for a name")
	return append(dst, byte(d<<7|v))
}

// appendGatewayText fails for a form that has no text.
func appendGatewayText(dst []byte, form byte, b []byte) ([]byte, bool) {
	switch form {
	case gatewayNone:
		return append(dst, '.'), true
	case gatewayIPv4:
		return appendIPv4Text(dst, b), true
	case gatewayIPv6:
		return appendIPv6Text(dst, b), true
	case gatewayName:
		return appendNameText(dst, b), true
	}
	return dst, false
}

// hostIDLen measures HIP's lengths, algorithm, HIT and public key (RFC 8005 §5).
func hostIDLen(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, errShortRData
	}
	n := 4 + int(b[0]) + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return 0, errShortRData
	}
	return n, nil
}

// hostID reads algorithm, HIT and public key, each a single word (RFC 8005 §6).
func (p *rdataParser) hostID(dst []byte) []byte {
	alg := p.uint(255, "a public key algorithm, 0 to 255")
	at := len(dst)
	dst = append(dst, 0, byte(alg), 0, 0)
	var hit, key bitReader
	tok := p.next("a host identity tag in hex")
	dst, ok := hit.hex(dst, tok.Text)
	n := len(dst) - at - 4
	if !ok || !hit.hexDone() || n > 255 {
		return p.bad(dst, "host identity tag", "at most 255 octets in hex, two digits each")
	}
	tok = p.next("a public key in base64")
	dst, ok = key.base64(dst, tok.Text)
	size := len(dst) - at - 4 - n
	if !ok || !key.base64Done() || size > maxRData {
		return p.bad(dst, "public key", "base64 in one word")
	}
	dst[at] = byte(n)
	binary.BigEndian.PutUint16(dst[at+2:], uint16(size))
	return dst
}

// appendHostIDText fails where HIT or key is empty: an absent word cannot be read back.
func appendHostIDText(dst, b []byte) ([]byte, bool) {
	n := int(b[0])
	if n == 0 || len(b) == 4+n {
		return dst, false
	}
	dst = append(appendUint(dst, uint64(b[1])), ' ')
	dst = append(appendHex(dst, b[4:4+n]), ' ')
	return base64.StdEncoding.AppendEncode(dst, b[4+n:]), true
}

const errA6Prefix = rdataError("A6 prefix length above 128")

// a6SuffixLen measures A6's prefix length and as many octets of the address as
// the prefix leaves (RFC 2874 §3.1.1).
func a6SuffixLen(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, errShortRData
	}
	if b[0] > 128 {
		return 0, errA6Prefix
	}
	n := 1 + (128-int(b[0])+7)/8
	if n > len(b) {
		return 0, errShortRData
	}
	return n, nil
}

// a6Suffix reads prefix length and address; there is no address behind 128
// (RFC 2874 §3.1.2).
func (p *rdataParser) a6Suffix(dst []byte) []byte {
	bits := p.uint(128, "a prefix length, 0 to 128")
	if p.err != nil || bits == 128 {
		return append(dst, byte(bits))
	}
	var buf [16]byte
	addr := p.ipv6(buf[:0])
	if p.err != nil {
		return dst
	}
	first := int(bits) / 8
	addr[first] &= 0xFF >> (bits % 8) // the prefix's bits are not the suffix's
	dst = append(dst, byte(bits))
	return append(dst, addr[first:]...)
}

// a6Name reads the prefix's name, which is there unless the prefix has no bits.
func (p *rdataParser) a6Name(dst []byte) []byte {
	if dst[p.start] == 0 {
		return dst
	}
	return p.name(dst)
}

// appendA6SuffixText fails where bits of the prefix are set in the suffix.
func appendA6SuffixText(dst, b []byte) ([]byte, bool) {
	dst = appendUint(dst, uint64(b[0]))
	if b[0] == 128 {
		return dst, true
	}
	if b[1]&^(0xFF>>(b[0]%8)) != 0 {
		return dst, false
	}
	var addr [16]byte
	copy(addr[16-(len(b)-1):], b[1:])
	return appendIPv6Text(append(dst, ' '), addr[:]), true
}
