package anchor

import (
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// State is where a key is on its way (RFC 5011 §4.2). The numbers are those of
// the file.
type State uint8

// The states. A key that is on no way is not kept.
const (
	Pending State = 1 // seen and signed for, but not for long enough
	Valid   State = 2
	Missing State = 3 // was Valid and is no more in the set: trusted still
	Revoked State = 4 // has said of itself that it is not to be trusted again
)

var stateNames = map[State]string{Pending: " ADDPEND ", Valid: "  VALID  ", Missing: " MISSING ", Revoked: " REVOKED "}

var stateWords = map[State]string{Pending: "pending", Valid: "trusted", Missing: "missing, trusted still", Revoked: "revoked"}

// Key is one of the keys that sign the zone's DNSKEY set.
type Key struct {
	DNSKEY dns.DNSKEY
	TTL    uint32
	State  State
	Count  int       // how often it was seen while Pending
	Since  time.Time // of the state; zero where it was configured and has not been seen yet
}

// IsTrusted reports whether what the key signs is believed.
func (k *Key) IsTrusted() bool { return k.State == Valid || k.State == Missing }

// isSame compares keys, revoked or not.
func isSame(a, b dns.DNSKEY) bool {
	return a.Algorithm == b.Algorithm && a.Protocol == b.Protocol && string(a.PublicKey) == string(b.PublicKey)
}

// unrevoked is the key as it was before it was revoked.
func unrevoked(k dns.DNSKEY) dns.DNSKEY {
	k.Flags &^= dns.DNSKEYRevoke
	return k
}

// matches reports whether one of the DS records is of the key, revoked or not.
func matches(zone dns.Name, k dns.DNSKEY, list []dns.DS) bool {
	for _, ds := range list {
		if dnssec.MatchDS(zone, unrevoked(k), ds) {
			return true
		}
	}
	return false
}
