package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/resolver"
	"onoma/transport"
)

// survey is what all servers said; rules judge it without asking more.
type survey struct {
	zone, parent dns.Name
	at           time.Time
	above, own   []*witness
	absent       dns.Name         // the name that no zone has, for a proof that it does not exist
	addressless  []dns.Name       // name servers without any address
	delegated    []dns.Name       // name servers, by the parent
	apex         []dns.Name       // and by the zone
	checked      map[string]error // signatures that were verified, by what they are over
}

// witness is one address of a server, and what it said to each question.
type witness struct {
	name    dns.Name
	addr    netip.AddrPort
	err     error                     // it does not answer for its zone
	tcp     error                     // it does not answer over TCP
	said    map[dns.Type]*dns.Message // about the zone's own name
	nothing *dns.Message              // about the absent name
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
	s := &survey{zone: name, at: c.Env.Now(), checked: map[string]error{}}
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
		s.above = appendWitnesses(s.above, host, c.addresses(ctx, host))
	}
	c.askAll(ctx, s.above, func(w *witness) { c.examine(ctx, s, w, aboveTypes, false) })
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
	return nil
}

func (c *checker) askHosts(ctx context.Context, s *survey, hosts []dns.Name) {
	from := len(s.own)
	for _, host := range hosts {
		addrs := s.glue(host)
		if len(addrs) == 0 {
			addrs = c.addresses(ctx, host)
		}
		if len(addrs) == 0 {
			s.addressless = append(s.addressless, host)
		}
		s.own = appendWitnesses(s.own, host, addrs)
	}
	c.askAll(ctx, s.own[from:], func(w *witness) { c.examine(ctx, s, w, ownTypes, true) })
	for _, w := range s.own[from:] {
		if w.err == nil {
			w.err = admitOwn(w.said[dns.TypeSOA], s.zone)
		}
	}
}

// glue returns the addresses that the parent's servers gave for a name server.
func (s *survey) glue(host dns.Name) (addrs []netip.Addr) {
	for _, w := range s.above {
		m := w.said[dns.TypeNS]
		if m == nil {
			continue
		}
		for _, r := range m.Additional {
			if a, ok := r.Data.Addr(r.Type); ok && r.Name.Equal(host) && !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

// appendWitnesses adds the addresses of a server that are not there yet.
func appendWitnesses(list []*witness, host dns.Name, addrs []netip.Addr) []*witness {
	for _, a := range addrs {
		isKnown := slices.ContainsFunc(list, func(w *witness) bool { return w.addr.Addr() == a && w.name.Equal(host) })
		if !isKnown && len(list) < checkServers {
			list = append(list, &witness{name: host, addr: netip.AddrPortFrom(a, 0), said: map[dns.Type]*dns.Message{}})
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

// addresses returns where a server is, in the families that may be asked.
func (c *checker) addresses(ctx context.Context, host dns.Name) (addrs []netip.Addr) {
	for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		if t == dns.TypeA && c.NoIPv4 || t == dns.TypeAAAA && c.NoIPv6 {
			continue
		}
		res, err := c.resolver.Resolve(ctx, dns.Question{Name: host, Type: t, Class: dns.ClassIN}, resolver.Options{})
		if err != nil {
			continue
		}
		for _, r := range res.Answer {
			if a, ok := r.Data.Addr(r.Type); ok && len(addrs) < checkServers {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

// askAll has a few servers asked at a time.
func (c *checker) askAll(ctx context.Context, list []*witness, ask func(*witness)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, checkAtOnce)
	for _, w := range list {
		w.addr = netip.AddrPortFrom(w.addr.Addr(), cmp.Or(c.Port, 53))
		switch a := w.addr.Addr(); {
		case a.IsLoopback() && !c.Loopback:
			w.err = errors.New("its address is a loopback address, which nobody else can ask")
			continue
		case a.Is4() && c.NoIPv4 || a.Is6() && c.NoIPv6:
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ask(w)
		})
	}
	wg.Wait()
}

// examine asks one server all questions; one that does not answer the first is asked no more.
func (c *checker) examine(ctx context.Context, s *survey, w *witness, types []dns.Type, isOwn bool) {
	for _, t := range types {
		m, err := c.ask(ctx, w.addr, s.zone, t)
		if err != nil {
			if w.err == nil && t == types[0] {
				w.err = err
				return
			}
			continue
		}
		w.said[t] = m
	}
	if !isOwn {
		return
	}
	if !s.absent.IsZero() {
		w.nothing, _ = c.ask(ctx, w.addr, s.absent, dns.TypeA)
	}
	_, w.tcp = c.askBy(ctx, transport.TCP, w.addr, s.zone, dns.TypeSOA)
}

// ask asks over UDP, twice if need be, and over TCP where that is too little.
func (c *checker) ask(ctx context.Context, to netip.AddrPort, name dns.Name, t dns.Type) (m *dns.Message, err error) {
	for range 2 {
		if m, err = c.askBy(ctx, transport.UDP, to, name, t); err == nil {
			break
		}
	}
	if err == nil && m.Flags.Has(dns.FlagTC) {
		return c.askBy(ctx, transport.TCP, to, name, t)
	}
	return m, err
}

func (c *checker) askBy(ctx context.Context, proto transport.Proto, to netip.AddrPort, name dns.Name, t dns.Type) (*dns.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	m := dns.NewQuery(uint16(c.Env.Uint64()), dns.Question{Name: name, Type: t, Class: dns.ClassIN}, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	reply, err := c.Env.Exchange(ctx, to, proto, query)
	if err != nil {
		return nil, reasonOf(err)
	}
	return dns.ParseMessage(reply)
}

// reasonOf says what went wrong without the address, which the reader knows.
func reasonOf(err error) error {
	var x *transport.ExchangeError
	if errors.As(err, &x) {
		return errors.New(x.Kind.String())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no reply")
	}
	return err
}

// admitAbove says why a reply about DS is not one of the parent's.
func admitAbove(m *dns.Message, child dns.Name) error {
	switch {
	case m == nil:
		return errors.New("no reply")
	case m.RCode == dns.RCodeNXDomain:
		return fmt.Errorf("it says that %s does not exist", child)
	case m.RCode != dns.RCodeNoError:
		return fmt.Errorf("it answers %s", m.RCode)
	case !m.Flags.Has(dns.FlagAA):
		return errors.New("it answers without authority for the parent zone")
	}
	return nil
}

// admitOwn says why a reply about the SOA is not one of a server of the zone: it is lame.
func admitOwn(m *dns.Message, name dns.Name) error {
	switch {
	case m == nil:
		return errors.New("no reply")
	case m.RCode != dns.RCodeNoError:
		return fmt.Errorf("it answers %s", m.RCode)
	case !m.Flags.Has(dns.FlagAA):
		return errors.New("it answers without authority for the zone")
	case len(setIn(m.Answer, name, dns.TypeSOA).RData) != 1:
		return errors.New("it has no SOA record of the zone")
	}
	return nil
}
