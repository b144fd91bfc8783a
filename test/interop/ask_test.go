package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

const (
	patience = 2 * time.Second // for one answer; the machine may be busy
	tries    = 3
)

// client asks one server, from one goroutine.
type client struct {
	server *peers.Server
	udp    net.Conn
	tcp    net.Conn
	buf    [65535]byte
}

func (c *client) close() {
	if c.udp != nil {
		c.udp.Close()
	}
	if c.tcp != nil {
		c.tcp.Close()
	}
}

// query is a question's message.
func (q *question) query(id uint16) ([]byte, error) {
	m := new(dns.Msg)
	m.Id = id
	m.Question = []dns.Question{{Name: q.name, Qtype: q.typ, Qclass: dns.ClassINET}}
	if q.mode != plain {
		m.SetEdns0(1232, q.mode == do)
	}
	return m.Pack()
}

// send puts a message on the UDP socket; receive waits for its answer. They are two steps so
// that all servers work on a question at once.
func (c *client) send(msg []byte) error {
	if c.udp == nil {
		conn, err := net.Dial("udp", c.server.Addr.String())
		if err != nil {
			return err
		}
		c.udp = conn
	}
	_, err := c.udp.Write(msg)
	return err
}

// receive returns the answer to the message that was sent; it sends it again when nothing comes.
func (c *client) receive(msg []byte) ([]byte, error) {
	for range tries {
		if err := c.udp.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		for {
			n, err := c.udp.Read(c.buf[:])
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			if err != nil {
				break // too late, or refused: ask again
			}
			if n < 2 || c.buf[0] != msg[0] || c.buf[1] != msg[1] {
				continue // the answer to an earlier question
			}
			return c.buf[:n], nil
		}
		if err := c.send(msg); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s gave no answer", c.server.Name)
}

// overTCP asks on a connection that is kept for further questions; a server may close it in between.
func (c *client) overTCP(msg []byte) ([]byte, error) {
	var err error
	for range tries {
		if c.tcp == nil {
			if c.tcp, err = net.DialTimeout("tcp", c.server.Addr.String(), patience); err != nil {
				return nil, err
			}
		}
		var answer []byte
		if answer, err = exchangeTCP(c.tcp, msg, c.buf[:]); err == nil {
			return answer, nil
		}
		c.tcp.Close()
		c.tcp = nil
	}
	return nil, fmt.Errorf("%s over TCP: %w", c.server.Name, err)
}

func exchangeTCP(conn net.Conn, msg, buf []byte) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(msg)))
	if _, err := conn.Write(append(framed, msg...)); err != nil {
		return nil, err
	}
	return readTCP(conn, buf)
}

func readTCP(conn net.Conn, buf []byte) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	answer := buf[:binary.BigEndian.Uint16(size[:])]
	_, err := io.ReadFull(conn, answer)
	return answer, err
}

func unpack(answer []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		return nil, fmt.Errorf("unreadable answer: %w", err)
	}
	return m, nil
}

// ask puts one question to every client and returns their answers in normal form, in the same order. What one of them
// truncates over UDP is asked of all again over TCP, as is ANY, for which UDP may get less (RFC 8482 §4.4).
func ask(clients []*client, q *question, id uint16) ([]answer, error) {
	msg, err := q.query(id)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(clients))
	truncated := false
	if q.typ != dns.TypeANY {
		for _, c := range clients {
			if err := c.send(msg); err != nil {
				return nil, err
			}
		}
		for i, c := range clients {
			msg, err := c.receive(msg)
			answers[i] = normal(msg, q.mode.room(), err)
			truncated = truncated || answers[i].tc
		}
	}
	if q.typ == dns.TypeANY || truncated {
		for i, c := range clients {
			tc := answers[i].tc
			msg, err := c.overTCP(msg)
			answers[i] = normal(msg, dns.MaxMsgSize, err)
			answers[i].tc = tc
		}
	}
	return answers, nil
}
