package zone

import (
	"cmp"
	"fmt"
	"slices"

	"onoma/dns"
)

// Severity of a finding.
type Severity uint8

// The severities.
const (
	Warning Severity = iota + 1 // odd, but served
	Error                       // the zone must not be served like this
)

// String returns "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Finding is something wrong with a zone.
type Finding struct {
	Severity Severity
	Code     string   // stable and short, such as "cname-and-other-data"
	Name     dns.Name // the owner that it is about
	Type     dns.Type // TypeNone where it is about the name
	Text     string   // what is wrong
	Cure     string   // what to do about it
}

// String returns name, type, what is wrong and what to do, but not the severity.
func (f Finding) String() string {
	s := f.Name.String()
	if f.Type != dns.TypeNone {
		s += " " + f.Type.String()
	}
	s += ": " + f.Text
	if f.Cure != "" {
		s += "; " + f.Cure
	}
	return s
}

// maxFindings bounds what a bad zone can make us say about it.
const maxFindings = 10_000

// findings gathers what is wrong with a zone.
type findings struct {
	list    []Finding
	dropped int
	worst   Severity // of the dropped ones
}

func (fs *findings) add(f Finding) {
	if len(fs.list) >= maxFindings {
		fs.dropped++
		fs.worst = max(fs.worst, f.Severity)
		return
	}
	fs.list = append(fs.list, f)
}

// addAll adds those that others has.
func (fs *findings) addAll(others *findings) {
	for _, f := range others.list {
		fs.add(f)
	}
	if others.dropped > 0 {
		fs.dropped += others.dropped
		fs.worst = max(fs.worst, others.worst)
	}
}

// sorted returns the findings, errors first, then by name.
func (fs *findings) sorted() []Finding {
	slices.SortStableFunc(fs.list, func(a, b Finding) int {
		return cmp.Or(int(b.Severity)-int(a.Severity), a.Name.Compare(b.Name), int(a.Type)-int(b.Type))
	})
	if fs.dropped > 0 {
		fs.list = append(fs.list, Finding{
			Severity: fs.worst, Code: "too-many-findings",
			Text: fmt.Sprintf("there are %d more findings", fs.dropped), Cure: "begin with those above",
		})
		fs.dropped = 0
	}
	return fs.list
}

// draft reports what got lost when a name was put together: TTLs where those of
// an RRset were several (RFC 2181 §5.2), and types beyond maxTypes.
func (fs *findings) draft(v *Version, d *draft, rel []byte) {
	for i := range d.sets {
		if s := &d.sets[i]; s.mixed {
			fs.add(Finding{
				Severity: Warning, Code: "ttl-mismatch", Name: v.fullName(rel), Type: s.typ,
				Text: fmt.Sprintf("the records have several TTLs; all get that of the first, %d", s.ttl),
				Cure: "give all records of the RRset one TTL",
			})
		}
	}
	if d.full {
		fs.add(Finding{
			Severity: Error, Code: "too-many-types", Name: v.fullName(rel),
			Text: fmt.Sprintf("the name has records of more than %d types", maxTypes), Cure: "spread them over several names",
		})
	}
}

// fullName returns the name that rel is relative to the origin.
func (v *Version) fullName(rel []byte) dns.Name {
	var buf [dns.MaxNameLen]byte
	n, _ := dns.NameFromWire(append(append(buf[:0], rel...), v.origin.Wire()...))
	return n
}
