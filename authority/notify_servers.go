package authority

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// LookUp returns the addresses of a host that no zone of this server has.
type LookUp func(context.Context, dns.Name) []netip.Addr

// servers finds the addresses of zones' name servers.
type servers struct {
	srv    *Server
	lookUp LookUp

	mu    sync.Mutex
	known map[dns.Name]found // of folded names
}

type found struct {
	addrs []netip.Addr
	until time.Time
}

const (
	// foundFor is how long addresses are remembered: many zones have the same
	// name servers.
	foundFor  = 10 * time.Minute
	mostFound = 10_000
)

// NameServers returns a function that finds the notify set of a version (RFC 1996
// §2.3): its name servers, but for the primary that its SOA record names. The
// zones of s are looked into first; for other hosts lookUp is asked.
func (s *Server) NameServers(lookUp LookUp) func(context.Context, *zone.Version) []netip.AddrPort {
	f := &servers{srv: s, lookUp: lookUp, known: make(map[dns.Name]found)}
	return f.of
}

func (f *servers) of(ctx context.Context, v *zone.Version) (out []netip.AddrPort) {
	set, ok := v.Apex().RRset(dns.TypeNS)
	soa, err := dns.ParseSOA(v.SOA().First())
	if !ok || err != nil {
		return nil
	}
	for target := range set.RData() {
		name, err := dns.NameFromWire(target)
		if err != nil || name.Equal(soa.MName) {
			continue
		}
		for _, addr := range f.host(ctx, name) {
			if to := netip.AddrPortFrom(addr, 53); !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

func (f *servers) host(ctx context.Context, name dns.Name) []netip.Addr {
	if addrs, ours := f.srv.addresses(name); ours {
		return addrs
	}
	key := name.Fold()
	f.mu.Lock()
	have, ok := f.known[key]
	f.mu.Unlock()
	if ok && time.Now().Before(have.until) {
		return have.addrs
	}
	addrs := f.lookUp(ctx, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= mostFound {
		clear(f.known)
	}
	f.known[key] = found{addrs, time.Now().Add(foundFor)}
	return addrs
}

// addresses returns those that a zone of this server has for name, glue among
// them, and whether it has any.
func (s *Server) addresses(name dns.Name) (addrs []netip.Addr, ours bool) {
	wire := []byte(name.Fold().Wire())
	z, _ := s.zones.current.Load().enclosing(wire, 0)
	if z == nil {
		return nil, false
	}
	v := z.Current()
	if v == nil {
		return nil, false
	}
	n := v.Find(wire)
	if n.IsZero() {
		return nil, false
	}
	for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		set, ok := n.RRset(t)
		if !ok {
			continue
		}
		for data := range set.RData() {
			if addr, ok := dns.RData(data).Addr(t); ok {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs, len(addrs) > 0
}
