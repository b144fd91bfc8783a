package cache

import (
	"bytes"

	"onoma/dns"
)

// A Finding is what validation found of an entry: its sets as they were judged,
// and as they are to be kept: what was not found good is left out, and TTLs are
// those that signatures allow.
type Finding struct {
	Status    Status
	Was, Kept []RRset
	Expire    uint32 // when the entry ends, if it does not before
}

// SettleRRset notes what was found of an RRset, or of an alias with the DNAME that
// it was made from.
func (r *Records) SettleRRset(name dns.Name, t dns.Type, f Finding, now uint32) bool {
	return r.settle(kindRRset, name, t, f, now)
}

// SettleNoData notes what was found of the proof that name has no records of type t.
func (r *Records) SettleNoData(name dns.Name, t dns.Type, f Finding, now uint32) bool {
	return r.settle(kindNoData, name, t, f, now)
}

// SettleNXDomain notes what was found of the proof that name does not exist.
func (r *Records) SettleNXDomain(name dns.Name, f Finding, now uint32) bool {
	return r.settle(kindNXDomain, name, 0, f, now)
}

// settle changes an entry only if it is what was judged, octet for octet: another
// answer may have come meanwhile. Usually there is nothing to leave out, and the
// entry stays where it is.
func (r *Records) settle(k kind, name dns.Name, t dns.Type, f Finding, now uint32) bool {
	if f.Expire <= now {
		return false
	}
	var b keyBuf
	key := b.key(name, t, k)
	hash := r.s.hash(key)
	value, h, ok := r.s.get(nil, hash, key)
	if !ok || h.expire() <= now {
		return false
	}
	var was, kept writer
	was.sets(f.Was)
	kept.sets(f.Kept)
	rd := reader{b: value}
	trust, zone := rd.u8(), rd.name()
	if rd.bad || !bytes.Equal(rd.b, was.b) {
		return false
	}
	if bytes.Equal(was.b, kept.b) {
		return r.s.mark(hash, key, value, uint8(f.Status), f.Expire)
	}
	e := Entry{Trust: Trust(trust), Status: f.Status, Zone: zone, Expire: min(f.Expire, h.expire()), Sets: f.Kept}
	return r.putEntry(k, name, t, e, now)
}

// ForgetStatus has everything validated again: other anchors may judge otherwise.
// What was proved of other names is forgotten.
func (r *Records) ForgetStatus() {
	r.s.unmark()
	r.forgetProven()
}
