// Command bench measures onoma beside its peers, in one run on one machine.
//
// Each server has the same zones and processor 0 for itself; a generator on processor 1 asks. The servers of a
// profile take turns, so that a machine that drifts drifts for all. The figure to trust is processor time of the
// server's whole process tree for a million answers. Peers are set up at their best (peer_*.go, docs/performance.md);
// one that is not installed is left out by name. A server that answers other than NSD does is an error, not a row.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// options are the command's flags.
type options struct {
	profiles    []string
	servers     []string
	runs        int
	seconds     int
	warmup      int
	delegations int
	hosted      int
	rootZone    string
	onoma       string
	newest      string
	cache       string
	out         string
	images      string
	json        string
	from        string
	noLatency   bool
}

func parseFlags(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	profiles := f.String("profiles", strings.Join(defaultProfiles(), ","), "what to measure, of: "+strings.Join(profileNames(), ", "))
	servers := f.String("servers", strings.Join(serverNames(), ","), "whom to measure; those that cannot be had are left out")
	quick := f.Bool("quick", false, "seconds instead of minutes: small zones, one run of a second; shows that all works, not how fast")
	f.IntVar(&o.runs, "runs", 3, "runs of each server; the median counts")
	f.IntVar(&o.seconds, "seconds", 4, "length of a run in seconds")
	f.IntVar(&o.warmup, "warmup", 1, "seconds of load before the runs, which do not count")
	f.IntVar(&o.delegations, "delegations", 1_000_000, "delegations in the generated TLD; tld10m has ten times as many")
	f.IntVar(&o.hosted, "hosted", 100_000, "zones of the profile hosting")
	f.StringVar(&o.rootZone, "root-zone", "lab/data/root.zone.gz", "signed root zone of the profile root, text or gzip")
	f.StringVar(&o.onoma, "onoma", "bin/onoma", "the onoma binary")
	f.StringVar(&o.newest, "newest", "", "take peers, dnsperf and kzonesign from this root directory (scripts/peers-newest makes one)")
	f.StringVar(&o.cache, "cache", "", "keep generated zones here (default: onoma-bench in the user's cache directory)")
	f.StringVar(&o.out, "out", "", "write the tables between the marks of this page")
	f.StringVar(&o.images, "images", "", "write the plots into this directory (default with --out: images beside the page)")
	f.StringVar(&o.json, "json", "", "keep raw results in this file; profiles that were not measured now keep their figures")
	f.StringVar(&o.from, "from", "", "measure nothing: draw and write the results of this file")
	f.BoolVar(&o.noLatency, "no-latency", false, "leave out the runs at half load")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.profiles, o.servers = strings.Split(*profiles, ","), strings.Split(*servers, ",")
	if *quick {
		o.runs, o.seconds, o.warmup, o.delegations, o.hosted = 1, 1, 0, 2000, 200
	}
	if o.out != "" && o.images == "" {
		o.images = filepath.Join(filepath.Dir(o.out), "images")
	}
	return o, o.check()
}

// check refuses what cannot be measured.
func (o *options) check() error {
	for _, p := range o.profiles {
		if !slices.Contains(profileNames(), p) {
			return fmt.Errorf("no profile %q, expected some of %s", p, strings.Join(profileNames(), ", "))
		}
	}
	for _, s := range o.servers {
		if !slices.Contains(serverNames(), s) {
			return fmt.Errorf("no server %q, expected some of %s", s, strings.Join(serverNames(), ", "))
		}
	}
	if o.runs < 1 || o.seconds < 1 || o.warmup < 0 || o.delegations < 100 || o.hosted < 10 {
		return fmt.Errorf("expected at least one run of one second, a hundred delegations and ten zones")
	}
	if o.from == "" && runtime.NumCPU() < 2 {
		return fmt.Errorf("one processor only: expected one for the server and one for the generator")
	}
	if o.cache != "" {
		abs, err := filepath.Abs(o.cache)
		o.cache = abs
		return err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("%w; name a directory with --cache", err)
	}
	o.cache = filepath.Join(dir, "onoma-bench")
	return nil
}

func main() {
	o, err := parseFlags(os.Args[1:])
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

// run measures, or reads what was measured, and writes it in all forms that were asked for.
func run(ctx context.Context, o options) error {
	results, failed := &report{}, error(nil)
	if o.from != "" {
		if err := results.read(o.from); err != nil {
			return err
		}
	} else {
		measured, err := measureAll(ctx, o)
		if measured == nil {
			return err
		}
		results, failed = measured, err
	}
	if o.json != "" {
		if err := results.merge(o.json); err != nil {
			return err
		}
	}
	if err := results.publish(o); err != nil {
		return err
	}
	return failed
}
