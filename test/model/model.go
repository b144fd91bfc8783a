// Package model is a slow, obvious authoritative server: RFC 1034 §4.3.2 step by step, with the later RFCs at the steps that
// they changed (2308, 4035, 4592, 5155, 6604, 6672). It knows no message sizes, no compression and no speed; it answers out
// of maps, with github.com/miekg/dns for all parsing. Tests compare the fast server with it, on any zone, in one process.
// A Server does not change once made, so it may be used from many goroutines.
package model

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// MaxChain is how many aliases an answer follows before it ends with what it has.
const MaxChain = 16

// Server answers for a set of zones.
type Server struct {
	zones map[string]*zone
}

// New makes a server of the records of each zone, by origin.
func New(zones map[string][]dns.RR) *Server {
	s := &Server{zones: make(map[string]*zone)}
	for origin, records := range zones {
		s.zones[canonical(origin)] = newZone(canonical(origin), records)
	}
	return s
}

// Answer is the whole answer to a question, as if messages had no limit. With do it has the DNSSEC records.
func (s *Server) Answer(question dns.Question, do bool) *dns.Msg {
	a := &answer{server: s, qtype: question.Qtype, do: do, seen: make(map[string]bool)}
	a.msg.Question = []dns.Question{question}
	a.msg.Response = true
	qname := canonical(question.Name)
	for hop := 0; ; hop++ {
		z := s.zoneFor(qname, question.Qtype)
		if z == nil {
			if hop == 0 {
				a.msg.Rcode = dns.RcodeRefused
			}
			break // an alias out of the server: the asker goes on from there
		}
		// RFC 1035 §4.1.1: AA is about the owner of the first record in the answer section.
		a.zone, a.msg.Authoritative = z, a.msg.Authoritative || hop == 0
		next, alias := a.look(qname)
		// A loop or a long chain ends with what was found (RFC 1034 §3.6.2).
		a.seen[qname] = true
		if !alias || a.seen[next] || hop+1 == MaxChain {
			break
		}
		qname = next
	}
	return &a.msg
}

// zoneFor is step 2: the zone nearest above a name. DS is data of the parent's side of a cut (RFC 4035 §3.1.4.1).
func (s *Server) zoneFor(qname string, qtype uint16) *zone {
	name := qname
	if _, apex := s.zones[name]; apex && qtype == dns.TypeDS && name != "." {
		if z := s.zoneFor(parent(name), 0); z != nil && z.isParentOf(name) {
			return z
		}
	}
	for {
		if z, ok := s.zones[name]; ok {
			return z
		}
		if name == "." {
			return nil
		}
		name = parent(name)
	}
}

// answer is one answer in the making.
type answer struct {
	server *Server
	msg    dns.Msg
	qtype  uint16
	do     bool
	zone   *zone
	seen   map[string]bool // names that aliases have led to
}

// look is step 3 in one zone. It returns the next name to look for when it met an alias.
func (a *answer) look(qname string) (next string, alias bool) {
	z := a.zone
	// From the apex down: the topmost cut or DNAME hides what is below it (RFC 6672 §2.4).
	for _, name := range z.path(qname) {
		n := z.nodes[name]
		if n == nil {
			break
		}
		if name != z.origin && n.sets[dns.TypeNS] != nil && !(name == qname && a.qtype == dns.TypeDS) {
			a.refer(n)
			return "", false
		}
		if name != qname && n.sets[dns.TypeDNAME] != nil {
			return a.redirect(n, qname)
		}
	}
	if n := z.nodes[qname]; n != nil {
		return a.answerFrom(n, qname)
	}
	encloser := z.closestEncloser(qname)
	if wildcard := z.nodes[wildcardOf(encloser)]; wildcard != nil {
		before := len(a.msg.Answer)
		next, alias := a.answerFrom(wildcard, qname)
		if len(a.msg.Answer) > before {
			a.proveExpansion(qname, encloser)
		}
		return next, alias
	}
	a.msg.Rcode = dns.RcodeNameError
	a.negative()
	a.proveNoName(qname, encloser)
	return "", false
}

