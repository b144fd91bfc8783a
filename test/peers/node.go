package peers

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/telemetry/control"
)

// Node is an `onoma serve` with a directory that outlives it: it is ended, killed and started again.
type Node struct {
	Dir    string
	Binary string // "": that of the tests
	Addr   netip.AddrPort
	Ctl    *control.Client
	Cmd    *exec.Cmd     // nil: it does not run
	Ended  chan struct{} // closed when Cmd has ended
	Ends   int

	written int
}

// NewNode makes a node that is not started. In its configuration DIR stands for its directory and ADDR for its address;
// its control socket is DIR/ctl. At the end of the test it is killed, and its log shown if the test has failed.
func NewNode(t testing.TB, configuration string) *Node {
	t.Helper()
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Dir: dir, Addr: Addr(t)}
	n.Ctl = control.NewClient(n.Path("ctl"))
	t.Cleanup(func() {
		n.End(t, os.Kill)
		if t.Failed() {
			t.Logf("the end of the log of the node at %s:\n%s", n.Addr, n.Tail())
		}
		os.RemoveAll(dir)
	})
	n.Configure(t, configuration)
	return n
}

// Path is the path of a file in the node's directory.
func (n *Node) Path(name string) string { return filepath.Join(n.Dir, name) }

// Configure writes the configuration anew.
func (n *Node) Configure(t testing.TB, text string) {
	t.Helper()
	n.Write(t, "onoma.yaml", strings.NewReplacer("DIR", n.Dir, "ADDR", n.Addr.String()).Replace(text))
}

// Write replaces a file of the node's directory.
func (n *Node) Write(t testing.TB, name, text string) {
	t.Helper()
	if err := n.Replace(name, text); err != nil {
		t.Fatal(err)
	}
}

// Replace replaces a file as editors do, all of it at once, and dates it a while back: what was written just before it
// was read is read again at the next look.
func (n *Node) Replace(name, text string) error {
	path := n.Path(name)
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		return err
	}
	n.written++
	when := time.Now().Add(-time.Hour + time.Duration(n.written)*time.Second)
	if err := os.Chtimes(path+"~", when, when); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// Run starts the server, behind the words of a command that runs it, and does not wait for it.
func (n *Node) Run(t testing.TB, prefix ...string) {
	t.Helper()
	if n.Binary == "" {
		n.Binary = Binary(t)
	}
	log, err := os.OpenFile(n.Path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := append(prefix, n.Binary, "serve", "--config", n.Path("onoma.yaml"))
	cmd, ended := exec.Command(args[0], args[1:]...), make(chan struct{})
	cmd.Stderr, cmd.Stdout = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.Cmd, n.Ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its state tells
		close(ended)
	}()
}

// Start starts the server and returns how long it took until it was ready.
func (n *Node) Start(t testing.TB, what string, ready func() bool, prefix ...string) time.Duration {
	t.Helper()
	if n.Binary == "" {
		n.Binary = Binary(t) // not a part of how long it took
	}
	began := time.Now()
	n.Run(t, prefix...)
	const patience = 60 * time.Second
	for !ready() {
		select {
		case <-n.Ended:
			t.Fatalf("the server has ended: %v", n.Cmd.ProcessState)
		case <-time.After(time.Millisecond):
		}
		if time.Since(began) > patience {
			t.Fatalf("waited %v for the server to %s", patience, what)
		}
	}
	return time.Since(began)
}

// End sends the server a signal and waits for its end, which is a good one where it was told to end.
func (n *Node) End(t testing.TB, signal os.Signal) {
	t.Helper()
	if n.Cmd == nil {
		return
	}
	if err := n.Cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-n.Ended:
	case <-time.After(30 * time.Second):
		t.Errorf("the server has not ended 30 s after %v", signal)
		_ = n.Cmd.Process.Kill()
		<-n.Ended
	}
	if state := n.Cmd.ProcessState; signal != os.Kill && !state.Success() {
		t.Errorf("told to end, the server ends with %v", state)
	}
	n.Cmd = nil
	n.Ends++
}

// Log is all that the server has logged so far.
func (n *Node) Log() string {
	b, _ := os.ReadFile(n.Path("log")) // none before the first start
	return string(b)
}

// Tail is the end of the log.
func (n *Node) Tail() string {
	const most = 6000
	b := []byte(n.Log())
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}
