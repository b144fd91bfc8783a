package policy

import (
	"fmt"
	"net/netip"

	"onoma/dns"
)

// PrivateNetworks are the addresses that a name of the internet has no business with: this host (RFC 1122), private (RFC 1918, RFC 4193),
// shared (RFC 6598), loopback, link-local (RFC 3927, RFC 4291).
var PrivateNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("::/128"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// Rebinding keeps names of the internet from leading into the own network, which would let a page that a browser has loaded from
// there talk to the machines here. It is immutable; nil keeps nothing away.
type Rebinding struct {
	private *Table[struct{}]
	allowed names
	nat64   *DNS64
}

// RebindingOptions say what is kept away.
type RebindingOptions struct {
	Private []netip.Prefix // nil: PrivateNetworks
	Allowed []dns.Name     // names that may have such addresses, and all below them
	NAT64   *DNS64         // whose addresses are judged by the IPv4 address within; nil: those of 64:ff9b::/96
}

// NewRebinding checks the options.
func NewRebinding(o RebindingOptions) (*Rebinding, error) {
	if o.Private == nil {
		o.Private = PrivateNetworks
	}
	private, err := setOf(o.Private)
	if err != nil {
		return nil, fmt.Errorf("private networks: %w", err)
	}
	r := &Rebinding{private: private, allowed: newNames(), nat64: o.NAT64}
	if r.nat64 == nil {
		r.nat64 = &DNS64{prefixes: []netip.Prefix{WellKnownPrefix}}
	}
	for _, n := range o.Allowed {
		if n.IsZero() {
			return nil, fmt.Errorf("allowed names: a name is missing")
		}
		values, err := r.allowed.add([]byte(n.Fold().Wire()))
		if err != nil {
			return nil, err
		}
		values[0], values[4] = 1, 1
	}
	r.allowed.compile()
	return r, nil
}

// Keep returns records without those that lead into the own network: A, AAAA, and SVCB and HTTPS by their hints. Where there are
// none it returns records itself and does not allocate. Signatures over sets that are no longer whole go, too.
func (r *Rebinding) Keep(records []dns.Record) (kept []dns.Record, removed int) {
	if r == nil {
		return records, 0
	}
	return without(records, r.isPrivate)
}

func (r *Rebinding) isPrivate(record dns.Record) bool {
	switch record.Type {
	case dns.TypeA, dns.TypeAAAA:
		a, ok := record.Data.Addr(record.Type)
		return ok && r.holds(a) && !r.allows(record.Name)
	case dns.TypeSVCB, dns.TypeHTTPS:
		s, err := dns.ParseSVCB(record.Data)
		if err != nil {
			return true // what cannot be read cannot be judged
		}
		for _, a := range s.Hints() {
			if r.holds(a) {
				return !r.allows(record.Name)
			}
		}
	}
	return false
}

// holds says whether an address, or the IPv4 address that it stands for, is private.
func (r *Rebinding) holds(a netip.Addr) bool {
	if r.private.holds(a) || a.Is4In6() && r.private.holds(a.Unmap()) {
		return true
	}
	v4, ok := r.nat64.Embedded(a)
	return ok && r.private.holds(v4)
}

func (r *Rebinding) allows(name dns.Name) bool {
	var buf [256]byte
	folded := append(buf[:0], name.Wire()...)
	dns.FoldName(folded)
	value, _, _ := r.allowed.nearest(folded)
	return value != 0
}

// without returns records without those that are out, and without the signatures over the sets that they were of.
func without(records []dns.Record, out func(dns.Record) bool) (kept []dns.Record, removed int) {
	for _, r := range records {
		if out(r) {
			removed++
		}
	}
	if removed == 0 {
		return records, 0
	}
	kept = make([]dns.Record, 0, len(records)-removed)
	broken := make([]dns.Record, 0, removed)
	for _, r := range records {
		if out(r) {
			broken = append(broken, r)
		} else {
			kept = append(kept, r)
		}
	}
	all := kept
	kept = kept[:0]
	for _, r := range all {
		if !isSignatureOver(r, broken) {
			kept = append(kept, r)
		}
	}
	return kept, removed
}

func isSignatureOver(r dns.Record, broken []dns.Record) bool {
	if r.Type != dns.TypeRRSIG {
		return false
	}
	for _, b := range broken {
		if dns.SigCovers(r.Data) == b.Type && r.Name.Equal(b.Name) {
			return true
		}
	}
	return false
}
