package zone

import (
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/zone/qp"
)

// Errors of an Editor.
var (
	ErrOutOfZone = errors.New("name is not in the zone")
	ErrMetaType  = errors.New("type exists in questions and messages only")
	ErrClass     = errors.New("class is not that of the zone")
	ErrTypes     = errors.New("name has records of too many types")
	ErrNoSOA     = errors.New("zone has no SOA record")
	ErrSpent     = errors.New("editor has been committed or discarded")
	ErrLong      = errors.New("edit is longer than it may be here")
)

// Editor makes the next version of a zone. It changes one name at a time in a
// draft, so that changes that are grouped by owner are quickest.
//
// What an edit replaces stays in memory for as long as the version is edited
// further. [Zone.Update] edits, and has that put in order.
//
// An Editor that is neither committed nor discarded costs its version nothing,
// but later Editors of the version then start with chunks of their own.
type Editor struct {
	edit
	base *Version
	line *lineage // that it may extend

	cur struct {
		draft
		rel    []byte
		hashed bool // the name's NSEC3 records, not its others
		open   bool
		dirty  bool
		was    int // records in it at first
	}
	shared int // blocks that the interner knew at first
	spent  bool
	bound  int // 0: none; else how many steps are left, and 2
}

// Edit returns an Editor that starts from v. v itself stays as it is.
func (v *Version) Edit() *Editor {
	line, extend := v.line.take(v)
	return v.edit(line, extend)
}

// Fork is Edit for a version that is not to be the next one of the zone: it
// leaves the right to extend v to others.
func (v *Version) Fork() *Editor {
	return v.edit(&lineage{share: newInterner(v.origin), taken: true}, false)
}

func (v *Version) edit(line *lineage, extend bool) *Editor {
	e := &Editor{base: v, line: line}
	nv := *v
	nv.id = newVersionID()
	nv.source = nil // what it will be is no file's
	e.v = &nv
	e.share = e.line.share
	e.shared = e.share.n
	e.w = qp.NewWriter(&v.sp, extend)
	e.hosts = newHostWriter(v.hosts)
	return e
}

// take returns the lineage that an Editor of v works in: this one, if v is its
// last version and nobody else is at it, else a new one.
func (l *lineage) take(v *Version) (line *lineage, extend bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken || l.last != v.number {
		return &lineage{share: newInterner(v.origin), taken: true}, false
	}
	l.taken = true
	l.prepare(v)
	return l, true
}

// fewBlocks are entered into an interner within a fraction of a millisecond.
const fewBlocks = 1 << 12

// prepare makes the interner of an Editor of v. One of a large zone is made beside
// the first Editors, which then do not share what was there before.
func (l *lineage) prepare(v *Version) {
	switch {
	case l.share == nil && len(l.blocks) <= fewBlocks:
		l.share, l.blocks = v.interner(l.blocks), nil
	case l.share == nil:
		l.share = newInterner(v.origin)
		blocks := l.blocks
		l.blocks = nil
		go func() {
			full := v.interner(blocks)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.full = full
		}()
	case l.full != nil:
		for _, ref := range l.share.blocks() {
			l.full.learn(&v.sp, ref)
		}
		l.share, l.full = l.full, nil
	}
}

func (l *lineage) release(last uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.taken = last, false
}

// Add adds a record and reports whether that changed anything. An RRset takes
// the TTL of the record that was added last (RFC 2181 §5.2). A SOA, CNAME or
// DNAME takes the place of the one that was there (RFC 2136 §3.4.2.2).
func (e *Editor) Add(r dns.Record) (bool, error) {
	if err := e.check(r); err != nil {
		return false, fmt.Errorf("adding %s %s: %w", r.Name, r.Type, err)
	}
	e.open(r.Name, isHashed(r.Type, r.Data))
	if !e.cur.hasRoom(r.Type, r.Data) {
		return false, fmt.Errorf("adding %s %s: %w", r.Name, r.Type, ErrTypes)
	}
	p, ttl := e.part(r)
	at := p.find(r.Type, r.Data)
	if at >= 0 && *ttl == r.TTL {
		if rd, _ := rdataAt(p.buf, at); string(rd) == string(r.Data) {
			return false, nil
		}
	}
	switch {
	case at >= 0: // with another TTL or another case
		p.remove(at)
	case r.Type == dns.TypeSOA || r.Type == dns.TypeCNAME || r.Type == dns.TypeDNAME:
		p.reset()
	}
	p.add(r.Data)
	*ttl = r.TTL
	e.cur.dirty = true
	return true, nil
}

