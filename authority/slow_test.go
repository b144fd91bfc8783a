package authority

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// slowServer is a name server that is nothing but RFC 1034 §4.3.2 with RFC 4592
// and RFC 6672, over lists of records: slow, obvious, and without DNSSEC.
type slowServer []slowZone

type slowZone struct {
	origin  dns.Name
	records []dns.Record
}

// slowAnswer is a response, its sections as sorted text.
type slowAnswer struct {
	RCode                         dns.RCode
	AA                            bool
	Answer, Authority, Additional []string
}

// answer is the algorithm, step by step.
func (s slowServer) answer(q dns.Question) slowAnswer {
	a := slowAnswer{AA: true}
	name, seen := q.Name, []dns.Name{}
	for {
		z := s.nearest(name, q.Type) // step 2
		if z == nil {
			if len(seen) == 0 {
				return slowAnswer{RCode: dns.RCodeRefused}
			}
			break
		}
		next, alias := z.match(&a, name, q.Type) // step 3
		seen = append(seen, name)
		if !alias || slices.ContainsFunc(seen, next.Equal) || len(seen) == maxLinks {
			break
		}
		name = next
	}
	for _, section := range []*[]string{&a.Answer, &a.Authority, &a.Additional} {
		slices.Sort(*section)
		*section = slices.Compact(*section)
	}
	return a
}

// nearest is the zone with the longest name; for DS the one above that, unless
// a delegation lies between.
func (s slowServer) nearest(name dns.Name, t dns.Type) *slowZone {
	var best, parent *slowZone
	for i := range s {
		z := &s[i]
		if !name.IsSubdomainOf(z.origin) {
			continue
		}
		if best == nil || z.origin.NumLabels() > best.origin.NumLabels() {
			best = z
		}
		if z.origin.Len() < name.Len() && (parent == nil || z.origin.NumLabels() > parent.origin.NumLabels()) {
			parent = z
		}
	}
	if t == dns.TypeDS && best != nil && parent != nil && best.origin.Equal(name) {
		if cut, _ := parent.stop(name); cut.IsZero() || cut.Equal(name) {
			return parent
		}
	}
	return best
}

// at returns the records of a name, of one type or of all.
func (z *slowZone) at(name dns.Name, t dns.Type) (found []dns.Record) {
	for _, r := range z.records {
		if r.Name.Equal(name) && (r.Type == t || t == dns.TypeANY) {
			found = append(found, r)
		}
	}
	return found
}

// exists: RFC 4592 §2.2.2, also with nothing but names below.
func (z *slowZone) exists(name dns.Name) bool {
	return slices.ContainsFunc(z.records, func(r dns.Record) bool { return r.Name.IsSubdomainOf(name) })
}

// stop goes down from the apex and returns the first delegation at or above
// name, or the first DNAME above it.
func (z *slowZone) stop(name dns.Name) (cut, dname dns.Name) {
	for up := name.NumLabels() - z.origin.NumLabels(); up >= 0; up-- {
		node := name.Ancestor(up)
		if !node.Equal(z.origin) && len(z.at(node, dns.TypeNS)) > 0 {
			return node, dname
		}
		if up > 0 && len(z.at(node, dns.TypeDNAME)) > 0 {
			return cut, node
		}
	}
	return
}

func (z *slowZone) match(a *slowAnswer, name dns.Name, t dns.Type) (next dns.Name, alias bool) {
	cut, dname := z.stop(name)
	switch {
	case !cut.IsZero() && !(cut.Equal(name) && t == dns.TypeDS):
		z.refer(a, cut)
	case !dname.IsZero():
		return z.redirect(a, dname, name, t)
	case z.exists(name):
		return z.data(a, name, name, t)
	default:
		encloser := name.Parent()
		for !z.exists(encloser) {
			encloser = encloser.Parent()
		}
		if wildcard, err := encloser.Child("*"); err == nil && z.exists(wildcard) {
			return z.data(a, wildcard, name, t)
		}
		a.RCode = dns.RCodeNXDomain
		z.negative(a)
	}
	return
}

