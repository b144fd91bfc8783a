package flood

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"onoma/test/peers"
)

// The CPU of the server, and that of all else.
const (
	serverCPU = 0
	othersCPU = 1
)

var (
	serverAddr  = netip.MustParseAddr("10.77.0.1")
	outsideAddr = netip.MustParseAddr("10.77.0.2")
)

func TestMain(m *testing.M) {
	if runtime.NumCPU() >= 2 {
		leaveServerAlone()
	}
	code := m.Run()
	if err := writeReport(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// leaveServerAlone keeps this process off the server's CPU. Threads that come later inherit it.
func leaveServerAlone() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil {
			unix.SchedSetaffinity(id, only(othersCPU))
		}
	}
}

func only(cpu int) *unix.CPUSet {
	var set unix.CPUSet
	set.Set(cpu)
	return &set
}

// built is our program as a release has it: with the invariants of a test build it would be slower. ONOMA_FLOOD_BINARY may name
// another.
var built struct {
	sync.Once
	dir string
	err error
}

func program(t *testing.T) string {
	t.Helper()
	if name := os.Getenv("ONOMA_FLOOD_BINARY"); name != "" {
		return name
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "onoma-flood-"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", built.dir, "./cmd/onoma")
		cmd.Dir, cmd.Env = peers.ModuleRoot(), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "onoma")
}

// netns is a network namespace without a name: it ends with the last file and process that knows it.
type netns struct{ file *os.File }

// inThread runs f in a thread of its own, which ends with it.
func inThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

func newNetns() (n netns, err error) {
	err = inThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		n = netns{f}
		return err
	})
	return n, err
}

// do runs f in the namespace. Sockets that f opens stay in it.
func (n netns) do(f func() error) error {
	return inThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// sh runs commands in the namespace.
func (n netns) sh(script string) error {
	return n.do(func() error {
		cmd := exec.Command("sh", "-e", "-c", "PATH=$PATH:/usr/sbin:/sbin\n"+script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// rig is two namespaces with a cable between them: the server's and everybody else's.
type rig struct {
	server, outside netns
	serverMAC       net.HardwareAddr
	outsideIndex    int
}

// newRig skips the test where it cannot be built.
func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces with a cable between them need root")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs, one for the server and one for the flood")
	}
	peers.Need(t, "ip")
	r := &rig{}
	for _, n := range []*netns{&r.server, &r.outside} {
		var err error
		if *n, err = newNetns(); err != nil {
			t.Skipf("a network namespace cannot be made here: %v", err)
		}
		t.Cleanup(func() { n.file.Close() })
	}
	if err := r.cable(); err != nil {
		t.Fatal(err)
	}
	return r
}

// cable lets both ends reach each other, and the server reach every address in the world through the other end.
func (r *rig) cable() error {
	err := r.server.sh(fmt.Sprintf(`
		ip link add s0 type veth peer name o0 netns /proc/%d/fd/%d
		ip address add %v/16 dev s0
		ip link set lo up; ip link set s0 up
		ip route add default via %v`, os.Getpid(), r.outside.file.Fd(), serverAddr, outsideAddr))
	if err != nil {
		return err
	}
	err = r.outside.sh(fmt.Sprintf(`
		ip address add %v/16 dev o0
		ip link set lo up; ip link set o0 up
		for i in $(seq 1 250); do echo address add 10.77.$i.1/16 dev o0; done | ip -batch -`, outsideAddr))
	if err != nil {
		return err
	}
	err = r.server.do(func() error {
		i, err := net.InterfaceByName("s0")
		if err == nil {
			r.serverMAC = i.HardwareAddr
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.outside.do(func() error {
		i, err := net.InterfaceByName("o0")
		if err == nil {
			r.outsideIndex = i.Index
		}
		return err
	})
}

// packets counts what has come out of the server's end of the cable.
func (r *rig) packets() (n, octets uint64) {
	r.server.do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if f := strings.Fields(lines.Text()); len(f) > 10 && f[0] == "s0:" {
				octets, _ = strconv.ParseUint(f[9], 10, 64)
				n, _ = strconv.ParseUint(f[10], 10, 64)
			}
		}
		return err
	})
	return n, octets
}

// process is a server that runs in its namespace on its CPU.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs a server until the test ends and waits until ready is in its log.
func (r *rig) start(t *testing.T, ready string, name string, args ...string) *process {
	t.Helper()
	p := &process{log: filepath.Join(t.TempDir(), "log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(name, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.run(r.server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(t) })
	p.await(t, ready)
	return p
}

// run starts the process from a thread that lives as long: the kernel ends the child with it.
func (p *process) run(n netns) error {
	started := make(chan error)
	go n.do(func() error {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		err := unix.SchedSetaffinity(0, only(serverCPU))
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			p.cmd.Wait()
			close(p.done)
		}
		return err
	})
	return <-started
}

func (p *process) text() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (p *process) await(t *testing.T, ready string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(p.text(), ready) {
		select {
		case <-p.done:
			t.Fatalf("the server ended early:\n%s", p.text())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server did not say %q in time:\n%s", ready, p.text())
		}
	}
}

func (p *process) stop(t *testing.T) {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
	if t.Failed() {
		t.Logf("the server's log:\n%s", p.text())
	}
}

// memory is the process's resident memory in bytes.
func (p *process) memory() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if f := strings.Fields(string(text)); len(f) > 1 {
		pages, _ := strconv.Atoi(f[1])
		return pages * os.Getpagesize()
	}
	return 0
}
