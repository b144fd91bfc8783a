package sign

import (
	"context"

	"onoma/dns"
	"onoma/zone"
)

// whole signs all that there is, in the Editor.
func (s *signing) whole(ctx context.Context) error {
	if err := s.prepareWhole(); err != nil {
		return err
	}
	s.e.Rechain()
	return s.walkAll(ctx)
}

// prepareWhole makes of the zone what its authors wrote, and the apex.
func (s *signing) prepareWhole() error {
	s.strip()
	err := s.putApex()
	s.ttl = nsecTTL(s.e.View())
	return err
}

// walkAll signs all sets, and makes the chain.
func (s *signing) walkAll(ctx context.Context) error {
	w := &walk{signing: s, members: newMembers(s)}
	if err := s.stream(ctx, w.gather); err != nil {
		return err
	}
	return s.wholeNSEC3(ctx, w.members)
}

// strip takes away the names that have nothing of their authors: they are there for
// a chain that is not up to date.
func (s *signing) strip() {
	var gone [][]byte
	for n := range s.e.View().After(s.top(), false) {
		if isOnlyMade(n) {
			gone = append(gone, n.AppendName(nil))
		}
	}
	for _, owner := range gone {
		s.e.Clear(owner, false)
	}
}

// walk goes over all names in canonical order.
type walk struct {
	*signing
	last    []byte // the name that was looked at last
	hiding  []byte // hides all names below it
	pending pending
	held    batch // hidden names: behind the NSEC record of the name before
	members *members
}

// pending is the last name of the chain of NSEC: its record waits for the next one.
type pending struct {
	name
	bitmap []byte
}

// gather fills a batch with what comes next.
func (w *walk) gather(b *batch) (more bool) {
	v := w.view()
	if w.last == nil {
		w.look(b, v.Apex())
	}
	for n := range v.After(w.last, false) {
		if len(b.tasks) >= fullBatch || b.names >= fullNames {
			return true
		}
		w.look(b, n)
	}
	if w.pending.owner != nil {
		w.pending.flush(w.signing, b, w.top())
	}
	w.release(b)
	return false
}

// fullNames is how many names are looked at before what they want is done.
const fullNames = 1 << 15

func (w *walk) look(b *batch, node zone.Node) {
	w.last = node.AppendName(w.last[:0])
	b.names++
	if node.IsENT() {
		if !w.isHidden() {
			w.members.addENT(w.last)
		}
		return
	}
	n := name{node: node, hidden: w.isHidden()}
	c := &w.content
	c.read(node, n.hidden)
	if c.isInsecureCut() && !n.hidden && !c.hasMade && w.plan.Denial.Kind != NSEC {
		w.hide()
		w.members.add(w.last, c) // nothing to sign
		return
	}
	if n.hidden && !c.hasMade {
		return
	}
	if n.hidden && w.pending.owner != nil {
		b = &w.held
	}
	n.owner = b.keep(w.last)
	n.head = w.headNode(n.owner)
	if !n.hidden {
		w.link(b, n)
		w.members.add(w.last, c)
	}
	w.addSets(b, n)
	if node.Has(dns.TypeNSEC) && (n.hidden || w.plan.Denial.Kind != NSEC) {
		b.add(task{owner: n.owner, typ: dns.TypeNSEC, drop: true})
	}
	if !n.hidden && isHiding(node) {
		w.hide()
	}
}

// link has the NSEC record of the name before point to n, and that of n wait.
func (w *walk) link(b *batch, n name) {
	if w.plan.Denial.Kind != NSEC {
		return
	}
	if w.pending.owner != nil {
		w.pending.flush(w.signing, b, n.owner)
	}
	w.release(b)
	p := &w.pending
	owner := append(p.owner[:0], n.owner...)
	p.name = n
	p.owner = owner // its own: the batch may be gone before the next name comes
	p.bitmap = w.content.appendNSECBitmap(p.bitmap[:0], &w.scratch)
}

// release adds the tasks that had to wait. Their memory becomes that of the batch.
func (w *walk) release(b *batch) {
	b.tasks = append(b.tasks, w.held.tasks...)
	w.held = batch{}
}

func (p *pending) flush(s *signing, b *batch, next []byte) {
	n := p.name
	n.owner = b.keep(n.owner)
	s.addNSEC(b, n, next, p.bitmap)
}

func (w *walk) hide() { w.hiding = append(w.hiding[:0], w.last...) }

// isHidden reports whether the name lies below the last one that hides others.
func (w *walk) isHidden() bool { return len(w.hiding) > 0 && isBelow(w.last, w.hiding) }

// isBelow reports whether name lies strictly below above.
func isBelow(name, above []byte) bool {
	return len(name) > len(above) && dns.IsSubdomain(name, above)
}
