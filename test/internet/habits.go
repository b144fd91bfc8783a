package internet

import (
	"strings"

	"onoma/dns"
	"onoma/transport"
)

// habit is what a broken server does with a question: answer is what package authority says to it. The result is sent; nil is silence.
type habit func(q *dns.Message, proto transport.Proto, answer func() *dns.Message) *dns.Message

// habitual is a Handler with a habit.
type habitual struct {
	next  transport.Handler
	habit habit
}

func (h *habitual) NewWorker() transport.Worker {
	return &habitualWorker{h, h.next.NewWorker()}
}

type habitualWorker struct {
	*habitual
	next transport.Worker
}

func (w *habitualWorker) Answer(dst []byte, q *transport.Query) []byte {
	m, err := dns.ParseMessage(q.Msg)
	if err != nil || len(m.Questions) != 1 {
		return w.next.Answer(dst, q)
	}
	answer := func() *dns.Message {
		a, err := dns.ParseMessage(w.next.Answer(nil, q))
		if err != nil {
			return reply(m, dns.RCodeServFail)
		}
		return a
	}
	a := w.habit(m, q.Proto, answer)
	if a == nil {
		return dst
	}
	limit := transport.MaxMessage
	if q.Proto == transport.UDP {
		limit = 512
		if m.EDNS != nil {
			limit = max(512, min(1232, int(m.EDNS.UDPSize)))
		}
	}
	out, _ := a.AppendLimit(dst, limit)
	return out
}

// reply is a response without records.
func reply(q *dns.Message, rcode dns.RCode) *dns.Message {
	return &dns.Message{ID: q.ID, Flags: dns.FlagQR | q.Flags&dns.FlagRD, RCode: rcode, Questions: q.Questions}
}

// changed is a habit that changes answers only.
func changed(change func(a *dns.Message)) habit {
	return func(_ *dns.Message, _ transport.Proto, answer func() *dns.Message) *dns.Message {
		a := answer()
		change(a)
		return a
	}
}

// silent answers nothing.
func silent(*dns.Message, transport.Proto, func() *dns.Message) *dns.Message { return nil }

// always answers by one rcode.
func always(rcode dns.RCode) habit {
	return func(q *dns.Message, _ transport.Proto, _ func() *dns.Message) *dns.Message { return reply(q, rcode) }
}

// forType has a habit for questions of one type alone.
func forType(t dns.Type, h habit) habit {
	return func(q *dns.Message, p transport.Proto, answer func() *dns.Message) *dns.Message {
		if q.Question().Type == t {
			return h(q, p, answer)
		}
		return answer()
	}
}

// withEDNS has a habit for questions with EDNS alone, and knows nothing of EDNS itself.
func withEDNS(h habit) habit {
	return func(q *dns.Message, p transport.Proto, answer func() *dns.Message) *dns.Message {
		if q.EDNS != nil {
			return h(q, p, answer)
		}
		return answer()
	}
}

// truncating sends nothing but TC over UDP.
func truncating(q *dns.Message, p transport.Proto, answer func() *dns.Message) *dns.Message {
	if p != transport.UDP {
		return answer()
	}
	a := reply(q, dns.RCodeNoError)
	a.Flags |= dns.FlagTC | dns.FlagAA
	return a
}

// withoutEDNS answers as servers did before 1999.
func withoutEDNS(a *dns.Message) {
	a.EDNS = nil
}

// withoutAA answers as a cache does.
func withoutAA(a *dns.Message) { a.Flags &^= dns.FlagAA }

// lowering sends the question back in lower case, and owners likewise (RFC 4343 §4.1 wants the case kept).
func lowering(a *dns.Message) { recase(a, strings.ToLower) }

// raising sends it back in upper case.
func raising(a *dns.Message) { recase(a, strings.ToUpper) }

func recase(a *dns.Message, f func(string) string) {
	name := func(n dns.Name) dns.Name {
		c, err := dns.NameFromWire([]byte(f(n.Wire()))) // octets of length are no letters: labels have at most 63
		if err != nil {
			return n
		}
		return c
	}
	for i := range a.Questions {
		a.Questions[i].Name = name(a.Questions[i].Name)
	}
	for _, s := range [][]dns.Record{a.Answer, a.Authority, a.Additional} {
		for i := range s {
			s[i].Name = name(s[i].Name)
		}
	}
}

// barren denies without saying for how long: no SOA record (RFC 2308 §2.2, type 3).
func barren(a *dns.Message) {
	if len(a.Answer) == 0 {
		a.Authority = nil
	}
}

// blurred says NOERROR where it is NXDOMAIN.
func blurred(a *dns.Message) {
	if a.RCode == dns.RCodeNXDomain {
		a.RCode = dns.RCodeNoError
	}
}

// treeless denies names that have nothing but names below them (against RFC 8020 §2).
func treeless(a *dns.Message) {
	if a.RCode == dns.RCodeNoError && len(a.Answer) == 0 && a.Question().Name.Fold().FirstLabel() == "ent" {
		a.RCode = dns.RCodeNXDomain
	}
}

// denying says NXDOMAIN where a name has other types.
func denying(a *dns.Message) {
	if len(a.Answer) == 0 && a.Question().Type == dns.TypeAAAA {
		a.RCode = dns.RCodeNXDomain
	}
}

// upward refers to the root.
func upward(q *dns.Message, _ transport.Proto, _ func() *dns.Message) *dns.Message {
	a := reply(q, dns.RCodeNoError)
	a.Authority = []dns.Record{dns.MustRecord(". 3600 IN NS a.root-servers.internet.")}
	return a
}

// selfish refers to the zone that it is asked about.
func selfish(zone func() dns.Name) habit {
	return func(q *dns.Message, _ transport.Proto, _ func() *dns.Message) *dns.Message {
		a := reply(q, dns.RCodeNoError)
		ns := dns.NewTarget(dns.MustName("ns1." + zone().String()))
		a.Authority = []dns.Record{{Name: zone(), Type: dns.TypeNS, Class: dns.ClassIN, TTL: 3600, Data: ns}}
		return a
	}
}

// Forged is where liars want clients to go; no zone has it.
const Forged = "203.0.113.66"

// poisoning adds what nobody has asked for, about names of others (RFC 2181 §5.4.1, RFC 5452 §6).
func poisoning(victim func() dns.Name) habit {
	return changed(func(a *dns.Message) {
		v := victim()
		t, err := dns.ParseRDataString(dns.TypeA, Forged, dns.Root)
		if err != nil {
			return
		}
		lie := dns.Record{Name: v, Type: dns.TypeA, Class: dns.ClassIN, TTL: 86400, Data: t}
		ns := dns.Record{Name: v.Parent(), Type: dns.TypeNS, Class: dns.ClassIN, TTL: 86400, Data: dns.NewTarget(v)}
		a.Answer = append(a.Answer, lie)
		a.Authority = append(a.Authority, ns)
		a.Additional = append(a.Additional, lie)
	})
}

// overeager answers an alias together with what it says the target has.
func overeager(a *dns.Message) {
	for _, r := range a.Answer {
		if r.Type == dns.TypeCNAME && a.Question().Type == dns.TypeA {
			target := r.Data.Target(r.Type)
			a.Answer = append(a.Answer, dns.MustRecord(target.String()+" 300 IN A "+Forged))
			a.RCode = dns.RCodeNoError
			a.Authority = nil
			return
		}
	}
}

// misquoting answers another question.
func misquoting(a *dns.Message) {
	a.Questions[0].Name = dns.MustName("other.invalid.")
}
