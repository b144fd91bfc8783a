package secondary

import (
	"encoding/binary"
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/zone"
)

// wholeZone is the sink of a zone that comes as a whole.
type wholeZone struct {
	b       *zone.Builder
	origin  dns.Name
	version *zone.Version
}

func newWholeZone(origin dns.Name) *wholeZone {
	return &wholeZone{b: zone.NewBuilder(origin), origin: origin}
}

func (w *wholeZone) add(r dns.Record) error { return w.b.Add(r) }

var errMixed = errors.New("a difference within a whole zone")

func (w *wholeZone) remove(dns.Record) error { return errMixed }
func (w *wholeZone) insert(dns.Record) error { return errMixed }

// build makes the version. What else is wrong with its content than that it could
// not be served at all is for the publish gate to judge.
func (w *wholeZone) build() error {
	v, findings := w.b.Build()
	w.b = nil
	if v == nil {
		if len(findings) > 0 {
			return fmt.Errorf("building the zone: %s", findings[0])
		}
		return zone.ErrNoSOA
	}
	w.version = v
	return nil
}

// difference is the sink of IXFR: what goes and what comes, in the order in which
// it came, as octets. It becomes a whole zone where that is what comes.
type difference struct {
	origin dns.Name
	chunks [][]byte
	whole  *wholeZone // nil: it is a difference
}

const (
	opRemove byte = iota
	opAdd
)

const chunkSize = 64 << 10

func (d *difference) add(r dns.Record) error {
	if d.whole == nil {
		d.whole = newWholeZone(d.origin)
	}
	return d.whole.add(r)
}

func (d *difference) remove(r dns.Record) error { return d.put(opRemove, r) }
func (d *difference) insert(r dns.Record) error { return d.put(opAdd, r) }

// put notes a record as
//
//	octet    what is to be done
//	octet    length of the name
//	octets   name in wire form
//	u16      type
//	u16      class
//	u32      TTL
//	u16      length of the rdata
//	octets   rdata
func (d *difference) put(op byte, r dns.Record) error {
	n := 2 + r.Name.Len() + recordHead + len(r.Data)
	last := len(d.chunks) - 1
	if last < 0 || cap(d.chunks[last])-len(d.chunks[last]) < n {
		size := max(n, 512)
		if last >= 0 { // most differences are small
			size = max(n, min(chunkSize, 2*cap(d.chunks[last])))
		}
		d.chunks = append(d.chunks, make([]byte, 0, size))
		last++
	}
	b, be := d.chunks[last], binary.BigEndian
	b = append(b, op, byte(r.Name.Len()))
	b = r.Name.Append(b)
	b = be.AppendUint16(b, uint16(r.Type))
	b = be.AppendUint16(b, uint16(r.Class))
	b = be.AppendUint32(b, r.TTL)
	b = be.AppendUint16(b, uint16(len(r.Data)))
	d.chunks[last] = append(b, r.Data...)
	return nil
}

var errNotThere = errors.New("what the difference removes is not there")

// apply makes the changes, strictly: who removes what is not there has another
// zone than we have. The SOA record goes by being replaced.
// What a signer here owns is left out.
func (d *difference) apply(e *zone.Editor, signer Signer) error {
	var name dns.Name
	for _, b := range d.chunks {
		for len(b) > 0 {
			var op byte
			var r dns.Record
			op, r, b = cut(b, name)
			name = r.Name
			switch {
			case owned(signer, &r):
			case op == opAdd:
				if _, err := e.Add(r); err != nil {
					return err
				}
			case r.Type != dns.TypeSOA && !e.Remove(r):
				return fmt.Errorf("%s %s: %w", r.Name, r.Type, errNotThere)
			}
		}
	}
	return nil
}

// cut reads the record at the start of b. last saves another copy of its name.
func cut(b []byte, last dns.Name) (op byte, r dns.Record, rest []byte) {
	op = b[0]
	wire, b := b[2:2+int(b[1])], b[2+int(b[1]):]
	if r.Name = last; last.IsZero() || string(wire) != last.Wire() {
		r.Name, _ = dns.NameFromWire(wire) // it was a Name
	}
	be := binary.BigEndian
	r.Type, r.Class, r.TTL = dns.Type(be.Uint16(b)), dns.Class(be.Uint16(b[2:])), be.Uint32(b[4:])
	end := recordHead + int(be.Uint16(b[8:]))
	r.Data = b[recordHead:end:end]
	return op, r, b[end:]
}
