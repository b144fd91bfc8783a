package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/transport"
)

// outcome is what a client is told: an answer, or why there is none.
type outcome struct {
	answer   *iterator.Answer
	rcode    dns.RCode
	ede      []dns.EDE
	isSecure bool         // validated: AD
	scope    netip.Prefix // whom it is for, if not for everybody; see iterator.Answer

	// What policy has decided.
	extra     []dns.Record // for the additional section
	isDropped bool         // there is no answer
	isTCPOnly bool         // over UDP the answer is TC
	clearRA   bool
	rulings   []Ruling
}

// found makes the outcome of an answer.
func found(a *iterator.Answer) outcome { return outcome{answer: a, rcode: a.RCode, ede: a.EDE} }

// failed makes the outcome of a look-up's error.
func failed(err error) outcome {
	var f *iterator.Failure
	switch {
	case errors.As(err, &f):
		return outcome{rcode: dns.RCodeServFail, ede: f.EDE}
	case errors.Is(err, iterator.ErrNotCached):
		return outcome{rcode: dns.RCodeRefused, ede: []dns.EDE{edeNotCached}}
	}
	return outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{{Code: dns.EDEOther, Text: err.Error()}}}
}

// cacheOnly answers a question without RD: from what is known, or not at all.
// It does not block, and so it does not validate: unless the client does, what
// was not found good or local is not known.
func (r *Resolver) cacheOnly(q dns.Question, how asking) outcome {
	if ede, ok := r.knownBogus(q, how.checkingDisabled); ok {
		return outcome{rcode: dns.RCodeServFail, ede: ede}
	}
	a, err := r.iterator.Resolve(context.Background(), q, iterator.Options{CacheOnly: true, Tracer: how.tracer, Alias: how.alias})
	if err != nil {
		return failed(err)
	}
	if r.validator.Load() == nil || how.checkingDisabled {
		return found(a)
	}
	if a.Status == cache.Unchecked && !q.Name.Equal(a.Local) {
		return failed(iterator.ErrNotCached)
	}
	return r.sentinel(q, known(a))
}

// minimalANY answers QTYPE=ANY with the record that says: not like this
// (RFC 8482 §4.2).
func minimalANY(q dns.Question) outcome {
	const ttl = 3600
	data := dns.RData("\x07RFC8482\x00")
	set := cache.RRset{Name: q.Name, Type: dns.TypeHINFO, TTL: ttl, Data: []dns.RData{data}}
	return outcome{answer: &iterator.Answer{Chain: []cache.RRset{set}, TTL: ttl}}
}

// sections returns the records of an answer as a client gets them: aliases
// first and in order, DNSSEC records only with DO or where they were asked for
// (RFC 4035 §3.2.1).
func sections(a *iterator.Answer, dnssec bool) (answer, authority []dns.Record) {
	for i := range a.Chain {
		answer = appendSet(answer, &a.Chain[i], dnssec)
		if dnssec {
			for k := range a.Chain[i].Proof {
				authority = appendSet(authority, &a.Chain[i].Proof[k], true)
			}
		}
	}
	for i := range a.Authority {
		if dnssec || a.Authority[i].Type == dns.TypeSOA {
			authority = appendSet(authority, &a.Authority[i], dnssec)
		}
	}
	return answer, authority
}

func appendSet(list []dns.Record, s *cache.RRset, sigs bool) []dns.Record {
	for _, d := range s.Data {
		list = append(list, dns.Record{Name: s.Name, Type: s.Type, Class: dns.ClassIN, TTL: s.TTL, Data: d})
	}
	if sigs {
		for _, d := range s.Sigs {
			list = append(list, dns.Record{Name: s.Name, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: s.TTL, Data: d})
		}
	}
	return list
}

// reply appends the response to q, whose message is msg, if it gets one.
func (r *Resolver) reply(dst, msg []byte, q *dns.Query, proto transport.Proto, out outcome) []byte {
	options := r.subnets.appendEcho(optionsOf(out), q, out.scope)
	switch {
	case out.isDropped:
		return dst
	case out.answer == nil:
		return r.failure(dst, msg, q, out.rcode, options)
	case out.isTCPOnly && proto == transport.UDP:
		return r.truncated(dst, msg, q)
	}
	start := len(dst)
	dst, ok := r.build(dst, q, out)
	if !ok {
		return r.failure(dst[:start], msg, q, dns.RCodeServFail, edeTooLong.Append(nil))
	}
	if !showsAD(q) {
		dst[start+3] &^= byte(dns.FlagAD)
	}
	return r.finish(dst, start, q, proto, options)
}

func optionsOf(out outcome) (options []byte) {
	for _, e := range out.ede {
		options = e.Append(options)
	}
	return options
}

// keep puts an answer into the cache of messages, and reports whether it could. One
// that cannot be kept takes an older one with it: that would be outdated.
func (r *Resolver) keep(question dns.Question, key []byte, out outcome) bool {
	q := canonical(question, key)
	now := r.now()
	msg, ok := r.build(nil, &q, out)
	if ok {
		ok = r.messages.Put(key, msg, optionsOf(out), now, now+min(out.answer.TTL, dns.MaxTTL), validity(out))
	}
	if !ok {
		r.messages.Drop(key)
	}
	return ok
}

