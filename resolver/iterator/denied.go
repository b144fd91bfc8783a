package iterator

import (
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/cache"
)

// denier answers a question from what its zone was seen to prove of other names
// (RFC 8198): NSEC and NSEC3 sets that were found Secure, wildcards, and the SOA
// that says how long a denial may be kept.
//
// Which sets might do is found here; whether they do is judged by the code that
// judges answers of servers. So nothing is denied that a validator would not take
// for denied, by the sets that go with the answer.
type denier struct {
	t    *task
	zone cache.DeniedZone
	q    dns.Question
	now  uint32
}

// denied answers q from what is proved already; false where that says nothing of
// q. NSEC3 spans that opt out, or that are hashed often, are not even known.
func (t *task) denied(q dns.Question) (*finding, bool) {
	at := q.Name
	if q.Type == dns.TypeDS && !at.IsRoot() {
		at = at.Parent() // RFC 4035 §3.1.4.1
	}
	zone, ok := t.it.Cache.DeniedZone(at)
	if !ok || q.Type.IsMeta() || q.Type == dns.TypeRRSIG || t.routes.For(q) != t.routes.Of(zone.Name) {
		return nil, false // CVE-2026-44687: a zone says nothing of names that are looked up another way
	}
	d := &denier{t: t, zone: zone, q: q, now: t.it.now()}
	var f *finding
	if zone.HasNSEC {
		f = d.byNSEC()
	}
	if f == nil && zone.HasNSEC3 {
		f = d.byNSEC3()
	}
	return f, f != nil
}

// byNSEC looks for the record of the name, or the one that spans it and what there
// is of the wildcard that could stand for it (RFC 4035 §5.4).
func (d *denier) byNSEC() *finding {
	c := d.t.it.Cache
	own, ok := c.NSEC(d.zone.Name, d.q.Name, d.now)
	if !ok {
		return nil
	}
	if own.Name.Equal(d.q.Name) {
		return d.decide(d.q.Name, own)
	}
	n, err := dns.ParseNSEC(own.Data[0])
	if err != nil {
		return nil
	}
	encloser := d.q.Name.CommonAncestor(own.Name)
	if other := d.q.Name.CommonAncestor(n.Next); other.NumLabels() > encloser.NumLabels() {
		encloser = other
	}
	wildcard, err := encloser.Child("*")
	if err != nil {
		return d.decide(d.q.Name, own)
	}
	if f := d.expand(wildcard, own); f != nil {
		return f
	}
	if w, ok := c.NSEC(d.zone.Name, wildcard, d.now); ok {
		return d.decide(d.q.Name, own, w)
	}
	return nil
}

// byNSEC3 goes down from the apex to the first name that has no record of its own:
// what is proved of that one is proved of all below it (RFC 5155 §8.3).
func (d *denier) byNSEC3() *finding {
	zone, depth := d.zone.Name, d.q.Name.NumLabels()
	encloser, own, ok := zone, cache.RRset{}, false
	if depth == zone.NumLabels() {
		if own, ok = d.hashed(zone); ok {
			return d.decide(zone, own)
		}
		return nil
	}
	for labels := zone.NumLabels() + 1; labels <= depth; labels++ {
		next := d.q.Name.Ancestor(depth - labels)
		set, isOwn := d.hashed(next)
		switch {
		case len(set.Data) == 0:
			return nil
		case !isOwn:
			return d.beyond(encloser, own, next, set)
		}
		encloser, own = next, set
	}
	return d.decide(d.q.Name, own)
}

// beyond is the rest of it: next, right below its closest encloser, does not
// exist by the record cover, if that spans it.
func (d *denier) beyond(encloser dns.Name, own cache.RRset, next dns.Name, cover cache.RRset) *finding {
	wildcard, err := encloser.Child("*")
	if err != nil {
		return nil
	}
	if f := d.expand(wildcard, cover); f != nil {
		return f
	}
	if len(own.Data) == 0 { // of the apex, which has not been needed before
		var ok bool
		if own, ok = d.hashed(encloser); !ok {
			return nil
		}
	}
	if w, _ := d.hashed(wildcard); len(w.Data) > 0 {
		return d.decide(next, own, cover, w)
	}
	return nil
}

