package dns

import (
	"encoding/binary"
	"fmt"
)

// Token is one word of a line of a master file: what stands between blanks, or
// within quotes (Quoted, the quotes taken off). Escapes are not yet resolved.
// A quote inside a word, as in key="a b", makes the blanks up to the next
// quote part of that word; such quotes stay in Text.
type Token struct {
	Text   []byte
	Quoted bool
}

// TextError says what is wrong with the text of rdata, and where.
type TextError struct {
	Token int    // index of the token, or their number: the line ended too early
	What  string // what was found
	Want  string // what was expected
}

func (e *TextError) Error() string { return e.What + ", expected " + e.Want }

// ParseRData reads rdata of type t in presentation form and appends its wire
// form to dst. Any type may also be written as \#, length and hex (RFC 3597
// §5). Names without a final dot are relative to origin. The error is a
// *TextError.
func ParseRData(dst []byte, t Type, toks []Token, origin Name) ([]byte, error) {
	p := rdataParser{toks: toks, start: len(dst), origin: origin}
	out := p.rdata(dst, t)
	if p.err != nil {
		return dst, p.err
	}
	return out, nil
}

// rdataParser reads tokens one by one. Its methods append to dst what they
// read. The first error stays: what is appended behind it is nobody's, and the
// walk over the row ends there.
type rdataParser struct {
	toks   []Token
	i      int // the next token
	start  int // where the rdata starts in dst
	origin Name
	err    *TextError
}

func (p *rdataParser) rdata(dst []byte, t Type) []byte {
	fields := fieldsOf(t)
	if len(p.toks) > 0 && !p.toks[0].Quoted && string(p.toks[0].Text) == `\#` {
		return p.generic(dst, t)
	}
	if fields == nil {
		p.next(`\#, the length and the rdata in hex, as the type has no other form (RFC 3597)`)
		return p.bad(dst, "rdata", `\#, the length and the rdata in hex, as the type has no other form (RFC 3597)`)
	}
	for _, k := range fields {
		if dst = p.field(dst, k); p.err != nil {
			return dst
		}
	}
	if p.i < len(p.toks) {
		p.i++
		return p.bad(dst, "extra field", "the end of the "+t.String()+" record")
	}
	if len(dst)-p.start > maxRData {
		return p.fail(dst, fmt.Sprintf("rdata of %d octets", len(dst)-p.start), "at most 65535")
	}
	return dst
}

// field reads a field of kind k.
func (p *rdataParser) field(dst []byte, k kind) []byte {
	be := binary.BigEndian
	switch k {
	case nameC, nameD, nameL, nameP:
		return p.name(dst)
	case u8, protocol, algorithm, scheme:
		return append(dst, byte(p.code(k, 1<<8-1)))
	case u16, certType, errorCode:
		return be.AppendUint16(dst, uint16(p.code(k, 1<<16-1)))
	case typeCode:
		return be.AppendUint16(dst, uint16(p.recordType()))
	case u32:
		return be.AppendUint32(dst, uint32(p.code(k, 1<<32-1)))
	case ttl:
		return be.AppendUint32(dst, p.duration())
	case sigTime:
		return be.AppendUint32(dst, p.sigTime())
	case u48:
		v := p.code(k, 1<<48-1)
		return be.AppendUint32(be.AppendUint16(dst, uint16(v>>32)), uint32(v))
	case u64:
		return be.AppendUint64(dst, p.code(k, 1<<64-1))
	case ipv4:
		return p.ipv4(dst)
	case ipv6:
		return p.ipv6(dst)
	case text:
		return p.string(dst)
	case texts:
		dst = p.string(dst)
		for p.more() {
			dst = p.string(dst)
		}
		return dst
	case bitmap:
		return p.bitmap(dst)
	}
	return p.data(dst, k)
}

