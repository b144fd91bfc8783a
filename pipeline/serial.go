package pipeline

import (
	"bytes"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// next returns the serial number after last, at a time. It is newer by RFC 1982
// §3.2, and not 0, which some software takes for none.
func (p SerialPolicy) next(last uint32, at time.Time) uint32 {
	var want uint32
	switch at = at.UTC(); p {
	case SerialDate:
		y, m, d := at.Date()
		want = uint32(y*1000000 + int(m)*10000 + d*100)
	case SerialUnixTime:
		want = uint32(at.Unix())
	}
	if want != 0 && zone.IsNewer(want, last) {
		return want
	}
	if last++; last == 0 {
		last = 1
	}
	return last
}

// keeps reports whether the serial number of c is its author's business.
func (s *ZoneSpec) keeps(c *zone.Change) bool {
	return c.KeepSerial || s.Serial == SerialKeep && c.By.Door != zone.DoorRollback
}

// serial returns the number that a version after last gets whose change has its
// own, and what the author should know. byHand: it is the change's own. Zones that are
// signed here have versions that no author makes: there their number is but a wish.
func (s *ZoneSpec) serial(c *zone.Change, last, own uint32, at time.Time) (serial uint32, byHand bool, note string) {
	if zone.IsNewer(own, last) && c.By.Door != zone.DoorRollback || s.keeps(c) && s.Signer == nil {
		return own, true, ""
	}
	policy := s.Serial
	if policy == SerialKeep {
		policy = SerialIncrement // a rollback, or a signer, which cannot say another one
	}
	serial = policy.next(last, at)
	if own != last && hasWish(c.By.Door) {
		note = fmt.Sprintf("the change has the serial number %d, which is not newer than %d: %d is used instead", own, last, serial)
	}
	return serial, false, note
}

// hasWish reports whether who comes by a door is told that another serial number is
// used than theirs. A rollback means another one; a file's door knows better whether
// somebody has touched it, and says so; a primary counts for itself.
func hasWish(door zone.Door) bool {
	return door != zone.DoorRollback && door != zone.DoorFile && door != zone.DoorTransfer
}

// refuseSerial says what is wrong with a serial number that its author has to raise.
func (s *ZoneSpec) refuseSerial(last, own uint32, at time.Time) *zone.Refusal {
	return &zone.Refusal{
		Zone: s.ID, Rule: "serial",
		Reason: fmt.Sprintf("the serial number is %d, expected a newer one than %d, such as %d", own, last, SerialIncrement.next(last, at)),
	}
}

// isOnlySerial reports whether nothing but the serial number changes.
func isOnlySerial(d *zone.Delta) bool {
	if len(d.Removed) != 1 || len(d.Added) != 1 {
		return false
	}
	a, b := d.Removed[0], d.Added[0]
	if a.Type != dns.TypeSOA || b.Type != dns.TypeSOA || a.TTL != b.TTL || a.Name != b.Name {
		return false
	}
	return bytes.Equal(withSerial(a.Data, 0), withSerial(b.Data, 0))
}

// withSerial returns a SOA's rdata with another serial number.
func withSerial(soa dns.RData, serial uint32) dns.RData {
	soa = bytes.Clone(soa)
	dns.SetSOASerial(soa, serial)
	return soa
}

// soaOf returns the SOA record of an apex, whose version has the class.
func soaOf(apex zone.Node, class dns.Class) (dns.Record, bool) {
	set, ok := apex.RRset(dns.TypeSOA)
	if !ok {
		return dns.Record{}, false
	}
	return dns.Record{Name: apex.Name(), Type: dns.TypeSOA, Class: class, TTL: set.TTL(), Data: set.First()}, true
}
