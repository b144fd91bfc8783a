package zone

import (
	"net/netip"
	"strings"

	"onoma/dns"
)

// The checks of this file are about the names that records lead to.

// ns checks an NS set. For the apex it is an error that a name server has no
// address, since the zone could not be reached; for a delegation a warning.
func (c *checker) ns(n Node, rel, slot []byte) {
	if isWild(rel) {
		c.report(Error, n, dns.TypeNS, "wildcard-ns", "a wildcard cannot be delegated (RFC 4592 §4.2)", "delegate each name")
	}
	if c.alone {
		c.servers(n, n.read(slot))
		return
	}
	fine, mask := c.fineAt(le.Uint32(slot[slotHead:]))
	if *fine&mask == 0 && c.servers(n, n.read(slot)) {
		*fine |= mask
	}
}

// servers checks the hosts of an NS set, and reports whether nothing is wrong with
// them wherever the set stands.
func (c *checker) servers(n Node, set RRset) bool {
	clean := true
	for i, off := 0, 0; off < len(set.packed); i++ {
		var target []byte
		target, off = rdataAt(set.packed, off)
		clean = c.hostTarget(n, dns.TypeNS, target) && clean
		if set.hosts == nil {
			continue
		}
		id := le.Uint32(set.hosts[4*i:])
		if _, ok := c.v.host(id); id != 0 && !ok {
			clean = c.nsAddress(n, target) && clean
		}
	}
	return clean
}

// fineAt returns the word and the bit of fine for the shared block at ref.
func (c *checker) fineAt(ref uint32) (word *uint64, mask uint64) {
	chunk, unit := int(ref>>16), ref&0xFFFF
	for len(c.fine) <= chunk {
		c.fine = append(c.fine, nil)
	}
	if c.fine[chunk] == nil {
		c.fine[chunk] = new([1024]uint64)
	}
	return &c.fine[chunk][unit/64], 1 << (unit % 64)
}

// findFine notes which of the NS sets in blocks have nothing wrong with them, as
// far as that shows without looking further than at their hosts. It looks at
// several at a time, so that the memory of one host need not be waited for before
// that of the next is asked for.
func (c *checker) findFine(blocks []uint32) {
	const together = 32
	touch := byte(0)
	for len(blocks) > 0 {
		some := blocks[:min(together, len(blocks))]
		blocks = blocks[len(some):]
		for _, block := range some {
			_, hosts, _ := readShared(c.v.sp.At(block))
			for ; len(hosts) > 0; hosts = hosts[4:] {
				if id := le.Uint32(hosts); id != 0 {
					touch += c.v.sp.At(c.v.hosts.at(id))[0]
				}
			}
		}
		for _, block := range some {
			if c.isFine(block) {
				fine, mask := c.fineAt(block)
				*fine |= mask
			}
		}
	}
	c.touch = touch
}

// isFine reports whether all name servers of a shared block are hosts by their
// names, and have addresses where they lie in the zone.
func (c *checker) isFine(block uint32) bool {
	set, hosts, _ := readShared(c.v.sp.At(block))
	for i, off := 0, 0; off < len(set.packed); i++ {
		var target []byte
		target, off = rdataAt(set.packed, off)
		if c.looksLikeAddress(target) || !isHostName(target, false) {
			return false
		}
		if hosts == nil {
			continue
		}
		id := le.Uint32(hosts[4*i:])
		if _, ok := c.v.host(id); id != 0 && !ok {
			return false
		}
	}
	return true
}

// nsAddress says why a name server in the zone has no addresses under its own
// name, and reports whether it is in order all the same, wherever the NS set stands.
func (c *checker) nsAddress(n Node, target []byte) bool {
	severity, inDomain := Warning, dns.IsSubdomain(target, n.AppendName(nil))
	if n.IsApex() {
		severity = Error
	}
	server := nameText(target)
	switch c.address(target) {
	case addressFound:
		return true
	case addressAlias:
		if !n.IsApex() && inDomain {
			break
		}
		c.report(severity, n, dns.TypeNS, "ns-is-cname", "the name server "+server+" is an alias (RFC 2181 §10.3)", "name the host that the alias leads to")
		return false
	case addressDNAME:
		c.report(severity, n, dns.TypeNS, "ns-below-dname", "the name server "+server+" is below a DNAME (RFC 2181 §10.3)", "name a host that has addresses")
		return false
	case addressBelow:
		if n.IsApex() {
			return false // in order here, since the zone that it is in answers; a delegation would need glue
		}
		if !inDomain {
			c.report(Warning, n, dns.TypeNS, "no-sibling-glue", "the name server "+server+" is below another delegation and has no address here", "add its A and AAAA records as glue")
			return false
		}
	case addressNone:
		if n.IsApex() || !inDomain {
			c.report(severity, n, dns.TypeNS, "ns-without-address", "the name server "+server+" has no address", "add its A or AAAA records, or name another host")
			return false
		}
	}
	c.report(Warning, n, dns.TypeNS, "no-glue", "the name server "+server+" is below the delegation and has no address here, so nobody can find it (RFC 9471 §2.1)", "add its A and AAAA records as glue")
	return false
}

