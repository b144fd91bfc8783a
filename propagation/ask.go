package propagation

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// clientOf asks from the local address that fits.
type clientOf struct {
	options   Options
	four, six transport.Client
}

// mostIgnored is how many replies that do not match are borne: beyond it somebody guesses.
const mostIgnored = 16

func clients(o Options) *clientOf {
	return &clientOf{
		options: o,
		four:    transport.Client{Local: o.from(netip.IPv4Unspecified()), MaxIgnored: mostIgnored},
		six:     transport.Client{Local: o.from(netip.IPv6Unspecified()), MaxIgnored: mostIgnored},
	}
}

func (c *clientOf) exchange(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error) {
	if server.Addr().Is4() {
		return c.four.Exchange(ctx, proto, server, query, buf)
	}
	return c.six.Exchange(ctx, proto, server, query, buf)
}

// ask asks a secondary which version it serves: over UDP, and over TCP where the answer did not fit or the last one did not come.
func (f *Follower) ask(ctx context.Context, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	proto := transport.UDP
	if q.stream {
		proto = transport.TCP
	}
	serial, err := f.soa(ctx, proto, q)
	if errors.Is(err, errTruncated) {
		serial, err = f.soa(ctx, transport.TCP, q)
	}
	var x *transport.ExchangeError
	switch {
	case err == nil:
		return answer{serial: serial}
	case !errors.As(err, &x):
		return answer{err: err.Error()}
	}
	why := x.Kind.String() // without the address, which the reader knows
	return answer{err: why, timedOut: x.Kind == transport.Timeout}
}

var (
	errTruncated = errors.New("answer is truncated")
	errNoKey     = errors.New("the key is not known")
	errLame      = errors.New("it answers without authority (AA)")
	errNoSOA     = errors.New("it answers without the SOA record")
	errUnsigned  = errors.New("its answer is not signed as it should be")
)

// soa asks for the SOA record (RFC 1035 §4.3.2; RFC 1996 §4.7 does the same to find out whether there is a new version).
func (f *Follower) soa(ctx context.Context, proto transport.Proto, q question) (uint32, error) {
	m := dns.NewQuery(uint16(rand.Uint32()), dns.Question{Name: q.zone.Name, Type: dns.TypeSOA, Class: dns.ClassIN}, false)
	query, err := m.Append(nil)
	if err != nil {
		return 0, err
	}
	var key dns.TSIGKey
	var mac []byte
	if !q.target.Key.IsZero() {
		var ok bool
		if f.options.Keys != nil {
			key, ok = f.options.Keys(q.target.Key)
		}
		if !ok {
			return 0, errNoKey
		}
		if query, mac, err = dns.SignTSIG(query, key, time.Now(), nil); err != nil {
			return 0, err
		}
	}
	reply, err := f.exchange(ctx, proto, q.target.Addr, query, nil)
	if err != nil {
		return 0, err
	}
	msg := reply.Msg
	if mac != nil {
		if msg, err = verified(msg, key, mac); err != nil {
			return 0, err
		}
	}
	return serialIn(msg, q.zone)
}

// verified returns a message without its signature, if that is good (RFC 8945 §5.4). That of a refusal may be missing.
func verified(msg []byte, key dns.TSIGKey, mac []byte) ([]byte, error) {
	s, err := dns.NewTSIGStream(key, mac)
	if err != nil {
		return nil, err
	}
	n, err := s.Verify(msg, time.Now())
	if err == nil {
		err = s.Complete()
	}
	if err == nil {
		return msg[:n], nil
	}
	if h, ok := dns.ParseHeader(msg); ok && h.Flags.RCode() != dns.RCodeNoError {
		return msg, nil
	}
	return nil, errUnsigned
}

// serialIn returns the serial number that an answer tells.
func serialIn(msg []byte, id zone.ID) (uint32, error) {
	m, err := dns.ParseMessage(msg)
	switch {
	case err != nil:
		return 0, errors.New("its answer cannot be read")
	case m.Flags.Has(dns.FlagTC):
		return 0, errTruncated
	case m.RCode != dns.RCodeNoError:
		return 0, errors.New("it answers " + m.RCode.String())
	case !m.Flags.Has(dns.FlagAA):
		return 0, errLame
	}
	for _, r := range m.Answer {
		if r.Type != dns.TypeSOA || !r.Name.Equal(id.Name) {
			continue
		}
		if soa, err := dns.ParseSOA(r.Data); err == nil {
			return soa.Serial, nil
		}
	}
	return 0, errNoSOA
}
