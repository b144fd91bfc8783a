package policy

import (
	"net/netip"
	"strings"

	"onoma/dns"
)

// RPZ is a list of policy zones; of two that have something to say, the first one is heard (RPZ draft §5.2).
type RPZ []*Zone

// Match is the rule that was found, or none.
type Match struct {
	Action  Action
	Trigger Trigger
	Zone    int  // its place in the list
	IsFinal bool // nothing that the answer could hold changes it: there is no need to resolve the question first
	value   uint32

	// What the rule's owner is made of (RPZ.Rule).
	labels   uint8
	wildcard bool
	prefix   netip.Prefix
	server   dns.Name
}

// Facts are what a question's answer brought to light.
type Facts struct {
	Addresses       []netip.Addr // of the answer's A and AAAA records (see [Addresses])
	Servers         []dns.Name   // the targets of the NS sets of the name's zone and of those above it
	ServerAddresses []netip.Addr // of these servers
}

// Question says what the rules about the client and about the name have to say. name is in wire form, in any case.
// It does not allocate. It is asked once for each name of a chain of CNAMEs, the first that matches ends the chain (RPZ draft §5.1).
//
// A match that is not final stands only when [RPZ.Answer] has seen what the question resolves to,
// since a zone that goes before may have rules about that.
func (r RPZ) Question(client netip.Addr, name []byte) Match {
	var buf [256]byte
	folded := dns.AppendFolded(buf[:0], name)
	client = client.Unmap().WithZone("")
	final := true
	for i, z := range r {
		if m := z.question(client, folded); m.Action != None {
			m.Zone, m.IsFinal = i, final
			return m
		}
		final = final && !z.needsAnswer()
	}
	return Match{IsFinal: final}
}

func (z *Zone) question(client netip.Addr, name []byte) Match {
	if client.IsValid() {
		if p := z.byAddr[ByClient].find(client); p != nil {
			return z.matchPrefix(ByClient, p, client)
		}
	}
	value, labels, wildcard := z.byName.nearest(name)
	if value == 0 {
		return Match{}
	}
	m := z.match(ByName, value)
	m.labels, m.wildcard = uint8(labels), wildcard
	return m
}

// match is a rule after the zone's override.
func (z *Zone) match(t Trigger, value uint32) Match {
	action, _ := takeApart(value)
	if z.override != None {
		action = z.override
	}
	return Match{Action: action, Trigger: t, value: value}
}

func (z *Zone) matchPrefix(t Trigger, p *prefix, in netip.Addr) Match {
	m := z.match(t, p.value)
	m.prefix = netip.PrefixFrom(in, int(p.bits)).Masked()
	return m
}

func (z *Zone) needsAnswer() bool {
	return z.byAddr[ByAddress].len() > 0 || z.byServer.count > 0 || z.byAddr[ByServerAddress].len() > 0
}

// Needs says which triggers about servers there are, so that nobody collects what no rule asks for.
func (r RPZ) Needs() (servers, serverAddresses bool) {
	for _, z := range r {
		servers = servers || z.byServer.count > 0
		serverAddresses = serverAddresses || z.byAddr[ByServerAddress].len() > 0
	}
	return servers, serverAddresses
}

// Answer returns what stands of m, which [RPZ.Question] said, in view of the answer: rules about it in zones that go before win.
// It does not allocate.
func (r RPZ) Answer(m Match, f Facts) Match {
	if m.IsFinal {
		return m
	}
	before := r
	if m.Action != None {
		before = r[:m.Zone]
	}
	for i, z := range before {
		if found := z.answer(f); found.Action != None {
			found.Zone, found.IsFinal = i, true
			return found
		}
	}
	m.IsFinal = true
	return m
}

func (z *Zone) answer(f Facts) Match {
	if p, in := longest(&z.byAddr[ByAddress], f.Addresses); p != nil {
		return z.matchPrefix(ByAddress, p, in)
	}
	if m := z.server(f.Servers); m.Action != None {
		return m
	}
	if p, in := longest(&z.byAddr[ByServerAddress], f.ServerAddresses); p != nil {
		return z.matchPrefix(ByServerAddress, p, in)
	}
	return Match{}
}

