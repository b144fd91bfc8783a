package signer

import (
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
)

// SignersOf returns the keys that have signed a version of a zone, as its SOA record tells: those that sign answers from it,
// too. Whatever the ring has come to, or another server that shares it, such a key is published.
func (k *Keeper) SignersOf(id zone.ID, v *zone.Version) (ids []string) {
	z := k.Zone(id)
	if z == nil || v == nil {
		return nil
	}
	sigs, _ := v.SOA().Sigs()
	z.mu.Lock()
	all := z.st.Ring.Keys()
	z.mu.Unlock()
	for data := range sigs.RData() {
		s, err := dns.ParseRRSIG(data)
		if err != nil {
			continue
		}
		for i := range all {
			if isBy(&all[i], &s) {
				ids = append(ids, all[i].ID)
			}
		}
	}
	return ids
}

func isBy(k *keys.Key, s *dns.RRSIG) bool {
	return k.Foreign == "" && k.Tag == s.KeyTag && k.Algorithm == s.Algorithm && k.Removed.IsZero()
}

// SignedUntil returns when the first signature expires in what is served of a zone; false where nothing here signs it.
func (k *Keeper) SignedUntil(id zone.ID) (time.Time, bool) {
	z := k.Zone(id)
	if z == nil {
		return time.Time{}, false
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.st.First, !z.isPassive && !z.st.First.IsZero()
}

// TimeOf returns the time that a zone is signed by: none before the last step of its ring, for a machine may start without
// knowing the year.
func (k *Keeper) TimeOf(id zone.ID) time.Time {
	if z := k.Zone(id); z != nil {
		return z.time()
	}
	now, _ := k.o.Clock.Now()
	return now
}
