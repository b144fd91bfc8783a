package dns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// This file reads the fields that many types have.

// name reads a domain name.
func (p *rdataParser) name(dst []byte) []byte {
	tok := p.next("a domain name")
	if p.err != nil {
		return dst
	}
	out, err := AppendNameFromText(dst, tok.Text, p.origin)
	if err == nil {
		return out
	}
	want := "labels of 1 to 63 octets with dots between, 255 octets in all"
	switch {
	case errors.Is(err, ErrRelativeName):
		want = "a name with a final dot, as there is no origin"
	case errors.Is(err, ErrBadEscape):
		want = `\ and a character, or \ and three digits up to 255`
	}
	return p.fail(dst, "bad name "+quoteForPeople(tok.Text)+": "+err.Error(), want)
}

// uint reads a number of at most limit.
func (p *rdataParser) uint(limit uint64, want string) uint64 {
	tok := p.next(want)
	v, ok := parseUint(tok.Text, limit)
	if !ok {
		p.bad(nil, "number", want)
	}
	return v
}

// code reads a number, or a mnemonic where kind k has some.
func (p *rdataParser) code(k kind, limit uint64) uint64 {
	tok := p.next(wantNumber(limit))
	if v, ok := parseUint(tok.Text, limit); ok {
		return v
	}
	if v, ok := lookupMnemonic(k, tok.Text); ok {
		return uint64(v)
	}
	p.bad(nil, codeNoun(k), codeWant(k, limit))
	return 0
}

func wantNumber(limit uint64) string {
	switch limit {
	case 1<<8 - 1:
		return "a number from 0 to 255"
	case 1<<16 - 1:
		return "a number from 0 to 65535"
	case 1<<32 - 1:
		return "a number from 0 to 4294967295"
	}
	return "a number from 0 to " + strconv.FormatUint(limit, 10)
}

// recordType reads a type by its mnemonic or as TYPE and a number.
func (p *rdataParser) recordType() Type {
	tok := p.next("a record type such as A or TYPE65280")
	t, ok := lookupType(tok.Text)
	if !ok {
		p.bad(nil, "record type", "a mnemonic such as A or AAAA, or TYPE and a number up to 65535")
	}
	return t
}

func (p *rdataParser) duration() uint32 {
	const want = "seconds, or numbers with units such as 1h30m (w, d, h, m, s)"
	tok := p.next(want)
	if v, ok := parseUint(tok.Text, 1<<32-1); ok {
		return uint32(v)
	}
	v, ok := ParseTTL(tok.Text)
	if !ok {
		p.bad(nil, "time", want)
	}
	return v
}

func (p *rdataParser) sigTime() uint32 {
	const want = "YYYYMMDDHHmmSS in UTC, or seconds since 1970"
	tok := p.next(want)
	v, ok := parseSigTime(tok.Text)
	if !ok {
		p.bad(nil, "time", want)
	}
	return v
}

func (p *rdataParser) ipv4(dst []byte) []byte {
	const want = "four numbers 0-255 with dots between"
	out, ok := appendIPv4(dst, p.next(want).Text)
	if !ok {
		return p.bad(dst, "IPv4 address", want)
	}
	return out
}

func (p *rdataParser) ipv6(dst []byte) []byte {
	const want = "eight groups of up to four hex digits with colons between, :: for a run of zeroes"
	out, ok := appendIPv6(dst, p.next(want).Text)
	if !ok {
		return p.bad(dst, "IPv6 address", want)
	}
	return out
}

// string reads a character-string of up to 255 octets (RFC 1035 §5.1).
func (p *rdataParser) string(dst []byte) []byte {
	at := len(dst)
	dst = p.octets(append(dst, 0), "a string")
	n := len(dst) - at - 1
	if n > 255 {
		return p.fail(dst[:at], "a string of "+strconv.Itoa(n)+" octets", "at most 255; split it into several strings")
	}
	dst[at] = byte(n)
	return dst
}

// octets reads a token as text, its escapes resolved.
func (p *rdataParser) octets(dst []byte, want string) []byte {
	tok := p.next(want)
	out, ok := appendUnescaped(dst, tok.Text)
	if !ok {
		return p.bad(dst, "escape in", `\ and a character, or \ and three digits up to 255`)
	}
	if !tok.Quoted && bytes.IndexByte(tok.Text, '"') >= 0 && hasBareQuote(tok.Text) {
		return p.bad(dst, "string", "quotes around the whole string")
	}
	return out
}

func appendUnescaped(dst, s []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...), true
		}
		dst = append(dst, s[:i]...)
		c, used := unescape(s[i:])
		if used == 0 {
			return dst, false
		}
		dst, s = append(dst, c), s[i+used:]
	}
}

// hasBareQuote reports whether s has a quote that no backslash stands before.
func hasBareQuote(s []byte) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return true
		}
	}
	return false
}

// tag reads CAA's tag: letters and digits (RFC 8659 §4.1).
func (p *rdataParser) tag(dst []byte) []byte {
	const want = "1 to 255 letters and digits, such as issue"
	tok := p.next(want)
	if len(tok.Text) > 255 || !isTag(tok.Text) {
		return p.bad(dst, "tag", want)
	}
	return append(append(dst, byte(len(tok.Text))), tok.Text...)
}

func isTag(s []byte) bool {
	for _, c := range s {
		if l := lower[c]; !isDigit(c) && (l < 'a' || l > 'z') {
			return false
		}
	}
	return len(s) > 0
}

