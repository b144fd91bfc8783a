package cache

import (
	"encoding/binary"

	"onoma/dns"
)

// writer puts a record entry into octets. What is too long for its length
// field sets over, and the entry is not stored.
type writer struct {
	b    []byte
	over bool
}

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

func (w *writer) u16(v int) {
	w.over = w.over || v > 0xFFFF
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(v))
}

func (w *writer) name(n dns.Name) { w.octets([]byte(n.Wire())) }

func (w *writer) octets(b []byte) {
	w.u16(len(b))
	w.b = append(w.b, b...)
}

func (w *writer) rdata(list []dns.RData) {
	w.u16(len(list))
	for _, d := range list {
		w.octets(d)
	}
}

func (w *writer) sets(sets []RRset) {
	w.u16(len(sets))
	for i := range sets {
		s := &sets[i]
		w.name(s.Name)
		w.u16(int(s.Type))
		w.rdata(s.Data)
		w.rdata(s.Sigs)
		w.sets(s.Proof)
	}
}

// reader takes them apart again; it reads only what writer wrote, and sets bad
// rather than trusting that.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() int {
	if b := r.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) octets() []byte { return r.take(r.u16()) }

func (r *reader) name() dns.Name {
	b := r.octets()
	if len(b) == 0 {
		return dns.Name{}
	}
	n, err := dns.NameFromWire(b)
	r.bad = r.bad || err != nil
	return n
}

func (r *reader) rdata() []dns.RData {
	n := r.u16()
	if n == 0 {
		return nil
	}
	list := make([]dns.RData, 0, min(n, len(r.b)/2))
	for range n {
		if r.bad {
			break
		}
		list = append(list, r.octets())
	}
	return list
}

func (r *reader) sets() []RRset {
	var list []RRset
	for range r.u16() {
		if r.bad {
			break
		}
		s := RRset{Name: r.name(), Type: dns.Type(r.u16()), Data: r.rdata(), Sigs: r.rdata()}
		s.Proof = r.sets()
		list = append(list, s)
	}
	return list
}
