package soak

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"onoma/test/internet"
)

// outage is a time in which operators said nothing.
type outage struct {
	operators  []int
	start, end time.Time
}

// outages lets operators go down and come back until ctx ends: one at a time, and all of them each fifth time, as when one's
// own link is gone.
func outages(ctx context.Context, n *internet.Internet, every, length time.Duration) (list []outage) {
	wait := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	for i := 1; wait(every - length); i++ {
		o := outage{operators: []int{rand.IntN(n.Operators())}, start: time.Now()}
		if i%5 == 0 {
			o.operators = nil
			for op := range n.Operators() {
				o.operators = append(o.operators, op)
			}
		}
		set := func(down bool) {
			for _, op := range o.operators {
				n.SetDown(op, down)
			}
		}
		set(true)
		wait(length)
		set(false)
		o.end = time.Now()
		list = append(list, o)
	}
	return list
}

// remembered is for how long a failure may be answered after its cause is gone: RFC 9520 §3.2, first 5 s and then twice as
// long each time in succession, here at most once; and a second for a busy machine.
const remembered = 11 * time.Second

// explain says what is to blame for a failure; "" is nothing.
func explain(n *internet.Internet, f failure, list []outage) string {
	if f.asked.Zone.Fault != "" {
		return "broken zone"
	}
	needs := n.Needs(f.asked.Zone)
	for _, o := range list {
		if f.end.Before(o.start) || f.start.After(o.end.Add(remembered)) {
			continue
		}
		if slices.ContainsFunc(o.operators, func(op int) bool { return slices.Contains(needs, op) }) {
			return "outage"
		}
	}
	return ""
}