// answerFrom is step 3a: the name exists, or a wildcard stands for it (RFC 4592 §3.3).
func (a *answer) answerFrom(n *node, qname string) (next string, alias bool) {
	if cname := n.sets[dns.TypeCNAME]; cname != nil && a.qtype != dns.TypeCNAME && a.qtype != dns.TypeANY && n.sets[a.qtype] == nil {
		a.add(&a.msg.Answer, n, dns.TypeCNAME, qname)
		return canonical(cname[0].(*dns.CNAME).Target), true
	}
	switch {
	case n.sets[a.qtype] != nil:
		a.add(&a.msg.Answer, n, a.qtype, qname)
	case a.qtype == dns.TypeANY && len(n.sets) > 0:
		// RRSIG and NSEC are RRsets like any other here (RFC 4035 §3.1), whatever DO says.
		for _, t := range n.types() {
			a.addAs(&a.msg.Answer, qname, slices.Concat(n.sets[t], n.sigs[t]))
		}
	default:
		a.negative()
		a.proveNoType(n, qname)
	}
	return "", false
}

// redirect is step 3c of RFC 6672 §3.2: the DNAME, and a CNAME made from it.
func (a *answer) redirect(n *node, qname string) (next string, alias bool) {
	dname := n.sets[dns.TypeDNAME][0].(*dns.DNAME)
	a.add(&a.msg.Answer, n, dns.TypeDNAME, n.name)
	prefix := strings.TrimSuffix(qname, n.name)
	if n.name == "." {
		prefix = qname
	}
	target := canonical(dname.Target)
	next = prefix + target
	if target == "." {
		next = prefix
	}
	if !fits(next) {
		a.msg.Rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		return "", false
	}
	header := dns.RR_Header{Name: qname, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}
	a.append(&a.msg.Answer, &dns.CNAME{Hdr: header, Target: next})
	return next, a.qtype != dns.TypeCNAME // which the CNAME matches, as in step 3a
}

// refer is step 3b: name servers, their glue, and DS or the proof that there is none (RFC 4035 §3.1.4).
func (a *answer) refer(n *node) {
	if len(a.msg.Answer) == 0 {
		a.msg.Authoritative = false
	}
	a.append(&a.msg.Ns, n.sets[dns.TypeNS]...)
	if a.do && a.zone.signed {
		if n.sets[dns.TypeDS] != nil {
			a.add(&a.msg.Ns, n, dns.TypeDS, n.name)
		} else {
			a.proveNoDS(n)
		}
	}
	for _, rr := range n.sets[dns.TypeNS] {
		host := canonical(rr.(*dns.NS).Ns)
		// "Whatever addresses are available" (RFC 1034 §4.3.2 step 3b): glue, or the zone's own data.
		if addresses := a.zone.nodes[host]; addresses != nil {
			a.add(&a.msg.Extra, addresses, dns.TypeA, host)
			a.add(&a.msg.Extra, addresses, dns.TypeAAAA, host)
		}
	}
}

// negative adds the SOA with the TTL of negative answers (RFC 2308 §3).
func (a *answer) negative() {
	apex := a.zone.nodes[a.zone.origin]
	soa := apex.sets[dns.TypeSOA][0].(*dns.SOA)
	ttl := min(soa.Hdr.Ttl, soa.Minttl)
	for _, rr := range append(slices.Clone(apex.sets[dns.TypeSOA]), a.signatures(apex, dns.TypeSOA)...) {
		rr = dns.Copy(rr)
		rr.Header().Ttl = ttl
		a.append(&a.msg.Ns, rr)
	}
}

// add appends an RRset with its signatures, under an owner that a wildcard may have lent.
func (a *answer) add(section *[]dns.RR, n *node, t uint16, owner string) {
	a.addAs(section, owner, slices.Concat(n.sets[t], a.signatures(n, t)))
}

func (a *answer) addAs(section *[]dns.RR, owner string, records []dns.RR) {
	for _, rr := range records {
		rr = dns.Copy(rr)
		rr.Header().Name = owner
		a.append(section, rr)
	}
}

func (a *answer) signatures(n *node, t uint16) []dns.RR {
	if !a.do {
		return nil
	}
	return n.sigs[t]
}

// append adds records that the section does not have yet (RFC 2181 §5).
func (a *answer) append(section *[]dns.RR, records ...dns.RR) {
	for _, rr := range records {
		if !slices.ContainsFunc(*section, func(other dns.RR) bool { return other.String() == rr.String() }) {
			*section = append(*section, rr)
		}
	}
}
