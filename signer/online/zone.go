package online

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// ZoneOptions say how one zone is signed online.
type ZoneOptions struct {
	Origin dns.Name
	// Validity is how long a signature is good for at least when it is given out;
	// 0: two days. It should exceed the TTLs of the zone.
	Validity time.Duration
}

const defaultValidity = 48 * time.Hour

// Zone signs for one zone. It implements zone.Online.
type Zone struct {
	signer   *Signer
	origin   []byte // in lower case
	validity uint32
	share    bucket // for names that are not known
	keys     atomic.Pointer[keyset]
	least    atomic.Int64 // seconds since 1970: it is not earlier, whatever the clock says
	counts   counters
	slow     sync.Mutex // held where a slow key signs
}

var _ zone.Online = (*Zone)(nil)

// keyset is the keys that sign now. It does not change.
type keyset struct {
	number uint64 // unlike that of any other set, of this zone and of others
	keys   []*dnssec.Key
	weight int64
	slow   bool
}

// Zone returns a door for a zone, without keys.
func (s *Signer) Zone(o ZoneOptions) *Zone {
	if o.Validity <= 0 {
		o.Validity = defaultValidity
	}
	z := &Zone{
		signer: s, origin: []byte(o.Origin.Fold().Wire()),
		validity: uint32(min(o.Validity, maxValidity) / time.Second),
	}
	z.share.init(shareOfZone)
	return z
}

// maxValidity keeps times comparable as serial numbers (RFC 4034 §3.1.5).
const maxValidity = 10 * 365 * 24 * time.Hour

// SetKeys has keys sign from now on, all of them each set: those that sign the
// zone's other records. With none, nothing is signed, hence not answered.
func (z *Zone) SetKeys(keys []*dnssec.Key) {
	same := func(a, b *dnssec.Key) bool { return bytes.Equal(a.RData(), b.RData()) }
	if old := z.keys.Load(); old != nil && slices.EqualFunc(old.keys, keys, same) {
		return
	}
	k := &keyset{number: z.signer.keysets.Add(1), keys: slices.Clone(keys)}
	for _, key := range keys {
		k.weight += weight(key)
		k.slow = k.slow || key.IsSlow()
	}
	z.keys.Store(k)
}

// NotBefore says that it is not earlier than at: a machine may start without knowing the year. While its clock says less, it is
// not known when it is right, and signatures are good then and now.
func (z *Zone) NotBefore(at time.Time) { z.least.Store(at.Unix()) }

// time returns the time to sign at, and by how many seconds the clock is behind it.
func (z *Zone) time(now time.Time) (at time.Time, doubt uint32) {
	if back := z.least.Load() - now.Unix(); back > 0 {
		return time.Unix(z.least.Load(), 0), uint32(back)
	}
	return now, 0
}

// weight is how much longer than one of P-256 a signature by k takes.
func weight(k *dnssec.Key) int64 {
	switch {
	case k.IsSlow():
		return 25
	case k.Algorithm() == dnssec.ECDSAP384SHA384:
		return 11
	case k.Algorithm() == dnssec.ED448:
		return 4
	}
	return 1
}

// Counts returns what has been counted for this zone.
func (z *Zone) Counts() Counts { return z.counts.read() }

// Sign implements zone.Online.
func (z *Zone) Sign(dst []byte, set *zone.Unsigned) ([]byte, zone.Signing) {
	keys := z.keys.Load()
	if keys == nil || len(keys.keys) == 0 {
		z.count(failed, 1)
		return dst, zone.Refused
	}
	now := z.signer.clock()
	at, doubt := z.time(now)
	life := life{from: begin(set.Owner, at), doubt: doubt}
	var buf [materialRoom]byte
	material := binary.BigEndian.AppendUint64(buf[:0], keys.number)
	material = binary.BigEndian.AppendUint32(material, life.from)
	material = binary.BigEndian.AppendUint16(material, uint16(set.Type))
	material = appendRecords(binary.BigEndian.AppendUint32(material, set.TTL), set)
	c := &z.signer.caches[made]
	if set.Known {
		c = &z.signer.caches[known]
	}
	k := c.key(material)
	if sigs := c.find(k); sigs != nil {
		z.count(hit, 1)
		return append(dst, sigs...), zone.Signed
	}
	return z.miss(dst, set, keys, c, k, life, now)
}

// materialRoom has room for usual sets without allocating.
const materialRoom = 1024

// miss makes signatures, if that may be, and keeps them.
func (z *Zone) miss(dst []byte, set *zone.Unsigned, keys *keyset, c *cache, k key, life life, now time.Time) ([]byte, zone.Signing) {
	if keys.slow && !set.Patient {
		z.count(later, 1)
		return dst, zone.Later
	}
	if keys.slow {
		z.slow.Lock()
		defer z.slow.Unlock()
		if sigs := c.find(k); sigs != nil { // somebody has made it meanwhile
			return append(dst, sigs...), zone.Signed
		}
	}
	if !z.pay(now.UnixNano(), keys.weight, set.Known) {
		z.count(refused, 1)
		return dst, zone.Refused
	}
	sigs, err := z.signatures(set, keys, life)
	if err != nil {
		z.count(failed, 1)
		return dst, zone.Refused
	}
	z.count(signed, uint64(len(keys.keys)))
	c.keep(k, sigs, life.from+period, uint32(now.Unix())+life.doubt)
	return append(dst, sigs...), zone.Signed
}

// pay takes signatures from the budget. What is for names that are not known must
// be left in their shares, too.
func (z *Zone) pay(now, weight int64, known bool) bool {
	s := z.signer
	cost := s.cost * weight
	return (known || z.share.take(now, cost) && s.others.take(now, cost)) && s.all.take(now, cost)
}

func (z *Zone) count(e event, n uint64) {
	z.counts[e].Add(n)
	z.signer.counts[e].Add(n)
}
