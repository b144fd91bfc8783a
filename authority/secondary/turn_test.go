package secondary

import (
	"context"
	"sync/atomic"
	"testing"

	"onoma/authority"
	"onoma/transport"
	"onoma/zone"
)

// TestTurns: a server fetches a zone when it has the turn, and gives it back.
func TestTurns(t *testing.T) {
	v := build(t, 1, 10)
	p := startPrimary(t, authority.Options{}, v)
	var asked, open atomic.Int32
	r := newRig(t, func(o *Options) {
		o.Turn = func(context.Context, zone.ID) (func(), bool) {
			if asked.Add(1) == 1 {
				return nil, false // another one is at it
			}
			open.Add(1)
			return func() { open.Add(-1) }, true
		}
		o.Ended = func(Report) {
			if asked.Load() < 2 {
				t.Error("the zone was fetched without the turn")
			}
			if open.Load() != 1 {
				t.Error("the turn was given back before the end of the transfer")
			}
		}
	})
	r.zones.add(id, nil)
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}})
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 1)
	same(t, v, r.current())
	if n := open.Load(); n != 0 {
		t.Errorf("%d turns are not given back", n)
	}
}
