package sign

import (
	"time"

	"onoma/dns"
)

// Report says what signing has done.
type Report struct {
	Signatures int       // made
	Kept       int       // that were there and are still good, of those that were looked at
	Names      int       // that were looked at, owners of NSEC3 included
	Earliest   time.Time // first expiration of what was made or kept
	Next       time.Time // when the first of these is due
}

// Why says why a set is due to be signed anew.
type Why uint8

// The reasons.
const (
	Expiring Why = iota // little of its life is left
	Missing             // a key of the plan has not signed it
	Foreign             // a key that is not in the plan has
)

// String names the reason.
func (w Why) String() string {
	return [...]string{"expiring", "missing", "foreign"}[min(w, Foreign)]
}

// Due is a set that is to be signed anew.
type Due struct {
	Owner dns.Name
	Type  dns.Type
	Why   Why
}

// SignedBy counts signatures by one key.
type SignedBy struct {
	Tag        uint16
	Algorithm  uint8
	Signatures int
	InPlan     bool
}

// Survey is what a walk of a zone has found.
type Survey struct {
	Due        []Due     // up to the limit, in canonical order
	All        int       // sets that are due, those beyond the limit included
	Next       time.Time // when something is due that is not due now; zero: never
	Earliest   time.Time // first expiration in the zone; zero: nothing is signed
	Signatures int
	By         []SignedBy // by tag and algorithm
	IsComplete bool       // nothing is missing and nothing is foreign: the zone is signed as the plan says
}
