package online

import (
	"encoding/binary"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// A signature begins its life at the start of a period, which is the same for
// all servers. Periods of different names begin at different times, so that not
// everything is to be signed anew at once.
const (
	period = 3600
	skew   = 3600 // clocks of validators may be behind by as much
)

// life is when signatures are made, for which they are good.
type life struct {
	from  uint32 // the period's begin
	doubt uint32 // it may be so many seconds earlier
}

// begin returns when the present period of a name began, in seconds since 1970 as
// a serial number.
func begin(owner []byte, now time.Time) uint32 {
	t, phase := now.Unix(), int64(phaseOf(owner))
	return uint32(t - (t+phase)%period)
}

// phaseOf spreads names over a period, everywhere in the same way (FNV-1a).
func phaseOf(owner []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range owner {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint32(c)) * 16777619
	}
	return h % period
}

// signatures makes the signatures of set by all keys, packed.
func (z *Zone) signatures(set *zone.Unsigned, keys *keyset, life life) ([]byte, error) {
	var records, data []byte
	records = appendRecords(make([]byte, 0, materialRoom), set)
	sigs := make([]byte, 0, len(keys.keys)*(2+18+len(z.origin)+64))
	for _, k := range keys.keys {
		start := len(sigs)
		sigs = z.appendHead(append(sigs, 0, 0), k, set, life)
		data = append(append(data[:0], sigs[start+2:]...), records...)
		var err error
		if sigs, err = k.Sign(sigs, data); err != nil {
			return nil, err
		}
		binary.BigEndian.PutUint16(sigs[start:], uint16(len(sigs)-start-2))
	}
	return slices.Clip(sigs), nil
}

// appendHead appends an RRSIG's rdata up to the signature (RFC 4034 §3.1).
func (z *Zone) appendHead(dst []byte, k *dnssec.Key, set *zone.Unsigned, life life) []byte {
	be := binary.BigEndian
	dst = append(be.AppendUint16(dst, uint16(set.Type)), k.Algorithm(), labels(set.Owner))
	dst = be.AppendUint32(dst, set.TTL)
	dst = be.AppendUint32(dst, life.from+period+z.validity)
	dst = be.AppendUint32(dst, life.from-skew-life.doubt)
	return append(be.AppendUint16(dst, k.Tag()), z.origin...)
}

// labels counts as RFC 4034 §3.1.3 has it: neither the root nor an asterisk that
// comes first.
func labels(owner []byte) uint8 {
	n := uint8(0)
	for at := 0; owner[at] != 0; at += 1 + int(owner[at]) {
		if at > 0 || owner[0] != 1 || owner[1] != '*' {
			n++
		}
	}
	return n
}

// appendRecords appends the records in canonical form (RFC 4034 §6.2), as a
// signature covers them.
func appendRecords(dst []byte, set *zone.Unsigned) []byte {
	be := binary.BigEndian
	for rest := set.Packed; len(rest) > 0; {
		end := 2 + int(be.Uint16(rest))
		dst = dns.AppendFolded(dst, set.Owner)
		dst = be.AppendUint16(be.AppendUint16(dst, uint16(set.Type)), uint16(dns.ClassIN))
		dst = append(be.AppendUint32(dst, set.TTL), 0, 0)
		start := len(dst)
		dst = dns.AppendCanonicalRData(dst, set.Type, rest[2:end])
		be.PutUint16(dst[start-2:], uint16(len(dst)-start))
		rest = rest[end:]
	}
	return dst
}
