package daemon

import (
	"context"
)

// signals publishes keys of zones below the names of their name servers (RFC 9615).
type signals struct {
	d    *Daemon
	woke chan struct{}
}

func newSignals(d *Daemon) *signals { return &signals{d, make(chan struct{}, 1)} }

// wake has the signals looked at.
func (s *signals) wake() {
	select {
	case s.woke <- struct{}{}:
	default:
	}
}

func (s *signals) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
