package dnssec

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"

	"onoma/dns"
)

// Scheme and hash algorithms of ZONEMD (RFC 8976 §5.2 and §5.3).
const (
	ZONEMDSimple = 1
	ZONEMDSHA384 = 1
	ZONEMDSHA512 = 2
)

// ZONEMDDigestLen returns the length of the digest of a hash algorithm, 0 for one
// that we do not know.
func ZONEMDDigestLen(algorithm uint8) int {
	switch algorithm {
	case ZONEMDSHA384:
		return sha512.Size384
	case ZONEMDSHA512:
		return sha512.Size
	}
	return 0
}

// ZONEMD is the rdata of a ZONEMD record (RFC 8976 §2.2).
type ZONEMD struct {
	Serial    uint32
	Scheme    uint8
	Algorithm uint8
	Digest    []byte
}

const (
	zonemdHead = 6
	minDigest  = 12 // octets, RFC 8976 §2.2.4
)

var errZONEMD = errors.New("ZONEMD is too short")

// ParseZONEMD reads rdata. The digest is part of it.
func ParseZONEMD(rdata []byte) (ZONEMD, error) {
	if len(rdata) < zonemdHead+minDigest {
		return ZONEMD{}, errZONEMD
	}
	return ZONEMD{binary.BigEndian.Uint32(rdata), rdata[4], rdata[5], rdata[zonemdHead:]}, nil
}

// Append appends the rdata to dst.
func (z ZONEMD) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, z.Serial)
	return append(append(dst, z.Scheme, z.Algorithm), z.Digest...)
}

// usable reports whether there is a digest that we can compute.
func (z ZONEMD) usable() bool {
	n := ZONEMDDigestLen(z.Algorithm)
	return z.Scheme == ZONEMDSimple && n > 0 && len(z.Digest) == n
}

// ZoneDigest computes digests of a zone by scheme SIMPLE (RFC 8976 §3.3) from its
// records, which come name by name in canonical order (RFC 4034 §6.1), those of a
// name in any order. It holds the records of one name at a time. The rdata that
// Add is given must stay as it is until another name comes.
type ZoneDigest struct {
	apex   dns.Name
	hashes []hash.Hash
	owner  dns.Name
	list   []dns.Record
	buf    []byte
}

// NewZoneDigest returns a ZoneDigest for the zone apex with hash algorithms that
// ZONEMDDigestLen knows.
func NewZoneDigest(apex dns.Name, algorithms ...uint8) *ZoneDigest {
	d := &ZoneDigest{apex: apex}
	for _, a := range algorithms {
		if a == ZONEMDSHA384 {
			d.hashes = append(d.hashes, sha512.New384())
		} else {
			d.hashes = append(d.hashes, sha512.New())
		}
	}
	return d
}

// Add takes the next record. What does not belong to the digest is left out: names
// outside the zone, the ZONEMD records of the apex and their signatures (§3.3.1).
func (d *ZoneDigest) Add(r dns.Record) {
	if r.Name != d.owner && !r.Name.Equal(d.owner) {
		d.flush()
		d.owner = r.Name
	}
	d.list = append(d.list, r)
}

// Sums ends the digest and returns one for each algorithm.
func (d *ZoneDigest) Sums() [][]byte {
	d.flush()
	sums := make([][]byte, len(d.hashes))
	for i, h := range d.hashes {
		sums[i] = h.Sum(nil)
	}
	return sums
}

// flush hashes the records of one name: by type and then by canonical rdata, each
// in canonical form, and equal ones once (§3.3.2 and §3.3.3).
func (d *ZoneDigest) flush() {
	defer func() { d.list = d.list[:0] }()
	if len(d.list) == 0 || !d.owner.IsSubdomainOf(d.apex) {
		return
	}
	if !slices.IsSortedFunc(d.list, compareRecords) {
		slices.SortStableFunc(d.list, compareRecords)
	}
	isApex := d.owner.Equal(d.apex)
	d.buf = d.buf[:0]
	for i := range d.list {
		r := &d.list[i]
		if isApex && isZONEMD(r) || i > 0 && compareRecords(d.list[i-1], *r) == 0 {
			continue
		}
		d.buf = appendCanonical(d.buf, r)
	}
	for _, h := range d.hashes {
		h.Write(d.buf)
	}
}

// compareRecords orders records of one name.
func compareRecords(a, b dns.Record) int {
	if a.Type != b.Type {
		return int(a.Type) - int(b.Type)
	}
	return dns.CompareCanonicalRData(a.Type, a.Data, b.Data)
}

// isZONEMD reports whether r is a ZONEMD record or the signature of one.
func isZONEMD(r *dns.Record) bool {
	return r.Type == dns.TypeZONEMD || r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == dns.TypeZONEMD
}

// appendCanonical appends the canonical form of a record (RFC 4034 §6.2).
func appendCanonical(dst []byte, r *dns.Record) []byte {
	start := len(dst)
	dst = r.Name.Append(dst)
	dns.FoldName(dst[start:])
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Class))
	dst = binary.BigEndian.AppendUint32(dst, r.TTL)
	at := len(dst)
	dst = append(dst, 0, 0)
	dst = dns.AppendCanonicalRData(dst, r.Type, r.Data)
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}

