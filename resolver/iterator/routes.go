package iterator

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/zone"
)

// RouteKind says where the answers for a subtree come from.
type RouteKind uint8

// The kinds.
const (
	RouteIterate RouteKind = iota // from the servers that referrals name, as where there is no route: exempts a subtree from one above it
	RouteForward                  // from other resolvers, asked with RD
	RouteStub                     // from authoritative servers that are configured, and whom they refer to
	RouteLocal                    // from a zone in memory, and whom it refers to
)

var routeKinds = [...]string{"iterate", "forward", "stub", "local"}

// String returns the kind's word.
func (k RouteKind) String() string { return routeKinds[k] }

// Route says where the answers for a zone and all below it come from, down to
// the zones that have routes of their own. DS at the zone itself belongs to what
// is above it, as DS always does.
type Route struct {
	Zone    dns.Name
	Kind    RouteKind
	Servers []RouteServer // of RouteForward and RouteStub
	Local   *zone.Zone    // of RouteLocal; without a version it is as if it failed

	Fallback bool // where the route fails, the answer is looked up without it (forward-first, stub-first, fallback-enabled)
	Prime    bool // RouteStub: the servers are only asked who the zone's servers are
	Insecure bool // a negative trust anchor stands at Zone (RFC 7646): for private zones that the public tree knows nothing of

	cut *cache.Delegation // what a walk begins with
}

// RouteServer is a server of a route: at the address of Target, or, where that
// has a port only, at those of Name, which are looked up.
type RouteServer struct {
	Name   dns.Name
	Target Target
}

// Routes are all routes at one time; for a name the one with the deepest zone
// counts. They never change. nil is none.
//
// A name has one route, and what a server says is taken only of names that have
// the route on which it was asked: so the cache needs no mark to tell forwarded
// data from what was found by iteration (MaginotDNS).
type Routes struct {
	byZone map[string]*Route // by folded wire form
	list   []Route
}

// Equal reports whether two routes are the same.
func (r Route) Equal(o Route) bool {
	return r.Zone.Equal(o.Zone) && r.Kind == o.Kind && slices.Equal(r.Servers, o.Servers) && r.Local == o.Local &&
		r.Fallback == o.Fallback && r.Prime == o.Prime && r.Insecure == o.Insecure
}

var errRoute = errors.New("route that cannot be")

// NewRoutes makes Routes of routes for different zones.
func NewRoutes(list ...Route) (*Routes, error) {
	rs := &Routes{byZone: map[string]*Route{}, list: append([]Route(nil), list...)}
	for i := range rs.list {
		r := &rs.list[i]
		key := r.Zone.Fold().Wire()
		switch needs := r.Kind == RouteForward || r.Kind == RouteStub; {
		case r.Zone.IsZero() || r.Kind > RouteLocal:
			return nil, fmt.Errorf("%w: it has no zone, or is of no kind", errRoute)
		case rs.byZone[key] != nil:
			return nil, fmt.Errorf("%w: there are two for %s", errRoute, r.Zone)
		case needs != (len(r.Servers) > 0):
			return nil, fmt.Errorf("%w: %s for %s with %d servers", errRoute, r.Kind, r.Zone, len(r.Servers))
		case (r.Kind == RouteLocal) != (r.Local != nil):
			return nil, fmt.Errorf("%w: %s for %s, and whether it has a zone in memory", errRoute, r.Kind, r.Zone)
		}
		if r.Kind != RouteIterate {
			r.cut = &cache.Delegation{Zone: r.Zone, Parent: r.Zone, Expire: math.MaxUint32}
		}
		rs.byZone[key] = r
	}
	return rs, nil
}

// All returns the routes as they were given.
func (rs *Routes) All() []Route {
	if rs == nil {
		return nil
	}
	return rs.list
}

// Of returns the route of a name; nil: none.
func (rs *Routes) Of(name dns.Name) *Route {
	if rs == nil || len(rs.byZone) == 0 {
		return nil
	}
	for n := name.Fold(); !n.IsZero(); n = n.Parent() {
		if r := rs.byZone[n.Wire()]; r != nil {
			return r
		}
	}
	return nil
}

// For returns the route of a question; DS is asked above its name (RFC 4035 §3.1.4.1).
func (rs *Routes) For(q dns.Question) *Route {
	if q.Type == dns.TypeDS && !q.Name.IsRoot() {
		return rs.Of(q.Name.Parent())
	}
	return rs.Of(q.Name)
}

// IsInsecure reports whether a negative trust anchor stands at name.
func (rs *Routes) IsInsecure(name dns.Name) bool {
	if rs == nil || len(rs.byZone) == 0 {
		return false
	}
	r := rs.byZone[name.Fold().Wire()]
	return r != nil && r.Insecure
}

// Same reports whether two names have the same route: only then a denial of one
// says anything about the other, which is below it (CVE-2026-44687).
func (rs *Routes) Same(a, b dns.Name) bool { return rs.Of(a) == rs.Of(b) }

// behind returns the route whose beginning a walk stands at; nil: it stands at a
// delegation.
func (rs *Routes) behind(d *cache.Delegation) *Route {
	if rs == nil {
		return nil
	}
	if r := rs.byZone[d.Zone.Fold().Wire()]; r != nil && r.cut == d {
		return r
	}
	return nil
}

// forwards reports whether the route leads to other resolvers.
func (r *Route) forwards() bool { return r != nil && r.Kind == RouteForward }

// SetRoutes replaces the routes, for look-ups that begin from now on. What the
// cache has of names whose route becomes another one is its caller's to flush.
func (it *Iterator) SetRoutes(rs *Routes) { it.routes.Store(rs) }

// Routes returns the routes in force.
func (it *Iterator) Routes() *Routes { return it.routes.Load() }
