//go:build linux

// Command xdp measures what an answer over UDP costs by AF_XDP and over sockets, for onoma and for Knot: a veth pair between
// two network namespaces, the server on one CPU, kxdpgun on another, all servers one after the other in each round.
//
// The cost is the CPU time of all of the server's threads, to the nanosecond, divided by the answers that kxdpgun counted. On
// veth it contains what the kernel does in the server's name: the answer's way to the client's ring. The query's way to the
// server's ring is at kxdpgun's cost.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"
)

type options struct {
	onoma   string
	newest  string
	rates   rates
	rounds  int
	seconds int
	hosts   int
	cpus    [2]int // the server's and the generator's
}

func main() {
	o := options{rates: rates{50_000, 200_000, 1_000_000}}
	flag.StringVar(&o.onoma, "onoma", "bin/onoma", "onoma's binary")
	flag.StringVar(&o.newest, "newest", "", "root directory with newer Debian packages of Knot (scripts/peers-newest)")
	flag.Var(&o.rates, "rates", "queries a second, comma separated")
	flag.IntVar(&o.rounds, "rounds", 3, "runs of each server at each rate; the median counts")
	flag.IntVar(&o.seconds, "seconds", 3, "length of a run")
	flag.IntVar(&o.hosts, "hosts", 1000, "names in the zone")
	flag.IntVar(&o.cpus[0], "server-cpu", 0, "CPU of the server")
	flag.IntVar(&o.cpus[1], "client-cpu", 1, "CPU of kxdpgun")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/xdp:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, o options) error {
	r, err := newRig(o)
	if err != nil {
		return err
	}
	defer r.close()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "queries/s\tserver\tCPU µs an answer\tof all runs\tanswers/s\tanswered")
	for _, rate := range o.rates {
		results := make(map[string][]result)
		for range o.rounds {
			for _, s := range servers {
				got, err := r.measure(ctx, s, rate)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				results[s.name] = append(results[s.name], got)
			}
		}
		for _, s := range servers {
			report(out, rate, s.name, results[s.name])
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// result is what one run came to.
type result struct {
	cpu     time.Duration
	sent    int
	answers int
	seconds int
}

func (r result) cost() float64 {
	return float64(r.cpu.Nanoseconds()) / 1000 / float64(max(1, r.answers))
}

// report writes a line with the median run.
func report(out *tabwriter.Writer, rate int, name string, rs []result) {
	slices.SortFunc(rs, func(a, b result) int {
		switch ac, bc := a.cost(), b.cost(); {
		case ac < bc:
			return -1
		case ac > bc:
			return 1
		}
		return 0
	})
	m := rs[len(rs)/2]
	fmt.Fprintf(out, "%d\t%s\t%.2f\t%.2f to %.2f\t%d\t%.1f %%\n", rate, name, m.cost(), rs[0].cost(), rs[len(rs)-1].cost(),
		m.answers/m.seconds, 100*float64(m.answers)/float64(max(1, m.sent)))
}
