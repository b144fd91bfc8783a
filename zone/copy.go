package zone

import (
	"bytes"
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/zone/qp"
)

// ErrOrder says that names came to a Copy in another order than the zone's, or names
// that the zone does not have.
var ErrOrder = errors.New("name is not in its place")

// Copy writes a version anew, in memory of its own and without garbage, and with other
// sets at any number of its names. It is for changes that touch much of a zone, to
// which an Editor would come name by name. It belongs to one goroutine; beside it,
// others may read the version that it copies.
//
// Sets are put in canonical order of their owners, which are names that the version
// has. Names for which nothing is put are copied as they are. Owners of NSEC3 records
// are not copied: sets of NSEC3 are put behind all others, in canonical order too, and
// these are what the copy has.
type Copy struct {
	*assembly
	from  *Version
	walk  qp.Cursor
	next  qp.Leaf // of from; not yet in the copy
	more  bool
	moves mover

	cur    draft
	rel    []byte // cur's name
	open   bool
	dirty  bool
	hashed bool // all names have been copied, and what comes are owners of NSEC3 records
}

// Copy returns a Copy of the zone as edited so far. The Editor is to be discarded once
// the Copy is committed or given up, and nothing be done to it before.
func (e *Editor) Copy() *Copy {
	from := e.View()
	nv := &Version{id: newVersionID(), origin: from.origin, class: from.class, records: from.records - from.hashedRecords()}
	nv.chain.params, nv.chain.used = chainInUse(from.Apex())
	c := &Copy{from: from, assembly: newAssembly(newEdit(nv))}
	c.moves = mover{from: &from.sp, w: c.w, share: c.share}
	c.w.Expect((from.names.Len() + from.nsec3.Len()) * 3 / 2)
	c.walk = from.sp.Walk(&from.names)
	c.next, c.more = c.walk.Next()
	return c
}

// PutRRset is [Editor.PutRRset].
func (c *Copy) PutRRset(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error) {
	return c.put(owner, t, body{ttl, uint32(count), packed}, false)
}

// PutSigs is [Editor.PutSigs].
func (c *Copy) PutSigs(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error) {
	return c.put(owner, t, body{ttl, uint32(count), packed}, true)
}

func (c *Copy) put(owner []byte, t dns.Type, b body, sigs bool) (bool, error) {
	if err := c.seek(c.v.relative(owner), t == dns.TypeNSEC3); err != nil {
		return false, fmt.Errorf("putting %s: %w", t, err)
	}
	changed, err := c.cur.put(t, b, sigs)
	c.dirty = c.dirty || changed
	if c.hashed && changed {
		changed = !c.from.hasBody(&c.key, c.rel, b, sigs)
	}
	return changed, err
}

// seek opens a name.
func (c *Copy) seek(rel []byte, hashed bool) error {
	if c.open && c.hashed == hashed && bytes.Equal(c.rel, rel) {
		return c.w.Err()
	}
	c.close()
	switch {
	case hashed:
		c.endNames()
	case c.hashed:
		return ErrOrder
	default:
		for c.more && !bytes.Equal(c.from.sp.Name(c.next), rel) {
			c.copyNext()
		}
		if !c.more {
			return ErrOrder
		}
		c.cur.load(&c.from.sp, c.next.Ref)
		c.v.records -= c.cur.records()
		c.next, c.more = c.walk.Next()
	}
	c.rel, c.open, c.dirty = append(c.rel[:0], rel...), true, false
	return nil
}

// copyNext copies a name as it is. Empty non-terminals come by themselves.
func (c *Copy) copyNext() {
	if c.next.Flags&flagENT == 0 {
		ref := c.moves.copy(c.next.Ref)
		c.sync()
		c.add(ref, c.next.Flags&^flagsKept)
	}
	c.next, c.more = c.walk.Next()
}

