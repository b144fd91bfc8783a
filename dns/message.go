package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Message is a message taken apart: what tools, the resolver and tests work
// on. OPT is lifted out of the additional section into EDNS; everything else
// stands where it stood.
type Message struct {
	ID         uint16
	Flags      Flags // QR, opcode and flag bits; the rcode bits are RCode's
	RCode      RCode // with the upper bits of EDNS (RFC 6891 §6.1.3)
	Questions  []Question
	Answer     []Record
	Authority  []Record
	Additional []Record
	EDNS       *EDNS
}

// NewQuery returns a query for the question with recursion as said.
func NewQuery(id uint16, q Question, recurse bool) *Message {
	m := &Message{ID: id, Questions: []Question{q}}
	if recurse {
		m.Flags |= FlagRD
	}
	return m
}

// Question returns the first question, or the zero Question.
func (m *Message) Question() Question {
	if len(m.Questions) == 0 {
		return Question{}
	}
	return m.Questions[0]
}

// Section returns the records of a section.
func (m *Message) Section(s Section) []Record {
	return [...][]Record{m.Answer, m.Authority, m.Additional}[s]
}

// ParseMessage reads a whole message. The result shares no memory with msg.
// Work and memory are bounded by the length of msg, not by its counts: names
// expand to at most 255 octets for each two of the message.
func ParseMessage(msg []byte) (*Message, error) { return parseMessage(msg, false) }

// ParseLoosely is ParseMessage for what servers say that are not one's own: a
// record whose data is not what its type has is left out, rather than the whole
// message. Parameters of SVCB and HTTPS are for whom they are meant to judge.
func ParseLoosely(msg []byte) (*Message, error) { return parseMessage(msg, true) }

func parseMessage(msg []byte, isLoose bool) (*Message, error) {
	h, ok := ParseHeader(msg)
	if !ok {
		return nil, fmt.Errorf("header: %w", ErrTruncated)
	}
	m := &Message{ID: h.ID, Flags: h.Flags &^ 0xF, RCode: h.Flags.RCode()}
	d := decoder{msg: msg, off: HeaderLen, isLoose: isLoose}
	for i := range int(h.Questions) {
		q, err := d.question()
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
		m.Questions = append(m.Questions, q)
	}
	for s, n := range [...]uint16{h.Answers, h.Authority, h.Additional} {
		if err := m.parseSection(&d, Section(s), int(n)); err != nil {
			return nil, err
		}
	}
	if d.off != len(msg) {
		return nil, ErrTrailing
	}
	return m, nil
}

func (m *Message) parseSection(d *decoder, s Section, n int) error {
	// A record takes at least 11 octets: a count beyond that is a lie.
	rs := make([]Record, 0, min(n, (len(d.msg)-d.off)/11))
	for i := range n {
		r, err := d.record()
		if err == errLeftOut {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s record %d: %w", s, i+1, err)
		}
		if r.Type != TypeOPT {
			rs = append(rs, r)
			continue
		}
		if err := m.liftOPT(s, r); err != nil {
			return fmt.Errorf("%s record %d: %w", s, i+1, err)
		}
	}
	if len(rs) == 0 {
		rs = nil
	}
	switch s {
	case SectionAnswer:
		m.Answer = rs
	case SectionAuthority:
		m.Authority = rs
	case SectionAdditional:
		m.Additional = rs
	}
	return nil
}

func (m *Message) liftOPT(s Section, r Record) error {
	switch {
	case s != SectionAdditional:
		return ErrOPTPlace
	case m.EDNS != nil:
		return ErrManyOPT
	case !r.Name.IsRoot():
		return ErrBadOPT
	}
	e, err := ednsFromOPT(r)
	if err != nil {
		return err
	}
	m.EDNS = e
	m.RCode |= RCode(r.TTL>>24) << 4
	return nil
}

// decoder walks a message and remembers the owner name it saw last: answers
// repeat it by a pointer, and then need no second copy.
type decoder struct {
	msg   []byte
	off   int
	at    int // where last was read
	last  Name
	rdata []byte // room that rdata is cut from

	isLoose bool // malformed data is left out
}

func (d *decoder) name() (Name, error) {
	at := d.off
	if at+1 < len(d.msg) && d.msg[at]&0xC0 == 0xC0 {
		at = int(binary.BigEndian.Uint16(d.msg[at:]) & 0x3FFF)
		if at == d.at && !d.last.IsZero() {
			d.off += 2
			return d.last, nil
		}
	}
	var buf [MaxNameLen]byte
	w, next, err := UnpackName(buf[:0], d.msg, d.off)
	if err != nil {
		return Name{}, fmt.Errorf("name: %w", err)
	}
	d.off = next
	d.at, d.last = at, Name{string(w)}
	return d.last, nil
}

