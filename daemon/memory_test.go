package daemon

import (
	"context"
	"testing"
	"time"
)

// TestQuiet: memory is given back once after much change, and not before the change is over.
func TestQuiet(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	counts := make(chan uint64, 2)
	counts <- 0
	counts <- 0
	given := 0
	go func() {
		defer close(ended)
		quiet(ctx, ticks, func() uint64 { return <-counts }, func() { given++ })
	}()
	for i, n := range []uint64{0, 10, 10, 2000, 3000, 3000, 3000, 3500, 3500, 4001, 4001} {
		ticks <- time.Time{}
		counts <- n
		if i == 4 && given != 0 {
			t.Error("memory was given back before the changes were over")
		}
	}
	cancel()
	<-ended
	if given != 2 {
		t.Errorf("memory was given back %d times, expected 2", given)
	}
}
