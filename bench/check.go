package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"onoma/dns"
)

// sampleSize is how many of a profile's questions are compared before it is measured.
const sampleSize = 1000

// referee is the server whose answers ours are held against.
const referee = "nsd"

// outcome is what two servers must agree on: the kind of answer, and how much of it there is. Additional records are
// at a server's discretion (RFC 2181 §9), and so is what a truncated answer holds.
type outcome struct {
	rcode      dns.RCode
	aa, tc     bool
	answers    int
	authority  int
	unanswered bool
}

func (o outcome) String() string {
	if o.unanswered {
		return "no answer"
	}
	return fmt.Sprintf("%v aa=%t tc=%t, %d answers, %d in authority", o.rcode, o.aa, o.tc, o.answers, o.authority)
}

// verdict is what came of a comparison, and how often each response code is to be expected.
type verdict struct {
	text   string
	shares map[string]float64
}

// compare asks a sample of the questions of both servers.
func compare(ctx context.Context, ours, theirs *server, queries string) (verdict, error) {
	sample, err := sampleLines(queries)
	if err != nil {
		return verdict{}, err
	}
	counts := map[string]int{}
	var differences []string
	for _, line := range sample {
		want, err := theirs.outcome(ctx, line)
		if err != nil {
			return verdict{}, err
		}
		counts[want.rcode.String()]++
		if ours == nil {
			continue
		}
		if got, err := ours.outcome(ctx, line); err != nil {
			return verdict{}, err
		} else if got != want {
			differences = append(differences, fmt.Sprintf("%s: %v, %s has %v", line, got, theirs.peer.title, want))
		}
	}
	v := verdict{shares: map[string]float64{}}
	for rcode, n := range counts {
		v.shares[rcode] = float64(n) / float64(len(sample))
	}
	if len(differences) > 0 {
		return v, fmt.Errorf("%d of %d answers differ from %s's:\n  %s", len(differences), len(sample), theirs.peer.title,
			strings.Join(differences[:min(10, len(differences))], "\n  "))
	}
	v.text = fmt.Sprintf("%d answers of the sample like %s's", len(sample), theirs.peer.title)
	return v, nil
}

// outcome asks one line of a file of questions.
func (s *server) outcome(ctx context.Context, line string) (outcome, error) {
	name, kind, _ := strings.Cut(line, " ")
	n, err := dns.ParseName(name)
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", line, err)
	}
	t, ok := dns.ParseType(kind)
	if !ok {
		return outcome{}, fmt.Errorf("%s: no type %q", line, kind)
	}
	m := dns.NewQuery(4711, dns.Question{Name: n, Type: t, Class: dns.ClassIN}, false)
	if s.setup.do {
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	}
	q, err := m.Append(nil)
	if err != nil {
		return outcome{}, err
	}
	for range 3 {
		reply, err := ask(ctx, s.dns(), q, time.Second)
		h, ok := dns.ParseHeader(reply)
		if err != nil || !ok {
			continue
		}
		o := outcome{rcode: h.Flags.RCode(), aa: h.Flags&dns.FlagAA != 0, tc: h.Flags&dns.FlagTC != 0}
		if !o.tc {
			o.answers, o.authority = int(h.Answers), int(h.Authority)
		}
		return o, nil
	}
	return outcome{unanswered: true}, ctx.Err()
}

// sampleLines returns lines out of a file, any but always the same.
func sampleLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		all = append(all, sc.Text())
	}
	if err := sc.Err(); err != nil || len(all) <= sampleSize {
		return all, err
	}
	rand.New(rand.NewPCG(8, 8)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:sampleSize], nil
}

// plausible compares the response codes of a run with those to be expected: a server that refuses everything is fast.
func (v verdict) plausible(l loaded) error {
	if v.shares == nil {
		return nil
	}
	var rcodes []string
	for rcode := range v.shares {
		rcodes = append(rcodes, rcode)
	}
	for rcode := range l.rcodes {
		rcodes = append(rcodes, rcode)
	}
	slices.Sort(rcodes)
	for _, rcode := range slices.Compact(rcodes) {
		got := float64(l.rcodes[rcode]) / float64(max(1, l.completed))
		if want := v.shares[rcode]; got < want-0.06 || got > want+0.06 {
			return fmt.Errorf("%.0f %% of its answers were %s, expected %.0f %%", 100*got, rcode, 100*want)
		}
	}
	return nil
}
