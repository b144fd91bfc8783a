package secondary

import (
	"encoding/binary"
	"time"
)

// saved is what is kept of a zone over a restart.
type saved struct {
	checked, expires, next time.Time
	tries                  int
}

// savedForm is the first octet, for forms of later days.
const savedForm = 1

// save writes: the form, three times in seconds since 1970, the failed rounds.
func (m *member) save() []byte {
	b := []byte{savedForm}
	for _, t := range []time.Time{m.checked, m.expires, m.next} {
		seconds := int64(0)
		if !t.IsZero() {
			seconds = t.Unix()
		}
		b = binary.AppendVarint(b, seconds)
	}
	return binary.AppendUvarint(b, uint64(m.tries))
}

// readSaved reads what save wrote; ok is false for what it did not.
func readSaved(b []byte) (s saved, ok bool) {
	if len(b) == 0 || b[0] != savedForm {
		return s, false
	}
	b = b[1:]
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
	return s, true
}
