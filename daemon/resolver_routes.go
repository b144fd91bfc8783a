package daemon

import (
	"context"
	"path/filepath"

	"onoma/config"
	"onoma/daemon/localzone"
	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/transport"
	"onoma/zone"
)

// routing keeps the zones in memory that a resolver's routes lead to.
type routing struct {
	keeper *localzone.Keeper
	cancel context.CancelFunc
	done   chan struct{}
}

// end returns when nothing is fetched any more.
func (r *routing) end() {
	if r != nil {
		r.cancel()
		<-r.done
	}
}

// setRoutes has the resolver go by the routes of a configuration. Zones of which
// there is a good copy here are answered from when it returns.
func (d *Daemon) setRoutes(conf *config.Config) error {
	routes, zones, err := d.routesOf(conf)
	if err != nil {
		return err
	}
	last := d.routing
	if last.end(); len(zones) > 0 {
		ctx, cancel := context.WithCancel(context.Background())
		next := &routing{cancel: cancel, done: make(chan struct{})}
		next.keeper = localzone.New(ctx, localzone.Options{
			Zones: zones, Dir: filepath.Join(conf.Data, "resolver"), Keys: d.keys, Dial: dialQUIC, Log: d.log,
			Check: d.recursor.CheckZone, Publish: d.recursor.PublishLocal,
		})
		go func() {
			defer close(next.done)
			if err := next.keeper.Run(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("zones in memory are not kept up", "error", err)
			}
		}()
		d.routing = next
	} else {
		d.routing = nil
	}
	return d.recursor.SetRoutes(routes)
}

// routesOf puts the routes of a configuration into the resolver's words, with the
// zones in memory that they lead to.
func (d *Daemon) routesOf(conf *config.Config) (routes []resolver.Route, zones []localzone.Zone, err error) {
	p := newPlanner(conf)
	for i := range conf.Resolver.Routes {
		c := &conf.Resolver.Routes[i]
		r := resolver.Route{Zone: c.Zone, Fallback: c.Fallback, Prime: c.Prime, Insecure: c.Insecure}
		switch {
		case len(c.Forward) > 0:
			r.Kind, r.Servers = iterator.RouteForward, routeServers(c.Forward)
		case len(c.Stub) > 0:
			r.Kind, r.Servers = iterator.RouteStub, routeServers(c.Stub)
		case !c.Iterate:
			r.Kind, r.Local = iterator.RouteLocal, zone.New(c.Zone)
			z := localzone.Zone{Served: r.Local, File: c.File, Demand: demands[c.ZONEMD]}
			if z.Primaries, err = p.primaries(&config.Settings{Primaries: c.Primaries, IXFR: true}); err != nil {
				return nil, nil, err
			}
			zones = append(zones, z)
		}
		routes = append(routes, r)
	}
	if conf.Resolver.LocalRoot {
		hints, _, err := readHints(conf.Resolver.RootHints)
		if err != nil {
			return nil, nil, err
		}
		r, z := LocalRoot(hints, uint16(conf.Resolver.Port))
		routes, zones = append(routes, r), append(zones, z)
	}
	return routes, zones, nil
}

var demands = map[string]localzone.Demand{"verify": localzone.Verify, "require": localzone.Require, "off": localzone.Off}

// LocalRoot is the route of a copy of the root zone, and how that is kept: the
// root's servers are asked where it is not there, or not good (RFC 8806 §3).
func LocalRoot(hints []resolver.Hint, port uint16) (resolver.Route, localzone.Zone) {
	root := zone.New(dns.Root)
	return resolver.Route{Zone: dns.Root, Kind: iterator.RouteLocal, Local: root, Fallback: true},
		localzone.Zone{Served: root, Primaries: localzone.RootPrimaries(hints, port), Demand: localzone.Require}
}

func routeServers(list []config.Upstream) (servers []iterator.RouteServer) {
	for _, u := range list {
		servers = append(servers, RouteServer(u))
	}
	return servers
}

var upstreamProtos = map[string]transport.Proto{
	"": transport.UDP, "tcp": transport.TCP, "tls": transport.TLS, "quic": transport.QUIC, "https": transport.HTTPS, "h3": transport.HTTPS,
}

// RouteServer puts a server into the resolver's words.
func RouteServer(u config.Upstream) iterator.RouteServer {
	return iterator.RouteServer{Name: u.Host, Target: iterator.Target{
		Addr: u.Addr, Proto: upstreamProtos[u.Scheme], Name: u.Auth, Path: u.Path, HTTP3: u.Scheme == "h3",
	}}
}
