package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
	"onoma/transport"
)

// Query is one question for one of some servers, with everything that a person
// may want to set. Env, Servers, Tries and Timeout must be set.
type Query struct {
	Env      iterator.Env
	Servers  []netip.AddrPort // asked in turn, until one replies
	Question dns.Question
	Recurse  bool // RD
	CD       bool // checking disabled (RFC 4035 §3.2.2)
	AD       bool // ask whether the data was validated (RFC 6840 §5.7)
	TCP      bool // do not try UDP first
	// Encrypted is the transport to use instead of UDP and TCP, where it is not UDP.
	Encrypted transport.Proto
	Timeout   time.Duration // for one try
	Tries     int           // rounds over the servers
	EDNS      *dns.EDNS     // nil: none
}

// Reply is what came back, and how.
type Reply struct {
	Message *dns.Message
	Server  netip.AddrPort
	Proto   transport.Proto
	Size    int // octets
	Asked   time.Time
	Elapsed time.Duration // of the try that was answered
	// Truncated tells that a truncated reply came over UDP first, so that the
	// question went again over TCP.
	Truncated bool
}

// NoReplyError says that nobody replied, and what each server did instead.
type NoReplyError struct{ Tries []error }

func (e *NoReplyError) Error() string {
	if len(e.Tries) == 0 {
		return "no server to ask"
	}
	return errors.Join(e.Tries...).Error()
}

// Unwrap gives errors.Is the reasons.
func (e *NoReplyError) Unwrap() []error { return e.Tries }

// Ask sends the question until a server replies. A truncated reply is asked for
// again over TCP (RFC 7766 §5), and one to a query with EDNS that says FORMERR
// and has no EDNS of its own is shown as it is: a tool hides nothing.
func (q *Query) Ask(ctx context.Context) (*Reply, error) {
	msg, err := q.message().Append(nil)
	if err != nil {
		return nil, fmt.Errorf("making the query: %w", err)
	}
	var failed NoReplyError
	for range q.Tries {
		for _, s := range q.Servers {
			r, err := q.ask(ctx, s, msg)
			if err == nil {
				return r, nil
			}
			failed.Tries = append(failed.Tries, err)
			if ctx.Err() != nil {
				return nil, &failed
			}
		}
	}
	return nil, &failed
}

func (q *Query) message() *dns.Message {
	m := dns.NewQuery(uint16(q.Env.Uint64()), q.Question, q.Recurse)
	if q.CD {
		m.Flags |= dns.FlagCD
	}
	if q.AD {
		m.Flags |= dns.FlagAD
	}
	m.EDNS = q.EDNS
	return m
}

// ask tries one server once.
func (q *Query) ask(ctx context.Context, server netip.AddrPort, msg []byte) (*Reply, error) {
	if q.Encrypted.IsEncrypted() {
		return q.exchange(ctx, server, q.Encrypted, msg)
	}
	if q.TCP {
		return q.exchange(ctx, server, transport.TCP, msg)
	}
	r, err := q.exchange(ctx, server, transport.UDP, msg)
	if err != nil || !r.Message.Flags.Has(dns.FlagTC) {
		return r, err
	}
	again, err := q.exchange(ctx, server, transport.TCP, msg)
	if err != nil {
		return r, nil // what came over UDP says with TC that there is more
	}
	again.Truncated = true
	return again, nil
}

func (q *Query) exchange(ctx context.Context, server netip.AddrPort, proto transport.Proto, msg []byte) (*Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	start := q.Env.Now()
	reply, err := q.Env.Exchange(ctx, transport.Target{Addr: server, Proto: proto}, msg)
	elapsed := q.Env.Now().Sub(start)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s: no reply over %s within %s", server, proto, Duration(q.Timeout))
	case err != nil:
		return nil, err
	}
	m, err := dns.ParseMessage(reply)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the reply of %d octets: %w", server, len(reply), err)
	}
	return &Reply{Message: m, Server: server, Proto: proto, Size: len(reply), Asked: start, Elapsed: elapsed}, nil
}
