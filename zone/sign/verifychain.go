package sign

import (
	"bytes"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// lookNSEC looks at the NSEC record of the name before, whose next name is known now,
// and lets that of n wait.
func (f *verifier) lookNSEC(n name) {
	hasNSEC := n.node.Has(dns.TypeNSEC)
	c := &f.content
	switch {
	case !f.nsec && !hasNSEC:
	case !f.nsec || n.hidden || len(c.types) == 0:
		if hasNSEC {
			f.add(zone.Error, "nsec-orphan", n.node.Name(), dns.TypeNSEC, "the name has an NSEC record, but no part in the chain", cureSign)
		}
	default:
		f.endNSEC(n.owner)
		owner := append(f.pending.owner[:0], n.owner...)
		f.pending = n
		f.pending.owner = owner
		f.types = c.appendNSECBitmap(f.types[:0], &f.scratch)
	}
}

// endNSEC looks at the NSEC record of the name that waits; next is the one after it.
func (f *verifier) endNSEC(next []byte) {
	if f.pending.owner == nil {
		return
	}
	owner := f.pending.node.Name()
	set, ok := f.pending.node.RRset(dns.TypeNSEC)
	if !ok {
		f.add(zone.Error, "nsec-missing", owner, dns.TypeNSEC, "the name has no NSEC record", cureSign)
		return
	}
	n, err := dns.ParseNSEC(set.First())
	if set.Count() != 1 || err != nil {
		f.add(zone.Error, "nsec-wrong", owner, dns.TypeNSEC, "the name has not exactly one NSEC record", cureSign)
		return
	}
	if want, _ := dns.NameFromWire(next); !n.Next.Equal(want) {
		f.add(zone.Error, "nsec-wrong-next", owner, dns.TypeNSEC, fmt.Sprintf("the NSEC record points to %s, and the next name is %s", n.Next, want), cureSign)
	}
	f.compareTypes(owner, dns.TypeNSEC, n.Types, f.types)
	f.compareTTL(owner, set)
}

// compareTypes says where a bitmap does not list what there is.
func (f *verifier) compareTypes(owner dns.Name, t dns.Type, got, want dns.TypeBitmap) {
	if bytes.Equal(got, want) {
		return
	}
	f.add(zone.Error, codeFor(t, "wrong-types"), owner, t, fmt.Sprintf("the record lists the types %s, and the name has %s", listTypes(got), listTypes(want)), cureSign)
}

func codeFor(t dns.Type, what string) string {
	if t == dns.TypeNSEC {
		return "nsec-" + what
	}
	return "nsec3-" + what
}

func listTypes(b dns.TypeBitmap) string {
	list := slices.Collect(b.All())
	if len(list) == 0 {
		return "none"
	}
	return fmt.Sprint(list)
}

func (f *verifier) compareTTL(owner dns.Name, set zone.RRset) {
	if set.TTL() != f.ttl {
		f.add(zone.Warning, codeFor(set.Type(), "ttl"), owner, set.Type(),
			fmt.Sprintf("the TTL is %d, and the lesser of the SOA record's minimum and TTL is %d (RFC 9077 §3)", set.TTL(), f.ttl), cureSign)
	}
}

// chainCheck is the NSEC3 chain in use while it is looked at. A nil one takes all
// and looks at nothing.
type chainCheck struct {
	*verifier
	params zone.NSEC3Params
	s      *signing // of the same parameters, to hash with
	seen   []hash
	ents   [][]byte // with nothing known below them that is in the chain
}

// beginChain looks at the parameters of the chain.
func (f *verifier) beginChain() *chainCheck {
	params, ok := f.v.NSEC3Params()
	if !ok {
		return nil
	}
	plan := &Plan{Denial: Denial{Kind: NSEC3, Iterations: params.Iterations, Salt: params.Salt}}
	c := &chainCheck{verifier: f, params: params, s: &signing{plan: plan, origin: f.origin, signer: dns.AppendFolded(nil, []byte(f.origin.Wire()))}}
	if params.Iterations > 0 {
		f.add(zone.Warning, "nsec3-iterations", f.origin, dns.TypeNSEC3PARAM,
			fmt.Sprintf("there are %d additional iterations: validators may take the zone for insecure (RFC 9276 §3.2)", params.Iterations), "sign with 0")
	}
	return c
}

// add looks at the NSEC3 record of a name.
func (c *chainCheck) add(owner []byte, is *content) {
	if c == nil {
		return
	}
	var bitmap [64]byte
	c.look(owner, is.appendBitmap(bitmap[:0], &c.scratch), is.isInsecureCut())
	if is.isInsecureCut() {
		return
	}
	c.leave(owner)
	for _, ent := range c.ents {
		c.look(ent, nil, false)
	}
	c.ents = c.ents[:0]
}

// addENT looks at the record of an empty non-terminal, once it is known whether it
// may be left out.
func (c *chainCheck) addENT(owner []byte) {
	if c == nil {
		return
	}
	c.leave(owner)
	c.ents = append(c.ents, bytes.Clone(owner))
}

// leave looks at the empty non-terminals that owner does not lie below; nil is the end
// of the zone. Below them there are insecure delegations only.
func (c *chainCheck) leave(owner []byte) {
	for last := len(c.ents) - 1; last >= 0 && !isBelow(owner, c.ents[last]); last-- {
		c.look(c.ents[last], nil, true)
		c.ents = c.ents[:last]
	}
}

// look looks at the record of a name, which opt-out may leave out.
func (c *chainCheck) look(owner, bitmap []byte, mayLack bool) {
	h := c.s.hashOf(owner)
	node, exact := c.v.NSEC3Cover(h[:])
	name, _ := dns.NameFromWire(owner)
	set, _ := node.RRset(dns.TypeNSEC3)
	switch {
	case !exact && mayLack && !set.IsZero() && set.First()[1]&dns.NSEC3OptOut != 0:
		return // RFC 5155 §6
	case !exact:
		c.verifier.add(zone.Error, "nsec3-missing", name, dns.TypeNSEC3, "the name has no NSEC3 record", cureSign)
		return
	}
	c.seen = append(c.seen, h)
	n, err := dns.ParseNSEC3(set.First())
	if err != nil || set.Count() != 1 {
		c.verifier.add(zone.Error, "nsec3-wrong", node.Name(), dns.TypeNSEC3, fmt.Sprintf("the hash of %s has not exactly one NSEC3 record", name), cureSign)
		return
	}
	c.compareTypes(name, dns.TypeNSEC3, n.Types, bitmap)
}

// verifyNSEC3 looks at what the chain has that no name asked for, and at its order.
func (f *verifier) verifyNSEC3() {
	c := f.chain
	if c == nil {
		for n := range f.v.NSEC3Owners() {
			f.add(zone.Error, "nsec3param-missing", n.Name(), dns.TypeNSEC3, "there are NSEC3 records, but no NSEC3PARAM record says that they are in use", cureSign)
			return
		}
		return
	}
	c.leave(nil)
	slices.SortFunc(c.seen, func(a, b hash) int { return a.compare(&b) })
	for n := range f.v.NSEC3Owners() {
		c.lookOwner(n)
	}
}

// lookOwner looks at one NSEC3 record from its own side.
func (c *chainCheck) lookOwner(n zone.Node) {
	set, ok := n.RRset(dns.TypeNSEC3)
	if !ok {
		return // an orphan signature, which has been told
	}
	owner := n.Name()
	rd, err := dns.ParseNSEC3(set.First())
	if err != nil {
		c.verifier.add(zone.Error, "nsec3-wrong", owner, dns.TypeNSEC3, "the record is malformed", cureSign)
		return
	}
	if rd.Iterations != c.params.Iterations || !bytes.Equal(rd.Salt, c.params.Salt) || rd.Hash != c.params.Algorithm {
		c.verifier.add(zone.Warning, "nsec3-other-chain", owner, dns.TypeNSEC3, "the record is of another chain than the one that NSEC3PARAM names", "remove it once that chain is of no use")
		return
	}
	h, ok := hashIn([]byte(owner.Wire()))
	if !ok || !c.has(h) {
		c.verifier.add(zone.Error, "nsec3-orphan", owner, dns.TypeNSEC3, "the record is the hash of no name in the zone", cureSign)
	}
	next, _ := hashIn([]byte(c.v.NSEC3Next([]byte(owner.Wire())).Name().Wire()))
	if !bytes.Equal(rd.NextHashed, next[:]) {
		c.verifier.add(zone.Error, "nsec3-wrong-next", owner, dns.TypeNSEC3,
			fmt.Sprintf("the record points to %s, and the next hash is %s", dns.AppendBase32Hex(nil, rd.NextHashed), dns.AppendBase32Hex(nil, next[:])), cureSign)
	}
	c.compareTTL(owner, set)
}

func (c *chainCheck) has(h hash) bool {
	_, ok := slices.BinarySearchFunc(c.seen, h, func(x, h hash) int { return x.compare(&h) })
	return ok
}
