package local

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// Designation is a way to reach a resolver that is encrypted (RFC 9461, 9462).
type Designation struct {
	ALPN  []string // as dot, doq, h2 and h3
	Port  uint16
	Path  string // of the URI template over HTTPS, as /dns-query
	Addrs []netip.Addr
}

// discoveryTTL is that of what a resolver says about itself: listeners change.
const discoveryTTL = 300

var (
	resolverArpa = dns.MustName("resolver.arpa.")
	ddrName      = dns.MustName("_dns.resolver.arpa.")
	dnsLabel     = []byte("\x04_dns")
)

// Discovery answers what clients ask a resolver about itself: by which encrypted
// transports it can be reached (RFC 9462), and what it does (RFC 9606). It is
// immutable.
type Discovery struct {
	answers map[discoveryKey]*Answer
}

type discoveryKey struct {
	name string // folded wire form
	typ  dns.Type
}

// NewDiscovery returns the answers of a resolver that is reached by those ways, the
// best first, and proves to have one of the names; info are the properties that
// RESINFO has. A name is needed to be designated.
func NewDiscovery(names []dns.Name, ways []Designation, info []string) *Discovery {
	d := &Discovery{answers: map[discoveryKey]*Answer{}}
	for i, name := range names {
		owners := []dns.Name{}
		if own, err := dns.NameFromWire(append(slices.Clone(dnsLabel), name.Wire()...)); err == nil {
			owners = append(owners, own)
		}
		if i == 0 {
			owners = append(owners, ddrName)
		}
		for _, owner := range owners {
			if a := designate(owner, name, ways); a != nil {
				d.answers[discoveryKey{owner.Fold().Wire(), dns.TypeSVCB}] = a
			}
		}
	}
	if len(info) == 0 {
		return d
	}
	var data dns.RData
	for _, property := range info {
		property = property[:min(len(property), 255)]
		data = append(append(data, byte(len(property))), property...)
	}
	for _, owner := range append(slices.Clone(names), resolverArpa) {
		q := dns.Question{Name: owner, Type: dns.TypeRESINFO}
		a := positive(q, data)
		a.TTL, a.Sets[0].TTL = discoveryTTL, discoveryTTL
		d.answers[discoveryKey{owner.Fold().Wire(), dns.TypeRESINFO}] = a
	}
	return d
}

// designate makes the SVCB records of owner, which lead to name, with its addresses
// beside them: who has just found a resolver may have nobody to ask for these.
func designate(owner, name dns.Name, ways []Designation) *Answer {
	a := &Answer{TTL: discoveryTTL, Sets: []cache.RRset{{Name: owner, Type: dns.TypeSVCB, TTL: discoveryTTL}}}
	var v4, v6 []dns.RData
	for i, w := range ways {
		a.Sets[0].Data = append(a.Sets[0].Data, w.record(uint16(i+1), name))
		for _, addr := range w.Addrs {
			list := &v4
			if addr.Is6() {
				list = &v6
			}
			if data := dns.RData(addr.AsSlice()); !slices.ContainsFunc(*list, func(d dns.RData) bool { return string(d) == string(data) }) {
				*list = append(*list, data)
			}
		}
	}
	if len(ways) == 0 {
		return nil
	}
	for _, set := range []cache.RRset{{Type: dns.TypeA, Data: v4}, {Type: dns.TypeAAAA, Data: v6}} {
		if set.Name, set.TTL = name, discoveryTTL; len(set.Data) > 0 {
			a.Additional = append(a.Additional, set)
		}
	}
	return a
}

// record is the rdata of one SVCB record: its parameters in the order of their keys
// (RFC 9460 §2.2), the port where it is not that of the transport (RFC 9461 §4.2).
func (w *Designation) record(priority uint16, target dns.Name) dns.RData {
	be := binary.BigEndian
	data := be.AppendUint16(nil, priority)
	data = target.Append(data)
	param := func(key dns.SvcKey, value []byte) {
		if len(value) > 0 {
			data = be.AppendUint16(be.AppendUint16(data, uint16(key)), uint16(len(value)))
			data = append(data, value...)
		}
	}
	var alpn, v4, v6 []byte
	for _, id := range w.ALPN {
		alpn = append(append(alpn, byte(len(id))), id...)
	}
	for _, a := range w.Addrs {
		if a.Is4() {
			v4 = append(v4, a.AsSlice()...)
		} else {
			v6 = append(v6, a.AsSlice()...)
		}
	}
	param(dns.SvcALPN, alpn)
	if standard := map[bool]uint16{false: 853, true: 443}[w.Path != ""]; w.Port != standard {
		param(dns.SvcPort, be.AppendUint16(nil, w.Port))
	}
	param(dns.SvcIPv4Hint, v4)
	param(dns.SvcIPv6Hint, v6)
	if w.Path != "" {
		param(dns.SvcDoHPath, []byte(w.Path+"{?dns}"))
	}
	return data
}

// Answer answers q if it is one of these questions, else it returns nil.
func (d *Discovery) Answer(q dns.Question) *Answer {
	if d == nil || q.Class != dns.ClassIN || q.Type != dns.TypeSVCB && q.Type != dns.TypeRESINFO {
		return nil
	}
	return d.answers[discoveryKey{q.Name.Fold().Wire(), q.Type}]
}
