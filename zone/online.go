package zone

import (
	"slices"

	"onoma/dns"
)

// Online makes the signatures that answers need and versions do not have: over
// denials of existence where there is no chain (RFC 9824), and over what is made
// up for the one who asks. It is called on the way of an answer, by any number of
// goroutines.
type Online interface {
	// Sign appends the rdata of the RRSIG records over set to dst, each with its
	// length in two octets before it, as [RRset.Packed] has them. Where it returns
	// anything but Signed, it appends nothing.
	Sign(dst []byte, set *Unsigned) ([]byte, Signing)
}

// Unsigned is an RRset to be signed. The callee changes nothing of it and keeps
// nothing of it.
type Unsigned struct {
	Owner  []byte // uncompressed, in any case
	Type   dns.Type
	TTL    uint32
	Packed []byte // as of [RRset.Packed], in canonical order

	// Known says that the owner is a name of the zone. What may be asked about
	// such names is bounded, so they come first where there is too much to do:
	// other names may be made up without end.
	Known bool
	// Patient says that the caller may wait: it holds up nobody else.
	Patient bool
}

// Pack appends the records of a set in canonical order, each once (RFC 4034 §6.3),
// as Unsigned has them.
func Pack(dst []byte, t dns.Type, set []dns.RData) []byte {
	compare := func(a, b dns.RData) int { return dns.CompareCanonicalRData(t, a, b) }
	if !slices.IsSortedFunc(set, compare) {
		set = slices.SortedFunc(slices.Values(set), compare)
	}
	for i, rd := range set {
		if i == 0 || compare(set[i-1], rd) != 0 {
			dst = append(be.AppendUint16(dst, uint16(len(rd))), rd...)
		}
	}
	return dst
}

// Signing is what became of a request to sign.
type Signing uint8

// The outcomes.
const (
	Signed  Signing = iota
	Later           // it takes too long for one who is not patient
	Refused         // not now: too much is to be signed, or there is no key
)

// SignOnline has o make signatures for answers from the zone; nil ends that. It
// takes effect with the next question, and for as long as the zone's version has
// nothing of its own to prove denials with: see DenialCompact. Whoever publishes
// such a version does so after this.
func (z *Zone) SignOnline(o Online) {
	if o == nil {
		z.online.Store(nil)
		return
	}
	z.online.Store(&o)
}

// Online returns what makes signatures for answers, nil where nothing does.
func (z *Zone) Online() Online {
	if o := z.online.Load(); o != nil {
		return *o
	}
	return nil
}
