package zonefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"onoma/dns"
)

// owner is the name that an entry without one belongs to, and the text that it
// was read from: sorted zones repeat it line after line.
type owner struct {
	wire  [dns.MaxNameLen]byte
	len   int // 0: none was stated yet
	text  []byte
	known bool // text, under the origin in force, gives wire
	lost  bool // the last one stated could not be read
}

// set reads an owner. It knows the one before without looking into it.
func (o *owner) set(text []byte, origin dns.Name) error {
	if o.known && bytes.Equal(text, o.text) {
		return nil
	}
	o.known, o.lost = false, true
	w, err := dns.AppendNameFromText(o.wire[:0], text, origin)
	if err != nil {
		return err
	}
	o.len = len(w)
	o.text = append(o.text[:0], text...)
	o.known, o.lost = true, false
	return nil
}

// inherit takes over the name of p, which belongs to another file.
func (o *owner) inherit(p *owner) {
	o.wire, o.len, o.lost = p.wire, p.len, p.lost
	o.known = false
}

// ttlState is what decides the TTL of a record without one.
type ttlState struct {
	std, last         uint32 // $TTL, and the last one stated
	haveStd, haveLast bool

	stated  bool // last was stated in the text read by this Reader
	guessed bool // last was used without that
}

func (s *ttlState) setDefault(ttl uint32) { s.std, s.haveStd = ttl, true }

// implied returns the TTL of a record without one: that of $TTL (RFC 2308 §4),
// else the last one stated (RFC 1035 §5.1).
func (s *ttlState) implied() (ttl uint32, ok bool) {
	if s.haveStd {
		return s.std, true
	}
	s.guessed = s.guessed || !s.stated
	return s.last, s.haveLast
}

// header is what stands between the owner and the rdata.
type header struct {
	ttl     uint32
	haveTTL bool
	typ     dns.Type
	rdata   int // index of the first token of the rdata
}

// record reads the entry in z.lex as a resource record.
func (z *Reader) record() (*Entry, *fault) {
	x, first := &z.lex, 0
	if !x.blank {
		if f := z.setOwner(); f != nil {
			return nil, f
		}
		first = 1
	}
	h, f := z.header(first)
	if f != nil {
		return nil, f
	}
	if z.owner.len == 0 && !z.owner.lost {
		return nil, faultAt(x.off(0), "no owner", "a domain name in column one of the first record")
	}
	if f = z.fillEntry(z.owner, &h, x.toks[h.rdata:]); f != nil {
		return nil, z.within(f, h.rdata)
	}
	if z.owner.lost {
		return nil, nil // whose it is was reported with the owner
	}
	return &z.entry, nil
}

// off returns the offset of token i, or the end of the entry behind the last.
func (x *lexer) off(i int) int {
	if i < len(x.offs) {
		return int(x.offs[i])
	}
	return x.end
}

// within turns a fault whose place is a token of the rdata, counted from the
// token first of the entry, into one of the entry.
func (z *Reader) within(f *fault, first int) *fault {
	f.off = z.lex.off(first + f.off)
	return f
}

func (z *Reader) setOwner() *fault {
	tok := &z.lex.toks[0]
	if tok.Quoted {
		z.owner.known, z.owner.lost = false, true
		return faultAt(z.lex.off(0), "quoted string as an owner", "a domain name without quotes")
	}
	if err := z.owner.set(tok.Text, z.src.origin); err != nil {
		return nameFault(z.lex.off(0), "owner", tok.Text, err)
	}
	return nil
}

// salvageOwner keeps the owner of an entry that is otherwise unreadable, for the
// entries that follow without one.
func (z *Reader) salvageOwner() {
	if z.lex.blank {
		return
	}
	z.owner.known, z.owner.lost = false, true
	if len(z.lex.toks) > 0 && z.lex.off(0) < z.lex.fault.off && !z.isDirective() {
		z.setOwner()
	}
}

// header reads TTL, class and type from token k on. TTL and class may be
// missing and come in either order (RFC 1035 §5.1).
func (z *Reader) header(k int) (h header, f *fault) {
	haveClass := false
	for x := &z.lex; ; k++ {
		if k == len(x.toks) {
			return h, faultAt(x.end, "entry without a type", "a record type")
		}
		tok := &x.toks[k]
		if tok.Quoted {
			return h, faultAt(x.off(k), "quoted string "+show(tok.Text), "a record type")
		}
		if c := tok.Text[0]; c >= '0' && c <= '9' {
			if h.ttl, f = z.parseTTL(k); f != nil {
				return h, f
			}
			if h.haveTTL {
				return h, faultAt(x.off(k), "second TTL "+show(tok.Text), "a class or a record type")
			}
			h.haveTTL = true
			continue
		}
		class, ok := parseClass(tok.Text)
		switch {
		case !ok:
			h.rdata = k + 1
			h.typ, f = z.recordType(k)
			return h, f
		case haveClass:
			return h, faultAt(x.off(k), "second class "+show(tok.Text), "a TTL or a record type")
		case class != z.opts.Class:
			return h, faultAt(x.off(k), "class "+class.String(), z.opts.Class.String()+", the class of the zone")
		}
		haveClass = true
	}
}

