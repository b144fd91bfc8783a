package daemon

import (
	"context"
	"net/netip"
	"time"

	"onoma/authority"
	"onoma/config"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// views is who answers whom. It is immutable but for what each of them serves.
type views struct {
	list  []*view          // in the order of the configuration, that of everybody else last
	named map[string]*view // by name
}

// view is one server with its zones.
type view struct {
	name     string
	others   bool // serves the zones outside of views, too
	server   *authority.Server
	notifier *authority.Notifier
	servers  func(context.Context, *zone.Version) []netip.AddrPort // that the NS records name
	end      context.CancelFunc                                    // of the notifier
}

// setViews makes the views those of a configuration. A view that was there before
// keeps its server, which keeps its zones. It returns the views that are new.
func (d *Daemon) setViews(conf *config.Config) (fresh []*view) {
	had := d.views.Load()
	vs := &views{named: make(map[string]*view)}
	take := func(name string, others bool) *view {
		var v *view
		if had != nil {
			v = had.named[name]
		}
		if v == nil {
			v = d.newView(name, conf)
			fresh = append(fresh, v)
		} else {
			v = &view{name: v.name, server: v.server, notifier: v.notifier, servers: v.servers, end: v.end}
		}
		v.others = others
		vs.list, vs.named[name] = append(vs.list, v), v
		return v
	}
	cases := make([]authority.View, len(conf.Views))
	for i, c := range conf.Views {
		cases[i] = authority.View{Name: c.Name, Match: aclOf(c.Match), To: c.To, Server: take(c.Name, c.Others).server}
	}
	rest := take("", false)
	d.views.Store(vs)
	if d.handler == nil {
		d.handler = authority.NewViews(rest.server, cases...)
	} else {
		d.handler.Set(rest.server, cases...)
	}
	return fresh
}

// newView makes a server without zones.
func (d *Daemon) newView(name string, conf *config.Config) *view {
	o := d.o.Authority
	o.View, o.Keys, o.Updates = name, d.keys, d.updates
	o.Notified, o.ChildNotified = d.secondaries.Notified, d.childNotified
	o.Expires = func(view string, origin dns.Name) (time.Duration, bool) {
		return d.secondaries.Expires(zone.IDOf(view, origin))
	}
	o.SignedUntil = func(view string, origin dns.Name) (time.Time, bool) {
		return d.signer.SignedUntil(d.servedAs(view, origin))
	}
	o.Transfers = authority.TransferOptions{
		Of:     func(origin dns.Name) authority.ACL { return d.transferTo(d.servedAs(name, origin)) },
		Recall: func(origin dns.Name) { d.pipe.Recall(context.Background(), d.servedAs(name, origin)) },
		Most:   conf.Server.TransfersMax, MostEach: max(1, conf.Server.TransfersMax/10),
		Ended: func(r authority.TransferReport) { d.sent(d.servedAs(name, r.Zone), r) },
	}
	v := &view{name: name, server: authority.New(o), end: func() {}}
	v.servers = v.server.NameServers(d.lookUp)
	v.notifier = authority.NewNotifier(authority.NotifyOptions{
		Keys: d.keys,
		Of:   func(origin dns.Name) []authority.Secondary { return d.notifies(zone.IDOf(name, origin)) },
		Servers: func(ctx context.Context, z *zone.Version) (told []authority.Secondary) {
			e := d.zones.get(zone.IDOf(name, z.Origin()))
			if e == nil || !e.plan.settings.NotifyNS {
				return nil
			}
			for _, addr := range v.servers(ctx, z) {
				told = append(told, authority.Secondary{Addr: addr, From: fromOf(e.plan.settings.NotifyFrom, addr.Addr())})
			}
			return told
		},
		Acked: func(s authority.NotifyState) { d.follower.Acked(zone.IDOf(name, s.Zone), s.Secondary.Addr, s.Acked) },
	})
	return v
}

// servedAs returns which zone of that name a view serves: its own, or that of
// everybody else.
func (d *Daemon) servedAs(view string, origin dns.Name) zone.ID {
	id := zone.IDOf(view, origin)
	if d.zones.get(id) == nil {
		id.View = ""
	}
	return id
}

// NewWorker is that of [transport.Handler].
func (d *Daemon) NewWorker() transport.Worker { return d.handler.NewWorker() }

func (d *Daemon) lookUp(ctx context.Context, name dns.Name) []netip.Addr {
	if d.o.LookUp == nil {
		return nil
	}
	return d.o.LookUp(ctx, name)
}

// notify has a view tell secondaries, until it or the daemon ends.
func (d *Daemon) notify(ctx context.Context, v *view) {
	ctx, v.end = context.WithCancel(ctx)
	d.run("NOTIFY of view \""+v.name+"\"", func() error { return v.notifier.Run(ctx) })
}

// tell has the secondaries of a zone told, where it has any.
func (d *Daemon) tell(id zone.ID, z *zone.Zone) {
	e, v := d.zones.get(id), d.views.Load().named[id.View]
	if e != nil && v != nil && !e.isAlone() {
		v.notifier.Publish(z)
	}
}

// serve adds a zone to its view, and to those that serve the zones of everybody
// else and have none of that name.
func (d *Daemon) serve(id zone.ID, z *zone.Zone) {
	for _, v := range d.views.Load().list {
		if v.name == id.View || id.View == "" && v.others && d.pipe.Zone(zone.ID{View: v.name, Name: id.Name}) == nil {
			v.server.AddZone(z)
		}
	}
}

// endService serves a zone no more, which the pipeline does not have any more. In
// a view that serves the zones of everybody else, the one of its name comes back.
func (d *Daemon) endService(id zone.ID) {
	for _, v := range d.views.Load().list {
		switch {
		case v.name == id.View && v.others:
			if z := d.pipe.Zone(zone.ID{Name: id.Name}); z != nil {
				v.server.AddZone(z)
				continue
			}
			v.server.RemoveZone(id.Name)
		case v.name == id.View, id.View == "" && v.others && d.pipe.Zone(zone.ID{View: v.name, Name: id.Name}) == nil:
			v.server.RemoveZone(id.Name)
		default:
			continue
		}
		v.notifier.Forget(id.Name)
	}
}

// isAlone reports whether a zone has no secondaries.
func (d *Daemon) isAlone(id zone.ID) bool {
	e := d.zones.get(id)
	return e == nil || e.isAlone()
}
