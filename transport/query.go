package transport

import (
	"fmt"
	"net/netip"
	"time"
)

// MaxMessage is the largest DNS message: TCP's length field has two bytes (RFC 1035 §4.2.2).
const MaxMessage = 65535

// headerLen is the fixed part of every message (RFC 1035 §4.1.1); whatever is shorter is not DNS.
const headerLen = 12

// Proto says how a message travels. AF_XDP is UDP.
type Proto uint8

const (
	UDP   Proto = iota
	TCP         // RFC 7766
	TLS         // RFC 7858
	QUIC        // RFC 9250
	HTTPS       // RFC 8484
)

var protoNames = [...]string{UDP: "udp", TCP: "tcp", TLS: "tls", QUIC: "quic", HTTPS: "https"}

// IsEncrypted reports that nobody on the way can read the message.
func (p Proto) IsEncrypted() bool { return p >= TLS && p <= HTTPS }

// String returns the name in lower case, as in "udp".
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return fmt.Sprintf("proto(%d)", uint8(p))
}

// Query is one query as it came in. It and its Msg are the transport's, reused once Answer has returned.
type Query struct {
	Msg    []byte         // the whole message, at least 12 bytes, QR clear
	Client netip.AddrPort // who asked
	Local  netip.AddrPort // the address that was asked, also behind a socket bound to a wildcard address
	Proto  Proto

	// Peer are the names in the client's certificate, over TLS and QUIC, where it has shown one that the server's configuration
	// could verify.
	Peer []string

	// Now is when the query's batch came in, in Unix nanoseconds; 0 where nobody has looked at the clock.
	Now int64
	// Idle is how long a client may keep the connection open without a query, to be told by edns-tcp-keepalive (RFC 7828);
	// 0 where there is no connection, or none to tell about.
	Idle time.Duration

	from    source
	outside Source // instead of from, where that is nil
	via     *hop   // how it came, where Client and Local are those of a PROXY header; good until Answer returns
	tap     Tap    // nil: none
}

// source is where a query came from and where a detached answer goes.
type source interface {
	detached()
	reply(p *Pending, msg []byte) error
	done()
}

// Worker answers queries, one at a time. Answer appends the response to dst, which is empty and has room for a usual one,
// and returns the result; returning dst as it was sends nothing. The result must not share memory with q.Msg or with
// anything that the Worker will change, since it is sent only after further queries have been answered.
type Worker interface {
	Answer(dst []byte, q *Query) []byte
}

// Preparer is a Worker that wants to see the queries of a batch before Answer is asked for one after the other, so that it
// can fetch together from memory what their answers need. It must not keep msgs, nor rely on Answer being called for them.
type Preparer interface {
	Prepare(msgs [][]byte)
}

// Handler makes Workers: one for each UDP loop and one for each TCP connection that is answering. After a panic the
// Worker is thrown away and NewWorker asked for another. NewWorker is called from many goroutines.
type Handler interface {
	NewWorker() Worker
}

// WorkerFunc is a Worker without scratch memory, and the Handler that hands it out. It is called by many goroutines at once.
type WorkerFunc func(dst []byte, q *Query) []byte

// Answer calls f.
func (f WorkerFunc) Answer(dst []byte, q *Query) []byte { return f(dst, q) }

// NewWorker returns f itself.
func (f WorkerFunc) NewWorker() Worker { return f }

// NewQuery makes a query that came from no socket: for handlers asked in-process, and for their tests. Replies to the
// detached query are given to reply, from whatever goroutine sends them; a nil reply swallows them.
func NewQuery(msg []byte, client, local netip.AddrPort, proto Proto, reply func(msg []byte) error) *Query {
	return &Query{Msg: msg, Client: client, Local: local, Proto: proto, from: inProcess(reply)}
}

type inProcess func(msg []byte) error

func (f inProcess) detached() {}
func (f inProcess) done()     {}

func (f inProcess) reply(_ *Pending, msg []byte) error {
	if f == nil {
		return nil
	}
	return f(msg)
}
