package cache

import (
	"encoding/binary"
	"net/netip"

	"onoma/dns"
)

// Trust ranks where data came from (RFC 2181 §5.4.1). Glue never gets here: it
// lives in the Delegation that it came with, and is never an answer.
type Trust uint8

// The ranks, the lowest first.
const (
	TrustAnswer     Trust = iota + 1 // the answer of a server that did not claim authority
	TrustReferral                    // DS (or its absence) in a referral: the parent's own data
	TrustAuthority                   // an authoritative answer
	TrustConfigured                  // root hints, primed
)

// Status is what validation found of an entry (RFC 4035 §4.3). Bogus ones are not
// kept.
type Status uint8

// From the worst to the best: what has several parts is the worst of them.
const (
	Unchecked Status = iota // not validated, or by other anchors
	Insecure                // proved not to be signed
	Secure                  // signed by its zone: its first signature's signer
)

// RRset is a set of records with the signatures over it. Its slices are not
// changed once it is made.
type RRset struct {
	Name  dns.Name
	Type  dns.Type
	TTL   uint32
	Data  []dns.RData
	Sigs  []dns.RData // RRSIGs that cover the set
	Proof []RRset     // NSEC or NSEC3 sets: no closer match than the wildcard
}

// Entry is what the cache knows of an RRset or of its absence.
type Entry struct {
	Trust  Trust
	Status Status
	Zone   dns.Name // the zone whose server said so: provenance
	Expire uint32   // min(TTL, lease of the zone, and of what is Secure the life of its signatures)
	Sets   []RRset  // the RRset, behind the DNAME if it was made from one; or, of an absence, the SOA and the proof
}

// Delegation is a zone cut as its parent describes it. Nothing but the parent
// renews it, so it is a lease: what is learnt below it expires with it.
type Delegation struct {
	Zone    dns.Name
	Parent  dns.Name
	Servers []NameServer
	Granted uint32 // when the parent said so
	Expire  uint32 // the lease's end, at most that of the parent's
}

// NameServer is a name server of a zone and the glue for it, if any.
type NameServer struct {
	Name  dns.Name
	Addrs []netip.Addr
}

// Due reports whether less than a tenth of the lease is left: time to ask the
// parent again, before answers become shorter-lived than their TTLs say.
func (d *Delegation) Due(now uint32) bool {
	return uint64(d.Expire-min(now, d.Expire))*10 < uint64(d.Expire-d.Granted)
}

// Failure is the memory of a look-up that came to nothing (RFC 9520).
type Failure struct {
	Count  uint8 // in succession
	Code   dns.EDECode
	Text   string
	Expire uint32
}

// Records holds what the iterator learnt. It is safe for concurrent use.
type Records struct {
	s       *store
	denials denials
}

// NewRecords returns a cache that uses about size octets: one in 16 of them for
// the order of NSEC and NSEC3 records.
func NewRecords(size int) *Records {
	order := size / 16
	return &Records{s: newStore(size - order), denials: denials{zones: map[dns.Name]*deniedZone{}, most: order}}
}

// kind is the last octet of a key.
type kind byte

const (
	kindRRset      kind = 'R'
	kindNoData     kind = 'N'
	kindNXDomain   kind = 'X'
	kindDelegation kind = 'D'
	kindFailure    kind = 'F'
	kindBogus      kind = 'B'
	kindBrokenZone kind = 'Z'
	kindProven     kind = 'P' // NSEC, NSEC3 and SOA sets that are Secure
	kindWildcard   kind = 'W' // RRsets of wildcards that are Secure
)

// keyBuf has room for a key: name, type, kind.
type keyBuf [dns.MaxNameLen + 3]byte

func (b *keyBuf) key(name dns.Name, t dns.Type, k kind) []byte {
	key := append(b[:0], name.Wire()...)
	dns.FoldName(key)
	key = binary.BigEndian.AppendUint16(key, uint16(t))
	return append(key, byte(k))
}

// PutRRset remembers an RRset until expire, unless better data of that name and
// type is there and alive.
func (r *Records) PutRRset(set *RRset, trust Trust, zone dns.Name, now, expire uint32) bool {
	if old, ok := r.RRset(set.Name, set.Type, now); ok && old.Trust > trust {
		return false
	}
	return r.putEntry(kindRRset, set.Name, set.Type, Entry{Trust: trust, Zone: zone, Expire: expire, Sets: []RRset{*set}}, now)
}

