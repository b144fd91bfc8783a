package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"onoma/dns"
	"onoma/transport"
)

// askAll has a few servers asked at a time.
func (c *checker) askAll(ctx context.Context, list []*witness, ask func(*witness)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, checkAtOnce)
	for _, w := range list {
		if w.addr.Addr().IsLoopback() && !c.Loopback {
			w.err = errors.New("its address is a loopback address, which nobody else can ask")
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

// examineOwn asks a server of the zone everything.
func (c *checker) examineOwn(ctx context.Context, s *survey, w *witness) {
	if w.err = c.approach(ctx, w, s.zone); w.err != nil {
		return
	}
	c.examine(ctx, s, w, ownTypes)
	if w.err != nil {
		return
	}
	if !s.absent.IsZero() {
		w.nothing, _ = c.ask(ctx, w, s.absent, dns.TypeA)
	}
	if w.udp == nil {
		_, w.tcp = c.askBy(ctx, transport.TCP, w, s.zone, dns.TypeSOA)
	}
}

// approach finds the way in which a server answers: over UDP and with EDNS as all
// should, or less.
func (c *checker) approach(ctx context.Context, w *witness, name dns.Name) error {
	m, err := c.ask(ctx, w, name, dns.TypeSOA)
	if err == nil && m.EDNS != nil {
		return nil
	}
	if err != nil {
		if _, tcp := c.askBy(ctx, transport.TCP, w, name, dns.TypeSOA); tcp == nil {
			w.udp = err
			return nil
		}
	}
	// A server that does not know EDNS says FORMERR or ignores it (RFC 6891 §7); some say nothing.
	if w.edns = err; err == nil {
		w.edns = fmt.Errorf("it answers %s without any", m.RCode)
	}
	if _, plain := c.ask(ctx, w, name, dns.TypeSOA); plain != nil {
		w.edns = nil
		return err
	}
	return nil
}

// examine asks one server all questions; one that does not answer the first is asked no more.
func (c *checker) examine(ctx context.Context, s *survey, w *witness, types []dns.Type) {
	for _, t := range types {
		m, err := c.ask(ctx, w, s.zone, t)
		if err != nil && t == types[0] {
			w.err = err
			return
		}
		if err == nil && m.RCode != dns.RCodeNoError && t != types[0] {
			err = fmt.Errorf("it answers %s", m.RCode)
		}
		if err != nil {
			w.mute[t] = err
			continue
		}
		w.said[t] = m
	}
}

// ask asks over UDP, twice if need be, and over TCP where that is too little.
func (c *checker) ask(ctx context.Context, w *witness, name dns.Name, t dns.Type) (m *dns.Message, err error) {
	if w.udp != nil {
		return c.askBy(ctx, transport.TCP, w, name, t)
	}
	for range 2 {
		if m, err = c.askBy(ctx, transport.UDP, w, name, t); err == nil {
			break
		}
	}
	if err == nil && m.Flags.Has(dns.FlagTC) {
		if m, err = c.askBy(ctx, transport.TCP, w, name, t); err != nil {
			err = fmt.Errorf("the reply does not fit a datagram, and over TCP: %w", err)
		}
	}
	return m, err
}

func (c *checker) askBy(ctx context.Context, proto transport.Proto, w *witness, name dns.Name, t dns.Type) (*dns.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	m := dns.NewQuery(uint16(c.Env.Uint64()), dns.Question{Name: name, Type: t, Class: dns.ClassIN}, false)
	if w.edns == nil {
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	}
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	out, err := c.Env.Exchange(ctx, transport.Target{Addr: w.addr, Proto: proto}, query)
	if err != nil {
		return nil, reasonOf(err)
	}
	reply, err := dns.ParseMessage(out)
	if err != nil {
		return nil, fmt.Errorf("its reply cannot be read: %w", err)
	}
	if q := reply.Question(); len(reply.Questions) > 0 && (q.Type != t || !q.Name.Equal(name)) {
		return nil, errors.New("its reply is to another question")
	}
	return reply, nil
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