func (e *Editor) check(r dns.Record) error {
	switch {
	case e.spent:
		return ErrSpent
	case !e.count():
		return ErrLong
	case !e.v.has([]byte(r.Name.Wire())):
		return ErrOutOfZone
	case r.Type.IsMeta():
		return ErrMetaType
	case r.Class != e.v.class:
		return ErrClass
	case len(r.Data) > 0xFFFF:
		return dns.ErrBadRData
	}
	return dns.CheckRData(r.Type, r.Data)
}

// Remove removes the record with r's name, type and rdata, the TTL ignored, and
// reports whether it was there.
func (e *Editor) Remove(r dns.Record) bool {
	if e.check(dns.Record{Name: r.Name, Type: r.Type, Class: e.v.class, Data: r.Data}) != nil {
		return false
	}
	e.open(r.Name, isHashed(r.Type, r.Data))
	if !e.cur.hasRoom(r.Type, r.Data) {
		return false
	}
	p, _ := e.part(r)
	at := p.find(r.Type, r.Data)
	if at < 0 {
		return false
	}
	p.remove(at)
	e.cur.dirty = true
	return true
}

// part returns where in the open name records of r's type with such rdata belong.
func (e *Editor) part(r dns.Record) (p *packed, ttl *uint32) {
	if r.Type == dns.TypeRRSIG {
		s := e.cur.set(dns.SigCovers(r.Data))
		return &s.sigs, &s.sigTTL
	}
	s := e.cur.set(r.Type)
	return &s.data, &s.ttl
}

// isHashed reports whether a record belongs to the namespace of NSEC3 owners.
func isHashed(t dns.Type, rdata []byte) bool {
	return t == dns.TypeNSEC3 || t == dns.TypeRRSIG && dns.SigCovers(rdata) == dns.TypeNSEC3
}

// RemoveRRset removes all records of a type, and reports whether there were
// any. The signatures that cover them go too; RRSIG is all of the name's.
func (e *Editor) RemoveRRset(name dns.Name, t dns.Type) bool {
	if e.spent || !e.v.has([]byte(name.Wire())) {
		return false
	}
	e.open(name, t == dns.TypeNSEC3)
	n := e.cur.records()
	for i := range e.cur.sets {
		s := &e.cur.sets[i]
		if s.typ == t {
			s.data.reset()
			s.sigs.reset()
		}
		if t == dns.TypeRRSIG {
			s.sigs.reset()
		}
	}
	gone := e.cur.records() < n
	e.cur.dirty = e.cur.dirty || gone
	return gone
}

// RemoveName removes all records of a name, and reports whether there were any.
func (e *Editor) RemoveName(name dns.Name) bool {
	if e.spent || !e.v.has([]byte(name.Wire())) {
		return false
	}
	gone := false
	for _, hashed := range []bool{false, true} {
		e.open(name, hashed)
		if e.cur.records() > 0 {
			e.cur.reset()
			e.cur.dirty, gone = true, true
		}
	}
	return gone
}

// Find returns the node of name as edited so far; good until the next change.
func (e *Editor) Find(name dns.Name) Node {
	v := e.View()
	if v == nil {
		return Node{}
	}
	return v.Find([]byte(name.Wire()))
}

// View returns the zone as edited so far, to be read until the next change. It is
// nil once the Editor is spent.
func (e *Editor) View() *Version {
	if e.spent {
		return nil
	}
	e.close()
	e.v.apex, _ = e.w.Find(&e.v.names, &e.key, nil)
	e.sync()
	return e.v
}

// Commit returns the new version. The Editor is spent.
func (e *Editor) Commit() (*Version, error) {
	if e.spent {
		return nil, ErrSpent
	}
	e.close()
	if err := e.finish(); err != nil {
		e.Discard()
		return nil, fmt.Errorf("committing %s: %w", e.v.origin, err)
	}
	e.spent = true
	e.v.line, e.v.number = e.line, e.base.number+1
	e.line.release(e.v.number)
	return e.v, nil
}

func (e *Editor) finish() error {
	if err := e.w.Err(); err != nil {
		return err
	}
	v := e.v
	v.apex, _ = e.w.Find(&v.names, &e.key, nil)
	e.sync()
	soa, ok := v.Apex().RRset(dns.TypeSOA)
	if !ok {
		return ErrNoSOA
	}
	v.serial = dns.SOASerial(soa.First())
	if e.findChain() {
		e.rechain()
	}
	e.sync()
	v.settle()
	return e.w.Err()
}

// Discard gives up all changes. The Editor is spent.
func (e *Editor) Discard() {
	if e.spent {
		return
	}
	e.spent = true
	if e.share.n != e.shared {
		e.line.share = e.share.visible(&e.base.sp)
	}
	e.line.release(e.base.number)
}
