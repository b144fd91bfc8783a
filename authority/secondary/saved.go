package secondary

import (
	"encoding/binary"
	"time"
)

// saved is what is kept of a zone over a restart.
type saved struct {
	checked, expires, next time.Time
	tries                  int
	source                 source
}

// The forms are the first octet.
const (
	savedForm   = 1
	savedSource = 2 // the source follows
)

// save writes: the form, three times in seconds since 1970, the failed rounds; of a
// zone that is signed here the number of the version, and the primary's serial number.
func (m *member) save() []byte {
	b := []byte{savedForm}
	for _, t := range []time.Time{m.checked, m.expires, m.next} {
		seconds := int64(0)
		if !t.IsZero() {
			seconds = t.Unix()
		}
		b = binary.AppendVarint(b, seconds)
	}
	b = binary.AppendUvarint(b, uint64(m.tries))
	if m.signer != nil && m.source.known {
		b[0] = savedSource
		b = binary.AppendUvarint(b, m.source.number)
		b = binary.BigEndian.AppendUint32(b, m.source.serial)
	}
	return b
}

// readSaved reads what save wrote; ok is false for what it did not.
func readSaved(b []byte) (s saved, ok bool) {
	if len(b) == 0 || b[0] != savedForm && b[0] != savedSource {
		return s, false
	}
	form, b := b[0], b[1:]
	for _, t := range []*time.Time{&s.checked, &s.expires, &s.next} {
		seconds, n := binary.Varint(b)
		if n <= 0 {
			return saved{}, false
		}
		if b = b[n:]; seconds != 0 {
			*t = time.Unix(seconds, 0)
		}
	}
	tries, n := binary.Uvarint(b)
	if n <= 0 || tries > 1<<31 {
		return saved{}, false
	}
	s.tries = int(tries)
	if form == savedSource {
		number, n2 := binary.Uvarint(b[n:])
		if b = b[n:]; n2 <= 0 || len(b) != n2+4 {
			return saved{}, false
		}
		s.source = source{number: number, serial: binary.BigEndian.Uint32(b[n2:]), known: true}
	}
	return s, true
}
