package systemd

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the service manager.
type Manager struct {
	log *slog.Logger
}

// New returns the service manager. What goes wrong with telling it is logged; log
// may be nil.
func New(log *slog.Logger) *Manager {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Manager{log}
}

// Ready says that the server serves, also at the end of a reload, and its status for
// people, which may be empty.
func (m *Manager) Ready(status string) { m.tell(daemon.SdNotifyReady, statusLine(status)) }

// Reloading says that a reload has begun; Ready ends it. The time makes it possible to
// tell which reload it is (Type=notify-reload).
func (m *Manager) Reloading() {
	m.tell(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the server ends.
func (m *Manager) Stopping() { m.tell(daemon.SdNotifyStopping) }

// statusLine words a status. The protocol has one assignment a line.
func statusLine(text string) string {
	if text == "" {
		return ""
	}
	return "STATUS=" + strings.Join(strings.Fields(text), " ")
}

func (m *Manager) tell(lines ...string) {
	var message strings.Builder
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			message.WriteString(line + "\n")
		}
	}
	if _, err := daemon.SdNotify(false, message.String()); err != nil {
		m.log.Warn("service manager not told", "message", message.String(), "error", err)
	}
}

// Watch tells the service manager at half of the time that it allows (WatchdogSec=)
// that the server is healthy, for as long as healthy says so, and returns when ctx
// ends. A server that is not healthy, or that does not answer whether it is, is then
// started anew. Without a watchdog it returns at once.
func (m *Manager) Watch(ctx context.Context, healthy func(context.Context) error) {
	allowed, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("watchdog of the service manager not understood", "error", err)
	}
	if allowed <= 0 {
		return
	}
	tick := time.NewTicker(allowed / 2)
	defer tick.Stop()
	for well := true; ; {
		err := healthy(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			m.tell(daemon.SdNotifyWatchdog)
		case well:
			m.log.Error("server is not healthy, the service manager will start it anew", "within", allowed, "error", err)
		}
		well = err == nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
