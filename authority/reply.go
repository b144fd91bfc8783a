package authority

import (
	"encoding/binary"

	"onoma/dns"
	"onoma/zone"
)

const optLen = 11 // of an OPT record without options

// start begins the response: header, question, and room for OPT.
func (w *worker) start(dst []byte) {
	// Of the query's flags RD alone is copied (RFC 1035 §4.1.1). CD is not:
	// RFC 4035 §3 says that a server MUST copy it, §3.1.6 that it SHOULD be
	// cleared in an authoritative response; the section on exactly these wins.
	// AD would claim a check that an authority does not make (§3.1.6).
	flags := dns.FlagQR | w.q.Flags&dns.FlagRD
	w.b.Start(dst, w.limit(), w.q.ID, flags.WithOpcode(w.q.Flags.Opcode()))
	if w.q.EDNS {
		w.b.Reserve(optLen + w.room)
	}
	if w.q.Name != nil {
		w.b.Question(w.q.Name, w.q.Type, w.q.Class)
	}
}

// limit is the most octets that the response may have (RFC 6891 §6.2.3-5), its
// TSIG aside.
func (w *worker) limit() int {
	switch {
	case w.tcp:
		return dns.MaxMessageLen - w.sig.room
	case !w.q.EDNS:
		return minUDP - w.sig.room
	}
	return min(max(int(w.q.Size), minUDP), w.srv.maxUDP) - w.sig.room
}

// fail makes the response an error without records.
func (w *worker) fail(code dns.RCode, why *dns.EDE) {
	w.rcode, w.ede, w.aa = code, why, false
}

// restart takes back all records.
func (w *worker) restart(dst []byte) {
	w.full, w.fate = false, fateError
	w.start(dst)
}

// finish adds OPT and the header's last bits.
func (w *worker) finish(dst []byte) []byte {
	flags := w.b.Flags()
	if w.aa {
		flags |= dns.FlagAA
	}
	if w.full {
		flags |= dns.FlagTC
	}
	w.b.SetFlags(flags.WithRCode(w.rcode))
	if w.q.EDNS {
		w.opt()
	}
	out := w.b.Finish()
	if w.sig.good != nil || w.sig.bad != nil {
		out = w.sign(out, len(dst))
	}
	return out
}

// place is an owner name: where it stands in the message already, or itself.
type place struct {
	at    int
	name  []byte
	under int // where what follows name stands, if name is only its first labels
}

// here is the place of the name that sname[off:] is.
func (w *worker) here(off int) place {
	if w.at == 0 || off >= len(w.sname)-1 { // the root is shorter than a pointer
		return place{name: w.sname[off:]}
	}
	return place{at: w.at + off}
}

// of is the place of a node's own name.
func (w *worker) of(n zone.Node) place { return place{name: n.AppendName(w.owner[:0])} }

// ofHash is of for the owner of an NSEC3 record, of whose name only the origin
// can be anywhere in the message: in the question.
func (w *worker) ofHash(n zone.Node) place {
	origin := w.v.Origin().Len()
	if w.at != dns.HeaderLen || origin == 1 || !n.In(w.v) {
		return w.of(n)
	}
	return place{name: n.AppendRelative(w.owner[:0]), under: w.at + len(w.sname) - origin}
}

// put adds all records of set, and with DO its signatures (RFC 4035 §3.1.1), or
// none of them: responses are cut at the borders of RRsets (RFC 2181 §9).
func (w *worker) put(s dns.Section, p place, set zone.RRset, maxTTL uint32) bool {
	m := w.b.Mark()
	if w.putPlain(s, &p, set, maxTTL) && w.putSigs(s, &p, set, maxTTL) {
		return true
	}
	w.b.Rollback(m)
	return false
}

// putSigs adds the signatures of set, if there are any and they are wanted.
func (w *worker) putSigs(s dns.Section, p *place, set zone.RRset, maxTTL uint32) bool {
	if !w.q.DO {
		return true
	}
	sigs, ok := set.Sigs()
	return !ok || w.putPlain(s, p, sigs, maxTTL)
}

// putPlain adds all records of set or none. Behind the first one p is where that
// has its owner name.
func (w *worker) putPlain(s dns.Section, p *place, set zone.RRset, maxTTL uint32) bool {
	return w.packed(s, p, set.Type(), min(set.TTL(), maxTTL), set.Packed())
}

// packed is putPlain for rdata as zone.RRset.Packed has it.
func (w *worker) packed(s dns.Section, p *place, t dns.Type, ttl uint32, rest []byte) bool {
	m, before := w.b.Mark(), *p
	for len(rest) > 0 {
		end := 2 + int(binary.BigEndian.Uint16(rest))
		if !w.record(s, p, t, ttl, rest[2:end]) {
			w.b.Rollback(m)
			*p = before
			return false
		}
		rest = rest[end:]
	}
	return true
}

// need is put for what must not be missing: without it, the response is
// truncated and nothing more is added to it.
func (w *worker) need(s dns.Section, p place, set zone.RRset) bool {
	return w.needTTL(s, p, set, dns.MaxTTL)
}

func (w *worker) needTTL(s dns.Section, p place, set zone.RRset, maxTTL uint32) bool {
	if !w.full && !w.put(s, p, set, maxTTL) {
		w.full = true
	}
	return !w.full
}

func (w *worker) record(s dns.Section, p *place, t dns.Type, ttl uint32, rdata []byte) bool {
	if p.at != 0 {
		return w.b.RecordAt(s, p.at, t, dns.ClassIN, ttl, rdata)
	}
	at, ok := w.b.Len(), false
	if p.under != 0 {
		ok = w.b.RecordUnder(s, p.name, p.under, t, dns.ClassIN, ttl, rdata)
	} else {
		ok = w.b.Record(s, p.name, t, dns.ClassIN, ttl, rdata)
	}
	if ok {
		p.at = w.b.NameAt(at)
	}
	return ok
}
