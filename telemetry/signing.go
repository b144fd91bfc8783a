package telemetry

// Signing is what a server tells of the zones that it signs. Nothing in it grows with the number of zones.
type Signing struct {
	Zones      map[string]int `json:"zones"`           // "signed", "unsigned" (on their way, or back), and those "by authors"
	Alarming   int            `json:"alarming"`        // of them, those that somebody should look at
	Withdrawn  int            `json:"withdrawn"`       // of those, the ones that are served no more, for they would be bogus
	Rolling    int            `json:"rolling"`         // zones with a rollover on its way
	Keys       map[string]int `json:"keys"`            // by phase of RFC 7583
	Signatures uint64         `json:"signatures_made"` // in the zones, since the start
	ExpiresIn  float64        `json:"expires_seconds"` // until the first signature expires, if it is not renewed; 0: there is none
	ClockOff   float64        `json:"clock_off_seconds,omitempty"`

	Online  map[string]uint64 `json:"online,omitempty"`  // sets that were to be signed while answering: "signed", "cached", "refused", "failed", "deferred"
	Parents map[string]int    `json:"parents,omitempty"` // zones by what their parent's servers have, see docs/parent.md
	Asked   map[string]uint64 `json:"asked,omitempty"`   // looks at servers of parents: "answered", "failed"
	Looks   map[string]uint64 `json:"looks,omitempty"`   // looks at children of this server's zones: "unchanged", "changed", "waiting", "denied"

	Worst []Trouble `json:"worst,omitempty"` // some of those that are alarming, the withdrawn ones first
}

// Trouble is a signed zone that somebody should look at.
type Trouble struct {
	Zone      string `json:"zone"`
	View      string `json:"view,omitempty"`
	Withdrawn bool   `json:"withdrawn,omitempty"`
	Text      string `json:"text"`
}
