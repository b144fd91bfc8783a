package inspect

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/validator"
)

// survey is what all servers said; rules judge it without asking more.
type survey struct {
	zone, parent dns.Name
	at           time.Time
	above, own   []*witness
	absent       dns.Name           // the name that no zone has, for a proof that it does not exist
	addressless  []dns.Name         // name servers without any address
	aliased      []dns.Name         // name servers whose names are aliases
	delegated    []dns.Name         // name servers, by the parent
	apex         []dns.Name         // and by the zone
	shown        *witness           // whose chain is shown
	inside       []host             // name servers in the zone itself, as the zone has them
	checked      map[[32]byte]error // signatures that were verified, by the hash of what they are over, of themselves and of the key
}

// host is a name and its addresses.
type host struct {
	name  dns.Name
	addrs []netip.Addr
}

// witness is one address of a server, and what it said to each question.
type witness struct {
	name    dns.Name
	addr    netip.AddrPort
	err     error                     // it does not answer for its zone
	udp     error                     // it answers over TCP only
	tcp     error                     // it does not answer over TCP
	edns    error                     // it answers without EDNS only, so without signatures
	said    map[dns.Type]*dns.Message // about the zone's own name
	mute    map[dns.Type]error        // what it does not answer, though it answers
	nothing *dns.Message              // about the absent name
	trust   validator.Result          // of the zone by its word
}

// What is asked about the zone's name. strangeType is one that no zone has (RFC
// 6895 §3.1: private use), for a proof that there is no data of it.
const strangeType dns.Type = 65417

var (
	aboveTypes = []dns.Type{dns.TypeDS, dns.TypeNS}
	ownTypes   = []dns.Type{dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeCSYNC, dns.TypeNSEC3PARAM, strangeType}
)

// survey finds the servers and asks them all.
func (c *checker) survey(ctx context.Context, name dns.Name) (*survey, error) {
	s := &survey{zone: name, at: c.Env.Now(), checked: map[[32]byte]error{}}
	var err error
	// Nobody registers such a name, and it is another one each time, so no server has learnt to answer it well.
	if s.absent, err = name.Child(fmt.Sprintf("onoma-check-%08x", uint32(c.Env.Uint64()))); err != nil {
		s.absent = dns.Name{} // the zone's name is as long as names can be
	}
	if !name.IsRoot() {
		if err := c.askAbove(ctx, s); err != nil {
			return nil, err
		}
	}
	return s, c.askOwn(ctx, s)
}

// askAbove finds the parent's servers and asks them about the delegation.
func (c *checker) askAbove(ctx context.Context, s *survey) error {
	parent, err := c.zoneOf(ctx, s.zone.Parent())
	if err != nil {
		return fmt.Errorf("finding the parent zone: %w", err)
	}
	s.parent = parent
	hosts, err := c.servers(ctx, parent)
	if err != nil {
		return fmt.Errorf("finding the servers of %s: %w", parent, err)
	}
	for _, host := range hosts {
		addrs, _ := c.addresses(ctx, host)
		s.above = c.appendWitnesses(s.above, host, addrs)
	}
	c.askAll(ctx, s.above, func(w *witness) { c.examine(ctx, s, w, aboveTypes) })
	for _, w := range s.above {
		if w.err == nil {
			w.err = admitAbove(w.said[dns.TypeDS], s.zone)
		}
		for _, host := range targets(w.said[dns.TypeNS], s.zone) {
			s.delegated = appendName(s.delegated, host)
		}
	}
	return nil
}

// askOwn asks the servers that the delegation names, and those that the zone does.
func (c *checker) askOwn(ctx context.Context, s *survey) error {
	hosts := s.delegated
	if len(hosts) == 0 {
		var err error
		if hosts, err = c.servers(ctx, s.zone); err != nil {
			return fmt.Errorf("finding its servers: %w", err)
		}
	}
	c.askHosts(ctx, s, hosts)
	for _, w := range s.own {
		for _, host := range targets(w.said[dns.TypeNS], s.zone) {
			s.apex = appendName(s.apex, host)
		}
	}
	c.askHosts(ctx, s, slices.DeleteFunc(slices.Clone(s.apex), func(n dns.Name) bool { return slices.ContainsFunc(hosts, n.Equal) }))
	if len(s.own) == 0 {
		return fmt.Errorf("%w: no address of a server of it was found", ErrNoZone)
	}
	c.askInside(ctx, s)
	return nil
}

func (c *checker) askHosts(ctx context.Context, s *survey, hosts []dns.Name) {
	from := len(s.own)
	for _, host := range hosts {
		addrs := s.glue(host)
		if len(addrs) == 0 {
			var isAlias bool
			if addrs, isAlias = c.addresses(ctx, host); isAlias {
				s.aliased = append(s.aliased, host)
			}
		}
		if len(addrs) == 0 {
			s.addressless = append(s.addressless, host)
		}
		s.own = c.appendWitnesses(s.own, host, addrs)
	}
	c.askAll(ctx, s.own[from:], func(w *witness) { c.examineOwn(ctx, s, w) })
	for _, w := range s.own[from:] {
		if w.err == nil {
			w.err = admitOwn(w.said[dns.TypeSOA], s.zone)
		}
	}
}

