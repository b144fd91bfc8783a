package dnssec

import (
	"bytes"

	"onoma/dns"
)

// nsec3Of is an NSEC3 with the hash that its owner is.
type nsec3Of struct {
	hash []byte
	dns.NSEC3
}

// addNSEC3 takes a record whose owner is a hash right below the zone's apex (RFC
// 5155 §3), of a hash algorithm and with flags that are known (§8.1, §8.2). All
// records of a proof have the parameters of the first one.
func (d *Denial) addNSEC3(owner dns.Name, rd dns.RData) {
	n, err := dns.ParseNSEC3(rd)
	if err != nil || n.Hash != NSEC3SHA1 || n.Flags&^dns.NSEC3OptOut != 0 || !owner.Parent().Equal(d.zone) {
		return
	}
	hash, ok := dns.DecodeBase32Hex(nil, []byte(owner.FirstLabel()))
	if !ok || len(hash) != NSEC3HashLen || len(n.NextHashed) != NSEC3HashLen {
		return
	}
	if n.Iterations > MaxIterations {
		d.tooMany = true
		return
	}
	if len(d.nsec3) == 0 {
		d.param = n.NSEC3PARAM
	}
	if n.Iterations == d.param.Iterations && bytes.Equal(n.Salt, d.param.Salt) {
		d.nsec3 = append(d.nsec3, nsec3Of{hash, n})
	}
}

// hash returns the hash of name, "" where the budget is used up.
func (d *Denial) hash(name dns.Name) string {
	if h, ok := d.hashes[name]; ok {
		return h
	}
	if *d.budget -= 1 + int(d.param.Iterations); *d.budget < 0 {
		return ""
	}
	var buf [dns.MaxNameLen]byte
	h := string(NSEC3Hash(nil, dns.AppendFolded(buf[:0], []byte(name.Wire())), d.param.Iterations, d.param.Salt))
	d.hashes[name] = h
	return h
}

func (d *Denial) matchNSEC3(name dns.Name) (nsec3Of, bool) {
	if len(d.nsec3) == 0 {
		return nsec3Of{}, false
	}
	h := d.hash(name)
	for _, n := range d.nsec3 {
		if string(n.hash) == h {
			return n, true
		}
	}
	return nsec3Of{}, false
}

// coverNSEC3 returns the record that spans the hash of name; the last one's next
// is the first.
func (d *Denial) coverNSEC3(name dns.Name) (nsec3Of, bool) {
	h := d.hash(name)
	if h == "" {
		return nsec3Of{}, false
	}
	for _, n := range d.nsec3 {
		after, before := string(n.hash) < h, h < string(n.NextHashed)
		last := bytes.Compare(n.NextHashed, n.hash) <= 0
		if after && before || last && (after || before) {
			return n, true
		}
	}
	return nsec3Of{}, false
}

// give is the answer where records were missing: maybe they could not be looked
// for.
func (d *Denial) give() Proof {
	switch {
	case d.tooMany:
		return TooMany
	case *d.budget < 0:
		return Exhausted
	}
	return Unproved
}

// enclosure is RFC 5155 §8.3: the closest encloser's own record and one that
// spans the next closer name.
type enclosure struct {
	encloser dns.Name
	optOut   bool
}

func (d *Denial) enclose(name dns.Name) (enclosure, bool) {
	next := dns.Name{}
	for at := name; at.IsSubdomainOf(d.zone); at = at.Parent() {
		n, ok := d.matchNSEC3(at)
		switch {
		case !ok && at.Equal(d.zone), *d.budget < 0:
			return enclosure{}, false
		case !ok:
			next = at
			continue
		// RFC 5155 §8.3: not below a delegation or a DNAME; and the name itself
		// exists.
		case next.IsZero() || isCut(n.Types) || n.Types.Has(dns.TypeDNAME):
			return enclosure{}, false
		}
		cover, ok := d.coverNSEC3(next)
		return enclosure{at, cover.Flags&dns.NSEC3OptOut != 0}, ok
	}
	return enclosure{}, false
}

// provedBut: a span that opts out leaves room for delegations (RFC 5155 §9.2).
func (e enclosure) provedBut() Proof {
	if e.optOut {
		return OptOut
	}
	return Proved
}

// noHashedName: RFC 5155 §8.4.
func (d *Denial) noHashedName(name dns.Name) Proof {
	if n, ok := d.matchNSEC3(name); ok {
		if n.Types.Has(dns.TypeNXNAME) {
			return NoName
		}
		return Unproved
	}
	e, ok := d.enclose(name)
	if !ok {
		return d.give()
	}
	if wildcard, err := e.encloser.Child("*"); err == nil {
		if _, ok := d.coverNSEC3(wildcard); !ok {
			return d.give()
		}
	}
	return e.provedBut()
}

// noHashedType: RFC 5155 §8.5 to §8.7. An empty name above nothing but unsigned
// delegations has no record either where the zone opts out (§7.1), so that other
// types than DS are like DS then.
func (d *Denial) noHashedType(name dns.Name, t dns.Type) Proof {
	if n, ok := d.matchNSEC3(name); ok {
		return denies(n.Types, t, name)
	}
	e, ok := d.enclose(name)
	if !ok {
		return d.give()
	}
	if wildcard, err := e.encloser.Child("*"); err == nil {
		if n, ok := d.matchNSEC3(wildcard); ok {
			if p := denies(n.Types, t, wildcard); p != Proved {
				return p
			}
			return e.provedBut()
		}
	}
	if e.optOut {
		return OptOut
	}
	return d.give()
}

// hashedExpandable: the signature says which name is the closest encloser; that it
// exists needs no proof, as the wildcard below it does.
func (d *Denial) hashedExpandable(name dns.Name, labels int) Proof {
	above := name.NumLabels() - labels - 1
	if len(d.nsec3) == 0 || above < 0 || !name.IsSubdomainOf(d.zone) || labels < d.zone.NumLabels() {
		return d.give()
	}
	n, ok := d.coverNSEC3(name.Ancestor(above))
	if !ok {
		return d.give()
	}
	return enclosure{optOut: n.Flags&dns.NSEC3OptOut != 0}.provedBut()
}
