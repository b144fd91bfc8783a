package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// server is one that runs.
type server struct {
	peer  peer
	setup setup
	cmd   *exec.Cmd
	began time.Time
	log   string
}

// start writes the configuration of a server and starts it on the processors named.
func (h *harness) start(ctx context.Context, p peer, s setup, cpus string) (*server, error) {
	var err error
	if s.dir, err = os.MkdirTemp(h.scratch, p.name+"-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o777); err != nil { // peers that drop their rights write here
		return nil, err
	}
	// BIND listens on addresses that an interface has: of 127.0.0.0/8 that is one.
	s.addr, s.cert, s.key, s.root = "127.0.0.1", h.cert, h.key, h.o.newest
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if s.crypt, err = freePort(); err != nil {
		return nil, err
	}
	args, err := p.configure(s)
	if err != nil {
		return nil, err
	}
	srv := &server{peer: p, setup: s, log: s.path("log")}
	log, err := os.Create(srv.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if srv.cmd, err = h.command(ctx, p, cpus, args...); err != nil {
		return nil, err
	}
	srv.cmd.Stdout, srv.cmd.Stderr = log, log
	srv.began = time.Now()
	if err := srv.cmd.Start(); err != nil {
		return nil, err
	}
	return srv, srv.waitReady(ctx)
}

// freePort returns a port that nobody has, of UDP and of TCP.
func freePort() (int, error) {
	for range 50 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp4", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, errors.New("no port is free of UDP and TCP alike")
}

// stop ends the server and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
}

// readyProbes is how many of its zones a server must answer for before it counts as loaded.
const readyProbes = 50

// waitReady asks for the SOA of zones until all that are tried have been answered with authority; the last one is
// the first to be tried. A server that never gets there is stopped.
func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.setup.patience)
	defer cancel()
	zones := s.setup.data.zones
	step := max(1, len(zones)/readyProbes)
	for i := len(zones) - 1; i >= 0; i -= step {
		for !s.answers(ctx, zones[i]) {
			if ctx.Err() != nil || !alive(s.cmd.Process.Pid) {
				s.stop()
				out, _ := os.ReadFile(s.log)
				return fmt.Errorf("it does not answer for %s: %s", zones[i].origin, lastLines(out))
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	return nil
}

// waitLog waits until the server has logged a text.
func (s *server) waitLog(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, s.setup.patience)
	defer cancel()
	for {
		out, err := os.ReadFile(s.log)
		if err != nil || bytes.Contains(out, []byte(text)) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("it did not log %q: %s", text, lastLines(out))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive says whether a child runs: one that ended is a zombie until it is waited for.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	return len(f) > 0 && f[0] != "Z"
}

// lastLines is the end of a log, for an error.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}

func (s *server) dns() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(s.setup.addr), uint16(s.setup.port))
}

func (s *server) answers(ctx context.Context, z zoneFile) bool {
	q, err := dns.NewQuery(1, dns.Question{Name: dns.MustName(z.origin), Type: dns.TypeSOA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		return false
	}
	reply, err := ask(ctx, s.dns(), q, 200*time.Millisecond)
	if err != nil {
		return false
	}
	h, ok := dns.ParseHeader(reply)
	return ok && h.Flags.RCode() == dns.RCodeNoError && (h.Answers > 0 || s.peer.name == "floor")
}

func ask(ctx context.Context, to netip.AddrPort, q []byte, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var c transport.Client
	r, err := c.Exchange(ctx, transport.UDP, to, q, make([]byte, 0, 4096))
	return r.Msg, err
}

// tree returns the process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for f := range strings.FieldsSeq(string(b)) {
				if child, err := strconv.Atoi(f); err == nil {
					pids = append(pids, child)
				}
			}
		}
	}
	return pids
}

// cpu returns the processor time that the server's processes have used, threads and children that have ended
// included. Linux keeps it exactly and shows it in hundredths of a second.
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
	return time.Duration(ticks) * time.Second / 100
}

// pss returns the memory of the server's processes: pages that several of them share count once.
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
