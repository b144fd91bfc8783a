package transport

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"runtime"
	"time"
)

// alpnDoT is what DNS over TLS is called in a handshake (RFC 7858's registration in RFC 9103 §12.1).
const alpnDoT = "dot"

// dotConfig is cfg as DNS over TLS wants it. A client that offers no ALPN is welcome (RFC 7858 knew of none); one that
// offers other protocols only is refused by the handshake (RFC 7301 §3.2).
func dotConfig(cfg *tls.Config) *tls.Config {
	c := cfg.Clone()
	c.NextProtos = append([]string{alpnDoT}, cfg.NextProtos...)
	if c.MinVersion < tls.VersionTLS12 {
		c.MinVersion = tls.VersionTLS12 // RFC 9325 §3.1.1
	}
	// Answers are gathered to be written at once, and each is small: splitting them into packets' sizes gains nothing.
	c.DynamicRecordSizingDisabled = true
	return c
}

// tlsLayer is TLS between a tcpConn and its socket. Below it lies a buffer that knows where records end, which makes the
// layer know whether reading on would wait: as long as it would not, answers are gathered, so that the queries which came
// in one read go out in one record and one write.
type tlsLayer struct {
	conn *tls.Conn
	tcpc *tcpConn
	wire wire
}

func newTLSLayer(c *tcpConn) *tlsLayer {
	l := &tlsLayer{tcpc: c}
	l.wire.TCPConn, l.wire.layer = c.nc, l
	l.conn = tls.Server(&l.wire, c.srv.tls)
	return l
}

// Read decrypts some of the stream.
func (l *tlsLayer) Read(p []byte) (int, error) { return l.conn.Read(p) }

// readBuffered reads what is here without waiting, unless what is here carries no data; then it may end at an old deadline,
// which means nothing.
func (c *tcpConn) readBuffered() error {
	if err := c.frames.read(c.tls); !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// buffered reports that a whole record is here already.
func (l *tlsLayer) buffered() bool { return l != nil && l.wire.wholeRecord() }

// handshake ends the time in which nothing is encrypted yet. Until it has succeeded the connection counts as idle: the
// first to give way when there are too many.
func (c *tcpConn) handshake() error {
	if c.tls == nil {
		return nil
	}
	err := c.setOpeningDeadline()
	if err == nil {
		c.tls.wire.gate = c.srv.gate
		err = c.tls.conn.Handshake()
		c.tls.wire.leave()
		c.tls.wire.gate = nil
	}
	if err != nil {
		c.srv.conns.unencrypted.Add(1)
		return err
	}
	c.srv.conns.handshakes.Add(1)
	state := c.tls.conn.ConnectionState()
	c.peer = PeerNames(&state)
	if state.DidResume {
		c.srv.conns.resumed.Add(1)
	}
	return nil
}

// setOpeningDeadline says until when the first message may begin. It is set under the lock, lest it undo the one that drain
// has set.
func (c *tcpConn) setOpeningDeadline() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return errDrained
	}
	return c.nc.SetDeadline(c.srv.now().Add(c.srv.limits.HandshakeTimeout))
}

// goodbyePatience is how long a client may keep its side from taking the two dozen bytes of a close_notify.
const goodbyePatience = 100 * time.Millisecond

// sayGoodbye tells the client that nothing was cut off (RFC 8446 §6.1), unless something was.
func (c *tcpConn) sayGoodbye() {
	if c.tls == nil {
		return
	}
	c.mu.Lock()
	sound := c.failed == nil && !c.writing
	c.mu.Unlock()
	if sound {
		c.nc.SetWriteDeadline(c.srv.now().Add(goodbyePatience))
		c.tls.conn.CloseWrite()
	}
}

// recordHeaderLen is the size of a TLS record's type, version and length (RFC 8446 §5.1).
const recordHeaderLen = 5

// wire is the socket below TLS. It hands out one record at most with each Read, so that crypto/tls buffers nothing that
// wholeRecord would not know of.
type wire struct {
	*net.TCPConn
	layer *tlsLayer
	buf   [4096]byte
	r, w  int // unread bytes
	left  int // of the record that is being read

	gate   chan struct{} // during the handshake: see newGate
	inside bool
}

// newGate bounds how many handshakes are computed at once, to half the CPUs. A handshake takes a hundred times what an answer
// takes: a flood of them would otherwise stand in a row before every loop that has something to answer.
func newGate() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

func (w *wire) enter() {
	if w.gate != nil {
		w.gate <- struct{}{}
		w.inside = true
	}
}

// leave lets another one compute, while this one waits for its client or when it is done.
func (w *wire) leave() {
	if w.inside {
		w.inside = false
		<-w.gate
	}
}

// Read reads from the record at hand, or begins the next.
func (w *wire) Read(p []byte) (int, error) {
	for w.left == 0 && w.w-w.r < recordHeaderLen || w.r == w.w {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	if w.left == 0 {
		w.left = w.recordLen()
	}
	n := copy(p, w.buf[w.r:min(w.w, w.r+w.left)])
	w.r += n
	w.left -= n
	return n, nil
}

// fill reads what the socket has. Before it may have to wait, answers are sent.
func (w *wire) fill() error {
	if err := w.layer.tcpc.flush(); err != nil {
		return err
	}
	w.w = copy(w.buf[:], w.buf[w.r:w.w])
	w.r = 0
	w.leave()
	n, err := w.TCPConn.Read(w.buf[w.w:])
	w.enter()
	w.w += n
	if n > 0 {
		return nil
	}
	return err
}

// recordLen is the length of the record whose header is at r, header included.
func (w *wire) recordLen() int {
	return recordHeaderLen + int(binary.BigEndian.Uint16(w.buf[w.r+recordHeaderLen-2:]))
}

func (w *wire) wholeRecord() bool {
	have := w.w - w.r
	return w.left == 0 && have >= recordHeaderLen && have >= w.recordLen()
}

// PeerNames returns the names of a client that has shown a certificate which was verified: those of DNS in it, or else the
// subject's common name (RFC 9103 §9.3.3).
func PeerNames(s *tls.ConnectionState) []string {
	if len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return nil
	}
	cert := s.VerifiedChains[0][0]
	if len(cert.DNSNames) == 0 && cert.Subject.CommonName != "" {
		return []string{cert.Subject.CommonName}
	}
	return cert.DNSNames
}
