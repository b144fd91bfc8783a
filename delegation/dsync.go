package delegation

import (
	"fmt"

	"onoma/dns"
)

// Endpoint is where children tell of new CDS and CSYNC records by NOTIFY (RFC 9859).
type Endpoint struct {
	Target dns.Name
	Port   uint16 // 0: 53
	TTL    uint32 // 0: an hour
}

// dsyncTTL is the TTL of such records.
const dsyncTTL = 3600

// DSYNC returns the records that a parent with the policy publishes of its endpoint: under
// the wildcard, which stands for all children (RFC 9859 §3), for each type that the policy
// takes.
func (p *Policy) DSYNC(parent dns.Name, e Endpoint) ([]dns.Record, error) {
	owner, err := parent.Child("_dsync")
	if err == nil {
		owner, err = owner.Child("*")
	}
	if err != nil {
		return nil, fmt.Errorf("the name *._dsync.%s: %w", parent, err)
	}
	if e.Port == 0 {
		e.Port = 53
	}
	if e.TTL == 0 {
		e.TTL = dsyncTTL
	}
	var out []dns.Record
	for _, side := range []struct {
		taken bool
		t     dns.Type
	}{{p.DS, dns.TypeCDS}, {p.CSYNC, dns.TypeCSYNC}} {
		if side.taken {
			data := dns.DSYNC{Type: side.t, Scheme: dns.DSYNCNotify, Port: e.Port, Target: e.Target}.RData()
			out = append(out, dns.Record{Name: owner, Type: dns.TypeDSYNC, Class: dns.ClassIN, TTL: e.TTL, Data: data})
		}
	}
	return out, nil
}