func (z *slowZone) data(a *slowAnswer, source, name dns.Name, t dns.Type) (next dns.Name, alias bool) {
	found := z.at(source, t)
	if cname := z.at(source, dns.TypeCNAME); len(found) == 0 && len(cname) > 0 {
		add(&a.Answer, name, cname)
		return cname[0].Data.Target(dns.TypeCNAME), true
	}
	if len(found) == 0 {
		z.negative(a)
	}
	add(&a.Answer, name, found)
	return
}

func (z *slowZone) redirect(a *slowAnswer, dname, name dns.Name, t dns.Type) (dns.Name, bool) {
	records := z.at(dname, dns.TypeDNAME)
	add(&a.Answer, dname, records)
	next, err := name.Rebase(dname, records[0].Data.Target(dns.TypeDNAME))
	if err != nil {
		a.RCode = dns.RCodeYXDomain
		return next, false
	}
	cname := dns.Record{Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: records[0].TTL, Data: dns.NewTarget(next)}
	add(&a.Answer, name, []dns.Record{cname})
	return next, t != dns.TypeCNAME
}

func (z *slowZone) refer(a *slowAnswer, cut dns.Name) {
	a.AA = len(a.Answer) > 0
	servers := z.at(cut, dns.TypeNS)
	add(&a.Authority, cut, servers)
	for _, r := range servers {
		host := r.Data.Target(dns.TypeNS)
		add(&a.Additional, host, z.at(host, dns.TypeA))
		add(&a.Additional, host, z.at(host, dns.TypeAAAA))
	}
}

func (z *slowZone) negative(a *slowAnswer) {
	soa := z.at(z.origin, dns.TypeSOA)
	soa[0].TTL = min(soa[0].TTL, dns.SOAMinimum(soa[0].Data))
	add(&a.Authority, z.origin, soa)
}

func add(section *[]string, owner dns.Name, records []dns.Record) {
	for _, r := range records {
		r.Name = owner
		*section = append(*section, lower(r))
	}
}

// lower is a record as text in lower case: compression changes the case of names.
func lower(r dns.Record) string {
	r.Name = r.Name.Fold()
	if target := dns.TargetWire(r.Type, r.Data); target != nil && r.Type != dns.TypeMX {
		r.Data = dns.NewTarget(r.Data.Target(r.Type).Fold())
	}
	return r.String()
}

// fast is what our server answers, in the same form.
func fast(t testing.TB, s *Server, q dns.Question) slowAnswer {
	m := dns.NewQuery(1, q, false)
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := exchange(t, s, wire, transport.TCP)
	a := slowAnswer{RCode: got.RCode, AA: got.Flags.Has(dns.FlagAA)}
	for i, section := range []*[]string{&a.Answer, &a.Authority, &a.Additional} {
		for _, r := range got.Section(dns.Section(i)) {
			*section = append(*section, lower(r))
		}
		slices.Sort(*section)
		if n := len(*section); n != len(slices.Compact(slices.Clone(*section))) {
			t.Fatalf("a record is twice in the %s section: %v", dns.Section(i), *section)
		}
	}
	return a
}

// Names of random zones: few labels, so that they meet.
var (
	randomLabel  = rapid.SampledFrom([]string{"a", "b", "c", "*", "a", "B"})
	randomOrigin = rapid.SampledFrom([]string{"z.", "a.z.", "b.a.z.", "*.z.", "other."})
	randomType   = rapid.SampledFrom([]dns.Type{
		dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeNS, dns.TypeNS, dns.TypeCNAME, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS,
	})
	randomQType = rapid.SampledFrom([]dns.Type{
		dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS, dns.TypeSOA, dns.TypeANY,
	})
)

func randomName(t *rapid.T, origin dns.Name, what string) dns.Name {
	for range rapid.IntRange(0, 3).Draw(t, what+" depth") {
		origin, _ = origin.Child(randomLabel.Draw(t, what+" label"))
	}
	return origin
}