// PutSynthetic remembers a CNAME that was made from a DNAME, and the DNAME with it.
func (r *Records) PutSynthetic(dname, cname *RRset, trust Trust, zone dns.Name, now, expire uint32) bool {
	return r.putEntry(kindRRset, cname.Name, cname.Type, Entry{Trust: trust, Zone: zone, Expire: expire, Sets: []RRset{*dname, *cname}}, now)
}

// PutNoData remembers that name has no records of type t.
func (r *Records) PutNoData(name dns.Name, t dns.Type, e Entry, now uint32) bool {
	return r.putEntry(kindNoData, name, t, e, now)
}

// PutNXDomain remembers that name does not exist.
func (r *Records) PutNXDomain(name dns.Name, e Entry, now uint32) bool {
	return r.putEntry(kindNXDomain, name, 0, e, now)
}

// usualLen has room for most entries.
const usualLen = 256

func (r *Records) putEntry(k kind, name dns.Name, t dns.Type, e Entry, now uint32) bool {
	if e.Expire <= now {
		return false
	}
	w := writer{b: make([]byte, 0, usualLen)}
	w.u8(uint8(e.Trust))
	w.name(e.Zone)
	w.sets(e.Sets)
	return r.put(k, name, t, w, e.Status, now, e.Expire)
}

func (r *Records) put(k kind, name dns.Name, t dns.Type, w writer, status Status, now, expire uint32) bool {
	if w.over {
		return false
	}
	var b keyBuf
	key := b.key(name, t, k)
	return r.s.put(r.s.hash(key), key, w.b, uint8(status), now, expire)
}

func (r *Records) get(k kind, name dns.Name, t dns.Type) (reader, head, bool) {
	var b keyBuf
	key := b.key(name, t, k)
	v, h, ok := r.s.get(nil, r.s.hash(key), key)
	return reader{b: v}, h, ok
}

// RRset returns the RRset of name and type t with the TTL that is left.
func (r *Records) RRset(name dns.Name, t dns.Type, now uint32) (Entry, bool) {
	return r.entry(kindRRset, name, t, now)
}

// NoData returns the reason why name has no records of type t, if that is known.
func (r *Records) NoData(name dns.Name, t dns.Type, now uint32) (Entry, bool) {
	return r.entry(kindNoData, name, t, now)
}

// NXDomain returns the reason why name does not exist, if that is known.
func (r *Records) NXDomain(name dns.Name, now uint32) (Entry, bool) {
	return r.entry(kindNXDomain, name, 0, now)
}

func (r *Records) entry(k kind, name dns.Name, t dns.Type, now uint32) (Entry, bool) {
	rd, h, ok := r.get(k, name, t)
	if !ok || h.expire() <= now {
		return Entry{}, false
	}
	e := Entry{Trust: Trust(rd.u8()), Status: Status(h.mark()), Zone: rd.name(), Expire: h.expire()}
	e.Sets = rd.sets()
	if rd.bad {
		return Entry{}, false
	}
	capTTL(e.Sets, e.Expire-now)
	return e, true
}

// capTTL gives every set the TTL that the entry has left: an entry lives no
// longer than its shortest TTL.
func capTTL(sets []RRset, left uint32) {
	for i := range sets {
		sets[i].TTL = left
		capTTL(sets[i].Proof, left)
	}
}

// PutDelegation remembers a zone cut for as long as its lease lasts.
func (r *Records) PutDelegation(d *Delegation, now uint32) bool {
	if d.Expire <= now {
		return false
	}
	w := writer{}
	w.name(d.Zone)
	w.name(d.Parent)
	w.u32(d.Granted)
	w.u16(len(d.Servers))
	for _, s := range d.Servers {
		w.name(s.Name)
		w.u16(len(s.Addrs))
		for _, a := range s.Addrs {
			w.octets(a.AsSlice())
		}
	}
	return r.put(kindDelegation, d.Zone, 0, w, 0, now, d.Expire)
}

// Delegation returns the cut at zone.
func (r *Records) Delegation(zone dns.Name, now uint32) (*Delegation, bool) {
	rd, h, ok := r.get(kindDelegation, zone, 0)
	if !ok || h.expire() <= now {
		return nil, false
	}
	d := rd.delegation()
	d.Expire = h.expire()
	return d, !rd.bad
}

func (rd *reader) delegation() *Delegation {
	d := &Delegation{Zone: rd.name(), Parent: rd.name(), Granted: rd.u32()}
	for range rd.u16() {
		s := NameServer{Name: rd.name()}
		for range rd.u16() {
			if a, ok := netip.AddrFromSlice(rd.octets()); ok {
				s.Addrs = append(s.Addrs, a)
			}
		}
		if rd.bad {
			break
		}
		d.Servers = append(d.Servers, s)
	}
	return d
}

