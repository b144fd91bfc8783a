package quic

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"onoma/dns"
)

// Conn is a client's connection to one server, for any number of questions at once.
type Conn struct {
	qc *quic.Conn
	tr *quic.Transport

	once sync.Once
}

// Dial connects to server, from a local address that the system chooses where from is the zero Addr. cfg says whom to
// trust, as which name, and where sessions are kept for the next time.
func Dial(ctx context.Context, from netip.Addr, server netip.AddrPort, cfg *tls.Config) (*Conn, error) {
	quiet()
	network := "udp6"
	if server.Addr().Unmap().Is4() {
		network = "udp4"
	}
	var local *net.UDPAddr
	if from.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	pc, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, fmt.Errorf("asking %v over quic: %w", server, err)
	}
	tr := &quic.Transport{Conn: pc}
	qc, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(server), tlsConfig(cfg), &quic.Config{DisablePathMTUDiscovery: true})
	if err != nil {
		tr.Close()
		pc.Close()
		return nil, fmt.Errorf("asking %v over quic: %w", server, err)
	}
	return &Conn{qc: qc, tr: tr}, nil
}

// Exchange sends a query and returns its first answer. On the wire the message ID is 0 (RFC 9250 §4.2.1); the answer comes
// back with the query's.
func (c *Conn) Exchange(ctx context.Context, query []byte) ([]byte, error) {
	if len(query) < dns.HeaderLen || len(query) > dns.MaxMessageLen {
		return nil, fmt.Errorf("the query has %d bytes, %d to %d are possible", len(query), dns.HeaderLen, dns.MaxMessageLen)
	}
	st, err := c.qc.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		st.CancelRead(codeRequestCancelled)
		st.CancelWrite(codeRequestCancelled)
	})
	defer stop()
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, lengthLen+len(query)), uint16(len(query)))
	frame = append(frame, query...)
	frame[lengthLen], frame[lengthLen+1] = 0, 0
	if _, err := st.Write(frame); err != nil {
		return nil, fmt.Errorf("sending the query: %w", err)
	}
	st.Close()
	reply, err := readMessage(st)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	copy(reply, query[:2])
	return reply, nil
}

// Ask sends a query whose answer may have many messages, as a zone transfer has. What is read has two octets of length before
// each message, as on the stream; the messages have the ID 0, which the query is to have, too (a signature covers it). It ends
// with ctx, or by closing it.
func (c *Conn) Ask(ctx context.Context, query []byte) (io.ReadCloser, error) {
	st, err := c.qc.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	a := &answers{st: st}
	a.stop = context.AfterFunc(ctx, func() {
		st.CancelRead(codeRequestCancelled)
		st.CancelWrite(codeRequestCancelled)
	})
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, lengthLen+len(query)), uint16(len(query)))
	if _, err := st.Write(append(frame, query...)); err != nil {
		a.Close()
		return nil, fmt.Errorf("sending the query: %w", err)
	}
	st.Close() // RFC 9250 §4.2: the FIN says that the query is whole
	return a, nil
}

// answers reads those on one stream.
type answers struct {
	st   *quic.Stream
	stop func() bool
}

// Read is io.Reader's.
func (a *answers) Read(p []byte) (int, error) { return a.st.Read(p) }

// Close gives up what has not been read; the connection stays.
func (a *answers) Close() error {
	a.st.CancelRead(codeRequestCancelled)
	a.stop()
	return nil
}

func readMessage(r io.Reader) ([]byte, error) {
	var length [lengthLen]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n < dns.HeaderLen {
		return nil, fmt.Errorf("a message of %d bytes is announced, at least %d are possible", n, dns.HeaderLen)
	}
	msg := make([]byte, n)
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// Close ends the connection.
func (c *Conn) Close() {
	c.once.Do(func() {
		c.qc.CloseWithError(codeNoError, "")
		c.tr.Close()
		c.tr.Conn.Close()
	})
}

// Exchange asks server one question over a connection of its own.
func Exchange(ctx context.Context, server netip.AddrPort, cfg *tls.Config, query []byte) ([]byte, error) {
	c, err := Dial(ctx, netip.Addr{}, server, cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	reply, err := c.Exchange(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("asking %v over quic: %w", server, err)
	}
	return reply, nil
}
