package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/telemetry"
	"onoma/zone"
)

// secondary is what --notify takes: ADDR[:PORT][+key:NAME].
type secondary struct{ authority.Secondary }

// UnmarshalText reads one.
func (s *secondary) UnmarshalText(text []byte) (err error) {
	addr, key, signed := strings.Cut(string(text), "+")
	if s.Addr, err = parseAddrPort(addr, 53); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	s.Addr = netip.AddrPortFrom(s.Addr.Addr().Unmap(), s.Addr.Port())
	if !signed {
		return nil
	}
	name, ok := strings.CutPrefix(key, "key:")
	if !ok || name == "" {
		return fmt.Errorf("%q: expected ADDR:PORT, or ADDR:PORT+key:NAME", text)
	}
	if s.Key, err = dns.ParseName(name); err != nil {
		return fmt.Errorf("%q: name of a key: %w", text, err)
	}
	return nil
}

// notify begins to tell secondaries, if the flags name any. What it returns ends that.
func (f *transferFlags) notify(a *app, server *authority.Server) (stop func()) {
	if len(f.Notify) == 0 && !f.NotifyNS {
		return func() {}
	}
	o := authority.NotifyOptions{Keys: f.keys, From: f.NotifyFrom}
	for _, s := range f.Notify {
		o.To = append(o.To, s.Secondary)
	}
	if f.NotifyNS {
		servers := server.NameServers(hostAddresses)
		o.Servers = func(ctx context.Context, v *zone.Version) (told []authority.Secondary) {
			for _, addr := range servers(ctx, v) {
				told = append(told, authority.Secondary{Addr: addr})
			}
			return told
		}
	}
	f.notifier = authority.NewNotifier(o)
	ctx, cancel := context.WithCancel(a.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.notifier.Run(ctx); err != nil {
			a.log.Error("secondaries are not told of new versions", "error", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// hostAddresses asks the resolver of this machine.
func hostAddresses(ctx context.Context, name dns.Name) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name.String())
	if err != nil {
		return nil
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}

// notifyAll has secondaries told of every zone.
func (f *transferFlags) notifyAll(server *authority.Server) {
	if f.notifier == nil {
		return
	}
	for z := range server.Zones() {
		f.published(z)
	}
}

// published has secondaries told of a zone.
func (f *transferFlags) published(z *zone.Zone) {
	if f.notifier != nil {
		f.notifier.Publish(z)
	}
}

// forget ends what is about a zone that is no longer served.
func (f *transferFlags) forget(z *zone.Zone) {
	if f.notifier != nil {
		f.notifier.Forget(z.Origin())
	}
}

// secondariesOf returns what n knows, by the folded names of zones.
func secondariesOf(n *authority.Notifier) map[dns.Name][]telemetry.Secondary {
	if n == nil {
		return nil
	}
	out := make(map[dns.Name][]telemetry.Secondary)
	for _, s := range n.States() {
		line := telemetry.Secondary{
			Address: s.Secondary.Addr.String(), State: "waiting",
			Sent: s.Sent, Acked: s.Acked, Tries: s.Tries, Error: s.Err, Changed: s.Changed,
		}
		if !s.Secondary.Key.IsZero() {
			line.Key = s.Secondary.Key.String()
		}
		switch {
		case s.IsAcked:
			line.State = "acknowledged"
		case s.GaveUp:
			line.State = "given up"
		}
		out[s.Zone.Fold()] = append(out[s.Zone.Fold()], line)
	}
	return out
}

// warnSerial tells of a zone that secondaries will not fetch, although it has changed.
func warnSerial(log *slog.Logger, last, next *zone.Version) {
	if last == nil || zone.IsNewer(next.Serial(), last.Serial()) {
		return
	}
	if d := zone.Diff(last, next); d.IsEmpty() {
		return
	}
	log.Warn("zone has changed and its serial number is not newer: no secondary will fetch it",
		"zone", next.Origin(), "serial", next.Serial(), "before", last.Serial(), "hint", "raise the serial number in the SOA record")
}
