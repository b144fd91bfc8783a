package flood

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// callers are good clients that connect, ask once, and hang up, one after the other from each address.
type callers struct {
	asked, answered atomic.Int64
	stop            chan struct{}
	wg              sync.WaitGroup
}

// call starts n callers that begin a call every so often. dial is used inside the outside namespace.
func (r *rig) call(t *testing.T, n int, every time.Duration, query []byte, secret *tls.Config) *callers {
	c := &callers{stop: make(chan struct{})}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	for i := range n {
		c.wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-c.stop:
					return
				case <-tick.C:
				}
				c.asked.Add(1)
				if err := r.once(goodAddr(120+i), framed, secret); err == nil {
					c.answered.Add(1)
				}
			}
		})
	}
	t.Cleanup(c.end)
	return c
}

// once asks over one connection.
func (r *rig) once(from netip.Addr, framed []byte, secret *tls.Config) error {
	port := 53
	if secret != nil {
		port = 853
	}
	conn, err := r.connect(from, port)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * patience))
	stream := io.ReadWriter(conn)
	if secret != nil {
		stream = tls.Client(conn, secret)
	}
	if _, err := stream.Write(framed); err != nil {
		return err
	}
	_, err = io.ReadFull(stream, make([]byte, 14))
	return err
}

// connect opens a connection from inside the outside namespace.
func (r *rig) connect(from netip.Addr, port int) (conn net.Conn, err error) {
	err = r.outside.do(func() (err error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: 2 * patience}
		conn, err = d.Dial("tcp4", netip.AddrPortFrom(serverAddr, uint16(port)).String())
		return err
	})
	return conn, err
}

func (c *callers) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
		c.wg.Wait()
	}
}

// during is the share of calls that were answered.
func (c *callers) during(d time.Duration) float64 {
	asked, answered := c.asked.Load(), c.answered.Load()
	time.Sleep(d)
	return min(1, float64(c.answered.Load()-answered)/float64(max(c.asked.Load()-asked, 1))) // a call may straddle the beginning
}

// synFrame opens a TCP connection that will not be finished.
func synFrame(to net.HardwareAddr) frame {
	f := ipFrame(to, unix.IPPROTO_TCP, 20)
	tcp := f[atUDP:]
	binary.BigEndian.PutUint16(tcp[2:], 53)
	tcp[12], tcp[13] = 5<<4, 2 // SYN
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	return f
}

func forgedSYN(f frame, rng *rand.Rand) {
	f.from(anyone(rng), uint16(1024+rng.IntN(60000)))
	tcp := f[atUDP:]
	binary.BigEndian.PutUint32(tcp[4:], rng.Uint32())
	tcp[16], tcp[17] = 0, 0
	pseudo := uint32(sum(f[atSource:atUDP], 0)) + unix.IPPROTO_TCP + uint32(len(tcp))
	binary.BigEndian.PutUint16(tcp[16:], ^sum(tcp, pseudo))
}

// slow keeps n connections open from each of some addresses, sends an octet on each now and then, and opens new ones for
// those that are closed.
func (r *rig) slow(t *testing.T, addrs, n int) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range addrs {
		wg.Go(func() {
			conns := make([]net.Conn, n)
			defer func() {
				for _, c := range conns {
					if c != nil {
						c.Close()
					}
				}
			}()
			for {
				for j, c := range conns {
					if c != nil {
						if _, err := c.Write([]byte{1}); err == nil {
							continue
						}
						c.Close()
					}
					conns[j], _ = r.connect(goodAddr(200+i), 53)
				}
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() { close(stop); wg.Wait() })
}

// hello is the first flight of a client that will not go on.
func hello(t *testing.T) []byte {
	t.Helper()
	var b recorder
	tls.Client(&b, &tls.Config{ServerName: "ns1.example.com", NextProtos: []string{"dot"}}).Handshake()
	if b.Len() == 0 {
		t.Fatal("no ClientHello was recorded")
	}
	return b.Bytes()
}

// recorder keeps what is written, and has nothing to read.
type recorder struct {
	bytes.Buffer
	net.Conn
}

func (r *recorder) Write(b []byte) (int, error)      { return r.Buffer.Write(b) }
func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// handshakes begins TLS with the same first flight over and over, waits for the server's, and leaves.
func (r *rig) handshakes(t *testing.T, workers int) *atomic.Int64 {
	first := hello(t)
	stop, done := make(chan struct{}), new(atomic.Int64)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			buf := make([]byte, 8192)
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := r.connect(goodAddr(200+i%10), 853)
				if err != nil {
					continue
				}
				c.Write(first)
				c.SetReadDeadline(time.Now().Add(patience))
				if n, _ := c.Read(buf); n > 0 {
					done.Add(1)
				}
				c.Close()
			}
		})
	}
	t.Cleanup(func() { close(stop); wg.Wait() })
	return done
}

// serveStreams starts the server for TCP and TLS.
func serveStreams(t *testing.T, r *rig) *process {
	return r.start(t, "msg=ready", program(t), "authority", "--listen", serverAddr.String()+":53,tls://"+serverAddr.String()+":853",
		"--zone", "example.com="+plainZone(t), "--threads", "1", "--tls-self-signed")
}

func TestStreamFloods(t *testing.T) {
	query := question(t, "www.example.com.", dns.TypeA, false)
	for _, test := range []struct {
		name  string
		flood func(t *testing.T, r *rig)
		tls   bool
	}{
		{"half-open connections", func(t *testing.T, r *rig) { r.begin(t, synFrame(r.serverMAC), 0, forgedSYN) }, false},
		{"slow clients", func(t *testing.T, r *rig) { r.slow(t, 15, 200) }, false},
		{"TLS handshakes", func(t *testing.T, r *rig) {
			n := r.handshakes(t, 40)
			t.Cleanup(func() { t.Logf("%d handshakes were begun", n.Load()) })
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			p := serveStreams(t, r)
			udp := r.good(t, 0, goodClients, goodRate, query)
			var secret *tls.Config
			if test.tls {
				secret = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}, MinVersion: tls.VersionTLS13}
			}
			tcp := r.call(t, 10, 50*time.Millisecond, query, secret)
			calm := tcp.during(time.Second)
			test.flood(t, r)
			time.Sleep(500 * time.Millisecond)
			from := time.Now().UnixNano()
			share := tcp.during(span())
			got := udp.since(from)
			t.Logf("good callers keep %.1f %% of their answers (%.1f %% before), good clients over UDP %.1f %% (p99 %v); memory %d MB",
				100*share, 100*calm, 100*got.share(), got.quantile(0.99), p.memory()>>20)
			if share < goodShare || got.share() < goodShare {
				t.Errorf("expected %.0f %% at least", 100*goodShare)
			}
			if p.memory() > memoryBound {
				t.Errorf("the server takes %d MB", p.memory()>>20)
			}
		})
	}
}
