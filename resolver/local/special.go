package local

import (
	"fmt"

	"onoma/dns"
	"onoma/resolver/cache"
)

// behaviour says how a special-use domain answers.
type behaviour uint8

const (
	nonexistent behaviour = iota + 1 // NXDOMAIN for the name and all below
	empty                            // the apex alone exists: an empty zone (RFC 6303 §3)
	localhost                        // loopback addresses, for the name and all below
	loopback4                        // reverse zone of 127.0.0.0/8
	loopback6                        // reverse zone of ::1
	silent                           // NODATA for the name and all below
)

// specialNames are the special-use names and the documents that say so.
var specialNames = map[string]behaviour{
	"localhost.": localhost,   // RFC 6761 §6.3
	"invalid.":   nonexistent, // RFC 6761 §6.4
	"test.":      nonexistent, // RFC 6761 §6.2: "immediate negative responses"
	"local.":     nonexistent, // RFC 6762 §22.1
	"onion.":     nonexistent, // RFC 7686 §2
	"alt.":       nonexistent, // RFC 9476 §2

	"home.arpa.":     empty,  // RFC 8375 §4
	"resolver.arpa.": silent, // RFC 9462 §6.4: not to be looked up elsewhere

	// RFC 6303 §4.2 to §4.6; documentation prefixes included.
	"0.in-addr.arpa.":               empty,
	"127.in-addr.arpa.":             loopback4,
	"254.169.in-addr.arpa.":         empty,
	"2.0.192.in-addr.arpa.":         empty,
	"100.51.198.in-addr.arpa.":      empty,
	"113.0.203.in-addr.arpa.":       empty,
	"255.255.255.255.in-addr.arpa.": empty,
	"10.in-addr.arpa.":              empty,
	"168.192.in-addr.arpa.":         empty,
	"d.f.ip6.arpa.":                 empty,
	"8.e.f.ip6.arpa.":               empty,
	"9.e.f.ip6.arpa.":               empty,
	"a.e.f.ip6.arpa.":               empty,
	"b.e.f.ip6.arpa.":               empty,
	"8.b.d.0.1.0.0.2.ip6.arpa.":     empty,

	"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.": empty,
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.": loopback6,
}

// ttl is that of all special answers, and their SOA's MINIMUM (RFC 6303 §3).
const ttl = 10800

// Special answers special-use names.
type Special struct {
	zones map[string]behaviour // by folded wire form
}

// NewSpecial returns the special-use names, without those that are to be looked
// up like any other.
func NewSpecial(except []dns.Name) *Special {
	s := &Special{zones: map[string]behaviour{}}
	for name, b := range specialNames {
		s.zones[dns.MustName(name).Wire()] = b
	}
	for i := 16; i < 32; i++ { // RFC 6303 §4.1: 172.16.0.0/12
		s.zones[dns.MustName(fmt.Sprintf("%d.172.in-addr.arpa.", i)).Wire()] = empty
	}
	for i := 64; i < 128; i++ { // RFC 7793 §2: 100.64.0.0/10
		s.zones[dns.MustName(fmt.Sprintf("%d.100.in-addr.arpa.", i)).Wire()] = empty
	}
	for _, n := range except {
		delete(s.zones, n.Fold().Wire())
	}
	return s
}

// Answer answers q if its name is a special one, else it returns nil.
func (s *Special) Answer(q dns.Question) *Answer {
	apex := s.Apex(q.Name)
	if apex.IsZero() || q.Class != dns.ClassIN {
		return nil
	}
	b := s.zones[apex.Fold().Wire()]
	if q.Type == dns.TypeDS && q.Name.Equal(apex) && b == empty {
		return nil // RFC 8375 §4: the parent is asked whether the zone is signed
	}
	return answerIn(apex, b, q)
}

// Apex returns the special-use name that name is or is below, the zero Name if
// there is none.
func (s *Special) Apex(name dns.Name) dns.Name {
	if s == nil {
		return dns.Name{}
	}
	for apex := name; !apex.IsZero(); apex = apex.Parent() {
		if _, ok := s.zones[apex.Fold().Wire()]; ok {
			return apex
		}
	}
	return dns.Name{}
}

func answerIn(apex dns.Name, b behaviour, q dns.Question) *Answer {
	atApex := q.Name.Equal(apex)
	switch b {
	case localhost:
		switch q.Type {
		case dns.TypeA:
			return positive(q, dns.RData{127, 0, 0, 1})
		case dns.TypeAAAA:
			return positive(q, append(make(dns.RData, 15, 16), 1))
		}
		return negative(apex, dns.RCodeNoError)
	case loopback4, loopback6:
		if loopbackName := b == loopback6 && atApex || q.Name.Equal(oneOf127); loopbackName {
			if q.Type == dns.TypePTR {
				return positive(q, dns.RData(localhostName.Wire()))
			}
			return negative(apex, dns.RCodeNoError)
		}
	case silent:
		return negative(apex, dns.RCodeNoError)
	}
	switch {
	case b == nonexistent, !atApex:
		return negative(apex, dns.RCodeNXDomain)
	case q.Type == dns.TypeSOA:
		return positive(q, soaData(apex))
	case q.Type == dns.TypeNS:
		return positive(q, dns.RData(apex.Wire())) // RFC 6303 §3
	}
	return negative(apex, dns.RCodeNoError)
}

var (
	oneOf127      = dns.MustName("1.0.0.127.in-addr.arpa.")
	localhostName = dns.MustName("localhost.")
	nobody        = dns.MustName("nobody.invalid.")
)

func positive(q dns.Question, data ...dns.RData) *Answer {
	return &Answer{TTL: ttl, Sets: []cache.RRset{{Name: q.Name, Type: q.Type, TTL: ttl, Data: data}}}
}

func negative(apex dns.Name, rcode dns.RCode) *Answer {
	soa := cache.RRset{Name: apex, Type: dns.TypeSOA, TTL: ttl, Data: []dns.RData{soaData(apex)}}
	return &Answer{RCode: rcode, TTL: ttl, Authority: []cache.RRset{soa}}
}

// soaData is the SOA of RFC 6303 §3: @ nobody.invalid. 1 3600 1200 604800 10800.
func soaData(apex dns.Name) dns.RData {
	d := nobody.Append([]byte(apex.Wire()))
	for _, v := range [...]uint32{1, 3600, 1200, 604800, ttl} {
		d = append(d, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return d
}