// close writes the open name.
func (c *Copy) close() {
	if !c.open {
		return
	}
	c.open = false
	if c.dirty {
		c.cur.tidy()
	}
	c.v.records += c.cur.records()
	if len(c.cur.sets) > 0 {
		ref, flags := c.cur.write(c.w, c.share, c.rel)
		c.sync()
		if c.hashed {
			c.addNSEC3(ref, flags)
		} else {
			c.add(ref, flags)
		}
	}
	c.cur.reset()
}

// endNames copies the names that are left, and ends their trie.
func (c *Copy) endNames() {
	if c.hashed {
		return
	}
	for c.more {
		c.copyNext()
	}
	c.finishNames()
	c.hashed = true
}

// Commit returns the version.
func (c *Copy) Commit() (*Version, error) {
	c.close()
	c.endNames()
	if err := c.w.Err(); err != nil {
		return nil, fmt.Errorf("copying %s: %w", c.v.origin, err)
	}
	soa, ok := c.v.Apex().RRset(dns.TypeSOA)
	if !ok {
		return nil, fmt.Errorf("copying %s: %w", c.v.origin, ErrNoSOA)
	}
	c.v.serial = dns.SOASerial(soa.First())
	c.finish()
	return c.v, c.w.Err()
}

// hasBody reports whether the NSEC3 records of rel, or the signatures that cover them,
// are those of b.
func (v *Version) hasBody(k *qp.Key, rel []byte, b body, sigs bool) bool {
	l, ok := v.leaf(k, rel, true)
	if !ok {
		return false
	}
	set, ok := Node{v, l}.RRset(dns.TypeNSEC3)
	if sigs && ok {
		set, ok = set.Sigs()
	}
	return ok && set.count == b.count && set.body.isSame(b)
}

// hashedRecords returns how many records are at owners of NSEC3 records.
func (v *Version) hashedRecords() (records int) {
	for owner := range v.NSEC3Owners() {
		n, b := slots(v.sp.At(owner.leaf.Ref))
		for ; n > 0; n-- {
			records += slotRecords(&v.sp, b)
			b = b[slotLen(b):]
		}
	}
	return records
}

// mover copies entries from one Space to another.
type mover struct {
	from  *qp.Space
	w     *qp.Writer
	share *interner
	moved []move // shared blocks: open addressing, a power of two long
	n     int
}

// move is a shared block in both Spaces.
type move struct{ from, to uint32 }

// copy copies the entry at ref, and returns its new reference.
func (m *mover) copy(ref uint32) uint32 {
	old := m.from.At(ref)
	n, b := slots(old)
	shared, place := uint32(0), 0
	size := len(old) - len(b)
	for ; n > 0; n-- {
		if b[2]&formShared != 0 {
			shared, place = m.block(le.Uint32(b[slotHead:])), size+slotHead
		}
		b = b[slotLen(b):]
		size = len(old) - len(b)
	}
	at, entry := m.w.Alloc(size)
	copy(entry, old[:size])
	if place > 0 {
		le.PutUint32(entry[place:], shared)
	}
	return at
}

// block returns the new reference of the shared block at ref. It remembers those that
// it has had: to read a block and find its like takes longer than the rest of a copy.
func (m *mover) block(ref uint32) uint32 {
	if 4*m.n >= 3*len(m.moved) {
		m.grow()
	}
	s := m.slot(ref)
	if s.from == 0 {
		set, _, _ := readShared(m.from.At(ref))
		*s = move{ref, m.share.intern(m.w, set)}
		m.n++
	}
	return s.to
}

func (m *mover) slot(ref uint32) *move {
	for i := ref * 0x9E3779B1 >> 8; ; i++ { // Knuth's multiplicative hash
		if s := &m.moved[i&uint32(len(m.moved)-1)]; s.from == ref || s.from == 0 {
			return s
		}
	}
}

func (m *mover) grow() {
	old := m.moved
	m.moved = make([]move, max(64, 2*len(old)))
	for _, s := range old {
		if s.from != 0 {
			*m.slot(s.from) = s
		}
	}
}
