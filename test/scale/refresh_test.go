package scale

import (
	"testing"
	"time"
)

// TestLostNotify: no NOTIFY reaches the consumer, and the refresh timers of the zones and of the catalog bring all the same what
// is new: other content, a member that goes and comes again, and members that are to be got anew.
func TestLostNotify(t *testing.T) {
	t.Parallel()
	const refresh = 1
	r := newRig(t, 10, refresh, false)
	r.primary.start()
	r.primary.await("serving", func() bool { return r.primary.serves(nameOf(r.n-1), 1) })
	r.consumer.start()
	r.fetched(1)

	r.write(fileOf(3), r.text(3, 2))
	began := r.consumer.transferred()
	r.primary.hangUp()
	took := r.consumer.await("the timer of "+nameOf(3), func() bool { return r.consumer.serves(nameOf(3), 2) })
	t.Logf("a zone that has changed, with a refresh timer of %d s: %v", refresh, took.Round(time.Millisecond))
	if got := r.consumer.transferred() - began; got != 1 {
		t.Errorf("for one zone that has changed there were %d transfers, expected 1", got)
	}

	for _, listed := range []bool{false, true} {
		r.listed[nameOf(5)] = listed
		r.publish()
		took := r.consumer.await("the timer of the catalog", func() bool {
			_, ok := r.consumer.serial(nameOf(5))
			return ok == listed
		})
		t.Logf("a member that is listed or not, by the timer of the catalog: %v", took.Round(time.Millisecond))
	}
	if !r.consumer.serves(nameOf(4), 1) || !r.consumer.serves(nameOf(3), 2) {
		t.Error("other members than the one that went and came have changed")
	}

	began, r.label = r.consumer.transferred(), "n"
	r.publish()
	took = r.consumer.await("all members being fetched anew, as their labels have changed (RFC 9432 §5.4)", func() bool {
		return r.consumer.transferred() >= began+uint64(r.n)+1
	})
	t.Logf("all members with other labels: %v", took.Round(time.Millisecond))
	r.same()
}

// publish has the primary serve the next version of the catalog.
func (r *rig) publish() {
	r.t.Helper()
	r.list()
	r.primary.hangUp()
	r.primary.await("serving the catalog", func() bool { return r.primary.serves(catz, r.catalog) })
}

// same waits until all zones are served as the primary has them.
func (r *rig) same() {
	r.t.Helper()
	for i := range r.n {
		want, _ := r.primary.serial(nameOf(i))
		r.consumer.await(nameOf(i)+" being as the primary has it", func() bool { return r.consumer.serves(nameOf(i), want) })
	}
}
