package cache

import (
	"bytes"
	"slices"
	"sync"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// denials says which NSEC and NSEC3 records of signed zones are known, so that
// what they deny need not be asked for (RFC 8198). It has their owners in order;
// the sets themselves are entries of Records, and may go without notice.
//
// It holds a bounded number of octets. When they are used up, a hand goes round
// all blocks and takes out what is over or was not found since it last came by.
type denials struct {
	mu     sync.RWMutex
	zones  map[dns.Name]*deniedZone // by name in lower case
	order  []*deniedZone            // the hand's way
	hand   int
	octets int
	most   int
}

// deniedZone is what is known of one zone.
type deniedZone struct {
	name   dns.Name
	place  int // in denials.order
	nsec   chain
	nsec3  chain
	params NSEC3Params // of nsec3
	block  int         // where the hand is, over both chains
}

// NSEC3Params is how a zone hashes names.
type NSEC3Params struct {
	Iterations uint16
	Salt       string
}

// zoneOverhead is what a zone takes beside its chains, about.
const zoneOverhead = 300

// MaxDenialIterations is how often the hashes of NSEC3 records that are used for
// other names may be iterated: zones should not iterate at all (RFC 9276 §3.1), and
// each name that is asked for costs several of them.
const MaxDenialIterations = 10

// PutProven remembers a set of zone that is Secure, for what else it proves: an
// NSEC or NSEC3 set, the zone's SOA, or the RRset of a wildcard, under the
// wildcard's name. What says nothing of other names, or what no zone may say, is
// left out, and reported as false.
func (r *Records) PutProven(zone dns.Name, set *RRset, now, expire uint32) bool {
	if expire <= now || len(set.Data) == 0 || !set.Name.IsSubdomainOf(zone) {
		return false
	}
	e := Entry{Trust: TrustAuthority, Status: Secure, Zone: zone, Expire: expire, Sets: []RRset{*set}}
	switch {
	case set.Type == dns.TypeNSEC:
		key, ok := nsecKey(zone, set)
		return ok && r.putEntry(kindProven, set.Name, provenType(zone, set.Type), e, now) && r.denials.put(zone, key, nil, now, expire)
	case set.Type == dns.TypeNSEC3:
		hash, params, ok := nsec3Key(zone, set)
		return ok && r.putEntry(kindProven, set.Name, provenType(zone, set.Type), e, now) && r.denials.put(zone, hash, &params, now, expire)
	case set.Type == dns.TypeSOA:
		return set.Name.Equal(zone) && r.putEntry(kindProven, set.Name, provenType(zone, set.Type), e, now)
	}
	return set.Name.IsWildcard() && r.putEntry(kindWildcard, set.Name, set.Type, e, now)
}

// provenType is where a set of that type stands in the key: NSEC records of a
// parent and of its child may have one owner.
func provenType(zone dns.Name, t dns.Type) dns.Type {
	return t&0xFF | dns.Type(zone.NumLabels())<<8
}

// nsecKey checks an NSEC set and returns its place in the chain. A next name
// outside the zone would span names of others. A span without any room is that of
// an answer made for one name (RFC 9824 §3.2, RFC 4470): it denies no other, and is
// of use only where it says that the name does not exist.
func nsecKey(zone dns.Name, set *RRset) ([]byte, bool) {
	n, err := dns.ParseNSEC(set.Data[0])
	if err != nil || len(set.Data) != 1 || !n.Next.IsSubdomainOf(zone) {
		return nil, false
	}
	if n.Next.FirstLabel() == "\x00" && n.Next.Parent().Equal(set.Name) && !n.Types.Has(dns.TypeNXNAME) {
		return nil, false
	}
	return appendNSECKey(nil, zone, set.Name), true
}

// nsec3Key does the same for NSEC3. Its owner is a hash right below the apex (RFC
// 5155 §3), of an algorithm and with flags that are known (§8.1, §8.2). A span
// that opts out proves no absence (§6).
func nsec3Key(zone dns.Name, set *RRset) ([]byte, NSEC3Params, bool) {
	n, err := dns.ParseNSEC3(set.Data[0])
	if err != nil || len(set.Data) != 1 || n.Hash != dnssec.NSEC3SHA1 || n.Flags != 0 || n.Iterations > MaxDenialIterations ||
		len(n.NextHashed) != dnssec.NSEC3HashLen || set.Name.IsRoot() || !set.Name.Parent().Equal(zone) {
		return nil, NSEC3Params{}, false
	}
	hash, ok := dns.DecodeBase32Hex(nil, []byte(set.Name.FirstLabel()))
	if !ok || len(hash) != dnssec.NSEC3HashLen {
		return nil, NSEC3Params{}, false
	}
	if bytes.Equal(hash[:8], n.NextHashed[:8]) { // made for one name (RFC 7129 appendix B)
		return nil, NSEC3Params{}, false
	}
	return hash, NSEC3Params{n.Iterations, string(n.Salt)}, true
}

// put notes an owner; params is nil for NSEC.
func (d *denials) put(zone dns.Name, key []byte, params *NSEC3Params, now, expire uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	z := d.zones[zone.Fold()]
	if z == nil {
		z = &deniedZone{name: zone.Fold(), place: len(d.order)}
		d.zones[z.name] = z
		d.order = append(d.order, z)
		d.octets += zoneOverhead
	}
	switch {
	case params == nil:
		d.octets += z.nsec.put(key, expire)
	case *params != z.params: // the zone hashes otherwise now
		d.octets -= z.nsec3.size()
		z.params, z.nsec3 = *params, nil
		fallthrough
	default:
		d.octets += z.nsec3.put(key, expire)
	}
	d.makeRoom(now)
	return true
}

// makeRoom lets the hand go on until nothing is over the bound.
func (d *denials) makeRoom(now uint32) {
	for d.octets > d.most && len(d.order) > 0 {
		z := d.order[d.hand%len(d.order)]
		switch b := z.block; {
		case b < len(z.nsec):
			freed := z.nsec.sweep(b, now)
			d.octets -= freed
			z.block++
		case b-len(z.nsec) < len(z.nsec3):
			d.octets -= z.nsec3.sweep(b-len(z.nsec), now)
			z.block++
		default:
			z.block = 0
			if len(z.nsec)+len(z.nsec3) == 0 {
				d.dropZone(z)
			}
			d.hand++
		}
	}
}

func (d *denials) dropZone(z *deniedZone) {
	d.octets -= zoneOverhead + z.nsec.size() + z.nsec3.size()
	last := len(d.order) - 1
	d.order[z.place] = d.order[last]
	d.order[z.place].place = z.place
	d.order[last] = nil
	d.order = d.order[:last]
	delete(d.zones, z.name)
}

// flush forgets the zones whose records may deny name, and, if tree, those below.
func (d *denials) flush(name dns.Name, tree bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range slices.Clone(d.order) {
		if name.IsSubdomainOf(z.name) || tree && z.name.IsSubdomainOf(name) {
			d.dropZone(z)
		}
	}
}

// drop forgets an owner.
func (d *denials) drop(zone dns.Name, key []byte, hashed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	z := d.zones[zone.Fold()]
	switch {
	case z == nil:
	case hashed:
		d.octets -= z.nsec3.drop(key)
	default:
		d.octets -= z.nsec.drop(key)
	}
}

// DeniedZone is the lowest zone at or above a name of which NSEC or NSEC3 records
// are known.
type DeniedZone struct {
	Name     dns.Name
	HasNSEC  bool
	HasNSEC3 bool
	Params   NSEC3Params
}

// DeniedZone returns the zone that may have something to say of name.
func (r *Records) DeniedZone(name dns.Name) (DeniedZone, bool) {
	d := &r.denials
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.zones) == 0 {
		return DeniedZone{}, false
	}
	for at := name.Fold(); !at.IsZero(); at = at.Parent() {
		if z := d.zones[at]; z != nil {
			return DeniedZone{z.name, len(z.nsec) > 0, len(z.nsec3) > 0, z.params}, true
		}
	}
	return DeniedZone{}, false
}

