package signer

import (
	"context"
	"crypto/rand"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
	"onoma/zone/sign"
)

var kinds = map[keys.DenialKind]sign.Kind{keys.NoDenial: sign.None, keys.NSEC: sign.NSEC, keys.NSEC3: sign.NSEC3, keys.Compact: sign.Compact}

// build makes the plan of what the ring wants.
func (z *Zone) build(ctx context.Context, w *keys.Wanted, head *zone.Version, now time.Time) (*sign.Plan, error) {
	p := &z.settings.Policy
	plan := &sign.Plan{
		Denial: sign.Denial{Kind: kinds[w.Denial.Kind], Iterations: w.Denial.Iterations, OptOut: w.Denial.OptOut},
		ZONEMD: z.settings.ZONEMD, Validity: p.Validity, KeyValidity: p.KeyValidity, Refresh: p.Refresh, Jitter: p.Jitter, Skew: p.Skew,
	}
	if plan.Denial.Kind == sign.NSEC3 {
		plan.Denial.Salt = z.salt(int(w.Denial.SaltLength))
	}
	areAway, err := z.loadSigners(ctx, plan, w)
	if err != nil {
		return nil, err
	}
	z.mu.Lock()
	areAway = areAway || z.settings.Offline != nil
	z.awaits = ""
	z.mu.Unlock()
	switch {
	case areAway && plan.Denial.Kind != sign.None:
		return plan, z.putAway(plan, w, head, now)
	case w.KeysFrozen != "" && head != nil:
		plan.Apex, plan.KeySigs = keySets(head)
	default:
		plan.Apex = z.apex(w)
	}
	return plan, nil
}

// lostError is a key that a plan needs and that cannot be had.
type lostError struct {
	id  string
	err error
}

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// apex makes the sets of keys that are to stand at the apex.
func (z *Zone) apex(w *keys.Wanted) (sets []dns.Record) {
	add := func(t dns.Type, data dns.RData) {
		sets = append(sets, dns.Record{Name: z.id.Name, Type: t, Class: dns.ClassIN, TTL: uint32(w.TTL / time.Second), Data: data})
	}
	for _, k := range w.DNSKEYs {
		add(dns.TypeDNSKEY, k.RData())
	}
	for _, d := range w.CDS {
		add(dns.TypeCDS, d.RData())
	}
	for _, k := range w.CDNSKEY {
		add(dns.TypeCDNSKEY, k.RData())
	}
	return sets
}

// keySets returns the sets of keys at the apex of v and the signatures over them.
func keySets(v *zone.Version) (sets, sigs []dns.Record) {
	name := v.Apex().Name()
	for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		set, ok := v.Apex().RRset(t)
		if !ok {
			continue
		}
		for data := range set.RData() {
			sets = append(sets, dns.Record{Name: name, Type: t, Class: v.Class(), TTL: set.TTL(), Data: append(dns.RData(nil), data...)})
		}
		over, _ := set.Sigs()
		for data := range over.RData() {
			sigs = append(sigs, dns.Record{Name: name, Type: dns.TypeRRSIG, Class: v.Class(), TTL: set.TTL(), Data: append(dns.RData(nil), data...)})
		}
	}
	return sets, sigs
}

// salt returns that of NSEC3, which is made up where it has not the length that it is to have.
func (z *Zone) salt(n int) []byte {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.st.Salt) != n {
		z.st.Salt = make([]byte, n)
		_, _ = rand.Read(z.st.Salt) // it never fails
	}
	return z.st.Salt
}
