package xdp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"onoma/test/wire"
	"onoma/transport"
)

// wired is a wire to test XDP on.
type wired struct{ *wire.Wire }

// newWire makes a wire, or skips the test where that is not allowed.
func newWire(t *testing.T) wired {
	t.Helper()
	return newWireQueues(t, 1)
}

func newWireQueues(t *testing.T, n int) wired {
	t.Helper()
	w := wired{wire.NewQueues(t, n)}
	if lacking := lackingRights(); len(lacking) > 0 {
		t.Skipf("XDP needs rights that are lacking: %v", lacking)
	}
	return w
}

// listen starts a server on the wire, which ends with the test.
func (w wired) listen(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Interface, cfg.Strict = wire.ServerDev, true
	if cfg.Sockets.Log == nil {
		cfg.Sockets.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var s *Server
	w.In(t, w.Server, func() (err error) {
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

func (w wired) tap(t *testing.T) *tap {
	t.Helper()
	p := &tap{}
	w.In(t, w.Server, func() error {
		i, err := net.InterfaceByName(wire.ServerDev)
		if err == nil {
			p.server = i.HardwareAddr
		}
		return err
	})
	w.In(t, w.Client, func() error {
		i, err := net.InterfaceByName(wire.ClientDev)
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
