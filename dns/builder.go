package dns

import (
	"encoding/binary"
	"errors"
)

// ErrMessageTooLong is a message that would exceed 65,535 octets.
var ErrMessageTooLong = errors.New("message is longer than 65535 octets")

// Builder appends one message to a buffer, compressing names as it goes. Start
// begins a message, the section methods add to it in order, Finish ends it. A
// method that adds something returns false, and adds nothing, where the result
// would exceed the limit.
//
// The zero Builder is ready; it allocates nothing beyond growing the caller's
// buffer, and is meant to be kept and used again. It belongs to one goroutine.
type Builder struct {
	buf    []byte
	base   int // where the message starts in buf
	limit  int // greatest length of the message
	spare  int // part of limit kept for OPT and what may follow it
	counts [4]uint16
	table  [compressSlots]compressEntry
	used   int
	first  int // length of the question's name while the table does not have it
}

// Compression remembers each label written: where it is, and where the name
// behind it is. A name is matched from the root down, one look-up a label, so
// matching never compares more than the label itself.
type compressEntry struct {
	at     uint16 // offset of the label, 0: free
	parent uint16 // offset of the name behind it, 0: the root
}

const (
	compressSlots = 256
	compressFill  = compressSlots * 3 / 4
	maxPointer    = 0x3FFF // the farthest that a pointer reaches (RFC 1035 §4.1.4)
)

// Mark is a point in a message to go back to.
type Mark struct {
	len    int
	counts [4]uint16
}

// Start begins a message of at most limit octets behind dst's content.
func (b *Builder) Start(dst []byte, limit int, id uint16, flags Flags) {
	b.buf, b.base = dst, len(dst)
	b.limit, b.spare = min(limit, MaxMessageLen), 0
	b.counts, b.first = [4]uint16{}, 0
	if b.used != 0 {
		clear(b.table[:])
		b.used = 0
	}
	b.buf = Header{ID: id, Flags: flags}.Append(b.buf)
}

// Reserve keeps n octets of the limit for OPT and TSIG: other methods act as
// if the limit were that much lower.
func (b *Builder) Reserve(n int) { b.spare = n }

// Len returns the length of the message so far.
func (b *Builder) Len() int { return len(b.buf) - b.base }

// Count returns how many records the section has.
func (b *Builder) Count(s Section) int { return int(b.counts[s+1]) }

// Flags returns the flags word of the message.
func (b *Builder) Flags() Flags { return Flags(binary.BigEndian.Uint16(b.buf[b.base+2:])) }

// SetFlags replaces the flags word of the message.
func (b *Builder) SetFlags(f Flags) { binary.BigEndian.PutUint16(b.buf[b.base+2:], uint16(f)) }

// Mark returns the present end of the message, for Rollback.
func (b *Builder) Mark() Mark { return Mark{len(b.buf), b.counts} }

// Rollback removes what was added since m was taken.
func (b *Builder) Rollback(m Mark) {
	b.buf, b.counts = b.buf[:m.len], m.counts
	end := uint16(min(m.len-b.base, maxPointer+1))
	for i := range b.table {
		// Removing an entry may hide another one in its probe sequence; that
		// costs a little compression and nothing else.
		if b.table[i].at >= end {
			b.table[i] = compressEntry{}
		}
	}
}

// Question adds a question. Its name is written as it is: it is the first. Many
// answers have no other name to compress, so it is put into the table when one comes.
func (b *Builder) Question(name []byte, t Type, c Class) bool {
	if b.Len()+len(name)+4 > b.limit-b.spare {
		return false
	}
	if b.Len() == HeaderLen {
		b.first = len(name)
		b.buf = append(b.buf, name...)
	} else {
		b.appendName(name)
	}
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(t))
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(c))
	b.counts[0]++
	return true
}

