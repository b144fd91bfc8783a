package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// generator is the dnsperf that asks, and what it can.
type generator struct {
	program    string
	title      string
	histograms bool
}

func (h *harness) findDnsperf(ctx context.Context) error {
	program, err := h.installed("dnsperf")
	if err != nil {
		return err
	}
	long, _ := h.execute(ctx, generatorCPU, program, true, "-H").CombinedOutput()
	short, _ := h.execute(ctx, generatorCPU, program, true, "-h").CombinedOutput()
	h.dnsperf = generator{program: program, title: "dnsperf", histograms: bytes.Contains(long, []byte("latency-histogram"))}
	if m := regexp.MustCompile(`Version ([\d.]+)`).FindSubmatch(append(short, long...)); m != nil {
		h.dnsperf.title += " " + string(m[1])
	}
	return nil
}

// loaded is what a generator counted.
type loaded struct {
	sent, completed int
	rate            float64
	latency         latency
	rcodes          map[string]int
}

// load asks one server for a number of seconds, at a rate or (0) as fast as it goes.
func (h *harness) load(ctx context.Context, s *server, queries string, seconds int, rate float64) (loaded, error) {
	cmd := h.loadCommand(ctx, s, queries, seconds, rate)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return loaded{}, fmt.Errorf("the generator: %w: %s", err, lastLines(out))
	}
	l, err := parseLoad(out)
	if err == nil && l.completed == 0 {
		err = fmt.Errorf("no query was answered: %s", lastLines(out))
	}
	return l, err
}

func (h *harness) loadCommand(ctx context.Context, s *server, queries string, seconds int, rate float64) *exec.Cmd {
	args := []string{"-s", s.setup.addr, "-d", queries, "-l", strconv.Itoa(seconds)}
	if rate > 0 {
		args = append(args, "-Q", strconv.Itoa(max(1, int(rate))))
	}
	if s.setup.do {
		args = append(args, "-D")
	}
	switch s.setup.over {
	case overQUIC:
		// Knot 3.5 serves ten streams of a connection at a time.
		args = append(args, "-m", "doq", "-p", strconv.Itoa(s.setup.crypt), "-c", "16", "-q", "128")
		return h.execute(ctx, generatorCPU, h.built["load"], false, args...)
	case overTCP1:
		args = append(args, "-m", "tcp-1", "-p", strconv.Itoa(s.setup.port), "-q", "32")
		return h.execute(ctx, generatorCPU, h.built["load"], false, args...)
	case changes:
		args = append(args, "-m", "update", "-p", strconv.Itoa(s.setup.port), "-z", s.setup.data.zones[0].origin, "-q", "64")
		return h.execute(ctx, generatorCPU, h.built["load"], false, args...)
	case overTCP:
		args = append(args, "-m", "tcp", "-p", strconv.Itoa(s.setup.port))
	case overTLS:
		args = append(args, "-m", "dot", "-p", strconv.Itoa(s.setup.crypt))
	case overHTTP:
		uri := fmt.Sprintf("doh-uri=https://localhost:%d/dns-query", s.setup.crypt)
		args = append(args, "-m", "doh", "-p", strconv.Itoa(s.setup.crypt), "-O", uri, "-O", "doh-method=POST")
	default:
		args = append(args, "-p", strconv.Itoa(s.setup.port))
	}
	if h.dnsperf.histograms && rate > 0 {
		args = append(args, "-O", "latency-histogram")
	}
	return h.execute(ctx, generatorCPU, h.dnsperf.program, true, append(args, "-c", "8", "-T", "1", "-q", "400")...)
}

var (
	sentLine    = regexp.MustCompile(`Queries sent:\s+(\d+)`)
	doneLine    = regexp.MustCompile(`Queries completed:\s+(\d+)`)
	rateLine    = regexp.MustCompile(`Queries per second:\s+([\d.]+)`)
	latencyLine = regexp.MustCompile(`Average Latency \(s\):\s+([\d.]+)`)
	rcodePart   = regexp.MustCompile(`([A-Z][A-Z0-9]+) (\d+) \(`)
	bucketLine  = regexp.MustCompile(`^\s+([\d.]+) - ([\d.]+):\s+(\d+)`)
)

// parseLoad reads what dnsperf prints at its end; our own generator prints the same lines.
func parseLoad(out []byte) (loaded, error) {
	l := loaded{rcodes: map[string]int{}}
	number := func(re *regexp.Regexp) float64 {
		m := re.FindSubmatch(out)
		if m == nil {
			return -1
		}
		v, _ := strconv.ParseFloat(string(m[1]), 64)
		return v
	}
	l.sent, l.completed, l.rate = int(number(sentLine)), int(number(doneLine)), number(rateLine)
	if l.sent < 0 || l.completed < 0 || l.rate < 0 {
		return l, fmt.Errorf("the generator printed no statistics: %s", lastLines(out))
	}
	l.latency = latency{Rate: l.rate, Mean: max(0, number(latencyLine))}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "Response codes:") {
			for _, m := range rcodePart.FindAllStringSubmatch(line, -1) {
				l.rcodes[m[1]], _ = strconv.Atoi(m[2])
			}
		}
	}
	l.latency.P50, l.latency.P99 = percentiles(out)
	return l, nil
}

// bucket is a line of a latency histogram.
type bucket struct {
	upTo  float64
	count int
}

// percentiles reads the first histogram: that of answers. One of connections may follow.
func percentiles(out []byte) (p50, p99 float64) {
	var buckets []bucket
	total := 0
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		m := bucketLine.FindStringSubmatch(sc.Text())
		if m == nil {
			if total > 0 {
				break
			}
			continue
		}
		b := bucket{}
		b.upTo, _ = strconv.ParseFloat(m[2], 64)
		b.count, _ = strconv.Atoi(m[3])
		buckets, total = append(buckets, b), total+b.count
	}
	return quantile(buckets, total, 0.5), quantile(buckets, total, 0.99)
}

func quantile(buckets []bucket, total int, q float64) float64 {
	seen := 0
	for _, b := range buckets {
		if seen += b.count; float64(seen) >= q*float64(total) {
			return b.upTo
		}
	}
	return 0
}