func (z *Reader) parseTTL(k int) (uint32, *fault) {
	ttl, ok := dns.ParseTTL(z.lex.toks[k].Text)
	if !ok {
		return 0, faultAt(z.lex.off(k), "bad TTL "+show(z.lex.toks[k].Text),
			"seconds up to 2147483647, or numbers with units such as 1h30m (w, d, h, m, s)")
	}
	return ttl, nil
}

// parseClass reads a class that a zone can have. ANY and NONE are not among
// them, and ANY is taken for the type.
func parseClass(s []byte) (dns.Class, bool) {
	if len(s) == 2 {
		switch uint16(s[0]|0x20)<<8 | uint16(s[1]|0x20) {
		case 'i'<<8 | 'n':
			return dns.ClassIN, true
		case 'c'<<8 | 'h':
			return dns.ClassCH, true
		case 'h'<<8 | 's':
			return dns.ClassHS, true
		}
		return 0, false
	}
	if len(s) < 5 || s[0]|0x20 != 'c' && s[0]|0x20 != 'h' {
		return 0, false
	}
	return dns.ParseClass(string(s))
}

func (z *Reader) recordType(k int) (dns.Type, *fault) {
	text := z.lex.toks[k].Text
	t, ok := z.types.lookup(text)
	switch {
	case ok && !t.IsMeta():
		return t, nil
	case ok:
		return 0, faultAt(z.lex.off(k), "type "+t.String()+" in a zone", "a type of data")
	case k == 0 && text[0] == '$':
		return 0, faultAt(z.lex.off(k), "directive "+show(text)+" behind a blank", "it in column one")
	}
	return 0, faultAt(z.lex.off(k), "unknown type "+show(text), "a record type, or TYPE and a number")
}

// fillEntry reads the rdata and makes the record. The place of a fault is the
// index of the token in rdata.
func (z *Reader) fillEntry(o *owner, h *header, rdata []dns.Token) *fault {
	ttl, haveTTL := h.ttl, h.haveTTL
	if !haveTTL {
		ttl, haveTTL = z.ttl.implied()
	}
	if !haveTTL && h.typ != dns.TypeSOA {
		return faultAt(-1, "no TTL", "a TTL here, or $TTL before")
	}
	data, err := dns.ParseRData(z.data[:0], h.typ, rdata, z.src.origin)
	if err != nil {
		return rdataFault(err, len(rdata))
	}
	z.data = data
	if !haveTTL {
		// RFC 1035 §3.3.13: the minimum is the TTL of what states none.
		ttl = min(binary.BigEndian.Uint32(data[len(data)-4:]), dns.MaxTTL)
		z.ttl.setDefault(ttl)
	}
	if h.haveTTL {
		z.ttl.last, z.ttl.haveLast, z.ttl.stated = ttl, true, true
	}
	z.entry = Entry{
		Owner: o.wire[:o.len],
		Type:  h.typ, Class: z.opts.Class, TTL: ttl, Data: data,
	}
	return nil
}

func rdataFault(err error, tokens int) *fault {
	var te *dns.TextError
	if !errors.As(err, &te) {
		return &fault{off: tokens, what: fmt.Sprintf("rdata: %v", err), err: err}
	}
	return faultAt(te.Token, te.What, te.Want)
}

// typeCache remembers types by their mnemonic as it was written: a zone has few
// and the same ones on every line.
type typeCache [64]struct {
	key uint64
	typ dns.Type
}

func (c *typeCache) lookup(s []byte) (dns.Type, bool) {
	if len(s) > 8 {
		return dns.ParseType(string(s))
	}
	var key uint64
	for _, b := range s {
		key = key<<8 | uint64(b)
	}
	slot := &c[(key*0x9E3779B97F4A7C15)>>58]
	if slot.key == key {
		return slot.typ, true
	}
	t, ok := dns.ParseType(string(s))
	if ok {
		slot.key, slot.typ = key, t
	}
	return t, ok
}
