//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// rig is the zones, the authority and the resolvers that run.
type rig struct {
	ctx     context.Context
	dir     string
	o       options
	running []*server
}

// server is a process with an address.
type server struct {
	cmd  *exec.Cmd
	addr string
	port int
}

// Where they are: addresses of 127.0.0.0/8 that nobody else has.
const (
	authorityAt = "127.13.1.1"
	upstream    = 5399
)

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// prepare writes zones and questions, and starts the authority.
func (r *rig) prepare() error {
	const root = ". 86400 IN SOA a.root. x. 1 2 3 4 5\n. 86400 IN NS a.root.\na.root. 86400 IN A " + authorityAt +
		"\nbulk. 86400 IN NS ns.bulk.\nns.bulk. 86400 IN A " + authorityAt + "\n"
	err := errors.Join(
		os.WriteFile(r.path("root"), []byte(root), 0o644),
		os.WriteFile(r.path("hints"), []byte(". 3600000 IN NS a.root.\na.root. 3600000 IN A "+authorityAt+"\n"), 0o644),
		r.write("bulk", func(w *bufio.Writer) {
			fmt.Fprintf(w, "bulk. 86400 IN SOA ns.bulk. x.bulk. 1 2 3 4 5\nbulk. 86400 IN NS ns.bulk.\nns.bulk. 86400 IN A %s\n", authorityAt)
			for i := range r.o.names {
				fmt.Fprintf(w, "host-%06d.bulk. 86400 IN A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
			}
		}),
		r.write("first", func(w *bufio.Writer) { r.questions(w, 0, r.o.names/2, 1) }),
		r.write("second", func(w *bufio.Writer) { r.questions(w, r.o.names/2, r.o.names-r.o.names/2, 1) }),
		r.write("hot", func(w *bufio.Writer) { r.questions(w, r.o.names-r.o.hot, r.o.hot, 7919) }), // in no order that a cache would like
	)
	if err != nil {
		return err
	}
	_, err = r.start("1", authorityAt, upstream, r.o.onoma, "authority", "--listen", fmt.Sprintf("%s:%d", authorityAt, upstream),
		"--zone", ".="+r.path("root"), "--zone", "bulk="+r.path("bulk"))
	return err
}

// questions are for n names from the first one on, in steps of a prime.
func (r *rig) questions(w *bufio.Writer, first, n, step int) {
	for i := range n {
		fmt.Fprintf(w, "host-%06d.bulk A\n", first+i*step%n)
	}
}

func (r *rig) write(name string, lines func(*bufio.Writer)) error {
	f, err := os.Create(r.path(name))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	lines(w)
	return errors.Join(w.Flush(), f.Close())
}

// start starts a server and waits until it answers.
func (r *rig) start(cpu, addr string, port int, program string, args ...string) (*server, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program // not in everybody's PATH
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s is not installed", program)
	}
	s := &server{cmd: exec.CommandContext(r.ctx, "taskset", append([]string{"-c", cpu, path}, args...)...), addr: addr, port: port}
	s.cmd.Dir = r.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	r.running = append(r.running, s)
	for range 100 {
		if out, err := r.dnsperf(s, "first", "-t", "1", "-Q", "100", "-l", "1"); err == nil && out.completed > 0 {
			return s, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s does not answer", program)
}

func (r *rig) stop() {
	for _, s := range r.running {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
}

// fill starts a resolver and asks it for all names.
func (r *rig) fill(c contestant, x *row) (err error) {
	program, args, err := c.configure(r, c)
	if err != nil {
		return err
	}
	if x.server, err = r.start("0", c.addr, c.port, program, args...); err != nil {
		return err
	}
	if _, err := r.load(x.server, "first", "-n", "1"); err != nil {
		return err
	}
	before, err := x.server.memory()
	if err != nil {
		return err
	}
	if x.cold, err = r.load(x.server, "second", "-n", "1"); err != nil {
		return err
	}
	time.Sleep(time.Second)
	after, err := x.server.memory()
	x.bytes = (after - before) / float64(r.o.names-r.o.names/2)
	return err
}

// load asks, and returns the microseconds of processor time for each answer.
func (r *rig) load(s *server, questions string, args ...string) (float64, error) {
	before, err := s.processor()
	if err != nil {
		return 0, err
	}
	out, err := r.dnsperf(s, questions, append([]string{"-c", "32", "-q", "200"}, args...)...)
	if err != nil {
		return 0, err
	}
	after, err := s.processor()
	if out.completed == 0 || out.good < out.completed {
		return 0, fmt.Errorf("%d of %d answers are NOERROR", out.good, out.completed)
	}
	return float64((after - before).Microseconds()) / float64(out.completed), err
}

type answers struct{ completed, good int }

var (
	completedIn = regexp.MustCompile(`Queries completed:\s+(\d+)`)
	goodIn      = regexp.MustCompile(`NOERROR (\d+)`)
)

func (r *rig) dnsperf(s *server, questions string, args ...string) (a answers, err error) {
	args = append([]string{"-c", "1", "dnsperf", "-s", s.addr, "-p", strconv.Itoa(s.port), "-d", r.path(questions)}, args...)
	out, err := exec.CommandContext(r.ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		return a, fmt.Errorf("dnsperf: %w: %s", err, out)
	}
	if m := completedIn.FindSubmatch(out); m != nil {
		a.completed, _ = strconv.Atoi(string(m[1]))
	}
	if m := goodIn.FindSubmatch(out); m != nil {
		a.good, _ = strconv.Atoi(string(m[1]))
	}
	return a, nil
}

// clockTick is the unit of times in /proc: USER_HZ is 100 on all that Linux runs on.
const clockTick = time.Second / 100

// processor is what the process has used, in user and kernel mode (proc(5), fields 14 and 15 of stat).
func (s *server) processor() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	kernel, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * clockTick, errors.Join(err1, err2)
}

var pssIn = regexp.MustCompile(`(?m)^Pss:\s+(\d+)`)

// memory is the proportional set size in octets.
func (s *server) memory() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	m := pssIn.FindSubmatch(text)
	if m == nil {
		return 0, errors.New("no Pss in smaps_rollup")
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	return n * 1024, err
}
