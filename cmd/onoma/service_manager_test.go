package main

import (
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
)

// TestServiceManager starts "onoma serve" as systemd does: with sockets, a watchdog and a socket to tell it things on.
func TestServiceManager(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	dir, err := os.MkdirTemp("", "o") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "onoma")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Skip("there are no Unix sockets here")
	}
	defer told.Close()
	addr, files := handedOver(t)
	config := fmt.Sprintf("data: %s\ncontrol: off\nlisten: [\"%s\"]\nzones: {example: {file: %s}}\n", filepath.Join(dir, "data"), addr, filepath.Join(dir, "zone"))
	for name, text := range map[string]string{"onoma.yaml": config, "zone": "$TTL 60\n@ SOA a.x. h.x. 1 2 3 4 5\n@ NS a.x.\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" serve --config "$1"`, program, filepath.Join(dir, "onoma.yaml"))
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=dns:dns", "WATCHDOG_USEC=200000", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	cmd.ExtraFiles = files
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Log(log.String())
		}
	}()
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		for end := time.Now().Add(30 * time.Second); ; {
			_ = told.SetReadDeadline(end)
			n, err := told.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if strings.Contains(string(buf[:n]), want) {
				return
			}
		}
	}
	hear("READY=1\nSTATUS=serving " + addr.String())
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	asks(t, addr)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	ended = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, log.String())
	}
}

// handedOver is a TCP and a UDP socket on one address.
func handedOver(t *testing.T) (netip.AddrPort, []*os.File) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pc, err := net.ListenPacket("udp4", l.Addr().String())
	if err != nil {
		t.Skipf("the port is not free for UDP: %v", err)
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
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort(), []*os.File{tcp, udp}
}

// asks asks for the zone's SOA record over the socket that was handed over.
func asks(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("udp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x06\x00\x01")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	if err != nil || n < 12 || buf[3]&0xF != 0 || buf[7] != 1 {
		t.Errorf("the answer is %x, %v, expected one SOA record", buf[:n], err)
	}
}
