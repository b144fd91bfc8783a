package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"onoma/console"
	"onoma/dns"
	"onoma/transport"
)

// tap is a Handler around a server's own: what that one answers becomes events.
type tap struct {
	next    transport.Handler
	hub     *hub
	role    string
	names   map[netip.Addr]string // the server's names by address
	clients map[netip.Addr]console.Endpoint
	quiet   netip.Addr // whose questions are no events
}

// NewWorker wraps one of the server's Workers.
func (t *tap) NewWorker() transport.Worker { return &tapWorker{tap: t, next: t.next.NewWorker()} }

type tapWorker struct {
	*tap
	next transport.Worker
}

// Answer lets the server answer, now or later, and tells of the answer.
func (w *tapWorker) Answer(dst []byte, q *transport.Query) []byte {
	client, local := q.Client.Addr(), q.Local.Addr()
	if !w.hub.watched() || client == w.quiet {
		return w.next.Answer(dst, q)
	}
	start := time.Now()
	out := w.next.Answer(dst, q.Tapped(func(msg []byte) { w.tell(client, local, start, msg) }))
	if len(out) > len(dst) {
		w.tell(client, local, start, out[len(dst):])
	}
	return out
}

func (t *tap) tell(client, local netip.Addr, start time.Time, msg []byte) {
	m, err := dns.ParseMessage(msg)
	if err != nil {
		return
	}
	now := time.Now()
	q := m.Question()
	e := Event{
		Time: now, From: t.client(client),
		To:   console.Endpoint{Role: t.role, Name: t.names[local], Address: local.String()},
		Name: q.Name.String(), Type: q.Type.String(), RCode: m.RCode.String(),
		Size: len(msg), Micros: now.Sub(start).Microseconds(),
	}
	var records []dns.Record
	e.Outcome, records = outcome(m)
	e.Records = recordTexts(records)
	if m.Flags.Opcode() == dns.OpcodeNotify {
		e.Records = append(e.Records, "NOTIFY: there are new "+e.Type+" records")
	}
	if m.EDNS != nil {
		for _, ede := range m.EDNS.EDE() {
			e.Records = append(e.Records, ede.String())
		}
	}
	t.hub.publish(e)
}

func (t *tap) client(a netip.Addr) console.Endpoint {
	if e, ok := t.clients[a]; ok {
		return e
	}
	return console.Endpoint{Role: console.RoleClient, Name: "client", Address: a.String()}
}

// outcome says what a reply amounts to, and which of its records say so.
func outcome(m *dns.Message) (string, []dns.Record) {
	typ := m.Question().Type
	switch {
	case m.Flags.Opcode() == dns.OpcodeNotify && m.RCode == dns.RCodeNoError:
		return console.OutcomeAnswer, nil
	case m.Flags.Has(dns.FlagTC):
		return console.OutcomeError, nil // nothing that helps: the client has to come back over TCP
	case m.RCode == dns.RCodeNXDomain:
		return console.OutcomeNegative, m.Authority
	case m.RCode != dns.RCodeNoError:
		return console.OutcomeError, nil
	case hasType(m.Answer, typ) || typ == dns.TypeANY && len(m.Answer) > 0:
		return console.OutcomeAnswer, m.Answer
	case len(m.Answer) > 0:
		return console.OutcomeAlias, m.Answer
	case hasType(m.Authority, dns.TypeNS) && !hasType(m.Authority, dns.TypeSOA):
		return console.OutcomeReferral, m.Authority
	}
	return console.OutcomeNegative, m.Authority
}

func hasType(rs []dns.Record, t dns.Type) bool {
	for _, r := range rs {
		if r.Type == t {
			return true
		}
	}
	return false
}

// recordTexts writes a few records as a person would, with single blanks. Signatures
// and proofs are left out: there is one of them for each of the others.
func recordTexts(rs []dns.Record) []string {
	texts := []string{}
	for _, r := range rs {
		if r.Type == dns.TypeRRSIG || r.Type == dns.TypeNSEC || r.Type == dns.TypeNSEC3 {
			continue
		}
		texts = append(texts, strings.Join([]string{r.Name.String(), r.Type.String(), r.Data.Text(r.Type)}, " "))
	}
	return firstFew(texts)
}

func more(n int) string { return fmt.Sprintf("and %d more", n) }
