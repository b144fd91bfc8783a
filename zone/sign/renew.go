package sign

import (
	"context"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Renew signs anew in e what a Survey has found to be due. What has gone since is left
// out. The SOA record and the digest of the zone are left to Edit, which is to be called
// next for the same Editor and keeps what Renew has made.
func (p *Plan) Renew(ctx context.Context, e *zone.Editor, due []Due, at time.Time) (Report, error) {
	s, err := p.begin(e, nil, at)
	if err != nil || !p.isSigned() {
		return Report{}, err
	}
	i := 0
	err = s.stream(ctx, func(b *batch) bool {
		v := s.e.View()
		for ; i < len(due) && len(b.tasks) < fullBatch; i++ {
			s.addDue(b, v, due[i])
		}
		return i < len(due)
	})
	return s.report, err
}

// addDue adds the task of a set that is due. Its signatures are taken to be over its
// records: they are of a zone that has been signed here.
func (s *signing) addDue(b *batch, v *zone.Version, d Due) {
	owner := b.keep([]byte(d.Owner.Wire()))
	node := v.Find(owner)
	if d.Type == dns.TypeNSEC3 {
		node = v.FindNSEC3(owner)
	} else if node.IsZero() || !v.Hiding(owner).IsZero() || node.IsCut() && d.Type != dns.TypeDS && d.Type != dns.TypeNSEC {
		return
	}
	set, ok := node.RRset(d.Type)
	if !ok || isZONEMDOf(s, d) {
		return
	}
	b.names++
	t := task{owner: owner, typ: d.Type, ttl: set.TTL(), rdata: set.Packed(), count: set.Count(), trusted: true}
	if sigs, ok := set.Sigs(); ok {
		t.old, t.there = sigs.Packed(), sigs.TTL() == t.ttl
	}
	b.add(t)
}

func isZONEMDOf(s *signing, d Due) bool {
	return !s.isWanted(d.Type, d.Owner.Equal(s.origin))
}
