package update

import (
	"onoma/dns"
	"onoma/zone"
)

// job is a request on its way through the pipeline: what it asks for, and who may
// do that.
type job struct {
	*request
	policy Policy
	client Client
	signed bool // the zone's DNSSEC records are a signer's
}

// permit checks what can be checked without the zone: everything but which types
// a name has that is to go as a whole.
func (j *job) permit() *Error {
	for i := range j.do {
		rec := &j.do[i]
		if j.signed && isSigners(rec.Type) {
			return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s records of %s are made by the signer of this zone", rec.Type, rec.Name)
		}
		op := Delete
		if rec.Class == dns.ClassIN {
			op = Add
		} else if rec.Type == dns.TypeANY {
			if !j.policy.mayDelete(&j.client, rec.Name) {
				return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s is not for this client to delete", rec.Name)
			}
			continue
		}
		rule := j.policy.Find(&j.client, rec.Name, rec.Type, op)
		if err := rule.check(rec, op); err != nil {
			return err
		}
	}
	return nil
}

// check checks a record against the rule that has been found for it.
func (r *Rule) check(rec *dns.Record, op Ops) *Error {
	switch {
	case !r.grants():
		return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s %s is not for this client to change", rec.Name, rec.Type)
	case op == Delete:
	case rec.TTL < r.MinTTL:
		return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s %s: TTL %d, expected %d at least", rec.Name, rec.Type, rec.TTL, r.MinTTL)
	case r.MaxTTL > 0 && rec.TTL > r.MaxTTL:
		return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s %s: TTL %d, expected %d at most", rec.Name, rec.Type, rec.TTL, r.MaxTTL)
	}
	return nil
}

// isSigners reports whether records of the type are made by who signs a zone.
func isSigners(t dns.Type) bool {
	return t == dns.TypeRRSIG || t == dns.TypeNSEC || t == dns.TypeNSEC3 || t == dns.TypeNSEC3PARAM || t == dns.TypeZONEMD
}

// edit is the [zone.Change]'s Edit.
func (j *job) edit(e *zone.Editor) error {
	if err := j.checkNeeds(e); err != nil {
		return err
	}
	for i := range j.do {
		if err := j.apply(e, j.do[i]); err != nil {
			return err
		}
	}
	return nil
}

// apply makes one update (RFC 2136 §3.4.2.7).
func (j *job) apply(e *zone.Editor, rec dns.Record) error {
	switch {
	case rec.Class == dns.ClassIN:
		return j.add(e, rec)
	case rec.Class == dns.ClassNONE:
		j.deleteRecord(e, rec)
	case rec.Type == dns.TypeANY:
		return j.deleteName(e, rec.Name)
	case j.isApex(rec.Name) && isApexType(rec.Type): // §3.4.2.3: ignored
	default:
		e.RemoveRRset(rec.Name, rec.Type)
	}
	return nil
}

func (j *job) isApex(n dns.Name) bool { return n.Len() == j.origin.Len() }

// isApexType reports whether a zone cannot be without records of the type.
func isApexType(t dns.Type) bool { return t == dns.TypeSOA || t == dns.TypeNS }

// add adds a record, unless it is one to be ignored (RFC 2136 §3.4.2.2).
func (j *job) add(e *zone.Editor, rec dns.Record) error {
	at := e.Peek(rec.Name)
	switch {
	case rec.Type == dns.TypeCNAME:
		if hasMoreThanCNAME(at) {
			return nil
		}
	case !besideCNAME(rec.Type) && at.Count(dns.TypeCNAME) > 0:
		return nil
	case rec.Type == dns.TypeSOA:
		if !isNewerSOA(at, rec.Data) {
			return nil
		}
	case rec.Type == dns.TypeWKS:
		removeSameService(e, rec)
	}
	rec.Class = dns.ClassIN
	if _, err := e.Add(rec); err != nil {
		return refuse(dns.RCodeRefused, dns.EDEProhibited, "%v", err)
	}
	return j.checkNumbers(e, &rec)
}

