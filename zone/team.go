package zone

import (
	"bytes"
	"slices"
	"sync"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone/qp"
)

// team is a Builder and its helpers. Each helper makes entries of the pieces of
// text that it reads, in memory of its own within one Space, and later a trie of
// its share of the names; the Builder takes what they made in the order of the
// text. The version is the one that the Builder would have made alone, but for
// where things lie.
type team struct {
	lead    *Builder
	pool    *qp.Pool
	helpers []*Builder
	taken   int // octets of the pieces that became part of the zone
	least   int // fewest names worth a goroutine
}

// leastShare is the fewest names worth a goroutine.
const leastShare = 1 << 14

// newTeam returns a Builder with helpers, for a zone of about size octets.
func newTeam(origin dns.Name, helpers, size int) *Builder {
	b := NewBuilder(origin)
	t := &team{lead: b, pool: qp.NewPool(size), least: leastShare}
	b.team, b.w = t, t.pool.Passing()
	b.share = newSharedInterner(b.share, t.pool.Writer())
	for range helpers {
		h := &Builder{}
		h.v = &Version{origin: origin}
		h.w, h.share = t.pool.Passing(), b.share.share(t.pool.Writer())
		t.helpers = append(t.helpers, h)
	}
	return b
}

func (t *team) err() error {
	for _, h := range t.helpers {
		if err := h.w.Err(); err != nil {
			return err
		}
	}
	return t.lead.w.Err()
}

// taker makes a zone of the records of a master file.
type taker struct{ *Builder }

// Add takes the next record of the text.
func (t taker) Add(e *zonefile.Entry) error {
	return t.add(e.Owner, e.Type, e.Class, e.TTL, e.Data)
}

// Begin returns what takes the records of a piece of text.
func (t taker) Begin(worker int) zonefile.Piece {
	h := t.team.helpers[worker]
	return &piece{b: h, begun: h.w.Written()}
}

// Take goes on with a piece.
func (t taker) Take(zp zonefile.Piece) error { return zp.(*piece).join(t.Builder) }

// piece is what a helper made of a piece of text. Records of its first owner may
// belong to an RRset that began before it, and those of its last one to one that
// goes on behind it: they are kept apart.
type piece struct {
	b     *Builder // the helper, until the piece is done
	begun int
	size  int // octets written

	head      []headRecord // of the first owner
	headText  []byte       // its name, and the rdata
	headOwner int          // length of the name
	past      bool         // there is another owner than the first one

	names, nsec3 run
	records      int
	findings     findings
	class        dns.Class

	owner         []byte // the last one, with the records below
	outside       bool
	plain, hashed draft
}

// headRecord is a record of a piece's first owner; its rdata ends at end.
type headRecord struct {
	typ   dns.Type
	class dns.Class
	ttl   uint32
	end   int
}

// Add takes the next record of the piece.
func (p *piece) Add(e *zonefile.Entry) error {
	if p.past {
		return p.b.add(e.Owner, e.Type, e.Class, e.TTL, e.Data)
	}
	first := p.headText[:p.headOwner]
	switch {
	case len(p.head) == 0:
		p.headText = append(p.headText, e.Owner...)
		p.headOwner = len(e.Owner)
	case !bytes.Equal(e.Owner, first) && !dns.EqualNames(e.Owner, first):
		p.past = true
		return p.Add(e)
	}
	p.headText = append(p.headText, e.Data...)
	p.head = append(p.head, headRecord{e.Type, e.Class, e.TTL, len(p.headText)})
	return nil
}

// Done takes from the helper what it has made, so that it can begin with another piece.
func (p *piece) Done() {
	h := p.b
	p.b = nil
	h.share.settle()
	p.names, p.nsec3, p.findings, p.records, p.class = h.names.run, h.nsec3.run, h.findings, h.v.records, h.v.class
	p.owner, p.outside, p.plain, p.hashed = h.owner, h.outside, h.plain, h.hashed
	p.size = h.w.Written() - p.begun
	h.names.run = run{list: make([]fragment, 0, len(p.names.list)*9/8)}
	h.nsec3.run = run{list: make([]fragment, 0, len(p.nsec3.list)*9/8)}
	h.findings, h.v.records = findings{}, 0
	h.owner, h.outside, h.plain, h.hashed = nil, false, draft{}, draft{}
}

