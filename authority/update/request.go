package update

import (
	"slices"

	"onoma/dns"
)

// request is what a message asks for, taken apart. Its records share no memory
// with the message.
type request struct {
	origin dns.Name
	need   []dns.Record // prerequisites (RFC 2136 §2.4)
	do     []dns.Record // updates (§2.5), those of one name together
}

// readRequest reads the sections of a message, whose zone section ends at
// msg[off:], and checks all that does not depend on the zone's content: §3.2 of the
// prerequisites, §3.4.1 of the updates.
func readRequest(msg []byte, off int, h dns.Header, origin dns.Name) (*request, *Error) {
	// A record takes at least 11 octets: a count beyond that is a lie.
	total := min(int(h.Answers)+int(h.Authority), (len(msg)-off)/11)
	all := make([]dns.Record, 0, total)
	r := &request{origin: origin}
	records := dns.ReadRecords(msg, off)
	for i := range int(h.Answers) + int(h.Authority) {
		rec, err := records.Next()
		if err != nil {
			return nil, errUnread
		}
		check := checkUpdate
		if i < int(h.Answers) {
			check = checkPrerequisite
		}
		if err := r.checkName(&rec); err != nil {
			return nil, err
		}
		if err := check(&rec); err != nil {
			return nil, err
		}
		all = append(all, rec)
	}
	n := int(h.Answers)
	r.need, r.do = all[:n:n], all[n:]
	r.gather()
	return r, nil
}

// checkName: RFC 2136 §3.2.3 and §3.4.1.3: every name is in the zone.
func (r *request) checkName(rec *dns.Record) *Error {
	if !rec.Name.IsSubdomainOf(r.origin) {
		return refuse(dns.RCodeNotZone, dns.EDENotAuthoritative, "%s is not in the zone %s", rec.Name, r.origin)
	}
	return nil
}

// checkPrerequisite checks the form of a prerequisite (RFC 2136 §3.2.5).
func checkPrerequisite(rec *dns.Record) *Error {
	switch {
	case rec.TTL != 0:
		return formErr("prerequisite %s %s: TTL %d, expected 0", rec.Name, rec.Type, rec.TTL)
	case rec.Class == dns.ClassANY || rec.Class == dns.ClassNONE:
		if len(rec.Data) != 0 {
			return formErr("prerequisite %s %s of class %s: it has rdata, expected none", rec.Name, rec.Type, rec.Class)
		}
		if rec.Type != dns.TypeANY && rec.Type.IsMeta() {
			return formErr("prerequisite %s %s: no record has this type", rec.Name, rec.Type)
		}
	case rec.Class != dns.ClassIN:
		return formErr("prerequisite %s %s: class %s, expected IN, ANY or NONE", rec.Name, rec.Type, rec.Class)
	case rec.Type.IsMeta():
		return formErr("prerequisite %s %s: no record has this type", rec.Name, rec.Type)
	default:
		return checkRData(rec)
	}
	return nil
}

// checkUpdate checks the form of an update (RFC 2136 §3.4.1.3). Where a record is
// removed its TTL is 0; where all of a type are, there is no rdata, either.
func checkUpdate(rec *dns.Record) *Error {
	switch rec.Class {
	case dns.ClassIN:
		if rec.Type.IsMeta() {
			return formErr("adding %s %s: no record has this type", rec.Name, rec.Type)
		}
		if rec.TTL > dns.MaxTTL {
			rec.TTL = 0 // RFC 2181 §8
		}
		return checkRData(rec)
	case dns.ClassANY, dns.ClassNONE:
		if rec.TTL != 0 {
			return formErr("deleting %s %s: TTL %d, expected 0", rec.Name, rec.Type, rec.TTL)
		}
	default:
		return formErr("update of %s %s: class %s, expected IN, ANY or NONE", rec.Name, rec.Type, rec.Class)
	}
	switch {
	case rec.Class == dns.ClassANY && len(rec.Data) != 0:
		return formErr("deleting all %s %s: it has rdata, expected none", rec.Name, rec.Type)
	case rec.Class == dns.ClassANY && rec.Type == dns.TypeANY:
		return nil
	case rec.Type.IsMeta():
		return formErr("deleting %s %s: no record has this type", rec.Name, rec.Type)
	case rec.Class == dns.ClassNONE:
		return checkRData(rec)
	}
	return nil
}

// checkRData catches what is empty and must not be: the rest has been read.
func checkRData(rec *dns.Record) *Error {
	if len(rec.Data) == 0 && dns.CheckRData(rec.Type, nil) != nil {
		return formErr("%s %s: it has no rdata", rec.Name, rec.Type)
	}
	return nil
}

// gather puts the updates of a name together, in the order that they have: what
// one name gets depends on no other, and an Editor is quickest so.
func (r *request) gather() {
	sorted := slices.IsSortedFunc(r.do, func(a, b dns.Record) int { return r.byName(&a, &b) })
	if !sorted {
		slices.SortStableFunc(r.do, func(a, b dns.Record) int { return r.byName(&a, &b) })
	}
	for i := 1; i < len(r.do); i++ { // one spelling of each
		if r.do[i].Name.Equal(r.do[i-1].Name) {
			r.do[i].Name = r.do[i-1].Name
		}
	}
}

func (r *request) byName(a, b *dns.Record) int {
	if a.Name == b.Name {
		return 0
	}
	return a.Name.Compare(b.Name)
}
