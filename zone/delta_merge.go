package zone

import (
	"io"

	"onoma/dns"
)

// Merge puts deltas that follow one another together: what one adds and a later
// one removes is in neither list of the result, and the other way round. The zero
// value is ready.
type Merge struct {
	class          dns.Class
	removed, added net
	octets         int
}

// Step takes the next delta.
func (m *Merge) Step(r *DeltaReader) error {
	var buf []byte
	for {
		rec, added, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		m.class = rec.Class
		buf = appendPacked(buf[:0], rec)
		m.octets += len(buf)
		if added {
			m.added.cancel(&m.removed, string(buf))
		} else {
			m.removed.cancel(&m.added, string(buf))
		}
	}
}

// Octets returns how much has been read, which is about the memory in use.
func (m *Merge) Octets() int { return m.octets }

// Delta returns the result, the SOA first in both lists.
func (m *Merge) Delta() Delta {
	return Delta{unpackRecords(m.removed.pack(), m.class), unpackRecords(m.added.pack(), m.class)}
}

func unpackRecords(packed string, class dns.Class) (records []dns.Record) {
	for r := range (Difference{class: class}).records(packed) {
		r.Data = append(dns.RData(nil), r.Data...)
		records = append(records, r)
	}
	return records
}
