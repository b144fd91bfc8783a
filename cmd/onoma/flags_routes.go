package main

import (
	"context"
	"fmt"
	"strings"

	"onoma/config"
	"onoma/daemon"
	"onoma/daemon/localzone"
	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
)

// routeFlags say where answers come from otherwise than by walking from the root.
type routeFlags struct {
	Forward   []forward `placeholder:"[ZONE=]SERVER" sep:"none" help:"Ask another resolver for the names of a zone, or for all: ADDR, or tls://ADDR#NAME, quic://ADDR#NAME, https://ADDR/PATH#NAME or h3://ADDR/PATH#NAME with the name that its certificate has to have. The flag again for more."`
	ForwardCA string    `name:"forward-ca" placeholder:"FILE" help:"Believe servers that these certificates vouch for (PEM), instead of those that the system knows."`
	LocalRoot bool      `help:"Keep a copy of the root zone, verified by its digest and signatures, and answer from it (RFC 8806)."`
}

// forward is a server, and the zone that it is asked for.
type forward struct {
	zone   dns.Name
	server config.Upstream
}

// UnmarshalText reads SERVER or ZONE=SERVER.
func (f *forward) UnmarshalText(text []byte) (err error) {
	f.zone = dns.Root
	zone, server, hasZone := strings.Cut(string(text), "=")
	if !hasZone {
		server = zone
	} else if f.zone, err = dns.ParseNameIDNA(zone); err != nil {
		return fmt.Errorf("%q: %w", zone, err)
	}
	if f.server, err = config.ParseUpstream(server); err != nil {
		return fmt.Errorf("%q: %w: expected a server such as 192.0.2.1 or tls://192.0.2.1#dns.example", server, err)
	}
	return nil
}

// routes are those that the flags make, with the zones in memory that they lead to.
func (f *routeFlags) routes(hints []resolver.Hint, port uint16) (routes []resolver.Route, zones []localzone.Zone) {
	at := map[dns.Name]int{}
	for _, x := range f.Forward {
		zone := x.zone.Fold()
		i, ok := at[zone]
		if !ok {
			i = len(routes)
			at[zone] = i
			routes = append(routes, resolver.Route{Zone: zone, Kind: iterator.RouteForward})
		}
		routes[i].Servers = append(routes[i].Servers, daemon.RouteServer(x.server))
	}
	if f.LocalRoot {
		r, z := daemon.LocalRoot(hints, port)
		routes, zones = append(routes, r), append(zones, z)
	}
	return routes, zones
}

// keep has zones in memory kept up until ctx ends.
func (a *app) keep(ctx context.Context, r *resolver.Resolver, zones []localzone.Zone) {
	if len(zones) == 0 {
		return
	}
	k := localzone.New(ctx, localzone.Options{Zones: zones, Check: r.CheckZone, Publish: r.PublishLocal, Log: a.log})
	go func() {
		if err := k.Run(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("zones in memory are not kept up", "error", err)
		}
	}()
}
