package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"onoma/config"
	"onoma/telemetry/journal"
)

// logPatience is how long the end of a server may wait for its last lines to be read.
const logPatience = time.Second

// logAside has the log written by a goroutine of its own, so that a standard error that nobody reads delays nothing, until
// the returned function is called.
func (a *app) logAside() (end func()) {
	return a.logBy(a.stderr, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })
}

// logTo is logAside with the level, the form and the file that a configuration has.
func (a *app) logTo(c *config.Log) (end func(), err error) {
	o := new(slog.HandlerOptions)
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	o.Level = level
	format := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, o) }
	if c.Format == "json" {
		format = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, o) }
	}
	if c.File == "" {
		return a.logBy(a.stderr, format), nil
	}
	f := &logFile{path: c.File}
	if err := f.reopen(); err != nil {
		return nil, err
	}
	a.logFile = f
	end = a.logBy(f, format)
	return func() { end(); f.close() }, nil
}

func (a *app) logBy(w io.Writer, format func(io.Writer) slog.Handler) (end func()) {
	direct := a.log
	a.journal = journal.New(w, format)
	a.log = slog.New(a.journal.Handler())
	return func() {
		a.journal.Close(logPatience)
		a.log = direct
	}
}

// reopenLog begins a new file of the log where the last one has been moved away.
func (a *app) reopenLog() {
	if a.logFile == nil {
		return
	}
	if err := a.logFile.reopen(); err != nil {
		a.log.Error("log goes on in the file that it has", "error", err)
	}
}

// logFile is a file that is appended to, and opened anew when it has been moved.
type logFile struct {
	path string

	mu sync.Mutex
	f  *os.File
}

func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return hint(fmt.Errorf("opening the log: %w", err), "log.file in the configuration names it")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

// Write appends to the file.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(b)
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f.Close()
}
