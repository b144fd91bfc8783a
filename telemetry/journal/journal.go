// Package journal is an slog.Handler that never waits: lines go through a queue of bounded length to one goroutine, which
// writes them. Where the writer is stuck, a pipe that nobody reads for example, lines are dropped and counted, and the next
// line that can be written is preceded by one that says how many were.
package journal

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// Journal is the queue and its goroutine.
type Journal struct {
	w      io.Writer
	format func(io.Writer) slog.Handler
	text   slog.Handler // formats into lines

	lines  chan []byte
	ended  chan struct{} // closed when the goroutine has ended
	closed atomic.Bool

	kept, dropped, told atomic.Uint64
}

const (
	queue   = 1024     // lines
	maxLine = 16 << 10 // octets; what is longer is cut
)

// New returns a Journal that writes to w. Lines are formatted by the Handler that format makes.
func New(w io.Writer, format func(io.Writer) slog.Handler) *Journal {
	j := &Journal{w: w, format: format, lines: make(chan []byte, queue), ended: make(chan struct{})}
	j.text = format((*entrance)(j))
	go j.run()
	return j
}

// Handler returns the slog.Handler whose lines the Journal writes.
func (j *Journal) Handler() slog.Handler { return j.text }

// Writer returns a Writer that queues what it is given line by line: for text that is no log. Each Write ends with a line.
func (j *Journal) Writer() io.Writer { return (*page)(j) }

type page Journal

func (p *page) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		_, _ = (*entrance)(p).Write(line) // it never fails
	}
	return len(text), nil
}

// entrance is where formatted lines come in: slog's handlers call Write once for each.
type entrance Journal

// Write queues a line, or drops it. It never fails.
func (e *entrance) Write(line []byte) (int, error) {
	j := (*Journal)(e)
	n := len(line)
	if n == 0 {
		return 0, nil // nil in the queue is the end
	}
	if n > maxLine {
		line = append(line[:maxLine-1:maxLine-1], '\n')
	}
	if j.closed.Load() {
		j.dropped.Add(1)
		return n, nil
	}
	select {
	case j.lines <- append([]byte(nil), line...):
		j.kept.Add(1)
	default:
		j.dropped.Add(1)
	}
	return n, nil
}

func (j *Journal) run() {
	defer close(j.ended)
	for line := range j.lines {
		if line == nil {
			return
		}
		j.confess()
		_, _ = j.w.Write(line) // there is nobody left to tell
	}
}

// confess says how many lines were dropped since it was last said.
func (j *Journal) confess() {
	n := j.dropped.Load()
	missed := n - j.told.Swap(n)
	if missed == 0 {
		return
	}
	var line lineBuffer
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped because they were not read in time", 0)
	r.AddAttrs(slog.Uint64("lines", missed))
	_ = j.format(&line).Handle(context.Background(), r)
	_, _ = j.w.Write(line)
}

type lineBuffer []byte

func (b *lineBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// Stats returns how many lines were queued, and how many dropped.
func (j *Journal) Stats() (kept, dropped uint64) { return j.kept.Load(), j.dropped.Load() }

// Close writes what is queued, for as long as patience lasts; lines that come later are dropped.
func (j *Journal) Close(patience time.Duration) {
	if j.closed.Swap(true) {
		return
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case j.lines <- nil:
	case <-limit.C:
		return
	}
	select {
	case <-j.ended:
	case <-limit.C:
	}
}
