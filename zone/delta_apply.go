package zone

import (
	"fmt"
	"io"

	"onoma/dns"
)

// Apply makes the changes of the delta that r has. It must fit: all that goes is
// there, with this TTL, and nothing that comes is. After an error the Editor is
// to be discarded.
func (e *Editor) Apply(r *DeltaReader) error {
	adding := false
	for {
		rec, added, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case added && !adding:
			adding = true
			e.close() // what went makes room for other types
		}
		if err := e.step(rec, added); err != nil {
			return err
		}
	}
}

// Revert undoes the changes of a delta, which it reads twice: what had come goes
// before what had gone comes back.
func (e *Editor) Revert(open func() (*DeltaReader, error)) error {
	for _, came := range []bool{true, false} {
		r, err := open()
		if err != nil {
			return err
		}
		for {
			rec, added, err := r.Next()
			if err == io.EOF {
				break
			}
			if err == nil && added == came {
				err = e.step(rec, !came)
			}
			if err != nil {
				return err
			}
		}
		e.close()
	}
	return nil
}

// step adds or removes exactly r.
func (e *Editor) step(r dns.Record, add bool) error {
	if add {
		switch changed, err := e.Add(r); {
		case err != nil:
			return err
		case !changed:
			return fmt.Errorf("adding %s %s, which is there: %w", r.Name, r.Type, ErrUnfit)
		}
		return nil
	}
	if !e.Remove(r) {
		return fmt.Errorf("removing %s %s, which is not there: %w", r.Name, r.Type, ErrUnfit)
	}
	return nil
}

// IsTouched reports whether anything has been changed, were it back to what it was.
func (e *Editor) IsTouched() bool {
	if e.spent {
		return false
	}
	e.close()
	return e.v.names != e.base.names || e.v.nsec3 != e.base.nsec3 || e.v.spare != e.base.spare
}

// Draft returns the version that Commit would return, to be looked at before the
// Editor is used again: what its owner does not like is discarded at no cost.
func (e *Editor) Draft() (*Version, error) {
	if e.spent {
		return nil, ErrSpent
	}
	e.close()
	if err := e.finish(); err != nil {
		return nil, fmt.Errorf("editing %s: %w", e.v.origin, err)
	}
	return e.v, nil
}

// Bound lets the Editor take at most so many steps: Add and Remove do nothing more
// behind them, and IsOverlong says so. Who may not take long gives up then. With 0
// there is no bound.
func (e *Editor) Bound(steps int) {
	e.bound = 0
	if steps > 0 {
		e.bound = steps + 2
	}
}

// ApplyDelta makes the changes of d, which must fit as that of Apply.
func (e *Editor) ApplyDelta(d Delta) error {
	for _, r := range d.Removed {
		if err := e.step(r, false); err != nil {
			return err
		}
	}
	e.close()
	for _, r := range d.Added {
		if err := e.step(r, true); err != nil {
			return err
		}
	}
	return nil
}

// IsOverlong reports whether there were more steps than Bound has said.
func (e *Editor) IsOverlong() bool { return e.bound == 1 }

// count notes a step, and reports whether it may be taken.
func (e *Editor) count() bool {
	if e.bound > 1 {
		e.bound--
	}
	return e.bound != 1
}
