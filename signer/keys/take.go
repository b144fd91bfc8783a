package keys

import (
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Take takes what somebody who may writes into the sets of keys, for who directs several signers of a zone by UPDATE (RFC 8901):
// a DNSKEY is one that another provider signs by, a CDS or CDNSKEY one whose DS the parent is to have, too. A DNSKEY that is
// removed goes when nobody needs it. Records of this server's own keys stay, whatever is said of them; and a CDS goes with its
// key alone, for as long as there are CDS, a parent takes away what they do not have.
func (r *Ring) Take(provider string, removed, added []dns.Record, now time.Time) error {
	for i := range added {
		if added[i].Type != dns.TypeDNSKEY && added[i].Type != dns.TypeCDNSKEY {
			continue
		}
		if err := r.takeKey(provider, &added[i], now); err != nil {
			return err
		}
	}
	for i := range added {
		if added[i].Type != dns.TypeCDS || dnssec.IsCDSDelete(added[i].Data) {
			continue
		}
		if err := r.takeDS(&added[i]); err != nil {
			return err
		}
	}
	for i := range removed {
		if removed[i].Type == dns.TypeDNSKEY {
			r.drop(removed[i].Data, now)
		}
	}
	return nil
}

func (r *Ring) takeKey(provider string, rec *dns.Record, now time.Time) error {
	d, err := dns.ParseDNSKEY(rec.Data)
	if err != nil {
		return err
	}
	if rec.Type == dns.TypeCDNSKEY && dnssec.IsCDNSKEYDelete(rec.Data) {
		return nil
	}
	k := r.same(d)
	switch {
	case k == nil:
		if k, err = r.bring(provider, &SeenKey{Key: d}, now); err != nil {
			return err
		}
		if rec.Type == dns.TypeCDNSKEY {
			k.Role = KSK
		}
	case k.own():
		return nil
	case !k.stays():
		k.Goal, k.Retired, k.Until, k.Removed = Omnipresent, time.Time{}, time.Time{}, time.Time{}
	}
	if rec.Type == dns.TypeDNSKEY {
		k.Role |= ZSK
	} else {
		k.Role, k.NoDS = k.Role|KSK, false
	}
	return nil
}

func (r *Ring) takeDS(rec *dns.Record) error {
	d, err := dns.ParseDS(rec.Data)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.keys, func(k *Key) bool { return dnssec.MatchDS(r.zone, k.DNSKEY(), d) })
	switch {
	case i < 0:
		return fmt.Errorf("the CDS with tag %d: %w: it is of no key that is known here. Its DNSKEY or CDNSKEY has to come before, or with it", d.KeyTag, ErrRefused)
	case !r.keys[i].own():
		r.keys[i].Role, r.keys[i].NoDS = r.keys[i].Role|KSK, false
	}
	return nil
}

func (r *Ring) drop(data dns.RData, now time.Time) {
	for _, k := range r.keys {
		if !k.own() && k.stays() && string(k.RData) == string(data) {
			k.Goal, k.Retired = Hidden, now
		}
	}
}
