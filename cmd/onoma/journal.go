package main

import (
	"io"
	"log/slog"
	"time"

	"onoma/telemetry/journal"
)

// logPatience is how long the end of a server may wait for its last lines to be read.
const logPatience = time.Second

// logAside has the log written by a goroutine of its own, so that a standard error that nobody reads delays nothing, until
// the returned function is called.
func (a *app) logAside() (end func()) {
	direct := a.log
	a.journal = journal.New(a.stderr, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })
	a.log = slog.New(a.journal.Handler())
	return func() {
		a.journal.Close(logPatience)
		a.log = direct
	}
}
