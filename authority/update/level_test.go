package update

import (
	"log/slog"
	"testing"
	"time"

	"onoma/dns"
)

// TestRefusalsAreTold: an operator sees who was refused, and a flood of such does
// not fill the log.
func TestRefusalsAreTold(t *testing.T) {
	h, now := New(Options{}), time.Unix(1e9, 0)
	told := 0
	for range 1000 {
		if h.level(dns.RCodeRefused, now) == slog.LevelInfo {
			told++
		}
	}
	if told < toldEach || told > toldEach+1 {
		t.Errorf("%d of 1000 refusals at once are told, expected %d", told, toldEach)
	}
	if l := h.level(dns.RCodeRefused, now.Add(2*time.Second)); l != slog.LevelInfo {
		t.Errorf("a refusal later is told at level %s", l)
	}
	if l := h.level(dns.RCodeYXDomain, now.Add(3*time.Second)); l != slog.LevelDebug {
		t.Errorf("a prerequisite that does not hold is told at level %s", l)
	}
}
