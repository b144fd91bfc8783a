package zone

import (
	"runtime"

	"onoma/zone/qp"
)

const (
	// slack is how much garbage a version may have besides a share of its size.
	slack = 1 << 9
	// quickly is the octets that are put in order at once, within a millisecond.
	quickly = 1 << 16
	// politely is how many names are copied before others may run.
	politely = 256
	// fewNames is a difference that writers may wait for.
	fewNames = 1 << 10
	// maxRounds bounds how often a compaction runs after what changes meanwhile.
	maxRounds = 8
)

// isWasteful reports whether more than a third of the octets in use are, or
// could be, garbage: what edits replaced since all was last in order. The cost
// of putting it in order is spread over as many edits as made it.
func (v *Version) isWasteful() bool {
	_, used := v.sp.Size()
	return used > v.live+v.live/2+slack
}

// compactions bounds those that run at a time, and with them their memory.
var compactions = make(chan struct{}, 1)

// startTidying reports whether a compaction is to begin: none is at work for
// these versions. endTidying ends it.
func (l *lineage) startTidying() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tidying {
		return false
	}
	l.tidying = true
	return true
}

func (l *lineage) endTidying() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidying = false
}

// tidy puts v, which is or was the current version, in order beside readers and
// writers, and makes the result the current version. What has been changed
// meanwhile is changed in it too, so that writers wait for little.
func (z *Zone) tidy(v *Version) {
	compactions <- struct{}{}
	defer func() { <-compactions }()
	defer v.line.endTidying()
	nv := v.compact()
	for range maxRounds {
		now := z.latest()
		if now == v || now == nil || now.line != v.line {
			break
		}
		names, err := 0, error(nil)
		if nv, names, err = nv.rebase(v, now); err != nil {
			return // too large for its references: the version as it is stays
		}
		if v = now; names <= fewNames {
			break
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	now := z.latest()
	if now == nil || now.line != v.line {
		return // something else is being served
	}
	if now != v {
		var err error
		if nv, _, err = nv.rebase(v, now); err != nil {
			return
		}
	}
	z.setLatest(nv)
	z.same = append(z.same, now.id)
}

// rebase returns v with the changes that made to from from, and how many names
// they were. v has the same records as from.
func (v *Version) rebase(from, to *Version) (nv *Version, names int, err error) {
	e := v.Edit()
	for i, tries := range [][2]*qp.Trie{{&from.names, &to.names}, {&from.nsec3, &to.nsec3}, {&from.spare, &to.spare}} {
		hashed := i > 0
		qp.Diff(&from.sp, tries[0], &to.sp, tries[1], func(x, y qp.Leaf, _, inTo bool) {
			if inTo {
				e.adopt(to, to.sp.Name(y), hashed)
			} else {
				e.adopt(to, from.sp.Name(x), hashed)
			}
			names++
		})
	}
	nv, err = e.Commit()
	return nv, names, err
}

// adopt makes the name rel what it is in v.
func (e *Editor) adopt(v *Version, rel []byte, hashed bool) {
	e.close()
	c := &e.cur
	c.rel = append(c.rel[:0], rel...)
	c.hashed, c.open, c.dirty, c.was = hashed, true, true, 0
	c.reset()
	if l, _, ok := e.lookup(rel, hashed); ok {
		c.load(&e.w.Space, l.Ref)
		c.was = c.records()
		c.reset()
	}
	if l, ok := v.leaf(&e.key, rel, hashed); ok {
		c.load(&v.sp, l.Ref)
	}
	e.close()
}

// leaf returns that of the name rel.
func (v *Version) leaf(k *qp.Key, rel []byte, hashed bool) (qp.Leaf, bool) {
	if !hashed {
		return v.sp.Find(&v.names, k, rel)
	}
	l, ok := v.sp.Find(&v.nsec3, k, rel)
	if !ok {
		l, ok = v.sp.Find(&v.spare, k, rel)
	}
	return l, ok
}

// compact returns the same version in memory of its own and without garbage,
// its names in order and its NS sets shared anew. It lets others run every few
// names.
func (v *Version) compact() *Version {
	nv := &Version{
		id:     newVersionID(),
		origin: v.origin, class: v.class, serial: v.serial, records: v.records,
		chain: v.chain, source: v.source,
	}
	e := newEdit(nv)
	e.w.Expect((v.names.Len() + v.nsec3.Len() + v.spare.Len()) * 3 / 2)
	a := newAssembly(e)
	m := &mover{from: &v.sp, w: a.w, share: a.share}
	copyAll(v, &v.names, m, a, a.add)
	a.finishNames()
	copyAll(v, &v.nsec3, m, a, a.addNSEC3)
	copyAll(v, &v.spare, m, a, a.addNSEC3)
	a.finish()
	return nv
}

// copyAll copies the entries of a trie of v and hands them to add.
func copyAll(v *Version, t *qp.Trie, m *mover, a *assembly, add func(ref, flags uint32)) {
	c := v.sp.Walk(t)
	n := 0
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		ref := m.copy(l.Ref)
		a.sync()
		add(ref, l.Flags&^flagsKept)
		if n++; n%politely == 0 {
			runtime.Gosched()
		}
	}
}
