package daemon

import (
	"context"
	"net"
	"strconv"
	"time"

	"onoma/authority"
	"onoma/config"
	"onoma/delegation"
	"onoma/dns"
	"onoma/resolver/validator"
	"onoma/zone"
)

// childState is the state of what is pending of a zone's delegations in the database.
const childState = "delegations"

// openDelegations makes what keeps delegations as children publish them.
func (d *Daemon) openDelegations(conf *config.Config) {
	o := delegation.Options{
		Submit: d.pipe.Submit, Resolve: d.lookups.fetch, Validate: d.lookups.prove, Load: d.kept(childState).load, Save: d.kept(childState).save,
		Zone: func(id zone.ID) *zone.Version {
			if z := d.pipe.Zone(id); z != nil {
				return z.Current()
			}
			return nil
		},
		Clock: d.now, Log: d.log,
	}
	if d.lookups.isOwn {
		o.Allowed = allAddresses // its servers may be on loopback
	}
	if port := strconv.Itoa(conf.Lookups.Port); port != "53" {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(host, port))
		}
	}
	d.desk = delegation.New(o)
	d.announcer = newAnnouncer(d)
}

// prove asks for a signal of RFC 9615, of which nothing that was seen before counts: it may have come this moment.
func (l *lookups) prove(ctx context.Context, name dns.Name, t dns.Type) (delegation.Proven, error) {
	l.resolver.Flush(name, true)
	r, err := validator.New(validator.Options{Anchors: l.anchors, Fetch: l.fetch}).Look(ctx, name, t)
	if err != nil {
		return delegation.Proven{}, err
	}
	out := delegation.Proven{Secure: r.Status == validator.Secure, Why: r.Why}
	for _, rec := range r.Answer {
		if rec.Type == t {
			out.Answer = append(out.Answer, rec)
		}
	}
	return out, nil
}

// keepChildren has the delegations of a zone kept as its settings say, or ends that.
func (d *Daemon) keepChildren(ctx context.Context, e *entry) {
	s := &e.plan.settings.Children
	if !s.DS && !s.CSYNC || e.kind() == fromPrimary || e.kind() == fromMembers {
		d.desk.Remove(e.id)
		return
	}
	p := delegation.Policy{DS: s.DS, CSYNC: s.CSYNC, Scan: s.Scan, MinInterval: max(s.Interval, time.Millisecond), Delete: s.Delete}
	for _, way := range s.Bootstrap {
		switch way {
		case "authenticated":
			p.Bootstrap.Authenticated = true
		case "delay":
			p.Bootstrap.Delay = s.Hold
		case "own":
			p.Bootstrap.Own = s.Own
		}
	}
	if err := d.desk.Set(ctx, delegation.Parent{ID: e.id, Policy: p}); err != nil {
		d.log.Error("the delegations of a zone are not kept", "zone", e.id, "error", err)
	}
	d.announcer.look(e.id)
}

// childNotified takes what a child says that it has published.
func (d *Daemon) childNotified(n authority.Notice) authority.NoticeVerdict {
	switch d.desk.Notified(n.View, n.Zone, n.Type, n.From.Addr()) {
	case delegation.Taken:
		return authority.NoticeTaken
	case delegation.Rejected:
		return authority.NoticeRefused
	}
	return authority.NoticeUnknown
}