// join adds the piece to the zone that b builds.
func (p *piece) join(b *Builder) error {
	start := p.headOwner
	for _, r := range p.head {
		if err := b.add(p.headText[:p.headOwner], r.typ, r.class, r.ttl, p.headText[start:r.end]); err != nil {
			return err
		}
		start = r.end
	}
	b.team.taken += p.size
	if !p.past {
		return nil
	}
	b.flush()
	b.names.addRun(p.names)
	b.nsec3.addRun(p.nsec3)
	b.v.records += p.records
	b.findings.addAll(&p.findings)
	if b.v.class == 0 {
		b.v.class = p.class
	}
	b.owner, b.outside, b.plain, b.hashed = p.owner, p.outside, p.plain, p.hashed
	return b.w.Err()
}

// assemble makes the tries, each helper of its share of the names, and returns
// the first entries of the shares but the first one.
func (t *team) assemble(apex fragment, names, nsec3 ordered) (splits []uint32) {
	t.decideToCopy(names, nsec3)
	if t.lead.copies {
		apex = t.lead.copy(apex)
	}
	n := max(1, min(len(t.helpers), names.len()/t.least))
	shares := t.shares(apex, names, nsec3, n)
	a := newAssembly(&t.lead.edit)
	for i, s := range shares {
		if i > 0 && s.first != 0 {
			splits = append(splits, s.first)
		}
		a.wild = append(a.wild, s.wild...)
		a.v.names = a.w.Join(a.v.names, s.v.names)
		a.v.nsec3 = a.w.Join(a.v.nsec3, s.v.nsec3)
		a.v.spare = a.w.Join(a.v.spare, s.v.spare)
		a.v.records += s.v.records
		t.lead.garbage += t.helpers[i].garbage
		t.lead.findings.addAll(&s.onNames)
	}
	for i := range shares {
		t.lead.findings.addAll(&t.helpers[i].findings)
	}
	t.link(a, shares)
	if t.lead.copies {
		t.lead.garbage = 0
	}
	a.w.Space = t.pool.Finish(t.lead.copies)
	a.seal()
	blocks := t.lead.share.blocks()
	slices.Sort(blocks)
	a.v.line = &lineage{blocks: blocks}
	return splits
}

// decideToCopy has all entries written anew, in the order of the names, where
// otherwise much of the memory would be of entries that were read in vain or
// are merged.
func (t *team) decideToCopy(names, nsec3 ordered) {
	written := 0
	for _, h := range t.helpers {
		written += h.w.Written()
	}
	t.lead.garbage += written - t.taken
	longest := 0
	for _, o := range []ordered{names, nsec3} {
		most := 0
		for _, ss := range o {
			most = max(most, ss.len())
		}
		longest += most
	}
	all := names.len() + nsec3.len()
	if t.lead.garbage <= written/8 && all-longest <= all/8 {
		return
	}
	for _, b := range append(t.helpers, t.lead) {
		b.copies, b.w = true, t.pool.Writer()
	}
}

// share is what a helper makes of its share of the names.
type share struct {
	*assembly
	first   uint32   // entry of its first name, 0 where it has none
	onNames findings // the helper's on names; it keeps those on owners of NSEC3 records
}

// shares makes the tries of each share of the names.
func (t *team) shares(apex fragment, names, nsec3 ordered, n int) []*share {
	s := &t.lead.w.Space
	nameParts, nsec3Parts := names.split(s, n), nsec3.split(s, n)
	shares := make([]*share, n)
	last := apex
	var wg sync.WaitGroup
	for i := range n {
		h, v := t.helpers[i], *t.lead.v
		v.sp, v.records = *s, 0
		h.v, h.garbage = &v, 0
		sh := &share{assembly: newAssembly(&h.edit)}
		shares[i] = sh
		if i == 0 {
			sh.add(apex.ref, apex.flags)
		} else {
			sh.goOn(last.ref)
		}
		if f, ok := nameParts[i].last(s); ok {
			last = f
		}
		wg.Go(func() { sh.make(h, nameParts[i], nsec3Parts[i]) })
	}
	wg.Wait()
	return shares
}

