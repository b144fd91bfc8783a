package zone

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"onoma/dns"
)

// Errors of what should be a delta.
var (
	ErrDelta = errors.New("delta is damaged")
	ErrUnfit = errors.New("delta does not fit the version that it is applied to")
)

// DeltaReader reads a delta from its binary form, whatever there may stand.
type DeltaReader struct {
	r      *bufio.Reader
	origin dns.Name
	class  dns.Class
	sum    uint32
	name   dns.Name
	data   []byte
	adding bool // no removal may follow
	err    error
}

// NewDeltaReader returns a reader of the delta of a zone that r has.
func NewDeltaReader(r io.Reader, origin dns.Name) *DeltaReader {
	size := 16 << 10
	if b, ok := r.(*bytes.Reader); ok {
		size = min(size, b.Len()) // most deltas are short
	}
	return &DeltaReader{r: bufio.NewReaderSize(r, size), origin: origin}
}

// ReadDelta returns the delta that b is, which shares no memory with b.
func ReadDelta(b []byte, origin dns.Name) (d Delta, err error) {
	r := NewDeltaReader(bytes.NewReader(b), origin)
	for {
		rec, added, err := r.Next()
		switch {
		case err == io.EOF:
			return d, nil
		case err != nil:
			return Delta{}, err
		}
		rec.Data = bytes.Clone(rec.Data)
		if added {
			d.Added = append(d.Added, rec)
		} else {
			d.Removed = append(d.Removed, rec)
		}
	}
}

// Next returns the next record and whether it comes or goes; its rdata is good
// until the next call. The error is io.EOF behind the last one, once the checksum
// has turned out to be right: until then all of it may be wrong.
func (d *DeltaReader) Next() (r dns.Record, added bool, err error) {
	if d.err == nil {
		r, added, d.err = d.next()
	}
	if d.err != nil && d.err != io.EOF {
		return r, added, fmt.Errorf("reading a delta of %s: %w", d.origin, d.err)
	}
	return r, added, d.err
}

func (d *DeltaReader) next() (r dns.Record, added bool, err error) {
	if d.class == 0 {
		if err := d.head(); err != nil {
			return r, false, err
		}
	}
	op, err := d.take(1)
	if err != nil {
		return r, false, err
	}
	what, same := op[0]&^opSame, op[0]&opSame != 0
	switch {
	case op[0] == opEnd:
		return r, false, d.end()
	case what == opRemoved && d.adding, what != opRemoved && what != opAdded, same && d.name.IsZero():
		return r, false, fmt.Errorf("%w: operation %d", ErrDelta, op[0])
	}
	d.adding = what == opAdded
	if !same {
		if err := d.owner(); err != nil {
			return r, false, err
		}
	}
	r, err = d.body()
	return r, d.adding, err
}

func (d *DeltaReader) head() error {
	b, err := d.take(3)
	switch {
	case err != nil:
		return err
	case b[0] != deltaFormat:
		return fmt.Errorf("%w: format %d, expected %d", ErrDelta, b[0], deltaFormat)
	}
	if d.class = dns.Class(le.Uint16(b[1:])); d.class == 0 {
		return fmt.Errorf("%w: class 0", ErrDelta)
	}
	return nil
}

func (d *DeltaReader) owner() error {
	n, err := d.take(1)
	if err != nil {
		return err
	}
	rel, err := d.take(int(n[0]))
	if err != nil {
		return err
	}
	var buf [2 * dns.MaxNameLen]byte
	d.name, err = dns.NameFromWire(d.origin.Append(append(buf[:0], rel...)))
	if err != nil {
		return fmt.Errorf("%w: owner: %w", ErrDelta, err)
	}
	return nil
}

func (d *DeltaReader) body() (r dns.Record, err error) {
	b, err := d.take(8)
	if err != nil {
		return r, err
	}
	r = dns.Record{Name: d.name, Type: dns.Type(le.Uint16(b)), Class: d.class, TTL: le.Uint32(b[2:])}
	r.Data, err = d.take(int(le.Uint16(b[6:])))
	if err != nil {
		return r, err
	}
	if err := dns.CheckRData(r.Type, r.Data); err != nil {
		return r, fmt.Errorf("%w: %s %s: %w", ErrDelta, r.Name, r.Type, err)
	}
	return r, nil
}

// end checks the checksum, and that nothing follows.
func (d *DeltaReader) end() error {
	sum := d.sum
	b, err := d.take(4)
	if err != nil {
		return err
	}
	if le.Uint32(b) != sum {
		return fmt.Errorf("%w: checksum %08x, expected %08x", ErrDelta, le.Uint32(b), sum)
	}
	switch _, err := d.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: octets behind its end", ErrDelta)
	case err != io.EOF:
		return err
	}
	return io.EOF
}

// take returns the next n octets, good until the next take.
func (d *DeltaReader) take(n int) ([]byte, error) {
	if cap(d.data) < n {
		d.data = make([]byte, max(n, 512))
	}
	b := d.data[:n]
	if _, err := io.ReadFull(d.r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: it ends early", ErrDelta)
	} else if err != nil {
		return nil, err
	}
	d.sum = crc32.Update(d.sum, castagnoli, b)
	return b, nil
}

// ReadContent builds the version whose content r has, with what is wrong with it
// as a zone, errors first.
func ReadContent(r io.Reader, origin dns.Name) (*Version, []Finding, error) {
	d, b := NewDeltaReader(r, origin), NewBuilder(origin)
	for {
		rec, added, err := d.Next()
		switch {
		case err == io.EOF:
			v, findings := b.Build()
			if v == nil {
				return nil, findings, fmt.Errorf("reading the content of %s: %w: %s", origin, ErrDelta, findings[0])
			}
			return v, findings, nil
		case err != nil:
			return nil, nil, err
		case !added:
			return nil, nil, fmt.Errorf("reading the content of %s: %w: a removal from nothing", origin, ErrDelta)
		}
		if err := b.Add(rec); err != nil {
			return nil, nil, fmt.Errorf("reading the content of %s: %w", origin, err)
		}
	}
}