// DigestZone returns the ZONEMD rdata of a zone whose records, in the order that
// ZoneDigest wants, have this serial number already: one for each algorithm. The
// ZONEMD records that they have do not matter, but that there are such does where
// the zone is signed: NSEC and NSEC3 list the type (§3.1).
func DigestZone(apex dns.Name, serial uint32, records iter.Seq[dns.Record], algorithms ...uint8) []ZONEMD {
	d := NewZoneDigest(apex, algorithms...)
	for r := range records {
		d.Add(r)
	}
	out := make([]ZONEMD, len(algorithms))
	for i, sum := range d.Sums() {
		out[i] = ZONEMD{serial, ZONEMDSimple, algorithms[i], sum}
	}
	return out
}

// Verdict is what came of verifying the ZONEMD records of a zone.
type Verdict uint8

// The verdicts. Only the first means that the zone is as its publisher made it.
const (
	ZONEMDGood          Verdict = iota // a digest matches
	ZONEMDAbsent                       // the zone has no ZONEMD record
	ZONEMDUnusable                     // its schemes and algorithms are all unknown to us
	ZONEMDWrongSerial                  // they are of another serial number
	ZONEMDWrong                        // the digest is not that of the zone
	ZONEMDContradictory                // several records of one scheme and algorithm
	ZONEMDNoSOA                        // what came is no zone: it has not exactly one SOA record
)

// OK reports whether the zone is verified.
func (v Verdict) OK() bool { return v == ZONEMDGood }

// Judged reports whether the zone could be judged by what it has.
func (v Verdict) Judged() bool { return v != ZONEMDAbsent && v != ZONEMDUnusable }

// String says what is wrong.
func (v Verdict) String() string {
	switch v {
	case ZONEMDGood:
		return "the digest is right"
	case ZONEMDAbsent:
		return "the zone has no ZONEMD record"
	case ZONEMDUnusable:
		return "no ZONEMD record has a scheme and a hash algorithm that we know (SIMPLE with SHA-384 or SHA-512)"
	case ZONEMDWrongSerial:
		return "the ZONEMD record has another serial number than the SOA record"
	case ZONEMDWrong:
		return "the digest of the zone is not that of its ZONEMD record: something has been changed or lost on the way"
	case ZONEMDContradictory:
		return "several ZONEMD records have one scheme and one hash algorithm (RFC 8976 §2)"
	case ZONEMDNoSOA:
		return "the zone has not exactly one SOA record"
	}
	return fmt.Sprintf("unknown verdict %d", uint8(v))
}

// VerifyZONEMD verifies the digest of a zone (RFC 8976 §4, steps 2 to 4; that the
// ZONEMD records are signed and by whom is for who validates). records is walked
// twice where there is something to compute, in the order that ZoneDigest wants.
func VerifyZONEMD(apex dns.Name, records iter.Seq[dns.Record]) Verdict {
	soas, serial, list := 0, uint32(0), []ZONEMD(nil)
	for r := range records {
		if !r.Name.Equal(apex) {
			if len(list) == 0 && soas > 0 {
				break // the apex comes first
			}
			continue
		}
		switch r.Type {
		case dns.TypeSOA:
			soas, serial = soas+1, dns.SOASerial(r.Data)
		case dns.TypeZONEMD:
			z, _ := ParseZONEMD(r.Data) // the zero ZONEMD is of no use
			list = append(list, z)
		}
	}
	if soas != 1 {
		return ZONEMDNoSOA
	}
	wanted, verdict := usableZONEMD(list, serial)
	if len(wanted) == 0 {
		return verdict
	}
	return compareDigests(apex, records, wanted)
}

// usableZONEMD returns the records of list that can be verified, or why there are none.
func usableZONEMD(list []ZONEMD, serial uint32) (wanted []ZONEMD, why Verdict) {
	if len(list) == 0 {
		return nil, ZONEMDAbsent
	}
	why = ZONEMDUnusable
	pairs := make(map[[2]uint8]int)
	for _, z := range list {
		pairs[[2]uint8{z.Scheme, z.Algorithm}]++
	}
	for _, z := range list {
		switch {
		case !z.usable():
		case z.Serial != serial:
			why = max(why, ZONEMDWrongSerial)
		case pairs[[2]uint8{z.Scheme, z.Algorithm}] > 1: // §4: none of them counts
			why = max(why, ZONEMDContradictory)
		default:
			wanted = append(wanted, z)
		}
	}
	return wanted, why
}

// compareDigests reports whether one of wanted is the digest of the zone (§4 step
// 4.6: one that matches is enough).
func compareDigests(apex dns.Name, records iter.Seq[dns.Record], wanted []ZONEMD) Verdict {
	algorithms := make([]uint8, len(wanted))
	for i, z := range wanted {
		algorithms[i] = z.Algorithm
	}
	for i, z := range DigestZone(apex, 0, records, algorithms...) {
		if bytes.Equal(z.Digest, wanted[i].Digest) {
			return ZONEMDGood
		}
	}
	return ZONEMDWrong
}
