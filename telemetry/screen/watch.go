package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"onoma/telemetry"
)

// Source is the server that is watched.
type Source interface {
	Report(context.Context) (telemetry.Report, error)
	Top(ctx context.Context, window time.Duration, n int) (telemetry.Top, error)
}

const (
	refresh  = time.Second
	patience = 5 * time.Second // for one answer of the server
	ranks    = 100             // lines of a ranking asked for
	history  = 512             // rates kept
)

// Watch shows the server on a terminal until the person has had enough, or ctx ends.
func Watch(ctx context.Context, src Source, in io.Reader, out io.Writer) error {
	m := model{ctx: ctx, src: src, scene: Scene{Window: telemetry.Recent}}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out)).Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drawing on the terminal: %w", err)
	}
	return nil
}

// model is the state of the terminal, as bubbletea wants it.
type model struct {
	ctx           context.Context
	src           Source
	scene         Scene
	width, height int
}

// fetched is what the server said.
type fetched struct {
	report telemetry.Report
	top    telemetry.Top
	topErr error
	err    error
}

type tick struct{}

// Init asks for the first report.
func (m model) Init() tea.Cmd { return m.fetch() }

func (m model) fetch() tea.Cmd {
	window := m.scene.Window
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		var f fetched
		if f.report, f.err = m.src.Report(ctx); f.err == nil {
			f.top, f.topErr = m.src.Top(ctx, window, ranks)
		}
		return f
	}
}

// Update takes what has happened.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case fetched:
		m.scene.take(msg)
		return m, tea.Tick(refresh, func(time.Time) tea.Msg { return tick{} })
	case tick:
		return m, m.fetch()
	}
	return m, nil
}

func (m model) key(key string) (tea.Model, tea.Cmd) {
	s := &m.scene
	switch key {
	case "q", "esc", "ctrl+c":
		return m, tea.Quit
	case "tab", "right":
		s.Tab = (s.Tab + 1) % tabs
	case "shift+tab", "left":
		s.Tab = (s.Tab + tabs - 1) % tabs
	case "1", "2", "3", "4", "5":
		s.Tab = Tab(key[0] - '1')
	case "p", "space":
		s.Paused = !s.Paused
	case "w":
		if s.Window == telemetry.Recent {
			s.Window = telemetry.Minute
		} else {
			s.Window = telemetry.Recent
		}
	}
	return m, nil
}

// take moves on to a new report. While paused nothing moves; the pause does not end up in a rate, which is over the time
// between reports however long that is.
func (s *Scene) take(f fetched) {
	if s.Paused {
		return
	}
	if f.err != nil {
		s.Error = f.err.Error()
		return
	}
	s.Error = ""
	s.Before, s.Now = s.Now, f.report
	if !s.Before.Started.Equal(s.Now.Started) {
		s.Before, s.Rates = telemetry.Report{}, nil // another server, or the same one restarted
	} else {
		queries := func(c telemetry.Counts) uint64 { return c.Queries }
		s.Rates = append(s.Rates, s.rate(total(&s.Now, queries), total(&s.Before, queries)))
		s.Rates = s.Rates[max(0, len(s.Rates)-history):]
	}
	s.Top, s.TopError = f.top, ""
	if f.topErr != nil {
		s.TopError = f.topErr.Error()
	}
}

// View is Draw, with the title and the page's name set off.
func (m model) View() tea.View {
	text := m.scene.Draw(m.width, m.height)
	if title, rest, ok := strings.Cut(text, "\n"); ok {
		text = "\x1b[7m" + cell(title, m.width) + "\x1b[0m\n" + rest
	}
	v := tea.NewView(text)
	v.AltScreen = true
	v.WindowTitle = "onoma"
	return v
}
