package inspect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// signedSet is a set of a message, with the signatures over it.
type signedSet struct {
	dnssec.RRset
	sigs []dns.RRSIG
}

// mostSigs is how many signatures over one set are looked at (CVE-2023-50387).
const mostSigs = 8

// setIn returns the records of a name and type, without duplicates.
func setIn(records []dns.Record, name dns.Name, t dns.Type) signedSet {
	s := signedSet{RRset: dnssec.RRset{Owner: name, Type: t, Class: dns.ClassIN}}
	for _, r := range records {
		if r.Class != dns.ClassIN || !r.Name.Equal(name) {
			continue
		}
		if r.Type == t {
			s.RData, s.TTL = append(s.RData, r.Data), r.TTL
		} else if r.Type == dns.TypeRRSIG && len(s.sigs) < mostSigs {
			if sig, err := dns.ParseRRSIG(r.Data); err == nil && sig.TypeCovered == t {
				s.sigs = append(s.sigs, sig)
			}
		}
	}
	return s
}

// mostSets is how many sets of one section are looked at: no sound answer to our
// questions has more.
const mostSets = 16

// setsIn returns the sets of a section, each with its signatures.
func setsIn(records []dns.Record) (sets []signedSet) {
	for _, r := range records {
		if len(sets) == mostSets {
			break
		}
		isKnown := slices.ContainsFunc(sets, func(s signedSet) bool { return s.Type == r.Type && s.Owner.Equal(r.Name) })
		if r.Type != dns.TypeRRSIG && r.Class == dns.ClassIN && !isKnown {
			sets = append(sets, setIn(records, r.Name, r.Type))
		}
	}
	return sets
}

// answer returns the set of a type that a server has at the zone's name.
func (w *witness) answer(s *survey, t dns.Type) signedSet {
	if m := w.said[t]; m != nil && w.err == nil {
		return setIn(m.Answer, s.zone, t)
	}
	return signedSet{}
}

// targets returns the name servers in a reply, be it an answer or a referral.
func targets(m *dns.Message, name dns.Name) (hosts []dns.Name) {
	if m == nil {
		return nil
	}
	for _, r := range append(slices.Clone(m.Answer), m.Authority...) {
		if r.Type == dns.TypeNS && r.Name.Equal(name) {
			hosts = appendName(hosts, r.Data.Target(dns.TypeNS).Fold())
		}
	}
	return hosts
}

// fingerprint is equal for sets of equal records, in whatever order.
func fingerprint(data []dns.RData) string {
	texts := make([]string, len(data))
	for i, d := range data {
		texts[i] = string(d)
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), "\x00\x01\x00")
}

// keys returns the keys of the zone, of all servers together.
func (s *survey) keys() (keys []dns.DNSKEY) {
	for _, data := range s.union(s.own, dns.TypeDNSKEY) {
		if k, err := dns.ParseDNSKEY(data); err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// ds returns the DS records that the parent has, of all its servers together.
func (s *survey) ds() (list []dns.DS) {
	for _, data := range s.union(s.above, dns.TypeDS) {
		if d, err := dns.ParseDS(data); err == nil {
			list = append(list, d)
		}
	}
	return list
}

// mostRecords bounds what is looked at of one set.
const mostRecords = 64

// union returns the records of a type that any of some servers has.
func (s *survey) union(list []*witness, t dns.Type) (all []dns.RData) {
	seen := map[string]bool{}
	for _, w := range list {
		for _, d := range w.answer(s, t).RData {
			if !seen[string(d)] && len(all) < mostRecords {
				seen[string(d)], all = true, append(all, d)
			}
		}
	}
	return all
}

// groups puts servers together that have the same records of a type, in their order.
func (s *survey) groups(list []*witness, t dns.Type) (groups [][]*witness) {
	at := map[string]int{}
	for _, w := range list {
		if w.err != nil || w.said[t] == nil {
			continue
		}
		print := fingerprint(w.answer(s, t).RData)
		i, ok := at[print]
		if !ok {
			i = len(groups)
			at[print], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], w)
	}
	return groups
}

func (w *witness) String() string {
	return fmt.Sprintf("%s (%s)", bare(w.name.String()), w.addr.Addr())
}

// listed writes some servers, not all of many.
func listed(list []*witness) string {
	const most = 4
	var texts []string
	for i, w := range list {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		texts = append(texts, w.String())
	}
	return strings.Join(texts, ", ")
}

func addrsOf(records []dns.Record, host dns.Name) (addrs []netip.Addr) {
	for _, r := range records {
		if a, ok := r.Data.Addr(r.Type); ok && r.Name.Equal(host) && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// keyText names a key as people do who compare it with others.
func keyText(k dns.DNSKEY) string {
	return fmt.Sprintf("%d (%s)", k.KeyTag(), dnssec.AlgorithmName(k.Algorithm))
}
