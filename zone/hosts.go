package zone

import (
	"slices"

	"onoma/dns"
	"onoma/zone/qp"
)

// hostTable leads from host numbers to entries. A host is a target of an NS set
// that lies in the zone: its number stays the same while its records change, so
// that shared NS sets need not change with them. Number 0 is none, and reference
// 0 a host that does not exist.
type hostTable struct {
	pages [][]uint32 // pageLen numbers each, the last one fewer
}

const pageLen = 1024

func (t *hostTable) len() int {
	n := len(t.pages)
	if n == 0 {
		return 0
	}
	return (n-1)*pageLen + len(t.pages[n-1])
}

func (t *hostTable) at(i uint32) uint32 { return t.pages[i/pageLen][i%pageLen] }

func (t *hostTable) size() (n int) {
	for _, p := range t.pages {
		n += 4 * cap(p)
	}
	return n
}

// host returns the node of a host that has addresses.
func (v *Version) host(id uint32) (Node, bool) {
	if id == 0 {
		return Node{}, false
	}
	ref := v.hosts.at(id)
	if ref == 0 {
		return Node{}, false
	}
	n := Node{v, qp.Leaf{Ref: ref}}
	count, b := slots(v.sp.At(ref))
	address := false
	for ; count > 0; count-- {
		t := slotType(b)
		n.leaf.Flags |= typeFlags(t, false)
		address = address || (t == dns.TypeA || t == dns.TypeAAAA) && b[2]&formSigsOnly == 0
		b = b[slotLen(b):]
	}
	return n, address
}

// hostWriter changes a copy of a hostTable, page by page.
type hostWriter struct {
	hostTable
	own []bool // pages that are copies already
}

func newHostWriter(t hostTable) *hostWriter {
	return &hostWriter{hostTable{slices.Clone(t.pages)}, make([]bool, len(t.pages))}
}

func (w *hostWriter) set(i, ref uint32) {
	w.ownPage(int(i / pageLen))
	w.pages[i/pageLen][i%pageLen] = ref
}

func (w *hostWriter) ownPage(p int) {
	if !w.own[p] {
		w.pages[p] = slices.Clone(w.pages[p])
		w.own[p] = true
	}
}

// add returns a new number.
func (w *hostWriter) add(ref uint32) uint32 {
	if w.len() == 0 {
		w.pages, w.own = append(w.pages, make([]uint32, 1, 8)), append(w.own, true)
	}
	last := len(w.pages) - 1
	if len(w.pages[last]) == pageLen {
		w.pages, w.own = append(w.pages, nil), append(w.own, true)
		last++
	}
	w.ownPage(last)
	w.pages[last] = append(w.pages[last], ref)
	return uint32(w.len() - 1)
}

// linkHosts gives host numbers to the targets of the NS sets in blocks, which
// the writer has just made.
func (e *edit) linkHosts(blocks []uint32) {
	for _, block := range blocks {
		set, hosts, _ := readShared(e.w.At(block))
		for i, off := 0, 0; off < len(set.packed); i++ {
			var target []byte
			target, off = rdataAt(set.packed, off)
			id := uint32(0)
			if e.v.has(target) {
				id = e.hostID(e.v.relative(target))
			}
			le.PutUint32(hosts[4*i:], id)
		}
	}
}

// hostID returns the host number of the relative name rel, a new one if need be.
func (e *edit) hostID(rel []byte) uint32 {
	l, ok := e.w.Find(&e.v.names, &e.key, rel)
	if ok {
		if l.Flags&flagHost == 0 {
			l.Flags, l.Aux = l.Flags|flagHost, e.hosts.add(l.Ref)
			e.w.Put(&e.v.names, &e.key, l)
		}
		return l.Aux
	}
	if l, ok = e.w.Find(&e.v.absent, &e.key, rel); !ok {
		ref, b := e.w.Alloc(1 + len(rel))
		b[0] = byte(len(rel))
		copy(b[1:], rel)
		l = qp.Leaf{Aux: e.hosts.add(0), Ref: ref}
		e.w.Put(&e.v.absent, &e.key, l)
	}
	return l.Aux
}
