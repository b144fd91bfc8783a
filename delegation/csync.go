package delegation

import (
	"fmt"

	"onoma/dns"
	"onoma/zone"
)

// syncDecision is what follows for NS and glue.
type syncDecision struct {
	verdict Verdict
	why     string
	retry   bool
	ns      []dns.RData // of the delegation from now on, sorted
	glue    []dns.Record
	taken   acceptance
}

// syncPlan is what a CSYNC record asks for, proven, and what has to be known before
// it can be done.
type syncPlan struct {
	csync  dns.CSYNC
	ns     []dns.RData // that the delegation is to have
	hosts  []dns.Name  // name servers of it at or below the child, which need glue
	serial []uint32    // of the child's SOA at each server
	taken  acceptance
	zone   [][]dns.DNSKEY // keys of the child as each server has them, proven
}

// verdictError is an error with what becomes of the look.
type verdictError struct {
	verdict Verdict
	retry   bool
	why     string
}

func (e *verdictError) Error() string { return e.why }

func refuse(format string, args ...any) *verdictError {
	return &verdictError{verdict: Refused, why: fmt.Sprintf(format, args...)}
}

func wait(format string, args ...any) *verdictError {
	return &verdictError{verdict: Waits, retry: true, why: fmt.Sprintf(format, args...)}
}

// planSync reads CSYNC, NS and SOA at all servers (RFC 7477 §3). There is no plan,
// and no error, where the child asks for nothing.
func planSync(l *look) (*syncPlan, *verdictError) {
	if s := silent(l.servers); s != nil {
		return nil, wait("%s: %v", s, s.err)
	}
	set, err := agreed(l.servers, dns.TypeCSYNC)
	if err != nil {
		return nil, wait("%v", err)
	}
	if len(set.set.RData) == 0 {
		return nil, nil
	}
	p := &syncPlan{}
	if e := p.read(l, &set); e != nil {
		return nil, e
	}
	for i := range l.servers {
		if e := p.prove(l, &l.servers[i]); e != nil {
			return nil, e
		}
	}
	return p, p.servers(l)
}

// read takes the record in, as far as no server matters.
func (p *syncPlan) read(l *look, set *reply) *verdictError {
	if len(set.set.RData) != 1 {
		return refuse("the child has %d CSYNC records: expected one (RFC 7477 §2)", len(set.set.RData))
	}
	var err error
	if p.csync, err = dns.ParseCSYNC(set.set.RData[0]); err != nil {
		return refuse("CSYNC: %v", err)
	}
	if p.csync.Flags&^(dns.CSYNCImmediate|dns.CSYNCSOAMinimum) != 0 {
		return refuse("CSYNC has flags that are not known: %d", p.csync.Flags)
	}
	for t := range p.csync.Types.All() {
		if t != dns.TypeNS && t != dns.TypeA && t != dns.TypeAAAA {
			return refuse("CSYNC asks for %s: only NS, A and AAAA are kept", t)
		}
	}
	// RFC 7477 §1: without DNSSEC nobody knows who asks.
	if len(l.was.DS) == 0 {
		return refuse("CSYNC counts for nothing: the child is not secure")
	}
	return nil
}

// prove checks that one server's CSYNC, NS and SOA are the child's, and takes its SOA.
func (p *syncPlan) prove(l *look, s *seen) *verdictError {
	v := newVerifier(l.was.Child, l.now)
	keys := s.apex[dns.TypeDNSKEY]
	if _, err := v.entries(&keys, dsOf(l.was.DS)); err != nil {
		return refuse("%s: %v", s, err)
	}
	zoneKeys := keysOf(&keys)
	for _, t := range []dns.Type{dns.TypeCSYNC, dns.TypeNS, dns.TypeSOA} {
		r := s.apex[t]
		if len(r.set.RData) == 0 {
			return refuse("%s: the child has no %s", s, t)
		}
		sig, err := v.signed(&r, zoneKeys)
		if err != nil {
			return refuse("%s: %v", s, err)
		}
		if t == dns.TypeCSYNC && (len(p.serial) == 0 || int32(sig.Inception-p.taken.Inception) < 0) {
			p.taken = acceptance{sig.Inception, sig.Expiration}
		}
	}
	serial := dns.SOASerial(s.apex[dns.TypeSOA].set.RData[0])
	// RFC 7477 §2.1.1.1, in RFC 1982's arithmetic.
	if p.csync.Flags&dns.CSYNCSOAMinimum != 0 && zone.IsNewer(p.csync.Serial, serial) {
		return wait("%s has serial %d, and CSYNC is for %d and later", s, serial, p.csync.Serial)
	}
	p.serial, p.zone = append(p.serial, serial), append(p.zone, zoneKeys)
	return nil
}

