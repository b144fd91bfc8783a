package sign

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

const (
	// quickNames is how many names may be looked at where signing must be quick.
	quickNames = 1 << 12
	// quickSigns is how many signatures may be made then: some ten milliseconds.
	quickSigns = 1 << 9
	// quickZone is the size of a zone that may then be signed or digested as a whole.
	quickZone = 1 << 8
)

// Edit signs what e, which was edited from head, has: everything that the change
// touches, the apex sets, the SOA and the chain. It costs as much as the change. head
// is signed by this plan or another one, or not at all; where it has another kind of
// denial, or other parameters, the whole zone is signed. With quick it gives up with
// ErrSlow rather than to take long; e is to be discarded then.
func (p *Plan) Edit(ctx context.Context, e *zone.Editor, head *zone.Version, at time.Time, quick bool) (Report, error) {
	s, err := p.begin(e, head, at)
	if err != nil {
		return Report{}, err
	}
	if quick {
		s.limit(quickSigns)
		if len(p.ZONEMD) > 0 && e.View().Stats().Names > quickZone {
			return Report{}, s.slow("the digest is over the whole zone")
		}
	}
	switch {
	case s.goesOn(e.View()):
		err = s.change(ctx)
	case quick && e.View().Stats().Names > quickZone:
		err = s.slow("the whole zone is to be signed")
	default:
		err = s.whole(ctx)
	}
	if err == nil {
		err = s.finishZONEMD(ctx)
	}
	return s.report, err
}

func (s *signing) slow(why string) error {
	return fmt.Errorf("signing %s: %s: %w", s.origin, why, ErrSlow)
}

// goesOn reports whether head is signed as the plan wants it, so that v, which was
// edited from it, needs only what has changed.
func (s *signing) goesOn(v *zone.Version) bool {
	head := s.head
	if head == nil {
		return false
	}
	_, isSigned := head.SOA().Sigs()
	if isSigned != s.plan.isSigned() {
		return false
	}
	for from, to := range zone.ChangedNSEC3(head, v) {
		x, _ := from.RRset(dns.TypeNSEC3)
		if y, ok := to.RRset(dns.TypeNSEC3); !ok || !x.Equal(y) {
			return false // by authors: they have nothing to do there
		}
	}
	apex, ttl := head.Apex(), nsecTTL(v)
	switch s.plan.Denial.Kind {
	case NSEC:
		nsec, ok := apex.RRset(dns.TypeNSEC)
		return ok && nsec.TTL() == ttl && !hasNSEC3(head)
	case NSEC3:
		return s.isChain(head, ttl) && !apex.Has(dns.TypeNSEC)
	}
	return !apex.Has(dns.TypeNSEC) && !hasNSEC3(head)
}

func hasNSEC3(v *zone.Version) bool {
	for range v.NSEC3Owners() {
		return true
	}
	return false
}

// isChain reports whether the NSEC3 chain of head is as the plan has it.
func (s *signing) isChain(head *zone.Version, ttl uint32) bool {
	params, ok := head.NSEC3Params()
	d := &s.plan.Denial
	set, _ := head.Apex().RRset(dns.TypeNSEC3PARAM)
	if !ok || set.Count() != 1 || params.Iterations != d.Iterations || !bytes.Equal(params.Salt, d.Salt) {
		return false
	}
	n, exact := head.NSEC3Name(s.top())
	nsec3, ok := n.RRset(dns.TypeNSEC3)
	return exact && ok && nsec3.TTL() == ttl && (nsec3.First()[1]&dns.NSEC3OptOut != 0) == d.OptOut
}

// touched is the names that a change touches.
type touched struct {
	names map[string]what // in wire form and in lower case
	limit int
}

// what is to be done at a name.
type what uint8

const (
	doSets what = 1 << iota
	doNSEC
)

func (t *touched) add(owner []byte, w what) {
	var buf [dns.MaxNameLen]byte
	t.names[string(dns.AppendFolded(buf[:0], owner))] |= w
}

func (t *touched) isLarge() bool { return t.limit > 0 && len(t.names) > t.limit }

// sorted returns the names in canonical order.
func (t *touched) sorted() []string {
	list := make([]string, 0, len(t.names))
	for n := range t.names {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b string) int { return dns.CompareNames([]byte(a), []byte(b)) })
	return list
}

