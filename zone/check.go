package zone

import (
	"fmt"
	"math"
	"sync"

	"onoma/dns"
	"onoma/zone/qp"
)

// Check returns what is wrong with the version, errors first. Builder.Build
// gives the same, and what was wrong with records on their way in.
func (v *Version) Check() []Finding {
	var fs findings
	fs.check(v)
	return fs.sorted()
}

// checker goes once over all nodes in order. What it calls an error and what a
// warning is as in BIND's named-checkzone, where that has an opinion.
type checker struct {
	*findings
	v *Version
	m Match

	above     []byte // topmost cut or DNAME owner at or above the node, relative
	aboveName string // what it is: "delegation" or "DNAME"
	reverse   bool   // the zone is below in-addr.arpa or ip6.arpa
	alone     bool   // looks at few names: fine is not used

	// The references of shared NS sets in which nothing is wrong, a bit for each,
	// so that each set is looked at once and not once per delegation.
	fine []*[1024]uint64

	touch byte // keeps reads that are for the processor's sake only
}

func (fs *findings) check(v *Version) { fs.checkParts(v, nil, nil) }

// checkParts is check by several goroutines. The names of the entries at splits
// say where the work is divided. blocks is the shared NS sets that are known, in
// the order of memory.
func (fs *findings) checkParts(v *Version, splits, blocks []uint32) {
	parts := make([]checker, len(splits)+1)
	var wg sync.WaitGroup
	for i := range parts {
		parts[i] = checker{findings: &findings{}, v: v}
		parts[i].setReverse()
		wg.Go(func() { parts[i].findFine(blocks[i*len(blocks)/len(parts) : (i+1)*len(blocks)/len(parts)]) })
	}
	wg.Wait()
	shareFine(parts)
	for i := range parts {
		wg.Go(func() {
			if i == 0 {
				parts[i].walk(v.sp.Walk(&v.names), splits)
			} else {
				parts[i].walkFrom(splits[i-1], splits[i:])
			}
		})
	}
	wg.Wait()
	for i := range parts {
		fs.addAll(parts[i].findings)
	}
	c := &checker{findings: fs, v: v}
	c.apex()
	c.nsec3()
}

// shareFine gives each checker what all have found fine.
func shareFine(parts []checker) {
	all := checker{}
	for i := range parts {
		for chunk, bits := range parts[i].fine {
			if bits == nil {
				continue
			}
			all.fineAt(uint32(chunk) << 16)
			for k, word := range bits {
				all.fine[chunk][k] |= word
			}
		}
	}
	for i := range parts {
		parts[i].fine = make([]*[1024]uint64, len(all.fine))
		for chunk, bits := range all.fine {
			if bits != nil {
				own := *bits
				parts[i].fine[chunk] = &own
			}
		}
	}
}

// setReverse notes whether the zone is one of addresses.
func (c *checker) setReverse() {
	for _, arpa := range reverseTrees {
		c.reverse = c.reverse || c.v.origin.IsSubdomainOf(arpa)
	}
}

var reverseTrees = []dns.Name{dns.MustName("in-addr.arpa."), dns.MustName("ip6.arpa."), dns.MustName("ip6.int.")}

// walk checks all nodes up to the first of the entries at splits.
func (c *checker) walk(walk qp.Cursor, splits []uint32) {
	for l, ok := walk.Next(); ok; l, ok = walk.Next() {
		if len(splits) > 0 && l.Ref == splits[0] {
			return
		}
		c.node(Node{c.v, l})
	}
}

// walkFrom is walk from the name of the entry at ref on.
func (c *checker) walkFrom(ref uint32, splits []uint32) {
	var q qp.Search
	v, rel := c.v, c.v.sp.Name(qp.Leaf{Ref: ref})
	if v.sp.Lookup(&v.names, &q, parent(rel), flagsStop) && q.Leaf.Flags&flagsStop != 0 {
		c.cover(Node{v, q.Leaf}, v.sp.Name(q.Leaf))
	}
	c.walk(v.sp.WalkFrom(&v.names, &q.Key, rel), splits)
}

