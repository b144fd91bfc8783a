package zone

import (
	"fmt"
	"hash/crc32"
	"io"

	"onoma/dns"
)

// The binary form of a delta is what goes, then what comes, record by record:
//
//	octet    deltaFormat
//	u16      class
//	records  each: octet op (opRemoved, opAdded; with opSame the owner is that of
//	         the record before), unless opSame an octet for the length of the owner
//	         without the origin and these octets, u16 type, u32 TTL, u16 length of
//	         the rdata, rdata
//	octet    opEnd
//	u32      CRC-32C of all before it
//
// with little-endian numbers. The whole content of a zone is a delta from nothing,
// which has no opRemoved. What is removed comes before all that is added, so that
// a record whose TTL changes, which is in both lists, is not lost when they are
// applied in order; who goes backwards takes the two in the other order.
const (
	deltaFormat = 1

	opEnd     = 0
	opRemoved = 1
	opAdded   = 2
	opSame    = 4

	deltaFlush = 32 << 10
)

// contentWriter writes a delta from nothing, a piece at a time.
type contentWriter struct {
	w      io.Writer
	origin dns.Name
	buf    []byte
	sum    uint32
	last   dns.Name
	err    error
}

func appendDeltaHead(dst []byte, class dns.Class) []byte {
	return le.AppendUint16(append(dst, deltaFormat), uint16(class))
}

func (d *contentWriter) add(r dns.Record) error {
	d.buf = appendDeltaRecord(d.buf, opAdded, r, d.origin, d.last)
	d.last = r.Name
	if len(d.buf) >= deltaFlush {
		d.flush()
	}
	return d.err
}

func (d *contentWriter) flush() {
	if d.err != nil {
		return
	}
	d.sum = crc32.Update(d.sum, castagnoli, d.buf)
	d.put()
}

func (d *contentWriter) put() {
	_, d.err = d.w.Write(d.buf)
	d.buf = d.buf[:0]
}

// end writes what is still gathered, and the end.
func (d *contentWriter) end() error {
	d.buf = append(d.buf, opEnd)
	d.flush()
	if d.err == nil {
		d.buf = le.AppendUint32(d.buf, d.sum)
		d.put()
	}
	return d.err
}

func appendDeltaRecord(dst []byte, op byte, r dns.Record, origin, last dns.Name) []byte {
	if r.Name == last {
		dst = append(dst, op|opSame)
	} else {
		rel := r.Name.Wire()
		rel = rel[:max(0, len(rel)-origin.Len())]
		dst = append(dst, op, byte(len(rel)))
		dst = append(dst, rel...)
	}
	dst = le.AppendUint16(dst, uint16(r.Type))
	dst = le.AppendUint32(dst, r.TTL)
	dst = le.AppendUint16(dst, uint16(len(r.Data)))
	return append(dst, r.Data...)
}

// AppendDelta appends d in its binary form.
func AppendDelta(dst []byte, origin dns.Name, class dns.Class, d Delta) []byte {
	start := len(dst)
	dst = appendDeltaHead(dst, class)
	var last dns.Name
	for _, r := range d.Removed {
		dst = appendDeltaRecord(dst, opRemoved, r, origin, last)
		last = r.Name
	}
	for _, r := range d.Added {
		dst = appendDeltaRecord(dst, opAdded, r, origin, last)
		last = r.Name
	}
	dst = append(dst, opEnd)
	return le.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// WriteContent writes all of v as a delta from nothing, and returns how many
// records that were.
func (v *Version) WriteContent(w io.Writer) (records int, err error) {
	d := contentWriter{w: w, origin: v.origin, buf: appendDeltaHead(make([]byte, 0, 512), v.class)}
	for r := range v.Records() {
		if err = d.add(r); err != nil {
			break
		}
		records++
	}
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return records, fmt.Errorf("writing the content of %s: %w", v.origin, err)
	}
	return records, nil
}
