package nodes

import (
	"bytes"
	"errors"
	"fmt"
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

// node is a server.
type node struct {
	dir    string
	binary string // "": that of the tests
	addr   netip.AddrPort
	ctl    *control.Client
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	kills  int

	written int
}

// newNode makes a node that is not started. In its configuration DIR stands for
// its directory and ADDR for its address.
func newNode(t testing.TB, configuration string) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{dir: dir, addr: peers.Addr(t)}
	t.Cleanup(func() {
		n.end(t, os.Kill)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", n.addr, n.tail())
		}
		os.RemoveAll(dir)
	})
	n.ctl = control.NewClient(n.path("ctl"))
	n.configure(t, configuration)
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

func (n *node) configure(t testing.TB, configuration string) {
	t.Helper()
	n.write(t, "onoma.yaml", strings.NewReplacer("DIR", n.dir, "ADDR", n.addr.String()).Replace(configuration))
}

// write replaces a file as editors do, and dates it a while back: what was written
// just before it was read is read again at the next look.
func (n *node) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(n.path(name+"~"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.written++
	when := time.Now().Add(-time.Hour + time.Duration(n.written)*time.Second)
	if err := os.Chtimes(n.path(name+"~"), when, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.path(name+"~"), n.path(name)); err != nil {
		t.Fatal(err)
	}
}

// run starts the server, and does not wait for it.
func (n *node) run(t testing.TB, prefix ...string) {
	t.Helper()
	if n.binary == "" {
		n.binary = peers.Binary(t)
	}
	log, err := os.OpenFile(n.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := append(prefix, n.binary, "serve", "--config", n.path("onoma.yaml"))
	n.cmd, n.ended = exec.Command(args[0], args[1:]...), make(chan struct{})
	n.cmd.Stderr, n.cmd.Stdout = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // its state tells
		close(ended)
	}(n.cmd, n.ended)
}

// start starts the server and returns how long it took until it answered for a
// zone.
func (n *node) start(t testing.TB, zone string, prefix ...string) time.Duration {
	t.Helper()
	began := time.Now()
	n.run(t, prefix...)
	const patience = 60 * time.Second
	for {
		if _, err := n.serial(zone); err == nil {
			return time.Since(began)
		}
		select {
		case <-n.ended:
			t.Fatalf("the server has ended: %v", n.cmd.ProcessState)
		case <-time.After(time.Millisecond):
		}
		if time.Since(began) > patience {
			t.Fatalf("the server does not answer for %s", zone)
		}
	}
}

// end sends the server a signal and waits for its end.
func (n *node) end(t testing.TB, signal os.Signal) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	if err := n.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-n.ended:
	case <-time.After(30 * time.Second):
		t.Errorf("the server has not ended 30 s after %v", signal)
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
	n.cmd = nil
	n.kills++
}

// fails runs the server, which is to end by itself, and returns its exit status
// and what it said.
func (n *node) fails(t testing.TB, prefix ...string) (status int, said string) {
	t.Helper()
	before := len(n.log())
	n.run(t, prefix...)
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		t.Errorf("the server runs, and was expected to refuse:\n%s", n.log()[before:])
		n.end(t, os.Kill)
		return -1, ""
	}
	status, n.cmd = n.cmd.ProcessState.ExitCode(), nil
	return status, n.log()[before:]
}

func (n *node) log() string {
	b, _ := os.ReadFile(n.path("log")) // none before the first start
	return string(b)
}

func (n *node) tail() string {
	const most = 3000
	b := []byte(n.log())
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}

var errNotServed = errors.New("the zone is not served")

// rcode is the code of an answer that is not what was asked for.
type rcode int

func (r rcode) Error() string { return dns.RcodeToString[int(r)] }

// serial returns the serial number that is served.
func (n *node) serial(zone string) (uint32, error) {
	r, err := n.ask(zone, dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	soa, ok := r[0].(*dns.SOA)
	if !ok {
		return 0, errNotServed
	}
	return soa.Serial, nil
}

// ask returns the answer to a question.
func (n *node) ask(name string, t uint16) ([]dns.RR, error) {
	c := dns.Client{Timeout: 500 * time.Millisecond}
	r, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, t), n.addr.String())
	switch {
	case err != nil:
		return nil, err
	case r.Rcode != dns.RcodeSuccess:
		return nil, rcode(r.Rcode)
	case len(r.Answer) == 0:
		return nil, errNotServed
	}
	return r.Answer, nil
}

// update adds records to a zone by RFC 2136. A [rcode] says that it was refused.
func (n *node) update(patience time.Duration, zone string, add ...string) error {
	m := new(dns.Msg).SetUpdate(zone)
	for _, text := range add {
		r, err := dns.NewRR(text)
		if err != nil {
			return err
		}
		m.Insert([]dns.RR{r})
	}
	c := dns.Client{Timeout: patience}
	r, _, err := c.Exchange(m, n.addr.String())
	switch {
	case err != nil:
		return err
	case r.Rcode != dns.RcodeSuccess:
		return rcode(r.Rcode)
	}
	return nil
}

// transfer fetches a zone, or what has changed since a serial number.
func (n *node) transfer(zone string, from uint32) ([]dns.RR, error) {
	q := new(dns.Msg).SetAxfr(zone)
	if from != 0 {
		q.SetIxfr(zone, from, ".", ".")
	}
	ch, err := new(dns.Transfer).In(q, n.addr.String())
	if err != nil {
		return nil, err
	}
	var all []dns.RR
	for e := range ch {
		if e.Error != nil {
			err = e.Error
			continue
		}
		all = append(all, e.RR...)
	}
	if err == nil && len(all) < 2 {
		err = fmt.Errorf("%d records", len(all))
	}
	return all, err
}

// content fetches a zone.
func (n *node) content(zone string) (records map[string]bool, serial uint32, err error) {
	all, err := n.transfer(zone, 0)
	if err != nil {
		return nil, 0, err
	}
	records = make(map[string]bool, len(all))
	for _, r := range all {
		records[r.String()] = true
	}
	return records, all[0].(*dns.SOA).Serial, nil
}

// within waits for something to become so.
func within(t testing.TB, d time.Duration, what string, so func() error) {
	t.Helper()
	deadline := time.Now().Add(d)
	for {
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, d, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const zoneText = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
`
