package resolver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// begin has the clock at the time that the first step makes it, if that is a
// date: no resolver ran before.
func (p *player) begin(steps []rplStep) []rplStep {
	if len(p.files) == 0 || len(steps) == 0 || steps[0].kind != "TIME_PASSES" {
		return steps
	}
	d, err := steps[0].elapse(p.macros)
	if err != nil || d < 365*24*time.Hour {
		return steps
	}
	p.ahead = time.Unix(0, 0).Add(d).Sub(p.Net.Now())
	return steps[1:]
}

// pass has time pass. Where anchors are kept, the clock jumps: the scripts mean
// that what is due meanwhile happens once, and at the end.
func (p *player) pass(d time.Duration) {
	if len(p.files) == 0 {
		time.Sleep(d)
		return
	}
	p.mu.Lock()
	p.ahead += d
	p.mu.Unlock()
	p.w.r.keeper.wake <- struct{}{}
}

// untilProbe is how long it is until the next look at a zone's keys; 0: there is
// none.
func (p *player) untilProbe() (least time.Duration) {
	for _, k := range p.w.r.keeper.points {
		if next := p.w.r.point(k).Next; !next.IsZero() {
			if d := next.Sub(p.Now().Truncate(time.Second)); least == 0 || d < least {
				least = d
			}
		}
	}
	return least
}

// checkAnchors compares the records of a state file, with their states.
func (p *player) checkAnchors(st *rplStep) {
	i := slices.IndexFunc(p.files, func(f string) bool { return filepath.Base(f) == st.args[0] })
	if i < 0 {
		p.t.Errorf("step %d: there is no file %s", st.number, st.args)
		return
	}
	text, err := os.ReadFile(p.files[i])
	if err != nil {
		p.t.Fatal(err)
	}
	got, want := anchorLines(string(text)), anchorLines(p.macros.expand(strings.Join(st.lines, "\n")))
	if !slices.Equal(got, want) {
		p.t.Errorf("step %d, %s\n got: %s\nwant: %s", st.number, st.args[0], strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

// anchorLines are the records of a state file in some order, without what only
// people read.
func anchorLines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line == "" || line[0] == ';' {
			continue
		}
		if i := strings.LastIndex(line, " ;;"); strings.Count(line, ";;") > 3 {
			line = line[:i] // the date in words
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}