// data reads the kinds that are octets in hex, base64 or quotes.
func (p *rdataParser) data(dst []byte, k kind) []byte {
	switch k {
	case hexRest:
		return p.hexRest(dst)
	case b64Rest:
		return p.base64Rest(dst)
	case b64Opt:
		if len(p.toks) == p.i {
			return dst
		}
		return p.base64Rest(dst)
	case b64Dash:
		if p.takeDash() {
			return dst
		}
		return p.base64Rest(dst)
	case hexLen8:
		return p.salt(dst)
	case b32Len8:
		return p.hashedName(dst)
	case b64Len16:
		return p.base64Len16(dst)
	case octetsQ:
		return p.octets(dst, "a string in quotes")
	case tag:
		return p.tag(dst)
	case textOpt:
		if len(p.toks) == p.i {
			return dst
		}
		return p.string(dst)
	}
	return p.special(dst, k)
}

// special reads the kinds that only one or two types have.
func (p *rdataParser) special(dst []byte, k kind) []byte {
	switch k {
	case names:
		for p.more() {
			dst = p.name(dst)
		}
		return dst
	case gwType:
		return p.gatewayType(dst)
	case relayType:
		return p.relayType(dst)
	case gateway, relay:
		return p.gateway(dst, k)
	case hostID:
		return p.hostID(dst)
	case a6Suffix:
		return p.a6Suffix(dst)
	case a6Name:
		return p.a6Name(dst)
	case bitmapNXT:
		return p.bitmapNXT(dst)
	case location:
		return p.location(dst)
	case prefixes:
		return p.prefixes(dst)
	case svcParams:
		return p.svcParams(dst)
	case services:
		return p.services(dst)
	case nsapHex:
		return p.nsap(dst)
	case atmAddr:
		return p.atmAddress(dst)
	case eui48:
		return p.hexGroups(dst, 6, 2, '-', "six pairs of hex digits with hyphens between, as in 00-00-5e-00-53-2a")
	case eui64:
		return p.hexGroups(dst, 8, 2, '-', "eight pairs of hex digits with hyphens between, as in 00-00-5e-ef-10-00-00-2a")
	case node64:
		return p.hexGroups(dst, 4, 4, ':', "four groups of up to four hex digits with colons between, as in 14:4fff:ff20:ee64")
	}
	panic("dns: a kind without a parser")
}

// generic reads the form of RFC 3597 §5, which any type may have; rdata of a
// known type is checked.
func (p *rdataParser) generic(dst []byte, t Type) []byte {
	p.i = 1
	n := p.uint(maxRData, "the length of the rdata in octets")
	if p.err != nil {
		return dst
	}
	var r bitReader
	for p.more() {
		tok, ok := p.take(), false
		if dst, ok = r.hex(dst, tok.Text); !ok {
			return p.bad(dst, "hex", "two hex digits for each octet")
		}
	}
	if got := len(dst) - p.start; got != int(n) || !r.hexDone() {
		p.i = 2
		return p.fail(dst, fmt.Sprintf("length %d before %d octets of hex", n, got), "the number of octets that follow")
	}
	if err := CheckRData(t, dst[p.start:]); err != nil {
		p.i = 1
		return p.fail(dst, err.Error(), "the wire form of "+t.String())
	}
	return dst
}

// more reports whether there is a token left and no error so far.
func (p *rdataParser) more() bool { return p.err == nil && p.i < len(p.toks) }

// take returns the next token, which there must be.
func (p *rdataParser) take() Token {
	p.i++
	return p.toks[p.i-1]
}

// next returns the next token. Where there is none, it notes that want was
// expected and returns an empty one.
func (p *rdataParser) next(want string) Token {
	if p.i < len(p.toks) {
		return p.take()
	}
	if p.err == nil {
		p.err = &TextError{len(p.toks), "unexpected end of the line", want}
	}
	return Token{}
}

// fail notes an error about the token taken last, unless there is one already.
func (p *rdataParser) fail(dst []byte, what, want string) []byte {
	if p.err == nil {
		p.err = &TextError{p.i - 1, what, want}
	}
	return dst
}

// bad is fail with the token's text behind its name.
func (p *rdataParser) bad(dst []byte, noun, want string) []byte {
	if p.err != nil {
		return dst
	}
	return p.fail(dst, "bad "+noun+" "+quoteForPeople(p.toks[p.i-1].Text), want)
}

// quoteForPeople quotes the start of what somebody wrote.
func quoteForPeople(s []byte) string {
	const most = 48
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
