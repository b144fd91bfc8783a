package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Errors of commands.
var (
	ErrNoKey   = errors.New("there is no such key")
	ErrRolling = errors.New("a rollover is on its way")
	ErrRefused = errors.New("that cannot be done now")
)

// AddKey answers a NeedKey event: the key store made this key.
func (r *Ring) AddKey(need Event, id string, key dns.DNSKEY, at time.Time) error {
	return r.add(Key{ID: id, Role: need.Role, Standby: need.Standby, Bits: need.Bits, Goal: Omnipresent, Created: at}, key)
}

func (r *Ring) add(k Key, key dns.DNSKEY) error {
	rdata := key.RData()
	if k.ID == "" || r.key(k.ID) != nil {
		return fmt.Errorf("adding key %q: %w: the id is empty or taken", k.ID, ErrRefused)
	}
	if d, err := dns.ParseDNSKEY(rdata); err != nil || !d.IsZoneKey() || d.IsRevoked() || d.Protocol != 3 {
		return fmt.Errorf("adding key %q: %w: it is no key for zones (RFC 4034 §2.1)", k.ID, ErrRefused)
	}
	// Equal tags are legal, but make validators try both keys. Of other providers' keys they cannot be helped.
	for _, o := range r.keys {
		if k.own() && o.Tag == key.KeyTag() && o.Algorithm == key.Algorithm && o.Removed.IsZero() {
			return fmt.Errorf("adding key %q: %w: key %q has the same tag %d: make another", k.ID, ErrRefused, o.ID, o.Tag)
		}
	}
	k.RData, k.Algorithm, k.Tag = []byte(rdata), key.Algorithm, key.KeyTag()
	r.keys = append(r.keys, &k)
	return nil
}

// Import takes over a key that is in use already. Only before the first Step: the zone is served with all imported keys as they are.
// ds says whether the parent has its DS.
func (r *Ring) Import(id string, key dns.DNSKEY, role Role, standby, ds bool, at time.Time) error {
	if cur := r.current(); cur.Generation != 0 && !cur.Made.IsZero() {
		return fmt.Errorf("importing key %q: %w: the zone has keys of its own. Bring it in as another provider's", id, ErrRefused)
	}
	if err := r.add(Key{ID: id, Role: role, Standby: standby, Goal: Omnipresent, Created: at}, key); err != nil {
		return err
	}
	v, k := r.current(), r.key(id)
	v.Generation = 1 // the first that this server serves; nobody has Made it here
	v.Keys = with(v.Keys, id)
	if role&KSK != 0 && !standby {
		v.KeySigners = with(v.KeySigners, id)
	}
	if role&ZSK != 0 && !standby {
		v.Signers = with(v.Signers, id)
	}
	if !standby {
		k.Active = at
	}
	if ds && role&KSK != 0 {
		v.DS = with(v.DS, id)
		// Long ago, as far as anybody knows.
		k.Parent = AtParent{Wanted: true, Changed: at, Everyone: at.AddDate(-1, 0, 0)}
	}
	return nil
}

// Roll has a role's key replaced by a new one. A zone with one key has the role CSK.
func (r *Ring) Roll(role Role, now time.Time, p *Policy) error {
	s := &stepper{r: r, now: now, p: p}
	if s.isRolling(role) {
		return fmt.Errorf("rolling the %v: %w: see what it waits for, or roll as an emergency", role, ErrRolling)
	}
	return r.roll(role, false, now)
}

// RollEmergency replaces a role's key although another rollover may be on its way, and without safety margins: the key may
// be in other hands. TTLs still count: a zone that is bogus helps nobody.
func (r *Ring) RollEmergency(role Role, now time.Time) error { return r.roll(role, true, now) }