// canonical is the query that stands for all that get the same answer.
func canonical(question dns.Question, key []byte) dns.Query {
	q := dns.Query{Name: []byte(question.Name.Wire()), Type: question.Type, Class: question.Class}
	q.Flags = dns.FlagRD
	v := cache.Variant(key[len(key)-1])
	q.DO = v&cache.VariantDO != 0
	if v&cache.VariantCD != 0 {
		q.Flags |= dns.FlagCD
	}
	return q
}

// validity is until when an answer may be given as stale: as long as its signatures
// are good, where they made it secure (RFC 4035 §5.3.3).
func validity(out outcome) uint32 {
	until := uint32(math.MaxUint32)
	if !out.isSecure {
		return until
	}
	for _, sets := range [...][]cache.RRset{out.answer.Chain, out.answer.Authority} {
		for i := range sets {
			until = min(until, expiration(&sets[i]))
		}
	}
	return until
}

// expiration is when the last signature over a set, or one over its proof, ends.
func expiration(set *cache.RRset) uint32 {
	last, any := uint32(0), false
	for _, sig := range set.Sigs {
		if len(sig) >= 12 {
			last, any = max(last, binary.BigEndian.Uint32(sig[8:])), true
		}
	}
	if !any {
		last = math.MaxUint32
	}
	for i := range set.Proof {
		last = min(last, expiration(&set.Proof[i]))
	}
	return last
}

// truncated appends a response to q that says: come again by TCP.
func (r *Resolver) truncated(dst, msg []byte, q *dns.Query) []byte {
	start := len(dst)
	dst = r.failure(dst, msg, q, dns.RCodeNoError, nil)
	dst[start+2] |= byte(dns.FlagTC >> 8)
	return dst
}

// build appends the whole response, without OPT and whatever its size.
func (r *Resolver) build(dst []byte, q *dns.Query, out outcome) ([]byte, bool) {
	var b dns.Builder
	flags := dns.FlagQR | dns.FlagRA | q.Flags&(dns.FlagRD|dns.FlagCD)
	if out.isSecure {
		flags |= dns.FlagAD
	}
	if out.clearRA {
		flags &^= dns.FlagRA
	}
	rcode := out.rcode
	if name, err := dns.NameFromWire(q.Name); err == nil && !q.DO {
		rcode = out.plainRCode(name)
	}
	b.Start(dst, dns.MaxMessageLen, q.ID, flags.WithRCode(rcode))
	b.Question(q.Name, q.Type, q.Class)
	answer, authority := sections(out.answer, q.DO)
	extra := out.extra
	for i := range out.answer.Additional {
		extra = appendSet(extra, &out.answer.Additional[i], false)
	}
	ok := addRecords(&b, dns.SectionAnswer, answer) && addRecords(&b, dns.SectionAuthority, authority) && addRecords(&b, dns.SectionAdditional, extra)
	return b.Finish(), ok
}

// plainRCode is the response code for clients that do not see the proof: NXDOMAIN
// where the proof says that the name does not exist, though the zone's server says
// that it has no such type (RFC 9824 §5).
func (o *outcome) plainRCode(name dns.Name) dns.RCode {
	if !o.isSecure || o.rcode != dns.RCodeNoError || o.answer == nil {
		return o.rcode
	}
	if n := len(o.answer.Chain); n > 0 && o.answer.Chain[n-1].Type == dns.TypeCNAME {
		name = o.answer.Chain[n-1].Data[0].Target(dns.TypeCNAME)
	}
	for _, set := range o.answer.Authority {
		if set.Type != dns.TypeNSEC || !set.Name.Equal(name) {
			continue
		}
		if n, err := dns.ParseNSEC(set.Data[0]); err == nil && n.Types.Has(dns.TypeNXNAME) {
			return dns.RCodeNXDomain
		}
	}
	return o.rcode
}

func addRecords(b *dns.Builder, s dns.Section, list []dns.Record) bool {
	var name [dns.MaxNameLen]byte
	for _, r := range list {
		if !b.Record(s, r.Name.Append(name[:0]), r.Type, r.Class, r.TTL, r.Data) {
			return false
		}
	}
	return true
}

// keepFailure keeps a failure that the iterator remembers in the cache of messages
// too, so that a name that fails costs no more than one that does not.
func (r *Resolver) keepFailure(question dns.Question, key []byte, out outcome) {
	now := r.now()
	f, ok := r.iterator.Cache.Failure(question.Name, question.Type)
	checked := cache.Variant(key[len(key)-1])&cache.VariantCD == 0
	if ede, expire, bogus := r.bogus(question, now); bogus && checked {
		f, ok = cache.Failure{Code: ede.Code, Text: ede.Text, Expire: expire}, true
	}
	if !ok || f.Expire <= now {
		return
	}
	options := dns.EDE{Code: dns.EDECachedError}.Append(nil)
	options = dns.EDE{Code: f.Code, Text: f.Text}.Append(options)
	var b dns.Builder
	b.Start(nil, dns.MaxMessageLen, 0, (dns.FlagQR | dns.FlagRA).WithRCode(out.rcode))
	b.Question([]byte(question.Name.Wire()), question.Type, question.Class)
	r.messages.Put(key, b.Finish(), options, now, f.Expire, 0)
}
