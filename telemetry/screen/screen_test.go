package screen

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"onoma/telemetry"
	"onoma/telemetry/dnstap"
)

var rewrite = flag.Bool("rewrite", false, "write what is drawn to testdata")

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// report is of a server that has been up for a while, seconds later by some traffic.
func report(seconds int) telemetry.Report {
	n := uint64(seconds)
	r := telemetry.Report{
		Role: "authority", Version: "v1.2.3", PID: 4711, Ready: true, Started: start, Time: start.Add(3*time.Hour + time.Duration(seconds)*time.Second),
		Listen: []string{"192.0.2.53:53", "tls://192.0.2.53:853"},
		Transports: map[string]telemetry.Counts{
			"udp": {Queries: 1000000 + 123456*n, Answers: 1000000 + 123400*n, BytesIn: 5000000 * n, BytesOut: 33000000 * n, Dropped: map[string]uint64{"short": 56 * n}},
			"tls": {Queries: 70 * n, Answers: 70 * n},
		},
		Loops:       []telemetry.Counts{{Queries: 500000 + 80000*n}, {Queries: 500000 + 43456*n}},
		KernelDrops: 3 * n,
		Connections: map[string]telemetry.Connections{"tls": {Open: 12, Accepted: 40}},
		Zones:       telemetry.Zones{Count: 2, Records: 1234567, Missing: 1, Bytes: 99 << 20},
		Process:     telemetry.Process{Resident: 130 << 20, Heap: 40 << 20, CPUSeconds: 100 + 0.87*float64(seconds), Goroutines: 17},
		Dnstap:      &dnstap.Stats{Sink: "unix:///run/tap", Connected: true, Frames: 247000, Dropped: 12},
		Log:         telemetry.Log{Lines: 5},
	}
	r.Traffic = telemetry.Traffic{
		Queries: []telemetry.Queries{{Transport: "udp", Family: "ipv4", Class: "in", EDNS: "do", Count: 1000000}},
		RCodes:  map[string]uint64{"NOERROR": 900000 + 100000*n, "NXDOMAIN": 23400 * n, "REFUSED": 5 * n, "FORMERR": 7},
		Types:   map[string]uint64{"A": 90000 * n, "AAAA": 30000 * n, "HTTPS": 3456 * n},
	}
	return r
}

func scene() Scene {
	s := Scene{Before: report(0), Now: report(2), Window: telemetry.Recent}
	for i := range 100 {
		s.Rates = append(s.Rates, float64((i*i)%91)*1000)
	}
	s.Top = telemetry.Top{Seconds: 12, Sample: 16, Looked: 90000}
	s.Top.Names = telemetry.Ranking{Missing: 160, Hits: []telemetry.Hit{
		{Key: "www.example.com.", Count: 640000, Excess: 32, Rate: 53333.3},
		{Key: "a-name-that-is-far-too-long-for-a-column-of-a-terminal.and-goes-on.example.com.", Count: 64000, Rate: 5333.3},
		{Key: `odd\032name\.example.com.`, Count: 16, Excess: 16, Rate: 1.3},
	}}
	s.Top.Clients = telemetry.Ranking{Hits: []telemetry.Hit{{Key: "192.0.2.0/24", Count: 640000, Rate: 53333.3}, {Key: "2001:db8:1:2300::/56", Count: 160, Rate: 13.3}}}
	s.Top.Denied = telemetry.Ranking{Hits: []telemetry.Hit{{Key: "victim.example.com.", Count: 280800, Excess: 800, Rate: 23400}}}
	return s
}

// golden compares a drawing with the file of its name, in which it can be looked at.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), got); diff != "" {
		t.Errorf("%s (-want +got; -rewrite takes it over):\n%s", name, diff)
	}
}