// Record adds a record to section s. Sections must be filled in their order.
func (b *Builder) Record(s Section, owner []byte, t Type, c Class, ttl uint32, rdata []byte) bool {
	m := b.Mark()
	b.appendName(owner)
	return b.finishRecord(m, s, t, c, ttl, rdata)
}

// RecordAt is Record with an owner name that stands at offset off of this
// message already, as the question's name does at HeaderLen.
func (b *Builder) RecordAt(s Section, off int, t Type, c Class, ttl uint32, rdata []byte) bool {
	if !compresses(t) {
		return b.plainAt(s, off, t, c, ttl, rdata)
	}
	m := b.Mark()
	b.buf = binary.BigEndian.AppendUint16(b.buf, 0xC000|uint16(off))
	return b.finishRecord(m, s, t, c, ttl, rdata)
}

// plainAt is RecordAt for types whose rdata is copied as it is, as most of what is
// sent: its length is known before, so that nothing has to be taken back.
func (b *Builder) plainAt(s Section, off int, t Type, c Class, ttl uint32, rdata []byte) bool {
	const head = 12
	if b.Len()+head+len(rdata) > b.limit-b.spare || b.counts[s+1] == 0xFFFF || len(rdata) > 0xFFFF {
		return false
	}
	be := binary.BigEndian
	var h [head]byte
	be.PutUint16(h[0:], 0xC000|uint16(off))
	be.PutUint16(h[2:], uint16(t))
	be.PutUint16(h[4:], uint16(c))
	be.PutUint32(h[6:], ttl)
	be.PutUint16(h[10:], uint16(len(rdata)))
	b.buf = append(append(b.buf, h[:]...), rdata...)
	b.counts[s+1]++
	return true
}

// RecordUnder is Record with an owner name of which the first labels are given,
// and the rest stands at offset off of this message already. It is not compressed
// any further.
func (b *Builder) RecordUnder(s Section, labels []byte, off int, t Type, c Class, ttl uint32, rdata []byte) bool {
	m := b.Mark()
	b.buf = append(b.buf, labels...)
	b.buf = binary.BigEndian.AppendUint16(b.buf, 0xC000|uint16(off))
	return b.finishRecord(m, s, t, c, ttl, rdata)
}

// NameAt returns an offset at which the name at offset off of this message can be
// pointed to: off itself, or where a pointer there leads; 0 where no pointer
// reaches or the name is the root's, which is shorter than a pointer.
func (b *Builder) NameAt(off int) int {
	switch c := b.buf[b.base+off]; {
	case c >= 0xC0:
		return int(binary.BigEndian.Uint16(b.buf[b.base+off:]) &^ 0xC000)
	case c == 0 || off > maxPointer:
		return 0
	}
	return off
}

func (b *Builder) finishRecord(m Mark, s Section, t Type, c Class, ttl uint32, rdata []byte) bool {
	be := binary.BigEndian
	b.buf = be.AppendUint16(b.buf, uint16(t))
	b.buf = be.AppendUint16(b.buf, uint16(c))
	b.buf = be.AppendUint32(b.buf, ttl)
	b.buf = append(b.buf, 0, 0)
	data := len(b.buf)
	b.appendRData(t, rdata)
	if b.Len() > b.limit-b.spare || b.counts[s+1] == 0xFFFF || len(b.buf)-data > 0xFFFF {
		b.Rollback(m)
		return false
	}
	be.PutUint16(b.buf[data-2:], uint16(len(b.buf)-data))
	b.counts[s+1]++
	return true
}

// appendRData copies rdata, compressing the names in it where the type's own
// RFC says so (RFC 3597 §4: only the types of RFC 1035).
func (b *Builder) appendRData(t Type, rdata []byte) {
	if !compresses(t) {
		b.buf = append(b.buf, rdata...)
		return
	}
	done := 0
	names := namesIn(t, rdata)
	for n, ok := names.next(); ok; n, ok = names.next() {
		if !n.compress() {
			continue
		}
		b.buf = append(b.buf, rdata[done:n.start]...)
		b.appendName(rdata[n.start:n.end])
		done = n.end
	}
	b.buf = append(b.buf, rdata[done:]...)
}

