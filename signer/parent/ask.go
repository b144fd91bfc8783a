package parent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// clientOf asks from the local address that fits.
type clientOf struct{ four, six transport.Client }

// mostIgnored is how many replies that do not match are borne: beyond it somebody guesses.
const mostIgnored = 16

func clients(o Options) *clientOf {
	c := &clientOf{four: transport.Client{MaxIgnored: mostIgnored}, six: transport.Client{MaxIgnored: mostIgnored}}
	for _, a := range o.From {
		if a = a.Unmap(); a.Is4() {
			c.four.Local = a
		} else {
			c.six.Local = a
		}
	}
	return c
}

func (c *clientOf) exchange(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error) {
	if server.Addr().Is4() {
		return c.four.Exchange(ctx, proto, server, query, buf)
	}
	return c.six.Exchange(ctx, proto, server, query, buf)
}

var errTruncated = errors.New("its answer is truncated")

// send sends a message and reads the reply.
func (w *Watcher) send(ctx context.Context, proto transport.Proto, server netip.AddrPort, m *dns.Message) (*dns.Message, error) {
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	reply, err := w.exchangeIn(ctx, proto, server, query)
	if err != nil {
		return nil, err
	}
	return parsed(reply)
}

func (w *Watcher) exchangeIn(ctx context.Context, proto transport.Proto, server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	reply, err := w.exchange(ctx, proto, server, query, nil)
	return reply.Msg, err
}

func parsed(reply []byte) (*dns.Message, error) {
	m, err := dns.ParseMessage(reply)
	switch {
	case err != nil:
		return nil, errors.New("its answer cannot be read")
	case m.Flags.Has(dns.FlagTC):
		return nil, errTruncated
	}
	return m, nil
}

// why says what went wrong without the address, which the reader knows.
func why(err error) string {
	var x *transport.ExchangeError
	if errors.As(err, &x) {
		return x.Kind.String()
	}
	return err.Error()
}

func isKind(err error, kinds ...transport.Kind) bool {
	var x *transport.ExchangeError
	return errors.As(err, &x) && slices.Contains(kinds, x.Kind)
}

// question is a look at one server.
type question struct {
	child, parent dns.Name // parent: the zero Name where it is not known
	server        netip.AddrPort
	last          []dns.DS // what it said the last time,
	has           bool     // if it did
	serial        bool     // which version of the parent it serves is of interest
}

func (w *watched) question(j *job) question {
	l := w.look(j.place)
	q := question{child: w.ID.Name, parent: w.parent, server: j.place}
	if l == nil {
		return q
	}
	q.last, q.has = l.DS, !l.Seen.IsZero()
	c := w.condition()
	q.serial = c == Waiting || c == Unknown
	return q
}

// lookAt asks a server which DS it has.
func (w *Watcher) lookAt(ctx context.Context, q question) seen {
	s, err := w.ds(ctx, q)
	if err != nil {
		w.failed.Add(1)
		return seen{err: why(err), unreachable: isKind(err, transport.Unreachable)}
	}
	w.answered.Add(1)
	if s.serial == 0 && q.serial && !q.parent.IsZero() {
		s.serial = w.serial(ctx, q)
	}
	return s
}

// ds asks over UDP, and over TCP where no answer came or it is news. Where there is no TCP, news must be said twice.
func (w *Watcher) ds(ctx context.Context, q question) (seen, error) {
	first, err := w.dsBy(ctx, transport.UDP, q)
	switch {
	case err != nil && !errors.Is(err, errTruncated) && !isKind(err, transport.Timeout, transport.Spoofed):
		return seen{}, err
	case err == nil && q.has && sameDS(q.last, first.ds):
		return first, nil
	}
	second, errTCP := w.dsBy(ctx, transport.TCP, q)
	if errTCP == nil {
		return second, nil
	}
	if err != nil || !isKind(errTCP, transport.Timeout, transport.Refused, transport.Broken) {
		return seen{}, errTCP
	}
	if second, err = w.dsBy(ctx, transport.UDP, q); err != nil {
		return seen{}, err
	}
	if !sameDS(first.ds, second.ds) {
		return seen{}, errors.New("it says now this, now that, and cannot be asked over TCP")
	}
	return second, nil
}

