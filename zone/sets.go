package zone

import (
	"bytes"
	"fmt"

	"onoma/dns"
)

// What follows changes whole sets, for who keeps a zone signed. Owners are names in
// wire form, at or below the origin; packed rdata is as in [RRset.Packed], each
// well-formed.

// PutRRset makes packed, count records of rdata, the RRset of type t; its signatures
// stay. With count 0 there is none. It reports whether that changed anything.
func (e *Editor) PutRRset(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error) {
	return e.putSet(owner, t, t == dns.TypeNSEC3, body{ttl, uint32(count), packed}, false)
}

// PutSigs makes packed, count records of rdata of RRSIG, the signatures that cover
// the RRset of type t. With count 0 there are none. It reports as PutRRset does.
func (e *Editor) PutSigs(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error) {
	return e.putSet(owner, t, t == dns.TypeNSEC3, body{ttl, uint32(count), packed}, true)
}

func (e *Editor) putSet(owner []byte, t dns.Type, hashed bool, b body, sigs bool) (bool, error) {
	switch {
	case e.spent:
		return false, ErrSpent
	case !e.v.has(owner):
		return false, ErrOutOfZone
	}
	e.openWire(owner, hashed)
	changed, err := e.cur.put(t, b, sigs)
	e.cur.dirty = e.cur.dirty || changed
	return changed, err
}

// put makes b the RRset of type t, or the signatures that cover it.
func (d *draft) put(t dns.Type, b body, sigs bool) (bool, error) {
	s := d.find(t)
	if s == nil {
		if b.count == 0 {
			return false, nil
		}
		if len(d.sets) >= maxTypes {
			return false, fmt.Errorf("putting %s: %w", t, ErrTypes)
		}
		s = d.set(t)
	}
	p, ttl := &s.data, &s.ttl
	if sigs {
		p, ttl = &s.sigs, &s.sigTTL
	}
	if p.n == int(b.count) && (b.count == 0 || *ttl == b.ttl && bytes.Equal(p.buf, b.packed)) {
		return false, nil
	}
	p.buf = append(p.buf[:0], b.packed...)
	p.n, *ttl = int(b.count), b.ttl
	return true, nil
}

// Clear takes all records of a name away, NSEC3 records apart; with hashed, those and
// what covers them.
func (e *Editor) Clear(owner []byte, hashed bool) {
	if e.spent || !e.v.has(owner) {
		return
	}
	e.openWire(owner, hashed)
	if len(e.cur.sets) > 0 {
		e.cur.draft.reset()
		e.cur.dirty = true
	}
}

// Rechain has the look-ups of NSEC3 records in View go by the NSEC3PARAM record as it
// has been edited so far, as those of the version will. Where it is another than
// before that costs as much as the zone has names.
func (e *Editor) Rechain() {
	if e.spent {
		return
	}
	e.close()
	e.v.apex, _ = e.w.Find(&e.v.names, &e.key, nil)
	if e.findChain() {
		e.rechain()
	}
	e.sync()
}
