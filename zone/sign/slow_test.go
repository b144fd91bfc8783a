package sign_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

// authored returns the records that stand before signing, by owner in lower case and
// by type.
func authored(p *sign.Plan, v *zone.Version) map[string]map[dns.Type][]dns.Record {
	origin := v.Origin()
	sets := make(map[string]map[dns.Type][]dns.Record)
	add := func(r dns.Record) {
		key := r.Name.Fold().Wire()
		if sets[key] == nil {
			sets[key] = make(map[dns.Type][]dns.Record)
		}
		sets[key][r.Type] = append(sets[key][r.Type], r)
	}
	for r := range v.Records() {
		if !p.Owns(origin, r.Name, r.Type) {
			add(r)
		}
	}
	for _, r := range p.Apex {
		add(r)
	}
	if d := p.Denial; d.Kind == sign.NSEC3 {
		add(dns.Record{Name: origin, Type: dns.TypeNSEC3PARAM, Class: v.Class(), Data: dns.NSEC3PARAM{Hash: 1, Iterations: d.Iterations, Salt: d.Salt}.RData()})
	}
	return sets
}

// expected is the slow and obvious signer: the records that a zone with those authors'
// records has under a plan, one a line and in order, signatures without their times
// and octets.
func expected(p *sign.Plan, v *zone.Version) []string {
	origin := v.Origin()
	sets := authored(p, v)
	isCut := func(name string) bool { return name != origin.Fold().Wire() && sets[name][dns.TypeNS] != nil }
	isHidden := func(name string) bool {
		for up := name; up != origin.Fold().Wire(); {
			up = up[1+int(up[0]):]
			if isCut(up) || sets[up][dns.TypeDNAME] != nil {
				return true
			}
		}
		return false
	}
	visible := []string{}
	all := make(map[string]bool) // with empty non-terminals
	for name := range sets {
		if isHidden(name) {
			continue
		}
		visible = append(visible, name)
		if p.Denial.OptOut && isCut(name) && sets[name][dns.TypeDS] == nil {
			continue
		}
		for up := name; ; up = up[1+int(up[0]):] {
			all[up] = true
			if up == origin.Fold().Wire() {
				break
			}
		}
	}
	slices.SortFunc(visible, func(a, b string) int { return dns.CompareNames([]byte(a), []byte(b)) })
	typesAt := func(name string, more ...dns.Type) (types []dns.Type) {
		for t := range sets[name] {
			if !isCut(name) || t == dns.TypeNS || t == dns.TypeDS {
				types = append(types, t)
			}
		}
		return append(types, more...)
	}
	var lines []string
	line := func(name string, t dns.Type, ttl uint32, rdata []byte) {
		n, _ := dns.NameFromWire([]byte(name))
		lines = append(lines, fmt.Sprintf("%s %d %s %s", n, ttl, t, hex.EncodeToString(dns.AppendCanonicalRData(nil, t, rdata))))
	}
	signs := func(name string, t dns.Type) {
		n, _ := dns.NameFromWire([]byte(name))
		for _, k := range p.Keys {
			isKeys := name == origin.Fold().Wire() && (t == dns.TypeDNSKEY || t == dns.TypeCDS || t == dns.TypeCDNSKEY)
			if isKeys && k.SignsKeys || !isKeys && k.SignsZone {
				lines = append(lines, fmt.Sprintf("%s RRSIG %s by %d", n, t, k.Tag()))
			}
		}
	}
	soa := sets[origin.Fold().Wire()][dns.TypeSOA][0]
	ttl := min(soa.TTL, dns.SOAMinimum(soa.Data))
	isSigned := p.Denial.Kind != sign.None
	for name, types := range sets {
		for t, list := range types {
			for _, r := range list {
				line(name, t, r.TTL, r.Data)
			}
			if isSigned && !isHidden(name) && (!isCut(name) || t == dns.TypeDS) {
				signs(name, t)
			}
		}
	}
	switch p.Denial.Kind {
	case sign.NSEC:
		for i, name := range visible {
			next := visible[(i+1)%len(visible)]
			line(name, dns.TypeNSEC, ttl, append([]byte(next), dns.AppendTypeBitmap(nil, typesAt(name, dns.TypeRRSIG, dns.TypeNSEC)...)...))
			signs(name, dns.TypeNSEC)
		}
	case sign.NSEC3:
		hashes := make(map[string]string)
		var order []string
		for name := range all {
			h := string(dnssec.NSEC3Hash(nil, []byte(name), p.Denial.Iterations, p.Denial.Salt))
			hashes[h] = name
			order = append(order, h)
		}
		slices.Sort(order)
		for i, h := range order {
			name := hashes[h]
			var types []dns.Type
			if sets[name] != nil {
				types = typesAt(name)
				if !isCut(name) || sets[name][dns.TypeDS] != nil {
					types = append(types, dns.TypeRRSIG)
				}
			}
			n := dns.NSEC3{NSEC3PARAM: dns.NSEC3PARAM{Hash: 1, Iterations: p.Denial.Iterations, Salt: p.Denial.Salt}, NextHashed: []byte(order[(i+1)%len(order)]), Types: dns.AppendTypeBitmap(nil, types...)}
			if p.Denial.OptOut {
				n.Flags = dns.NSEC3OptOut
			}
			owner := "\x20" + strings.ToLower(string(dns.AppendBase32Hex(nil, []byte(h)))) + origin.Fold().Wire()
			line(owner, dns.TypeNSEC3, ttl, n.RData())
			signs(owner, dns.TypeNSEC3)
		}
	}
	slices.Sort(lines)
	return lines
}

// actual is a signed version in the same form; each signature is verified, and that
// it has as long to live as the plan says.
func actual(p *sign.Plan, v *zone.Version, at time.Time) ([]string, error) {
	var lines []string
	sets := make(map[string]*dnssec.RRset)
	for r := range v.Records() {
		if r.Type == dns.TypeRRSIG {
			continue
		}
		key := r.Name.Fold().String() + r.Type.String()
		if sets[key] == nil {
			sets[key] = &dnssec.RRset{Owner: r.Name, Type: r.Type, Class: r.Class, TTL: r.TTL}
		}
		sets[key].RData = append(sets[key].RData, r.Data)
		lines = append(lines, fmt.Sprintf("%s %d %s %s", r.Name.Fold(), r.TTL, r.Type, hex.EncodeToString(dns.AppendCanonicalRData(nil, r.Type, r.Data))))
	}
	for r := range v.Records() {
		if r.Type != dns.TypeRRSIG {
			continue
		}
		s, err := dns.ParseRRSIG(r.Data)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s RRSIG %s by %d", r.Name.Fold(), s.TypeCovered, s.KeyTag))
		set := sets[r.Name.Fold().String()+s.TypeCovered.String()]
		if set == nil {
			continue // the lines tell
		}
		i := slices.IndexFunc(p.Keys, func(k sign.Key) bool { return k.Tag() == s.KeyTag })
		if i < 0 {
			continue
		}
		if err := dnssec.VerifyRRset(*set, &s, p.Keys[i].DNSKEY(), at); err != nil {
			return nil, fmt.Errorf("%s %s: %w", set.Owner, set.Type, err)
		}
		if r.TTL != set.TTL {
			return nil, fmt.Errorf("%s %s has TTL %d, its signature %d", set.Owner, set.Type, set.TTL, r.TTL)
		}
	}
	slices.Sort(lines)
	return lines, nil
}
