package model

import (
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// node is a name of a zone with its RRsets; an empty non-terminal has none.
type node struct {
	name string
	sets map[uint16][]dns.RR
	sigs map[uint16][]dns.RR // by the type that they cover
}

func (n *node) types() []uint16 { return slices.Sorted(maps.Keys(n.sets)) }

type zone struct {
	origin string
	nodes  map[string]*node
	signed bool
	nsec   []*node // those with NSEC, in canonical order
	nsec3  []*node // of the hashed names, which are no names of the zone (RFC 5155 §7.2.8), in the order of hashes
	param  *dns.NSEC3PARAM
}

func newZone(origin string, records []dns.RR) *zone {
	z := &zone{origin: origin, nodes: make(map[string]*node)}
	hashed := make(map[string]*node)
	for _, rr := range records {
		rr = rewritten(rr)
		if isNSEC3(rr) {
			put(hashed, rr)
			continue
		}
		put(z.nodes, rr)
		for name := canonical(rr.Header().Name); name != origin && dns.IsSubDomain(origin, name); {
			name = parent(name)
			nodeAt(z.nodes, name) // an empty non-terminal, unless it has records
		}
	}
	for _, n := range z.nodes {
		z.signed = z.signed || len(n.sigs) > 0
		if n.sets[dns.TypeNSEC] != nil {
			z.nsec = append(z.nsec, n)
		}
		if params := n.sets[dns.TypeNSEC3PARAM]; params != nil && n.name == origin {
			z.param = params[0].(*dns.NSEC3PARAM)
		}
	}
	slices.SortFunc(z.nsec, func(a, b *node) int { return Compare(a.name, b.name) })
	z.nsec3 = slices.SortedFunc(maps.Values(hashed), func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return z
}

// rewritten is a record as a message would bring it: text has several ways to write the same octets.
func rewritten(rr dns.RR) dns.RR {
	wire := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return rr
	}
	again, _, err := dns.UnpackRR(wire[:n], 0)
	if err != nil {
		return rr
	}
	return again
}

// isNSEC3 says whether a record belongs to a hashed name: NSEC3, or the signature of one.
func isNSEC3(rr dns.RR) bool {
	sig, ok := rr.(*dns.RRSIG)
	return rr.Header().Rrtype == dns.TypeNSEC3 || ok && sig.TypeCovered == dns.TypeNSEC3
}

func put(nodes map[string]*node, rr dns.RR) {
	n := nodeAt(nodes, canonical(rr.Header().Name))
	if sig, ok := rr.(*dns.RRSIG); ok {
		n.sigs[sig.TypeCovered] = append(n.sigs[sig.TypeCovered], rr)
		return
	}
	t := rr.Header().Rrtype
	n.sets[t] = append(n.sets[t], rr)
}

func nodeAt(nodes map[string]*node, name string) *node {
	n := nodes[name]
	if n == nil {
		n = &node{name: name, sets: make(map[uint16][]dns.RR), sigs: make(map[uint16][]dns.RR)}
		nodes[name] = n
	}
	return n
}

// path lists the names from the origin down to a name below it.
func (z *zone) path(name string) []string {
	list := []string{name}
	for name != z.origin {
		name = parent(name)
		list = append(list, name)
	}
	slices.Reverse(list)
	return list
}

// closestEncloser is the longest existing ancestor of a name that does not exist (RFC 4592 §3.3.1).
func (z *zone) closestEncloser(name string) string {
	for z.nodes[name] == nil {
		name = parent(name)
	}
	return name
}

// isParentOf says whether no zone lies between this one and another's origin, as far as it knows: a server that
// has the child and not the parent answers for DS from the child (RFC 4035 §3.1.4.1).
func (z *zone) isParentOf(origin string) bool {
	path := z.path(origin)
	for _, name := range path[1 : len(path)-1] {
		if n := z.nodes[name]; n != nil && n.sets[dns.TypeNS] != nil {
			return false
		}
	}
	return true
}

// canonical is a name in lower case with one way to write each octet.
func canonical(name string) string {
	wire := make([]byte, 256)
	n, err := dns.PackDomainName(dns.Fqdn(name), wire, 0, nil, false)
	if err != nil {
		return strings.ToLower(name)
	}
	text, _, err := dns.UnpackDomainName(wire[:n], 0)
	if err != nil {
		return strings.ToLower(name)
	}
	return strings.ToLower(text)
}

// fits says whether a name has at most 255 octets (RFC 1035 §2.3.4).
func fits(name string) bool {
	_, err := dns.PackDomainName(name, make([]byte, 255), 0, nil, false)
	return err == nil
}

func parent(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// Compare is the canonical order of names (RFC 4034 §6.1).
func Compare(a, b string) int { return slices.CompareFunc(labels(a), labels(b), strings.Compare) }

// labels are a name's labels in wire form, the topmost first.
func labels(name string) []string {
	wire := make([]byte, 256)
	n, err := dns.PackDomainName(name, wire, 0, nil, false)
	if err != nil {
		return nil
	}
	var list []string
	for wire = wire[:n]; wire[0] != 0; wire = wire[1+wire[0]:] {
		list = append(list, string(wire[1:1+wire[0]]))
	}
	slices.Reverse(list)
	return list
}
