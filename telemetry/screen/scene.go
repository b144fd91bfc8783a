package screen

import (
	"fmt"
	"strings"
	"time"

	"onoma/telemetry"
)

// Scene is what a terminal shows of a server at one moment. Rates are those between two reports.
type Scene struct {
	Now, Before telemetry.Report // Before is zero when there is only one yet
	Top         telemetry.Top
	TopError    string    // why there is no Top
	Rates       []float64 // queries a second, the oldest first
	Window      time.Duration
	Tab         Tab
	Paused      bool
	Error       string // why Now is old
}

// Tab is one of the pages.
type Tab int

// The pages.
const (
	Overview Tab = iota
	Names
	Clients
	Denied
	Threads
	tabs
)

var tabNames = [tabs]string{"overview", "names", "clients", "denied", "threads"}

const (
	minWidth  = 40
	minHeight = 10
)

// Draw returns the screen: exactly height lines, none longer than width.
func (s *Scene) Draw(width, height int) string {
	if width < minWidth || height < minHeight {
		return strings.Join(fit([]string{"too small"}, width, height), "\n")
	}
	lines := []string{s.title(width), s.menu(width)}
	if s.Now.Time.IsZero() {
		lines = append(lines, "", "waiting for the server")
		return strings.Join(fit(lines, width, height), "\n")
	}
	lines = append(lines, s.pulse(width)...)
	lines = append(lines, "")
	rest := height - len(lines)
	switch s.Tab {
	case Names:
		lines = append(lines, s.ranking("names asked for", s.Top.Names, width, rest)...)
	case Clients:
		lines = append(lines, s.ranking("clients by network", s.Top.Clients, width, rest)...)
	case Denied:
		lines = append(lines, s.ranking("names below which names do not exist", s.Top.Denied, width, rest)...)
	case Threads:
		lines = append(lines, s.threads(width, rest)...)
	default:
		lines = append(lines, s.overview(width, rest)...)
	}
	return strings.Join(fit(lines, width, height), "\n")
}

func (s *Scene) title(width int) string {
	r := &s.Now
	left := "onoma"
	if !r.Time.IsZero() {
		left = fmt.Sprintf("onoma %s %s, process %d, up %s", r.Role, r.Version, r.PID, age(r.Time.Sub(r.Started)))
	}
	right := ""
	switch {
	case s.Error != "":
		right = "NO ANSWER: " + s.Error
	case s.Paused:
		right = "PAUSED"
	case r.Time.IsZero():
	case !r.Ready:
		right = "NOT READY"
	default:
		right = r.Time.Format(time.TimeOnly)
	}
	return apart(left, right, width)
}

func (s *Scene) menu(width int) string {
	var left strings.Builder
	for t, name := range tabNames {
		if Tab(t) == s.Tab {
			name = "[" + name + "]"
		} else {
			name = " " + name + " "
		}
		left.WriteString(name)
	}
	return apart(left.String(), "tab p(ause) w(indow) q(uit)", width)
}

// rate is a count a second.
func (s *Scene) rate(now, before uint64) float64 {
	d := s.Now.Time.Sub(s.Before.Time).Seconds()
	if s.Before.Time.IsZero() || d <= 0 || now < before {
		return 0
	}
	return float64(now-before) / d
}

// rates are those of all keys.
func (s *Scene) rates(now, before map[string]uint64) map[string]uint64 {
	m := make(map[string]uint64, len(now))
	for key, n := range now {
		m[key] = uint64(s.rate(n, before[key]) + 0.5)
	}
	return m
}

// total is the sum of one count of all transports.
func total(r *telemetry.Report, of func(telemetry.Counts) uint64) (n uint64) {
	for _, c := range r.Transports {
		n += of(c)
	}
	return n
}

// pulse is what is always of interest: rates, losses, load.
func (s *Scene) pulse(width int) []string {
	sum := func(of func(telemetry.Counts) uint64) float64 { return s.rate(total(&s.Now, of), total(&s.Before, of)) }
	queries := sum(func(c telemetry.Counts) uint64 { return c.Queries })
	head := fmt.Sprintf("queries %s/s ", perSecond(queries))
	cpu := 0.0
	if d := s.Now.Time.Sub(s.Before.Time).Seconds(); !s.Before.Time.IsZero() && d > 0 {
		cpu = max(0, s.Now.Process.CPUSeconds-s.Before.Process.CPUSeconds) / d * 100
	}
	var open uint64
	for _, c := range s.Now.Connections {
		open += c.Open
	}
	return []string{
		head + spark(s.Rates, width-len(head)),
		fmt.Sprintf("answers %s/s  in %s/s  out %s/s  dropped %s/s  by kernel %s/s",
			perSecond(sum(func(c telemetry.Counts) uint64 { return c.Answers })),
			octets(uint64(sum(func(c telemetry.Counts) uint64 { return c.BytesIn }))),
			octets(uint64(sum(func(c telemetry.Counts) uint64 { return c.BytesOut }))),
			perSecond(sum(telemetry.Counts.Drops)), perSecond(s.rate(s.Now.KernelDrops, s.Before.KernelDrops))),
		fmt.Sprintf("cpu %.0f %%  memory %s  connections %s  %s",
			cpu, octets(s.Now.Process.Resident), grouped(open), s.holdings()),
	}
}

// holdings is what the server serves from.
func (s *Scene) holdings() string {
	z := s.Now.Zones
	if z.Count == 0 {
		return ""
	}
	down := ""
	if z.Missing > 0 {
		down = fmt.Sprintf(" (%s DOWN)", grouped(uint64(z.Missing)))
	}
	return fmt.Sprintf("zones %s%s  records %s", grouped(uint64(z.Count)), down, grouped(uint64(z.Records)))
}

func (s *Scene) overview(width, height int) []string {
	third := (width - 4) / 3
	upper := min(8, (height-1)/2)
	transports := func(r *telemetry.Report) map[string]uint64 {
		m := make(map[string]uint64)
		for name, c := range r.Transports {
			m[name] = c.Queries
		}
		return m
	}
	lines := beside(
		s.shares("responses", s.rates(s.Now.Traffic.RCodes, s.Before.Traffic.RCodes), third, upper),
		s.shares("types", s.rates(s.Now.Traffic.Types, s.Before.Traffic.Types), third, upper),
		s.shares("transports", s.rates(transports(&s.Now), transports(&s.Before)), width-4-2*third, upper),
	)
	lines = append(lines, "")
	lower := height - len(lines)
	left := (width - 2) * 3 / 5
	names := hits("names in "+s.window(), s.Top.Names, left, (lower+1)/2)
	clients := hits("clients", s.Top.Clients, width-2-left, (lower+1)/2)
	denied := hits("denied below", s.Top.Denied, left, lower/2)
	return append(append(lines, beside(names, clients)...), beside(denied, s.loops(width-2-left, lower/2))...)
}

func (s *Scene) window() string {
	if s.TopError != "" {
		return s.TopError
	}
	return fmt.Sprintf("%.0f s", s.Top.Seconds)
}
