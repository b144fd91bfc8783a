package dns

import "encoding/binary"

// This file reads numbers, addresses, hex, base32hex and base64 from octets.
// A zone of a TLD has many millions of them, and the standard library's
// decoders want strings or copies.

// parseUint reads a decimal number of at most limit.
func parseUint(s []byte, limit uint64) (uint64, bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		d := uint64(c - '0')
		if v > (limit-d)/10 || d > limit {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// appendIPv4 reads four numbers with dots between. Leading zeroes are refused:
// some programs take them for octal (RFC 6943 §3.1.1).
func appendIPv4(dst, s []byte) ([]byte, bool) {
	start := len(dst)
	for i := 0; i < 4; i++ {
		n, v := 0, 0
		for n < len(s) && n < 4 && isDigit(s[n]) {
			v = v*10 + int(s[n]-'0')
			n++
		}
		if n == 0 || v > 255 || n > 1 && s[0] == '0' {
			return dst[:start], false
		}
		dst = append(dst, byte(v))
		if s = s[n:]; i < 3 {
			if len(s) == 0 || s[0] != '.' {
				return dst[:start], false
			}
			s = s[1:]
		}
	}
	if len(s) != 0 {
		return dst[:start], false
	}
	return dst, true
}

// appendIPv6 reads an address in the forms of RFC 4291 §2.2.
func appendIPv6(dst, s []byte) ([]byte, bool) {
	var a [16]byte
	n, gap := 0, -1 // octets read, and where :: stands among them
	if len(s) >= 2 && s[0] == ':' && s[1] == ':' {
		gap, s = 0, s[2:]
	}
	for len(s) > 0 {
		if n == 16 {
			return dst, false
		}
		v, w := hexGroup(s)
		if w == 0 {
			return dst, false
		}
		if w < len(s) && s[w] == '.' { // the last 32 bits as an IPv4 address
			if n > 12 {
				return dst, false
			}
			if _, ok := appendIPv4(a[n:n], s); !ok {
				return dst, false
			}
			n += 4
			break
		}
		binary.BigEndian.PutUint16(a[n:], v)
		n += 2
		if s = s[w:]; len(s) == 0 {
			break
		}
		if s[0] != ':' || len(s) == 1 {
			return dst, false
		}
		if s = s[1:]; s[0] == ':' {
			if gap >= 0 {
				return dst, false
			}
			gap, s = n, s[1:]
		}
	}
	if gap < 0 && n != 16 || gap >= 0 && n == 16 {
		return dst, false
	}
	if gap >= 0 {
		copy(a[16-(n-gap):], a[gap:n])
		clear(a[gap : 16-(n-gap)])
	}
	return append(dst, a[:]...), true
}

// hexGroup reads up to four hex digits; w is how many there were.
func hexGroup(s []byte) (v uint16, w int) {
	for w < len(s) && w < 4 {
		d := hexValue[s[w]]
		if d == notDigit {
			break
		}
		v, w = v<<4|uint16(d), w+1
	}
	return v, w
}

const notDigit = 0xFF

// digitValues maps the characters of an alphabet to their values.
func digitValues(alphabet string) (t [256]byte) {
	for i := range t {
		t[i] = notDigit
	}
	for i, c := range []byte(alphabet) {
		t[c] = byte(i)
	}
	return t
}

// digitValuesFold is digitValues for an alphabet that has no case.
func digitValuesFold(alphabet string) [256]byte {
	t := digitValues(alphabet)
	for c := 'A'; c <= 'Z'; c++ {
		t[c+'a'-'A'] = t[c]
	}
	return t
}

const (
	hexDigits    = "0123456789ABCDEF"
	base32Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV" // RFC 4648 §7
	base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

var (
	hexValue    = digitValuesFold(hexDigits)
	base32Value = digitValuesFold(base32Digits)
	base64Value = digitValues(base64Digits)
)

// bitReader turns digits of a few bits each into octets; hex and base64 may
// come in several pieces.
type bitReader struct {
	acc    uint32
	bits   uint // bits in acc that are not octets yet
	digits int
	pad    int
}

// hex reads digits of base 16.
func (r *bitReader) hex(dst, s []byte) ([]byte, bool) {
	i := 0
	if r.bits == 0 { // pairs, by far the most common
		for ; i+1 < len(s); i += 2 {
			h, l := hexValue[s[i]], hexValue[s[i+1]]
			if h|l == notDigit {
				return dst, false
			}
			dst = append(dst, h<<4|l)
		}
	}
	for ; i < len(s); i++ {
		v := hexValue[s[i]]
		if v == notDigit {
			return dst, false
		}
		r.acc, r.bits = r.acc<<4|uint32(v), r.bits^4
		if r.bits == 0 {
			dst = append(dst, byte(r.acc))
		}
	}
	return dst, true
}

// base64 reads digits of base 64 with their padding (RFC 4648 §4).
func (r *bitReader) base64(dst, s []byte) ([]byte, bool) {
	i := 0
	if r.digits%4 == 0 && r.pad == 0 { // groups of four without padding
		for ; i+3 < len(s); i += 4 {
			a, b := base64Value[s[i]], base64Value[s[i+1]]
			c, d := base64Value[s[i+2]], base64Value[s[i+3]]
			if a|b|c|d > 63 {
				break
			}
			v := uint32(a)<<18 | uint32(b)<<12 | uint32(c)<<6 | uint32(d)
			dst = append(dst, byte(v>>16), byte(v>>8), byte(v))
		}
	}
	for ; i < len(s); i++ {
		if s[i] == '=' {
			if r.pad++; r.digits%4+r.pad > 4 || r.digits%4 < 2 {
				return dst, false
			}
			continue
		}
		v := base64Value[s[i]]
		if v == notDigit || r.pad > 0 {
			return dst, false
		}
		r.acc, r.bits, r.digits = r.acc<<6|uint32(v), r.bits+6, r.digits+1
		if r.bits >= 8 {
			r.bits -= 8
			dst = append(dst, byte(r.acc>>r.bits))
		}
	}
	return dst, true
}

// hexDone reports whether the hex digits read came in pairs.
func (r *bitReader) hexDone() bool { return r.bits == 0 }

// base64Done reports whether the digits read and their padding fill groups of
// four, and the bits that padding stands for are zero.
func (r *bitReader) base64Done() bool {
	return (r.digits%4+r.pad)%4 == 0 && r.acc&(1<<r.bits-1) == 0
}

// appendBase32 reads base32hex without padding (RFC 5155 §3.3).
func appendBase32(dst, s []byte) ([]byte, bool) {
	start := len(dst)
	var acc uint32
	var bits uint
	for _, c := range s {
		v := base32Value[c]
		if v == notDigit {
			return dst[:start], false
		}
		if acc, bits = acc<<5|uint32(v), bits+5; bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
		}
	}
	// Five bits or more left over would be a digit that says nothing.
	if bits >= 5 || acc&(1<<bits-1) != 0 {
		return dst[:start], false
	}
	return dst, true
}

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}