func (r *Ring) roll(role Role, urgent bool, now time.Time) error {
	found := false
	for _, k := range r.keys {
		if k.own() && k.stays() && k.Role == role && !k.Standby {
			k.Goal, k.Retired, k.Urgent, found = Hidden, now, urgent, true
		}
	}
	if !found {
		return fmt.Errorf("rolling the %v: %w: the zone has none in use", role, ErrNoKey)
	}
	return nil
}

// Retire makes one key go; another of its role takes its place, unless it stood by.
func (r *Ring) Retire(id string, now time.Time) error {
	k := r.key(id)
	if k == nil || !k.own() {
		return fmt.Errorf("retiring key %q: %w", id, ErrNoKey)
	}
	k.Goal, k.Retired, k.Standby = Hidden, now, false
	return nil
}

// Restore turns a rollover back: the key stays, and the one that was to follow it goes.
func (r *Ring) Restore(id string, now time.Time) error {
	k := r.key(id)
	if k == nil || !k.usable() {
		return fmt.Errorf("restoring key %q: %w, or its private half is lost", id, ErrNoKey)
	}
	for _, o := range r.keys {
		if o != k && o.own() && o.stays() && o.Role == k.Role && !o.Standby {
			o.Goal, o.Retired = Hidden, now
		}
	}
	k.Goal, k.Retired, k.Removed, k.Urgent = Omnipresent, time.Time{}, time.Time{}, false
	return nil
}

// GoUnsigned takes the zone's signatures away: the DS first, everything else when no cache has the DS. GoSigned turns that back.
func (r *Ring) GoUnsigned() { r.unsigned = true }

// GoSigned has the zone signed (again); keys whose DS is still about stay.
func (r *Ring) GoSigned() {
	if !r.unsigned {
		return
	}
	r.unsigned = false
	cur := r.current()
	for _, k := range r.keys {
		if k.usable() && !k.stays() && (slices.Contains(cur.KeySigners, k.ID) || slices.Contains(cur.Signers, k.ID)) {
			k.Goal, k.Retired = Omnipresent, time.Time{}
		}
	}
}

// DSSeen says that all servers of the parent have a key's DS since at; DSGone that none has.
func (r *Ring) DSSeen(id string, at time.Time) error {
	k := r.key(id)
	if k == nil || k.Role&KSK == 0 {
		return fmt.Errorf("the DS of key %q: %w with a DS", id, ErrNoKey)
	}
	k.Parent.Everyone, k.Parent.Nobody, k.Parent.Servers, k.Parent.IsDenied = at, time.Time{}, max(1, r.parent.Asked), false
	return nil
}

// DSGone says that no server of the parent has a key's DS since at.
func (r *Ring) DSGone(id string, at time.Time) error {
	k := r.key(id)
	if k == nil || k.Role&KSK == 0 {
		return fmt.Errorf("the DS of key %q: %w with a DS", id, ErrNoKey)
	}
	k.Parent.Everyone, k.Parent.Nobody, k.Parent.Servers, k.Parent.IsDenied = time.Time{}, at, 0, true
	return nil
}

// AddForeign takes in a key of another provider of the zone (RFC 8901, model 2): a ZSK for the DNSKEY set, a KSK for the DS, a CSK for both.
func (r *Ring) AddForeign(provider, id string, key dns.DNSKEY, role Role, now time.Time) error {
	if provider == "" {
		return fmt.Errorf("adding key %q of another provider: %w: no name of the provider", id, ErrRefused)
	}
	if k := r.same(key); k != nil && k.own() {
		return fmt.Errorf("adding key %d of %s: %w: it is this server's own", key.KeyTag(), provider, ErrRefused)
	}
	// RFC 8901 §4: one algorithm for all, or answers lack signatures that the DNSKEY set promises.
	switch a := r.algorithms(r.current().Signers); {
	case len(a) == 0:
		return fmt.Errorf("adding key %d of %s: %w: this server does not sign the zone yet", key.KeyTag(), provider, ErrRefused)
	case len(a) > 1:
		return fmt.Errorf("adding key %d of %s: %w: this server is changing from one algorithm to another; that has to end first", key.KeyTag(), provider, ErrRefused)
	case a[0] != key.Algorithm:
		return fmt.Errorf("adding key %d of %s: %w: %w (RFC 8901 §4): it has %s, and this server signs the zone by %s. Have one of the two change its algorithm first",
			key.KeyTag(), provider, ErrRefused, ErrAlgorithm, dnssec.AlgorithmName(key.Algorithm), dnssec.AlgorithmName(a[0]))
	}
	return r.add(Key{ID: id, Role: role, Foreign: provider, Goal: Omnipresent, Created: now}, key)
}

