package wire

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// What lies at the wire's ends.
const (
	ServerDev, ClientDev = "xs0", "xc0"
	Server4, Client4     = "192.0.2.1", "192.0.2.2"
	Server6, Client6     = "2001:db8::1", "2001:db8::2"
)

// Wire is a veth pair. Server and Client are the namespaces at its ends.
type Wire struct {
	Server, Client string
}

var wires atomic.Int32

// New makes a wire that lasts until the test ends.
func New(t testing.TB) *Wire {
	t.Helper()
	return NewQueues(t, 1)
}

// NewQueues makes a wire with several queues in each direction.
func NewQueues(t testing.TB, queues int) *Wire {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no ip command: Debian package iproute2 is not installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces are for root")
	}
	tag := fmt.Sprintf("onoma-%d-%d", os.Getpid(), wires.Add(1))
	w := &Wire{Server: tag + "s", Client: tag + "c"}
	for _, ns := range []string{w.Server, w.Client} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("no network namespace to be had: %s", out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	}
	n := fmt.Sprintf("numrxqueues %d numtxqueues %[1]d", queues)
	w.IP(t, w.Server, "link add", ServerDev, n, "type veth peer name", ClientDev, n, "netns", w.Client)
	w.up(t, w.Server, ServerDev, Server4, Server6)
	w.up(t, w.Client, ClientDev, Client4, Client6)
	return w
}

func (w *Wire) up(t testing.TB, ns, dev, a4, a6 string) {
	t.Helper()
	w.IP(t, ns, "link set lo up")
	w.IP(t, ns, "link set", dev, "addrgenmode none")
	w.IP(t, ns, "addr add", a4+"/24 dev", dev)
	w.IP(t, ns, "addr add", a6+"/64 dev", dev, "nodad")
	w.IP(t, ns, "link set", dev, "up")
}

// IP runs a command of ip in a namespace and returns what it prints; its words may come together.
func (w *Wire) IP(t testing.TB, ns string, words ...string) string {
	t.Helper()
	args := append([]string{"-n", ns}, strings.Fields(strings.Join(words, " "))...)
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

// Output runs a program at the client and returns what it prints, or skips the test where the program is not installed.
func (w *Wire) Output(t testing.TB, debianPackage, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s: Debian package %s is not installed", name, debianPackage)
	}
	out, err := w.Command(w.Client, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// Command is a program to be run in a namespace; it replaces ip, so that the process is its own.
func (w *Wire) Command(ns, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
}

// In runs f on a thread that is in the namespace ns. What f opens stays there.
func (w *Wire) In(t testing.TB, ns string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		done <- enter(ns, f)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func enter(ns string, f func() error) error {
	fd, err := unix.Open(filepath.Join("/var/run/netns", ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening namespace %s: %w", ns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering namespace %s: %w", ns, err)
	}
	return f()
}
