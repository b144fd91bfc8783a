package zone

import (
	"iter"

	"onoma/dns"
)

// Peek is a name as an Editor has it so far, to look at before it is changed
// further; NSEC3 records apart. Looking stores nothing, so that it is cheap between
// changes of the same name. It is good until the next change.
type Peek struct{ d *draft }

// Peek returns a name, an empty one for what is not in the zone.
func (e *Editor) Peek(name dns.Name) Peek {
	if e.spent || !e.v.has([]byte(name.Wire())) {
		return Peek{}
	}
	e.open(name, false)
	return Peek{&e.cur.draft}
}

// Types yields the types of which the name has records. RRSIG may come more than
// once: for each type that signatures cover.
func (p Peek) Types() iter.Seq[dns.Type] {
	return func(yield func(dns.Type) bool) {
		if p.d == nil {
			return
		}
		for i := range p.d.sets {
			s := &p.d.sets[i]
			if s.data.n > 0 && !yield(s.typ) || s.sigs.n > 0 && !yield(dns.TypeRRSIG) {
				return
			}
		}
	}
}

// Records returns how many records the name has.
func (p Peek) Records() int {
	if p.d == nil {
		return 0
	}
	return p.d.records()
}

// Count returns how many records of type t the name has.
func (p Peek) Count(t dns.Type) (n int) {
	if p.d == nil {
		return 0
	}
	if t == dns.TypeRRSIG {
		for i := range p.d.sets {
			n += p.d.sets[i].sigs.n
		}
		return n
	}
	if s := p.d.find(t); s != nil {
		n = s.data.n
	}
	return n
}

// RData yields the rdata of the records of type t, in the order of the zone as
// long as the name is as it was.
func (p Peek) RData(t dns.Type) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if p.d == nil {
			return
		}
		for i := range p.d.sets {
			s := &p.d.sets[i]
			switch {
			case t == dns.TypeRRSIG && !s.sigs.each(yield):
				return
			case t == s.typ && t != dns.TypeRRSIG && !s.data.each(yield):
				return
			}
		}
	}
}

// each yields all rdata, and reports whether more may be yielded.
func (p *packed) each(yield func([]byte) bool) bool {
	for off := 0; off < len(p.buf); {
		var rd []byte
		if rd, off = rdataAt(p.buf, off); !yield(rd) {
			return false
		}
	}
	return true
}
