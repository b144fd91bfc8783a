package delegation

import (
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Verdict is what has followed from a look.
type Verdict uint8

// The verdicts.
const (
	Unchanged Verdict = iota // the delegation is as the child wants it, or the child wants nothing
	Changed                  // the delegation was changed
	Waits                    // it is to be seen again: a server is silent, servers differ, or a delay runs
	Refused                  // what the child publishes is not taken
)

// String returns the verdict in a word.
func (v Verdict) String() string { return [...]string{"unchanged", "changed", "waits", "refused"}[v&3] }

// Report is a look at a child: what was seen, what was decided, and why.
type Report struct {
	Parent  zone.ID
	Child   dns.Name
	At      time.Time
	Took    time.Duration
	Because string // "notify", "scan", "retry", "delay", "asked"

	DS, CSYNC Outcome
	Servers   []Server
	Receipt   *zone.Receipt // of the change, if there was one
	Next      time.Time     // it is looked at again; zero: when somebody asks, or the scan comes by
}

// Outcome is what has followed for one side of the delegation.
type Outcome struct {
	Looked  bool // it was looked at
	Verdict Verdict
	Why     string
}

// Server is one address of a name server, as it was seen.
type Server struct {
	Host dns.Name
	Addr netip.Addr
	Took time.Duration
	Err  string       // why nothing counts that it said
	Said []dns.Record // CDS, CDNSKEY, CSYNC and NS of the child, as far as it was asked
}

// describeServers returns what servers have said, for people.
func describeServers(servers []seen) []Server {
	out := make([]Server, 0, len(servers))
	for i := range servers {
		s := &servers[i]
		v := Server{Host: s.host, Addr: s.addr, Took: s.took}
		if s.err != nil {
			v.Err = s.err.Error()
		}
		for _, t := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeCSYNC, dns.TypeNS} {
			r := s.apex[t]
			v.Said = append(v.Said, r.records()...)
		}
		out = append(out, v)
	}
	return out
}
