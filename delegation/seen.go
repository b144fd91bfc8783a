package delegation

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// What is looked at of one child. A delegation that has more is left to people.
const (
	maxServers = 64 // addresses of all name servers
	maxHosts   = 32 // name servers
	maxSet     = 64 // records of one set at the child's apex
	maxSigs    = 32 // signatures over one set
	maxDS      = 24 // records of a DS set that is taken
)

// reply is what a server has said to a question: a set, empty where the server says
// that there is none, with the signatures over it.
type reply struct {
	set   dnssec.RRset
	sigs  []dns.RRSIG
	proof []dns.Record // the authority section, where the set is empty
}

// seen is one address of a name server, with what it has said.
type seen struct {
	host  dns.Name
	addr  netip.Addr
	took  time.Duration
	err   error // nothing that it said counts
	apex  map[dns.Type]reply
	hosts map[dns.Question]reply // addresses of name servers below the child
}

// String names the server as people know it.
func (s *seen) String() string { return fmt.Sprintf("%s (%s)", s.host, s.addr) }

var (
	errNotAuthoritative = errors.New("the answer is not authoritative: the server does not serve the zone")
	errAlias            = errors.New("the name is an alias")
	errTooMany          = errors.New("more records than a look takes in")
)

// readReply takes what a message says to the question. RFC 7344 §6.1 and RFC 9615
// §4.2: what is not authoritative counts for nothing.
func readReply(m *dns.Message, q dns.Question) (reply, error) {
	r := reply{set: dnssec.RRset{Owner: q.Name, Type: q.Type, Class: dns.ClassIN}}
	switch {
	case m.RCode != dns.RCodeNoError:
		return r, fmt.Errorf("%s is answered %s", q.Type, m.RCode)
	case !m.Flags.Has(dns.FlagAA):
		return r, errNotAuthoritative
	case m.Flags.Has(dns.FlagTC):
		return r, errors.New("the answer is truncated, over TCP")
	}
	for _, rr := range m.Answer {
		if err := r.take(rr, q); err != nil {
			return r, err
		}
	}
	if len(r.set.RData) == 0 {
		r.proof = m.Authority
	}
	slices.SortFunc(r.set.RData, func(a, b dns.RData) int { return dns.CompareCanonicalRData(q.Type, a, b) })
	r.set.RData = slices.CompactFunc(r.set.RData, func(a, b dns.RData) bool { return dns.EqualRData(q.Type, a, b) })
	return r, nil
}

// take adds a record of the answer section.
func (r *reply) take(rr dns.Record, q dns.Question) error {
	if !rr.Name.Equal(q.Name) || rr.Class != dns.ClassIN {
		return nil
	}
	switch rr.Type {
	case q.Type:
		if dns.CheckRData(rr.Type, rr.Data) != nil || len(r.set.RData) == maxSet {
			return fmt.Errorf("%s: %w", q.Type, errTooMany)
		}
		r.set.TTL = rr.TTL
		r.set.RData = append(r.set.RData, rr.Data)
	case dns.TypeRRSIG:
		sig, err := dns.ParseRRSIG(rr.Data)
		if err != nil || sig.TypeCovered != q.Type {
			return nil
		}
		if len(r.sigs) == maxSigs {
			return fmt.Errorf("signatures of %s: %w", q.Type, errTooMany)
		}
		r.sigs = append(r.sigs, sig)
	case dns.TypeCNAME:
		return fmt.Errorf("%s: %w", q.Name, errAlias)
	}
	return nil
}

// equal says whether two servers have said the same; TTLs and signatures aside.
func (r *reply) equal(o *reply) bool { return equalSets(r.set.Type, r.set.RData, o.set.RData) }

// equalSets compares sorted sets.
func equalSets(t dns.Type, a, b []dns.RData) bool {
	return slices.EqualFunc(a, b, func(x, y dns.RData) bool { return dns.EqualRData(t, x, y) })
}

// records returns a set as records.
func (r *reply) records() []dns.Record {
	var out []dns.Record
	for _, data := range r.set.RData {
		out = append(out, dns.Record{Name: r.set.Owner, Type: r.set.Type, Class: dns.ClassIN, TTL: r.set.TTL, Data: data})
	}
	return out
}

// silent returns the first server that has said nothing that counts.
func silent(servers []seen) *seen {
	for i := range servers {
		if servers[i].err != nil {
			return &servers[i]
		}
	}
	return nil
}

// agreed returns what all servers say of a type at the apex, or the two that differ.
func agreed(servers []seen, t dns.Type) (reply, error) {
	first := servers[0].apex[t]
	for i := range servers[1:] {
		if other := servers[1+i].apex[t]; !first.equal(&other) {
			return reply{}, fmt.Errorf("%s differs between %s and %s", t, &servers[0], &servers[1+i])
		}
	}
	return first, nil
}
