package interop

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"onoma/test/peers"
)

// row accepts differences between us and one peer.
type row struct {
	peer   string                   // whose answer differs
	sets   string                   // sets of testdata, as a pattern of path.Match; several separated by spaces
	kinds  string                   // kinds of difference, separated by spaces
	when   func(d *difference) bool // and this, where it is not nil
	reason string
	rfc    string // the section that supports us

	excused atomic.Int64
}

func (r *row) String() string {
	return fmt.Sprintf("%s, %s, %s: %s (%s)", r.peer, r.sets, r.kinds, r.reason, r.rfc)
}

func (r *row) matches(d *difference) bool {
	if r.peer != d.peer || !slices.Contains(strings.Fields(r.kinds), d.kind) {
		return false
	}
	inSet := slices.ContainsFunc(strings.Fields(r.sets), func(pattern string) bool {
		ok, err := path.Match(pattern, d.q.set)
		return ok && err == nil
	})
	return inSet && (r.when == nil || r.when(d))
}

// judged are the versions of the peers that the tables were made against. Others may have mended a
// mistake or made a new one, so a row that is not needed fails the test only with these.
var judged = map[string]string{"nsd": "4.6", "knot": "3.2", "bind": "9.18", "powerdns": "4.7"}

// isJudged says whether a peer runs in the version that the tables were made against.
func isJudged(peer string) bool {
	for _, p := range peers.All {
		if p.Name == peer {
			return strings.HasPrefix(p.Version()+".", judged[peer]+".")
		}
	}
	return false
}

// runs says whether the row's peer is among the servers.
func (r *row) runs(servers []*peers.Server) bool {
	return slices.ContainsFunc(servers, func(s *peers.Server) bool { return s.Name == r.peer })
}

// refusal is a set that a peer does not load, for a rule of its own.
type refusal struct {
	peer, set, reason, rfc string
}

func (r *refusal) String() string {
	if r == nil {
		return "its own reason, see its log"
	}
	return r.reason + " (" + r.rfc + ")"
}

// refusedBy finds the row for a peer and a set.
func refusedBy(peer, set string) *refusal {
	for i := range refusedZones {
		if r := &refusedZones[i]; r.peer == peer && r.set == set {
			return r
		}
	}
	return nil
}

var refusedZones = []refusal{
	{"onoma", "wild-ns", "NS at a wildcard is an error, as for BIND", "RFC 4592 §4.2 discourages it and leaves its meaning undefined"},
	{"bind", "wild-ns", "BIND refuses NS at a wildcard", "RFC 4592 §4.2 discourages it and leaves its meaning undefined, and forbids nothing"},
	{"nsd", "dname-occluded", "NSD refuses zones with names below a DNAME", "RFC 6672 §2.4 lets a server load them and hide them, as a dynamic update may make them"},
	{"knot", "dname-occluded", "Knot refuses zones with names below a DNAME", "RFC 6672 §2.4 lets a server load them and hide them, as a dynamic update may make them"},
	{"knot", "nsec-dname-occluded", "Knot refuses zones with names below a DNAME", "RFC 6672 §2.4 lets a server load them and hide them"},
	{"knot", "rr-types-old", "Knot does not know the types", "RFC 1183, RFC 2163: they have a presentation format"},
	{"powerdns", "rr-types-old", "PowerDNS does not know the types", "RFC 1183, RFC 2163: they have a presentation format"},
	{"nsd", "nsec-dname-occluded", "NSD refuses zones with names below a DNAME", "RFC 6672 §2.4 lets a server load them and hide them"},
}
