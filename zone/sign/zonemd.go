package sign

import (
	"context"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// prepareZONEMD sees to it that there are ZONEMD records, with whatever digest: NSEC
// and NSEC3 list the type (RFC 8976 §3.1).
func (s *signing) prepareZONEMD() error {
	if len(s.plan.ZONEMD) == 0 || s.hasDigests() {
		return nil
	}
	var list []dnssec.ZONEMD
	for _, a := range s.plan.ZONEMD {
		list = append(list, dnssec.ZONEMD{Scheme: dnssec.ZONEMDSimple, Algorithm: a, Digest: make([]byte, dnssec.ZONEMDDigestLen(a))})
	}
	s.changed = true
	return s.putZONEMD(list)
}

// hasDigests reports whether the ZONEMD records are of the plan's algorithms.
func (s *signing) hasDigests() bool {
	set, ok := s.e.View().Apex().RRset(dns.TypeZONEMD)
	if !ok || set.Count() != len(s.plan.ZONEMD) {
		return false
	}
	for rd := range set.RData() {
		z, err := dnssec.ParseZONEMD(rd)
		if err != nil || z.Scheme != dnssec.ZONEMDSimple || !contains(s.plan.ZONEMD, z.Algorithm) {
			return false
		}
	}
	return true
}

func contains(list []uint8, x uint8) bool {
	for _, y := range list {
		if y == x {
			return true
		}
	}
	return false
}

func (s *signing) putZONEMD(list []dnssec.ZONEMD) error {
	var packed []byte
	for _, z := range list {
		packed = packOne(packed, z.Append(nil))
	}
	_, err := s.e.PutRRset(s.top(), dns.TypeZONEMD, s.e.View().SOA().TTL(), packed, len(list))
	return err
}

// finishZONEMD digests the zone, which is otherwise as it will be, and signs that.
func (s *signing) finishZONEMD(ctx context.Context) error {
	if len(s.plan.ZONEMD) == 0 {
		return nil
	}
	v := s.e.View()
	if set, _ := v.Apex().RRset(dns.TypeZONEMD); s.changed || s.verify || be.Uint32(set.First()) != dns.SOASerial(v.SOA().First()) {
		serial := dns.SOASerial(v.SOA().First())
		if err := s.putZONEMD(dnssec.DigestZone(s.origin, serial, v.Records(), s.plan.ZONEMD...)); err != nil {
			return err
		}
	}
	if !s.plan.isSigned() {
		return nil
	}
	set, _ := s.e.View().Apex().RRset(dns.TypeZONEMD)
	var b batch
	t := task{owner: s.top(), typ: dns.TypeZONEMD, ttl: set.TTL(), rdata: set.Packed(), count: set.Count()}
	s.remember(&t, set, s.headNode(s.top()))
	b.add(t)
	return s.run(ctx, &b)
}
