package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The generated part of a page stands between these; what people write stands around them.
const (
	pageBegin = "<!-- figures: begin. `make bench` writes from here to the end mark. -->"
	pageEnd   = "<!-- figures: end -->"
)

// publish prints the figures, and writes plots and page where that was asked for.
func (r *report) publish(o options) error {
	text := r.text()
	fmt.Print(text)
	if o.images != "" {
		if err := r.draw(o.images); err != nil {
			return err
		}
	}
	if o.out == "" {
		return nil
	}
	b, err := os.ReadFile(o.out)
	if err != nil {
		return err
	}
	images, err := filepath.Rel(filepath.Dir(o.out), o.images)
	if err != nil {
		return err
	}
	page, err := splice(string(b), plotLinks(filepath.ToSlash(images))+text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.out, err)
	}
	return os.WriteFile(o.out, []byte(page), 0o644)
}

// splice puts text between the marks of a page.
func splice(page, text string) (string, error) {
	head, rest, ok := strings.Cut(page, pageBegin)
	_, tail, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return "", errors.New("no place for the figures, expected the lines " + pageBegin + " and " + pageEnd)
	}
	return head + pageBegin + "\n\n" + strings.TrimSpace(text) + "\n\n" + pageEnd + tail, nil
}

func plotLinks(dir string) string {
	return fmt.Sprintf("![Processor time for a million answers, by profile and server](%s/%s)\n\n![Load time and memory](%s/%s)\n\n", dir, cpuPlot, dir, loadPlot)
}

func (r *report) text() string {
	var w strings.Builder
	r.writeOverview(&w)
	for _, p := range r.Profiles {
		p.writeTable(&w)
	}
	r.writeExtrapolation(&w)
	return w.String()
}

// writeOverview is one line a profile: ours, the best peer's, and how they compare.
func (r *report) writeOverview(w *strings.Builder) {
	fmt.Fprint(w, "### All profiles\nProcessor seconds for a million answers.\n\n")
	fmt.Fprintln(w, "| profile | onoma | best peer | onoma's share of it | what the floor would be of onoma |\n| --- | --- | --- | --- | --- |")
	for _, p := range r.Profiles {
		ours, best, floor := p.server("onoma"), p.bestPeer(serverResult.cpu), p.server("floor")
		if ours == nil {
			continue
		}
		peer, share, floored := "none measured", "-", "-"
		if best != nil {
			peer, share = fmt.Sprintf("%.2f, %s", best.cpu(), best.Label), fmt.Sprintf("**%.2f**", ours.ratio(*best))
		}
		if floor != nil {
			floored = fmt.Sprintf("%.2f", floor.ratio(*ours))
		}
		fmt.Fprintf(w, "| %s | %.2f | %s | %s | %s |\n", p.Title, ours.cpu(), peer, share, floored)
	}
	fmt.Fprintln(w)
}

func (p profileResult) writeTable(w *strings.Builder) {
	fmt.Fprintf(w, "### %s\n%s\n\n", p.Title, p.About)
	head := "| server | CPU-s per million answers | runs | onoma's share of it | answers/s | lost | at half load, ms: mean, 50 %, 99 % | memory, MB: loaded, at the end |"
	rule := "| --- | --- | --- | --- | --- | --- | --- | --- |"
	if p.Loads {
		head, rule = head+" load, s (CPU-s) |", rule+" --- |"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, rule)
	for _, s := range p.Servers {
		p.writeRow(w, s)
	}
	fmt.Fprintf(w, "\n%s, %s. %d runs of %d s by %s; %s.", p.Date, p.Machine, p.Runs, p.Seconds, p.Generator, p.Checked)
	if len(p.LeftOut) > 0 {
		fmt.Fprintf(w, " Left out: %s.", strings.Join(p.LeftOut, "; "))
	}
	fmt.Fprint(w, "\n\n")
}