// make makes the tries of the names of one share.
func (sh *share) make(h *Builder, names, nsec3 ordered) {
	names.each(&h.w.Space, func(parts []fragment) {
		f := h.single(parts)
		if sh.first == 0 {
			sh.first = f.ref
		}
		sh.add(f.ref, f.flags)
	})
	sh.onNames, h.findings = h.findings, findings{}
	nsec3.each(&h.w.Space, func(parts []fragment) {
		f := h.single(parts)
		sh.addNSEC3(f.ref, f.flags)
	})
	h.share.settle()
	v := sh.v
	v.names, v.nsec3, v.spare = sh.names.Finish(), sh.nsec3.Finish(), sh.spare.Finish()
}

// link links what depends on the trie of names. To find the leafs of all hosts
// takes longest, and is shared; to number them is quick.
func (t *team) link(a *assembly, parts []*share) {
	blocks := a.share.takeFreshShared()
	slices.Sort(blocks) // in the order of memory
	for _, ref := range a.wild {
		a.setWild(a.name(ref), true)
	}
	places := make([][]uint32, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		p.v.names = a.v.names
		wg.Go(func() {
			places[i] = p.findHosts(blocks[i*len(blocks)/len(parts) : (i+1)*len(blocks)/len(parts)])
		})
	}
	wg.Wait()
	for i := range parts {
		a.linkPlaces(blocks[i*len(blocks)/len(parts):(i+1)*len(blocks)/len(parts)], places[i])
	}
	a.v.apex, _ = a.w.Find(&a.v.names, &a.key, nil)
}

// findHosts returns the places of the leafs of all targets of the NS sets in
// blocks that lie in the zone, 0 for those that do not exist.
func (e *edit) findHosts(blocks []uint32) []uint32 {
	var p qp.Places
	names := make([][]byte, 0, qp.MostPlaces)
	places := make([]uint32, 0, 2*len(blocks)+qp.MostPlaces)
	find := func() {
		n := len(places)
		places = append(places, make([]uint32, len(names))...)
		p.Find(&e.w.Space, &e.v.names, names, places[n:])
		names = names[:0]
	}
	for _, block := range blocks {
		set, _, _ := readShared(e.w.At(block))
		for off := 0; off < len(set.packed); {
			var target []byte
			target, off = rdataAt(set.packed, off)
			if !e.v.has(target) {
				continue
			}
			if names = append(names, e.v.relative(target)); len(names) == qp.MostPlaces {
				find()
			}
		}
	}
	find()
	return places
}

// linkPlaces is linkHosts for targets whose leafs are known.
func (e *edit) linkPlaces(blocks, places []uint32) {
	for _, block := range blocks {
		set, hosts, _ := readShared(e.w.At(block))
		for i, off := 0, 0; off < len(set.packed); i++ {
			var target []byte
			target, off = rdataAt(set.packed, off)
			id := uint32(0)
			if e.v.has(target) {
				id = e.hostAt(places[0], e.v.relative(target))
				places = places[1:]
			}
			le.PutUint32(hosts[4*i:], id)
		}
	}
}

// hostAt is hostID for a name whose leaf is at place.
func (e *edit) hostAt(place uint32, rel []byte) uint32 {
	if place == 0 {
		return e.hostID(rel)
	}
	l := e.w.LeafAt(place)
	if l.Flags&flagHost == 0 {
		l.Flags, l.Aux = l.Flags|flagHost, e.hosts.add(l.Ref)
		e.w.SetLeafAt(place, l)
	}
	return l.Aux
}
