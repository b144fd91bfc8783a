package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"onoma/test/internet"
	"onoma/test/peers"
)

// plan is how long and how hard.
type plan struct {
	length        time.Duration
	rate          int           // questions a second
	every, outage time.Duration // an operator is down
	reload        time.Duration // SIGHUP
}

func planned(t *testing.T) plan {
	p := plan{length: 20 * time.Second, rate: 200, every: 5 * time.Second, outage: 2 * time.Second, reload: 3 * time.Second}
	if testing.Short() {
		p.length = 10 * time.Second
	}
	if text := os.Getenv("ONOMA_SOAK"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		p = plan{length: length, rate: 300, every: 20 * time.Second, outage: 4 * time.Second, reload: 10 * time.Second}
	}
	return p
}

// configuration of the server, with a cache that is full within minutes. CHANGED is another one for each reload.
const configuration = `data: DIR/data
control: DIR/ctl
tls: {self-signed: true}
resolver:
  listen: ["ADDR", "tls://TLS"]
  root-hints: DIR/hints
  trust-anchor: DIR/anchor
  port: PORT
  ipv6: false
  cache: {size: 4MiB}
  insecure: [CHANGED.invalid]
`

// place is where the internet of this process is.
func place(t *testing.T) (block uint8, port uint16) { return 18, uint16(12000 + os.Getpid()%7000) }

