package zone

import (
	"onoma/dns"
	"onoma/zone/qp"
)

// draft is a node that is being made or changed, its RRsets apart. A Builder
// and an Editor each keep one and use it again.
type draft struct {
	sets []draftSet // in no order
	full bool       // a type was left out: there are maxTypes
	lost int        // records that load left out for that
	sort sorter
}

// draftSet is an RRset and its signatures. One without records has signatures
// only; one without either is not there.
type draftSet struct {
	typ         dns.Type
	ttl, sigTTL uint32
	mixed       bool // records came with other TTLs than ttl
	data, sigs  packed
}

func (s *draftSet) isEmpty() bool { return s.data.n == 0 && s.sigs.n == 0 }

func (d *draft) reset() { d.sets, d.full, d.lost = d.sets[:0], false, 0 }

// maxTypes bounds the types of one name, since to find one we look at them one
// after the other. Nobody has so many, other than to slow servers down.
const maxTypes = 256

// hasRoom reports whether a record of type t with such rdata can be added.
func (d *draft) hasRoom(t dns.Type, rdata []byte) bool {
	if len(d.sets) < maxTypes {
		return true
	}
	if t == dns.TypeRRSIG {
		t = dns.SigCovers(rdata)
	}
	return d.find(t) != nil
}

// records returns the number of records.
func (d *draft) records() (n int) {
	for i := range d.sets {
		n += d.sets[i].data.n + d.sets[i].sigs.n
	}
	return n
}

func (d *draft) find(t dns.Type) *draftSet {
	for i := range d.sets {
		if d.sets[i].typ == t {
			return &d.sets[i]
		}
	}
	return nil
}

// set returns the RRset of type t, an empty one where there is none.
func (d *draft) set(t dns.Type) *draftSet {
	if s := d.find(t); s != nil {
		return s
	}
	if n := len(d.sets); n < cap(d.sets) {
		d.sets = d.sets[:n+1] // with the memory that it had
	} else {
		d.sets = append(d.sets, draftSet{})
	}
	s := &d.sets[len(d.sets)-1]
	s.typ, s.ttl, s.sigTTL, s.mixed = t, 0, 0, false
	s.data.reset()
	s.sigs.reset()
	return s
}

// add adds a record to the RRset of its type, RRSIG to the one that it covers
// (RFC 4034 §3.1.1). The RRset keeps the TTL of its first record.
func (d *draft) add(t dns.Type, ttl uint32, rdata []byte) {
	if t == dns.TypeRRSIG {
		s := d.set(dns.SigCovers(rdata))
		if s.sigs.n == 0 {
			s.sigTTL = ttl
		}
		s.sigs.add(rdata)
		return
	}
	s := d.set(t)
	if s.data.n == 0 {
		s.ttl = ttl
	}
	s.mixed = s.mixed || s.ttl != ttl
	s.data.add(rdata)
}

// load adds the RRsets of the entry at ref.
func (d *draft) load(s *qp.Space, ref uint32) {
	n, b := slots(s.At(ref))
	for ; n > 0; n-- {
		if len(d.sets) >= maxTypes && d.find(slotType(b)) == nil {
			d.full = true
			d.lost += slotRecords(s, b)
			b = b[slotLen(b):]
			continue
		}
		set, form := d.set(slotType(b)), b[2]
		if form&formSigsOnly == 0 {
			set.addBody(readSlotBody(s, b))
		}
		if form&formSigned != 0 {
			sigs, _ := readBody(b[sigsAt(b):], form&formWideSigs != 0)
			set.addSigs(sigs)
		}
		b = b[slotLen(b):]
	}
}

// readSlotBody returns the records of the slot b, which has some.
func readSlotBody(s *qp.Space, b []byte) body {
	if b[2]&formShared != 0 {
		set, _, _ := readShared(s.At(le.Uint32(b[slotHead:])))
		return set
	}
	set, _ := readBody(b[slotHead:], b[2]&formWide != 0)
	return set
}

// slotRecords returns the number of records of the slot b.
func slotRecords(s *qp.Space, b []byte) (n int) {
	form := b[2]
	if form&formSigsOnly == 0 {
		set := readSlotBody(s, b)
		n += int(set.count)
	}
	if form&formSigned != 0 {
		sigs, _ := readBody(b[sigsAt(b):], form&formWideSigs != 0)
		n += int(sigs.count)
	}
	return n
}

