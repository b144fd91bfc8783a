package secondary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// The waits for an answer by UDP. Behind them the question goes by TCP.
var udpWaits = []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}

// checkTime is how long the answer to a SOA query may take by a stream.
const checkTime = 15 * time.Second

// check asks a primary for the SOA record (RFC 1034 §4.3.5).
func (s *Secondary) check(ctx context.Context, a action) result {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	m, err := s.askSOA(ctx, a, true)
	if err == nil && slices.Contains([]dns.RCode{dns.RCodeFormErr, dns.RCodeNotImp, dns.RCodeBadVers}, m.RCode) {
		m, err = s.askSOA(ctx, a, false) // RFC 6891 §7: it knows no EDNS
	}
	if err != nil {
		var down unreachable
		return result{err: err, isDown: errors.As(err, &down)}
	}
	return s.readSOA(a, m)
}

// askSOA asks by UDP and then by TCP, or by the primary's encrypted transport.
func (s *Secondary) askSOA(ctx context.Context, a action, edns bool) (*dns.Message, error) {
	q := newQuery(dns.Question{Name: a.id.Name, Type: dns.TypeSOA, Class: dns.ClassIN}, edns)
	if a.primary.Proto == transport.TCP {
		// Knot refuses questions about catalog zones that come by UDP, whose sender may be forged.
		if m, err := s.overUDP(ctx, a, q); err == nil && !m.Flags.Has(dns.FlagTC) && m.RCode != dns.RCodeRefused {
			return m, nil
		}
	}
	x := &exchange{s: s, primary: a.primary}
	m, err := x.one(ctx, q, false)
	if x.isStale(err) && ctx.Err() == nil {
		m, err = x.one(ctx, q, true)
	}
	if isTimeout(err) {
		err = unreachable{err}
	}
	return m, err
}

// one asks for one message by a stream.
func (x *exchange) one(ctx context.Context, q *dns.Message, fresh bool) (*dns.Message, error) {
	defer x.close()
	if err := x.open(ctx, q, fresh); err != nil {
		return nil, err
	}
	msg, err := x.next()
	if err != nil {
		return nil, err
	}
	x.whole = true
	return dns.ParseMessage(msg)
}

// overUDP asks a few times.
func (s *Secondary) overUDP(ctx context.Context, a action, q *dns.Message) (m *dns.Message, err error) {
	client := &transport.Client{Local: a.primary.From}
	for _, wait := range udpWaits {
		if m, err = s.packet(ctx, client, a, q, wait); err == nil || ctx.Err() != nil {
			return m, err
		}
		var failed *transport.ExchangeError
		if !errors.As(err, &failed) || failed.Kind != transport.Timeout {
			return nil, err // TCP says why
		}
	}
	return nil, err
}

func (s *Secondary) packet(ctx context.Context, client *transport.Client, a action, q *dns.Message, wait time.Duration) (*dns.Message, error) {
	x := &exchange{s: s, primary: a.primary}
	query, err := x.prepare(q, transport.UDP)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	reply, err := client.Exchange(ctx, transport.UDP, a.primary.Addr, query, nil)
	if err != nil {
		return nil, err
	}
	if x.signed {
		if x.sig, err = dns.NewTSIGStream(x.key, x.mac); err != nil {
			return nil, err
		}
	}
	msg, err := x.verify(reply.Msg)
	if err != nil {
		return nil, err
	}
	return dns.ParseMessage(msg)
}

// readSOA reads the serial number and EXPIRE.
func (s *Secondary) readSOA(a action, m *dns.Message) (r result) {
	switch {
	case m.RCode != dns.RCodeNoError:
		return result{err: rcodeError(m.RCode)}
	case !m.Flags.Has(dns.FlagQR) || len(m.Questions) != 1 || !m.Questions[0].Name.Equal(a.id.Name) || m.Questions[0].Type != dns.TypeSOA:
		return result{err: errors.New("it answers another question")}
	case !m.Flags.Has(dns.FlagAA):
		return result{err: errors.New("its answer is not authoritative: it does not serve the zone, or not yet")}
	}
	for _, rr := range m.Answer {
		if rr.Type == dns.TypeSOA && rr.Name.Equal(a.id.Name) && dns.CheckRData(dns.TypeSOA, rr.Data) == nil {
			r.serial = dns.SOASerial(rr.Data)
			r.readExpire(m.EDNS)
			return r
		}
	}
	return result{err: fmt.Errorf("its answer has no SOA record of %s", a.id.Name)}
}

func (r *result) readExpire(e *dns.EDNS) {
	o, ok := e.Option(dns.OptionExpire)
	if !ok {
		return
	}
	if n, ok, err := o.Expire(); ok && err == nil {
		r.expire, r.hasExpire = time.Duration(n)*time.Second, true
	}
}