// report adds a finding on a type of a node.
func (c *checker) report(s Severity, n Node, t dns.Type, code, text, cure string) {
	c.add(Finding{Severity: s, Code: code, Name: n.Name(), Type: t, Text: text, Cure: cure})
}

func (c *checker) node(n Node) {
	rel := c.v.sp.Name(n.leaf)
	if c.above != nil && !isBelow(rel, c.above) {
		c.above = nil
	}
	if !n.IsENT() {
		c.types(n, rel)
	}
	if c.above == nil && n.leaf.Flags&flagsStop != 0 {
		c.cover(n, rel)
	}
}

// cover notes that the cut or DNAME n, whose name is rel, hides what lies below.
func (c *checker) cover(n Node, rel []byte) {
	c.above, c.aboveName = rel, "delegation"
	if !n.IsCut() {
		c.aboveName = "DNAME"
	}
}

// isBelow reports whether rel lies below above.
func isBelow(rel, above []byte) bool {
	return len(rel) > len(above) && (len(above) == 0 || dns.IsSubdomain(rel, above))
}

func (c *checker) types(n Node, rel []byte) {
	if n.leaf.Flags&(flagCNAME|flagDS) != 0 {
		c.aliasAndDS(n)
	}
	count, b := slots(c.v.sp.At(n.leaf.Ref))
	for ; count > 0; count-- {
		if b[2]&formSigsOnly != 0 {
			c.report(Warning, n, dns.TypeRRSIG, "rrsig-without-rrset",
				"signatures of "+slotType(b).String()+", which the name does not have", "remove them, or sign the zone again")
		} else {
			c.rrset(n, rel, b)
		}
		b = b[slotLen(b):]
	}
	if len(rel) > 2 && hasInnerWildcard(rel) {
		c.report(Warning, n, dns.TypeNone, "inner-wildcard", "an asterisk label that is not the first one is no wildcard", "write the name without it")
	}
}

// rrset checks one RRset by its type.
func (c *checker) rrset(n Node, rel, slot []byte) {
	t := slotType(slot)
	c.occluded(n, rel, t)
	if mayBeLarge(slot) {
		c.large(n, n.read(slot))
	}
	switch t {
	case dns.TypeNS:
		c.ns(n, rel, slot)
	case dns.TypeSOA:
		c.soa(n, n.read(slot))
	case dns.TypeA, dns.TypeAAAA:
		c.hostOwner(n, rel, t)
	case dns.TypeMX:
		c.hostOwner(n, rel, t)
		c.mx(n, n.read(slot))
	case dns.TypeSRV:
		c.targets(n, n.read(slot))
	case dns.TypePTR:
		if c.reverse {
			c.targetNames(n, n.read(slot))
		}
	case dns.TypeDNAME:
		c.dname(n, rel, n.read(slot))
	case dns.TypeSPF:
		c.spf(n)
	}
}

// mayBeLarge reports whether an RRset might not fit into a message. It is asked of each: it has to be quick.
func mayBeLarge(slot []byte) bool {
	switch form := slot[2]; {
	case form&formShared != 0:
		return false // an NS set that several delegations have, which is short
	case form&formWide != 0:
		return true
	}
	// In a message each record has ten octets more than here, and there are not enough records of one or two octets of data.
	return le.Uint16(slot[slotHead+6:]) > 16<<10
}

// large warns of an RRset that no answer can have, over TCP neither (RFC 1035 §4.2.2): transfers alone take it in parts.
func (c *checker) large(n Node, s RRset) {
	const header, question, pointer, opt = 12, 4, 10, 11 // pointer: what a record has beside its data and their length
	size := header + len(n.AppendName(nil)) + question + len(s.Packed()) + pointer*s.Count() + opt
	if size > math.MaxUint16 {
		c.report(Warning, n, s.Type(), "rrset-too-large",
			fmt.Sprintf("an answer with its %d records has %d octets, and a message has %d at most, so nobody gets them", s.Count(), size, math.MaxUint16),
			"remove some, or give them to several names")
	}
}