// besideCNAME reports whether records of the type may stand beside a CNAME: RFC
// 2136 §3.4.2.2 knew of none; RFC 4034 §3 and §4 have RRSIG and NSEC, RFC 3007 §1.3
// and RFC 2535 §2.3.5 their forerunners and KEY.
func besideCNAME(t dns.Type) bool {
	switch t {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeSIG, dns.TypeKEY, dns.TypeNXT:
		return true
	}
	return false
}

func hasMoreThanCNAME(at zone.Peek) bool {
	for t := range at.Types() {
		if t != dns.TypeCNAME && !besideCNAME(t) {
			return true
		}
	}
	return false
}

// isNewerSOA: where the text of RFC 2136 §3.4.2.2 ignores a serial number "lower
// than or equal to" the zone's, and §3.4.2.7 only a lower one, the text counts, as
// elsewhere: otherwise secondaries would not see the change.
func isNewerSOA(at zone.Peek, rdata []byte) bool {
	for rd := range at.RData(dns.TypeSOA) {
		return zone.IsNewer(dns.SOASerial(rdata), dns.SOASerial(rd))
	}
	return false
}

// removeSameService makes room for a WKS record, of which there is one for each
// address and protocol (RFC 2136 §3.4.2.2).
func removeSameService(e *zone.Editor, rec dns.Record) {
	const key = 5 // address and protocol, RFC 1035 §3.4.2
	var same []dns.RData
	for rd := range e.Peek(rec.Name).RData(dns.TypeWKS) {
		if string(rd[:key]) == string(rec.Data[:key]) {
			same = append(same, append(dns.RData(nil), rd...))
		}
	}
	for _, rd := range same {
		e.Remove(dns.Record{Name: rec.Name, Type: rec.Type, Data: rd})
	}
}

// checkNumbers checks the rule's bounds for what a name has by now.
func (j *job) checkNumbers(e *zone.Editor, rec *dns.Record) error {
	rule := j.policy.Find(&j.client, rec.Name, rec.Type, Add)
	if rule == nil {
		return nil
	}
	at := e.Peek(rec.Name)
	if most := rule.most(rec.Type); most > 0 && at.Count(rec.Type) > most {
		return refuse(dns.RCodeRefused, dns.EDEOverQuota, "%s would have more than %d %s records", rec.Name, most, rec.Type)
	}
	if rule.MostRecords > 0 && at.Records() > rule.MostRecords {
		return refuse(dns.RCodeRefused, dns.EDEOverQuota, "%s would have more than %d records", rec.Name, rule.MostRecords)
	}
	return nil
}

// deleteRecord removes one record, but not the SOA record nor the last NS record
// of the apex (RFC 2136 §3.4.2.4).
func (j *job) deleteRecord(e *zone.Editor, rec dns.Record) {
	if j.isApex(rec.Name) {
		if rec.Type == dns.TypeSOA || rec.Type == dns.TypeNS && e.Peek(rec.Name).Count(dns.TypeNS) <= 1 {
			return
		}
	} else if rec.Type == dns.TypeSOA {
		return
	}
	e.Remove(rec)
}

// deleteName removes all RRsets of a name, those apart that the apex keeps (RFC
// 2136 §3.4.2.3) and those that are a signer's. The client must be allowed to
// delete each of them.
func (j *job) deleteName(e *zone.Editor, name dns.Name) error {
	var buf [16]dns.Type
	types := buf[:0]
	for t := range e.Peek(name).Types() {
		if j.isApex(name) && isApexType(t) || j.signed && isSigners(t) {
			continue
		}
		if !j.policy.Find(&j.client, name, t, Delete).grants() {
			return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s %s is not for this client to delete", name, t)
		}
		types = append(types, t)
	}
	for _, t := range types {
		e.RemoveRRset(name, t)
	}
	if !j.signed && j.policy.Find(&j.client, name, dns.TypeNSEC3, Delete).grants() {
		e.RemoveRRset(name, dns.TypeNSEC3) // a namespace of its own
	}
	return nil
}