func (d *decoder) question() (Question, error) {
	n, err := d.name()
	if err != nil {
		return Question{}, err
	}
	if d.off+4 > len(d.msg) {
		return Question{}, ErrTruncated
	}
	t, c := binary.BigEndian.Uint16(d.msg[d.off:]), binary.BigEndian.Uint16(d.msg[d.off+2:])
	d.off += 4
	return Question{Name: n, Type: Type(t), Class: Class(c)}, nil
}

func (d *decoder) record() (Record, error) {
	r, err := parseRecordHead(d.msg, d.off)
	if err != nil {
		return Record{}, err
	}
	n, err := d.name()
	if err != nil {
		return Record{}, err
	}
	rec := Record{Name: n, Type: r.typ, Class: r.class, TTL: r.ttl}
	if r.typ != TypeOPT {
		rec.TTL = clampTTL(r.ttl)
	}
	rec.Data, err = d.data(r)
	switch {
	case err == nil:
	case d.isLoose && (r.typ == TypeSVCB || r.typ == TypeHTTPS):
		rec.Data = RData(slices.Clone(d.msg[r.data:r.end]))
	case d.isLoose && r.typ != TypeOPT:
		d.off = r.end
		return Record{}, errLeftOut
	default:
		return Record{}, fmt.Errorf("%s rdata: %w", r.typ, err)
	}
	d.off = r.end
	return rec, nil
}

// errLeftOut stands for a record that a loose decoder leaves out.
var errLeftOut = errors.New("record left out")

// data unpacks the rdata of r. Empty rdata stays empty for any type: RFC 2136
// §2.4 and §2.5 give it a meaning of its own.
func (d *decoder) data(r recordHead) (RData, error) {
	if r.end == r.data {
		return nil, nil
	}
	start := len(d.rdata)
	if cap(d.rdata)-start < r.end-r.data {
		// What is left of the message has more to it than rdata; that is for names
		// which are not compressed any more. Where it does not suffice, this grows.
		d.rdata, start = make([]byte, 0, len(d.msg)-r.data+64), 0
	}
	out, err := UnpackRData(d.rdata, d.msg, r.data, r.end-r.data, r.typ)
	if err != nil {
		return nil, err
	}
	d.rdata = out
	return RData(out[start:len(out):len(out)]), nil
}

// clampTTL reads a TTL with the top bit set as zero (RFC 2181 §8).
func clampTTL(ttl uint32) uint32 {
	if ttl > MaxTTL {
		return 0
	}
	return ttl
}

// Append appends the message in wire form to dst, names compressed, as large
// as it comes; it fails beyond 65,535 octets.
func (m *Message) Append(dst []byte) ([]byte, error) {
	out, fits := m.AppendLimit(dst, MaxMessageLen)
	if !fits {
		return dst, ErrMessageTooLong
	}
	return out, nil
}

// AppendLimit is Append for a transport that carries at most limit octets: fits
// is false where records had to be left out, and then out has TC set.
func (m *Message) AppendLimit(dst []byte, limit int) (out []byte, fits bool) {
	var b Builder
	var name [MaxNameLen]byte
	b.Start(dst, limit, m.ID, m.Flags.WithRCode(m.RCode))
	if m.EDNS != nil {
		b.Reserve(11 + len(m.EDNS.appendOptions(nil)))
	}
	fits = true
	for _, q := range m.Questions {
		fits = fits && b.Question(q.Name.Append(name[:0]), q.Type, q.Class)
	}
	for s := SectionAnswer; s <= SectionAuthority; s++ {
		for _, r := range m.Section(s) {
			fits = fits && b.Record(s, r.Name.Append(name[:0]), r.Type, r.Class, r.TTL, r.Data)
		}
	}
	if m.EDNS != nil {
		b.OPT(m.EDNS.UDPSize, m.RCode, m.EDNS.Version, m.EDNS.flags(), m.EDNS.appendOptions(nil))
	}
	for _, r := range m.Additional { // behind OPT: a TSIG must be the last
		fits = fits && b.Record(SectionAdditional, r.Name.Append(name[:0]), r.Type, r.Class, r.TTL, r.Data)
	}
	if !fits {
		b.SetFlags(b.Flags() | FlagTC)
	}
	return b.Finish(), fits
}
