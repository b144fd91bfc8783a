package zone

import (
	"fmt"
	"io"
	"slices"
)

// ReadDifference reads a delta as what turns the version with the serial number
// from into that with to. It stops with ErrLong behind most octets.
func ReadDifference(from, to uint32, r *DeltaReader, most int) (Difference, error) {
	d := Difference{From: from, To: to}
	var removed, added []byte
	for {
		rec, coming, err := r.Next()
		switch {
		case err == io.EOF:
			d.class, d.removed, d.added = r.class, string(removed), string(added)
			return d, nil
		case err != nil:
			return d, err
		case len(removed)+len(added) > most:
			return d, fmt.Errorf("reading a difference of %s: %w", r.origin, ErrLong)
		case coming:
			added = appendPacked(added, rec)
		default:
			removed = appendPacked(removed, rec)
		}
		d.count++
	}
}

// Recall has the zone's history begin with what was before it was kept: steps,
// each beginning where the one before ends, one of them leading to the version
// with which the history begins now; those behind it are there already. It reports
// false where they do not fit.
func (z *Zone) Recall(steps []Difference) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	h, now := z.history.Load(), z.latest()
	if h == nil || now == nil || len(steps) == 0 {
		return false
	}
	return h.recall(steps, now)
}

func (h *History) recall(steps []Difference, now *Version) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := now.serial
	if len(h.steps) > 0 {
		first = h.steps[0].From
	}
	// What was kept while steps were being read is in both.
	end := slices.IndexFunc(steps, func(s Difference) bool { return s.To == first })
	if end < 0 {
		return false
	}
	steps = steps[:end+1]
	most := min(h.limits.Octets, max(now.live, leastOctets)) - h.octets
	at := len(steps)
	for at > 0 && len(h.steps)+len(steps)-at < h.limits.Steps {
		s := steps[at-1]
		if most -= s.Octets(); most < 0 || !IsNewer(s.To, s.From) || at < len(steps) && s.To != steps[at].From {
			break
		}
		h.octets += s.Octets()
		at--
	}
	h.steps = append(append([]Difference(nil), steps[at:]...), h.steps...)
	return at < len(steps)
}
