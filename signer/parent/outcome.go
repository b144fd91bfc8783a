package parent

import (
	"slices"
	"time"
)

// mostTries is how often one is told that does not answer, before that rests for a day (RFC 1996 §3.6 has five tries).
const mostTries = 6

// Who says that there is no such delegation is told again for longer, which is about half an hour in all, with pauses that grow up
// to mostPause: a registry may make the delegation and its NS records in any order.
const (
	mostNotYet = 10
	mostPause  = 10 * time.Minute
)

// told takes what came of telling the parent: all receivers that there are, with what they answered.
func (c *core) told(j *job, receivers []Telling, err string, now time.Time) {
	w := j.zone
	for i := range w.tells {
		t := &w.tells[i]
		if t.job != j {
			continue
		}
		t.receivers, t.err = receivers, err
		if slices.ContainsFunc(receivers, func(r Telling) bool { return r.isDone(t.round) && r.Error == "" }) {
			c.watch(w, now)
		}
		c.retell(w, t, now)
	}
	c.note(w, now)
}

// retell plans when the parent is told again: soon where somebody did not answer or knows no such delegation yet, after a day where nothing came of it.
func (c *core) retell(w *watched, t *tell, now time.Time) {
	isOpen := t.err != ""
	tries, pause := mostTries, time.Minute
	for _, r := range t.receivers {
		isOpen = isOpen || !r.isDone(t.round)
		if r.NotYet {
			tries, pause = mostNotYet, mostPause
		}
	}
	t.job.tries++
	if isOpen && t.job.tries < tries {
		c.later(t.job, now.Add(c.jittered(backOff(c.timeout, t.job.tries, pause))))
		return
	}
	t.job.tries = 0
	if t == &w.tells[1] && !isOpen {
		return // what became of a CSYNC is not seen from here
	}
	t.round = now.Add(c.jittered(w.Delays.Again))
	c.later(t.job, t.round)
}

// isDone reports whether a receiver has answered since that time, and need not be told again soon.
func (r Telling) isDone(since time.Time) bool {
	return !r.NotYet && !r.Answered.Before(since) && !r.Answered.IsZero()
}

// pushedTo takes what came of an UPDATE. It is tried again until the parent's servers have what is wanted.
func (c *core) pushedTo(j *job, err string, now time.Time) {
	w := j.zone
	if w.push != j || w.pushed == nil {
		return
	}
	p := *w.pushed
	p.Tries, p.Last, p.Error = p.Tries+1, now, err
	if err == "" {
		p.Done = now
		w.eager = now
		for _, l := range w.looks {
			c.queue.now(&l.job)
		}
	}
	w.pushed = &p
	if err != "" {
		j.tries++
		c.later(j, now.Add(c.jittered(backOff(c.timeout, j.tries, w.Delays.Rest))))
	}
	c.note(w, now)
}
