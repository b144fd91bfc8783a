package iterator

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// exchange is one packet there and one back.
type exchange struct {
	server  netip.Addr
	to      Target
	name    dns.Name
	zone    dns.Name
	route   *Route // nil: the servers are those that referrals named
	q       dns.Question
	wait    time.Duration
	manners              // of the server
	sent    dns.Name     // the name in the case that it was sent in
	subnet  netip.Prefix // of the client that it is told of; the zero Prefix: none

	followUps int    // with the same server, before this one
	after     *reply // to the one before, if any
}

// query returns x's query in wire form. DNSSEC records are always asked for:
// they are kept with what they sign, for the clients that want them.
func (it *Iterator) query(x *exchange) []byte {
	m := dns.NewQuery(uint16(it.Env.Uint64()), dns.Question{Name: x.sent, Type: x.q.Type, Class: x.q.Class}, x.route.forwards())
	if x.route.forwards() && it.Validating.Load() {
		m.Flags |= dns.FlagCD
	}
	if !x.plain {
		m.EDNS = &dns.EDNS{UDPSize: it.UDPSize, DO: true, Options: x.subnetOption()}
		if len(x.cookie) > 0 {
			m.EDNS.Options = append(m.EDNS.Options, dns.Option{Code: dns.OptionCookie, Data: x.cookie})
		}
	}
	out, err := m.Append(make([]byte, 0, 340))
	if err != nil {
		panic("resolver: a query of one name does not fit: " + err.Error()) // 340 octets at most
	}
	return out
}

// read parses a reply and checks that it replies to what was sent. A reply that
// is no proper message has outcome OutcomeLame; one that is not used because it
// may be forged, or was cut short, OutcomeTruncated.
func (it *Iterator) read(x *exchange, raw []byte) *reply {
	h, ok := dns.ParseHeader(raw)
	if ok && h.Flags.Has(dns.FlagQR|dns.FlagTC) {
		// RFC 2181 §9: what was cut short is not used, not even if it can be read,
		// and not even over TCP, where it makes no sense.
		return &reply{outcome: OutcomeTruncated, rcode: h.Flags.RCode(), reason: "truncated"}
	}
	keptCase := restore(raw, x.sent, x.q.Name)
	m, err := dns.ParseLoosely(raw)
	if err != nil {
		return &reply{outcome: OutcomeLame, reason: "malformed reply: " + err.Error()}
	}
	got := m.Question()
	switch {
	case !m.Flags.Has(dns.FlagQR), m.Flags.Opcode() != dns.OpcodeQuery:
		return lame(m, "not a response to a query")
	case len(m.Questions) == 0 && m.RCode != dns.RCodeNoError && m.RCode != dns.RCodeNXDomain:
		keptCase = true // a server that could not read the question cannot repeat it
	case len(m.Questions) != 1, !got.Name.Equal(x.q.Name), got.Type != x.q.Type, got.Class != x.q.Class:
		return lame(m, "the reply has another question")
	}
	c := x.cookieIn(m)
	scope, fits := x.scopeIn(m)
	if r := x.forged(m, c, keptCase, fits); r != nil {
		return r
	}
	r := it.meaning(x, m)
	r.cookie, r.loose, r.scope = c, !keptCase, scope
	return r
}

// meaning is what a proper reply says.
func (it *Iterator) meaning(x *exchange, m *dns.Message) *reply {
	if x.route.forwards() {
		return it.classifyForwarded(x.zone, x.q, m)
	}
	return it.classify(x.zone, x.q, m)
}

// restore puts the name as it was asked for into the question of a reply that
// repeats it as it was sent, so that all names that are compressed into it have
// the case that the client gave. It reports whether the case was kept.
func restore(raw []byte, sent, asked dns.Name) bool {
	const at = 12 // behind the header
	if len(raw) < at+len(sent.Wire()) {
		return false
	}
	name := raw[at : at+len(sent.Wire())]
	kept := string(name) == sent.Wire()
	if kept || dns.EqualNames(name, []byte(sent.Wire())) {
		copy(name, asked.Wire())
	}
	return kept
}

// forged returns what stands for a reply that an attacker may have guessed, nil
// where there is no sign of that. Nobody can guess over TCP (RFC 5452 §9.2), nor
// who knows the cookie.
func (x *exchange) forged(m *dns.Message, c cookieIn, keptCase, fits bool) *reply {
	why := ""
	switch {
	case x.to.Proto != transport.UDP, c.isGood:
		return nil
	case c.isBad:
		why = "another cookie than was sent" // RFC 7873 §5.3
	case x.doesCookies:
		why = "no cookie from a server that had one"
	case !keptCase && !x.sameCase:
		why = "case of the name not kept"
	case !fits:
		why = "another client subnet than was sent" // RFC 7871 §7.3
	default:
		return nil
	}
	return &reply{outcome: OutcomeTruncated, rcode: m.RCode, reason: why, suspect: true, loose: !keptCase}
}

// randomCase returns n with each letter's case chosen by chance (0x20): bits
// that a forger must guess.
func (it *Iterator) randomCase(n dns.Name) dns.Name {
	b := []byte(n.Wire())
	bits, left := uint64(0), 0
	for i, c := range b {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			continue
		}
		if left == 0 {
			bits, left = it.Env.Uint64(), 64
		}
		b[i] = c&^0x20 | byte(bits&1)<<5
		bits, left = bits>>1, left-1
	}
	mixed, err := dns.NameFromWire(b)
	if err != nil {
		return n
	}
	return mixed
}

// exchangeKind says why there was no reply.
func exchangeKind(err error) transport.Kind {
	var x *transport.ExchangeError
	switch {
	case errors.As(err, &x):
		return x.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return transport.Timeout
	case errors.Is(err, context.Canceled):
		return transport.Canceled
	}
	return transport.Failed
}
