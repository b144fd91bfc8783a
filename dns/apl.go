package dns

import (
	"bytes"
	"encoding/binary"
)

const errAPLItem = rdataError("APL item that is cut short, too long for its family or ends in a zero octet")

// The address families that APL knows (RFC 3123 §4).
const (
	familyIPv4 = 1
	familyIPv6 = 2
)

// familyLen returns the octets of an address of a family, 0 for one unknown.
func familyLen(family uint16) int {
	switch family {
	case familyIPv4:
		return 4
	case familyIPv6:
		return 16
	}
	return 0
}

// checkAPL checks a list of address prefixes (RFC 3123 §4). Items of a family
// unknown here are only measured.
func checkAPL(b []byte) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errAPLItem
		}
		size, n := familyLen(binary.BigEndian.Uint16(b)), int(b[3]&0x7F)
		switch {
		case len(b) < 4+n:
			return errAPLItem
		case size > 0 && (n > size || int(b[2]) > size*8):
			return errAPLItem
		case size > 0 && n > 0 && b[3+n] == 0: // "Trailing zero octets do not bear any information"
			return errAPLItem
		}
		b = b[4+n:]
	}
	return nil
}

// prefixes reads items of the form [!]family:address/prefix (RFC 3123 §5).
func (p *rdataParser) prefixes(dst []byte) []byte {
	for p.more() {
		dst = p.prefix(dst, p.take().Text)
	}
	return dst
}

func (p *rdataParser) prefix(dst, s []byte) []byte {
	const want = "[!]1:IPv4/prefix or [!]2:IPv6/prefix, such as 1:192.168.32.0/21"
	negation := byte(0)
	if len(s) > 0 && s[0] == '!' {
		negation, s = 0x80, s[1:]
	}
	family, rest, ok1 := bytes.Cut(s, []byte{':'})
	addr, bits, ok2 := bytes.Cut(rest, []byte{'/'})
	af, ok3 := parseUint(family, 2)
	size := familyLen(uint16(af))
	n, ok4 := parseUint(bits, uint64(size)*8)
	if !ok1 || !ok2 || !ok3 || !ok4 || size == 0 {
		return p.bad(dst, "address prefix", want)
	}
	var buf [16]byte
	var ok bool
	a := buf[:0]
	if af == familyIPv4 {
		a, ok = appendIPv4(a, addr)
	} else {
		a, ok = appendIPv6(a, addr)
	}
	if !ok {
		return p.bad(dst, "address prefix", want)
	}
	a = a[:trimZeroes(a)]
	dst = append(dst, 0, byte(af), byte(n), negation|byte(len(a)))
	return append(dst, a...)
}

// appendAPLText fails for items of a family without a text.
func appendAPLText(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	for len(b) > 0 {
		family, n := binary.BigEndian.Uint16(b), int(b[3]&0x7F)
		if b[3]&0x80 != 0 {
			dst = append(dst, '!')
		}
		var a [16]byte
		copy(a[:], b[4:4+n])
		dst = append(appendUint(dst, uint64(family)), ':')
		switch family {
		case familyIPv4:
			dst = appendIPv4Text(dst, a[:4])
		case familyIPv6:
			dst = appendIPv6Text(dst, a[:])
		default:
			return dst, false
		}
		dst = append(appendUint(append(dst, '/'), uint64(b[2])), ' ')
		b = b[4+n:]
	}
	return trimBlank(dst, start), true
}
