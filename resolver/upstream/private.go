package upstream

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"onoma/transport"
)

// The parameters of RFC 9539, table 1.
const (
	persistence = 3 * 24 * time.Hour // how long it is remembered that a server spoke an encrypted transport
	damping     = 24 * time.Hour     // how long one that did not is left alone
)

const (
	encryptedPort = 853    // RFC 7858 §3.1, RFC 9250 §4.1.1
	maxProbes     = 64     // connections at the same time that nobody waits for
	maxRemembered = 20_000 // servers and transports
)

// habits is what is remembered of servers' encrypted transports (RFC 9539 §4).
type habits struct {
	port    uint16
	now     func() time.Time
	mu      sync.Mutex
	known   map[transport.Target]*habit
	probing int
}

// habit is one server's, over one transport.
type habit struct {
	isBusy   bool      // being probed
	failed   time.Time // when it did not work; zero: it did, or nobody knows
	answered time.Time // when it last did
}

// private returns a connection that stands to the server, over which it is asked the
// same without others seeing it, and whether there is one. Nobody waits for
// one: where a server is not known to refuse, it is made in the background, for the
// next question.
func (n *Network) private(to netip.Addr) (transport.Target, bool) {
	for _, proto := range [...]transport.Proto{transport.TLS, transport.QUIC} {
		if proto == transport.QUIC && n.cfg.Dialers.QUIC == nil {
			continue
		}
		secret := transport.Target{Addr: netip.AddrPortFrom(to, n.habits.port), Proto: proto}
		if n.line.has(secret) {
			return secret, true
		}
		if n.habits.begin(secret) {
			go func() { n.habits.end(secret, n.line.warm(secret)) }()
		}
	}
	return transport.Target{}, false
}

// begin reports whether to is to be probed, by the caller.
func (h *habits) begin(to transport.Target) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.known[to]
	if h.probing >= maxProbes || k != nil && (k.isBusy || h.now().Sub(k.failed) < damping) {
		return false
	}
	if k == nil {
		k = h.add(to)
	}
	h.probing++
	k.isBusy = true
	return true
}

// add makes room, if need be at the cost of any other: map order is as good as any.
func (h *habits) add(to transport.Target) *habit {
	for old, k := range h.known {
		if len(h.known) < maxRemembered {
			break
		}
		if !k.isBusy {
			delete(h.known, old)
		}
	}
	k := &habit{}
	h.known[to] = k
	return k
}

func (h *habits) end(to transport.Target, err error) {
	h.mu.Lock()
	h.probing--
	h.known[to].isBusy = false
	h.mu.Unlock()
	h.note(to, err)
}

// note remembers how an exchange or a connection went. One that fails where others
// worked lately may have been unlucky (a server that restarts): it is tried again
// by the next question, and left alone only after that.
func (h *habits) note(to transport.Target, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, now := h.known[to], h.now()
	switch {
	case k == nil:
	case err == nil:
		k.failed, k.answered = time.Time{}, now
	case now.Sub(k.answered) < persistence:
		k.answered = time.Time{}
	default:
		k.failed = now
	}
}

// inPrivate asks over a connection that stands, for half of the time that there is:
// what remains is enough for asking in the open. The server proves nothing (RFC 9539
// §4): who listens is kept out, who stands between is not.
func (n *Network) inPrivate(ctx context.Context, to netip.Addr, query []byte) (reply []byte, ok bool) {
	secret, ok := n.private(to)
	if !ok {
		return nil, false
	}
	half := ctx
	if d, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		half, cancel = context.WithTimeout(ctx, time.Until(d)/2)
		defer cancel()
	}
	reply, err := n.line.once(half, secret, padded(query))
	if err == nil {
		n.counts.private.Add(1)
	} else {
		n.counts.fallbacks.Add(1)
	}
	if ctx.Err() == nil && !errors.Is(err, errClosed) {
		n.habits.note(secret, err)
	}
	return reply, err == nil
}