// hashed returns the NSEC3 set whose owner is the hash of name, or the last one
// known before it; isOwn says which. It is paid for.
func (d *denier) hashed(name dns.Name) (set cache.RRset, isOwn bool) {
	if !d.t.budget.takeRounds(1 + int(d.zone.Params.Iterations)) {
		return set, false
	}
	var buf [dns.MaxNameLen]byte
	var sum [dnssec.NSEC3HashLen]byte
	hash := dnssec.NSEC3Hash(sum[:0], dns.AppendFolded(buf[:0], []byte(name.Wire())), d.zone.Params.Iterations, []byte(d.zone.Params.Salt))
	set, ok := d.t.it.Cache.NSEC3(d.zone.Name, hash, d.now)
	if !ok {
		return cache.RRset{}, false
	}
	return set, dns.EqualNames([]byte(set.Name.FirstLabel()), dns.AppendBase32Hex(nil, hash))
}

// proof hands sets to the judge.
func (d *denier) proof(sets []cache.RRset) (denial *dnssec.Denial, pay func() bool) {
	const most = 1 << 20
	rounds := most
	list := make([]dnssec.RRset, len(sets))
	for i, s := range sets {
		list[i] = dnssec.RRset{Owner: s.Name, Type: s.Type, Class: dns.ClassIN, TTL: s.TTL, RData: s.Data}
	}
	return dnssec.NewDenial(d.zone.Name, list, &rounds), func() bool { return d.t.budget.takeRounds(most - rounds) }
}

// decide says what the sets prove of the name, which the question's is or is below.
func (d *denier) decide(name dns.Name, sets ...cache.RRset) *finding {
	soa, ok := d.t.it.Cache.ZoneSOA(d.zone.Name, d.now)
	if !ok {
		return nil // nobody could keep the answer (RFC 2308 §5)
	}
	sets = slices.CompactFunc(sets, sameOwner) // one may prove several things
	if n := len(sets) - 1; n > 1 && sameOwner(sets[0], sets[n]) {
		sets = sets[:n]
	}
	denial, pay := d.proof(sets)
	f := &finding{status: cache.Secure, ttl: soa.TTL}
	switch {
	case denial.Name(name) == dnssec.Proved:
		f.outcome, f.rcode = OutcomeNXDomain, dns.RCodeNXDomain
	case d.q.Type == dns.TypeDS && !name.Equal(d.q.Name):
		return nil // of what is below it DS are nobody's
	case denial.Type(name, d.q.Type) == dnssec.Proved, denial.Type(name, d.q.Type) == dnssec.NoName: // RFC 9824 §3.1: which is NOERROR to who sees the proof
		f.outcome = OutcomeNoData
	default:
		return nil
	}
	for _, s := range sets {
		f.ttl = min(f.ttl, s.TTL)
	}
	f.authority = append([]cache.RRset{soa}, sets...)
	for i := range f.authority {
		f.authority[i].TTL = f.ttl // RFC 9077 §3
	}
	if !pay() {
		return nil
	}
	return f
}

func sameOwner(a, b cache.RRset) bool { return a.Name.Equal(b.Name) }

// expand answers from a wildcard, if what it has of the type is known and cover
// proves that no closer name exists (RFC 8198 §5.3).
func (d *denier) expand(wildcard dns.Name, cover cache.RRset) *finding {
	if d.q.Type == dns.TypeDS {
		return nil
	}
	f := &finding{outcome: OutcomeAnswer, status: cache.Secure}
	e, ok := d.t.it.Cache.Wildcard(d.zone.Name, wildcard, d.q.Type, d.now)
	if !ok && followed(d.q.Type) {
		if e, ok = d.t.it.Cache.Wildcard(d.zone.Name, wildcard, dns.TypeCNAME, d.now); ok {
			f.outcome = OutcomeAlias
			f.target, ok = nameOf(e.Sets[0].Data[0])
		}
	}
	if !ok {
		return nil
	}
	denial, pay := d.proof([]cache.RRset{cover})
	if denial.Expansion(d.q.Name, wildcard.NumLabels()-1) != dnssec.Proved || !pay() {
		return nil
	}
	set := e.Sets[0]
	f.ttl = min(set.TTL, cover.TTL)
	set.Name, set.TTL, cover.TTL = d.q.Name, f.ttl, f.ttl
	set.Proof = []cache.RRset{cover}
	f.chain = []cache.RRset{set}
	return f
}