// DropDelegation forgets the cut at zone.
func (r *Records) DropDelegation(zone dns.Name) {
	var b keyBuf
	key := b.key(zone, 0, kindDelegation)
	r.s.drop(r.s.hash(key), key)
}

// PutFailure remembers that looking up name and type t failed.
func (r *Records) PutFailure(name dns.Name, t dns.Type, f Failure, now uint32) bool {
	w := writer{}
	w.u8(f.Count)
	w.u16(int(f.Code))
	w.octets([]byte(f.Text))
	return r.put(kindFailure, name, t, w, 0, now, f.Expire)
}

// Failure returns the last failure of a look-up, even one that has expired: its
// count is where the next one goes on.
func (r *Records) Failure(name dns.Name, t dns.Type) (Failure, bool) {
	rd, h, ok := r.get(kindFailure, name, t)
	if !ok {
		return Failure{}, false
	}
	f := Failure{Count: rd.u8(), Code: dns.EDECode(rd.u16()), Text: string(rd.octets()), Expire: h.expire()}
	return f, !rd.bad
}

// DropFailure forgets the failures of a look-up, once it succeeds.
func (r *Records) DropFailure(name dns.Name, t dns.Type) {
	var b keyBuf
	key := b.key(name, t, kindFailure)
	r.s.drop(r.s.hash(key), key)
}

// PutBogus remembers that the answer to a question did not pass validation.
func (r *Records) PutBogus(name dns.Name, t dns.Type, ede dns.EDE, now, expire uint32) bool {
	return r.putBogus(kindBogus, name, t, ede, now, expire)
}

// Bogus returns why the answer to a question did not pass validation, if that is
// known, and until when it is.
func (r *Records) Bogus(name dns.Name, t dns.Type, now uint32) (ede dns.EDE, expire uint32, ok bool) {
	return r.bogus(kindBogus, name, t, now)
}

// PutBrokenZone remembers that a zone's keys, or its DS set, did not pass validation:
// nothing in it can.
func (r *Records) PutBrokenZone(zone dns.Name, ede dns.EDE, now, expire uint32) bool {
	return r.putBogus(kindBrokenZone, zone, 0, ede, now, expire)
}

// BrokenZone returns why a zone did not pass validation, as Bogus does.
func (r *Records) BrokenZone(zone dns.Name, now uint32) (ede dns.EDE, expire uint32, ok bool) {
	return r.bogus(kindBrokenZone, zone, 0, now)
}

func (r *Records) putBogus(k kind, name dns.Name, t dns.Type, ede dns.EDE, now, expire uint32) bool {
	w := writer{}
	w.u16(int(ede.Code))
	w.octets([]byte(ede.Text))
	return r.put(k, name, t, w, 0, now, expire)
}

func (r *Records) bogus(k kind, name dns.Name, t dns.Type, now uint32) (ede dns.EDE, expire uint32, ok bool) {
	rd, h, ok := r.get(k, name, t)
	if !ok || h.expire() <= now {
		return dns.EDE{}, 0, false
	}
	ede = dns.EDE{Code: dns.EDECode(rd.u16()), Text: string(rd.octets())}
	return ede, h.expire(), !rd.bad
}

// ForgetBogus forgets what did not pass validation: another one may judge otherwise.
func (r *Records) ForgetBogus() {
	r.s.dropFunc(func(key []byte, _ func([]byte) []byte) bool {
		k := kind(key[len(key)-1])
		return k == kindBogus || k == kindBrokenZone
	})
}

// Drop forgets what is known of the data of name and type t: the RRset or alias
// there, or that there is none.
func (r *Records) Drop(name dns.Name, t dns.Type) {
	var b keyBuf
	for _, k := range [...]struct {
		kind kind
		t    dns.Type
	}{{kindRRset, t}, {kindRRset, dns.TypeCNAME}, {kindNoData, t}, {kindNXDomain, 0}} {
		key := b.key(name, k.t, k.kind)
		r.s.drop(r.s.hash(key), key)
	}
}

// Len returns how many entries are held.
func (r *Records) Len() int { return r.s.len() }

// FlushAll forgets everything.
func (r *Records) FlushAll() int {
	r.denials.flush(dns.Root, true)
	return r.s.dropAll()
}
