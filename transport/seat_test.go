package transport

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// However many panics the network provokes, one line a second is logged, and it says how many were not.
func TestLogLimit(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	l := newLogLimit(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	s := &seat{handler: flip, log: l}
	for range 5 {
		func() {
			defer s.recovered()
			panic("again")
		}()
	}
	if n := strings.Count(out.String(), "a worker panicked"); n != 1 {
		t.Errorf("%d lines for five panics in one second", n)
	}
	now = now.Add(time.Second)
	l.warn("something else")
	if !strings.Contains(out.String(), `msg="something else" unreported=4`) {
		t.Errorf("the second line does not say what was left out:\n%s", out.String())
	}
	if s.tally[nPanics] != 5 {
		t.Errorf("%d panics counted, want 5", s.tally[nPanics])
	}
}