// longest returns the longest prefix that one of the addresses lies in, and that address; of several that long the one with the
// smallest address (RPZ draft §5.6, §5.7). IPv4 counts as if it were mapped into IPv6, 96 bits longer.
func longest(t *prefixes, addresses []netip.Addr) (best *prefix, in netip.Addr) {
	if t.len() == 0 {
		return nil, in
	}
	bestBits := -1
	for _, a := range addresses {
		a = a.Unmap().WithZone("")
		if !a.IsValid() {
			continue
		}
		p := t.find(a)
		if p == nil {
			continue
		}
		length := int(p.bits)
		if a.Is4() {
			length += 96
		}
		// Different prefixes of one length have no address in common, so they stand in the order of the addresses within.
		if length > bestBits || length == bestBits && netip.AddrFrom16(a.As16()).Less(netip.AddrFrom16(in.As16())) {
			best, bestBits, in = p, length, a
		}
	}
	return best, in
}

// server returns the rule about one of the servers' names: one for a name itself goes before one with an asterisk
// (RPZ draft §5.3), the longer before the shorter (§5.5), then the first in canonical order.
func (z *Zone) server(servers []dns.Name) (best Match) {
	if z.byServer.count == 0 {
		return best
	}
	var buf [256]byte
	bestRank := -1
	for _, s := range servers {
		folded := append(buf[:0], s.Wire()...)
		dns.FoldName(folded)
		value, labels, wildcard := z.byServer.nearest(folded)
		if value == 0 {
			continue
		}
		rank := labels
		if !wildcard {
			rank += 2 * dns.MaxLabels
		}
		rule := s.Ancestor(s.NumLabels() - labels)
		if rank > bestRank || rank == bestRank && rule.Compare(best.server) < 0 {
			best, bestRank = z.match(ByServer, value), rank
			best.server, best.wildcard = rule, wildcard
		}
	}
	return best
}

// Reply returns what a match answers to a question. The SOA of the policy zone is in its additional section, so that
// a client can see who changed the answer (RPZ draft §3).
func (r RPZ) Reply(m Match, name dns.Name, t dns.Type) Reply {
	reply := Reply{Action: m.Action}
	if m.Action == None || m.Action == Passthru || m.Action == Drop || m.Action == TCPOnly {
		return reply
	}
	z := r[m.Zone]
	if z.soa.Data != nil {
		soa := z.soa
		soa.TTL = z.limit(soa.TTL)
		reply.Extra = []dns.Record{soa}
	}
	switch m.Action {
	case NXDomain:
		reply.RCode, reply.ClearRA = dns.RCodeNXDomain, z.signal
	case Refuse:
		reply.RCode = dns.RCodeRefused
	case Data:
		reply.Again = z.again
		z.local(&reply, m.value, name, t)
	}
	return reply
}

// local fills in the data of a rule. A type that it has nothing for is NODATA (RPZ draft §3.6).
func (z *Zone) local(reply *Reply, value uint32, name dns.Name, t dns.Type) {
	if z.override == Data {
		target := expand(z.target, name)
		reply.Answer = []dns.Record{{Name: name, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: z.limit(defaultTTL), Data: dns.NewTarget(target)}}
		if t != dns.TypeCNAME && t != dns.TypeANY {
			reply.Follow = target
		}
		return
	}
	_, set := takeApart(value)
	reply.Answer, reply.Follow = z.data.answer(set, name, t)
	for i := range reply.Answer {
		reply.Answer[i].TTL = z.limit(reply.Answer[i].TTL)
	}
}

// Rule returns the owner of the rule that a match is by, for logs; name is that of the question. It is "" where there is no match.
func (r RPZ) Rule(m Match, name dns.Name) string {
	var rule dns.Name
	switch m.Trigger {
	case NoTrigger:
		return ""
	case ByName:
		rule = name.Ancestor(max(0, name.NumLabels()-int(m.labels)))
	case ByServer:
		rule = m.server
	default:
		return ownerOf(m.prefix) + "." + markers[m.Trigger] + "." + r[m.Zone].origin.String()
	}
	text := strings.TrimPrefix(rule.Fold().String(), ".")
	if m.wildcard {
		text = "*." + text
	}
	if m.Trigger == ByServer {
		text += markers[ByServer] + "."
	}
	return text + r[m.Zone].origin.String()
}

const defaultTTL = 60 // seconds, of what has no TTL of its own

func (z *Zone) limit(ttl uint32) uint32 {
	if z.maxTTL > 0 {
		return min(ttl, z.maxTTL)
	}
	return ttl
}

// Addresses appends the addresses of the A and AAAA records among records to dst.
func Addresses(dst []netip.Addr, records []dns.Record) []netip.Addr {
	for _, r := range records {
		if r.Type == dns.TypeA || r.Type == dns.TypeAAAA {
			if a, ok := r.Data.Addr(r.Type); ok {
				dst = append(dst, a)
			}
		}
	}
	return dst
}