// glue returns the addresses that the parent's servers gave for a name server.
func (s *survey) glue(host dns.Name) (addrs []netip.Addr) {
	for _, w := range s.above {
		if m := w.said[dns.TypeNS]; m != nil {
			for _, a := range addrsOf(m.Additional, host) {
				if !slices.Contains(addrs, a) {
					addrs = append(addrs, a)
				}
			}
		}
	}
	return addrs
}

// askInside asks a server of the zone for the addresses of the name servers that
// lie in it, to hold the parent's glue against.
func (c *checker) askInside(ctx context.Context, s *survey) {
	i := slices.IndexFunc(s.own, func(w *witness) bool { return w.err == nil })
	if i < 0 {
		return
	}
	for _, name := range s.delegated[:min(len(s.delegated), checkInside)] {
		if !name.IsSubdomainOf(s.zone) {
			continue
		}
		h := host{name: name}
		isKnown := true
		for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
			m, err := c.ask(ctx, s.own[i], name, t)
			isKnown = isKnown && err == nil && m.Flags.Has(dns.FlagAA) // else it lies below another cut
			if isKnown {
				h.addrs = append(h.addrs, addrsOf(m.Answer, name)...)
			}
		}
		if isKnown {
			s.inside = append(s.inside, h)
		}
	}
}

// appendWitnesses adds the addresses of a server that are not there yet and may be asked.
func (c *checker) appendWitnesses(list []*witness, host dns.Name, addrs []netip.Addr) []*witness {
	for _, a := range addrs {
		isBarred := a.Is4() && c.NoIPv4 || a.Is6() && c.NoIPv6
		isKnown := slices.ContainsFunc(list, func(w *witness) bool { return w.addr.Addr() == a && w.name.Equal(host) })
		if !isBarred && !isKnown && len(list) < checkServers {
			at := netip.AddrPortFrom(a, cmp.Or(c.Port, 53))
			list = append(list, &witness{name: host, addr: at, said: map[dns.Type]*dns.Message{}, mute: map[dns.Type]error{}})
		}
	}
	return list
}

func appendName(list []dns.Name, n dns.Name) []dns.Name {
	if n.IsZero() || len(list) == checkServers || slices.ContainsFunc(list, n.Equal) {
		return list
	}
	return append(list, n)
}

// zoneOf returns the zone that a name is in.
func (c *checker) zoneOf(ctx context.Context, name dns.Name) (dns.Name, error) {
	res, err := c.resolver.Resolve(ctx, dns.Question{Name: name, Type: dns.TypeSOA, Class: dns.ClassIN}, resolver.Options{})
	if err != nil {
		return dns.Name{}, err
	}
	for _, r := range append(res.Answer, res.Authority...) {
		if r.Type == dns.TypeSOA && name.IsSubdomainOf(r.Name) {
			return r.Name.Fold(), nil
		}
	}
	return dns.Name{}, fmt.Errorf("%s: %s", name, because(res))
}

// servers returns the names of a zone's servers.
func (c *checker) servers(ctx context.Context, name dns.Name) (hosts []dns.Name, err error) {
	res, err := c.resolver.Resolve(ctx, dns.Question{Name: name, Type: dns.TypeNS, Class: dns.ClassIN}, resolver.Options{})
	if err != nil {
		return nil, err
	}
	for _, r := range res.Answer {
		if r.Type == dns.TypeNS {
			hosts = appendName(hosts, r.Data.Target(dns.TypeNS).Fold())
		}
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoZone, because(res))
	}
	return hosts, nil
}

// because tells why an answer has nothing.
func because(res resolver.Result) string {
	if len(res.EDE) > 0 {
		return fmt.Sprintf("%s, %s", res.RCode, res.EDE[0])
	}
	if res.RCode == dns.RCodeNoError {
		return "it is no zone of its own"
	}
	return res.RCode.String()
}

// addresses returns where a server is, in the families that may be asked, and
// whether its name is an alias.
func (c *checker) addresses(ctx context.Context, host dns.Name) (addrs []netip.Addr, isAlias bool) {
	for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		if t == dns.TypeA && c.NoIPv4 || t == dns.TypeAAAA && c.NoIPv6 {
			continue
		}
		res, err := c.resolver.Resolve(ctx, dns.Question{Name: host, Type: t, Class: dns.ClassIN}, resolver.Options{})
		if err != nil {
			continue
		}
		for _, r := range res.Answer {
			isAlias = isAlias || r.Type == dns.TypeCNAME
			if a, ok := r.Data.Addr(r.Type); ok && len(addrs) < checkServers {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, isAlias
}
