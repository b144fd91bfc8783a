package zone

import (
	"bytes"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/qp"
)

// Denial says how a version proves that something does not exist.
type Denial uint8

// The kinds of denial of existence.
const (
	DenialNone  Denial = iota // none: the zone is not signed
	DenialNSEC                // NSEC at the apex (RFC 4034 §4)
	DenialNSEC3               // NSEC3PARAM at the apex, and its chain (RFC 5155)
	// DenialCompact: the keys at the apex are signed and there is no chain, so that
	// proofs are for an Online to make (RFC 9824).
	DenialCompact
)

// chain is what a version knows of its denial of existence.
type chain struct {
	params NSEC3Params // of the chain in use, where used is set
	denial Denial
	used   bool
	apex   qp.Leaf // NSEC3 of the apex; a zero Ref where there is none
}

// NSEC3Params are the parameters of the NSEC3 chain in use (RFC 5155 §4.2).
type NSEC3Params struct {
	Algorithm  uint8
	Iterations uint16
	Salt       []byte // part of the version: not to be changed
}

func (p *NSEC3Params) equal(q *NSEC3Params) bool {
	return p.Algorithm == q.Algorithm && p.Iterations == q.Iterations && bytes.Equal(p.Salt, q.Salt)
}

// hash is the NSEC3 hash of a name in any case.
func (p *NSEC3Params) hash(dst, name []byte) []byte {
	var buf [dns.MaxNameLen]byte
	return dnssec.NSEC3Hash(dst, dns.AppendFolded(buf[:0], name), p.Iterations, p.Salt)
}

// Denial returns the kind of proof that the version holds.
func (v *Version) Denial() Denial { return v.chain.denial }

// NSEC3Params returns the parameters of the chain that proofs come from.
func (v *Version) NSEC3Params() (p NSEC3Params, ok bool) { return v.chain.params, v.chain.used }

// nsec3Params reads the parameters at the start of rdata of NSEC3 and NSEC3PARAM.
func nsec3Params(rdata []byte) NSEC3Params {
	salt := rdata[5 : 5+int(rdata[4])]
	return NSEC3Params{rdata[0], be.Uint16(rdata[2:]), salt}
}

// chainInUse returns the parameters of the chain that answers come from: those
// of the first NSEC3PARAM with a hash algorithm that we know. RFC 5155 §4.1.2:
// NSEC3PARAM records with flags other than zero must be ignored; §12.1.1 has
// nothing but SHA-1.
func chainInUse(apex Node) (p NSEC3Params, ok bool) {
	set, ok := apex.RRset(dns.TypeNSEC3PARAM)
	if !ok {
		return p, false
	}
	for rd := range set.RData() {
		if rd[0] == dnssec.NSEC3SHA1 && rd[1] == 0 {
			return nsec3Params(rd), true
		}
	}
	return p, false
}

// isInUse reports whether an owner of NSEC3 records belongs to the chain in use:
// its parameters are that chain's, and its name is a hash (RFC 5155 §3).
func (v *Version) isInUse(n Node) bool {
	set, ok := n.RRset(dns.TypeNSEC3)
	if !ok || !v.chain.used {
		return false
	}
	p := nsec3Params(set.First())
	_, ok = v.ownerHash(n.leaf)
	return ok && v.chain.params.equal(&p)
}

// ownerHash returns the hash that the name of an NSEC3 owner is.
func (v *Version) ownerHash(l qp.Leaf) (hash [dnssec.NSEC3HashLen]byte, ok bool) {
	owner := v.sp.Name(l)
	if len(owner) == 0 || int(owner[0]) != len(owner)-1 {
		return hash, false
	}
	var buf [dns.MaxLabelLen]byte
	b, ok := dns.DecodeBase32Hex(buf[:0], owner[1:])
	return hash, ok && copy(hash[:], b) == len(b) && len(b) == len(hash)
}

// settle ends a version that we have made.
func (v *Version) settle() {
	v.derive()
	v.verify()
}

// derive fills in what follows from a version that is otherwise complete.
func (v *Version) derive() {
	c := &v.chain
	c.denial, c.apex = DenialNone, qp.Leaf{}
	switch {
	case c.used && v.nsec3.Len() > 0:
		c.denial = DenialNSEC3
		if n, exact := v.NSEC3Name([]byte(v.origin.Wire())); exact {
			c.apex = n.leaf
		}
	case v.apex.Flags&flagNSEC != 0:
		c.denial = DenialNSEC
	case v.hasSignedKeys():
		c.denial = DenialCompact
	}
}