// proven returns what PutProven was given.
func (r *Records) proven(zone, owner dns.Name, t dns.Type, now uint32) (Entry, bool) {
	e, ok := r.entry(kindProven, owner, provenType(zone, t), now)
	return e, ok && e.Status == Secure && e.Zone.Equal(zone)
}

// NSEC returns the NSEC set of zone that is name's own, or the last one before
// it that is known. The TTLs are those that are left.
func (r *Records) NSEC(zone, name dns.Name, now uint32) (RRset, bool) {
	var buf [2 * dns.MaxNameLen]byte
	key, ok := r.denials.at(zone, appendNSECKey(buf[:0], zone, name), false)
	if !ok {
		return RRset{}, false
	}
	owner, ok := nsecOwner(zone, key)
	if !ok {
		return RRset{}, false
	}
	e, ok := r.proven(zone, owner, dns.TypeNSEC, now)
	if !ok {
		r.denials.drop(zone, key, false)
		return RRset{}, false
	}
	return e.Sets[0], true
}

// NSEC3 returns the NSEC3 set of zone whose owner is hash, or the last one before
// it that is known.
func (r *Records) NSEC3(zone dns.Name, hash []byte, now uint32) (RRset, bool) {
	key, ok := r.denials.at(zone, hash, true)
	if !ok {
		return RRset{}, false
	}
	owner, err := zone.Child(string(dns.AppendBase32Hex(nil, key)))
	if err != nil {
		return RRset{}, false
	}
	e, ok := r.proven(zone, owner, dns.TypeNSEC3, now)
	if !ok {
		r.denials.drop(zone, key, true)
		return RRset{}, false
	}
	return e.Sets[0], true
}

// at returns a copy of the key that is key, or the one before it.
func (d *denials) at(zone dns.Name, key []byte, hashed bool) ([]byte, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	z := d.zones[zone.Fold()]
	if z == nil {
		return nil, false
	}
	c := z.nsec
	if hashed {
		c = z.nsec3
	}
	at, ok := c.at(key)
	return bytes.Clone(at), ok
}

// ZoneSOA returns the SOA set of a zone, if it is known and Secure.
func (r *Records) ZoneSOA(zone dns.Name, now uint32) (RRset, bool) {
	e, ok := r.proven(zone, zone, dns.TypeSOA, now)
	if !ok {
		return RRset{}, false
	}
	return e.Sets[0], true
}

// Wildcard returns the set of that type at a wildcard of zone, if it is known and
// Secure. It answers for other names only with a proof that they may be answered
// from it.
func (r *Records) Wildcard(zone, wildcard dns.Name, t dns.Type, now uint32) (Entry, bool) {
	e, ok := r.entry(kindWildcard, wildcard, t, now)
	return e, ok && e.Status == Secure && e.Zone.Equal(zone)
}

// forgetProven forgets all that proves something of other names.
func (r *Records) forgetProven() {
	r.denials.flush(dns.Root, true)
	r.s.dropFunc(func(key []byte, _ func([]byte) []byte) bool {
		k := kind(key[len(key)-1])
		return k == kindProven || k == kindWildcard
	})
}
