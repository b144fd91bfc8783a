package transport

import (
	"net/netip"
	"sync"
)

// Limiter counts the connections of transports in other packages: all of them, and those of each client, which is an IPv4
// address or an IPv6 /64.
type Limiter struct {
	max, perClient int

	mu      sync.Mutex
	n       int
	clients map[netip.Addr]int
}

// Verdict is what a Limiter says to one more connection.
type Verdict uint8

const (
	Admitted    Verdict = iota
	TooMany             // the server has as many as it may
	TooManyHere         // the client has
)

// NewLimiter makes one.
func NewLimiter(max, perClient int) *Limiter {
	return &Limiter{max: max, perClient: perClient, clients: make(map[netip.Addr]int)}
}

// Admit takes in a connection from a, if there is room. Each that is admitted must be released. The zero Addr is that of
// clients not known yet, who may have any share.
func (l *Limiter) Admit(a netip.Addr) Verdict {
	key := clientKey(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.IsValid() && l.clients[key] >= l.perClient:
		return TooManyHere
	case l.n >= l.max:
		return TooMany
	}
	l.n++
	l.clients[key]++
	return Admitted
}

// Release forgets a connection from a.
func (l *Limiter) Release(a netip.Addr) {
	key := clientKey(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.clients[key]--; l.clients[key] == 0 {
		delete(l.clients, key)
	}
}

// Open is the number of connections admitted and not released.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}
