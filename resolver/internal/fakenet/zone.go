package fakenet

import (
	"fmt"
	"strconv"
	"strings"

	"onoma/dns"
)

// Zone is a zone of an authoritative server.
type Zone struct {
	Origin  dns.Name
	records map[string]map[dns.Type][]dns.Record // by folded wire form; empty non-terminals are there too
}

// ParseZone reads lines of "owner [TTL] type rdata", names relative to origin;
// TTLs are 3600 where not given. It panics on what it cannot read.
//
// A zone without an SOA gets one with a negative TTL of 300.
func ParseZone(origin, text string) *Zone {
	z := &Zone{Origin: dns.MustName(origin), records: map[string]map[dns.Type][]dns.Record{}}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != ';' {
			z.Add(ParseRecord(line, z.Origin))
		}
	}
	if len(z.at(z.Origin)[dns.TypeSOA]) == 0 {
		z.Add(ParseRecord("@ 300 SOA ns.invalid. host.invalid. 1 3600 600 86400 300", z.Origin))
	}
	return z
}

// ParseRecord reads one line of a zone.
func ParseRecord(line string, origin dns.Name) dns.Record {
	words := split(line)
	bad := func(what string, err error) {
		panic(fmt.Sprintf("fakenet: %q: %s: %v", line, what, err))
	}
	name, err := dns.ParseNameIn(string(words[0].Text), origin)
	if err != nil {
		bad("owner", err)
	}
	r := dns.Record{Name: name, Class: dns.ClassIN, TTL: 3600}
	words = words[1:]
	if ttl, err := strconv.ParseUint(string(words[0].Text), 10, 31); err == nil {
		r.TTL, words = uint32(ttl), words[1:]
	}
	typ, ok := dns.ParseType(string(words[0].Text))
	if !ok {
		bad("type", fmt.Errorf("unknown"))
	}
	r.Type = typ
	if r.Data, err = dns.ParseRData(nil, typ, words[1:], origin); err != nil {
		bad("rdata", err)
	}
	return r
}

// split cuts a line into words and "quoted strings".
func split(line string) []dns.Token {
	var words []dns.Token
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"') + 1
			words = append(words, dns.Token{Text: []byte(line[1:end]), Quoted: true})
			line = line[end+1:]
			continue
		}
		end := strings.IndexAny(line+" ", " \t")
		words = append(words, dns.Token{Text: []byte(line[:end])})
		line = line[end:]
	}
	return words
}

// Add puts a record into the zone.
func (z *Zone) Add(r dns.Record) {
	z.node(r.Name)[r.Type] = append(z.node(r.Name)[r.Type], r)
	for n := r.Name; n.IsSubdomainOf(z.Origin) && !n.Equal(z.Origin); n = n.Parent() {
		z.node(n)
	}
}

// Remove takes all records of name and type away.
func (z *Zone) Remove(name string, t dns.Type) { delete(z.node(dns.MustName(name)), t) }

func (z *Zone) node(n dns.Name) map[dns.Type][]dns.Record {
	k := n.Fold().Wire()
	if z.records[k] == nil {
		z.records[k] = map[dns.Type][]dns.Record{}
	}
	return z.records[k]
}

func (z *Zone) at(n dns.Name) map[dns.Type][]dns.Record { return z.records[n.Fold().Wire()] }

// answer is RFC 1034 §4.3.2 in its plainest form.
func (s *Server) answer(q *dns.Message) *dns.Message {
	a := &dns.Message{ID: q.ID, Flags: dns.FlagQR | q.Flags&dns.FlagRD, Questions: q.Questions}
	if q.EDNS != nil {
		a.EDNS = &dns.EDNS{UDPSize: 1232, DO: q.EDNS.DO}
	}
	ask := q.Question()
	z := s.zoneFor(ask)
	if z == nil {
		a.RCode = dns.RCodeRefused
		return a
	}
	if cut := z.cut(ask); !cut.IsZero() {
		z.refer(a, cut)
		return a
	}
	a.Flags |= dns.FlagAA
	z.answer(a, ask)
	return a
}

