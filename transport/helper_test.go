package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; nothing waits that long when all is well.
const patience = 10 * time.Second

// loopVariants are the ways a UDP loop can run here; every UDP test that is not about one of them runs in all.
func loopVariants(t *testing.T, f func(t *testing.T, cfg Config)) {
	for _, v := range []struct {
		name string
		cfg  Config
		need bool
	}{
		{"default", Config{}, true},
		{"pinned", Config{Pin: true}, canPin},
		{"plain", Config{plain: true}, true},
	} {
		if v.need {
			t.Run(v.name, func(t *testing.T) { f(t, v.cfg) })
		}
	}
}

// home is a loopback address that other processes leave alone, where the system answers on all of 127.0.0.0/8: on
// 127.0.0.1 a port that was free can be taken a moment later by whoever else works on this machine.
var home = func() netip.Addr {
	if runtime.GOOS != "linux" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(64 + pid>>16&63), byte(pid >> 8), byte(pid)})
}()

func loopback(port uint16) netip.AddrPort { return netip.AddrPortFrom(home, port) }

// start runs a server until the test ends and makes sure that nothing of it is left then.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s := listen(t, cfg)
	serve(t, s)
	return s
}

// running counts the servers that tests have open; tests of this package do not run in parallel.
var running int

func listen(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Addrs == nil {
		cfg.Addrs = []netip.AddrPort{loopback(0)}
	}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	running++
	t.Cleanup(func() {
		s.Close()
		if running--; running == 0 {
			checkLeaks(t)
		}
	})
	return s
}

// serve runs s; the channel gets Serve's result.
func serve(t *testing.T, s *Server) <-chan error {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	return served
}

// checkLeaks fails the test if goroutines of a server or a connection outlive it.
func checkLeaks(t *testing.T) {
	t.Helper()
	var left []string
	defer func() {
		if len(left) > 0 {
			t.Log(strings.Join(left, "\n\n"))
		}
	}()
	eventually(t, "goroutines end", func() bool {
		buf := make([]byte, 1<<20)
		left = left[:0]
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			for _, ours := range []string{"(*tcpConn)", "(*udpLoop)", "(*tcpServer)", "(*Server).tearDown", "(*batchSocket)", "(*plainSocket)"} {
				if strings.Contains(g, ours) {
					left = append(left, g)
				}
			}
		}
		return len(left) == 0
	})
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// message is a query with an ID and some text behind its header.
func message(id int, text string) []byte {
	m := make([]byte, headerLen, headerLen+len(text))
	binary.BigEndian.PutUint16(m, uint16(id))
	return append(m, text...)
}

func idOf(m []byte) int { return int(binary.BigEndian.Uint16(m)) }

func textOf(m []byte) string { return string(m[headerLen:]) }

// flip is the simplest handler: the query with QR set.
var flip = WorkerFunc(func(dst []byte, q *Query) []byte {
	n := len(dst)
	dst = append(dst, q.Msg...)
	dst[n+2] |= 0x80
	return dst
})

// dial connects to a server with a deadline that no test should reach.
func dial(t *testing.T, p Proto, addr netip.AddrPort) net.Conn {
	t.Helper()
	return dialFrom(t, p, netip.Addr{}, addr)
}

func dialFrom(t *testing.T, p Proto, from netip.Addr, addr netip.AddrPort) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	switch {
	case !from.IsValid():
	case p == UDP:
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	case p == TCP:
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.Dial(p.String(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// frame puts lengths in front of messages.
func frame(msgs ...[]byte) []byte {
	var b []byte
	for _, m := range msgs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
		b = append(b, m...)
	}
	return b
}

// send writes messages, over TCP all in one write.
func send(t *testing.T, c net.Conn, msgs ...[]byte) {
	t.Helper()
	if _, ok := c.(*net.TCPConn); ok {
		msgs = [][]byte{frame(msgs...)}
	}
	for _, m := range msgs {
		if _, err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
}

// receive reads one message.
func receive(t *testing.T, c net.Conn) []byte {
	t.Helper()
	if _, ok := c.(*net.TCPConn); ok {
		m, err := readFrame(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	buf := make([]byte, MaxMessage)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// closed waits until the server closes the connection, and returns what it sent before.
func closed(t *testing.T, c net.Conn) []byte {
	t.Helper()
	b, err := io.ReadAll(c)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatal("the server keeps the connection open")
	}
	return b
}

// silent fails if something comes within a moment; it proves little, and only that.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Fatal("something came where silence was expected")
	}
	c.SetReadDeadline(time.Now().Add(patience))
}

// desk collects the queries that a handler detaches, for the test to answer.
type desk chan *Pending

func (d desk) NewWorker() Worker { return d }

func (d desk) Answer(dst []byte, q *Query) []byte {
	if bytes.HasPrefix(q.Msg[headerLen:], []byte("now")) {
		return flip(dst, q)
	}
	d <- q.Detach()
	return dst
}

// next returns the next detached query.
func (d desk) next(t *testing.T) *Pending {
	t.Helper()
	select {
	case p := <-d:
		return p
	case <-time.After(patience):
		t.Fatal("no query came")
		return nil
	}
}

// finish answers with text and is done.
func finish(t *testing.T, p *Pending, texts ...string) {
	t.Helper()
	id := idOf(p.Msg)
	for _, text := range texts {
		m := message(id, text)
		m[2] |= 0x80
		if err := p.Reply(m); err != nil {
			t.Error(err)
		}
	}
	p.Done()
}

func haveIPv6(t *testing.T) bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}
