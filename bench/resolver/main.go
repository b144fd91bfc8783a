//go:build linux

// Command resolver measures onoma's resolver beside Unbound, PowerDNS Recursor and Knot Resolver where it answers
// from its cache: processor time for a query, and memory for a name.
//
// An onoma authority on processor 1 has the root and one zone of many names. Each resolver is a process that has
// processor 0; it is asked for every name once, and then for a few of them again and again, in turns with the others.
// What counts is the processor time of the process, which other load on the machine hardly changes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

type options struct {
	names   int
	hot     int
	runs    int
	seconds int
	onoma   string
	out     string
}

func main() {
	o := options{}
	flag.IntVar(&o.names, "names", 200_000, "names that each resolver is asked for once")
	flag.IntVar(&o.hot, "hot", 10_000, "names that it is then asked for again")
	flag.IntVar(&o.runs, "runs", 5, "runs of each resolver; the median counts")
	flag.IntVar(&o.seconds, "seconds", 2, "length of a run")
	flag.StringVar(&o.onoma, "onoma", "bin/onoma", "the onoma binary")
	flag.StringVar(&o.out, "out", "", "write the table between the marks of this page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/resolver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "onoma-resolver-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.onoma, err = filepath.Abs(o.onoma); err != nil {
		return err
	}
	r := &rig{ctx: ctx, dir: dir, o: o}
	defer r.stop()
	if err := r.prepare(); err != nil {
		return err
	}
	rows, err := r.measure()
	if err != nil {
		return err
	}
	text := table(o, rows)
	fmt.Print(text)
	return publish(o.out, text)
}

// measure fills all caches, and has their owners take turns.
func (r *rig) measure() ([]*row, error) {
	var rows []*row
	for _, c := range contestants {
		x := &row{name: c.name}
		if err := r.fill(c, x); err != nil {
			fmt.Fprintf(os.Stderr, "%s left out: %v\n", c.name, err)
			continue
		}
		rows = append(rows, x)
	}
	for range r.o.runs {
		for _, x := range rows {
			cost, err := r.load(x.server, "hot", "-l", fmt.Sprint(r.o.seconds))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", x.name, err)
			}
			x.costs = append(x.costs, cost)
		}
	}
	return rows, nil
}

// row is what was measured of a resolver.
type row struct {
	name   string
	server *server
	cold   float64 // microseconds of processor time for a query of a name that is not known
	bytes  float64 // of memory for a name
	costs  []float64
}

func (x *row) hit() float64 {
	costs := slices.Sorted(slices.Values(x.costs))
	return costs[len(costs)/2]
}

func table(o options, rows []*row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d names asked for once, then %d of them again and again; the median of %d runs of %d s each.\n\n", o.names, o.hot, o.runs, o.seconds)
	b.WriteString("| resolver | µs of processor time for a hit | octets of memory for a name | µs for a name that is not known |\n| --- | ---: | ---: | ---: |\n")
	hit, memory := 0.0, 0.0
	for _, x := range rows {
		fmt.Fprintf(&b, "| %s | %.2f | %.0f | %.1f |\n", x.name, x.hit(), x.bytes, x.cold)
		if x.name != "onoma" && (hit == 0 || x.hit() < hit) {
			hit = x.hit()
		}
		if x.name == "Unbound" {
			memory = x.bytes
		}
	}
	if len(rows) > 0 && rows[0].name == "onoma" && hit > 0 {
		fmt.Fprintf(&b, "\nonoma takes %.2f times the processor time of the best of the others for a hit", rows[0].hit()/hit)
		if memory > 0 {
			fmt.Fprintf(&b, ", and %.2f times the memory of Unbound for a name", rows[0].bytes/memory)
		}
		b.WriteString(".\n")
	}
	return b.String()
}

// The table stands between these.
const (
	pageBegin = "<!-- resolver: begin. `make bench-resolver` writes from here to the end mark. -->"
	pageEnd   = "<!-- resolver: end -->"
)

var errNoPlace = errors.New("the marks of the resolver's table are missing")

func publish(path, text string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), pageBegin)
	_, tail, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s: %w", path, errNoPlace)
	}
	return os.WriteFile(path, []byte(head+pageBegin+"\n\n"+strings.TrimSpace(text)+"\n\n"+pageEnd+tail), 0o644)
}
