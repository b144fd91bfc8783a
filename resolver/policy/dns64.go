package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"onoma/dns"
)

// WellKnownPrefix is the prefix of RFC 6052 §2.1.
var WellKnownPrefix = netip.MustParsePrefix("64:ff9b::/96")

// DNS64 makes IPv6 addresses out of IPv4 addresses (RFC 6147). It is immutable.
type DNS64 struct {
	prefixes []netip.Prefix
	exclude  *Table[struct{}]
	skip     *Table[struct{}]
}

// DNS64Options say which addresses are made.
type DNS64Options struct {
	Prefixes []netip.Prefix // of the translators; each gives an address
	Exclude  []netip.Prefix // of AAAA records that count as if they were not there (RFC 6147 §5.1.4); ::ffff:0:0/96 always does
	Skip     []netip.Prefix // of A records that no address is made from, such as those of the own network
}

// NewDNS64 checks the options.
func NewDNS64(o DNS64Options) (*DNS64, error) {
	if len(o.Prefixes) == 0 {
		return nil, errors.New("dns64 without a prefix, expected one such as 64:ff9b::/96")
	}
	for _, p := range o.Prefixes {
		// RFC 6052 §2.2: these lengths, and octet 8 is zero.
		if !p.IsValid() || !p.Addr().Is6() || !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()) || p != p.Masked() || p.Addr().As16()[8] != 0 {
			return nil, fmt.Errorf("dns64 prefix %v, expected IPv6 with a length of 32, 40, 48, 56, 64 or 96, no bits behind it and bits 64 to 71 zero", p)
		}
	}
	exclude := append(slices.Clone(o.Exclude), netip.MustParsePrefix("::ffff:0:0/96"))
	d := &DNS64{prefixes: slices.Clone(o.Prefixes)}
	var err error
	if d.exclude, err = setOf(exclude); err != nil {
		return nil, fmt.Errorf("dns64: excluded prefixes: %w", err)
	}
	if d.skip, err = setOf(o.Skip); err != nil {
		return nil, fmt.Errorf("dns64: prefixes to skip: %w", err)
	}
	return d, nil
}

// setOf makes a table that only says whether an address lies in one of the prefixes, which may be there twice.
func setOf(list []netip.Prefix) (*Table[struct{}], error) {
	t := &Table[struct{}]{values: make([]struct{}, 1)}
	for _, p := range list {
		if !p.IsValid() {
			return nil, fmt.Errorf("prefix %v, expected one such as 192.0.2.0/24", p)
		}
		t.prefixes.add(p, 0)
	}
	t.prefixes.compile(func(first, _ uint32) uint32 { return first })
	return t, nil
}

// holds says whether an address lies in one of the prefixes, as it stands: a mapped address is one of IPv6.
func (t *Table[T]) holds(a netip.Addr) bool {
	return t != nil && a.IsValid() && t.prefixes.find(a.WithZone("")) != nil
}

// Embed returns the address that stands for an IPv4 address behind the translator of a prefix (RFC 6052 §2.2), whose length must be
// one that RFC has.
func Embed(p netip.Prefix, v4 netip.Addr) netip.Addr {
	out, four := p.Addr().As16(), v4.As4()
	at := p.Bits() / 8
	for _, octet := range four {
		if at == 8 { // bits 64 to 71 are zero
			at++
		}
		out[at] = octet
		at++
	}
	return netip.AddrFrom16(out)
}

// extract is the other way round. What stands behind the IPv4 address is passed over (RFC 6052 §2.2: "ignored on reception").
func extract(p netip.Prefix, v6 netip.Addr) netip.Addr {
	in := v6.As16()
	var four [4]byte
	at := p.Bits() / 8
	for i := range four {
		if at == 8 {
			at++
		}
		four[i] = in[at]
		at++
	}
	return netip.AddrFrom4(four)
}

// Embedded returns the IPv4 address within an address that one of the prefixes made.
func (d *DNS64) Embedded(v6 netip.Addr) (v4 netip.Addr, ok bool) {
	if d == nil {
		return netip.Addr{}, false
	}
	for _, p := range d.prefixes {
		if p.Contains(v6) {
			return extract(p, v6), true
		}
	}
	return netip.Addr{}, false
}

// Applies says whether a question is one for DNS64: AAAA, and not from a validator of its own (RFC 6147 §5.5: DO and CD).
func (d *DNS64) Applies(q dns.Question, do, cd bool) bool {
	return d != nil && q.Type == dns.TypeAAAA && q.Class == dns.ClassIN && !(do && cd)
}

// WantsA says whether the answer to an AAAA question leaves the A records to be asked for: it has no AAAA that counts
// (RFC 6147 §5.1.1, §5.1.4), and the name is not said not to exist (§5.1.2). An error counts as an empty answer (§5.1.3).
func (d *DNS64) WantsA(rcode dns.RCode, answer []dns.Record) bool {
	return rcode != dns.RCodeNXDomain && !slices.ContainsFunc(answer, func(r dns.Record) bool { return r.Type == dns.TypeAAAA && !d.isExcluded(r) })
}

func (d *DNS64) isExcluded(r dns.Record) bool {
	a, ok := r.Data.Addr(r.Type)
	return ok && d.exclude.holds(a)
}

// Keep returns an AAAA answer without the records that do not count (RFC 6147 §5.1.4); answer itself where all do.
// The signatures of what is no longer whole go with it.
func (d *DNS64) Keep(answer []dns.Record) []dns.Record {
	kept, _ := without(answer, func(r dns.Record) bool { return r.Type == dns.TypeAAAA && d.isExcluded(r) })
	return kept
}

