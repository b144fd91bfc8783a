package daemon

import (
	"context"
	"sync"
	"time"
)

// leaseTime is how long a server may be away before another one that shares the database does its work.
const leaseTime = 30 * time.Second

// lease is the right to do what is to be done once among servers, as far as this one knows. It is asked for each zone, and
// the database now and then.
type lease struct {
	d    *Daemon
	what string

	mu    sync.Mutex
	has   bool
	asked time.Duration // by the clock of how long the machine runs
}

// signerLease is the right to go on with the keys of zones.
const signerLease = "signer"

// releaseSigner lets another server go on with the keys at once, where this one ends in peace.
func (d *Daemon) releaseSigner() {
	if d.node == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaseTime/10)
	defer cancel()
	_ = d.store.Release(ctx, signerLease, d.node.name) // else it ends by itself
}

// leaseOf reports whether this server is the one that does what must be done once.
func (d *Daemon) leaseOf(what string) func(context.Context) bool {
	l := &lease{d: d, what: what, asked: -leaseTime}
	began := time.Now()
	return func(ctx context.Context) bool { return l.isHeld(ctx, time.Since(began)) }
}

// isHeld asks the database where what is known is older than a sixth of a lease, so that a server that has one renews it long
// before it ends.
func (l *lease) isHeld(ctx context.Context, now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now-l.asked < leaseTime/6 {
		return l.has
	}
	ok, err := l.d.store.Lease(ctx, l.what, l.d.node.name, leaseTime)
	if err != nil {
		l.d.log.Warn("it is not known who does what is to be done once", "what", l.what, "error", err)
	}
	l.has, l.asked = ok && err == nil, now
	return l.has
}
