package scale

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry"
	"onoma/telemetry/control"
)

// server is an onoma that is started and ended with the same data.
type server struct {
	t      testing.TB
	name   string
	dir    string
	binary string
	addr   netip.AddrPort
	args   []string
	ctl    *control.Client
	cmd    *exec.Cmd
	ended  chan error
}

func newServer(t testing.TB, name, dir, binary string, addr netip.AddrPort, args ...string) *server {
	s := &server{t: t, name: name, dir: dir, binary: binary, addr: addr, args: args}
	s.ctl = control.NewClient(filepath.Join(dir, name+".ctl"))
	t.Cleanup(func() {
		if s.cmd != nil {
			s.stop()
		}
	})
	return s
}

func (s *server) log() string { return filepath.Join(s.dir, s.name+".log") }

// start starts it, and does not wait.
func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.binary, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.cmd, s.ended = cmd, ended
}

// stop ends it as a service manager does, and returns how long that took.
func (s *server) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("%s: %v", s.name, err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Errorf("%s did not end within %v", s.name, patience)
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
	return time.Since(began)
}

func (s *server) hangUp() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// patience is how long anything may take before the test fails.
const patience = 5 * time.Minute

// await polls until done, and returns how long that took.
func (s *server) await(what string, done func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !done() {
		switch {
		case time.Since(began) > patience:
			s.t.Fatalf("%s: %s did not happen within %v:\n%s", s.name, what, patience, s.tail())
		case len(s.ended) > 0:
			s.t.Fatalf("%s ended before %s:\n%s", s.name, what, s.tail())
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// tail is the end of its log.
func (s *server) tail() string {
	const most = 4000
	b, _ := os.ReadFile(s.log())
	return string(b[max(0, len(b)-most):])
}

// serial returns the serial number that is served of a zone; ok is false where there is none.
func (s *server) serial(zone string) (serial uint32, ok bool) {
	c := dns.Client{Timeout: 200 * time.Millisecond}
	r, _, err := c.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), s.addr.String())
	if err != nil || !r.Authoritative || len(r.Answer) != 1 {
		return 0, false
	}
	return r.Answer[0].(*dns.SOA).Serial, true
}

func (s *server) serves(zone string, serial uint32) bool {
	got, ok := s.serial(zone)
	return ok && got == serial
}

// report is what the server counts.
func (s *server) report() telemetry.Report {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	r, err := s.ctl.Report(ctx)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	return r
}

// transferred returns how many transfers from primaries went well.
func (s *server) transferred() (n uint64) {
	for _, c := range s.report().Changing.TransfersIn {
		if c.Outcome == "done" {
			n += c.Count
		}
	}
	return n
}

// asked returns how often a server was asked for SOA records, and for transfers.
func (s *server) asked() (checks, transfers uint64) {
	types := s.report().Traffic.Types
	return types["SOA"], types["other"] // AXFR and IXFR are the only rare types that anybody asks for here
}

// memory returns the octets of memory that nobody else has (PSS), 0 where the system does not tell.
func (s *server) memory() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// busy returns the CPU time that the server has used, in hundredths of a second; 0 where the system does not tell.
func (s *server) busy() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, behind, _ := strings.Cut(string(text), ") ") // the name may have blanks
	f := strings.Fields(behind)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