// noSOATTL is the longest that a synthetic record lives where the empty answer had no SOA (RFC 6147 §5.1.7).
const noSOATTL = 600

// Synthesize returns the answer to an AAAA question out of the answer to the A question and the authority section of the
// empty AAAA answer. Aliases stay, signatures do not: they are not over this (RFC 6147 §5.5). Without an A record to make
// something from it returns nil, and the empty answer stands (§5.1.6).
func (d *DNS64) Synthesize(a, authority []dns.Record) []dns.Record {
	ttl := negativeTTL(authority)
	var out []dns.Record
	made := false
	for _, r := range a {
		switch r.Type {
		case dns.TypeCNAME, dns.TypeDNAME:
			out = append(out, r)
		case dns.TypeA:
			v4, ok := r.Data.Addr(r.Type)
			if !ok || d.skip.holds(v4) {
				continue
			}
			made = true
			for _, p := range d.prefixes {
				t, data := dns.NewAddr(Embed(p, v4))
				out = append(out, dns.Record{Name: r.Name, Type: t, Class: r.Class, TTL: min(r.TTL, ttl), Data: data})
			}
		}
	}
	if !made {
		return nil
	}
	return out
}

// negativeTTL is how long it holds that there is no AAAA record (RFC 2308 §5).
func negativeTTL(authority []dns.Record) uint32 {
	for _, r := range authority {
		if r.Type == dns.TypeSOA {
			return min(r.TTL, dns.SOAMinimum(r.Data))
		}
	}
	return noSOATTL
}

var (
	ipv4Only      = dns.MustName("ipv4only.arpa.")
	ipv4OnlyAddrs = [...]netip.Addr{netip.MustParseAddr("192.0.0.170"), netip.MustParseAddr("192.0.0.171")}
	ip6Arpa       = dns.MustName("ip6.arpa.")
)

const ipv4OnlyTTL = 86400 // seconds

// Special answers what a DNS64 answers by itself: ipv4only.arpa with what clients find the prefixes by (RFC 7050, RFC 8880 §7.1),
// the reverse names of its addresses, and PTR questions for addresses that it made, by an alias to the name below in-addr.arpa
// (RFC 6147 §5.3.1).
func (d *DNS64) Special(q dns.Question) (reply Reply, ok bool) {
	if d == nil || q.Class != dns.ClassIN {
		return Reply{}, false
	}
	if q.Name.IsSubdomainOf(ipv4Only) {
		return d.ipv4Only(q), true
	}
	if !q.Name.IsSubdomainOf(ip6Arpa) || q.Type != dns.TypePTR {
		return Reply{}, false
	}
	v6, isWhole := parseReverse6(q.Name)
	if !isWhole {
		return Reply{}, false
	}
	v4, ok := d.Embedded(v6)
	if !ok {
		return Reply{}, false
	}
	record := dns.Record{Name: q.Name, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: noSOATTL}
	if slices.Contains(ipv4OnlyAddrs[:], v4) {
		record.Type, record.Data = dns.TypePTR, dns.NewTarget(ipv4Only)
		return Reply{Action: Data, Answer: []dns.Record{record}}, true
	}
	target := reverse4(v4)
	record.Data = dns.NewTarget(target)
	return Reply{Action: Data, Answer: []dns.Record{record}, Follow: target}, true
}

func (d *DNS64) ipv4Only(q dns.Question) Reply {
	if q.Name.Len() != ipv4Only.Len() {
		return Reply{Action: NXDomain, RCode: dns.RCodeNXDomain}
	}
	var a []dns.Record
	for _, addr := range ipv4OnlyAddrs {
		t, data := dns.NewAddr(addr)
		a = append(a, dns.Record{Name: q.Name, Type: t, Class: dns.ClassIN, TTL: ipv4OnlyTTL, Data: data})
	}
	switch q.Type {
	case dns.TypeA:
		return Reply{Action: Data, Answer: a}
	case dns.TypeAAAA:
		made := (&DNS64{prefixes: d.prefixes}).Synthesize(a, nil) // whatever is skipped: this tells the prefixes
		return Reply{Action: Data, Answer: made}
	}
	return Reply{Action: NoData}
}

// reverse4 returns the name of an IPv4 address's PTR record (RFC 1035 §3.5).
func reverse4(a netip.Addr) dns.Name {
	var text []byte
	for _, octet := range slices.Backward(a.AsSlice()) {
		text = strconv.AppendUint(text, uint64(octet), 10)
		text = append(text, '.')
	}
	return dns.MustName(string(text) + "in-addr.arpa.")
}

// parseReverse6 reads the name of an IPv6 address's PTR record (RFC 3596 §2.5).
func parseReverse6(name dns.Name) (a netip.Addr, ok bool) {
	if name.NumLabels() != 34 || !name.IsSubdomainOf(ip6Arpa) {
		return netip.Addr{}, false
	}
	var out [16]byte
	wire := name.Wire()
	for i := range 32 {
		nibble, err := strconv.ParseUint(wire[2*i+1:2*i+2], 16, 4)
		if wire[2*i] != 1 || err != nil {
			return netip.Addr{}, false
		}
		out[15-i/2] |= byte(nibble) << (4 * (i % 2))
	}
	return netip.AddrFrom16(out), true
}
