//go:build linux

// Command signing measures what it costs to sign zones: onoma beside kzonesign, dnssec-signzone and ldns-signzone, and
// beside nothing but signatures.
//
// All sign the same files in the same way: ECDSA P-256, one key for everything, no salt, no iterations. They take turns on
// the same processors, round by round, and their signatures are counted. The figure to trust is time of the processor; the
// time on the wall and the largest memory stand beside it. What is generated is kept in the user's cache directory.
//
// Two more are measured in a process of their own: signing a zone that is in memory against as many bare signatures, and a
// change of ten names by UPDATE in a server that keeps the large zone signed, until it is on the disk and served.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

type options struct {
	onoma       string
	newest      string
	cache       string
	out, json   string
	signers     string
	delegations int
	names       int
	rounds      int
	processors  string
	updates     int
	inside      string // what a process of its own measures
}

func parseFlags(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("signing", flag.ContinueOnError)
	f.StringVar(&o.onoma, "onoma", "bin/onoma", "the onoma binary")
	f.StringVar(&o.newest, "newest", "", "take the others from this root directory (scripts/peers-newest makes one)")
	f.StringVar(&o.cache, "cache", "", "keep generated zones here (default: onoma-bench in the user's cache directory)")
	f.StringVar(&o.out, "out", "", "write the tables between the marks of this page")
	f.StringVar(&o.json, "json", "", "keep the results in this file, beside what else it has")
	f.StringVar(&o.signers, "signers", "onoma,knot,bind,ldns", "whom to measure; those that are not installed are left out")
	f.IntVar(&o.delegations, "delegations", 1_000_000, "delegations in the TLD, 0: no TLD")
	f.IntVar(&o.names, "names", 200_000, "names in the zone with NSEC, 0: no such zone")
	f.IntVar(&o.rounds, "rounds", 3, "runs of each; the median counts")
	f.StringVar(&o.processors, "processors", "1,2", "how many processors to sign with")
	f.IntVar(&o.updates, "updates", 200, "changes of ten names in a signed TLD, 0: none")
	f.StringVar(&o.inside, "inside", "", "for this program itself: measure signing this zone file in memory")
	quick := f.Bool("quick", false, "seconds instead of minutes: small zones, one round; shows that all works, not how fast")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.delegations, o.names, o.rounds, o.processors, o.updates = 2000, 500, 1, "1", 5
	}
	if o.rounds < 1 || o.delegations < 0 || o.names < 0 || o.updates < 0 {
		return o, errors.New("expected at least one round, and no negative numbers")
	}
	if o.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("%w; name a directory with -cache", err)
		}
		o.cache = filepath.Join(dir, "onoma-bench")
	}
	return o, nil
}

// sizes returns how many processors to measure with.
func (o *options) sizes() (list []int, err error) {
	for s := range strings.SplitSeq(o.processors, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-processors %q: expected numbers such as 1,2", o.processors)
		}
		list = append(list, n)
	}
	return list, nil
}

func main() {
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "signing:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "signing:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.inside != "" {
		return measureInside(ctx, o)
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return r.publish(o)
}
