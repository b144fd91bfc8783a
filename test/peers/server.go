package peers

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	startDeadline = 60 * time.Second // the machine may be busy with other tests
	stopDeadline  = 5 * time.Second
	// settled is how long the set of answering zones must stay as it is before the rest counts as refused by the peer.
	settled = 2 * time.Second
)

// Server is a running child.
type Server struct {
	Name string
	Addr netip.AddrPort
	Dir  string // its configuration, and files that it writes

	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the child has ended
}

// start runs binary and registers its end.
func start(t testing.TB, name, dir string, addr netip.AddrPort, binary string, args []string) *Server {
	t.Helper()
	s := &Server{Name: name, Addr: addr, Dir: dir, log: filepath.Join(dir, "log"), done: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(unconfined(t, dir, binary), args...)
	s.cmd.Dir = dir
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.run(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, tail(s.log, 30))
		}
	})
	return s
}

// run starts the child from a thread of its own, which lives as long as the child does: see dieWithUs.
func (s *Server) run() error {
	dieWithUs(s.cmd)
	started := make(chan error)
	done := s.done
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // how it ended is told by its log
			close(done)
		}
	}()
	return <-started
}

// unconfined returns a binary that no AppArmor profile holds: Ubuntu's profiles attach to a path
// and keep servers from reading our directory, so there a copy runs in place of the original.
func unconfined(t testing.TB, dir, binary string) string {
	t.Helper()
	state, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(state), "Y") {
		return binary
	}
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, filepath.Base(binary))
	if err := os.WriteFile(copied, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

// PID is the child's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Alive says whether the child still runs.
func (s *Server) Alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Log is what the child has written so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Mentions are the lines of the child's log that speak of a zone.
func (s *Server) Mentions(zone string) string {
	var lines []string
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, strings.TrimSuffix(zone, ".")) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// Stop asks the child to end, and ends it when it does not. Calling it twice is fine.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended already
	select {
	case <-s.done:
	case <-time.After(stopDeadline):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Restart ends the child, without a warning if kill is set, and starts it again as it was started.
func (s *Server) Restart(t testing.TB, kill bool) {
	t.Helper()
	if kill {
		_ = s.cmd.Process.Kill()
		<-s.done
	} else {
		s.Stop()
	}
	log, err := os.OpenFile(s.log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	next := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	next.Dir, next.Stdout, next.Stderr = s.Dir, log, log
	s.cmd, s.done = next, make(chan struct{})
	if err := s.run(); err != nil {
		t.Fatalf("starting %s again: %v", s.Name, err)
	}
}

// await polls until ready says yes, and fails the test when the child ends first or takes too long.
func (s *Server) await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	deadline := time.NewTimer(startDeadline)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !ready() {
		select {
		case <-s.done:
			t.Fatalf("%s ended before %s:\n%s", s.Name, what, tail(s.log, 40))
		case <-deadline.C:
			t.Fatalf("%s: %s took more than %v:\n%s", s.Name, what, startDeadline, tail(s.log, 40))
		case <-poll.C:
		}
	}
}

// awaitZones returns when every zone is answered with authority, or when some are and no more come:
// a peer may refuse a zone that others load, and that is for the test to judge.
func (s *Server) awaitZones(t testing.TB, zones Zones) {
	t.Helper()
	served := make(map[string]bool)
	var last time.Time
	s.await(t, "answering for its zones", func() bool {
		for _, z := range zones {
			if !served[z.Name] && s.Serves(z.Name) {
				served[z.Name] = true
				last = time.Now()
			}
		}
		return len(served) == len(zones) || len(served) > 0 && time.Since(last) > settled
	})
}

// Serves says whether the server answers for a zone with authority.
func (s *Server) Serves(zone string) bool {
	q := new(dns.Msg)
	q.SetQuestion(zone, dns.TypeSOA)
	q.RecursionDesired = false
	client := dns.Client{Timeout: 500 * time.Millisecond}
	r, _, err := client.Exchange(q, s.Addr.String())
	return err == nil && r.Authoritative && r.Rcode == dns.RcodeSuccess
}

// tail is the last n lines of a file.
func tail(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
