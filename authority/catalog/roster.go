package catalog

import (
	"iter"

	"onoma/dns"
)

// roster is the members of a catalog by zone, divided as its state is.
type roster [Parts]map[dns.Name]*entry

// part returns to which part of the state a zone belongs (FNV-1a of its name).
func part(name dns.Name) uint8 {
	h := uint32(2166136261)
	for _, c := range []byte(name.Wire()) {
		h = (h ^ uint32(c)) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16 ^ h>>24)
}

func (r *roster) get(name dns.Name) *entry { return r[part(name)][name] }

func (r *roster) put(e *entry) {
	p := part(e.Zone)
	if r[p] == nil {
		r[p] = make(map[dns.Name]*entry)
	}
	r[p][e.Zone] = e
}

func (r *roster) remove(name dns.Name) { delete(r[part(name)], name) }

func (r *roster) len() (n int) {
	for _, m := range r {
		n += len(m)
	}
	return n
}

// all yields the members in no order.
func (r *roster) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, m := range r {
			for _, e := range m {
				if !yield(e) {
					return
				}
			}
		}
	}
}
