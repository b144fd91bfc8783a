package policy

import (
	"fmt"
	"net/netip"

	"onoma/dns"
)

// AddressRule is what is to be done with answers that have an address in a prefix.
type AddressRule struct {
	Prefix netip.Prefix
	Action Action       // any but None
	Data   []dns.Record // for Data: records whose owner does not matter, or one CNAME
}

// NewAddressZone compiles rules about addresses as if they were a policy zone with rpz-ip triggers. Unlike in a policy zone, they have a
// say about the name that a CNAME of theirs leads to.
func NewAddressZone(name dns.Name, rules []AddressRule) (*Zone, error) {
	b, err := NewZone(ZoneOptions{Origin: name})
	if err != nil {
		return nil, err
	}
	b.zone.again = true
	for _, r := range rules {
		if !r.Prefix.IsValid() || r.Action == None || r.Action >= numActions || (r.Action == Data) != (len(r.Data) > 0) {
			return nil, fmt.Errorf("rule for addresses in %v, expected a prefix and an action, and records for the action data", r.Prefix)
		}
		var set []byte
		for _, record := range r.Data {
			set = appendRecord(set, record.Type, record.TTL, record.Data)
		}
		number := uint32(0)
		if r.Action == Data {
			if number, err = b.in.intern(set); err != nil {
				return nil, err
			}
		}
		if err := b.put(trigger{kind: ByAddress, prefix: r.Prefix.Masked()}, valueOf(r.Action, number)); err != nil {
			return nil, err
		}
	}
	return b.Compile()
}
