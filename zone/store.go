package zone

import (
	"onoma/dns"
	"onoma/zone/qp"
)

// open makes name the one that is being edited: its NSEC3 records, with hashed,
// or its others.
func (e *Editor) open(name dns.Name, hashed bool) {
	var buf [dns.MaxNameLen]byte
	e.openWire(name.Append(buf[:0]), hashed)
}

// openWire is open for a name in wire form.
func (e *Editor) openWire(name []byte, hashed bool) {
	rel := e.v.relative(name)
	c := &e.cur
	if c.open && c.hashed == hashed && string(c.rel) == string(rel) {
		return
	}
	e.close()
	c.rel = append(c.rel[:0], rel...)
	c.hashed, c.open, c.dirty = hashed, true, false
	c.reset()
	if l, _, ok := e.lookup(rel, hashed); ok {
		c.load(&e.w.Space, l.Ref)
		c.rel = append(c.rel[:0], e.name(l.Ref)...) // keeps its case
	}
	c.was = c.records()
}

// lookup returns the leaf of rel and the trie that has it.
func (e *Editor) lookup(rel []byte, hashed bool) (qp.Leaf, *qp.Trie, bool) {
	tries := []*qp.Trie{&e.v.names}
	if hashed {
		tries = []*qp.Trie{&e.v.nsec3, &e.v.spare}
	}
	for _, t := range tries {
		if l, ok := e.w.Find(t, &e.key, rel); ok {
			return l, t, true
		}
	}
	return qp.Leaf{}, nil, false
}

// close stores the name that is being edited.
func (e *Editor) close() {
	c := &e.cur
	if c.open && c.dirty {
		c.tidy()
		e.v.records += c.records() - c.was
		switch {
		case c.hashed:
			e.storeHashed()
		case len(c.sets) == 0:
			e.drop(c.rel)
		default:
			e.keep()
		}
	}
	c.open = false
}

// keep writes the name's entry anew.
func (e *Editor) keep() {
	rel := e.cur.rel
	ref, flags := e.cur.write(e.w, e.share, rel)
	e.put(rel, ref, flags)
	e.linkHosts(e.share.takeFresh())
}

// put makes the entry at ref that of the name rel, with all that follows for
// the names around it.
func (e *edit) put(rel []byte, ref, flags uint32) {
	old, ok := e.w.Find(&e.v.names, &e.key, rel)
	if !ok {
		e.insert(rel, ref, flags)
		return
	}
	old.Flags, old.Ref = old.Flags&flagsKept|flags, ref
	e.w.Put(&e.v.names, &e.key, old)
	if old.Flags&flagHost != 0 {
		e.hosts.set(old.Aux, ref)
	}
}

// insert adds a name, and before it the empty non-terminals above it that are
// not there yet.
func (e *edit) insert(rel []byte, ref, flags uint32) {
	if len(rel) > 0 {
		if up := parent(rel); !e.exists(up) {
			ent, entFlags := e.writeENT(up)
			e.insert(up, ent, entFlags)
		}
	}
	l := qp.Leaf{Flags: flags, Aux: e.hashPrefix(rel), Ref: ref}
	if host, ok := e.w.Find(&e.v.absent, &e.key, rel); ok {
		e.w.Delete(&e.v.absent, &e.key, rel)
		l.Flags, l.Aux = l.Flags|flagHost, host.Aux
		e.hosts.set(l.Aux, ref)
	}
	e.w.Put(&e.v.names, &e.key, l)
	if isWild(rel) {
		e.setWild(rel, true)
	}
}

func (e *edit) exists(rel []byte) bool {
	_, ok := e.w.Find(&e.v.names, &e.key, rel)
	return ok
}

// drop takes the name's records away: it becomes an empty non-terminal where
// names lie below it, or goes, and with it those above it that were there only
// for its sake.
func (e *edit) drop(rel []byte) {
	for {
		l, ok := e.w.Find(&e.v.names, &e.key, rel)
		switch {
		case !ok:
			return
		case len(rel) == 0 || e.w.HasBelow(&e.v.names, &e.key, rel):
			if l.Flags&flagENT == 0 {
				ref, flags := e.writeENT(rel)
				e.put(rel, ref, flags)
			}
			return
		}
		e.remove(rel, l)
		rel = parent(rel)
		if up, _ := e.w.Find(&e.v.names, &e.key, rel); up.Flags&flagENT == 0 {
			return
		}
	}
}

// remove takes a name out. A host keeps its number, should it come back.
func (e *edit) remove(rel []byte, l qp.Leaf) {
	e.w.Delete(&e.v.names, &e.key, rel)
	if l.Flags&flagHost != 0 {
		e.hosts.set(l.Aux, 0)
		e.w.Put(&e.v.absent, &e.key, qp.Leaf{Aux: l.Aux, Ref: l.Ref})
	}
	if isWild(rel) {
		e.setWild(rel, false)
	}
}

// storeHashed writes an owner of NSEC3 records, into the trie of the chain that
// it belongs to.
func (e *Editor) storeHashed() {
	rel := e.cur.rel
	if _, t, ok := e.lookup(rel, true); ok {
		e.w.Delete(t, &e.key, rel)
	}
	if len(e.cur.sets) == 0 {
		return
	}
	ref, flags := e.cur.write(e.w, e.share, rel)
	e.putHashed(qp.Leaf{Flags: flags, Ref: ref})
}

func (e *edit) putHashed(l qp.Leaf) {
	e.sync()
	t := &e.v.spare
	if e.v.isInUse(Node{e.v, l}) {
		t = &e.v.nsec3
	}
	e.w.Put(t, &e.key, l)
}

// rechain follows a change of the NSEC3 chain in use: other hashes of all
// names, other records to prove from.
func (e *edit) rechain() {
	e.w.Update(&e.v.names, func(l qp.Leaf) qp.Leaf {
		if l.Flags&flagHost == 0 {
			l.Aux = e.hashPrefix(e.name(l.Ref))
		}
		return l
	})
	old := []qp.Trie{e.v.nsec3, e.v.spare}
	e.v.nsec3, e.v.spare = qp.Trie{}, qp.Trie{}
	e.sync()
	s := e.w.Space
	for i := range old {
		c := s.Walk(&old[i])
		for l, ok := c.Next(); ok; l, ok = c.Next() {
			e.putHashed(l)
		}
	}
}