func randomData(t *rapid.T, typ dns.Type) dns.RData {
	switch typ {
	case dns.TypeA:
		return dns.RData{192, 0, 2, rapid.Byte().Draw(t, "address")}
	case dns.TypeAAAA:
		return append(dns.RData{0x20, 1, 0x0d, 0xb8, 15: rapid.Byte().Draw(t, "address")}[:16:16], nil...)
	case dns.TypeTXT:
		return dns.NewTXT(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text"))
	case dns.TypeDS:
		return append(dns.RData{0, 1, 13, 2}, make([]byte, 32)...)
	}
	origin := dns.MustName(rapid.SampledFrom([]string{"z.", "a.z.", "other.", "elsewhere."}).Draw(t, "target zone"))
	return dns.NewTarget(randomName(t, origin, "target"))
}

// randomZone is a zone as one could load it: aliases stand alone, and only an
// apex has NS beside DNAME.
func randomZone(t *rapid.T, origin dns.Name) slowZone {
	minimum := rapid.Uint32Range(0, 200).Draw(t, "minimum")
	soa := dns.SOA{MName: dns.MustName("ns."), RName: dns.MustName("h."), Serial: 1, Minimum: minimum}
	z := slowZone{origin, []dns.Record{
		{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 100, Data: soa.RData()},
		{Name: origin, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 100, Data: dns.NewTarget(dns.MustName("ns."))},
	}}
	for range rapid.IntRange(0, 12).Draw(t, "records") {
		r := dns.Record{Name: randomName(t, origin, "owner"), Type: randomType.Draw(t, "type"), Class: dns.ClassIN, TTL: 100}
		r.Data = randomData(t, r.Type)
		if z.allows(r) {
			z.records = append(z.records, r)
		}
	}
	return z
}

func (z *slowZone) allows(r dns.Record) bool {
	apex := r.Name.Equal(z.origin)
	others := z.at(r.Name, dns.TypeANY)
	for _, o := range others {
		if o.Type == r.Type && dns.EqualRData(r.Type, o.Data, r.Data) {
			return false
		}
	}
	switch r.Type {
	case dns.TypeCNAME:
		return len(others) == 0
	case dns.TypeDNAME:
		return len(z.at(r.Name, dns.TypeDNAME)) == 0 && len(z.at(r.Name, dns.TypeCNAME)) == 0 && (apex || len(z.at(r.Name, dns.TypeNS)) == 0)
	case dns.TypeNS:
		return len(z.at(r.Name, dns.TypeCNAME)) == 0 && (apex || len(z.at(r.Name, dns.TypeDNAME)) == 0)
	case dns.TypeDS:
		return !apex && len(z.at(r.Name, dns.TypeCNAME)) == 0
	}
	return len(z.at(r.Name, dns.TypeCNAME)) == 0
}

// TestAgainstSlow: for random zones and questions, our answers are those of the
// slow server.
func TestAgainstSlow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var slow slowServer
		var zones []*zone.Zone
		for _, origin := range rapid.SliceOfNDistinct(randomOrigin, 1, 3, rapid.ID[string]).Draw(rt, "zones") {
			z := randomZone(rt, dns.MustName(origin))
			slow = append(slow, z)
			zones = append(zones, publish(t, origin, z.records))
		}
		s := serve(t, Options{}, zones...)
		for range 20 {
			z := slow[rapid.IntRange(0, len(slow)-1).Draw(rt, "asked zone")]
			q := dns.Question{Name: randomName(rt, z.origin, "asked"), Type: randomQType.Draw(rt, "asked type"), Class: dns.ClassIN}
			if diff := cmp.Diff(slow.answer(q), fast(t, s, q)); diff != "" {
				for _, z := range slow {
					for _, r := range z.records {
						rt.Log(z.origin, r)
					}
				}
				rt.Fatalf("%s: slow answers -, we +:\n%s", q, diff)
			}
		}
	})
}