// change signs what is not the same as in head.
func (s *signing) change(ctx context.Context) error {
	if err := s.putApex(); err != nil {
		return err
	}
	s.stripChanged()
	t := &touched{names: make(map[string]what)}
	if s.quick {
		t.limit = quickNames
	}
	if err := s.collect(t); err != nil {
		return err
	}
	names := t.sorted()
	s.ttl = nsecTTL(s.e.View())
	var b batch
	switch s.plan.Denial.Kind {
	case NSEC:
		s.neighbours(t, names)
		names = t.sorted()
	case NSEC3:
		if err := s.changeNSEC3(&b, names); err != nil {
			return err
		}
	}
	s.addTouched(&b, t, names)
	return s.run(ctx, &b)
}

// stripChanged takes away names whose authors have left nothing there.
func (s *signing) stripChanged() {
	var gone [][]byte
	for _, to := range zone.Changed(s.head, s.e.View()) {
		if !to.IsZero() && isOnlyMade(to) {
			gone = append(gone, to.AppendName(nil))
		}
	}
	for _, owner := range gone {
		s.e.Clear(owner, false)
	}
}

// collect finds what has changed, and what that has hidden or shown.
func (s *signing) collect(t *touched) error {
	v := s.e.View()
	t.add(s.top(), doSets)
	var buf [dns.MaxNameLen]byte
	var borders [][]byte
	for from, to := range zone.Changed(s.head, v) {
		one := to
		if to.IsZero() {
			one = from
		}
		owner := one.AppendName(buf[:0])
		t.add(owner, doSets)
		if hides(from) != hides(to) {
			borders = append(borders, bytes.Clone(owner))
		}
		if t.isLarge() {
			return s.slow("it touches many names")
		}
	}
	for _, owner := range borders {
		for n := range v.Subtree(owner) {
			t.add(n.AppendName(buf[:0]), doSets)
			if t.isLarge() {
				return s.slow("it hides or shows many names")
			}
		}
	}
	return nil
}

func hides(n zone.Node) bool { return !n.IsZero() && isHiding(n) }

// neighbours adds the names whose NSEC records a change touches.
func (s *signing) neighbours(t *touched, names []string) {
	v := s.e.View()
	for _, n := range names {
		owner := []byte(n)
		node := v.Find(owner)
		member := hasAuthors(node) && v.Hiding(owner).IsZero()
		if member {
			t.add(owner, doNSEC)
		}
		if !member || !node.Has(dns.TypeNSEC) {
			t.add(before(v, owner), doNSEC)
		}
	}
}

// before returns the last name before owner that has an NSEC record, or will.
func before(v *zone.Version, owner []byte) []byte {
	n := v.Before(owner)
	for {
		if n.IsZero() {
			return []byte(v.Origin().Wire())
		}
		owner = n.AppendName(nil)
		if hiding := v.Hiding(owner); !hiding.IsZero() {
			n = hiding
		} else if hasAuthors(n) {
			return owner
		} else {
			n = v.Before(owner)
		}
	}
}

// after returns the name that the NSEC record of node points to.
func after(v *zone.Version, node zone.Node, owner []byte) []byte {
	for n := range v.After(owner, isHiding(node)) {
		if hasAuthors(n) {
			return n.AppendName(nil)
		}
	}
	return []byte(v.Origin().Wire())
}

// addTouched adds the tasks of the names.
func (s *signing) addTouched(b *batch, t *touched, names []string) {
	v := s.e.View()
	for _, key := range names {
		owner := b.keep([]byte(key))
		n := name{owner: owner, node: v.Find(owner), head: s.headNode(owner)}
		if n.node.IsZero() || n.node.IsENT() {
			continue
		}
		b.names++
		n.hidden = !v.Hiding(owner).IsZero()
		c := &s.content
		c.read(n.node, n.hidden)
		if t.names[key]&doSets != 0 {
			s.addSets(b, n)
		}
		switch isNSEC := s.plan.Denial.Kind == NSEC; {
		case t.names[key]&doNSEC != 0:
			s.addNSEC(b, n, after(v, n.node, owner), c.appendNSECBitmap(nil, &s.scratch))
		case n.node.Has(dns.TypeNSEC) && (n.hidden || !isNSEC):
			b.add(task{owner: owner, typ: dns.TypeNSEC, drop: true})
		}
	}
}