// servers finds the name servers that the delegation is to have.
func (p *syncPlan) servers(l *look) *verdictError {
	switch {
	case l.accepted.isOlder(p.taken.Inception):
		return refuse("the signature over CSYNC is older than the one that was taken last")
	// RFC 7477 §2.1.1.2.1: without the flag a person has to say yes.
	case p.csync.Flags&dns.CSYNCImmediate == 0 && !l.approved:
		return &verdictError{verdict: Waits, why: "CSYNC is without the immediate flag: it waits for somebody to approve it"}
	}
	ns, err := agreed(l.servers, dns.TypeNS)
	if err != nil {
		return wait("%v", err)
	}
	p.ns = rdataOf(l.was.NS)
	if p.csync.Types.Has(dns.TypeNS) {
		p.ns = ns.set.RData
	}
	if len(p.ns) > maxHosts {
		return refuse("the child has %d name servers: at most %d are kept", len(p.ns), maxHosts)
	}
	for _, data := range p.ns {
		if host := nameOf(data); host.IsSubdomainOf(l.was.Child) {
			p.hosts = append(p.hosts, host)
		}
	}
	return nil
}

// questions are those for glue, to be asked at all of the child's servers, and for the
// SOA once more.
func (p *syncPlan) questions(child dns.Name) []dns.Question {
	var out []dns.Question
	for _, host := range p.hosts {
		for _, t := range glueTypes {
			if p.csync.Types.Has(t) {
				out = append(out, dns.Question{Name: host, Type: t, Class: dns.ClassIN})
			}
		}
	}
	return append(out, dns.Question{Name: child, Type: dns.TypeSOA, Class: dns.ClassIN})
}

var glueTypes = []dns.Type{dns.TypeA, dns.TypeAAAA}

// decideSync says what NS and glue are to be, once the servers have been asked for the
// plan's questions (seen.hosts).
func decideSync(l *look, p *syncPlan) syncDecision {
	d, err := p.decide(l)
	if err != nil {
		return syncDecision{verdict: err.verdict, retry: err.retry, why: err.why}
	}
	return *d
}

func (p *syncPlan) decide(l *look) (*syncDecision, *verdictError) {
	for i := range l.servers {
		if e := p.checkSerial(l, i); e != nil {
			return nil, e
		}
	}
	d := &syncDecision{ns: p.ns, taken: p.taken}
	for _, host := range p.hosts {
		glue, e := p.glueOf(l, host)
		if e != nil {
			return nil, e
		}
		if len(glue) == 0 {
			// RFC 9471 §1: without an address there would be no way to it.
			return nil, refuse("the name server %s would have no glue", host)
		}
		d.glue = append(d.glue, glue...)
	}
	if equalSets(dns.TypeNS, rdataOf(l.was.NS), d.ns) && sameRecords(l.was.Glue, d.glue) {
		d.why = "NS and glue are as CSYNC has them"
		return d, nil
	}
	d.verdict, d.why = Changed, "NS and glue as the child's CSYNC has them"
	return d, nil
}

// checkSerial: RFC 7477 §3.1: the zone was the same version from the first answer to
// the last.
func (p *syncPlan) checkSerial(l *look, i int) *verdictError {
	s := &l.servers[i]
	if s.err != nil {
		return wait("%s: %v", s, s.err)
	}
	soa := s.hosts[dns.Question{Name: l.was.Child, Type: dns.TypeSOA, Class: dns.ClassIN}]
	if len(soa.set.RData) != 1 || dns.SOASerial(soa.set.RData[0]) != p.serial[i] {
		return wait("%s: the child's zone has changed while it was looked at", s)
	}
	return nil
}

// glueOf returns the glue that a name server of the child's own is to have: what CSYNC
// does not speak of stays.
func (p *syncPlan) glueOf(l *look, host dns.Name) ([]dns.Record, *verdictError) {
	var out []dns.Record
	for _, t := range glueTypes {
		if !p.csync.Types.Has(t) {
			out = append(out, glueFor(l.was.Glue, host, t)...)
			continue
		}
		r, e := p.address(l, dns.Question{Name: host, Type: t, Class: dns.ClassIN})
		if e != nil {
			return nil, e
		}
		out = append(out, r.records()...)
	}
	return out, nil
}

// address returns what all servers say of one type of address, proven.
func (p *syncPlan) address(l *look, q dns.Question) (reply, *verdictError) {
	first := l.servers[0].hosts[q]
	for i := range l.servers {
		s := &l.servers[i]
		r := s.hosts[q]
		if !first.equal(&r) {
			return r, wait("%s %s differs between %s and %s", q.Name, q.Type, &l.servers[0], s)
		}
		v := newVerifier(l.was.Child, l.now)
		if len(r.set.RData) > 0 {
			if _, err := v.signed(&r, p.zone[i]); err != nil {
				return r, refuse("%s: %s: %v", s, q.Name, err)
			}
			continue
		}
		if err := v.absent(&r, p.zone[i]); err != nil {
			return r, refuse("%s: that %s has no %s is not proven: %v", s, q.Name, q.Type, err)
		}
	}
	return first, nil
}

// admit checks a server that the delegation does not lead to yet: it has to serve the
// child, with keys that validate under the child's DS.
func admit(l *look, s *seen) *verdictError {
	if s.err != nil {
		return wait("the new name server %s: %v", s, s.err)
	}
	keys, soa := s.apex[dns.TypeDNSKEY], s.apex[dns.TypeSOA]
	if len(soa.set.RData) != 1 {
		return wait("the new name server %s has no SOA of the child", s)
	}
	if _, err := newVerifier(l.was.Child, l.now).entries(&keys, dsOf(l.was.DS)); err != nil {
		return wait("the new name server %s: %v", s, err)
	}
	return nil
}
