package xdp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"onoma/transport"
)

// wire is a veth pair between two network namespaces: a server's and a client's.
type wire struct {
	server, client string // namespaces
}

const (
	serverDev, clientDev = "xs0", "xc0"
	server4, client4     = "192.0.2.1", "192.0.2.2"
	server6, client6     = "2001:db8::1", "2001:db8::2"
)

var wires atomic.Int32

// newWire makes a wire, or skips the test where that is not allowed.
func newWire(t *testing.T) *wire {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no ip command: Debian package iproute2 is not installed")
	}
	if lacking := lackingRights(); len(lacking) > 0 || os.Geteuid() != 0 {
		t.Skipf("network namespaces and XDP need root; lacking: %v", lacking)
	}
	tag := fmt.Sprintf("onoma-xdp-%d-%d", os.Getpid(), wires.Add(1))
	w := &wire{server: tag + "s", client: tag + "c"}
	for _, ns := range []string{w.server, w.client} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("no network namespace to be had: %s", out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	}
	w.ip(t, w.server, "link add", serverDev, "type veth peer name", clientDev, "netns", w.client)
	w.up(t, w.server, serverDev, server4, server6)
	w.up(t, w.client, clientDev, client4, client6)
	return w
}

func (w *wire) up(t *testing.T, ns, dev, a4, a6 string) {
	t.Helper()
	w.ip(t, ns, "link set lo up")
	w.ip(t, ns, "link set", dev, "addrgenmode none")
	w.ip(t, ns, "addr add", a4+"/24 dev", dev)
	w.ip(t, ns, "addr add", a6+"/64 dev", dev, "nodad")
	w.ip(t, ns, "link set", dev, "up")
}

// ip runs a command of ip in a namespace; its words may come together.
func (w *wire) ip(t *testing.T, ns string, words ...string) {
	t.Helper()
	args := append([]string{"-n", ns}, strings.Fields(strings.Join(words, " "))...)
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// command is a program to be run at the client.
func (w *wire) command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", w.client, name}, args...)...)
}

// output runs a program at the client, or skips the test where it is not installed.
func (w *wire) output(t *testing.T, pkg, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s: Debian package %s is not installed", name, pkg)
	}
	out, err := w.command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// in runs f on a thread that is in namespace ns, and ends the thread with it.
func in(t *testing.T, ns string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- enter(ns, f)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func enter(ns string, f func() error) error {
	fd, err := unix.Open(filepath.Join("/var/run/netns", ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return err
	}
	return f()
}

// listen starts a server on the wire, which ends with the test.
func (w *wire) listen(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Interface, cfg.Strict = serverDev, true
	if cfg.Sockets.Log == nil {
		cfg.Sockets.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var s *Server
	in(t, w.server, func() (err error) {
		s, err = Listen(cfg)
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error("serving:", err)
		}
	})
	return s
}

// tap is a raw socket on the client's end of the wire.
type tap struct {
	fd     int
	client net.HardwareAddr
	server net.HardwareAddr
}

func (w *wire) tap(t *testing.T) *tap {
	t.Helper()
	p := &tap{}
	in(t, w.server, func() error {
		i, err := net.InterfaceByName(serverDev)
		if err == nil {
			p.server = i.HardwareAddr
		}
		return err
	})
	in(t, w.client, func() error {
		i, err := net.InterfaceByName(clientDev)
		if err != nil {
			return err
		}
		p.client = i.HardwareAddr
		if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(hton(unix.ETH_P_ALL))); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
			return err
		}
		timeout := unix.NsecToTimeval(int64(50 * time.Millisecond))
		if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			return err
		}
		return unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: hton(unix.ETH_P_ALL), Ifindex: i.Index})
	})
	t.Cleanup(func() { unix.Close(p.fd) })
	return p
}

func hton(v uint16) uint16 { return v<<8 | v>>8 }

func (p *tap) send(t *testing.T, frame []byte) {
	t.Helper()
	if _, err := unix.Write(p.fd, frame); err != nil && !errors.Is(err, unix.ENOBUFS) {
		t.Fatal("sending a frame:", err)
	}
}

// receive returns the next frame from the server within the given time, with the VLAN tag that the kernel takes off, or nil.
func (p *tap) receive(t *testing.T, patience time.Duration) []byte {
	t.Helper()
	buf, oob := make([]byte, 4096), make([]byte, 256)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		n, oobn, _, _, err := unix.Recvmsg(p.fd, buf, oob, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal("receiving a frame:", err)
		}
		if n < etherLen || string(buf[6:12]) != string(p.server) {
			continue // our own
		}
		return withTag(t, buf[:n], oob[:oobn])
	}
	return nil
}

// withTag puts the VLAN tag back where struct tpacket_auxdata says there was one.
func withTag(t *testing.T, frame, oob []byte) []byte {
	t.Helper()
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		const vlanValid, tpidValid = 0x10, 0x40
		if status := m.Data[0]; status&vlanValid != 0 && status&tpidValid != 0 {
			tag := []byte{m.Data[19], m.Data[18], m.Data[17], m.Data[16]} // tp_vlan_tpid, tp_vlan_tci, little endian
			return append(append(append([]byte(nil), frame[:12]...), tag...), frame[12:]...)
		}
	}
	return frame
}

// echo answers with the query itself, QR set, as far as size asks for, filled up to that.
func echo(size int) transport.Handler {
	return transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		dst = append(dst, q.Msg...)
		dst[2] |= 0x80
		for len(dst) < size {
			dst = append(dst, 0)
		}
		return dst
	})
}
