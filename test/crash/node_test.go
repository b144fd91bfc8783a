package crash

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// node is the server that is killed.
type node struct {
	dir     string
	binary  string
	addr    netip.AddrPort
	primary netip.AddrPort // of t.example
	ctl     *control.Client
	cmd     *exec.Cmd
	log     string
	kills   int
}

const configuration = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], history: {keep: 1h}}
zones:
  u.example: {file: DIR/u, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"]}
  a.example: {file: DIR/a, file-mode: initial}
  f.example: {file: DIR/f}
  t.example: {primaries: ["PRIMARY"], refresh-min: 1s, retry-min: 1s}
`

func newNode(t *testing.T) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{dir: dir, binary: peers.Binary(t), addr: peers.Addr(t), primary: peers.Addr(t), log: filepath.Join(dir, "log")}
	n.ctl = control.NewClient(filepath.Join(dir, "ctl"))
	text := strings.NewReplacer("DIR", dir, "ADDR", n.addr.String(), "PRIMARY", n.primary.String()).Replace(configuration)
	n.write(t, "onoma.yaml", text)
	for _, name := range []string{"u", "a", "f"} {
		n.write(t, name, zoneText(1, nil))
	}
	t.Cleanup(func() { n.kill(t) })
	return n
}

func (n *node) write(t *testing.T, name, text string) {
	t.Helper()
	if err := n.replace(name, text); err != nil {
		t.Fatal(err)
	}
}

// replace writes a file as editors do: all of it at once.
func (n *node) replace(name, text string) error {
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// start starts the server and returns how long it took to answer for a zone that
// has been there before.
func (n *node) start(t *testing.T) time.Duration {
	t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(n.binary, "serve", "--config", filepath.Join(n.dir, "onoma.yaml"))
	n.cmd.Stderr, n.cmd.Stdout = log, log
	began := time.Now()
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const patience = 20 * time.Second
	for {
		if _, err := n.serial("u.example."); err == nil {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("the server does not answer; its log:\n%s", n.tail())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// kill ends the server without a warning.
func (n *node) kill(t *testing.T) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	if err := n.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = n.cmd.Wait() // it was killed
	n.cmd = nil
	n.kills++
}

// tail is the end of the server's log.
func (n *node) tail() string {
	const most = 8000
	b, _ := os.ReadFile(n.log)
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}

// serial returns the serial number that is served.
func (n *node) serial(zone string) (uint32, error) {
	q := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
	c := dns.Client{Timeout: 300 * time.Millisecond}
	r, _, err := c.Exchange(q, n.addr.String())
	if err != nil {
		return 0, err
	}
	if len(r.Answer) != 1 {
		return 0, errNotServed
	}
	return r.Answer[0].(*dns.SOA).Serial, nil
}
