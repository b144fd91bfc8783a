package journal

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func text(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

func TestLinesComeOutInOrder(t *testing.T) {
	var out strings.Builder
	j := New(&out, text)
	log := slog.New(j.Handler())
	log.Info("one", "n", 1)
	if n, err := j.Writer().Write(nil); n != 0 || err != nil {
		t.Errorf("writing nothing: %d, %v", n, err)
	}
	log.With("who", "me").Warn("two")
	io.WriteString(j.Writer(), "three\nfour\n")
	j.Close(time.Minute)
	log.Info("too late")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || lines[3] != "four" || lines[2] != "three" || !strings.Contains(lines[0], "msg=one n=1") || !strings.Contains(lines[1], "msg=two who=me") {
		t.Errorf("%q", lines)
	}
	if kept, dropped := j.Stats(); kept != 4 || dropped != 1 {
		t.Errorf("%d lines kept and %d dropped, expected 4 and 1", kept, dropped)
	}
}

// TestPipeThatIsNeverRead logs into a real pipe that is full.
func TestPipeThatIsNeverRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	j := New(w, text)
	log := slog.New(j.Handler())
	done := make(chan struct{})
	const lines = 20000 // of 100 octets and more, where a pipe holds 64 KiB
	go func() {
		for range lines {
			log.Warn("something is wrong", "because", strings.Repeat("x", 64))
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("logging waits for the pipe to be read")
	}
	if kept, dropped := j.Stats(); dropped < lines/2 || kept+dropped != lines {
		t.Errorf("%d lines kept and %d dropped of %d", kept, dropped, lines)
	}
	j.Close(time.Millisecond) // nor does the end wait
	r.Close()
}

// slow is a writer that waits until it is let go.
type slow struct {
	gate chan struct{}
	mu   sync.Mutex
	out  strings.Builder
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func TestDroppedLinesAreConfessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{gate: make(chan struct{})}
		j := New(s, text)
		log := slog.New(j.Handler())
		log.Info("first")
		synctest.Wait() // it is being written
		for range queue + 7 {
			log.Info("more")
		}
		close(s.gate)
		j.Close(time.Minute)
		out := s.out.String()
		if n := strings.Count(out, "msg=more"); n != queue {
			t.Errorf("%d lines written, expected %d", n, queue)
		}
		if n := strings.Count(out, "dropped"); n != 1 || !strings.Contains(out, "lines=7\n") {
			t.Errorf("seven dropped lines are confessed %d times, expected once", n)
		}
	})
}

func TestLongLinesAreCut(t *testing.T) {
	var out strings.Builder
	j := New(&out, text)
	slog.New(j.Handler()).Info(strings.Repeat("x", 100<<10))
	j.Close(time.Minute)
	if s := out.String(); len(s) != maxLine || s[len(s)-1] != '\n' {
		t.Errorf("a line of %d octets, expected %d and a new line at the end", len(s), maxLine)
	}
}
