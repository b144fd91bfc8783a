package upstream

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"onoma/transport"
)

// both serves plain DNS on a port, and talk on the same address over TLS.
func both(t *testing.T, talk func(net.Conn)) (plain transport.Target, private *streamServer, asked *atomic.Int32) {
	private = serveStreams(t, true, talk)
	asked = new(atomic.Int32)
	at := udpServer(t, netip.AddrPortFrom(private.at.Addr(), 0).String(), func(q []byte, _ netip.AddrPort) [][]byte {
		asked.Add(1)
		return [][]byte{answerTo(q, "")}
	})
	return transport.Target{Addr: at}, private, asked
}

func mustAsk(t *testing.T, n *Network, to transport.Target, most time.Duration) {
	t.Helper()
	start := time.Now()
	if _, err := n.Exchange(within(t, 2*time.Second), to, query(t, "a.test.")); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > most {
		t.Errorf("the answer took %v", took)
	}
}

// The first question is asked in the open; once the server is known to speak TLS, none is.
func TestOpportunistic(t *testing.T) {
	to, private, plain := both(t, echo)
	n := network(t, Config{Opportunistic: true, OpportunisticPort: private.at.Port()})
	mustAsk(t, n, to, time.Second)
	eventually(t, func() bool { return n.line.has(transport.Target{Addr: private.at, Proto: transport.TLS}) })
	for range 20 {
		mustAsk(t, n, to, time.Second)
	}
	if plain.Load() != 1 || private.connections.Load() != 1 {
		t.Errorf("%d questions in the open and %d connections, expected one of each", plain.Load(), private.connections.Load())
	}
	if s := n.Stats(); s.Private != 20 || s.Fallbacks != 0 {
		t.Errorf("%+v", s)
	}
}

// A server without TLS is asked in the open, at once, and left alone for a day.
func TestOpportunisticIsDamped(t *testing.T) {
	to, private, plain := both(t, func(net.Conn) {})
	silent, err := net.Listen("tcp", netip.AddrPortFrom(private.at.Addr(), 0).String()) // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := silent.Addr().(*net.TCPAddr).AddrPort().Port()
	n := network(t, Config{Opportunistic: true, OpportunisticPort: port})
	now := time.Now()
	n.habits.now = func() time.Time { return now }
	for range 10 {
		mustAsk(t, n, to, time.Second) // while the handshake hangs
	}
	secret := transport.Target{Addr: netip.AddrPortFrom(to.Addr.Addr(), port), Proto: transport.TLS}
	n.habits.end(secret, io.EOF)
	if n.habits.begin(secret) {
		t.Error("a server that refused is tried again at once")
	}
	now = now.Add(damping)
	if !n.habits.begin(secret) {
		t.Error("it is not tried again a day later")
	}
	n.habits.end(secret, nil)
	if n.habits.end(secret, io.EOF); !n.habits.begin(secret) {
		t.Error("one that worked lately is given up after its first failure")
	}
	if n.habits.end(secret, io.EOF); n.habits.begin(secret) {
		t.Error("one that worked lately is not given up after its second failure")
	}
	if plain.Load() != 10 {
		t.Errorf("%d questions in the open, expected all 10", plain.Load())
	}
}

// A server that stops answering over TLS is asked in the open within the time of the question.
func TestOpportunisticFallsBack(t *testing.T) {
	to, private, plain := both(t, func(c net.Conn) {
		if q, err := readMessage(c); err == nil {
			send(c, answerTo(q, ""))
			io.Copy(io.Discard, c)
		}
	})
	n := network(t, Config{Opportunistic: true, OpportunisticPort: private.at.Port()})
	mustAsk(t, n, to, time.Second)
	eventually(t, func() bool { return n.line.has(transport.Target{Addr: private.at, Proto: transport.TLS}) })
	mustAsk(t, n, to, time.Second)
	mustAsk(t, n, to, 1500*time.Millisecond)
	if s := n.Stats(); plain.Load() != 2 || s.Private != 1 || s.Fallbacks != 1 {
		t.Errorf("%d questions in the open, %+v", plain.Load(), s)
	}
}
