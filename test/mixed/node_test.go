package mixed

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// key signs what goes to some of the secondaries.
var key = peers.Key{Name: "mixed.key.", Secret: "c2l4dGVlbiBvY3RldHMgYW5kIHNpeHRlZW4gbW9yZQ=="}

// node is an `onoma serve`.
type node struct {
	dir  string
	addr netip.AddrPort
	ctl  *control.Client
	cmd  *exec.Cmd
	bin  string
}

// newNode makes a node that is not started. In its configuration DIR is its directory and ADDR its address; where it has data and
// control it, has been seen to.
func newNode(t *testing.T, configuration string) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "mixed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{dir: dir, addr: peers.Addr(t), bin: peers.Binary(t)}
	n.ctl = control.NewClient(filepath.Join(dir, "ctl"))
	n.configure(t, configuration)
	t.Cleanup(func() {
		n.end(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the end of the log of the node at %s:\n%s", n.addr, n.tail())
		}
	})
	return n
}

// startNode starts a node.
func startNode(t *testing.T, configuration string) *node {
	t.Helper()
	n := newNode(t, configuration)
	n.start(t)
	return n
}

// configure writes the configuration anew.
func (n *node) configure(t testing.TB, text string) {
	t.Helper()
	text = "data: DIR/data\ncontrol: DIR/ctl\n" + text
	if !strings.Contains(text, "listen:") {
		text = "listen: [\"ADDR\"]\n" + text
	}
	n.write(t, "onoma.yaml", strings.NewReplacer("DIR", n.dir, "ADDR", n.addr.String()).Replace(text))
}

// write writes a file of the node's directory as editors do: all of it at once.
func (n *node) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// start starts the node and returns when it obeys its operator.
func (n *node) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(n.bin, "serve", "--config", filepath.Join(n.dir, "onoma.yaml"))
	n.cmd.Stderr, n.cmd.Stdout = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the node to be ready", func() bool {
		_, err := n.ctl.ZoneLines(t.Context())
		return err == nil
	})
}

// end ends the node by a signal.
func (n *node) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	if err := n.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	if err := n.cmd.Wait(); signal == syscall.SIGTERM && err != nil {
		t.Errorf("told to end, the node ends with %v", err)
	}
	n.cmd = nil
}

// reload has the node read its configuration again.
func (n *node) reload(t testing.TB) {
	t.Helper()
	done, err := n.ctl.Reload(t.Context(), "")
	if err != nil {
		t.Fatalf("reloading: %v", err)
	}
	for _, d := range done {
		if d.Error != "" {
			t.Fatalf("reloading %s: %s", d.Zone, d.Error)
		}
	}
}

func (n *node) log() string {
	b, _ := os.ReadFile(filepath.Join(n.dir, "log"))
	return string(bytes.TrimSpace(b))
}

func (n *node) tail() string {
	const most = 6000
	log := n.log()
	return log[max(0, len(log)-most):]
}

// transfers counts the zones that the node has given away, by kind.
func (n *node) transfers() (incremental, whole, instead int) {
	log := n.log()
	return strings.Count(log, "kind=ixfr "), strings.Count(log, "kind=axfr "), strings.Count(log, `kind="ixfr answered in full"`)
}

// propagated waits until all secondaries of a zone serve what the node serves.
func (n *node) propagated(t *testing.T, zone string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+5*time.Second)
	defer cancel()
	r, err := n.ctl.Zone(zone, "").Wait(ctx, nil, patience)
	if err != nil {
		t.Fatalf("waiting for the secondaries of %s: %v", zone, err)
	}
	if !r.InSync {
		t.Errorf("zone %s: after %v not all secondaries have serial number %d: %s", zone, patience, r.Serial, r.Reason)
	}
}

// patience is how long servers get for what should take them a moment: the machine may be busy.
const patience = 30 * time.Second

func await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// ask asks a server one question.
func ask(addr netip.AddrPort, name string, typ uint16, signer *peers.Key) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, typ)
	c := dns.Client{Timeout: 500 * time.Millisecond}
	if signer != nil {
		c.TsigSecret = map[string]string{signer.Name: signer.Secret}
		q.SetTsig(signer.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	r, _, err := c.Exchange(q, addr.String())
	return r, err
}

// serial is the serial number that a server answers with, and whether it answers for the zone.
func serial(addr netip.AddrPort, zone string) (uint32, bool) {
	r, err := ask(addr, zone, dns.TypeSOA, nil)
	if err != nil || !r.Authoritative || len(r.Answer) != 1 {
		return 0, false
	}
	soa, ok := r.Answer[0].(*dns.SOA)
	if !ok {
		return 0, false
	}
	return soa.Serial, true
}

func serves(addr netip.AddrPort, zone string) bool {
	_, ok := serial(addr, zone)
	return ok
}
