package lab

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// followEvery is how often a zone is looked at that is on its way to be validated.
const followEvery = 20 * time.Millisecond

// Follow tells, with the time since began, how a zone that was just registered comes
// to be validated: signed, DS at the parent, secure. isDone is false where it did not
// come so far within patience.
func (r *Remote) Follow(ctx context.Context, w io.Writer, name string, began time.Time, patience time.Duration) (isDone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	told := 0
	for {
		s, err := r.Security(ctx, name)
		if ctx.Err() != nil {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		steps := stepsOf(&s)
		for ; told < len(steps); told++ {
			if _, err := fmt.Fprintf(w, "%6.2f s  %s\n", time.Since(began).Seconds(), steps[told]); err != nil {
				return false, err
			}
		}
		if why := endsBecause(&s); why != "" {
			_, err := fmt.Fprintf(w, "          %s\n", why)
			return true, err
		}
		if len(steps) == allSteps {
			return true, nil
		}
		select {
		case <-ctx.Done():
			_, err := fmt.Fprintf(w, "          not secure within %v: it is %s; %s\n", patience, s.Status, s.Why)
			return false, err
		case <-time.After(followEvery):
		}
	}
}

const allSteps = 3

// endsBecause says why nothing more is to come; "": it is.
func endsBecause(s *Security) string {
	switch {
	case len(s.Hosts) == 0:
		return "no provider of the lab has a zone of it yet: onoma lab record makes one"
	case s.Unsigned != "":
		return "not signed: " + s.Unsigned
	}
	return ""
}

// stepsOf returns what has happened so far.
func stepsOf(s *Security) (steps []string) {
	if len(s.Signers) == 0 {
		return nil
	}
	steps = append(steps, fmt.Sprintf("signed by %s: %s", strings.Join(s.Signers, " and "), strings.Join(s.Keys, ", ")))
	if len(s.DS) == 0 {
		return steps
	}
	steps = append(steps, "DS at the parent: "+strings.Join(s.DS, ", "))
	if s.Status != "secure" {
		return steps
	}
	return append(steps, "secure")
}
