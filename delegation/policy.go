package delegation

import (
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// Parent is a zone whose delegations are kept.
type Parent struct {
	ID     zone.ID
	Policy Policy
	// Keep takes what is to change of a child; the error is the reason why it has
	// not. A registry changes its books, from which the zone follows. nil: the zone
	// is changed, by Options.Submit.
	Keep Keeper
}

// Policy says what is taken from children, and when they are looked at. The zero
// Policy takes nothing.
type Policy struct {
	DS    bool // from CDS and CDNSKEY (RFC 7344)
	CSYNC bool // NS and glue (RFC 7477)

	// Scan is how long one look at all children takes, spread evenly; 0: never. Those
	// without DS are looked at where Bootstrap says how they get one.
	Scan time.Duration
	// Retry are the times after which a look that has come to nothing, because a
	// server did not answer or servers were not of one mind, is made again; nil:
	// DefaultRetry.
	Retry []time.Duration
	// MinInterval lies between two looks at one child, whoever asks for them; 0: 5 s.
	MinInterval time.Duration

	Bootstrap Bootstrap
	// Digests are the types of DS digests taken from CDS, and made from CDNSKEY where
	// there is no CDS of these types; nil: SHA-256 and SHA-384, of which SHA-256 is
	// made. SHA-1 is never taken (RFC 9905).
	Digests []uint8
	// Delete lets a child ask that its DS goes (RFC 8078 §4).
	Delete bool
	// TTL of a first DS set; 0: that of the delegation (RFC 4035 §2.4). Sets that exist keep theirs.
	TTL uint32
	// Only, unless it is empty, are the children that are looked at, and Deny those
	// that never are.
	Only, Deny []dns.Name
}

// Bootstrap says how a child without DS comes by one. Ways are tried in this order.
type Bootstrap struct {
	// Own are the name servers of this operator: these names and all below. A child all of whose name servers are
	// of these is believed at once.
	Own []dns.Name
	// Authenticated takes RFC 9615's signals, by Options.Validate.
	Authenticated bool
	// Delay, unless it is 0, is how long the same has to be seen at all servers (RFC
	// 8078 §3.3). RFC 8078 thinks of days.
	Delay time.Duration
}

// isOff says whether no child comes by a first DS.
func (b *Bootstrap) isOff() bool { return len(b.Own) == 0 && !b.Authenticated && b.Delay == 0 }

// DefaultRetry is for secondaries that are some seconds behind, and for servers that
// are down for an hour.
var DefaultRetry = []time.Duration{2 * time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}

const defaultMinInterval = 5 * time.Second

// withDefaults returns the policy without zero fields that mean something else.
func (p Policy) withDefaults() Policy {
	if p.Retry == nil {
		p.Retry = DefaultRetry
	}
	if p.MinInterval == 0 {
		p.MinInterval = defaultMinInterval
	}
	if p.Digests == nil {
		p.Digests = []uint8{dnssec.DigestSHA256, dnssec.DigestSHA384}
	}
	return p
}

// Check returns what is wrong with the policy.
func (p *Policy) Check() error {
	for _, d := range p.Digests {
		if d != dnssec.DigestSHA256 && d != dnssec.DigestSHA384 {
			return fmt.Errorf("digest type %d is not taken: expected 2 (SHA-256) or 4 (SHA-384)", d)
		}
	}
	for _, d := range append(slices.Clone(p.Retry), p.Scan, p.MinInterval, p.Bootstrap.Delay) {
		if d < 0 {
			return fmt.Errorf("%v is not a time to wait: expected 0 or more", d)
		}
	}
	if p.Scan > 0 && p.Scan < time.Second {
		return fmt.Errorf("a scan of the whole zone in %v is a flood: expected a second or more", p.Scan)
	}
	return nil
}

// watches says whether child may be looked at at all.
func (p *Policy) watches(child dns.Name) bool {
	is := func(n dns.Name) bool { return n.Equal(child) }
	return (p.DS || p.CSYNC) && !slices.ContainsFunc(p.Deny, is) && (len(p.Only) == 0 || slices.ContainsFunc(p.Only, is))
}
