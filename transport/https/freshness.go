package https

import (
	"encoding/binary"

	"onoma/dns"
)

// freshness returns for how many seconds caches may keep an answer (RFC 8484 §5.1): no longer than the least TTL of its answer
// section, and of a negative answer no longer than RFC 2308 §5 lets it be kept. Failures, and answers that say nothing of it,
// are not to be kept: ok is false.
func freshness(msg []byte) (seconds uint32, ok bool) {
	h, valid := dns.ParseHeader(msg)
	if !valid || h.Flags.Has(dns.FlagTC) || h.Flags.RCode() != dns.RCodeNoError && h.Flags.RCode() != dns.RCodeNXDomain {
		return 0, false
	}
	off := dns.HeaderLen
	for range h.Questions {
		if off = skipName(msg, off) + 4; off > len(msg) {
			return 0, false
		}
	}
	seconds = 1<<31 - 1
	for i := range int(h.Answers) + int(h.Authority) {
		r, next, valid := readRecord(msg, off)
		if !valid {
			return 0, false
		}
		off = next
		switch {
		case i < int(h.Answers):
			seconds, ok = min(seconds, r.ttl), true
		case r.typ == dns.TypeSOA && len(r.data) >= 20:
			minimum := binary.BigEndian.Uint32(r.data[len(r.data)-4:])
			seconds, ok = min(seconds, r.ttl, minimum), true
		}
	}
	return seconds, ok
}

// record is what freshness looks at.
type record struct {
	typ  dns.Type
	ttl  uint32
	data []byte
}

func readRecord(msg []byte, off int) (r record, next int, ok bool) {
	const fixed = 10
	if off = skipName(msg, off); off+fixed > len(msg) {
		return r, 0, false
	}
	r.typ = dns.Type(binary.BigEndian.Uint16(msg[off:]))
	if r.ttl = binary.BigEndian.Uint32(msg[off+4:]); r.ttl>>31 == 1 {
		r.ttl = 0 // RFC 2181 §8
	}
	next = off + fixed + int(binary.BigEndian.Uint16(msg[off+8:]))
	if next > len(msg) {
		return r, 0, false
	}
	r.data = msg[off+fixed : next]
	return r, next, true
}

// skipName returns the offset behind a name, beyond the message if it does not end.
func skipName(msg []byte, off int) int {
	for off < len(msg) {
		switch n := int(msg[off]); {
		case n == 0:
			return off + 1
		case n >= 0xC0:
			return off + 2
		default:
			off += 1 + n
		}
	}
	return len(msg) + 1
}
