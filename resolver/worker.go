package resolver

import (
	"encoding/binary"
	"net/netip"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/policy"
	"onoma/transport"
)

// worker answers the queries of one loop. What it holds is scratch.
type worker struct {
	r    *Resolver
	q    dns.Query
	hit  cache.Hit
	key  [maxKey]byte
	opts []byte
	b    dns.Builder

	whose bearing
	scope netip.Prefix // whom the answer of the cache is for, if not for everybody
}

// Answer answers from the cache, or hands the query on and answers later.
func (w *worker) Answer(dst []byte, tq *transport.Query) []byte {
	access := w.r.access(tq.Client.Addr())
	switch access {
	case policy.Denied:
		return dst
	case policy.Refused:
		return w.refuse(dst, tq)
	}
	q := &w.q
	if err := q.Parse(tq.Msg); err != nil {
		return w.malformed(dst, tq)
	}
	switch {
	case q.Flags.Opcode() != dns.OpcodeQuery:
		return w.fail(dst, tq, dns.RCodeNotImp)
	case q.EDNS && q.Vers != 0:
		return w.fail(dst, tq, dns.RCodeBadVers) // RFC 6891 §6.1.3
	case q.Class != dns.ClassIN:
		return w.otherClass(dst, tq)
	}
	w.whose = bearing{}
	if g := w.r.policing.rules.Load().groupOf(tq.Client.Addr()); g != nil {
		if out, done := w.judge(dst, tq, g); done {
			return out
		}
	}
	if access == policy.LocalOnly {
		return w.fail(dst, tq, dns.RCodeRefused, edeNotAllowed)
	}
	if w.r.subnets != nil {
		var err error
		if w.whose.subnet, err = w.r.subnets.of(q, tq.Client.Addr()); err != nil {
			return w.fail(dst, tq, dns.RCodeFormErr)
		}
	}
	key := w.whose.appendKey(w.key[:0], q)
	if w.r.subnets != nil {
		if out, ok := w.scoped(dst, tq, key); ok {
			return out
		}
	}
	if out, ok := w.cached(dst, tq.Msg, tq.Proto, key); ok {
		if w.hit.IsDue {
			w.prefetch(key)
		}
		return out
	}
	recurse := access == policy.AllowedSetRD || access == policy.Allowed && q.Flags.Has(dns.FlagRD)
	return w.miss(dst, tq, key, recurse)
}

// variant returns which of the answers to a question the client wants.
func variant(q *dns.Query) cache.Variant {
	var v cache.Variant
	if q.DO {
		v |= cache.VariantDO
	}
	if q.Flags.Has(dns.FlagCD) {
		v |= cache.VariantCD
	}
	return v
}

// showsAD reports whether a client wants to know that the answer was validated
// (RFC 6840 §5.7, §5.8).
func showsAD(q *dns.Query) bool { return q.DO || q.Flags.Has(dns.FlagAD) }

// cached answers the query in msg, which was parsed, from the cache of messages.
func (w *worker) cached(dst, msg []byte, proto transport.Proto, key []byte) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, msg[:w.q.End]...) // the header is written below; the question is the client's own
	now := w.r.now()
	out, ok := w.r.messages.Get(dst, key, now, &w.hit)
	if !ok {
		return dst[:start], false
	}
	w.opts = append(w.opts[:0], w.hit.Options...)
	if w.r.subnets != nil {
		w.opts = w.r.subnets.appendEcho(w.opts, &w.q, w.scope)
	}
	flags := w.hit.Flags
	if !showsAD(&w.q) {
		flags &^= dns.FlagAD
	}
	putHeader(out[start:], &w.q, flags, w.hit.Counts)
	return w.r.finish(out, start, &w.q, proto, w.opts), true
}

// putHeader writes the header of a response to q: its ID, and of its flags the
// opcode, RD and CD, with those given.
func putHeader(msg []byte, q *dns.Query, flags dns.Flags, counts [3]uint16) {
	be := binary.BigEndian
	const own = dns.FlagRD | dns.FlagCD | 0xF<<11
	flags = flags&^own | q.Flags&own
	be.PutUint16(msg, q.ID)
	be.PutUint16(msg[2:], uint16(flags))
	be.PutUint16(msg[4:], 1)
	for i, n := range counts {
		be.PutUint16(msg[6+2*i:], n)
	}
}

// finish makes the message at dst[start:], which has no OPT yet, fit for the
// client: it adds OPT with options if the client sent one (RFC 6891 §7), and
// leaves only the question, with TC, if it is too large for the client.
func (r *Resolver) finish(dst []byte, start int, q *dns.Query, proto transport.Proto, options []byte) []byte {
	limit := dns.MaxMessageLen
	if proto == transport.UDP {
		limit = 512
		if q.EDNS {
			limit = max(512, min(int(q.Size), int(r.cfg.UDPSize)))
		}
	}
	opt := 0
	if q.EDNS {
		opt = 11 + len(options)
	}
	if len(dst)-start+opt > limit {
		msg := dst[start:]
		flags := dns.Flags(binary.BigEndian.Uint16(msg[2:])) | dns.FlagTC
		dst = dst[:start+q.End]
		binary.BigEndian.PutUint16(msg[2:], uint16(flags))
		clear(msg[6:dns.HeaderLen])
		if q.End+opt > limit {
			options = nil
		}
	}
	if !q.EDNS {
		return dst
	}
	return r.appendOPT(dst, start, q, 0, options)
}

