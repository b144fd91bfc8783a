package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// measureAll measures the profiles one after the other. What was measured comes back with an error too, so that one
// server's wrong answer does not cost the rest.
func measureAll(ctx context.Context, o options) (*report, error) {
	h, err := newHarness(ctx, o)
	if err != nil {
		return nil, err
	}
	defer h.close()
	r := &report{}
	var failures []error
	for _, p := range profiles(o) {
		if !slices.Contains(o.profiles, p.name) {
			continue
		}
		result, err := h.measure(ctx, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("profile %s: %w", p.name, err))
		}
		if result != nil {
			r.Profiles = append(r.Profiles, *result)
		}
	}
	return r, errors.Join(failures...)
}

// contest is the measuring of one profile.
type contest struct {
	h       *harness
	p       profile
	data    dataset
	result  *profileResult
	verdict verdict
}

// entry is a server that runs, and its row.
type entry struct {
	srv *server
	row *serverResult
}

func (h *harness) measure(ctx context.Context, p profile) (*profileResult, error) {
	fmt.Fprintf(os.Stderr, "%s\n", p.name)
	data, err := p.data(h)
	if err != nil {
		return nil, err
	}
	c := &contest{h: h, p: p, data: data, result: &profileResult{
		Name: p.name, Title: p.title, About: p.about, Date: time.Now().UTC().Format("2 January 2006"), Machine: machine(),
		Generator: h.generatorTitle(p), Runs: h.o.runs, Seconds: h.o.seconds, Delegations: p.delegations, Loads: p.loads,
	}}
	field := c.field()
	loads := map[string]*loadResult{}
	if p.loads {
		field = c.each(ctx, field, func(s peer) error {
			l, err := c.loadTime(ctx, s, c.setup(2), "")
			loads[s.name] = l
			return err
		})
	}
	snapshot := c.snapshotTime(ctx, field)
	failed := c.judge(ctx)
	groups := [][]peer{field}
	if p.alone {
		groups = slices.Collect(slices.Chunk(field, 1))
	}
	for _, g := range groups {
		c.run(ctx, g)
	}
	for i := range c.result.Servers {
		row := &c.result.Servers[i]
		row.Load = loads[row.Name]
		if row.Name == "onoma" {
			row.Snapshot = snapshot
		}
	}
	return c.result, failed
}

func (h *harness) generatorTitle(p profile) string {
	if p.over == overQUIC || p.over == overTCP1 || p.over == changes {
		return "bench/load"
	}
	return h.dnsperf.title
}

// leaveOut notes why a server has no row.
func (c *contest) leaveOut(s peer, why error) {
	fmt.Fprintf(os.Stderr, "  %-8s left out: %v\n", s.name, why)
	text, _, _ := strings.Cut(why.Error(), "\n")
	c.result.LeftOut = append(c.result.LeftOut, s.title+": "+text)
}

// field is who takes part: chosen, able and to be had.
func (c *contest) field() []peer {
	var field []peer
	for _, s := range peers {
		switch {
		case !slices.Contains(c.h.o.servers, s.name):
		case s.name == "floor" && !c.p.floor:
		case !slices.Contains(s.over, c.p.over):
			// It has no such listener: the page says who has.
		case c.p.leaveOut[s.name] != "":
			c.leaveOut(s, errors.New(c.p.leaveOut[s.name]))
		default:
			if _, err := c.h.locate(s); err != nil {
				c.leaveOut(s, err)
				continue
			}
			field = append(field, s)
		}
	}
	return field
}

// each calls do for every server and returns those for which it worked.
func (c *contest) each(ctx context.Context, field []peer, do func(peer) error) []peer {
	var left []peer
	for _, s := range field {
		if ctx.Err() != nil {
			return nil
		}
		if err := do(s); err != nil {
			c.leaveOut(s, err)
			continue
		}
		left = append(left, s)
	}
	return left
}

func (c *contest) setup(cpus int) setup {
	patience := 2 * time.Minute
	if c.p.alone {
		patience = 15 * time.Minute
	}
	return setup{data: c.data, over: c.p.over, do: c.p.do, cpus: cpus, patience: patience}
}

// loadTime starts a server with both processors and stops it when it has its zones and, if until is not empty, has
// logged that.
func (c *contest) loadTime(ctx context.Context, s peer, with setup, until string) (*loadResult, error) {
	srv, err := c.h.start(ctx, s, with, anyCPU)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	l := &loadResult{Wall: time.Since(srv.began).Seconds(), CPU: srv.cpu().Seconds()}
	fmt.Fprintf(os.Stderr, "  %-8s loads in %.2f s, %.2f CPU-s\n", s.name, l.Wall, l.CPU)
	return l, srv.waitLog(ctx, until)
}