// hasSignedKeys reports whether the apex has a DNSKEY RRset with signatures.
func (v *Version) hasSignedKeys() bool {
	keys, ok := v.Apex().slot(dns.TypeDNSKEY)
	return ok && keys[2]&formSigned != 0
}

// NSECCover returns the node whose NSEC record matches or covers name: the
// last one with an NSEC record at or before it in canonical order (RFC 4034
// §4). It is zero where the zone has none there.
func (v *Version) NSECCover(name []byte) Node {
	var k qp.Key
	l, _, ok := v.sp.Floor(&v.names, &k, v.relative(name), false)
	if ok && l.Flags&flagNSEC == 0 {
		l, ok = v.nsecBefore(l)
	}
	return v.node(l, ok)
}

// nsecBefore goes back from a name without NSEC to one that has it. Names
// without are empty non-terminals, of which at most a name's depth stand in a
// row, and what lies below cuts: skipped by going to the cut. A zone that is
// signed otherwise than RFC 4035 §2.3 says is not searched for long.
func (v *Version) nsecBefore(l qp.Leaf) (qp.Leaf, bool) {
	var q qp.Search
	for range 2 * dns.MaxLabels {
		v.sp.Lookup(&v.names, &q, v.sp.Name(l), flagsStop)
		if q.Stop {
			l = q.Leaf
		} else {
			var ok bool
			if l, _, ok = v.sp.Floor(&v.names, &q.Key, v.sp.Name(l), true); !ok {
				return l, false
			}
		}
		if l.Flags&flagNSEC != 0 {
			return l, true
		}
	}
	return l, false
}

// hashName makes the relative name of an NSEC3 owner.
func hashName(dst, hash []byte) []byte {
	dst = append(dst, 0)
	dst = dns.AppendBase32Hex(dst, hash)
	dst[0] = byte(len(dst) - 1)
	return dst
}

// NSEC3Cover returns the node of the NSEC3 record that matches hash, with exact
// true, or else of the one that covers it (RFC 5155 §7.2.1).
func (v *Version) NSEC3Cover(hash []byte) (n Node, exact bool) {
	if len(hash) != dnssec.NSEC3HashLen {
		return Node{}, false
	}
	var k qp.Key
	var buf [64]byte
	l, exact, ok := v.sp.Floor(&v.nsec3, &k, hashName(buf[:0], hash), false)
	if !ok { // before the first: the last one reaches around
		l, ok = v.sp.Last(&v.nsec3)
	}
	return v.node(l, ok), exact
}

// NSEC3Name is NSEC3Cover for the hash of name.
func (v *Version) NSEC3Name(name []byte) (n Node, exact bool) {
	var buf [dnssec.NSEC3HashLen]byte
	return v.NSEC3Cover(v.chain.params.hash(buf[:0], name))
}

// NSEC3For is NSEC3Name for a node of the version. The first octets of the
// node's hash are known, which mostly shows without hashing what covers it.
func (v *Version) NSEC3For(node Node) (n Node, exact bool) {
	if node.IsApex() && v.chain.apex.Ref != 0 {
		return Node{v, v.chain.apex}, true
	}
	if node.leaf.Flags&flagHost == 0 {
		if l, ok := v.coverByPrefix(node.leaf.Aux); ok {
			return Node{v, l}, false
		}
	}
	var buf [dns.MaxNameLen]byte
	return v.NSEC3Name(node.AppendName(buf[:0]))
}

// coverByPrefix returns the NSEC3 that covers all hashes that begin with the
// given 32 bits, unless one lies among them.
func (v *Version) coverByPrefix(prefix uint32) (qp.Leaf, bool) {
	var hash [dnssec.NSEC3HashLen]byte
	for i := range hash {
		hash[i] = 0xFF
	}
	be.PutUint32(hash[:], prefix)
	n, exact := v.NSEC3Cover(hash[:])
	if n.IsZero() || exact {
		return qp.Leaf{}, false
	}
	if owner, ok := v.ownerHash(n.leaf); !ok || be.Uint32(owner[:]) == prefix {
		return qp.Leaf{}, false
	}
	return n.leaf, true
}