// appendOPT appends OPT to the message at dst[start:] and counts it.
func (r *Resolver) appendOPT(dst []byte, start int, q *dns.Query, rcode dns.RCode, options []byte) []byte {
	be := binary.BigEndian
	dst = append(dst, 0)
	dst = be.AppendUint16(dst, uint16(dns.TypeOPT))
	dst = be.AppendUint16(dst, r.cfg.UDPSize)
	flags := uint16(0)
	if q.DO {
		flags = dns.EDNSFlagDO // RFC 3225 §3: copied
	}
	dst = append(dst, byte(rcode>>4), 0)
	dst = be.AppendUint16(dst, flags)
	dst = be.AppendUint16(dst, uint16(len(options)))
	dst = append(dst, options...)
	count := dst[start+10:]
	be.PutUint16(count, be.Uint16(count)+1)
	return dst
}

// fail answers a query that was parsed with a response code alone.
func (w *worker) fail(dst []byte, tq *transport.Query, rcode dns.RCode, ede ...dns.EDE) []byte {
	w.opts = w.opts[:0]
	for _, e := range ede {
		w.opts = e.Append(w.opts)
	}
	return w.r.failure(dst, tq.Msg, &w.q, rcode, w.opts)
}

// failure appends a response to q, whose message is msg, that has a response
// code, and with EDNS the options, but no records.
func (r *Resolver) failure(dst, msg []byte, q *dns.Query, rcode dns.RCode, options []byte) []byte {
	start := len(dst)
	dst = append(dst, msg[:q.End]...)
	putHeader(dst[start:], q, (dns.FlagQR | dns.FlagRA).WithRCode(rcode), [3]uint16{})
	if !q.EDNS {
		return dst
	}
	return r.appendOPT(dst, start, q, rcode, options)
}

// malformed answers what could not be read: FORMERR with the ID and nothing of
// the rest, or nothing at all where there is not even a header.
func (w *worker) malformed(dst []byte, tq *transport.Query) []byte {
	if len(tq.Msg) < dns.HeaderLen {
		return dst
	}
	rcode := dns.RCodeFormErr
	if op := w.q.Flags.Opcode(); op != dns.OpcodeQuery {
		rcode = dns.RCodeNotImp // not ours to judge its form
	}
	h := dns.Header{ID: w.q.ID, Flags: dns.FlagQR | w.q.Flags&dns.FlagRD}
	h.Flags = h.Flags.WithOpcode(w.q.Flags.Opcode()).WithRCode(rcode)
	return h.Append(dst)
}

// refuse answers a client that is not on the access list.
func (w *worker) refuse(dst []byte, tq *transport.Query) []byte {
	if err := w.q.Parse(tq.Msg); err != nil {
		return w.malformed(dst, tq)
	}
	w.r.counters.refused.Add(1)
	return w.fail(dst, tq, dns.RCodeRefused, edeNotAllowed)
}

// otherClass answers what is not of class IN.
func (w *worker) otherClass(dst []byte, tq *transport.Query) []byte {
	text := ""
	if w.q.Class == dns.ClassCH {
		text = w.r.chaos(&w.q)
	}
	if text == "" {
		return w.fail(dst, tq, dns.RCodeRefused, edeClass)
	}
	start := len(dst)
	w.b.Start(dst, dns.MaxMessageLen, w.q.ID, dns.FlagQR|dns.FlagAA)
	w.b.Question(w.q.Name, w.q.Type, w.q.Class)
	w.b.RecordAt(dns.SectionAnswer, dns.HeaderLen, dns.TypeTXT, dns.ClassCH, 0, append([]byte{byte(len(text))}, text...))
	dst = w.b.Finish()
	putHeader(dst[start:], &w.q, dns.FlagQR|dns.FlagAA|dns.FlagRA, [3]uint16{1})
	return w.r.finish(dst, start, &w.q, tq.Proto, nil)
}

// miss deals with what is not in the cache of messages.
func (w *worker) miss(dst []byte, tq *transport.Query, key []byte, recurse bool) []byte {
	name, err := dns.NameFromWire(w.q.Name)
	if err != nil {
		return w.fail(dst, tq, dns.RCodeFormErr)
	}
	question := dns.Question{Name: name, Type: w.q.Type, Class: w.q.Class}
	if rcode, ede, ok := refuses(question); ok {
		return w.fail(dst, tq, rcode, ede...)
	}
	switch {
	case question.Type == dns.TypeANY:
		return w.answer(dst, tq, question, key, minimalANY(question))
	}
	if out, ok := w.outdated(dst, tq, question, key); ok {
		return out
	}
	if !recurse {
		return w.answer(dst, tq, question, key, w.r.treatCached(question, asking{checkingDisabled: w.q.Flags.Has(dns.FlagCD)}, w.whose))
	}
	key[len(key)-1] &^= byte(cache.VariantDO) // one look-up serves both kinds of clients, but not those with CD
	if out, isOver := w.limited(dst, tq); isOver {
		return out
	}
	if ede, ok := w.r.admit(tq, question, key, variant(&w.q), w.whose); !ok {
		return w.fail(dst, tq, dns.RCodeServFail, ede)
	}
	return dst
}

// answer answers with what is known at once, and remembers it.
func (w *worker) answer(dst []byte, tq *transport.Query, question dns.Question, key []byte, out outcome) []byte {
	if out.answer != nil && w.whose.remembers(out) {
		w.r.keep(question, key, out)
	}
	return w.r.reply(dst, tq.Msg, &w.q, tq.Proto, out)
}
