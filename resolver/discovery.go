package resolver

import (
	"strings"

	"onoma/dns"
	"onoma/resolver/local"
)

// Designation is an encrypted way to reach the resolver.
type Designation = local.Designation

// errorCodes are the extended errors that clients are told of (RFC 9606 §5).
const errorCodes = "exterr=0-15,18-23,25,27,30,33"

// Designate tells clients that ask for it by which encrypted transports the resolver
// can be reached (RFC 9462), the best first, and as whom it then proves itself; and
// what it does, in its RESINFO record (RFC 9606). It takes the place of what was
// told before. Names with an asterisk, and addresses, are passed over.
func (r *Resolver) Designate(names []string, ways []Designation) {
	var own []dns.Name
	for _, text := range names {
		n, err := dns.ParseName(strings.TrimSuffix(text, ".") + ".")
		if err == nil && !n.IsRoot() && !n.IsWildcard() {
			own = append(own, n)
		}
	}
	var info []string
	if !r.cfg.NoMinimise {
		info = append(info, "qnamemin")
	}
	info = append(info, errorCodes)
	if r.cfg.InfoURL != "" {
		info = append(info, "infourl="+r.cfg.InfoURL)
	}
	r.discovery.Store(local.NewDiscovery(own, ways, info))
	r.messages.FlushAll()
}