func TestSoak(t *testing.T) {
	p, begun := planned(t), time.Now()
	block, port := place(t)
	n, err := internet.New(t.Context(), internet.Options{Seed: 9, TLDs: 6, Zones: 160, Broken: 0, Quick: true, Block: block, Port: port, Delay: 2 * time.Millisecond, Loss: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	secure := peers.Addr(t)
	config := func(changed int) string {
		return strings.NewReplacer("TLS", secure.String(), "PORT", fmt.Sprint(port), "CHANGED", fmt.Sprintf("c%d", changed)).Replace(configuration)
	}
	node := peers.NewNode(t, config(0))
	node.Write(t, "hints", n.Hints())
	node.Write(t, "anchor", n.Anchor())
	node.Start(t, "be ready", func() bool { return strings.Contains(node.Log(), "ready") })
	t.Logf("ready after %v", time.Since(begun).Round(time.Millisecond))
	l := newLoad(n, node.Addr, secure)
	meter := &meter{t: t, node: node}
	idle := meter.quiet(sample{goroutines: 1 << 30, files: 1 << 30})

	ctx, cancel := context.WithTimeout(t.Context(), p.length)
	defer cancel()
	var wg sync.WaitGroup
	var injected []outage
	reloads := 0
	wg.Go(func() { l.clients(ctx, p.rate) })
	wg.Go(func() { injected = outages(ctx, n, p.every, p.outage) })
	wg.Go(func() { meter.run(ctx, max(200*time.Millisecond, p.length/400)) })
	wg.Go(func() {
		for each(ctx, p.reload) {
			reloads++
			if err := node.Replace("onoma.yaml", strings.NewReplacer("DIR", node.Dir, "ADDR", node.Addr.String()).Replace(config(reloads))); err != nil {
				t.Error(err)
			}
			if err := node.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	over := time.Now()
	end := meter.quiet(idle)
	t.Logf("at rest %v after the load", time.Since(over).Round(time.Millisecond))
	explained := judge(t, n, l, injected)
	meter.judge(idle, end)
	if got := strings.Count(node.Log(), "level=ERROR"); got > 0 {
		t.Errorf("%d errors in the log", got)
	}
	if reloads == 0 || len(injected) == 0 || n.Lost() == 0 {
		t.Errorf("%d reloads, %d outages, %d answers lost: there is nothing to bear", reloads, len(injected), n.Lost())
	}
	report(t, p, n, l, explained, injected, reloads, meter, idle, end)
	node.End(t, syscall.SIGTERM)
}

// each waits for d; it is false when ctx has ended.
func each(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// judge holds the answers to what there was to bear, and counts the failures by what is to blame.
func judge(t *testing.T, n *internet.Internet, l *load, injected []outage) map[string]int {
	t.Helper()
	for _, c := range l.changed[:min(10, len(l.changed))] {
		t.Errorf("an answer changed: %s", c)
	}
	explained, shown := map[string]int{}, 0
	for _, f := range l.failures {
		why := explain(n, f, injected)
		explained[why]++
		if why == "" && shown < 20 {
			shown++
			t.Errorf("%s over %v after %v: %s, and nothing that was done explains it", f.asked.Question, f.proto, f.end.Sub(f.start).Round(time.Millisecond), f.what)
		}
	}
	if l.counts["NOERROR"] < 100 {
		t.Errorf("%d answers: there was no load", l.counts["NOERROR"])
	}
	return explained
}

const (
	tableBegin = "<!-- make soak writes the table below -->\n"
	tableEnd   = "<!-- make soak writes the table above -->\n"
)

// report logs the figures, and puts them into the page that ONOMA_SOAK_REPORT names.
func report(t *testing.T, p plan, n *internet.Internet, l *load, explained map[string]int, injected []outage, reloads int, m *meter, idle, end sample) {
	t.Helper()
	total := 0
	for _, k := range l.protos {
		total += k
	}
	first, last := m.quarter(1), m.quarter(3)
	lines := []string{
		fmt.Sprintf("%v on %d CPUs with %s, %d questions.", p.length, runtime.NumCPU(), runtime.Version(), total), "",
		"| what | figure |", "| --- | --- |",
		fmt.Sprintf("| questions over UDP, TCP, TLS | %d, %d, %d |", l.protos["udp"], l.protos["tcp"], l.protos["tls"]),
		fmt.Sprintf("| asked of the internet's servers | %d; %d answers lost on purpose |", n.Queries(), n.Lost()),
		fmt.Sprintf("| outages of %v, all servers in a fifth of them | %d |", p.outage, len(injected)),
		fmt.Sprintf("| reloads of the configuration | %d |", reloads),
		fmt.Sprintf("| NOERROR, NXDOMAIN | %d, %d |", l.counts["NOERROR"], l.counts["NXDOMAIN"]),
		fmt.Sprintf("| failures: of zones that are broken | %d |", explained["broken zone"]),
		fmt.Sprintf("| failures: in an outage of servers that the name needs, or remembered from it | %d (%.2f %%) |", explained["outage"], 100*float64(explained["outage"])/float64(max(1, total))),
		fmt.Sprintf("| failures that nothing explains | **%d** |", explained[""]),
		fmt.Sprintf("| answers that differ from the first | **%d** |", len(l.changed)),
		fmt.Sprintf("| time to an answer: median, p99 | %v, %v |", l.quantile(0.5).Round(10*time.Microsecond), l.quantile(0.99).Round(time.Millisecond)),
		fmt.Sprintf("| goroutines: before, at most, after | %d, %d, %d |", idle.goroutines, m.most().goroutines, end.goroutines),
		fmt.Sprintf("| open files and sockets: before, at most, after | %d, %d, %d |", idle.files, m.most().files, end.files),
		fmt.Sprintf("| least heap in the second and in the last quarter, MB | %.1f, %.1f |", mb(first.heap), mb(last.heap)),
		fmt.Sprintf("| resident: before, at most, after, MB | %.0f, %.0f, %.0f |", mb(idle.resident), mb(m.most().resident), mb(end.resident)),
	}
	text := strings.Join(lines, "\n")
	t.Log("\n" + text)
	name := os.Getenv("ONOMA_SOAK_REPORT")
	if name == "" {
		return
	}
	name = filepath.Join(peers.ModuleRoot(), name)
	page, err := os.ReadFile(name)
	before, rest, found := strings.Cut(string(page), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if err != nil || !found || !ended {
		t.Fatalf("%s has no place for the table: %v", name, err)
	}
	if err := os.WriteFile(name, []byte(before+tableBegin+"\n"+text+"\n\n"+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mb(n uint64) float64 { return float64(n) / (1 << 20) }