func TestDraw(t *testing.T) {
	s := scene()
	golden(t, "overview_80x24", s.Draw(80, 24))
	golden(t, "overview_120x40", s.Draw(120, 40))
	for tab := Names; tab < tabs; tab++ {
		s.Tab = tab
		golden(t, tabNames[tab]+"_80x24", s.Draw(80, 24))
	}
	s.Paused, s.Tab = true, Names
	s.TopError = "this server does not look for heavy hitters"
	golden(t, "no_top_paused_80x24", s.Draw(80, 24))
	s = Scene{Error: "no server listens on the control socket"}
	golden(t, "no_server_80x24", s.Draw(80, 24))
}

func TestStatusAndStats(t *testing.T) {
	r := report(2)
	var b strings.Builder
	if err := WriteStats(&b, &r); err != nil {
		t.Fatal(err)
	}
	golden(t, "stats", strings.TrimSuffix(b.String(), "\n"))
	b.Reset()
	if err := WriteZones(&b, []telemetry.Zone{{Name: "example.com.", Loaded: true, Serial: 7, Names: 3, Records: 12345, Bytes: 5000}, {Name: "example.net."}}); err != nil {
		t.Fatal(err)
	}
	golden(t, "zones", strings.TrimSuffix(b.String(), "\n"))
}

func TestEverySizeIsFilledAndNotLeft(t *testing.T) {
	s := scene()
	for width := range 200 {
		for height := range 50 {
			s.Tab = Tab((width + height) % int(tabs))
			lines := strings.Split(s.Draw(width, height), "\n")
			if height > 0 && len(lines) != height {
				t.Fatalf("%dx%d: %d lines", width, height, len(lines))
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > width {
					t.Fatalf("%dx%d: a line of %d characters: %q", width, height, n, l)
				}
			}
		}
	}
}

// fake is a server whose time runs with each report.
type fake struct {
	seconds int
	down    bool
	window  time.Duration
}

func (f *fake) Report(context.Context) (telemetry.Report, error) {
	if f.down {
		return telemetry.Report{}, errors.New("gone")
	}
	f.seconds++
	return report(f.seconds), nil
}

func (f *fake) Top(_ context.Context, window time.Duration, _ int) (telemetry.Top, error) {
	f.window = window
	return scene().Top, nil
}

// play gives messages to a model and runs what it asks for, except waiting.
func play(m tea.Model, msgs ...tea.Msg) tea.Model {
	for _, msg := range msgs {
		var cmd tea.Cmd
		m, cmd = m.Update(msg)
		if _, isTick := msg.(tick); isTick && cmd != nil {
			m, _ = m.Update(cmd())
		}
	}
	return m
}

func key(r rune) tea.Msg { return tea.KeyPressMsg(tea.Key{Code: r, Text: string(r)}) }

func TestWatching(t *testing.T) {
	src := &fake{}
	var m tea.Model = model{ctx: t.Context(), src: src, scene: Scene{Window: telemetry.Recent}}
	m = play(m, tea.WindowSizeMsg{Width: 80, Height: 24}, tick{}, tick{})
	shows := func(text string) {
		t.Helper()
		if view := m.View().Content; !strings.Contains(view, text) {
			t.Errorf("the screen does not show %q:\n%s", text, view)
		}
	}
	shows("queries 123,526/s")
	m = play(m, tea.KeyPressMsg(tea.Key{Code: tea.KeyTab}))
	shows("[names]")
	m = play(m, key('5'), key('w'), tick{})
	shows("[threads]")
	if src.window != telemetry.Minute {
		t.Errorf("the window is %v after w, expected a minute", src.window)
	}
	src.down = true
	m = play(m, tick{})
	shows("NO ANSWER: gone")
	src.down = false
	m = play(m, tick{}, key('p'), tick{}, tick{})
	shows("PAUSED")
	m = play(m, key('p'), tick{})
	shows("queries 123,526/s")
	if _, cmd := m.Update(key('q')); cmd == nil {
		t.Error("q does not end it")
	} else if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("q does not end it")
	}
}
