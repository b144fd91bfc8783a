package model

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// proves says whether an answer has to prove what it denies.
func (a *answer) proves() bool { return a.do && a.zone.signed }

// proveNoName: the name does not exist, and no wildcard could stand for it (RFC 4035 §3.1.3.2, RFC 5155 §7.2.2).
func (a *answer) proveNoName(qname, encloser string) {
	if !a.proves() {
		return
	}
	if a.zone.param == nil {
		a.cover(qname)
		a.cover(wildcardOf(encloser))
		return
	}
	// The closest provable encloser's wildcard is what a validator wants covered.
	encloser = a.provable(encloser)
	a.proveEncloser(qname, encloser)
	a.coverHash(wildcardOf(encloser))
}

func wildcardOf(encloser string) string { return "*." + strings.TrimPrefix(encloser, ".") }

// proveNoType: the name, or the wildcard that stands for it, lacks the type
// (RFC 4035 §3.1.3.1 and §3.1.3.4, RFC 5155 §7.2.3 to §7.2.5).
func (a *answer) proveNoType(n *node, qname string) {
	if !a.proves() {
		return
	}
	if a.zone.param == nil {
		if n.sets[dns.TypeNSEC] != nil {
			a.add(&a.msg.Ns, n, dns.TypeNSEC, n.name)
		} else {
			a.cover(n.name) // an empty non-terminal
		}
		if n.name != qname {
			a.cover(qname)
		}
		return
	}
	if n.name != qname {
		a.proveEncloser(qname, a.provable(parent(n.name)))
	}
	if !a.matchHash(n.name) {
		a.proveOptOut(n.name)
	}
}

// proveExpansion: a wildcard answers, since the name itself does not exist (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6).
func (a *answer) proveExpansion(qname, encloser string) {
	switch {
	case !a.proves():
	case a.zone.param == nil:
		a.cover(qname)
	default:
		a.coverHash(nextCloser(qname, encloser))
	}
}

// proveNoDS: the delegation is not secure (RFC 4035 §3.1.4.1, RFC 5155 §7.2.7).
func (a *answer) proveNoDS(n *node) {
	switch {
	case a.zone.param == nil:
		a.add(&a.msg.Ns, n, dns.TypeNSEC, n.name)
	case !a.matchHash(n.name):
		a.proveOptOut(n.name)
	}
}

// cover adds the NSEC that covers a name: the last one that does not sort after it.
func (a *answer) cover(name string) {
	list := a.zone.nsec
	if len(list) == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(list, name, func(n *node, name string) int { return Compare(n.name, name) })
	if !found {
		i--
	}
	n := list[(i+len(list))%len(list)]
	a.add(&a.msg.Ns, n, dns.TypeNSEC, n.name)
}

// proveEncloser is the closest encloser proof of RFC 5155 §7.2.1.
func (a *answer) proveEncloser(qname, encloser string) {
	a.matchHash(encloser)
	a.coverHash(nextCloser(qname, encloser))
}

// proveOptOut is the proof for a name without a record of its own: the closest provable encloser
// (RFC 5155 §7.2.4 and §7.2.7), below which an opt-out span covers the name.
func (a *answer) proveOptOut(name string) {
	a.proveEncloser(name, a.provable(parent(name)))
}

// provable is the longest ancestor of a name, or the name itself, that has a record: opt-out leaves those without
// one that only insecure delegations need.
func (a *answer) provable(name string) string {
	for !a.hasHash(name) && name != a.zone.origin {
		name = parent(name)
	}
	return name
}

// nextCloser is the name one label longer than the encloser, on the way to the name.
func nextCloser(name, encloser string) string {
	for parent(name) != encloser {
		name = parent(name)
	}
	return name
}

func (z *zone) hash(name string) string {
	return strings.ToLower(dns.HashName(name, z.param.Hash, z.param.Iterations, z.param.Salt))
}

// findHash is the place of a name's hash among the hashed owners.
func (z *zone) findHash(name string) (int, bool) {
	return slices.BinarySearchFunc(z.nsec3, z.hash(name), func(n *node, hash string) int {
		label, _, _ := strings.Cut(n.name, ".")
		return strings.Compare(label, hash)
	})
}

func (a *answer) hasHash(name string) bool {
	_, found := a.zone.findHash(name)
	return found
}

// matchHash adds the NSEC3 of a name, and says whether there is one.
func (a *answer) matchHash(name string) bool {
	i, found := a.zone.findHash(name)
	if found {
		n := a.zone.nsec3[i]
		a.add(&a.msg.Ns, n, dns.TypeNSEC3, n.name)
	}
	return found
}

// coverHash adds the NSEC3 whose span the name's hash falls into.
func (a *answer) coverHash(name string) {
	list := a.zone.nsec3
	i, found := a.zone.findHash(name)
	if len(list) == 0 || found {
		return
	}
	n := list[(i-1+len(list))%len(list)]
	a.add(&a.msg.Ns, n, dns.TypeNSEC3, n.name)
}
