package screen

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"onoma/telemetry"
)

// fit cuts lines, and adds empty ones, to a screen of a size.
func fit(lines []string, width, height int) []string {
	out := make([]string, height)
	for i := range min(height, len(lines)) {
		out[i] = strings.TrimRight(cut(lines[i], width), " ")
	}
	return out
}

// cut shortens s to width characters; an ellipsis says that it did.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	return string([]rune(s)[:width-1]) + "…"
}

// cell is s in exactly width characters.
func cell(s string, width int) string {
	s = cut(s, width)
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}

// apart puts left and right at the ends of a line. The right one gives way.
func apart(left, right string, width int) string {
	left = cut(left, width)
	room := width - utf8.RuneCountInString(left) - 1
	if room < 1 {
		return left
	}
	right = cut(right, room)
	return left + strings.Repeat(" ", width-utf8.RuneCountInString(left)-utf8.RuneCountInString(right)) + right
}

// beside puts blocks of one height side by side, two blanks between them. All lines of a block are equally long.
func beside(blocks ...[]string) []string {
	if len(blocks) == 0 {
		return nil
	}
	lines := make([]string, len(blocks[0]))
	for i := range lines {
		cells := make([]string, len(blocks))
		for j, b := range blocks {
			cells[j] = b[i]
		}
		lines[i] = strings.Join(cells, "  ")
	}
	return lines
}

// block is a title and lines of width characters, height in all.
func block(title string, lines []string, width, height int) []string {
	out := make([]string, max(height, 0))
	for i := range out {
		switch {
		case i == 0:
			out[i] = cell(title+" "+strings.Repeat("─", max(0, width-utf8.RuneCountInString(title)-1)), width)
		case i <= len(lines):
			out[i] = cell(lines[i-1], width)
		default:
			out[i] = strings.Repeat(" ", width)
		}
	}
	return out
}

// shares lists rates, the largest first, and their parts of all.
func (s *Scene) shares(title string, m map[string]uint64, width, height int) []string {
	var all uint64
	for _, n := range m {
		all += n
	}
	var lines []string
	for _, key := range ranked(m) {
		if m[key] > 0 {
			lines = append(lines, apart(key, fmt.Sprintf("%s %5.1f%%", grouped(m[key]), 100*float64(m[key])/float64(all)), width))
		}
	}
	return block(title, lines, width, height)
}

// hits lists what came most often.
func hits(title string, r telemetry.Ranking, width, height int) []string {
	var lines []string
	for _, h := range r.Hits {
		rate := perSecond(h.Rate)
		lines = append(lines, apart(cut(h.Key, width-len(rate)-1), rate, width))
	}
	return block(title, lines, width, height)
}

// ranking is a page of what came most often, with what is known of the error.
func (s *Scene) ranking(title string, r telemetry.Ranking, width, height int) []string {
	if s.TopError != "" {
		return block(title, []string{s.TopError}, width, height)
	}
	lines := []string{apart("", fmt.Sprintf("%12s %14s %14s", "a second", "at most", "at least"), width)}
	room := height - 5
	for _, h := range r.Hits[:max(0, min(room, len(r.Hits)))] {
		numbers := fmt.Sprintf("%12s %14s %14s", perSecond(h.Rate), grouped(h.Count), grouped(h.Count-h.Excess))
		lines = append(lines, apart(cut(h.Key, width-len(numbers)-1), numbers, width))
	}
	lines = append(lines, "",
		fmt.Sprintf("One query in %d was looked at, and counts as %d.", s.Top.Sample, s.Top.Sample),
		fmt.Sprintf("What is not listed came %s times at most.", grouped(s.beyond(r, room))))
	return block(fmt.Sprintf("%s, last %.0f s", title, s.Top.Seconds), lines, width, height)
}

// beyond bounds how often anything came that is not among the first n.
func (s *Scene) beyond(r telemetry.Ranking, n int) uint64 {
	if n >= 0 && n < len(r.Hits) {
		return max(r.Missing, r.Hits[n].Count)
	}
	return r.Missing
}

// loops lists the load of each thread.
func (s *Scene) loops(width, height int) []string {
	rates, most := s.loopRates()
	var lines []string
	for i, rate := range rates {
		n := perSecond(rate)
		head := fmt.Sprintf("%-3d", i)
		lines = append(lines, apart(head+bar(rate, most, width-len(head)-len(n)-1), n, width))
	}
	return block("threads", lines, width, height)
}

func (s *Scene) loopRates() (rates []float64, most float64) {
	for i, l := range s.Now.Loops {
		var before uint64
		if i < len(s.Before.Loops) {
			before = s.Before.Loops[i].Queries
		}
		r := s.rate(l.Queries, before)
		rates, most = append(rates, r), max(most, r)
	}
	return rates, most
}

// threads is the page of threads, and of what may hold a server up.
func (s *Scene) threads(width, height int) []string {
	lower := min(height/2, 9)
	out := s.loops(width, height-lower)
	lines := []string{
		fmt.Sprintf("goroutines %s, live objects %s", grouped(s.Now.Process.Goroutines), octets(s.Now.Process.Heap)),
		fmt.Sprintf("log lines %s, dropped %s", grouped(s.Now.Log.Lines), grouped(s.Now.Log.Dropped)),
	}
	if d := s.Now.Dnstap; d != nil {
		state := "closed"
		if d.Connected {
			state = "open"
		}
		lines = append(lines, fmt.Sprintf("dnstap %s %s, frames %s, dropped %s", d.Sink, state, grouped(d.Frames), grouped(d.Dropped)))
	}
	if s.Now.Traffic.Deferred > 0 {
		lines = append(lines, fmt.Sprintf("answered later %s, in %.1f ms on average", grouped(s.Now.Traffic.Deferred), 1000*mean(s.Now.Traffic.Waits)))
	}
	return append(out, block("inside", lines, width, lower)...)
}

func mean(h telemetry.Histogram) float64 {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / float64(h.Count)
}

// perSecond writes a rate: small ones with a digit behind the point.
func perSecond(r float64) string {
	if r > 0 && r < 10 {
		return fmt.Sprintf("%.1f", r)
	}
	return grouped(uint64(r + 0.5))
}

// bar is a line as long as v is of most.
func bar(v, most float64, width int) string {
	if most <= 0 || width <= 0 {
		return ""
	}
	return strings.Repeat("▪", int(v/most*float64(width)+0.5))
}

// spark draws values one behind the other, the last ones if there are too many.
func spark(values []float64, width int) string {
	values = values[max(0, len(values)-max(0, width)):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		i := 0
		if most > 0 {
			i = min(int(v/most*float64(len(steps))), len(steps)-1)
		}
		b.WriteRune(steps[i])
	}
	return b.String()
}