// occluded warns of records that no answer has: below a DNAME, and below or at
// a delegation other than what belongs there (RFC 2136 §7.18, RFC 6672 §2.4).
func (c *checker) occluded(n Node, rel []byte, t dns.Type) {
	glue := t == dns.TypeA || t == dns.TypeAAAA
	switch {
	case c.above != nil && (c.aboveName == "DNAME" || !glue):
		c.report(Warning, n, t, "occluded", "hidden by the "+c.aboveName+" at "+c.v.fullName(c.above).String(),
			"remove it, or move it to the zone that it belongs to")
	case c.above == nil && n.IsCut() && !glue && !belongsAtCut(t):
		c.report(Warning, n, t, "occluded", "hidden by the delegation at the same name",
			"remove it, or move it to the zone that it belongs to")
	}
}

// belongsAtCut reports whether a parent has records of type t at a delegation
// (RFC 4035 §2.6 and RFC 3007 §3, which lets KEY stay).
func belongsAtCut(t dns.Type) bool {
	switch t {
	case dns.TypeNS, dns.TypeDS, dns.TypeNSEC, dns.TypeKEY, dns.TypeNXT, dns.TypeSIG:
		return true
	}
	return false
}

// aliasAndDS checks what may stand beside a CNAME, and where a DS may stand.
func (c *checker) aliasAndDS(n Node) {
	if set, ok := n.RRset(dns.TypeCNAME); ok {
		if set.Count() > 1 {
			c.several(n, dns.TypeCNAME)
		}
		for other := range n.RRsets() {
			if !belongsAtCNAME(other.Type()) {
				c.report(Error, n, dns.TypeCNAME, "cname-and-other-data",
					"an alias can have no other records (RFC 1034 §3.6.2), here "+other.Type().String(), "remove either")
			}
		}
	}
	switch {
	case !n.HasDS():
	case n.IsApex():
		c.report(Error, n, dns.TypeDS, "ds-at-apex", "DS belongs to the parent zone (RFC 4034 §5)", "publish it there and remove it here")
	case !n.IsCut():
		c.report(Warning, n, dns.TypeDS, "ds-without-ns", "DS at a name that is not delegated (RFC 4034 §5)", "add the NS records or remove it")
	}
}

// belongsAtCNAME reports whether t may stand beside a CNAME (RFC 2181 §10.1,
// RFC 4035 §2.5).
func belongsAtCNAME(t dns.Type) bool {
	switch t {
	case dns.TypeCNAME, dns.TypeNSEC, dns.TypeKEY, dns.TypeSIG, dns.TypeNXT:
		return true
	}
	return false
}

func (c *checker) several(n Node, t dns.Type) {
	c.report(Error, n, t, "several-"+t.String(), "a name can have one record of this type only", "remove all but one")
}

func (c *checker) soa(n Node, set RRset) {
	if set.Count() > 1 {
		c.several(n, dns.TypeSOA)
	}
	if !n.IsApex() {
		c.report(Error, n, dns.TypeSOA, "soa-not-at-apex", "only the apex has a SOA record (RFC 1035 §5.2)", "remove it, or make it a zone of its own")
	}
	for rd := range set.RData() {
		mname, _ := dns.WireNameLen(rd)
		rname := rd[mname : len(rd)-20]
		if !isHostName(rd[:mname], false) || len(rname) > 1 && !isHostName(parent(rname), false) {
			c.report(Warning, n, dns.TypeSOA, "bad-host-name", "a name in the record is not that of a host (RFC 1123 §2.1)", "use letters, digits and hyphens")
		}
	}
}

func (c *checker) dname(n Node, rel []byte, set RRset) {
	if set.Count() > 1 {
		c.several(n, dns.TypeDNAME)
	}
	if isWild(rel) {
		c.report(Warning, n, dns.TypeDNAME, "wildcard-dname", "what a DNAME at a wildcard means is not defined (RFC 4592 §4.4)", "give each name its own DNAME")
	}
}

// spf warns of SPF without the TXT that took its place (RFC 7208 §3.1).
func (c *checker) spf(n Node) {
	if set, ok := n.RRset(dns.TypeTXT); ok {
		for rd := range set.RData() {
			if len(rd) > 6 && string(rd[1:7]) == "v=spf1" {
				return
			}
		}
	}
	c.report(Warning, n, dns.TypeSPF, "spf-without-txt", "nobody asks for SPF records any more (RFC 7208 §3.1)", "add a TXT record with the same text")
}

