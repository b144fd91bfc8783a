package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// ready keeps what many answers have in common as it stands in a message: the NS
// set of delegations with its glue, and the SOA of negative answers. A zone's
// delegations share a few NS sets, so one worker meets the same ones again and
// again; to copy them costs a tenth of what it takes to compress their names.
//
// Fragments are made for what was wanted twice in a row at its place, so that
// what is wanted once does not drive out what is wanted often. They belong to
// one version of a zone and mean nothing to the next.
type ready struct {
	referrals [readyReferrals]readyReferral
	soas      [readySOAs]readySOA
	b         dns.Builder
	buf       []byte
}

const (
	readyReferrals = 1 << 12
	readySOAs      = 1 << 6
)

// readyReferral is the part of a referral that depends on the NS set alone.
type readyReferral struct {
	key, wanted readyKey
	ns, glue    dns.Fragment
	apexAt      int // where the origin stands in the name that the fragments were made for
}

// readyKey says what a fragment is for. The zero key is for nothing.
type readyKey struct {
	version uint64
	set     uint32
	cut     uint32 // the delegation, where a name server's name lies in it; else 0
	do      bool
}

// readySOA is the SOA record of negative answers, with DO its signatures too.
type readySOA struct {
	key, wanted readyKey
	soa         dns.Fragment
}

// readyFor returns what is ready for a referral to cut, or nil.
func (w *worker) readyFor(cut zone.Node, set zone.RRset) *readyReferral {
	if w.ready == nil {
		w.ready = new(ready)
	}
	k := readyKey{version: w.v.ID(), set: set.ID(), do: w.q.DO}
	r := &w.ready.referrals[k.hash()%readyReferrals]
	if r.key == k {
		return r
	}
	own := k
	own.cut = cut.ID()
	if r.key == own {
		return r
	}
	if r.wanted != k && r.wanted != own {
		r.wanted = k
		return nil
	}
	if inDomain(w.v, cut, set) {
		k = own
	}
	if !w.ready.referral(r, w.v, cut, set, k) {
		return nil
	}
	return r
}

func (k *readyKey) hash() uint64 {
	return (k.version*0x9E3779B97F4A7C15 ^ uint64(k.set)) * 0x9E3779B97F4A7C15 >> 40
}

// inDomain reports whether a name server of set has a name at or below cut.
func inDomain(v *zone.Version, cut zone.Node, set zone.RRset) bool {
	var buf [dns.MaxNameLen]byte
	owner := cut.AppendName(buf[:0])
	for target := range set.RData() {
		if dns.IsSubdomain(target, owner) {
			return true
		}
	}
	return false
}

// referral fills r for the key k. It fails where the glue is signed, which is for
// no delegation and would have to be left out piece by piece.
func (y *ready) referral(r *readyReferral, v *zone.Version, cut zone.Node, set zone.RRset, k readyKey) bool {
	var buf [dns.MaxNameLen]byte
	name := v.Origin().Wire()
	question := append(buf[:0], name...)
	if k.cut != 0 {
		question = cut.AppendName(buf[:0])
	}
	r.key, r.wanted = readyKey{}, readyKey{}
	r.apexAt = len(question) - len(name)
	y.start(question)
	from := y.b.Len()
	for target := range set.RData() {
		if !y.b.RecordAt(dns.SectionAuthority, dns.HeaderLen, dns.TypeNS, dns.ClassIN, set.TTL(), target) {
			return false
		}
	}
	if r.ns.Take(y.b.Finish(), from, dns.HeaderLen) != nil {
		return false
	}
	from = y.b.Len()
	if !y.glue(set, true, k.do) || !y.glue(set, false, k.do) || r.glue.Take(y.b.Finish(), from, 0) != nil {
		return false
	}
	r.key = k
	return true
}

func (y *ready) start(question []byte) {
	y.b.Start(y.buf[:0], dns.MaxMessageLen, 0, 0)
	y.b.Question(question, dns.TypeA, dns.ClassIN)
}

// glue adds the addresses of those hosts that are in the delegated domain, or
// that are not, in the order of worker.addresses.
func (y *ready) glue(set zone.RRset, inDomain, do bool) bool {
	var owner [dns.MaxNameLen]byte
	for g := range set.Glue() {
		if g.InDomain != inDomain {
			continue
		}
		name := g.Host.AppendName(owner[:0])
		for _, t := range addressTypes {
			set, ok := g.Host.RRset(t)
			if !ok {
				continue
			}
			if _, signed := set.Sigs(); signed && do {
				return false
			}
			for data := range set.RData() {
				if !y.b.Record(dns.SectionAdditional, name, t, dns.ClassIN, set.TTL(), data) {
					return false
				}
			}
		}
	}
	return true
}

// readyDelegation adds the NS set of a delegation, if it is ready and may be
// used: what comes behind it must be all that it is compressed against.
func (w *worker) readyDelegation(cut zone.Node, set zone.RRset) bool {
	if w.unready || w.at != dns.HeaderLen || w.b.Len() != dns.HeaderLen+len(w.q.Name)+4 {
		return false
	}
	r := w.readyFor(cut, set)
	if r == nil || !w.b.Fragment(dns.SectionAuthority, &r.ns, dns.HeaderLen+w.m.EncloserAt, w.apexAt()-r.apexAt) {
		return false
	}
	w.glue, w.glueShift = &r.glue, w.apexAt()-r.apexAt
	return true
}

// apexAt is where the zone's origin begins in the question's name.
func (w *worker) apexAt() int { return len(w.sname) - w.v.Origin().Len() }

// readySOA adds the SOA of a negative answer, if it may come from a fragment.
func (w *worker) readySOA(set zone.RRset) bool {
	if w.unready || w.at != dns.HeaderLen || w.b.Len() != dns.HeaderLen+len(w.q.Name)+4 {
		return false
	}
	if w.ready == nil {
		w.ready = new(ready)
	}
	k := readyKey{version: w.v.ID(), do: w.q.DO}
	r := &w.ready.soas[k.hash()%readySOAs]
	switch {
	case r.key == k:
	case r.wanted != k:
		r.wanted = k
		return false
	case !w.ready.soa(r, w.v, set, k):
		return false
	}
	return w.b.Fragment(dns.SectionAuthority, &r.soa, dns.HeaderLen+w.apexAt(), w.apexAt())
}

func (y *ready) soa(r *readySOA, v *zone.Version, set zone.RRset, k readyKey) bool {
	r.key, r.wanted = readyKey{}, readyKey{}
	origin := v.Origin().Wire()
	y.start([]byte(origin))
	from := y.b.Len()
	ttl := min(set.TTL(), dns.SOAMinimum(set.First()))
	if !y.b.Record(dns.SectionAuthority, []byte(origin), dns.TypeSOA, dns.ClassIN, ttl, set.First()) {
		return false
	}
	if sigs, ok := set.Sigs(); ok && k.do {
		for data := range sigs.RData() {
			if !y.b.Record(dns.SectionAuthority, []byte(origin), dns.TypeRRSIG, dns.ClassIN, min(sigs.TTL(), ttl), data) {
				return false
			}
		}
	}
	if r.soa.Take(y.b.Finish(), from, dns.HeaderLen) != nil {
		return false
	}
	r.key = k
	return true
}
