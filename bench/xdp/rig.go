//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The wire's ends.
const (
	serverDev, clientDev   = "xs0", "xc0"
	serverAddr, clientAddr = "192.0.2.1", "192.0.2.2"
)

// rig is a veth pair between two namespaces, and the files that servers read.
type rig struct {
	options
	server, client string // namespaces
	dir            string
}

func newRig(o options) (*rig, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces and AF_XDP are for root")
	}
	dir, err := os.MkdirTemp("", "onoma-bench-xdp-")
	if err != nil {
		return nil, err
	}
	tag := "onoma-bench-" + strconv.Itoa(os.Getpid())
	r := &rig{options: o, server: tag + "s", client: tag + "c", dir: dir}
	if err := errors.Join(os.Chmod(dir, 0o755), r.wire(), r.files()); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) close() {
	for _, ns := range []string{r.server, r.client} {
		exec.Command("ip", "netns", "del", ns).Run()
	}
	if r.newest != "" {
		os.Remove(filepath.Join(r.newest, r.dir))
	}
	os.RemoveAll(r.dir)
}

func (r *rig) wire() error {
	for _, line := range []string{
		"netns add " + r.server, "netns add " + r.client,
		"-n " + r.server + " link add " + serverDev + " type veth peer name " + clientDev + " netns " + r.client,
		"-n " + r.server + " addr add " + serverAddr + "/24 dev " + serverDev,
		"-n " + r.client + " addr add " + clientAddr + "/24 dev " + clientDev,
		"-n " + r.server + " link set lo up", "-n " + r.client + " link set lo up",
		"-n " + r.server + " link set " + serverDev + " up", "-n " + r.client + " link set " + clientDev + " up",
	} {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

func ip(line string) error {
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}

// inRoot makes the rig's directory visible at its own path within a root directory, and becomes the program there. The
// mounts are of a namespace of its own and go with it.
const inRoot = `set -e
root=$1 dir=$2
shift 2
mount --bind "$dir" "$root$dir"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"`

// command runs a program in a namespace on a CPU, Debian's within the newest root if there is one. Each program of the line
// replaces itself by the next, so that the process is the last one's.
func (r *rig) command(ctx context.Context, ns string, cpu int, debian bool, program string, args ...string) *exec.Cmd {
	line := []string{"netns", "exec", ns, "taskset", "-c", strconv.Itoa(cpu)}
	if debian && r.newest != "" {
		line = append(line, "unshare", "--mount", "--propagation", "private", "sh", "-c", inRoot, "sh", r.newest, r.dir)
	}
	cmd := exec.CommandContext(ctx, "ip", append(append(line, program), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// measure starts a server, loads it, and ends it.
func (r *rig) measure(ctx context.Context, s server, rate int) (res result, err error) {
	r.detach()
	program, args, debian := s.command(r)
	cmd := r.command(ctx, r.server, r.cpus[0], debian, program, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return res, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, log.String())
		}
	}()
	if err := r.await(ctx); err != nil {
		return res, err
	}
	before, err := cpuTime(cmd.Process.Pid)
	if err != nil {
		return res, err
	}
	if res, err = r.load(ctx, rate); err != nil {
		return res, err
	}
	after, err := cpuTime(cmd.Process.Pid)
	res.cpu = after - before
	return res, err
}

// detach removes a program that a server has left on the interface, as Knot does.
func (r *rig) detach() {
	for _, mode := range []string{"xdp", "xdpgeneric"} {
		exec.Command("ip", "-n", r.server, "link", "set", serverDev, mode, "off").Run()
	}
}

// await returns when the server answers.
func (r *rig) await(ctx context.Context) error {
	for range 100 {
		out, err := exec.CommandContext(ctx, "ip", "netns", "exec", r.client, "kdig", "+short", "+timeout=1", "+retry=0",
			"@"+serverAddr, "h1."+zoneName).CombinedOutput()
		if err == nil && net.ParseIP(strings.TrimSpace(string(out))) != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("it does not answer kdig")
}

var (
	sentLine    = regexp.MustCompile(`total queries: +(\d+)`)
	repliesLine = regexp.MustCompile(`total replies: +(\d+)`)
)

// load runs kxdpgun.
func (r *rig) load(ctx context.Context, rate int) (result, error) {
	cmd := r.command(ctx, r.client, r.cpus[1], true, "kxdpgun", "-t", strconv.Itoa(r.seconds), "-Q", strconv.Itoa(rate),
		"-i", r.path("queries"), "-I", clientDev, serverAddr)
	out, err := cmd.CombinedOutput()
	sent, replies := sentLine.FindSubmatch(out), repliesLine.FindSubmatch(out)
	if err != nil || sent == nil || replies == nil {
		return result{}, fmt.Errorf("kxdpgun: %w: %s", err, out)
	}
	res := result{seconds: r.seconds}
	res.sent, _ = strconv.Atoi(string(sent[1]))
	res.answers, _ = strconv.Atoi(string(replies[1]))
	return res, nil
}

// cpuTime sums the time that the threads of a process have run, from the scheduler's own book.
func cpuTime(pid int) (total time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("reading the CPU time of process %d: it has ended, or the kernel has no schedstat", pid)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		var ns int64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			return 0, fmt.Errorf("reading %s: %w", f, err)
		}
		total += time.Duration(ns)
	}
	return total, nil
}