func (s *Server) zoneFor(q dns.Question) (best *Zone) {
	for _, z := range s.Zones {
		switch {
		case !q.Name.IsSubdomainOf(z.Origin):
		case q.Type == dns.TypeDS && q.Name.Equal(z.Origin) && best != nil:
		case best == nil, best.Origin.NumLabels() < z.Origin.NumLabels(),
			q.Type == dns.TypeDS && q.Name.Equal(best.Origin):
			best = z
		}
	}
	return best
}

// cut returns the topmost delegation below the apex that q is at or below.
func (z *Zone) cut(q dns.Question) dns.Name {
	labels, top := q.Name.NumLabels(), z.Origin.NumLabels()
	for k := labels - top - 1; k >= 0; k-- {
		n := q.Name.Ancestor(k)
		if len(z.at(n)[dns.TypeNS]) > 0 && (q.Type != dns.TypeDS || k > 0) {
			return n
		}
	}
	return dns.Name{}
}

func (z *Zone) refer(a *dns.Message, cut dns.Name) {
	a.Authority = append(a.Authority, z.at(cut)[dns.TypeNS]...)
	a.Authority = append(a.Authority, z.at(cut)[dns.TypeDS]...)
	z.addAddresses(a, cut)
}

// addAddresses adds those of the name servers of name.
func (z *Zone) addAddresses(a *dns.Message, name dns.Name) {
	for _, ns := range z.at(name)[dns.TypeNS] {
		n, err := dns.NameFromWire(ns.Data)
		if err != nil {
			panic(err)
		}
		a.Additional = append(a.Additional, z.at(n)[dns.TypeA]...)
		a.Additional = append(a.Additional, z.at(n)[dns.TypeAAAA]...)
	}
}

func (z *Zone) answer(a *dns.Message, q dns.Question) {
	for n := q.Name.Parent(); !n.IsZero() && n.IsSubdomainOf(z.Origin); n = n.Parent() {
		if d := z.at(n)[dns.TypeDNAME]; len(d) > 0 {
			z.substitute(a, q, d[0])
			return
		}
	}
	node, owner := z.at(q.Name), q.Name
	if node == nil {
		node, owner = z.wildcard(q.Name), q.Name
	}
	if node == nil {
		a.RCode = dns.RCodeNXDomain
		a.Authority = z.at(z.Origin)[dns.TypeSOA]
		return
	}
	sigs := node[dns.TypeRRSIG]
	for _, t := range []dns.Type{q.Type, dns.TypeCNAME} {
		if len(node[t]) == 0 {
			continue
		}
		for _, r := range append(append([]dns.Record{}, node[t]...), covering(sigs, t, a)...) {
			r.Name = owner
			a.Answer = append(a.Answer, r)
		}
		if q.Type == dns.TypeNS {
			z.addAddresses(a, q.Name)
		}
		return
	}
	a.Authority = z.at(z.Origin)[dns.TypeSOA]
}

// covering returns the signatures over type t, for who wants them.
func covering(sigs []dns.Record, t dns.Type, a *dns.Message) []dns.Record {
	var list []dns.Record
	for _, r := range sigs {
		if a.EDNS != nil && a.EDNS.DO && t != dns.TypeRRSIG && dns.Type(r.Data[0])<<8|dns.Type(r.Data[1]) == t {
			list = append(list, r)
		}
	}
	return list
}

func (z *Zone) wildcard(n dns.Name) map[dns.Type][]dns.Record {
	for p := n.Parent(); !p.IsZero() && p.IsSubdomainOf(z.Origin); p = p.Parent() {
		if z.at(p) == nil && !p.Equal(z.Origin) {
			continue
		}
		w, err := p.Child("*")
		if err != nil {
			return nil
		}
		return z.at(w)
	}
	return nil
}

func (z *Zone) substitute(a *dns.Message, q dns.Question, d dns.Record) {
	a.Answer = append(a.Answer, d)
	to, err := dns.NameFromWire(d.Data)
	if err != nil {
		panic(err)
	}
	target, err := q.Name.Rebase(d.Name, to)
	if err != nil {
		a.RCode = dns.RCodeYXDomain
		return
	}
	a.Answer = append(a.Answer, dns.Record{
		Name: q.Name, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: d.TTL, Data: dns.RData(target.Wire()),
	})
}