func (c *checker) apex() {
	apex := c.v.Apex()
	if !apex.Has(dns.TypeNS) {
		c.report(Error, apex, dns.TypeNS, "no-ns", "the zone has no NS records at its apex (RFC 1034 §4.2.1)", "add the zone's name servers")
	}
}

// nsec3 checks the chains against the parameters at the apex.
func (c *checker) nsec3() {
	c.nsec3Params()
	v := c.v
	walk := v.sp.Walk(&v.spare)
	for l, ok := walk.Next(); ok; l, ok = walk.Next() {
		c.spareNSEC3(Node{v, l}, v.chain.used)
	}
}

// nsec3Params checks the parameters at the apex.
func (c *checker) nsec3Params() {
	v := c.v
	p, used := v.NSEC3Params()
	const maxIterations = 150 // RFC 9276 §3.2: validators treat more as insecure
	switch {
	case used && v.nsec3.Len() == 0:
		c.report(Warning, v.Apex(), dns.TypeNSEC3PARAM, "nsec3param-without-nsec3", "there are no NSEC3 records with these parameters", "sign the zone, or remove it")
	case used && p.Iterations > maxIterations:
		c.report(Warning, v.Apex(), dns.TypeNSEC3PARAM, "nsec3-iterations",
			fmt.Sprintf("%d iterations, above %d resolvers take the zone for unsigned (RFC 9276 §3.2)", p.Iterations, maxIterations), "sign the zone with none")
	}
}

// spareNSEC3 checks an owner of NSEC3 records that is not in the chain in use.
func (c *checker) spareNSEC3(n Node, used bool) {
	set, ok := n.RRset(dns.TypeNSEC3)
	if !ok {
		c.report(Warning, n, dns.TypeRRSIG, "rrsig-without-rrset", "signatures of NSEC3, which the name does not have", "remove them, or sign the zone again")
		return
	}
	_, hash := c.v.ownerHash(n.leaf)
	switch rel := c.v.sp.Name(n.leaf); {
	case !hash && (len(rel) == 0 || int(rel[0]) == len(rel)-1):
		c.report(Error, n, set.Type(), "bad-nsec3-owner", "the first label is not a hash in base32hex (RFC 5155 §3)", "sign the zone again")
	case !hash:
		c.report(Warning, n, set.Type(), "bad-nsec3-owner", "the owner is not one label below the apex (RFC 5155 §3)", "sign the zone again")
	case !used:
		c.report(Warning, n, set.Type(), "nsec3-without-nsec3param", "the apex has no NSEC3PARAM that we can use, so no proof has this", "add it (RFC 5155 §4), or remove the chain")
	}
}

// address is whether a name in the zone leads to addresses.
type address uint8

const (
	addressFound address = iota
	addressNone          // the name has none, or does not exist
	addressAlias         // the name is an alias
	addressDNAME         // the name is below a DNAME
	addressBelow         // the name is below a delegation, without glue
)

// address looks for the addresses of name, which is in the zone.
func (c *checker) address(name []byte) address {
	c.v.Lookup(&c.m, name)
	n := c.m.Node
	switch {
	case !c.m.DName.IsZero():
		return addressDNAME
	case !c.m.Cut.IsZero():
		if hasAddress(c.v.Find(name)) {
			return addressFound
		}
		return addressBelow
	case n.IsZero():
		n = c.m.Wildcard
	}
	switch {
	case hasAddress(n):
		return addressFound
	case n.HasCNAME():
		return addressAlias
	}
	return addressNone
}

func hasAddress(n Node) bool { return n.Has(dns.TypeA) || n.Has(dns.TypeAAAA) }

// hasInnerWildcard reports whether a label of rel besides the first is an asterisk.
func hasInnerWildcard(rel []byte) bool {
	for rest := parent(rel); len(rest) > 0; rest = parent(rest) {
		if isWild(rest) {
			return true
		}
	}
	return false
}
