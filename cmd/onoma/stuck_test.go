package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"onoma/telemetry/control"
)

// These tests run a server whose sinks are stuck: a standard error and a dnstap socket that nobody reads.

const goodZone = "$TTL 300\n@ SOA ns.example.net. hostmaster 1 7200 900 1209600 60\n@ NS ns.example.net.\nwww A 192.0.2.1\n"

// stuckServer serves example.com out of a file in dir. Its log is read up to "ready", and then no more.
func stuckServer(t *testing.T, dir string, args ...string) (addr netip.AddrPort, ctl *control.Client) {
	t.Helper()
	file := filepath.Join(dir, "zone")
	if err := os.WriteFile(file, []byte(goodZone), 0o644); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "ctl")
	cmd := exec.Command("onoma", append([]string{"authority", "--listen", "127.0.0.1:0", "--zone", "example.com=" + file, "--control", socket}, args...)...)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the server ended with %v, expected exit status 0", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server goes on 20 s after SIGTERM")
			_ = cmd.Process.Kill()
			<-ended
		}
		r.Close()
		w.Close()
	})
	for lines := bufio.NewReaderSize(r, 16); !addr.IsValid(); {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, after, ok := strings.Cut(line, "addresses="); ok {
			addr = netip.MustParseAddrPort(strings.TrimSpace(after))
		}
	}
	return addr, control.NewClient(socket)
}

// ask asks for www.example.com n times over UDP, one question after the other, and expects every answer.
func ask(t *testing.T, addr netip.AddrPort, n int) {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")
	buf := make([]byte, 512)
	for i := range n {
		q[0], q[1] = byte(i>>8), byte(i)
		if _, err := c.Write(q); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if m, err := c.Read(buf); err != nil || m < 12 || buf[0] != q[0] || buf[1] != q[1] || buf[7] != 1 {
			t.Fatalf("answer %d of %d: %d octets, %v", i+1, n, m, err)
		}
	}
}

func TestStandardErrorThatNobodyReads(t *testing.T) {
	dir := shortDir(t)
	addr, ctl := stuckServer(t, dir)
	var broken strings.Builder
	broken.WriteString(goodZone)
	for i := range 3000 {
		fmt.Fprintf(&broken, "name%d NONSENSE %d\n", i, i) // each is a line of the log, together more than a pipe holds
	}
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(broken.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 {
		done, err := ctl.Reload(ctx, "")
		if err != nil || len(done) != 1 || done[0].Error == "" {
			t.Fatalf("reload of a broken zone: %+v, %v", done, err)
		}
	}
	ask(t, addr, 100)
	r, err := ctl.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.Log.Dropped == 0 {
		t.Errorf("no line of the log was dropped: %+v", r.Log)
	}
}

func TestDnstapSocketThatNobodyReads(t *testing.T) {
	dir := shortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "tap"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, ctl := stuckServer(t, dir, "--dnstap", "unix://"+filepath.Join(dir, "tap"))
	const queries = 20000 // far more than a ring holds
	ask(t, addr, queries)
	r, err := ctl.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := r.Dnstap; d == nil || d.Dropped == 0 || d.Events+d.Dropped != queries {
		t.Errorf("%+v, expected events to be dropped, %d in all", d, queries)
	}
	if n := r.Traffic.RCodes["NOERROR"]; n != queries {
		t.Errorf("%d answers, expected %d", n, queries)
	}
}

// shortDir is a directory whose name leaves room for the name of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onoma")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
