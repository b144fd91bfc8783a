package update

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
)

// Forward passes updates on to a zone's primaries (RFC 2136 §6): the message as it
// is, so that its signature is good at the primary, and the answer back.
type Forward struct {
	// Allow has whose updates are passed on. Keys are not looked at: the primary
	// knows them.
	Allow     []netip.Prefix
	Primaries []Primary     // asked in this order, until one can be reached
	Timeout   time.Duration // of all of it; 0: 10 s
}

// Primary is a server that makes the changes of a zone.
type Primary struct {
	Addr netip.AddrPort
	// Proto is TCP or TLS; UDP stands for TCP, since an answer that gets lost would
	// leave the client in doubt.
	Proto  transport.Proto
	Client *transport.Client // knows whom to trust over TLS; nil: one without TLS
}

var (
	errNotForwarded = refuse(dns.RCodeRefused, dns.EDEProhibited, "updates are not passed on for this client: ask a primary")
	errForwardBusy  = refuse(dns.RCodeServFail, dns.EDENotReady, "too many updates wait for the primary already")
	errForward      = refuse(dns.RCodeServFail, dns.EDENetworkError, "no answer from a primary: it may have made the change, or not")
	errNoPrimary    = refuse(dns.RCodeServFail, dns.EDENoReachableAuthority, "no primary can be reached")
)

// forwards are the requests that wait for primaries.
type forwards struct {
	waiting atomic.Int64
	count   atomic.Uint64
}

var plainClient transport.Client

// Forward is that of [authority.Updates].
func (h *Handler) Forward(u *authority.UpdateRequest) (dns.RCode, *dns.EDE, bool) {
	_, s := h.settings(u)
	if s == nil || s.Forward == nil {
		return 0, nil, false
	}
	f := s.Forward
	switch {
	case !f.allows(u.Client.Addr().Unmap().WithZone("")):
		return errNotForwarded.Code, &errNotForwarded.EDE, true
	case h.forwards.waiting.Add(1) > int64(h.o.MostForwards):
		h.forwards.waiting.Add(-1)
		return errForwardBusy.Code, &errForwardBusy.EDE, true
	}
	h.forwards.count.Add(1)
	reply := u.Later()
	go func() {
		defer h.forwards.waiting.Add(-1)
		f.pass(reply)
	}()
	return dns.RCodeNoError, nil, true
}

func (f *Forward) allows(client netip.Addr) bool {
	for _, p := range f.Allow {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// ask passes the request on, and returns the answer.
func (p *Primary) ask(ctx context.Context, request []byte) ([]byte, error) {
	client, proto := p.Client, p.Proto
	if client == nil {
		client = &plainClient
	}
	if proto == transport.UDP {
		proto = transport.TCP
	}
	answer, err := client.Exchange(ctx, proto, p.Addr, request, nil)
	return answer.Msg, err
}

// pass asks one primary after the other. Once one has taken the request no other is
// asked: it might be carried out twice.
func (f *Forward) pass(reply *authority.UpdateReply) {
	timeout := f.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for i := range f.Primaries {
		answer, err := f.Primaries[i].ask(ctx, reply.Msg)
		if err == nil {
			reply.Relay(answer)
			return
		}
		if !isUnsent(err) {
			reply.Answer(errForward.Code, &errForward.EDE)
			return
		}
	}
	reply.Answer(errNoPrimary.Code, &errNoPrimary.EDE)
}

// isUnsent reports whether nothing has reached the server.
func isUnsent(err error) bool {
	var x *transport.ExchangeError
	return errors.As(err, &x) && (x.Kind == transport.Refused || x.Kind == transport.Unreachable)
}
