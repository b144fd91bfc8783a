package console

import (
	"context"
	"time"
)

// Lab is what the page shows and asks: a DNS on one machine.
type Lab interface {
	// Topology returns the servers and the zones that they serve now.
	Topology() Topology
	// Subscribe returns the events from now on, until ctx ends. A subscriber
	// that is too slow loses events; it never holds up a server.
	Subscribe(ctx context.Context) <-chan Event
	// Ask sends one question through the lab's resolver.
	Ask(ctx context.Context, name, typ string) (Answer, error)
	// Register changes a delegation in a TLD, as a registrar's panel does.
	// The text says what was done; an error's text is for the person.
	Register(ctx context.Context, r Registration) (string, error)
	// Record changes a record of a hosted zone, as a hosting panel does.
	Record(ctx context.Context, c RecordChange) (string, error)
	// Security tells how far a zone is on its way to be validated.
	Security(ctx context.Context, name string) (Security, error)
	// Chain draws the chain of trust that leads to the zone that a name is in, as SVG.
	Chain(ctx context.Context, name string) ([]byte, error)
}

// Topology is the lab's tree of servers. Names are in presentation form.
type Topology struct {
	Port      int        `json:"port"`
	Resolver  Server     `json:"resolver"`
	Roots     []Server   `json:"roots"`
	TLDs      []Operator `json:"tlds"`
	Providers []Operator `json:"providers"`
}

// Server is one name server: a name and the address that it answers on.
type Server struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Operator runs servers that all serve the same zones.
type Operator struct {
	Name    string   `json:"name"`
	Servers []Server `json:"servers"`
	Zones   []string `json:"zones"`
	// Security is what a validator makes of each of the zones, in their order:
	// "secure", "insecure", "bogus" or "indeterminate".
	Security []string `json:"security"`
}

// The roles that an Endpoint has.
const (
	RoleClient    = "client"
	RoleResolver  = "resolver"
	RoleRoot      = "root"
	RoleTLD       = "tld"
	RoleAuthority = "authority"
)

// The outcomes that an Event has.
const (
	OutcomeReferral = "referral"
	OutcomeAnswer   = "answer"
	OutcomeAlias    = "alias"
	OutcomeNegative = "negative" // the name or the type does not exist
	OutcomeError    = "error"
)

// Endpoint is one side of a query.
type Endpoint struct {
	Role    string `json:"role"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Event is one query that a server of the lab answered.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	From    Endpoint  `json:"from"`
	To      Endpoint  `json:"to"`
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Outcome string    `json:"outcome"`
	RCode   string    `json:"rcode"`
	Records []string  `json:"records"` // the few that matter, as text
	Size    int       `json:"size"`    // octets of the reply
	Micros  int64     `json:"micros"`  // from the query's arrival to the reply
}

// Answer is what the resolver said.
type Answer struct {
	RCode   string   `json:"rcode"`
	Records []string `json:"records"`
	Errors  []string `json:"errors"` // extended errors (RFC 8914), as text
	Millis  float64  `json:"millis"`
	// Security is what a validator makes of it, and Why the reason where that is not
	// "secure".
	Security string `json:"security"`
	Why      string `json:"why"`
}

// Security is how far a zone is on its way to be validated.
type Security struct {
	Zone     string   `json:"zone"`
	Hosts    []string `json:"hosts"`    // who serves it
	Signers  []string `json:"signers"`  // those of them whose copy is signed
	Unsigned string   `json:"unsigned"` // why one is not and will not be; "": all are, or soon
	Keys     []string `json:"keys"`     // algorithm and tag
	DS       []string `json:"ds"`       // at the parent, likewise
	Status   string   `json:"status"`   // a validator's verdict, as in Operator
	Why      string   `json:"why"`      // it is not "secure"
}

// Registration is a change of a delegation.
type Registration struct {
	Name   string   `json:"name"`
	NS     []string `json:"ns"`
	Glue   []string `json:"glue"` // "host=address"
	Delete bool     `json:"delete"`
	// KeepCache leaves the lab's resolver with what it remembers, as in the
	// world; else it forgets the name, so that the next query sees the change.
	KeepCache bool `json:"keep_cache"`
}

// RecordChange puts a record in the place of all of its name and type, or adds
// it to them, or deletes it; without Data, it deletes them all.
type RecordChange struct {
	Name      string  `json:"name"`
	Type      string  `json:"type"`
	Data      string  `json:"data"`          // in presentation form; names are complete, with or without a final dot
	TTL       *uint32 `json:"ttl,omitempty"` // seconds; absent: as before, or the zone's default
	Add       bool    `json:"add"`
	Delete    bool    `json:"delete"`
	KeepCache bool    `json:"keep_cache"` // as in Registration
}
