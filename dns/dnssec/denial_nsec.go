package dnssec

import "onoma/dns"

// addNSEC takes a record whose owner and next name are in the zone: a next name
// elsewhere would span names of others.
func (d *Denial) addNSEC(owner dns.Name, rd dns.RData) {
	n, err := dns.ParseNSEC(rd)
	if err == nil && owner.IsSubdomainOf(d.zone) && n.Next.IsSubdomainOf(d.zone) {
		d.nsec = append(d.nsec, nsecOf{owner, n})
	}
}

func (d *Denial) matchNSEC(name dns.Name) (nsecOf, bool) {
	for _, n := range d.nsec {
		if n.owner.Equal(name) {
			return n, true
		}
	}
	return nsecOf{}, false
}

// coverNSEC returns the record that spans name. Names below a delegation or a
// DNAME are none of the record's (RFC 6840 §4.1, RFC 6672 §5.3.4.1).
func (d *Denial) coverNSEC(name dns.Name) (nsecOf, bool) {
	for _, n := range d.nsec {
		if n.spans(name) && (!name.IsSubdomainOf(n.owner) || !isCut(n.Types) && !n.Types.Has(dns.TypeDNAME)) {
			return n, true
		}
	}
	return nsecOf{}, false
}

// spans: the last record's next name is the apex, which is before all others.
func (n nsecOf) spans(name dns.Name) bool {
	if n.owner.Compare(name) >= 0 {
		return false
	}
	return name.Compare(n.Next) < 0 || n.Next.Compare(n.owner) <= 0
}

// isEmpty reports whether the record that spans name shows that it exists without
// records, as something below it does (RFC 8020 §2).
func (n nsecOf) isEmpty(name dns.Name) bool { return n.Next.IsSubdomainOf(name) }

// encloser returns the closest name above name that exists, by the record that
// spans name.
func (n nsecOf) encloser(name dns.Name) dns.Name {
	a, b := name.CommonAncestor(n.owner), name.CommonAncestor(n.Next)
	if a.NumLabels() > b.NumLabels() {
		return a
	}
	return b
}

// absent returns the closest encloser of a name that does not exist.
func (d *Denial) absent(name dns.Name) (encloser dns.Name, ok bool) {
	n, ok := d.coverNSEC(name)
	if !ok || n.isEmpty(name) || !name.IsSubdomainOf(d.zone) {
		return dns.Name{}, false
	}
	return n.encloser(name), true
}

// noName: RFC 4035 §5.4: neither the name nor the wildcard that could stand for it.
func (d *Denial) noName(name dns.Name) Proof {
	if n, ok := d.matchNSEC(name); ok {
		if n.Types.Has(dns.TypeNXNAME) {
			return NoName
		}
		return Unproved
	}
	encloser, ok := d.absent(name)
	if !ok {
		return Unproved
	}
	wildcard, err := encloser.Child("*")
	if err != nil { // too long to exist
		return Proved
	}
	if _, ok := d.absent(wildcard); !ok {
		return Unproved
	}
	return Proved
}

// noType: RFC 4035 §5.4: a record of the name itself, an empty name, or the record
// of the wildcard together with the proof that the name does not exist.
func (d *Denial) noType(name dns.Name, t dns.Type) Proof {
	if n, ok := d.matchNSEC(name); ok {
		return denies(n.Types, t, name)
	}
	if n, ok := d.coverNSEC(name); ok && n.isEmpty(name) {
		return Proved
	}
	encloser, ok := d.absent(name)
	if !ok {
		return Unproved
	}
	wildcard, err := encloser.Child("*")
	if err != nil {
		return Unproved
	}
	n, ok := d.matchNSEC(wildcard)
	if ok {
		return denies(n.Types, t, wildcard)
	}
	if n, ok = d.coverNSEC(wildcard); ok && n.isEmpty(wildcard) {
		return Proved
	}
	return Unproved
}

func (d *Denial) expandable(name dns.Name, labels int) Proof {
	encloser, ok := d.absent(name)
	if !ok || encloser.NumLabels() != labels {
		return Unproved
	}
	return Proved
}