func (w *Watcher) dsBy(ctx context.Context, proto transport.Proto, q question) (seen, error) {
	m, err := w.send(ctx, proto, q.server, query(dns.Question{Name: q.child, Type: dns.TypeDS, Class: dns.ClassIN}))
	if err != nil {
		return seen{}, err
	}
	return dsIn(m, q.child)
}

// query asks an authoritative server, for DNSSEC records, too.
func query(q dns.Question) *dns.Message {
	m := dns.NewQuery(uint16(rand.Uint32()), q, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	return m
}

// mostDS bounds a DS set.
const mostDS = 64

// dsIn reads what a server of the parent says about child's DS.
func dsIn(m *dns.Message, child dns.Name) (seen, error) {
	switch {
	case m.RCode != dns.RCodeNoError && m.RCode != dns.RCodeNXDomain:
		return seen{}, errors.New("it answers " + m.RCode.String())
	case !m.Flags.Has(dns.FlagAA):
		return seen{}, errors.New("it answers without authority (AA): it does not serve the parent zone")
	}
	s, err := setIn(m, child)
	if err != nil || len(s.ds) > 0 {
		return s, err
	}
	return noneIn(m, child)
}

// setIn reads the DS set of an answer, if there is one.
func setIn(m *dns.Message, child dns.Name) (seen, error) {
	var s seen
	for _, r := range m.Answer {
		if !r.Name.Equal(child) {
			continue
		}
		switch r.Type {
		case dns.TypeDS:
			d, err := dns.ParseDS(r.Data)
			if err != nil || len(s.ds) == mostDS {
				return seen{}, errors.New("its DS set cannot be read")
			}
			s.ds = append(s.ds, d)
			s.ttl = time.Duration(r.TTL) * time.Second
		case dns.TypeRRSIG:
			if sig, err := dns.ParseRRSIG(r.Data); err == nil && sig.TypeCovered == dns.TypeDS {
				s.signed, s.parent = true, sig.Signer
			}
		}
	}
	if s.signed && !isAbove(s.parent, child) {
		return seen{}, fmt.Errorf("its DS set is signed by %s, which is not above the zone", s.parent)
	}
	return s, nil
}

// noneIn reads the answer that there is no DS: it must be the parent that says so. A server that has the zone itself and not
// its parent answers with the zone's own SOA (RFC 4035 §3.1.4.1).
func noneIn(m *dns.Message, child dns.Name) (seen, error) {
	var s seen
	for _, r := range m.Authority {
		switch r.Type {
		case dns.TypeSOA:
			soa, err := dns.ParseSOA(r.Data)
			if err != nil {
				continue
			}
			s.parent, s.serial = r.Name, soa.Serial
			s.ttl = time.Duration(min(r.TTL, soa.Minimum)) * time.Second // RFC 2308 §5
		case dns.TypeRRSIG:
			s.signed = true
		}
	}
	switch {
	case s.parent.IsZero():
		return seen{}, errors.New("it answers with neither DS nor SOA")
	case !isAbove(s.parent, child):
		return seen{}, errors.New("it answers for the zone itself: it does not serve the parent zone")
	}
	return s, nil
}

// isAbove reports whether name is an ancestor of child, and not child itself.
func isAbove(name, child dns.Name) bool { return child.IsSubdomainOf(name) && !child.Equal(name) }

// serial asks which version of the parent zone a server serves; 0 where it does not say.
func (w *Watcher) serial(ctx context.Context, q question) uint32 {
	m, err := w.send(ctx, transport.UDP, q.server, query(dns.Question{Name: q.parent, Type: dns.TypeSOA, Class: dns.ClassIN}))
	if err != nil || m.RCode != dns.RCodeNoError {
		return 0
	}
	for _, r := range m.Answer {
		if r.Type == dns.TypeSOA && r.Name.Equal(q.parent) {
			return dns.SOASerial(r.Data)
		}
	}
	return 0
}
