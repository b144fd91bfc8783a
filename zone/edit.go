package zone

import (
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/qp"
)

// edit is a version in the making: what Builder, Editor and compaction share.
type edit struct {
	v     *Version
	w     *qp.Writer
	share *interner
	hosts *hostWriter
	key   qp.Key // scratch
	ent   draft  // always empty
}

// newEdit returns one that makes v in memory of its own.
func newEdit(v *Version) *edit {
	return &edit{v: v, w: qp.NewWriter(&qp.Space{}, false), share: newInterner(v.origin), hosts: newHostWriter(hostTable{})}
}

// sync lets e.v read what has been written.
func (e *edit) sync() {
	e.v.sp = e.w.Space
	e.v.hosts = e.hosts.hostTable
}

// name returns the name of the entry at ref.
func (e *edit) name(ref uint32) []byte { return e.w.Name(qp.Leaf{Ref: ref}) }

// hashPrefix returns the first octets of the NSEC3 hash of rel's full name.
func (e *edit) hashPrefix(rel []byte) uint32 {
	if !e.v.chain.used {
		return 0
	}
	var name [dns.MaxNameLen]byte
	var hash [dnssec.NSEC3HashLen]byte
	full := append(append(name[:0], rel...), e.v.origin.Wire()...)
	return be.Uint32(e.v.chain.params.hash(hash[:0], full))
}

// writeENT stores an entry without RRsets.
func (e *edit) writeENT(rel []byte) (ref, flags uint32) { return e.ent.write(e.w, e.share, rel) }

// isWild reports whether the leftmost label of rel is an asterisk.
func isWild(rel []byte) bool { return len(rel) >= 2 && rel[0] == 1 && rel[1] == '*' }

// parent returns rel without its leftmost label.
func parent(rel []byte) []byte { return rel[1+int(rel[0]):] }

// setWild notes at the parent of a wildcard whether the wildcard exists.
func (e *edit) setWild(wildcard []byte, exists bool) {
	l, ok := e.w.Find(&e.v.names, &e.key, parent(wildcard))
	if !ok {
		return
	}
	l.Flags &^= flagWild
	if exists {
		l.Flags |= flagWild
	}
	e.w.Put(&e.v.names, &e.key, l)
}

// findChain looks up at the apex which NSEC3 chain is in use, and reports
// whether that is another one than before.
func (e *edit) findChain() (changed bool) {
	e.sync()
	p, used := chainInUse(e.v.Apex())
	c := &e.v.chain
	changed = used != c.used || used && !c.params.equal(&p)
	c.params, c.used = p, used
	return changed
}

// assembly makes the tries of a version from leaves in canonical order.
type assembly struct {
	*edit
	names, nsec3, spare *qp.Bulk
	keys                [2]qp.Key // of the name that is added, and of the one before
	odd                 bool      // which of the keys is which
	n                   int
	wild                []uint32 // entries of wildcards
}

func newAssembly(e *edit) *assembly {
	return &assembly{edit: e, names: qp.NewBulk(e.w), nsec3: qp.NewBulk(e.w), spare: qp.NewBulk(e.w)}
}

// add appends the name of the entry at ref, and the empty non-terminals between
// it and the names before. The apex is the first one.
func (a *assembly) add(ref, flags uint32) {
	rel := a.name(ref)
	now, last := &a.keys[0], &a.keys[1]
	if a.odd = !a.odd; a.odd {
		now, last = last, now
	}
	now.Set(rel)
	if a.n > 0 {
		for d := now.Common(last) + 1; d < now.Labels(); d++ {
			ent, entFlags := a.writeENT(rel[now.Offset(d):])
			a.key.Set(a.name(ent))
			a.leaf(&a.key, ent, entFlags)
		}
	}
	a.leaf(now, ref, flags)
}

// goOn goes on behind the name of the entry at ref, which belongs to another assembly.
func (a *assembly) goOn(ref uint32) {
	a.keys[0].Set(a.name(ref))
	a.keys[1] = a.keys[0]
	a.n = 1
}

func (a *assembly) leaf(k *qp.Key, ref, flags uint32) {
	rel := a.name(ref)
	if isWild(rel) {
		a.wild = append(a.wild, ref)
	}
	a.names.Add(k, qp.Leaf{Flags: flags, Aux: a.hashPrefix(rel), Ref: ref})
	a.n++
}

// addNSEC3 appends an owner of NSEC3 records. The names must be finished.
func (a *assembly) addNSEC3(ref, flags uint32) {
	l := qp.Leaf{Flags: flags, Ref: ref}
	a.key.Set(a.name(ref))
	if a.v.isInUse(Node{a.v, l}) {
		a.nsec3.Add(&a.key, l)
	} else {
		a.spare.Add(&a.key, l)
	}
}

// finishNames ends the trie of names and links what depends on it.
func (a *assembly) finishNames() {
	a.v.names = a.names.Finish()
	for _, ref := range a.wild {
		a.setWild(a.name(ref), true)
	}
	blocks := a.share.takeFresh()
	a.linkPlaces(blocks, a.findHosts(blocks))
	a.v.apex, _ = a.w.Find(&a.v.names, &a.key, nil)
	a.sync()
}

// finish ends the version. Its Space is written to no more, but by the lineage.
func (a *assembly) finish() {
	a.v.nsec3, a.v.spare = a.nsec3.Finish(), a.spare.Finish()
	a.w.Trim()
	a.seal()
	a.v.line = &lineage{blocks: a.share.blocks()} // most versions are never edited
}

// seal ends the version once its tries are there.
func (a *assembly) seal() {
	a.sync()
	_, a.v.live = a.v.sp.Size()
	a.findChain() // once more, as the salt has moved with the last chunk
	a.v.settle()
	a.v.number = 0
}
