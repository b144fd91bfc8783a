package gate

import (
	"fmt"
	"sync"

	"onoma/dns"
	"onoma/zone"
)

// limits refuses a change that takes away, or brings, more than it may.
func (r *Rules) limits(id zone.ID, old, new *zone.Version, d zone.Delta, authored Authored) *zone.Refusal {
	if len(d.Removed) == 0 && !r.AddRecords.isSet() {
		return nil
	}
	stats := old.Stats()
	// With a record go its name and the empty non-terminals above it, at most, so that
	// small changes to large zones need not be looked at.
	if r.RemoveNames.exceeded(len(d.Removed)*dns.MaxLabels, stats.Names) {
		if gone := vanished(old, new, d.Removed); r.RemoveNames.exceeded(gone, stats.Names) {
			return refuse(id, RuleRemoval, "remove", gone, stats.Names, "names", r.RemoveNames)
		}
	}
	all := stats.Records
	if authored != nil && (r.RemoveRecords.exceeded(len(d.Removed), all/mostSigned) || r.AddRecords.exceeded(len(d.Added), all/mostSigned)) {
		all = authoredOf(old, authored)
	}
	switch {
	case r.RemoveRecords.exceeded(len(d.Removed), all):
		return refuse(id, RuleRemoval, "remove", len(d.Removed), all, "records", r.RemoveRecords)
	case r.AddRecords.exceeded(len(d.Added), all):
		return refuse(id, RuleGrowth, "add", len(d.Added), all, "records", r.AddRecords)
	}
	return nil
}

// mostSigned is how many times more records signing makes of a zone, at most: an
// address with its NSEC, and the signatures of both by two keys of two algorithms
// each, are 10. So changes that are small by far cost no walk of the zone.
const mostSigned = 16

// authoredOf counts the authors' records.
func authoredOf(v *zone.Version, authored Authored) (n int) {
	for r := range v.Records() {
		if authored(&r) {
			n++
		}
	}
	return n
}

// refuse words the refusal of a change by a limit.
func refuse(id zone.ID, rule, verb string, n, all int, what string, l Limit) *zone.Refusal {
	share := 100.0
	if all > 0 {
		share = 100 * float64(n) / float64(all)
	}
	return &zone.Refusal{Zone: id, Rule: rule, Reason: fmt.Sprintf(
		"the change would %s %d of %d %s (%.3g %%), %s; if that is meant, raise the limit of the zone and make the change again (a rollback is not limited)",
		verb, n, all, what, share, l)}
}

// String says what the limit allows.
func (l Limit) String() string {
	switch {
	case l.Share > 0 && l.Count > 0:
		return fmt.Sprintf("allowed are %.3g %%, and %d", 100*l.Share, l.Count)
	case l.Share > 0:
		return fmt.Sprintf("allowed are %.3g %%", 100*l.Share)
	case l.Count > 0:
		return fmt.Sprintf("allowed are %d", l.Count)
	}
	return "not limited"
}

// scratch is memory for names, which is used again.
type scratch struct{ name, last [dns.MaxNameLen]byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// vanished counts the names of old that new does not have, or has as empty
// non-terminals only. removed is in canonical order of the owners. Empty
// non-terminals that go are names too, as they are in [zone.Stats]: else a share of
// the names of a reverse zone, which are mostly such, would mean little.
func vanished(old, new *zone.Version, removed []dns.Record) (n int) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	var last []byte // the name before that has gone
	var owner dns.Name
	for i := range removed {
		if removed[i].Name == owner {
			continue
		}
		owner = removed[i].Name
		name := owner.Append(s.name[:0])
		if was := old.Find(name); was.IsZero() || was.IsENT() {
			continue // an owner of NSEC3, which is no name of the zone
		}
		now := new.Find(name)
		if !now.IsZero() && !now.IsENT() {
			continue
		}
		n++
		if now.IsZero() {
			n += emptied(new, name[1+int(name[0]):], last)
			last = append(s.last[:0], name...)
		}
	}
	return n
}

// emptied counts the names from name upwards that have gone from new, up to those
// that last, the name before it, was below too.
func emptied(new *zone.Version, name, last []byte) (n int) {
	for len(name) > new.Origin().Len() && (last == nil || !dns.IsSubdomain(last, name)) && new.Find(name).IsZero() {
		n++
		name = name[1+int(name[0]):]
	}
	return n
}
