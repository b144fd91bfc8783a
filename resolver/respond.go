package resolver

import (
	"context"
	"errors"

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
	isSecure bool // validated: AD
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
	a, err := r.iterator.Resolve(context.Background(), q, iterator.Options{CacheOnly: true, Tracer: how.tracer})
	if err != nil {
		return failed(err)
	}
	if r.validator.Load() == nil || how.checkingDisabled {
		return found(a)
	}
	if a.Status == cache.Unchecked && !q.Name.Equal(a.Local) {
		return failed(iterator.ErrNotCached)
	}
	return known(a)
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

// reply appends the response to q, whose message is msg, and, if keep, puts it
// into the cache of messages.
func (r *Resolver) reply(dst, msg []byte, q *dns.Query, proto transport.Proto, out outcome, keep bool) []byte {
	var options []byte
	for _, e := range out.ede {
		options = e.Append(options)
	}
	if out.answer == nil {
		if keep {
			r.rememberFailure(msg, q, out)
		}
		return r.failure(dst, msg, q, out.rcode, options)
	}
	start := len(dst)
	dst, ok := r.build(dst, q, out)
	if !ok {
		return r.failure(dst[:start], msg, q, dns.RCodeServFail, edeTooLong.Append(nil))
	}
	if keep {
		now := r.now()
		var key [cache.MaxKey]byte
		k := cache.AppendKey(key[:0], q.Name, q.Type, 0, variant(q))
		r.messages.Put(k, dst[start:], options, now, now+min(out.answer.TTL, dns.MaxTTL))
	}
	if !showsAD(q) {
		dst[start+3] &^= byte(dns.FlagAD)
	}
	return r.finish(dst, start, q, proto, options)
}

// build appends the whole response, without OPT and whatever its size.
func (r *Resolver) build(dst []byte, q *dns.Query, out outcome) ([]byte, bool) {
	var b dns.Builder
	flags := dns.FlagQR | dns.FlagRA | q.Flags&(dns.FlagRD|dns.FlagCD)
	if out.isSecure {
		flags |= dns.FlagAD
	}
	b.Start(dst, dns.MaxMessageLen, q.ID, flags.WithRCode(out.rcode))
	b.Question(q.Name, q.Type, q.Class)
	answer, authority := sections(out.answer, q.DO)
	ok := addRecords(&b, dns.SectionAnswer, answer) && addRecords(&b, dns.SectionAuthority, authority)
	return b.Finish(), ok
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

// rememberFailure keeps a failure that the iterator remembers in the cache of
// messages too, so that a name that fails costs no more than one that does not.
func (r *Resolver) rememberFailure(msg []byte, q *dns.Query, out outcome) {
	name, err := dns.NameFromWire(q.Name)
	if err != nil || out.rcode != dns.RCodeServFail {
		return
	}
	now := r.now()
	f, ok := r.iterator.Cache.Failure(name, q.Type)
	if ede, expire, bogus := r.iterator.Cache.Bogus(name, q.Type, now); bogus && !q.Flags.Has(dns.FlagCD) {
		f, ok = cache.Failure{Code: ede.Code, Text: ede.Text, Expire: expire}, true
	}
	if !ok || f.Expire <= now {
		return
	}
	options := dns.EDE{Code: dns.EDECachedError}.Append(nil)
	options = dns.EDE{Code: f.Code, Text: f.Text}.Append(options)
	var key [cache.MaxKey]byte
	k := cache.AppendKey(key[:0], q.Name, q.Type, 0, variant(q))
	bare := *q
	bare.EDNS = false
	r.messages.Put(k, r.failure(nil, msg, &bare, out.rcode, nil), options, now, f.Expire)
}
