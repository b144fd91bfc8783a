//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// cost is what one run took.
type cost struct {
	CPU    float64 `json:"cpu_seconds"`
	Wall   float64 `json:"wall_seconds"`
	Memory int64   `json:"memory"` // the most, in octets
}

// row is what a signer showed with one zone and so many processors.
type row struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Signatures int    `json:"signatures"`
	Runs       []cost `json:"runs"`
}

// table is all signers with one zone and so many processors.
type table struct {
	Zone       string   `json:"zone"`
	Title      string   `json:"title"`
	Processors int      `json:"processors"`
	Rows       []*row   `json:"rows"`
	LeftOut    []string `json:"left_out,omitempty"`
	Inside     *inside  `json:"inside,omitempty"`
}

// report is everything that was measured.
type report struct {
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	Tables  []*table `json:"tables"`
	Changed *changed `json:"changed,omitempty"`
}

func measure(ctx context.Context, o options) (*report, error) {
	sizes, err := o.sizes()
	if err != nil {
		return nil, err
	}
	if most := slices.Max(sizes); most > runtime.NumCPU() {
		return nil, fmt.Errorf("-processors %d: this machine has %d", most, runtime.NumCPU())
	}
	r, err := newRig(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	out := &report{Date: time.Now().UTC().Format("2 January 2006"), Machine: machine()}
	zones, err := r.zones()
	if err != nil {
		return nil, err
	}
	for _, z := range zones {
		for _, n := range sizes {
			t, err := r.contest(ctx, z, n)
			if err != nil {
				return nil, err
			}
			if z.isNSEC3 {
				if t.Inside, err = r.inside(ctx, z, n); err != nil {
					return nil, err
				}
			}
			out.Tables = append(out.Tables, t)
		}
	}
	if o.delegations > 0 && o.updates > 0 {
		fmt.Fprintln(os.Stderr, "changes of ten names")
		out.Changed, err = r.changes(ctx, zones[0])
	}
	return out, err
}

func (r *rig) zones() (list []*signedZone, err error) {
	for _, make := range []struct {
		n    int
		zone func(int) (*signedZone, error)
	}{{r.o.delegations, r.tld}, {r.o.names, r.hosts}} {
		if make.n == 0 {
			continue
		}
		z, err := make.zone(make.n)
		if err != nil {
			return nil, err
		}
		list = append(list, z)
	}
	return list, nil
}

// contest has all signers sign a zone, in turns.
func (r *rig) contest(ctx context.Context, z *signedZone, processors int) (*table, error) {
	t := &table{Zone: z.name, Title: z.title, Processors: processors}
	rows := make(map[string]*row)
	for range r.o.rounds {
		for _, s := range signers {
			if !slices.Contains(strings.Split(r.o.signers, ","), s.name) || slices.Contains(t.LeftOut, s.title) {
				continue
			}
			if s.program != "" && !r.isThere(s.program) {
				t.LeftOut = append(t.LeftOut, s.title)
				continue
			}
			if rows[s.name] == nil {
				rows[s.name] = &row{Name: s.name, Label: s.label(ctx, r)}
				t.Rows = append(t.Rows, rows[s.name])
			}
			if err := r.once(ctx, &s, z, processors, rows[s.name]); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// once has a signer sign a zone once.
func (r *rig) once(ctx context.Context, s *signer, z *signedZone, processors int, to *row) error {
	out := filepath.Join(r.scratch, "signed")
	defer os.RemoveAll(out)
	cmd, err := s.command(ctx, r, z, out, processors)
	if err != nil {
		return err
	}
	c, err := finish(cmd)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s, %d processors, %s: %.2f CPU-s, %.2f s, %d MB\n", z.name, processors, s.title, c.CPU, c.Wall, c.Memory>>20)
	to.Runs = append(to.Runs, c)
	if to.Signatures > 0 {
		return nil
	}
	path, err := resultAt(out)
	if err == nil {
		to.Signatures, err = countSignatures(path)
	}
	return err
}

func machine() string {
	model := "unknown processor"
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d processors (%s), %s", runtime.NumCPU(), model, runtime.Version())
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// ratios is the median over the rounds of one figure divided by the other.
func ratios(a, b []float64) float64 {
	var v []float64
	for i := range min(len(a), len(b)) {
		v = append(v, a[i]/b[i])
	}
	return median(v)
}

func (w *row) each(of func(cost) float64) []float64 {
	var v []float64
	for _, c := range w.Runs {
		v = append(v, of(c))
	}
	return v
}

var errNoPlace = errors.New("no place for the figures, expected the lines " + pageBegin + " and " + pageEnd)
