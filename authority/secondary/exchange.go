package secondary

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"onoma/dns"
	"onoma/transport"
)

// exchange is one question to a primary by a stream, and its answers.
type exchange struct {
	s       *Secondary
	primary Primary
	id      uint16
	key     dns.TSIGKey
	mac     []byte // of the query
	signed  bool

	link   Link
	reused bool // link was used before
	body   io.ReadCloser
	r      *bufio.Reader
	sig    *dns.TSIGStream
	msg    []byte
	whole  bool // all answers were read: the connection can be used again
}

// unreachable is the error of a primary that no connection leads to.
type unreachable struct{ err error }

func (e unreachable) Error() string { return e.err.Error() }
func (e unreachable) Unwrap() error { return e.err }

// prepare makes the query ready: RFC 9250 §4.2.1 has ID 0 over QUIC.
func (x *exchange) prepare(m *dns.Message, proto transport.Proto) ([]byte, error) {
	x.id = 0
	if proto != transport.QUIC {
		x.id = uint16(x.s.options.Random(1 << 16))
	}
	m.ID = x.id
	if proto.IsEncrypted() {
		pad(m)
	}
	query, err := m.Append(nil)
	if err != nil {
		return nil, fmt.Errorf("making the query: %w", err)
	}
	if x.primary.Key.IsZero() {
		return query, nil
	}
	var ok bool
	if x.key, ok = x.s.options.Keys.Find(x.primary.Key); !ok {
		return nil, fmt.Errorf("the TSIG key %s is not known", x.primary.Key)
	}
	x.signed = true
	query, x.mac, err = dns.SignTSIG(query, x.key, x.s.options.Clock(), nil)
	return query, err
}

// open sends the query, by a connection that waits, or else by a new one.
func (x *exchange) open(ctx context.Context, m *dns.Message, fresh bool) error {
	query, err := x.prepare(m, x.primary.Proto)
	if err != nil {
		return err
	}
	x.link, x.reused = nil, false
	if !fresh {
		if x.link = x.s.links.take(x.primary); x.link != nil {
			x.reused = true
		}
	}
	if x.link == nil {
		if x.link, err = x.s.options.dial(ctx, x.primary); err != nil {
			x.link = nil
			return unreachable{err}
		}
	}
	if x.signed {
		if x.sig, err = dns.NewTSIGStream(x.key, x.mac); err != nil {
			return err
		}
	}
	if x.body, err = x.link.Ask(ctx, query); err != nil {
		return fmt.Errorf("sending the query: %w", err)
	}
	x.r = bufio.NewReaderSize(x.body, 16<<10)
	return nil
}

// next reads the next message, checks its signature and takes that off. The
// message is good until the next call.
func (x *exchange) next() ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(x.r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n < dns.HeaderLen {
		return nil, fmt.Errorf("a message of %d octets is announced", n)
	}
	if cap(x.msg) < n {
		x.msg = make([]byte, max(n, 16<<10))
	}
	x.msg = x.msg[:n]
	if _, err := io.ReadFull(x.r, x.msg); err != nil {
		return nil, err
	}
	return x.verify(x.msg)
}

// verify: RFC 8945 §5.3.1. An error that comes unsigned is given as what it says,
// since a server which does not know the key cannot sign.
func (x *exchange) verify(msg []byte) ([]byte, error) {
	if x.sig == nil {
		return msg, nil
	}
	n, err := x.sig.Verify(msg, x.s.options.Clock())
	if err == nil {
		return msg[:n], nil
	}
	if h, ok := dns.ParseHeader(msg); ok && h.Flags.RCode() != dns.RCodeNoError && errors.Is(err, dns.ErrTSIGUnsigned) {
		return nil, errors.Join(rcodeError(h.Flags.RCode()), err)
	}
	return nil, err
}

// complete checks that all answers were signed.
func (x *exchange) complete() error {
	if x.sig == nil {
		return nil
	}
	return x.sig.Complete()
}

// close keeps the connection for the next question, if this one has ended well.
func (x *exchange) close() {
	given := x.body == nil || x.body.Close() != nil
	if x.link == nil {
		return
	}
	if x.whole && !given && x.r.Buffered() == 0 {
		x.s.links.put(x.primary, x.link)
	} else {
		x.link.Close()
	}
	x.link, x.body = nil, nil
}

// isStale reports whether err says that a connection that had waited was closed
// by the primary meanwhile (RFC 7766 §6.2.4).
func (x *exchange) isStale(err error) bool {
	return x.reused && err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		!errors.Is(err, os.ErrDeadlineExceeded)
}

// newQuery returns a query with EDNS that asks for EXPIRE (RFC 7314 §3).
func newQuery(q dns.Question, edns bool) *dns.Message {
	m := dns.NewQuery(0, q, false)
	if edns {
		m.EDNS = &dns.EDNS{UDPSize: 1232, Options: []dns.Option{{Code: dns.OptionExpire}}}
	}
	return m
}

// padBlock is the multiple that queries are padded to (RFC 8467 §4.1).
const padBlock = 128

// pad makes the query as long as others are, which has the answers padded, too (RFC
// 7830 §4, RFC 9103 §6.4).
func pad(m *dns.Message) {
	if m.EDNS == nil {
		return
	}
	options := slices.DeleteFunc(slices.Clone(m.EDNS.Options), func(o dns.Option) bool { return o.Code == dns.OptionPadding })
	m.EDNS.Options = append(options, dns.Option{Code: dns.OptionPadding})
	if plain, err := m.Append(nil); err == nil {
		m.EDNS.Options[len(options)].Data = make([]byte, (padBlock-len(plain)%padBlock)%padBlock)
	}
}