// RemoveForeign says that a provider's name servers are in no NS set any more: its keys go when nothing of it is cached.
func (r *Ring) RemoveForeign(provider string, now time.Time) error {
	found := false
	for _, k := range r.keys {
		if k.Foreign == provider && !k.own() && k.stays() {
			k.Goal, k.Retired, found = Hidden, now, true
		}
		delete(k.At, provider)
	}
	if !found {
		return fmt.Errorf("removing the keys of %s: %w", provider, ErrNoKey)
	}
	return nil
}

// RemoveForeignKey says that a provider has one of its keys in its DNSKEY set no more, and signs nothing by it.
func (r *Ring) RemoveForeignKey(id string, now time.Time) error {
	k := r.key(id)
	if k == nil || k.own() {
		return fmt.Errorf("removing key %q of another provider: %w", id, ErrNoKey)
	}
	if k.stays() {
		k.Goal, k.Retired = Hidden, now
	}
	return nil
}

// SeenElsewhere says that all servers of all other providers have a key of ours in their DNSKEY sets since at.
func (r *Ring) SeenElsewhere(id string, at time.Time) error {
	k := r.key(id)
	if k == nil || !k.own() {
		return fmt.Errorf("key %q at other providers: %w", id, ErrNoKey)
	}
	k.Elsewhere = at
	return nil
}

// Lose says that a key's private half is gone: it makes no signature any more. What it signed stays good until it ends.
func (r *Ring) Lose(id string) error {
	k := r.key(id)
	if k == nil || !k.own() {
		return fmt.Errorf("losing key %q: %w", id, ErrNoKey)
	}
	k.Lost = true
	return nil
}

// Found turns Lose back.
func (r *Ring) Found(id string) error {
	k := r.key(id)
	if k == nil || !k.Lost {
		return fmt.Errorf("finding key %q: %w that was lost", id, ErrNoKey)
	}
	k.Lost = false
	return nil
}

// Forget drops a removed key from the ring: its private half was deleted.
func (r *Ring) Forget(id string) error {
	k := r.key(id)
	if k == nil || k.Removed.IsZero() {
		return fmt.Errorf("forgetting key %q: %w that is removed", id, ErrNoKey)
	}
	for _, v := range r.versions { // parts of versions that are over may still name it
		v.Keys, v.KeySigners, v.Signers = without(v.Keys, id), without(v.KeySigners, id), without(v.Signers, id)
		v.DS = without(v.DS, id)
	}
	r.keys = slices.DeleteFunc(r.keys, func(o *Key) bool { return o == k })
	return nil
}

// TrustClock says that the clock is right although it went back: times that lie ahead become now, so that each wait begins anew.
func (r *Ring) TrustClock(now time.Time) {
	back := func(ts ...*time.Time) {
		for _, t := range ts {
			if t.After(now) {
				*t = now
			}
		}
	}
	back(&r.last, &r.parent.At)
	for _, v := range r.versions {
		back(&v.Made, &v.KeysOut, &v.SignersOut)
	}
	for _, k := range r.keys {
		back(&k.Created, &k.Active, &k.Retired, &k.Removed, &k.Elsewhere, &k.Parent.Changed, &k.Parent.Everyone, &k.Parent.Nobody)
		for i := range k.Records {
			back(&k.Records[i].Since)
		}
	}
}
