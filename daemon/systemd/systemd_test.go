package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onoma/transport"
)

// manager listens as the service manager does, and returns what it is told.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a short path
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); os.RemoveAll(dir) })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestTold(t *testing.T) {
	next := manager(t)
	m := New(nil)
	for _, c := range []struct {
		tell func()
		want string // a regular expression
	}{
		{func() { m.Ready("serving 3 zones\nREADY=0") }, `^READY=1\nSTATUS=serving 3 zones READY=0\n$`},
		{func() { m.Ready("") }, `^READY=1\n$`},
		{m.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\n$`},
		{m.Stopping, `^STOPPING=1\n$`},
	} {
		c.tell()
		if got := next(); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("told %q, expected %s", got, c.want)
		}
	}
}

func TestNobodyToTell(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log bytes.Buffer
	m := New(slog.New(slog.NewTextHandler(&log, nil)))
	m.Ready("x")
	m.Watch(t.Context(), func(context.Context) error { t.Error("asked for health without a watchdog"); return nil })
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nowhere"))
	m.Stopping()
	if !strings.Contains(log.String(), "service manager not told") {
		t.Errorf("logged %q, expected that nobody was reached", log.String())
	}
}

func TestWatchdog(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	var sick, asked atomic.Int32
	var log bytes.Buffer
	m := New(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	unwell := make(chan struct{})
	go func() {
		defer close(done)
		m.Watch(ctx, func(context.Context) error {
			if sick.Load() == 0 {
				return nil
			}
			if asked.Add(1) == 3 {
				close(unwell)
			}
			return errors.New("the database does not answer")
		})
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1\n" {
			t.Errorf("told %q", got)
		}
	}
	sick.Store(1)
	<-unwell
	m.Stopping()
	for i := 0; ; i++ { // at most what was under way when it fell ill comes before
		if got := next(); got == "STOPPING=1\n" {
			break
		} else if i > 1 {
			t.Fatalf("told %q while it was not healthy", got)
		}
	}
	cancel()
	<-done
	if n := strings.Count(log.String(), "the database does not answer"); n != 1 {
		t.Errorf("it was logged %d times that the server is not healthy, expected once", n)
	}
}

func TestSockets(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	pc, err := net.ListenPacket("udp4", addr.String())
	if err != nil {
		t.Skip("the port is not free for UDP")
	}
	defer pc.Close()
	tcp, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	udp, err := pc.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	s, err := socketsOf([]*os.File{tcp, udp})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Addrs(); len(got) != 1 || got[0] != addr {
		t.Errorf("addresses %v, expected %v", got, addr)
	}
	if left := s.Left(); len(left) != 2 || !strings.HasPrefix(left[0], "tcp://"+addr.String()) {
		t.Errorf("left are %q, expected both", left)
	}
	if s.Take(transport.UDP, netip.AddrPortFrom(addr.Addr(), addr.Port()^1)) != nil {
		t.Error("there is a socket for another port")
	}
	for range 2 { // a reload takes them again
		server, err := transport.Listen(transport.Config{Handler: echo{}, Addrs: []netip.AddrPort{addr}, Inherited: s.Take})
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
	}
	if left := s.Left(); len(left) > 0 {
		t.Errorf("left are %q, expected none", left)
	}
	var none *Sockets
	if none.Take(transport.UDP, addr) != nil || none.Addrs() != nil || none.Left() != nil {
		t.Error("without sockets there are some")
	}
}

func TestOddSockets(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if s, err := socketsOf([]*os.File{r}); err == nil || len(s.Addrs()) > 0 {
		t.Errorf("%v, expected that a pipe is no socket", err)
	}
}

type echo struct{}

func (echo) NewWorker() transport.Worker                  { return echo{} }
func (echo) Answer(dst []byte, _ *transport.Query) []byte { return dst }

// TestUnits has systemd itself look at the units.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not there (Debian package systemd)")
	}
	dir := t.TempDir()
	units := filepath.Join("..", "..", "packaging", "systemd")
	var paths []string
	for _, name := range []string{"onoma.service", "onoma.socket"} {
		text, err := os.ReadFile(filepath.Join(units, name))
		if err != nil {
			t.Fatal(err)
		}
		// verify wants the program to be there; /bin/true is, mostly.
		text = bytes.ReplaceAll(text, []byte("/usr/bin/onoma"), []byte("/bin/true"))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, dir) {
		if strings.Contains(text, "Failed to initialize manager") {
			t.Skipf("systemd-analyze does not work here: %s", text)
		}
		t.Errorf("verify: %v\n%s", err, text)
	}
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=20", paths[0]).CombinedOutput()
	if err != nil {
		t.Errorf("the service is more exposed than 2.0 of 10: %v\n%s", err, out)
	}
}
