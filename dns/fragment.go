package dns

import (
	"encoding/binary"
	"errors"
)

// Fragment is records of one section as they stand in a message, names
// compressed, ready to be copied into other messages with Builder.Fragment. Its
// owner names that are a pointer all become the same name there, and its other
// pointers move together: they lead into the fragment itself, or into the
// question of the message that it was taken from.
//
// A Fragment is written once and then read by anybody. The zero Fragment has no
// records and can be filled with Take.
type Fragment struct {
	wire   []byte
	owners []uint16 // where in wire an owner name that is a pointer stands
	ptrs   []uint16 // where other pointers stand
	count  uint16   // records
}

// IsEmpty reports whether the fragment has no records.
func (f *Fragment) IsEmpty() bool { return f.count == 0 }

// Len returns the octets that the fragment adds to a message.
func (f *Fragment) Len() int { return len(f.wire) }

var errFragment = errors.New("the records are no fragment")

// Take makes f the records that stand in msg from octet from to its end, which
// a Builder has put there. Owner names that are pointers to own or below it
// count as owners; all other pointers will be moved.
func (f *Fragment) Take(msg []byte, from, owner int) error {
	f.wire = append(f.wire[:0], msg[from:]...)
	f.owners, f.ptrs, f.count = f.owners[:0], f.ptrs[:0], 0
	for at := 0; at < len(f.wire); f.count++ {
		next, err := f.takeRecord(at, uint16(0xC000|owner))
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

// takeRecord notes the pointers of the record at, and returns where the next is.
func (f *Fragment) takeRecord(at int, owner uint16) (int, error) {
	be := binary.BigEndian
	end, err := f.takeName(at, &f.owners, owner)
	if err != nil || end+10 > len(f.wire) {
		return 0, errFragment
	}
	t := Type(be.Uint16(f.wire[end:]))
	data := end + 10
	next := data + int(be.Uint16(f.wire[end+8:]))
	if next > len(f.wire) {
		return 0, errFragment
	}
	switch t {
	case TypeNS, TypeCNAME, TypePTR:
		_, err = f.takeName(data, &f.ptrs, 0)
	case TypeSOA:
		if end, err = f.takeName(data, &f.ptrs, 0); err == nil {
			_, err = f.takeName(end, &f.ptrs, 0)
		}
	default:
		if compresses(t) {
			err = errFragment
		}
	}
	return next, err
}

// takeName returns where the name at ends. A pointer is noted in list, or where
// it is not the name that special points to, in ptrs.
func (f *Fragment) takeName(at int, list *[]uint16, special uint16) (int, error) {
	for start := at; at < len(f.wire); {
		switch n := int(f.wire[at]); {
		case n == 0:
			return at + 1, nil
		case n < 0xC0:
			at += 1 + n
		case at+2 > len(f.wire):
			return 0, errFragment
		default:
			if special != 0 && (at != start || binary.BigEndian.Uint16(f.wire[at:]) != special) {
				list = &f.ptrs
			}
			*list = append(*list, uint16(at))
			return at + 2, nil
		}
	}
	return 0, errFragment
}

// Fragment adds the fragment's records to section s. Owner names lead to the
// name at offset owner of the message; other pointers are moved by shift octets,
// which is how much further back everything they lead to stands in this message
// than it did where the fragment was taken from.
func (b *Builder) Fragment(s Section, f *Fragment, owner, shift int) bool {
	if b.Len()+len(f.wire) > b.limit-b.spare || int(b.counts[s+1])+int(f.count) > 0xFFFF {
		return false
	}
	start := len(b.buf)
	b.buf = append(b.buf, f.wire...)
	w := b.buf[start:]
	for _, at := range f.owners {
		binary.BigEndian.PutUint16(w[at:], 0xC000|uint16(owner))
	}
	for _, at := range f.ptrs {
		binary.BigEndian.PutUint16(w[at:], binary.BigEndian.Uint16(w[at:])+uint16(shift))
	}
	b.counts[s+1] += f.count
	return true
}