func (p profileResult) writeRow(w *strings.Builder, s serverResult) {
	share := "-"
	if ours := p.server("onoma"); ours != nil && s.Name != "onoma" {
		share = fmt.Sprintf("%.2f", ours.ratio(s))
	}
	runs := make([]string, len(s.Runs))
	for i, r := range s.Runs {
		runs[i] = fmt.Sprintf("%.2f", r.CPU)
	}
	fmt.Fprintf(w, "| %s | **%.2f** | %s | %s | %.0f k | %.2f %% | %s | %.0f, %.0f |", s.Label, s.cpu(), strings.Join(runs, ", "), share,
		s.rate()/1000, 100*s.lost(), s.Latency, megabytes(s.PSSStart), megabytes(s.PSSEnd))
	if p.Loads {
		load := "-"
		if s.Load != nil {
			load = fmt.Sprintf("%.2f (%.2f)", s.Load.Wall, s.Load.CPU)
		}
		if s.Snapshot != nil {
			load += fmt.Sprintf(", from its snapshot %.2f (%.2f)", s.Snapshot.Wall, s.Snapshot.CPU)
		}
		fmt.Fprintf(w, " %s |", load)
	}
	fmt.Fprintln(w)
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// String is what the table shows, in milliseconds.
func (l *latency) String() string {
	if l == nil {
		return "-"
	}
	if l.P99 == 0 {
		return fmt.Sprintf("%.2f, -, -", 1000*l.Mean)
	}
	return fmt.Sprintf("%.2f, %.2f, %.2f", 1000*l.Mean, 1000*l.P50, 1000*l.P99)
}

// comDelegations is about what .com had in 2026.
const comDelegations = 160_000_000

// worthExtrapolating is the least size of a TLD at which the program itself no longer counts.
const worthExtrapolating = 100_000

// writeExtrapolation tells what a delegation takes, and all of .com at that.
func (r *report) writeExtrapolation(w *strings.Builder) {
	var lines []string
	for _, s := range peers {
		for _, pair := range [][2]string{{"tld", "tld10m"}, {"tld-signed", ""}} {
			if line := r.extrapolate(s.name, pair[0], pair[1]); line != "" {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "### All of .com\nOctets of memory a delegation takes, and %s of them; with two sizes measured it is the slope between them.\n\n", thousands(comDelegations))
	fmt.Fprintf(w, "| server | profile | octets a delegation | .com, GB |\n| --- | --- | --- | --- |\n%s\n", strings.Join(lines, "\n"))
	r.writeGrowth(w)
}

func (r *report) extrapolate(server, small, large string) string {
	a, n, ok := r.memory(small, server)
	if !ok || server == "floor" {
		return ""
	}
	from, per := small, float64(a)/float64(n)
	if b, m, ok := r.memory(large, server); ok && m > n {
		from, per = small+" to "+large, float64(b-a)/float64(m-n)
	}
	label := r.profile(small).server(server).Label
	return fmt.Sprintf("| %s | %s | %.0f | %.1f |", label, from, per, per*comDelegations/1e9)
}

// memory is what a server takes with the zone loaded, and the delegations in it.
func (r *report) memory(profile, server string) (pss int64, delegations int, ok bool) {
	p := r.profile(profile)
	if p == nil || p.server(server) == nil || p.Delegations < worthExtrapolating {
		return 0, 0, false
	}
	return p.server(server).PSSStart, p.Delegations, true
}

// writeGrowth tells how much dearer answers are from the larger TLD.
func (r *report) writeGrowth(w *strings.Builder) {
	small, large := r.profile("tld"), r.profile("tld10m")
	if small == nil || large == nil {
		return
	}
	var parts []string
	for _, s := range small.Servers {
		if l := large.server(s.Name); l != nil && s.cpu() > 0 {
			parts = append(parts, fmt.Sprintf("%s %.2f", s.Label, l.cpu()/s.cpu()))
		}
	}
	slices.Sort(parts)
	fmt.Fprintf(w, "\nAn answer out of %s delegations costs this many times one out of %s: %s.\n\n",
		thousands(large.Delegations), thousands(small.Delegations), strings.Join(parts, ", "))
}