func (c *checker) mx(n Node, set RRset) {
	for rd := range set.RData() {
		// RFC 7505 §3: "." means that there is no mail, and is the only one then.
		if rd[2] == 0 && set.Count() > 1 {
			c.report(Warning, n, dns.TypeMX, "null-mx", "an exchange \".\" beside others (RFC 7505 §3)", "remove it or the others")
		}
	}
	c.targets(n, set)
}

// targets checks the hosts of MX and SRV.
func (c *checker) targets(n Node, set RRset) {
	c.targetNames(n, set)
	for rd := range set.RData() {
		target := dns.TargetWire(set.Type(), rd)
		if len(target) <= 1 || !c.v.has(target) {
			continue
		}
		host := nameText(target)
		switch c.address(target) {
		case addressAlias:
			c.report(Warning, n, set.Type(), "target-is-cname", "the host "+host+" is an alias (RFC 2181 §10.3)", "name the host that the alias leads to")
		case addressDNAME:
			c.report(Warning, n, set.Type(), "target-below-dname", "the host "+host+" is below a DNAME (RFC 2181 §10.3)", "name a host that has addresses")
		case addressNone:
			c.report(Warning, n, set.Type(), "target-without-address", "the host "+host+" has no address", "add its A or AAAA records, or name another host")
		}
	}
}

// targetNames checks that records lead to names of hosts.
func (c *checker) targetNames(n Node, set RRset) {
	for rd := range set.RData() {
		c.hostTarget(n, set.Type(), dns.TargetWire(set.Type(), rd))
	}
}

// hostTarget checks that a target is the name of a host, and not an address.
func (c *checker) hostTarget(n Node, t dns.Type, target []byte) bool {
	switch {
	case c.looksLikeAddress(target):
		c.report(Warning, n, t, "target-is-address", "the host "+nameText(target)+" looks like an address", "name a host that has this address")
	case !isHostName(target, false):
		c.report(Warning, n, t, "bad-host-name", nameText(target)+" is not the name of a host (RFC 1123 §2.1)", "use letters, digits and hyphens")
	default:
		return true
	}
	return false
}

// looksLikeAddress reports whether name is an IPv4 address, as it stands or with
// the origin that a missing final dot puts behind it.
func (c *checker) looksLikeAddress(name []byte) bool {
	if len(name) < 2 || name[1] < '0' || name[1] > '9' {
		return false
	}
	if c.v.has(name) && !c.reverse {
		name = c.v.relative(name)
	}
	var buf []byte
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		buf = append(append(buf, name[i+1:i+1+int(name[i])]...), '.')
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(string(buf), "."))
	return err == nil && addr.Is4()
}

// hostOwner warns of addresses and mail at names that are not of hosts.
func (c *checker) hostOwner(n Node, rel []byte, t dns.Type) {
	if isHostName(rel, true) || isGlobalCatalog(rel) {
		return
	}
	c.report(Warning, n, t, "bad-owner-name", "the owner is not the name of a host (RFC 1123 §2.1)", "use letters, digits and hyphens")
}

// isGlobalCatalog reports whether rel is gc._msdcs or below, where Windows
// domains keep addresses.
func isGlobalCatalog(rel []byte) bool {
	const prefix = "\x02gc\x06_msdcs"
	var buf [len(prefix)]byte
	return len(rel) >= len(prefix) && string(dns.AppendFolded(buf[:0], rel[:len(prefix)])) == prefix
}

// isHostName reports whether all labels of name are of letters, digits and
// inner hyphens (RFC 952, RFC 1123 §2.1); with wild the first may be an asterisk.
// The name may be relative.
func isHostName(name []byte, wild bool) bool {
	if wild && isWild(name) {
		name = name[2:]
	}
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		label := name[i+1 : i+1+int(name[i])]
		for j, ch := range label {
			inner := j > 0 && j < len(label)-1
			if !isAlnum[ch] && (ch != '-' || !inner) {
				return false
			}
		}
	}
	return true
}

var isAlnum = func() (t [256]bool) {
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

func nameText(wire []byte) string {
	n, _ := dns.NameFromWire(wire)
	return n.String()
}
