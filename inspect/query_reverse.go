package inspect

import (
	"net/netip"
	"strconv"

	"onoma/dns"
)

const hexDigits = "0123456789abcdef"

// ReverseName returns the name under which an address is found: its octets below
// in-addr.arpa (RFC 1035 §3.5), or its nibbles below ip6.arpa (RFC 3596 §2.5).
func ReverseName(a netip.Addr) dns.Name {
	a = a.Unmap()
	var labels []string
	top := "in-addr.arpa."
	if a.Is4() {
		for _, o := range a.AsSlice() {
			labels = append(labels, strconv.Itoa(int(o)))
		}
	} else {
		top = "ip6.arpa."
		for _, o := range a.AsSlice() {
			labels = append(labels, hexDigits[o>>4:o>>4+1], hexDigits[o&15:o&15+1])
		}
	}
	text := ""
	for _, l := range labels {
		text = l + "." + text
	}
	return dns.MustName(text + top)
}