// hexRest reads the tokens that are left as hex.
func (p *rdataParser) hexRest(dst []byte) []byte {
	const want = "hex digits, two for each octet"
	var r bitReader
	for first := true; first || p.more(); first = false {
		tok, ok := p.next(want), false
		if dst, ok = r.hex(dst, tok.Text); !ok {
			return p.bad(dst, "hex", want)
		}
	}
	if !r.hexDone() {
		return p.bad(dst, "hex", "an even number of hex digits")
	}
	return dst
}

// base64Rest reads the tokens that are left as base64.
func (p *rdataParser) base64Rest(dst []byte) []byte {
	var r bitReader
	for first := true; first || p.more(); first = false {
		tok, ok := p.next("base64"), false
		if dst, ok = r.base64(dst, tok.Text); !ok {
			return p.bad(dst, "base64", "letters, digits, + and /, with = at the end alone")
		}
	}
	if !r.base64Done() {
		return p.bad(dst, "end of base64", "groups of four characters, the last filled with =")
	}
	return dst
}

// takeDash takes a token that is a hyphen, which stands for no octets.
func (p *rdataParser) takeDash() bool {
	if p.i < len(p.toks) && string(p.toks[p.i].Text) == "-" {
		p.i++
		return true
	}
	return false
}

// salt reads NSEC3's salt (RFC 5155 §3.3).
func (p *rdataParser) salt(dst []byte) []byte {
	const want = "the salt: - for none, or at most 255 octets in hex"
	if p.takeDash() {
		return append(dst, 0)
	}
	at := len(dst)
	tok := p.next(want)
	var r bitReader
	dst, ok := r.hex(append(dst, 0), tok.Text)
	n := len(dst) - at - 1
	if !ok || !r.hexDone() || n > 255 || n == 0 {
		return p.bad(dst, "salt", want)
	}
	dst[at] = byte(n)
	return dst
}

// hashedName reads NSEC3's next hashed owner name (RFC 5155 §3.3).
func (p *rdataParser) hashedName(dst []byte) []byte {
	const want = "a hashed name in base32hex without padding"
	at := len(dst)
	tok := p.next(want)
	dst, ok := appendBase32(append(dst, 0), tok.Text)
	n := len(dst) - at - 1
	if !ok || n > 255 || n == 0 {
		return p.bad(dst, "hash", want)
	}
	dst[at] = byte(n)
	return dst
}

// base64Len16 reads a length and that many octets in one word of base64,
// which is missing where the length is 0.
func (p *rdataParser) base64Len16(dst []byte) []byte {
	n := p.uint(1<<16-1, "a length from 0 to 65535")
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	if n == 0 || p.err != nil {
		return dst
	}
	at := len(dst)
	tok := p.next("base64 in one word")
	var r bitReader
	dst, ok := r.base64(dst, tok.Text)
	if !ok || !r.base64Done() || len(dst)-at != int(n) {
		return p.bad(dst, "base64", "base64 in one word of as many octets as said before")
	}
	return dst
}

// hexGroups reads n groups of up to width hex digits, each making width/2 octets.
func (p *rdataParser) hexGroups(dst []byte, n, width int, sep byte, want string) []byte {
	s := p.next(want).Text
	start := len(dst)
	for i := range n {
		v, w := hexGroup(s[:min(len(s), width)])
		if w == 0 || sep == '-' && w != width {
			return p.bad(dst[:start], "address", want)
		}
		if width == 4 {
			dst = append(dst, byte(v>>8))
		}
		dst = append(dst, byte(v))
		if s = s[w:]; i < n-1 {
			if len(s) == 0 || s[0] != sep {
				return p.bad(dst[:start], "address", want)
			}
			s = s[1:]
		}
	}
	if len(s) != 0 {
		return p.bad(dst[:start], "address", want)
	}
	return dst
}

// nsap reads 0x and hex digits with dots anywhere (RFC 1706 §7).
func (p *rdataParser) nsap(dst []byte) []byte {
	const want = "0x and hex digits, two for each octet, dots anywhere"
	s := p.next(want).Text
	if len(s) < 2 || s[0] != '0' || lower[s[1]] != 'x' {
		return p.bad(dst, "NSAP address", want)
	}
	out, ok := appendDottedHex(dst, s[2:])
	if !ok || len(out) == len(dst) {
		return p.bad(dst, "NSAP address", want)
	}
	return out
}

func appendDottedHex(dst, s []byte) ([]byte, bool) {
	var r bitReader
	for part := range bytes.SplitSeq(s, []byte{'.'}) {
		out, ok := r.hex(dst, part)
		if !ok {
			return dst, false
		}
		dst = out
	}
	return dst, r.hexDone()
}

// The formats of an ATM address (af-dans-0152 §3).
const (
	atmAESA = 0
	atmE164 = 1
)

// atmAddress reads + and digits for an E.164 address, hex for an AESA.
func (p *rdataParser) atmAddress(dst []byte) []byte {
	const want = "+ and digits, or hex digits, two for each octet; dots anywhere"
	s := p.next(want).Text
	if len(s) == 0 || s[0] != '+' {
		out, ok := appendDottedHex(append(dst, atmAESA), s)
		if !ok || len(out) == len(dst)+1 {
			return p.bad(dst, "ATM address", want)
		}
		return out
	}
	start := len(dst)
	dst = append(dst, atmE164)
	for _, c := range s[1:] {
		if !isDigit(c) && c != '.' {
			return p.bad(dst, "ATM address", want)
		}
		if c != '.' {
			dst = append(dst, c)
		}
	}
	if len(dst) == start+1 {
		return p.bad(dst, "ATM address", want)
	}
	return dst
}
