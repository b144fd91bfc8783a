package update

import (
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// checkNeeds checks the prerequisites against the zone as it is now (RFC 2136
// §3.2.5): first those about names and RRsets as such, then those with values.
func (r *request) checkNeeds(e *zone.Editor) error {
	var valued []*dns.Record
	for i := range r.need {
		rec := &r.need[i]
		if rec.Class == dns.ClassIN {
			valued = append(valued, rec)
			continue
		}
		if err := checkNeed(rec, e.Peek(rec.Name)); err != nil {
			return err
		}
	}
	if len(valued) == 0 {
		return nil
	}
	return checkValues(valued, e)
}

// checkNeed: a name is in use if it has a record; an empty non-terminal is not
// (RFC 2136 §2.4.4).
func checkNeed(rec *dns.Record, at zone.Peek) error {
	n := 0
	if rec.Type == dns.TypeANY {
		n = at.Records()
	} else {
		n = at.Count(rec.Type)
	}
	exists, wanted := n > 0, rec.Class == dns.ClassANY
	switch {
	case exists == wanted:
		return nil
	case rec.Type == dns.TypeANY && wanted:
		return unmet(dns.RCodeNXDomain, "%s has no records", rec.Name)
	case rec.Type == dns.TypeANY:
		return unmet(dns.RCodeYXDomain, "%s has records", rec.Name)
	case wanted:
		return unmet(dns.RCodeNXRRSet, "%s has no %s records", rec.Name, rec.Type)
	}
	return unmet(dns.RCodeYXRRSet, "%s has %s records", rec.Name, rec.Type)
}

func unmet(code dns.RCode, format string, args ...any) error {
	return refuse(code, dns.EDEOther, "prerequisite: "+format, args...)
}

// checkValues checks that each name and type has exactly the records that are
// given, in any order, TTLs ignored (RFC 2136 §2.4.2).
func checkValues(valued []*dns.Record, e *zone.Editor) error {
	order := func(a, b *dns.Record) int {
		if c := compareSets(a, b); c != 0 {
			return c
		}
		return dns.CompareCanonicalRData(a.Type, a.Data, b.Data)
	}
	slices.SortFunc(valued, order)
	for len(valued) > 0 {
		n := 1
		for n < len(valued) && compareSets(valued[0], valued[n]) == 0 {
			n++
		}
		if first := valued[0]; !isExactly(valued[:n], e.Peek(first.Name)) {
			return unmet(dns.RCodeNXRRSet, "%s %s is another RRset than that", first.Name, first.Type)
		}
		valued = valued[n:]
	}
	return nil
}

func compareSets(a, b *dns.Record) int {
	if c := a.Name.Compare(b.Name); c != 0 {
		return c
	}
	return int(a.Type) - int(b.Type)
}

// isExactly compares records in canonical order with those of the zone, which
// have that order, too. One that is given twice counts once.
func isExactly(given []*dns.Record, at zone.Peek) bool {
	t := given[0].Type
	given = slices.CompactFunc(given, func(a, b *dns.Record) bool { return dns.EqualRData(t, a.Data, b.Data) })
	if len(given) != at.Count(t) {
		return false
	}
	i := 0
	for rd := range at.RData(t) {
		if !dns.EqualRData(t, rd, given[i].Data) {
			return false
		}
		i++
	}
	return true
}