// addBody adds records; the TTL that was there first stays.
func (s *draftSet) addBody(b body) {
	if s.data.n == 0 {
		s.ttl = b.ttl
	}
	s.mixed = s.mixed || s.ttl != b.ttl
	s.data.buf = append(s.data.buf, b.packed...)
	s.data.n += int(b.count)
}

func (s *draftSet) addSigs(b body) {
	if s.sigs.n == 0 {
		s.sigTTL = b.ttl
	}
	s.sigs.buf = append(s.sigs.buf, b.packed...)
	s.sigs.n += int(b.count)
}

// tidy sorts the RRsets and their records and leaves out what is empty.
func (d *draft) tidy() {
	for i := 0; i < len(d.sets); {
		if d.sets[i].isEmpty() {
			last := len(d.sets) - 1
			d.sets[i], d.sets[last] = d.sets[last], d.sets[i]
			d.sets = d.sets[:last]
			continue
		}
		d.sets[i].data.sort(d.sets[i].typ, &d.sort)
		d.sets[i].sigs.sort(dns.TypeRRSIG, &d.sort)
		// Insertion: a name has few types.
		for j := i; j > 0 && slotOrder(d.sets[j].typ) < slotOrder(d.sets[j-1].typ); j-- {
			d.sets[j], d.sets[j-1] = d.sets[j-1], d.sets[j]
		}
		i++
	}
}

// slotOrder puts the SOA before all: transfers and files begin with it.
func slotOrder(t dns.Type) int {
	if t == dns.TypeSOA {
		return -1
	}
	return int(t)
}

// write stores the tidy draft under the relative name rel and returns the
// reference of its entry and the flags that follow from it.
func (d *draft) write(w *qp.Writer, share *interner, rel []byte) (ref, flags uint32) {
	size := 1 + len(rel) + 2
	for i := range d.sets {
		size += d.sets[i].size()
	}
	// Shared blocks come first: the entry must not be split by them.
	var shared uint32
	together := share != nil && share.shards != nil
	if ns := d.find(dns.TypeNS); !together && ns != nil && ns.data.n > 0 {
		shared = share.intern(w, ns.body())
	}
	ref, b := w.Alloc(size)
	b[0] = byte(len(rel))
	n := 1 + copy(b[1:], rel)
	le.PutUint16(b[n:], uint16(len(d.sets)))
	n += 2
	for i := range d.sets {
		s := &d.sets[i]
		if together && s.isShared() {
			share.putLater(s.body(), b[n+slotHead:])
		}
		n += s.write(b[n:], shared)
		if s.data.n > 0 {
			flags |= typeFlags(s.typ, len(rel) == 0)
		}
	}
	if len(rel) == 0 {
		flags |= flagApex
	}
	if len(d.sets) == 0 {
		flags |= flagENT
	}
	return ref, flags
}

func (s *draftSet) body() body    { return body{s.ttl, uint32(s.data.n), s.data.buf} }
func (s *draftSet) sigBody() body { return body{s.sigTTL, uint32(s.sigs.n), s.sigs.buf} }

// isShared reports whether the records are kept in a shared block.
func (s *draftSet) isShared() bool { return s.typ == dns.TypeNS && s.data.n > 0 }

func (s *draftSet) size() int {
	n := slotHead
	switch {
	case s.isShared():
		n += 4
	case s.data.n > 0:
		b := s.body()
		n += b.size()
	}
	if s.sigs.n > 0 {
		b := s.sigBody()
		n += b.size()
	}
	return n
}

// write puts the slot at the start of dst and returns its length.
func (s *draftSet) write(dst []byte, shared uint32) int {
	le.PutUint16(dst, uint16(s.typ))
	form, n := 0, slotHead
	switch b := s.body(); {
	case s.isShared():
		form |= formShared
		le.PutUint32(dst[n:], shared)
		n += 4
	case b.count == 0:
		form |= formSigsOnly
	default:
		if b.isWide() {
			form |= formWide
		}
		n += b.write(dst[n:])
	}
	if b := s.sigBody(); b.count > 0 {
		form |= formSigned
		if b.isWide() {
			form |= formWideSigs
		}
		n += b.write(dst[n:])
	}
	dst[2] = byte(form)
	return n
}
