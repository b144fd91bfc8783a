// Command bench measures onoma beside its peers, in one run on one machine.
//
// Each server gets the same zone, runs pinned to one processor, and is asked by
// the same generator, dnsperf, pinned to another. The figure to trust is the
// processor time of the server's whole process tree for a million answers: it
// depends little on what else the machine does. Peers are set up at their best;
// server.go has their settings. A peer that is not installed is left out by name.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	profiles    []string
	servers     []string
	runs        int
	seconds     int
	delegations int
	root        string
	onoma       string
	out         string
}

func parseFlags() (options, error) {
	var o options
	profiles := flag.String("profiles", "hosts,root,tld", "what to measure, of: hosts, root, tld")
	servers := flag.String("servers", "floor,onoma,nsd,knot,bind,pdns", "whom to measure; those not installed are left out")
	flag.IntVar(&o.runs, "runs", 3, "dnsperf runs of each server; the median counts")
	flag.IntVar(&o.seconds, "seconds", 6, "length of a run in seconds")
	flag.IntVar(&o.delegations, "delegations", 1_000_000, "delegations in the generated TLD")
	flag.StringVar(&o.root, "root-zone", "lab/data/root.zone.gz", "signed root zone of the profile root, text or gzip")
	flag.StringVar(&o.onoma, "onoma", "bin/onoma", "the onoma binary")
	flag.StringVar(&o.out, "out", "", "write the tables to this file as well")
	flag.Parse()
	o.profiles, o.servers = strings.Split(*profiles, ","), strings.Split(*servers, ",")
	for _, p := range o.profiles {
		if !slices.Contains([]string{"hosts", "root", "tld"}, p) {
			return o, fmt.Errorf("no profile %q, expected hosts, root or tld", p)
		}
	}
	if o.runs < 1 || o.seconds < 1 || o.delegations < 10 {
		return o, fmt.Errorf("expected at least one run of one second, and ten delegations")
	}
	return o, nil
}

func main() {
	o, err := parseFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "onoma-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	floor, err := buildFloor(ctx, dir)
	if err != nil {
		return err
	}
	var report strings.Builder
	fmt.Fprintf(&report, "Measured on %s with %d processors (%s), %s.\n\n",
		time.Now().UTC().Format("2 January 2006"), runtime.NumCPU(), cpuModel(), runtime.Version())
	for _, name := range o.profiles {
		p, err := makeProfile(name, o, dir)
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
		results, err := measureProfile(ctx, o, p, floor, dir)
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
		writeTable(&report, p, results)
	}
	fmt.Print(report.String())
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(report.String()), 0o644)
}

// result is what one server showed in one profile.
type result struct {
	server  string
	version string
	load    time.Duration // from start to the first right answer
	loadCPU time.Duration // processor time until then
	pss     int64         // bytes, its share of shared pages
	rate    float64       // answers a second, the median
	cpu     float64       // processor seconds for a million answers, the median
	lost    float64       // share of the queries that got no answer
	runs    []float64     // cpu of each run
}

func measureProfile(ctx context.Context, o options, p profile, floor, dir string) ([]result, error) {
	var results []result
	for _, name := range o.servers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		kind, ok := serverKinds[name]
		if !ok {
			return nil, fmt.Errorf("no server %q", name)
		}
		if name == "floor" && p.name == "tld" {
			continue // it has no zone: one profile tells all
		}
		binary, err := kind.find(o.onoma, floor)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%-6s left out: %v\n", name, err)
			continue
		}
		r, err := measureServer(ctx, o, p, kind, binary, dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%-6s failed: %v\n", name, err)
			continue
		}
		fmt.Fprintf(os.Stderr, "%-6s %-6s %6.2f CPU-s per million, %7.0f/s, load %v, %d MB\n",
			p.name, name, r.cpu, r.rate, r.load.Round(time.Millisecond), r.pss>>20)
		results = append(results, r)
	}
	return results, nil
}

// writeTable prints the results of a profile, the ratio being onoma's
// processor time to that of the server in the row.
func writeTable(w *strings.Builder, p profile, results []result) {
	var onoma float64
	for _, r := range results {
		if r.server == "onoma" {
			onoma = r.cpu
		}
	}
	fmt.Fprintf(w, "### %s\n%s\n\n", p.title, p.about)
	fmt.Fprintln(w, "| server | CPU-s per million answers | runs | onoma's share of it | answers/s | lost | load, s (CPU-s) | memory, MB (PSS) |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range results {
		share := "-"
		if onoma > 0 {
			share = fmt.Sprintf("%.2f", onoma/r.cpu)
		}
		runs := make([]string, len(r.runs))
		for i, c := range r.runs {
			runs[i] = fmt.Sprintf("%.2f", c)
		}
		fmt.Fprintf(w, "| %s | **%.2f** | %s | %s | %.0f k | %.2f %% | %.2f (%.2f) | %d |\n", r.version, r.cpu, strings.Join(runs, ", "),
			share, r.rate/1000, 100*r.lost, r.load.Seconds(), r.loadCPU.Seconds(), r.pss>>20)
	}
	fmt.Fprintln(w)
}
