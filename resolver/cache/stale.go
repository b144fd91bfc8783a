package cache

import (
	"encoding/binary"
	"slices"

	"onoma/dns"
)

// Stale says how answers are given after their time (RFC 8767). Its zero value is
// that they are not.
type Stale struct {
	For     uint32 // seconds after the end of its time in which an answer may be given
	TTL     uint32 // that it is given with
	Recheck uint32 // seconds for which it is then given without looking it up again
}

// maxStale bounds how long the answers are that are given as stale: most of one is
// then rewritten.
const maxStale = 1 << 16

// Revive puts the answer to key back as a stale one, if it has one whose time is
// over, and reports whether there is now one that Get returns. With reset, its age
// counts from now on instead of from the end of its time.
func (m *Messages) Revive(key []byte, now uint32, reset bool) bool {
	hash := m.s.hash(key)
	old, e, _, ok := m.s.getUse(nil, hash, key, false)
	if !ok || len(old) < trailerLen || len(old) > maxStale {
		return false
	}
	if e.expire() > now {
		return true
	}
	ended, ok := m.mayServe(old, e, now, reset)
	if !ok {
		return false
	}
	_, valid := staleness(old, e.expire())
	return m.s.put(hash, key, m.stale.form(old, ended), 0, now, min(now+m.stale.Recheck, valid))
}

// mayServe reports whether an answer whose time is over may be given, and from when
// on its age counts.
func (m *Messages) mayServe(v []byte, e head, now uint32, reset bool) (ended uint32, ok bool) {
	ended, valid := staleness(v, e.expire())
	switch {
	case m.stale.For == 0 || valid <= now:
		return 0, false
	case reset:
		return now, true
	}
	return ended, uint64(ended)+uint64(m.stale.For) > uint64(now)
}

// IsStale reports whether the answer to key is over, may be given as stale, and was
// given so not long ago: looking it up failed or took long.
func (m *Messages) IsStale(key []byte, now uint32) bool {
	v, e, _, ok := m.s.getUse(nil, m.s.hash(key), key, false)
	if !ok || len(v) < trailerLen {
		return false
	}
	flags := binary.BigEndian.Uint16(v[len(v)-trailerLen:])
	return flags&staleFlag != 0 && uint64(e.expire())+uint64(m.stale.Recheck) > uint64(now)
}

// staleness returns when the time of an answer was over, and until when it may be
// given nevertheless.
func staleness(v []byte, expire uint32) (ended, valid uint32) {
	t := v[len(v)-trailerLen:]
	if binary.BigEndian.Uint16(t)&staleFlag != 0 {
		expire = binary.BigEndian.Uint32(t[12:])
	}
	return expire, binary.BigEndian.Uint32(t[16:])
}

// form makes the stale form of an answer: with the TTL that stale answers have,
// which does not count down, and the error that says what it is.
func (s Stale) form(old []byte, ended uint32) []byte {
	be := binary.BigEndian
	t := old[len(old)-trailerLen:]
	nTTL, nOpt := int(be.Uint16(t[8:])), int(be.Uint16(t[10:]))
	body := len(old) - trailerLen - nOpt - 2*nTTL
	v := append(make([]byte, 0, body+64), old[:body]...)
	for offs := old[body : body+2*nTTL]; len(offs) > 0; offs = offs[2:] {
		be.PutUint32(v[be.Uint16(offs):], s.TTL)
	}
	ede := dns.EDE{Code: dns.EDEStaleAnswer}
	if dns.Flags(be.Uint16(t)).RCode() == dns.RCodeNXDomain {
		ede.Code = dns.EDEStaleNXDomain // RFC 8914 §4.20
	}
	v = ede.Append(v)
	options := len(v) - body
	v = be.AppendUint16(v, be.Uint16(t)|staleFlag)
	v = append(v, t[2:8]...)
	v = be.AppendUint16(v, 0)
	v = be.AppendUint16(v, uint16(options))
	v = be.AppendUint32(v, ended)
	return be.AppendUint32(v, be.Uint32(t[16:]))
}

// ReviveFrom puts a stale answer under key that is made of the one of another
// variant, if that one's time is over, or it is stale already. What a client with DO gets is not made of an
// answer that is secure without its signatures.
func (m *Messages) ReviveFrom(other, key []byte, now uint32, reset bool) bool {
	old, e, _, ok := m.s.getUse(nil, m.s.hash(other), other, false)
	if !ok || len(old) < trailerLen || len(old) > maxStale {
		return false
	}
	ended, ok := m.mayServe(old, e, now, reset)
	wants, has := Variant(key[len(key)-1])&VariantDO, Variant(other[len(other)-1])&VariantDO
	flags := dns.Flags(binary.BigEndian.Uint16(old[len(old)-trailerLen:]))
	if !ok || ended > now || wants > has && flags.Has(dns.FlagAD) {
		return false
	}
	v := m.stale.form(old, ended)
	if wants < has {
		if v, ok = plain(key, v); !ok {
			return false
		}
	}
	_, valid := staleness(old, e.expire())
	return m.s.put(m.s.hash(key), key, v, 0, now, min(now+m.stale.Recheck, valid))
}

// plain leaves the records of DNSSEC out of a stale answer, as clients without DO
// get it (RFC 4035 §3.2.1).
func plain(key, v []byte) ([]byte, bool) {
	be := binary.BigEndian
	t := v[len(v)-trailerLen:]
	end := len(v) - trailerLen - int(be.Uint16(t[10:]))
	h := dns.Header{Questions: 1, Answers: be.Uint16(t[2:]), Authority: be.Uint16(t[4:]), Additional: be.Uint16(t[6:])}
	msg := be.AppendUint16(append(h.Append(nil), key[:len(key)-3]...), uint16(dns.ClassIN))
	start := len(msg)
	m, err := dns.ParseMessage(append(msg, v[:end]...))
	if err != nil {
		return nil, false
	}
	asked := m.Question().Type
	isDNSSEC := func(r dns.Record) bool {
		return r.Type != asked && (r.Type == dns.TypeRRSIG || r.Type == dns.TypeNSEC || r.Type == dns.TypeNSEC3)
	}
	m.Answer = slices.DeleteFunc(m.Answer, isDNSSEC)
	m.Authority = slices.DeleteFunc(m.Authority, isDNSSEC)
	short, err := m.Append(nil)
	if err != nil {
		return nil, false
	}
	rest := append([]byte(nil), v[end:]...)
	t = rest[len(rest)-trailerLen:]
	be.PutUint16(t[2:], uint16(len(m.Answer)))
	be.PutUint16(t[4:], uint16(len(m.Authority)))
	return append(short[start:len(short):len(short)], rest...), true
}
