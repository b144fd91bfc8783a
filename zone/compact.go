package zone

import "onoma/zone/qp"

// slack is how much garbage a version may have besides a share of its size.
const slack = 1 << 12

// isWasteful reports whether more than a third of the octets in use are, or
// could be, garbage: what edits replaced since all was last in order. The cost
// of putting it in order is spread over as many edits as made it.
func (v *Version) isWasteful() bool {
	_, used := v.sp.Size()
	return used > v.live+v.live/2+slack
}

// compact returns the same version in memory of its own and without garbage,
// its names in order and its NS sets shared anew.
func (v *Version) compact() *Version {
	nv := &Version{
		origin: v.origin, class: v.class, serial: v.serial, records: v.records,
		chain: v.chain, number: v.number, source: v.source,
	}
	e := &edit{
		v: nv, w: qp.NewWriter(&qp.Space{}, false), share: newInterner(v.origin),
		hosts: newHostWriter(hostTable{}),
	}
	e.w.Expect((v.names.Len() + v.nsec3.Len() + v.spare.Len()) * 3 / 2)
	a := newAssembly(e)
	copyAll(v, &v.names, a, a.add)
	a.finishNames()
	copyAll(v, &v.nsec3, a, a.addNSEC3)
	copyAll(v, &v.spare, a, a.addNSEC3)
	a.finish()
	return nv
}

// copyAll copies the entries of a trie of v and hands them to add.
func copyAll(v *Version, t *qp.Trie, a *assembly, add func(ref, flags uint32)) {
	var d draft
	c := v.sp.Walk(t)
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		d.reset()
		d.load(&v.sp, l.Ref)
		ref, flags := d.write(a.w, a.share, v.sp.Name(l))
		a.sync()
		add(ref, flags)
	}
}
