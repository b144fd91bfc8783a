package mixed

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/test/peers"
)

// relay passes packets and connections on to a server, and, once it is told to, loses some of the packets, both ways.
type relay struct {
	addr, to     netip.AddrPort
	lose         float64
	isLossy      atomic.Bool // before, nothing gets lost
	lost, passed atomic.Int64

	udp *net.UDPConn
	tcp *net.TCPListener
	mu  sync.Mutex
	out map[netip.AddrPort]*net.UDPConn // by client
	wg  sync.WaitGroup
}

// startRelay puts a relay before a server, until the test ends.
func startRelay(t *testing.T, to netip.AddrPort, lose float64) *relay {
	t.Helper()
	r := &relay{addr: peers.Addr(t), to: to, lose: lose, out: make(map[netip.AddrPort]*net.UDPConn)}
	var err error
	if r.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(r.addr)); err != nil {
		t.Fatal(err)
	}
	if r.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(r.addr)); err != nil {
		t.Fatal(err)
	}
	r.wg.Go(r.packets)
	r.wg.Go(r.connections)
	t.Cleanup(func() {
		r.udp.Close()
		r.tcp.Close()
		r.wg.Wait()
	})
	return r
}

func (r *relay) loses() bool {
	if r.isLossy.Load() && rand.Float64() < r.lose {
		r.lost.Add(1)
		return true
	}
	r.passed.Add(1)
	return false
}

func (r *relay) packets() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.udp.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || r.loses() {
			continue
		}
		if c := r.socketOf(from); c != nil {
			_, _ = c.Write(b[:n]) // a server that is away refuses it, which is a loss, too
		}
	}
}

// socketOf returns the socket that speaks for a client.
func (r *relay) socketOf(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.out[client]; c != nil {
		return c
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.to))
	if err != nil {
		return nil
	}
	r.out[client] = c
	r.wg.Go(func() { r.back(client, c) })
	return c
}

// back returns answers to a client, for as long as it may wait for one.
func (r *relay) back(client netip.AddrPort, c *net.UDPConn) {
	const life = 3 * time.Second
	_ = c.SetReadDeadline(time.Now().Add(life))
	b := make([]byte, 1<<16)
	for {
		n, err := c.Read(b)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.out, client)
			c.Close()
			return
		case err != nil: // refused
			time.Sleep(time.Millisecond)
		case !r.loses():
			_, _ = r.udp.WriteToUDPAddrPort(b[:n], client)
		}
	}
}

func (r *relay) connections() {
	for {
		in, err := r.tcp.AcceptTCP()
		if err != nil {
			return
		}
		out, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(r.to))
		if err != nil {
			in.Close()
			continue
		}
		r.wg.Go(func() { splice(in, out) })
	}
}

// splice passes on what comes from either side, until both have ended or nothing has come for long.
func splice(a, b *net.TCPConn) {
	const life = 60 * time.Second
	var wg sync.WaitGroup
	one := func(to, from *net.TCPConn) {
		_ = from.SetDeadline(time.Now().Add(life))
		_, _ = io.Copy(to, from)
		// The other direction has nothing to wait for: whoever asks for a transfer ends the connection when it is over.
		to.Close()
		from.Close()
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	wg.Wait()
}
