package validator

import (
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// place is what is known of a name: that a zone begins there, or that none does.
// It does not change once it is remembered.
type place struct {
	name  dns.Name
	kind  kind
	keys  []zoneKey // of a zone that is Secure
	link  Link
	until time.Time
	size  int // octets
}

type kind uint8

const (
	isZone  kind = iota
	noCut        // the name is its parent's zone's
	nothing      // and so is all below it
)

type zoneKey struct {
	dns.DNSKEY
	tag uint16
}

// longest bounds how long anything is remembered.
const longest = 24 * time.Hour

// recall returns what is remembered of a name.
func (l *look) recall(name dns.Name) *place {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.known[name.Fold()]; p != nil && !l.now.After(p.until) {
		return p
	}
	return nil
}

// remember keeps p for as long as the TTL says. A name that is bogus is looked at
// anew each time: it may have been repaired. Where there is no room, something
// else goes.
func (l *look) remember(p *place, ttl uint32) *place {
	p.until = l.now.Add(min(time.Duration(ttl)*time.Second, longest))
	p.link.Until = p.until
	if p.kind == isZone && p.link.Status <= Bogus {
		return p
	}
	if l.brief {
		k := p.link
		p.link = Link{Zone: k.Zone, Status: k.Status, Why: k.Why, EDE: k.EDE, IsAnchor: k.IsAnchor, DSTTL: k.DSTTL, KeysTTL: k.KeysTTL, Until: k.Until}
	}
	p.size = p.octets()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(p.name.Fold())
	for name := range l.known {
		if len(l.known) < l.limits.Zones && l.octets+p.size <= l.limits.Octets {
			break
		}
		l.forget(name)
	}
	l.known[p.name.Fold()] = p
	l.octets += p.size
	return p
}

// forget makes room; mu is held.
func (v *Validator) forget(name dns.Name) {
	if p := v.known[name]; p != nil {
		v.octets -= p.size
		delete(v.known, name)
	}
}

// octets is about what p takes: whatever a zone has made up of is counted.
func (p *place) octets() int {
	const fixed, perItem = 500, 100
	n := fixed + 2*p.name.Len() + len(p.link.Why) + len(p.link.EDE.Text)
	for _, k := range p.keys {
		n += perItem + len(k.PublicKey)
	}
	for _, ds := range p.link.DS {
		n += perItem + len(ds.Digest)
	}
	items := len(p.link.Keys) + len(p.link.KeySigs) + len(p.link.DSSigs)
	for _, s := range p.link.Denial {
		items += 1 + len(s.Sigs)
	}
	return n + perItem*items
}

// walk goes down from the anchor that is nearest to name, and returns the zone
// that name is in: the first one that is not Secure, or the lowest.
func (l *look) walk(name dns.Name) (*place, error) {
	z, err := l.start(name)
	if err != nil {
		return nil, err
	}
	for depth := z.name.NumLabels() + 1; depth <= name.NumLabels() && z.link.Status == Secure; depth++ {
		p, err := l.below(z, name.Ancestor(name.NumLabels()-depth))
		if err != nil {
			return nil, err
		}
		if p.kind == nothing {
			break
		}
		if p.kind == isZone {
			z = p
			l.note(p)
		}
	}
	return z, nil
}

// note puts a zone into the chain, once.
func (l *look) note(z *place) {
	if !slices.ContainsFunc(l.result.Chain, func(x Link) bool { return x.Zone.Equal(z.name) }) {
		if l.result.Chain == nil {
			l.result.Chain = make([]Link, 0, 4) // the root, a TLD, a zone, and one more
		}
		l.result.Chain = append(l.result.Chain, z.link)
	}
}

// start is the zone of the lowest anchor at or above name.
func (l *look) start(name dns.Name) (*place, error) {
	for at := name.Fold(); !at.IsZero(); at = at.Parent() {
		ds := l.anchors[at]
		if len(ds) == 0 {
			continue
		}
		z, err := l.recall(at), error(nil)
		if z == nil || z.kind != isZone {
			z, err = l.enter(at, ds, Link{IsAnchor: true})
		}
		if err == nil {
			l.note(z)
		}
		return z, err
	}
	why := "no trust anchor is configured at or above " + name.String()
	return &place{name: dns.Root, link: Link{Zone: dns.Root, Status: Indeterminate, Why: why, EDE: dns.EDE{Code: dns.EDEDNSSECIndeterminate, Text: why}}}, nil
}

// below finds out what child is, a name in the secure zone z: by its DS, or by the
// proof that there is none.
func (l *look) below(z *place, child dns.Name) (*place, error) {
	if p := l.recall(child); p != nil {
		return p, nil
	}
	msg, err := l.ask(child, dns.TypeDS)
	if err != nil {
		return nil, err
	}
	sets := collect(msg.Answer)
	if s := find(sets, child, dns.TypeDS); s != nil {
		return l.delegated(z, *s)
	}
	alias := find(sets, child, dns.TypeCNAME)
	if alias == nil {
		alias = redirection(sets, child)
	}
	if alias != nil {
		if sig, _, err := l.check(*alias, z); err == nil && l.mayStand(z, alias, sig, msg) {
			p := &place{name: child, kind: nothing}
			if alias.Type == dns.TypeCNAME && !alias.isExpanded(sig) {
				p.kind = noCut // other names may be below it, and zones
			}
			return l.remember(p, l.ttl(*alias, sig)), nil
		}
	}
	return l.undelegated(z, child, msg)
}

// mayStand reports whether an alias is the zone's word for the name: then it is no
// delegation, and has nothing below it but where it is a CNAME of its own.
func (l *look) mayStand(z *place, alias *signedSet, sig *dns.RRSIG, msg *dns.Message) bool {
	if !alias.isExpanded(sig) {
		return true
	}
	d, _ := l.proofs(z, msg)
	return d.Expansion(alias.Owner, int(sig.Labels)) == dnssec.Proved
}

// delegated has a DS set.
func (l *look) delegated(z *place, s signedSet) (*place, error) {
	sig, tried, err := l.check(s, z)
	link := Link{DSSigs: tried, DSTTL: s.TTL}
	for _, rd := range s.RData {
		if ds, err := dns.ParseDS(slices.Clone(rd)); err == nil {
			link.DS = appendFew(link.DS, ds)
		}
	}
	if err != nil {
		return l.broken(s.Owner, link, codeOf(err), "DS set of %s: %v", s.Owner, err), nil
	}
	link.DSTTL = l.ttl(s, sig)
	return l.enter(s.Owner, link.DS, link)
}

// undelegated has none: the parent proves that the name is no delegation, or one
// without DS (RFC 4035 §5.2).
func (l *look) undelegated(z *place, child dns.Name, msg *dns.Message) (*place, error) {
	d, found := l.proofs(z, msg)
	state, proof := d.Delegation(child)
	switch {
	case state == dnssec.UnsignedDelegation:
		link := Link{Zone: child, Status: Insecure, Why: fmt.Sprintf("%s proves that %s has no DS", z.name, child), DSTTL: found.ttl, Denial: found.sets}
		switch proof {
		case dnssec.OptOut:
			link.Why = fmt.Sprintf("%s leaves out delegations that are not signed, and %s may be one", z.name, child)
		case dnssec.TooMany:
			link.Why = fmt.Sprintf("NSEC3 of %s has more than %d iterations", z.name, dnssec.MaxIterations)
			link.EDE = dns.EDE{Code: dns.EDEUnsupportedNSEC3Iters, Text: link.Why}
		}
		return l.remember(&place{name: child, link: link}, found.ttl), nil
	case state == dnssec.NoDelegation:
		p := &place{name: child, kind: noCut}
		if proof := d.Name(child); proof == dnssec.Proved || proof == dnssec.NoName {
			p.kind = nothing
		}
		return l.remember(p, found.ttl), nil
	case proof == dnssec.Exhausted:
		return nil, fmt.Errorf("%w: more than %d rounds of NSEC3", ErrLimit, l.limits.Rounds)
	}
	code, why := found.blame()
	return l.broken(child, Link{Denial: found.sets}, code, "%s has no DS for %s and does not prove it: %v", z.name, child, why), nil
}

func (l *look) broken(name dns.Name, link Link, code dns.EDECode, format string, args ...any) *place {
	link.Zone, link.Status, link.Why = name, Bogus, fmt.Sprintf(format, args...)
	link.EDE = dns.EDE{Code: code, Text: link.Why}
	return &place{name: name, link: link, until: l.now}
}
