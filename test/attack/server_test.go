package attack

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
)

// handler answers a question to a server; nil is silence. It may send what it likes meanwhile: see asked.
type handler func(q *asked) *dns.Message

// server is at one address, over UDP and TCP, and counts what passes.
type server struct {
	addr   netip.AddrPort
	auth   *authority.Server // what honest answers come from
	handle atomic.Pointer[handler]

	messages, octets atomic.Int64 // questions, and octets both ways

	mu   sync.Mutex
	seen []sighting

	udp *net.UDPConn
	tcp *net.TCPListener
	wg  sync.WaitGroup
}

// sighting is a question as it came.
type sighting struct {
	dns.Question
	ID   uint16
	From netip.AddrPort
	TCP  bool // or TLS
	TLS  bool
	EDNS *dns.EDNS
}

// asked is one question on its way to an answer.
type asked struct {
	*dns.Message
	server *server
	raw    []byte
	client netip.AddrPort
	isTCP  bool // or TLS
	isTLS  bool
	send   func(msg []byte) // one more message to the client, from where it asked
}

func listen(t testing.TB, addr netip.AddrPort) (*server, error) {
	s := &server{addr: addr, auth: authority.New(authority.Options{})}
	var err error
	if s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr)); err != nil {
		return nil, err
	}
	if s.tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr)); err != nil {
		s.udp.Close()
		return nil, err
	}
	_ = s.udp.SetReadBuffer(4 << 20) // as much as the kernel gives
	s.set(honest)
	s.wg.Go(s.serveUDP)
	s.wg.Go(s.serveTCP)
	t.Cleanup(s.close)
	return s, nil
}

func (s *server) close() {
	s.udp.Close()
	s.tcp.Close()
	s.wg.Wait()
}

func (s *server) set(h handler) { s.handle.Store(&h) }

// sightings are the questions that came since it was last called.
func (s *server) sightings() []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.seen
	s.seen = nil
	return list
}

func (s *server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, client, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // ICMP from a client that is gone
		}
		q := &asked{server: s, raw: append([]byte(nil), buf[:n]...), client: client}
		q.send = func(msg []byte) {
			s.octets.Add(int64(len(msg)))
			_, _ = s.udp.WriteToUDPAddrPort(msg, client) // the client may be gone
		}
		s.wg.Go(q.answer)
	}
}

func (s *server) serveTCP() {
	for {
		conn, err := s.tcp.AcceptTCP()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.converse(conn) })
	}
}

func (s *server) converse(conn net.Conn) {
	defer conn.Close()
	for {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, msg); err != nil {
			return
		}
		q := &asked{server: s, raw: msg, client: conn.RemoteAddr().(*net.TCPAddr).AddrPort(), isTCP: true}
		_, q.isTLS = conn.(*tls.Conn)
		q.send = func(msg []byte) {
			s.octets.Add(int64(len(msg)))
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)) // as above
		}
		q.answer()
	}
}

// answer counts the question and has it handled.
func (q *asked) answer() {
	s := q.server
	s.messages.Add(1)
	s.octets.Add(int64(len(q.raw)))
	var err error
	if q.Message, err = dns.ParseMessage(q.raw); err != nil || len(q.Questions) != 1 {
		return
	}
	s.mu.Lock()
	if len(s.seen) < 20_000 {
		s.seen = append(s.seen, sighting{q.Question(), q.ID, q.client, q.isTCP, q.isTLS, q.EDNS})
	}
	s.mu.Unlock()
	if a := (*s.handle.Load())(q); a != nil {
		q.send(q.pack(a))
	}
}

// pack makes a message that fits: truncated where it must be, as an honest server's is.
func (q *asked) pack(a *dns.Message) []byte {
	limit := transport.MaxMessage
	if !q.isTCP {
		limit = 512
		if q.EDNS != nil {
			limit = max(512, min(1232, int(q.EDNS.UDPSize)))
		}
	}
	out, fits := a.AppendLimit(nil, limit)
	if !fits {
		out, _ = (&dns.Message{ID: a.ID, Flags: a.Flags | dns.FlagTC, RCode: a.RCode, Questions: a.Questions, EDNS: a.EDNS}).AppendLimit(nil, limit)
	}
	return out
}

// honest answers from the server's zones.
func honest(q *asked) *dns.Message {
	proto := transport.UDP
	if q.isTCP {
		proto = transport.TCP
	}
	tq := transport.NewQuery(q.raw, q.client, q.server.addr, proto, func([]byte) error { return nil })
	a, err := dns.ParseMessage(q.server.auth.NewWorker().Answer(nil, tq))
	if err != nil {
		return q.reply(dns.RCodeServFail)
	}
	return a
}

// silent answers nothing.
func silent(*asked) *dns.Message { return nil }

// reply is an authoritative response without records.
func (q *asked) reply(rcode dns.RCode, answer ...dns.Record) *dns.Message {
	a := &dns.Message{ID: q.ID, Flags: dns.FlagQR | dns.FlagAA, RCode: rcode, Questions: q.Questions, Answer: answer}
	if q.EDNS != nil {
		a.EDNS = &dns.EDNS{UDPSize: 1232, DO: q.EDNS.DO}
	}
	return a
}

// refer is a referral to servers by their names, with glue.
func (q *asked) refer(cut dns.Name, servers []dns.Name, glue ...dns.Record) *dns.Message {
	a := q.reply(dns.RCodeNoError)
	a.Flags &^= dns.FlagAA
	for _, ns := range servers {
		a.Authority = append(a.Authority, dns.Record{Name: cut, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 3600, Data: dns.NewTarget(ns)})
	}
	a.Additional = glue
	return a
}
