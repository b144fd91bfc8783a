package zone

import (
	"slices"
	"sync"

	"onoma/dns"
	"onoma/zone/qp"
)

// CheckChange returns what is wrong with new and was not with old, errors first:
// what Check reports for new and not for old. d is the difference of the two, as
// Diff gives it. It costs as much as the difference, and does not allocate where
// nothing is wrong and no cut or DNAME comes or goes.
//
// It finds every error. Of warnings it finds those about the names of the
// difference, the delegation above each of them, and the first maxUncovered names
// below each cut or DNAME that comes or goes; not those about other names whose
// NS, MX or SRV records lead to a host that the change has taken the addresses of,
// since finding such takes a look at the whole zone.
func CheckChange(old, new *Version, d Delta) []Finding {
	c := changeCheckers.Get().(*changeChecker)
	defer func() {
		*c = changeChecker{key: c.key}
		changeCheckers.Put(c)
	}()
	c.old, c.checker = old, checker{findings: &c.found, v: new, alone: true}
	c.setReverse()
	c.change(d)
	if len(c.found.list) == 0 {
		return nil
	}
	return c.brought(c.found.sorted())
}

// changeCheckers saves the few kilobytes of scratch that a look-up has.
var changeCheckers = sync.Pool{New: func() any { return new(changeChecker) }}

// changeChecker checks what a change has touched.
type changeChecker struct {
	checker
	old   *Version
	found findings
	key   qp.Key
	q     qp.Search
	wire  [dns.MaxNameLen]byte
}

// maxUncovered bounds how many names below one cut or DNAME that comes or goes
// are looked at.
const maxUncovered = 1000

// change checks the owners of d, and what depends on them. The apex is checked at
// all times: where an address goes or an alias comes, the zone's own name servers
// may be hit.
func (c *changeChecker) change(d Delta) {
	c.name(c.v.origin.Append(c.wire[:0]))
	var last dns.Name
	for _, list := range [][]dns.Record{d.Removed, d.Added} {
		for i := range list {
			if name := list[i].Name; name != last {
				last = name
				c.touched(name)
			}
		}
	}
}

// touched checks an owner of the difference.
func (c *changeChecker) touched(name dns.Name) {
	wire := name.Append(c.wire[:0])
	if c.v.has(wire) && name.Len() > c.v.origin.Len() {
		c.name(wire)
		c.cutAbove()
	}
	if c.covers(c.old, wire) != c.covers(c.v, wire) {
		c.below(wire)
	}
}

// covers returns what of a name hides the names below it: NS or DNAME.
func (c *changeChecker) covers(v *Version, wire []byte) uint32 {
	if !v.has(wire) {
		return 0
	}
	l, ok := v.sp.Find(&v.names, &c.key, v.relative(wire))
	if !ok {
		return 0
	}
	return l.Flags & flagsStop
}

// name reports all that Check does about one name.
func (c *changeChecker) name(wire []byte) {
	v, rel := c.v, c.v.relative(wire)
	c.above = nil
	if len(rel) > 0 {
		c.hiddenBy(parent(rel))
	}
	if l, ok := v.sp.Find(&v.names, &c.key, rel); ok && l.Flags&flagENT == 0 {
		c.types(Node{v, l}, v.sp.Name(l))
	}
	if l, ok := v.sp.Find(&v.spare, &c.key, rel); ok {
		c.spareNSEC3(Node{v, l}, v.chain.used)
	}
	if len(rel) == 0 {
		c.apex()
		c.nsec3Params()
	}
}

// hiddenBy notes the topmost cut or DNAME at or above rel.
func (c *changeChecker) hiddenBy(rel []byte) {
	v := c.v
	if v.sp.Lookup(&v.names, &c.q, rel, flagsStop) && c.q.Leaf.Flags&flagsStop != 0 {
		c.cover(Node{v, c.q.Leaf}, v.sp.Name(c.q.Leaf))
	}
}

// cutAbove checks the NS set of the delegation that the name looked at last lies
// below: its glue may have come or gone.
func (c *changeChecker) cutAbove() {
	if c.above == nil || c.aboveName != "delegation" {
		return
	}
	v, rel := c.v, c.above
	c.above = nil
	if l, ok := v.sp.Find(&v.names, &c.key, rel); ok {
		n := Node{v, l}
		if slot, ok := n.slot(dns.TypeNS); ok {
			c.ns(n, rel, slot)
		}
	}
}

// below checks names below one that hides them from now on, or no longer.
func (c *changeChecker) below(wire []byte) {
	if !c.v.has(wire) {
		return
	}
	v, rel := c.v, c.v.relative(wire)
	c.above = nil
	c.hiddenBy(rel)
	walk := v.sp.WalkBelow(&v.names, &c.key, rel)
	for range maxUncovered {
		l, ok := walk.Next()
		if !ok {
			return
		}
		if len(v.sp.Name(l)) > len(rel) {
			c.node(Node{v, l})
		}
	}
}

// brought returns those of found that the old version did not have, each once: a
// name may have been looked at for several reasons.
func (c *changeChecker) brought(found []Finding) []Finding {
	was := findings{}
	before := changeChecker{checker: checker{findings: &was, v: c.old, alone: true}}
	before.setReverse()
	var last dns.Name
	for _, f := range found {
		if f.Name != last && c.old.has([]byte(f.Name.Wire())) {
			last = f.Name
			before.name([]byte(f.Name.Wire()))
		}
	}
	had := make(map[Finding]bool, len(was.list))
	for _, f := range was.list {
		had[f] = true
	}
	return slices.DeleteFunc(found, func(f Finding) bool {
		seen := had[f]
		had[f] = true
		return seen
	})
}
