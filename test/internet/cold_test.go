package internet_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/test/internet"
	"onoma/test/peers"
)

// clockTick is the unit of times in /proc: USER_HZ is 100 on all that Linux runs on.
const clockTick = time.Second / 100

// TestCold measures what resolvers spend on names that they have never met, without validation and with it: names for each
// second of processor time, questions to servers, and how long clients wait. Each resolver is a process of its own, runs
// alone, and has one processor; servers answer after 20 ms.
// ONOMA_INTERNET_COLD is the number of names.
func TestCold(t *testing.T) {
	names := number("ONOMA_INTERNET_COLD")
	if names == 0 {
		t.Skip("ONOMA_INTERNET_COLD is not set: make cold measures")
	}
	if !peers.InOwnNetwork(t) {
		return
	}
	n, err := internet.New(t.Context(), internet.Options{Seed: 2, TLDs: 50, Zones: names / 2, Broken: 5, Quick: true, Delay: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	questions := n.Questions(names)
	isAlone = true
	peers.Need(t, "taskset")
	for _, validate := range []bool{false, true} {
		for _, c := range contestants {
			if c.name == "onoma" {
				c.binary, c.start = "go", startProcess
			}
			t.Run(choose(validate, "validating", "plain")+"="+c.name, func(t *testing.T) {
				peers.Need(t, c.binary)
				measure(t, n, c, questions, validate)
			})
		}
	}
}

// measure runs one resolver from cold, and logs its row.
func measure(t *testing.T, n *internet.Internet, c contestant, questions []internet.Asked, validate bool) {
	s := c.start(t, n, t.TempDir(), validate)
	defer s.Stop()
	spentBefore, askedBefore, start := processorTime(t, s), n.Queries(), time.Now()
	waits, failed := storm(peers.At(t, c.at), questions, validate)
	took, spent, asked := time.Since(start), processorTime(t, s)-spentBefore, n.Queries()-askedBefore
	names := float64(len(waits))
	t.Logf("%-10s %-9s %6.0f names per CPU second, %5.0f per second, p50 %v, p99 %v, %.1f questions to servers for each, %d failed",
		choose(validate, "validating", "plain"), c.name, names/spent.Seconds(), names/took.Seconds(), waits[len(waits)/2].Round(time.Millisecond),
		waits[len(waits)*99/100].Round(time.Millisecond), float64(asked)/names, failed)
}

// startProcess runs `onoma resolver` as users have it: without the invariants that tests check.
func startProcess(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server {
	binary := filepath.Join(dir, "onoma")
	build := exec.Command("go", "build", "-o", binary, "./cmd/onoma")
	build.Dir = peers.ModuleRoot()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building onoma: %v\n%s", err, out)
	}
	at := "127.0.0.1:5301"
	anchor := choose(validate, write(t, dir, "anchor", n.Anchor()), "off")
	return launch(t, "onoma", dir, peers.At(t, at), binary, "resolver", "--listen", at, "--root-hints", write(t, dir, "hints", n.Hints()),
		"--trust-anchor", anchor, "--hosts", "off")
}

// storm asks everything once, 100 questions at a time, and returns how long each took, in order.
func storm(at netip.AddrPort, questions []internet.Asked, validate bool) (waits []time.Duration, failed int64) {
	waits = make([]time.Duration, len(questions))
	var next, failures atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(questions)); i = next.Add(1) - 1 {
				start := time.Now()
				if v := ask(at, questions[i], validate); v.rcode != "NOERROR" && v.rcode != "NXDOMAIN" {
					failures.Add(1)
				}
				waits[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	slices.Sort(waits)
	return waits, failures.Load()
}

// processorTime is what the process has used, in user and kernel mode (proc(5), fields 14 and 15 of stat).
func processorTime(t *testing.T, s *peers.Server) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatalf("reading %s: %v", text, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
