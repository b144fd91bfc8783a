package delegation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"onoma/dns"
)

// maxTalk is how many octets one server may say in one conversation.
const maxTalk = 512 << 10

var errTalk = fmt.Errorf("the server says more than %d octets", maxTalk)

// dial opens connections.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// converse asks one address all questions, over as few TCP connections as the server
// allows, one behind the other without waiting (RFC 7766 §6.2.1.1). Over TCP, since
// who can send a UDP packet with another's address as its source must not be able to
// answer for the child. All of it takes no longer than ctx has.
func converse(ctx context.Context, dial dial, addr netip.Addr, questions []dns.Question) ([]*dns.Message, error) {
	t := &talk{answers: make([]*dns.Message, len(questions)), questions: questions, room: maxTalk}
	for {
		before := t.done
		err := t.connection(ctx, dial, addr)
		switch {
		case t.done == len(questions):
			return t.answers, nil
		case ctx.Err() != nil:
			return nil, errors.New("no answer over TCP in time")
		case t.done == before:
			return nil, err
		}
		// The server has closed the connection behind some answers, as it may
		// (RFC 7766 §6.2.4): the rest is asked anew.
	}
}

// talk is questions, and the answers so far.
type talk struct {
	questions []dns.Question
	answers   []*dns.Message
	ids       map[uint16]int
	done      int
	room      int
}

// connection asks over one connection what is not answered yet.
func (t *talk) connection(ctx context.Context, dial dial, addr netip.Addr) error {
	conn, err := dial(ctx, "tcp", netip.AddrPortFrom(addr, 53).String())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	queries, err := t.queries()
	if err != nil {
		return err
	}
	if _, err := conn.Write(queries); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	for len(t.ids) > 0 {
		if err := t.read(conn); err != nil {
			return err
		}
	}
	return nil
}

// queries makes the messages, each behind its length (RFC 1035 §4.2.2).
func (t *talk) queries() ([]byte, error) {
	var out []byte
	t.ids = make(map[uint16]int)
	first := uint16(rand.Uint32())
	for i, q := range t.questions {
		if t.answers[i] != nil {
			continue
		}
		m := dns.NewQuery(first+uint16(i), q, false)
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
		at := len(out)
		var err error
		if out, err = m.Append(append(out, 0, 0)); err != nil {
			return nil, fmt.Errorf("asking for %s: %w", q, err)
		}
		binary.BigEndian.PutUint16(out[at:], uint16(len(out)-at-2))
		t.ids[m.ID] = i
	}
	return out, nil
}

// read takes one message.
func (t *talk) read(conn net.Conn) error {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if t.room -= n + 2; t.room < 0 {
		return errTalk
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(conn, msg); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	m, err := dns.ParseMessage(msg)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	i, ok := t.ids[m.ID]
	if !ok || !m.Flags.Has(dns.FlagQR) || !answers(m, t.questions[i]) {
		return errors.New("an answer to another question")
	}
	delete(t.ids, m.ID)
	t.answers[i] = m
	t.done++
	return nil
}

// answers says whether m is of the question. A server that cannot read a query may leave
// the question out of its FORMERR.
func answers(m *dns.Message, q dns.Question) bool {
	if len(m.Questions) == 0 {
		return m.RCode != dns.RCodeNoError
	}
	o := m.Questions[0]
	return len(m.Questions) == 1 && o.Name.Equal(q.Name) && o.Type == q.Type && o.Class == q.Class
}
