package delegation

import (
	"net/netip"
	"slices"

	"onoma/dns"
)

// nameOf returns the name server that NS rdata names.
func nameOf(data []byte) dns.Name {
	n, err := dns.NameFromWire(data)
	if err != nil {
		return dns.Root
	}
	return n
}

// rdataOf returns the sorted rdata of records of one type.
func rdataOf(records []dns.Record) []dns.RData {
	var out []dns.RData
	for _, r := range records {
		out = append(out, r.Data)
	}
	if len(out) > 0 {
		slices.SortFunc(out, func(a, b dns.RData) int { return dns.CompareCanonicalRData(records[0].Type, a, b) })
	}
	return out
}

// glueFor returns the addresses of one type that a host has.
func glueFor(glue []dns.Record, host dns.Name, t dns.Type) []dns.Record {
	var out []dns.Record
	for _, r := range glue {
		if r.Type == t && r.Name.Equal(host) {
			out = append(out, r)
		}
	}
	return out
}

// sameRecords compares sets of records; order and TTLs aside.
func sameRecords(a, b []dns.Record) bool {
	has := func(list []dns.Record, r dns.Record) bool {
		return slices.ContainsFunc(list, func(o dns.Record) bool {
			return o.Type == r.Type && o.Name.Equal(r.Name) && dns.EqualRData(r.Type, o.Data, r.Data)
		})
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, func(r dns.Record) bool { return !has(b, r) })
}

// wasAsked says whether an address is one of those that were asked.
func wasAsked(servers []seen, a netip.Addr) bool {
	return slices.ContainsFunc(servers, func(s seen) bool { return s.addr == a })
}
