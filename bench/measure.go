package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The server has processor 0 for itself, the generator processor 1.
const (
	serverCPU    = "0"
	generatorCPU = "1"
)

// measureServer starts a server, waits until it answers, and loads it.
func measureServer(ctx context.Context, o options, p profile, k serverKind, binary, dir string) (result, error) {
	work, err := os.MkdirTemp(dir, k.name+"-")
	if err != nil {
		return result{}, err
	}
	if err := os.Chmod(work, 0o777); err != nil { // peers that drop their rights write here
		return result{}, err
	}
	began := time.Now()
	srv, err := startServer(ctx, k, binary, p, work)
	if err != nil {
		return result{}, err
	}
	defer srv.stop()
	if err := srv.waitReady(ctx, p); err != nil {
		return result{}, err
	}
	r := result{server: k.name, version: k.version(binary), load: time.Since(began), loadCPU: srv.cpu()}
	var rates, costs, lost []float64
	for range o.runs {
		before := srv.cpu()
		d, err := runDnsperf(ctx, o, p, srv)
		if err != nil {
			return result{}, err
		}
		spent := (srv.cpu() - before).Seconds()
		rates = append(rates, d.rate)
		costs = append(costs, spent/float64(d.completed)*1e6)
		lost = append(lost, 1-float64(d.completed)/float64(d.sent))
	}
	r.pss, r.runs = srv.pss(), slices.Clone(costs)
	r.rate, r.cpu, r.lost = median(rates), median(costs), median(lost)
	return r, nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// dnsperfResult is what dnsperf counted.
type dnsperfResult struct {
	sent, completed int
	rate            float64
}

var dnsperfLines = map[string]*regexp.Regexp{
	"sent":      regexp.MustCompile(`Queries sent:\s+(\d+)`),
	"completed": regexp.MustCompile(`Queries completed:\s+(\d+)`),
	"rate":      regexp.MustCompile(`Queries per second:\s+([\d.]+)`),
}

func runDnsperf(ctx context.Context, o options, p profile, srv *server) (dnsperfResult, error) {
	args := []string{"-c", generatorCPU, "dnsperf", "-s", srv.addr, "-p", strconv.Itoa(srv.port),
		"-d", p.queries, "-c", "8", "-T", "1", "-q", "400", "-l", strconv.Itoa(o.seconds)}
	if p.do {
		args = append(args, "-e", "-D")
	}
	out, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return dnsperfResult{}, fmt.Errorf("dnsperf: %w\n%s", err, bytes.TrimSpace(out))
	}
	var v [3]float64
	for i, key := range []string{"sent", "completed", "rate"} {
		m := dnsperfLines[key].FindSubmatch(out)
		if m == nil {
			return dnsperfResult{}, fmt.Errorf("dnsperf printed no %s:\n%s", key, out)
		}
		v[i], _ = strconv.ParseFloat(string(m[1]), 64)
	}
	if v[1] == 0 {
		return dnsperfResult{}, fmt.Errorf("no query was answered:\n%s", out)
	}
	return dnsperfResult{int(v[0]), int(v[1]), v[2]}, nil
}

// tree returns the process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for _, f := range strings.Fields(string(b)) {
				if child, err := strconv.Atoi(f); err == nil {
					pids = append(pids, child)
				}
			}
		}
	}
	return pids
}

// cpu returns the processor time that the server's processes have used, those
// that ended and were waited for included.
func (s *server) cpu() time.Duration {
	var ticks int64
	for _, pid := range tree(s.cmd.Process.Pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The fields behind the name in parentheses: utime, stime, cutime,
		// cstime are the 12th to 15th of them.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, i := range []int{11, 12, 13, 14} {
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ is 100 on Linux
}

// pss returns the memory of the server's processes: pages that several of them
// share count once.
func (s *server) pss() int64 {
	var kb int64
	for _, pid := range tree(s.cmd.Process.Pid) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				kb += n
			}
		}
	}
	return kb << 10
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