// snapshotTime has onoma leave a snapshot and start again from it. It returns nil where that is not measured.
func (c *contest) snapshotTime(ctx context.Context, field []peer) *loadResult {
	at := slices.IndexFunc(field, func(s peer) bool { return s.name == "onoma" })
	if !c.p.loads || at < 0 {
		return nil
	}
	with := c.setup(2)
	dir, err := os.MkdirTemp(c.h.scratch, "snapshots-")
	if err == nil {
		defer os.RemoveAll(dir)
		with.snapshots = dir
		_, err = c.loadTime(ctx, field[at], with, "snapshots written")
	}
	var l *loadResult
	if err == nil {
		l, err = c.loadTime(ctx, field[at], with, "")
	}
	if err != nil {
		c.leaveOut(field[at], fmt.Errorf("start from a snapshot: %w", err))
		return nil
	}
	return l
}

// judge compares our answers with the referee's, over UDP, before anything is measured.
func (c *contest) judge(ctx context.Context) error {
	c.result.Checked = "answers not compared"
	var judged [2]*server
	for i, name := range []string{"onoma", referee} {
		if name == "onoma" && !slices.Contains(c.h.o.servers, name) {
			continue
		}
		s := c.setup(1)
		s.over = overUDP
		srv, err := c.h.start(ctx, peerNamed(name), s, anyCPU)
		if err != nil {
			fmt.Fprintf(os.Stderr, "  answers are not compared: %s: %v\n", name, err)
			return nil
		}
		defer srv.stop()
		judged[i] = srv
	}
	v, err := compare(ctx, judged[0], judged[1], c.data.queries)
	c.verdict = v
	if v.text != "" {
		c.result.Checked = v.text
	}
	if err != nil {
		c.result.Checked, _, _ = strings.Cut(err.Error(), ":\n")
		fmt.Fprintf(os.Stderr, "  %v\n", err)
	}
	return err
}

// run has the servers of a group take turns.
func (c *contest) run(ctx context.Context, group []peer) {
	var entries []*entry
	c.each(ctx, group, func(s peer) error {
		srv, err := c.h.start(ctx, s, c.setup(1), serverCPU)
		if err != nil {
			return err
		}
		entries = append(entries, &entry{srv, &serverResult{Name: s.name, Label: c.h.label(ctx, s), PSSStart: srv.pss()}})
		return nil
	})
	defer func() {
		for _, e := range entries {
			e.srv.stop()
		}
	}()
	turn := func(do func(e *entry) error) {
		entries = slices.DeleteFunc(entries, func(e *entry) bool {
			err := do(e)
			if err != nil && ctx.Err() == nil {
				c.leaveOut(e.srv.peer, err)
				e.srv.stop()
			}
			return err != nil
		})
	}
	if c.h.o.warmup > 0 {
		turn(func(e *entry) error {
			_, err := c.h.load(ctx, e.srv, c.data.queries, c.h.o.warmup, 0)
			return err
		})
	}
	for range c.h.o.runs {
		turn(func(e *entry) error { return c.oneRun(ctx, e) })
	}
	if !c.h.o.noLatency {
		turn(func(e *entry) error { return c.halfLoad(ctx, e) })
	}
	for _, e := range entries {
		e.row.PSSEnd = e.srv.pss()
		c.result.Servers = append(c.result.Servers, *e.row)
		c.tell(e.row)
	}
}

// attempts is how often a run is begun anew: dnsperf and a server sometimes wait for each other on a TLS connection
// until the run is over, which tells nothing about either's speed.
const attempts = 3

// fewest is how many answers a run must have to tell anything.
func (p profile) fewest() int {
	if p.over == changes {
		return 100
	}
	return sampleSize
}

// oneRun loads a server as far as it goes and adds what that cost.
func (c *contest) oneRun(ctx context.Context, e *entry) error {
	var err error
	for range attempts {
		before := e.srv.cpu()
		var l loaded
		if l, err = c.h.load(ctx, e.srv, c.data.queries, c.h.o.seconds, 0); err != nil {
			continue
		}
		spent := (e.srv.cpu() - before).Seconds()
		if stalled := l.completed < c.p.fewest() || l.completed < l.sent/2 || spent == 0; stalled {
			err = fmt.Errorf("it stalled: %d of %d questions were answered", l.completed, l.sent)
			continue
		}
		if e.srv.peer.name != "floor" && c.p.over != changes {
			if err := c.verdict.plausible(l); err != nil {
				return err
			}
		}
		e.row.Runs = append(e.row.Runs, runResult{Sent: l.sent, Completed: l.completed, Rate: l.rate, CPU: spent / float64(l.completed) * 1e6})
		return nil
	}
	return err
}

// halfLoad asks at half the rate that the server reached and keeps how long answers took.
func (c *contest) halfLoad(ctx context.Context, e *entry) error {
	l, err := c.h.load(ctx, e.srv, c.data.queries, c.h.o.seconds, e.row.rate()/2)
	e.row.Latency = &l.latency
	return err
}

func (c *contest) tell(r *serverResult) {
	fmt.Fprintf(os.Stderr, "  %-8s %6.2f CPU-s per million, %7.0f/s, %d MB\n", r.Name, r.cpu(), r.rate(), r.PSSEnd>>20)
}

// machine names the processor and the kernel.
func machine() string {
	model := "unknown processor"
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	release, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-")
	return fmt.Sprintf("%d processors (%s), Linux %s, %s", runtime.NumCPU(), model, release, runtime.Version())
}