// OPT adds the OPT record with the options as they are in wire form (see
// AppendOption), and puts the upper bits of rcode into it and the lower ones
// into the header. What was reserved is free to it.
func (b *Builder) OPT(udpSize uint16, rcode RCode, version uint8, flags uint16, options []byte) bool {
	if b.Len()+11+len(options) > b.limit {
		return false
	}
	be := binary.BigEndian
	b.buf = append(b.buf, 0)
	b.buf = be.AppendUint16(b.buf, uint16(TypeOPT))
	b.buf = be.AppendUint16(b.buf, udpSize)
	b.buf = append(b.buf, byte(rcode>>4), version)
	b.buf = be.AppendUint16(b.buf, flags)
	b.buf = be.AppendUint16(b.buf, uint16(len(options)))
	b.buf = append(b.buf, options...)
	b.counts[SectionAdditional+1]++
	b.spare = 0
	b.SetFlags(b.Flags().WithRCode(rcode))
	return true
}

// Finish writes the counts and returns the buffer with the message at its end.
func (b *Builder) Finish() []byte {
	for i, n := range b.counts {
		binary.BigEndian.PutUint16(b.buf[b.base+4+2*i:], n)
	}
	return b.buf
}

// appendName writes name, with a pointer for the longest ending that the
// message has already, and remembers the labels that it writes.
func (b *Builder) appendName(name []byte) {
	var offs [MaxLabels + 1]uint8
	if b.first > 0 {
		first := b.buf[b.base+HeaderLen:][:b.first]
		b.first = 0
		b.remember(&offs, LabelOffsets(&offs, first), first, HeaderLen, 0)
	}
	labels := LabelOffsets(&offs, name)
	fresh, tail := labels, uint16(0)
	for fresh > 0 {
		at, ok := b.find(name[offs[fresh-1]:], tail)
		if !ok {
			break
		}
		tail, fresh = at, fresh-1
	}
	b.remember(&offs, fresh, name, b.Len(), tail)
	if fresh == labels {
		b.buf = append(b.buf, name...)
		return
	}
	b.buf = append(b.buf, name[:offs[fresh]]...)
	b.buf = binary.BigEndian.AppendUint16(b.buf, 0xC000|tail)
}

// remember puts the first fresh labels of name, which begins at start, into the
// table, with the name at parent behind them.
func (b *Builder) remember(offs *[MaxLabels + 1]uint8, fresh int, name []byte, start int, parent uint16) {
	for i := fresh - 1; i >= 0; i-- {
		at := start + int(offs[i])
		if at > maxPointer || b.used >= compressFill {
			return
		}
		b.insert(name[offs[i]:], uint16(at), parent)
		parent = uint16(at)
	}
}

// find returns where the label at the start of name was written with the name
// at parent behind it.
func (b *Builder) find(name []byte, parent uint16) (uint16, bool) {
	n := int(name[0]) + 1
	for i := slotOf(name[:n], parent); b.table[i].at != 0; i = (i + 1) % compressSlots {
		e := b.table[i]
		if e.parent == parent && equalFold(b.buf[b.base+int(e.at):][:n], name[:n]) {
			return e.at, true
		}
	}
	return 0, false
}

func (b *Builder) insert(name []byte, at, parent uint16) {
	i := slotOf(name[:int(name[0])+1], parent)
	for b.table[i].at != 0 {
		i = (i + 1) % compressSlots
	}
	b.table[i] = compressEntry{at, parent}
	b.used++
}

// slotOf hashes a label and the place of the name behind it.
func slotOf(label []byte, parent uint16) int {
	h := uint32(parent) * 0x9E3779B1
	for _, c := range label {
		h = (h ^ uint32(lower[c])) * 0x01000193
	}
	return int(h>>16^h) % compressSlots
}
