package resolver

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// restart ends the resolver and starts it again with another configuration.
func (w *world) restart(change func(*Config)) (log string) {
	w.t.Helper()
	if err := w.r.Close(); err != nil {
		w.t.Fatal(err)
	}
	cfg := w.r.cfg
	cfg.Anchors = w.r.anchors
	var text lines
	cfg.Log = slog.New(slog.NewTextHandler(&text, nil))
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r, w.worker = r, r.NewWorker()
	w.asked()
	return text.String()
}

func TestCacheOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	inSignedWorld(t, Config{CacheFile: file}, [2]change{}, func(t *testing.T, w *world) {
		ask := func() string { return w.verdict("www.example.", dns.TypeA, withAD) }
		ask()
		time.Sleep(100 * time.Second)
		if log := w.restart(nil); strings.Count(log, "\n") != 1 || !strings.Contains(log, "cache read") {
			t.Errorf("a restart says %q", log)
		}
		a := w.ask(query("www.example.", dns.TypeA, 1232, true))
		if n := w.asked(); n != 0 || len(a.Answer) == 0 || a.Answer[0].TTL != 200 || !a.Flags.Has(dns.FlagAD) {
			t.Errorf("after a restart: %s, %d packets", text(a), n)
		}
		w.restart(func(cfg *Config) { cfg.Anchors = nil })
		if e, ok := w.r.iterator.Cache.RRset(dns.MustName("www.example."), dns.TypeA, w.r.now()); !ok || e.Status != cache.Unchecked {
			t.Errorf("without anchors: %+v %v", e, ok)
		}
		expect(t, "without anchors", ask(), "NOERROR A")
		if n := w.asked(); n != 0 {
			t.Errorf("without anchors: %d packets", n)
		}
		if log := w.restart(func(cfg *Config) { cfg.UpstreamPort = 5300 }); strings.Count(log, "\n") != 1 || !strings.Contains(log, "empty cache") || !strings.Contains(log, "other servers") {
			t.Errorf("with other servers: %q", log)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v %v", info, err)
		}
		if others, _ := filepath.Glob(file + ".*"); len(others) > 0 {
			t.Errorf("left behind: %v", others)
		}
	})
}

func TestCacheFileIsWrittenNowAndThen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	inWorld(t, Config{CacheFile: file}, "www 10000 A 198.51.100.1", func(t *testing.T, w *world) {
		w.ask(query("www.example.com.", dns.TypeA, 1232, false))
		time.Sleep(16 * time.Minute)
		saved, err := os.ReadFile(file)
		if err != nil || len(saved) < 100 {
			t.Fatalf("after 16 minutes: %d octets, %v", len(saved), err)
		}
		w.restart(nil)
		w.r.Close()
		if err := os.WriteFile(file, saved[:len(saved)-2], 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := w.r.cfg
		var log lines
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		if w.r, err = New(cfg); err != nil {
			t.Fatalf("a damaged file keeps the resolver from starting: %v", err)
		}
		w.worker = w.r.NewWorker()
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "ends too soon") {
			t.Errorf("a damaged file: %q", text)
		}
		w.asked()
		w.ask(query("www.example.com.", dns.TypeA, 1232, false))
		if w.asked() == 0 {
			t.Error("something of a damaged file is believed")
		}
	})
}
