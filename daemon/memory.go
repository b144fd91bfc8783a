package daemon

import (
	"context"
	"runtime/debug"
	"time"
)

// giveBack returns memory to the system where zones have been read or have changed a lot and then no more: that took up to as
// much again as to keep them, and a server that only answers makes no garbage that would have it collected.
func (d *Daemon) giveBack(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	quiet(ctx, tick.C, func() uint64 { return d.pipe.Stats().Versions }, debug.FreeOSMemory)
}

// muchChange is after how many versions memory is worth giving back.
const muchChange = 1000

// quiet calls then when much has happened by count, and nothing between two ticks.
func quiet(ctx context.Context, ticks <-chan time.Time, count func() uint64, then func()) {
	done, last := count(), count()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		n := count()
		if n == last && n-done >= muchChange {
			then()
			done = n
		}
		last = n
	}
}
