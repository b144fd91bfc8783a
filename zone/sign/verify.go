package sign

import (
	"time"

	"onoma/dns"
)

// VerifyOptions say what [Verify] goes by.
type VerifyOptions struct {
	At      time.Time     // signatures have to be good then
	Left    time.Duration // and for so long after; with less they are a warning
	Anchors []dns.Record  // DS records of the parent, or DNSKEY records: one of the keys has to be among them; none: not looked at
	Workers int           // goroutines that verify; 0: GOMAXPROCS
}
