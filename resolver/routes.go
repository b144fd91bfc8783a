package resolver

import (
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/zone"
)

// SetRoutes replaces the routes: where answers come from otherwise than by
// iteration. What is known of names whose route becomes another is forgotten,
// and all whole answers.
func (r *Resolver) SetRoutes(list []Route) error {
	next, err := iterator.NewRoutes(list...)
	if err != nil {
		return err
	}
	r.routing.Lock()
	defer r.routing.Unlock()
	last := r.iterator.Routes()
	r.iterator.SetRoutes(next)
	if zones := rerouted(last.All(), next.All()); len(zones) > 0 {
		r.iterator.Cache.Forget(cache.Below(zones...))
	}
	r.forgetVerdicts()
	return nil
}

// Routes returns the routes in force.
func (r *Resolver) Routes() []Route { return slices.Clone(r.iterator.Routes().All()) }

// rerouted returns the zones whose route is in one of the lists only.
func rerouted(last, next []Route) (zones []dns.Name) {
	for _, lists := range [...][2][]Route{{last, next}, {next, last}} {
		for _, a := range lists[0] {
			if !slices.ContainsFunc(lists[1], a.Equal) {
				zones = append(zones, a.Zone)
			}
		}
	}
	return zones
}

// PublishLocal replaces the version of the zone in memory that a route answers
// from; nil withdraws it. Whole answers are forgotten where they may be made of it.
func (r *Resolver) PublishLocal(z *zone.Zone, v *zone.Version) {
	if v == nil {
		z.Withdraw()
	} else {
		z.Publish(v)
	}
	if z.Origin().IsRoot() {
		return // RFC 8806 §2: as if its servers had been asked; what is cached keeps its TTL
	}
	r.iterator.Cache.Forget(cache.Below(z.Origin()))
	r.verdicts.Add(1) // what is being judged just now may be of the last version
	r.iterator.Cache.ForgetBogus()
	r.messages.FlushAll()
}

// isExcepted reports whether a negative trust anchor stands at name: one that was
// set, or that of a route.
func (r *Resolver) isExcepted(name dns.Name) bool {
	return r.exceptions.has(name) || r.iterator.Routes().IsInsecure(name)
}
