package cache

import (
	"encoding/binary"

	"onoma/dns"
)

// Variant tells the answers to one question apart.
type Variant uint8

// The bits of a Variant.
const (
	VariantDO Variant = 1 << iota // DNSSEC records wanted (RFC 3225)
	VariantCD                     // checking disabled (RFC 4035 §3.2.2)
)

// NumVariants is how many there are.
const NumVariants = 4

// Group tells clients apart that the same question is answered differently, as
// policy has it. Those who get what the DNS says are 0. All is of class IN.
type Group uint16

// MaxKey is the longest key of a message: a name, type, group and variant.
const MaxKey = dns.MaxNameLen + 5

// AppendKey appends the key of a question to dst. qname is its wire form.
func AppendKey(dst, qname []byte, t dns.Type, g Group, v Variant) []byte {
	dst = dns.AppendFolded(dst, qname)
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = binary.BigEndian.AppendUint16(dst, uint16(g))
	return append(dst, byte(v))
}

// Messages holds answers in wire form. An entry is what stands behind the
// question, then where its TTLs are, then the options, then the trailer:
//
//	body | offsets of TTLs in the body, 2 octets each | EDNS options |
//	flags, ANCOUNT, NSCOUNT, ARCOUNT, number of TTLs, length of options (2 each),
//	time of storing, until when it may be given as stale (4 each)
//
// A stale answer, one that is given after its time (see [Messages.Revive]), has no
// TTLs that count down, staleFlag, and the end of its time in the place of that of
// storing.
//
// The question is not stored: it is the key, and the client's own is sent back
// to it, in the client's case. Compression pointers in the body stay right
// because every question with that key has the same length.
type Messages struct {
	s     *store
	stale Stale
}

const (
	trailerLen = 20
	staleFlag  = 1 << 6 // the one bit of a header's flags that has no meaning (RFC 1035 §4.1.1: Z)
)

// NewMessages returns a cache that uses about size octets and gives stale answers
// as stale says.
func NewMessages(size int, stale Stale) *Messages {
	m := &Messages{newStore(size), stale}
	m.s.keep = stale.For
	return m
}

// Hit describes the answer that Get appended.
type Hit struct {
	Flags   dns.Flags // as stored: QR, RA and the response code
	Counts  [3]uint16 // answer, authority, additional
	Options []byte    // EDNS options to send to a client that speaks EDNS; valid until dst is appended to
	Expire  uint32
	Peek    bool // set by the caller: this does not count as use of the answer
	IsDue   bool // asked for often, and about to expire: time to renew it, if Claim agrees
}

// Get looks key up and appends the body of its answer, with the TTLs that are
// left at time now, to dst. It misses on what has expired.
func (m *Messages) Get(dst, key []byte, now uint32, hit *Hit) ([]byte, bool) {
	start := len(dst)
	out, e, used, ok := m.s.getUse(dst, m.s.hash(key), key, !hit.Peek)
	expire := e.expire()
	if !ok || expire <= now || len(out)-start < trailerLen {
		return dst, false
	}
	be := binary.BigEndian
	t := out[len(out)-trailerLen:]
	nTTL, nOpt := int(be.Uint16(t[8:])), int(be.Uint16(t[10:]))
	opts := len(out) - trailerLen - nOpt
	body := opts - 2*nTTL
	if body < start {
		return dst, false
	}
	hit.Flags = dns.Flags(be.Uint16(t) &^ staleFlag)
	hit.Counts = [3]uint16{be.Uint16(t[2:]), be.Uint16(t[4:]), be.Uint16(t[6:])}
	hit.Expire = expire
	hit.Options = out[opts : opts+nOpt : opts+nOpt]
	stored := be.Uint32(t[12:])
	age := now - min(now, stored)
	hit.IsDue = used.isDue() && nTTL > 0 && uint64(expire-now)*10 <= uint64(expire-min(expire, stored))
	for offs := out[body:opts]; len(offs) > 0; offs = offs[2:] {
		ttl := out[start+int(be.Uint16(offs)):]
		be.PutUint32(ttl, be.Uint32(ttl)-min(age, be.Uint32(ttl)))
	}
	return out[:body], true
}

// Put stores the answer msg: a whole message with one question and without OPT,
// which is what options are for. It is not stored if it expires at once or is
// too large. After its time it may be given as stale until valid at the latest; 0
// is never.
func (m *Messages) Put(key, msg, options []byte, now, expire, valid uint32) bool {
	h, ok := dns.ParseHeader(msg)
	if !ok || expire <= now {
		return false
	}
	body, err := questionEnd(msg)
	if err != nil {
		return false
	}
	value := append(make([]byte, 0, len(msg)+64), msg[body:]...)
	records := int(h.Answers) + int(h.Authority) + int(h.Additional)
	be := binary.BigEndian
	for off, n := body, 0; n < records; n++ {
		at, next, err := ttlOffset(msg, off)
		if err != nil {
			return false
		}
		value = be.AppendUint16(value, uint16(at-body))
		off = next
	}
	value = append(value, options...)
	for _, v := range [...]uint16{
		uint16(h.Flags), h.Answers, h.Authority, h.Additional, uint16(records), uint16(len(options)),
	} {
		value = be.AppendUint16(value, v)
	}
	value = be.AppendUint32(value, now)
	value = be.AppendUint32(value, valid)
	return m.s.put(m.s.hash(key), key, value, 0, now, expire)
}

// Claim reports whether the caller is to renew key's answer: the first one that asks is.
func (m *Messages) Claim(key []byte) bool { return m.s.claim(m.s.hash(key), key) }

// Has reports whether there is an answer to key, even one whose time is over.
func (m *Messages) Has(key []byte) bool {
	_, _, _, ok := m.s.getUse(nil, m.s.hash(key), key, false)
	return ok
}

// Drop forgets the answer to key.
func (m *Messages) Drop(key []byte) { m.s.drop(m.s.hash(key), key) }

// Len returns how many answers are held.
func (m *Messages) Len() int { return m.s.len() }

// FlushAll forgets everything.
func (m *Messages) FlushAll() int { return m.s.dropAll() }

func questionEnd(msg []byte) (int, error) {
	off, err := dns.SkipName(msg, dns.HeaderLen)
	if err == nil && off+4 > len(msg) {
		err = dns.ErrTruncated
	}
	return off + 4, err
}

// ttlOffset returns where the TTL of the record at msg[off:] stands, and the
// offset behind the record.
func ttlOffset(msg []byte, off int) (ttl, next int, err error) {
	off, err = dns.SkipName(msg, off)
	if err != nil {
		return 0, 0, err
	}
	if off+10 > len(msg) {
		return 0, 0, dns.ErrTruncated
	}
	next = off + 10 + int(binary.BigEndian.Uint16(msg[off+8:]))
	if next > len(msg) {
		return 0, 0, dns.ErrTruncated
	}
	return off + 4, next, nil
}
