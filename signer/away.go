package signer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/zone"
	"onoma/zone/sign"
)

// A KSK may be on a machine without a network. What it has signed comes in signed key responses (signer/offline), and the key
// ring knows such a key by its public half alone. The ring still decides what may come and go; a response says what stands in
// the DNSKEY set. So what the ring has decided counts as done only once a response has it, and a response that would take away
// what caches still need is not taken: what is served stays until another one comes.

// Offline is what a KSK that is not here has signed. *offline.File is one. Who has another one wakes the zone (Keeper.Wake).
type Offline interface {
	// At returns the DNSKEY, CDS and CDNSKEY sets and their RRSIGs that are good at a time.
	At(at time.Time) ([]dns.Record, error)
	// Next returns when what At returns changes the next time; zero: never.
	Next(at time.Time) time.Time
	// Until returns when the last signature ends; zero: there is none.
	Until() time.Time
}

// awayPrefix begins the ids of keys whose private half is not here.
const awayPrefix = "away:"

func isAway(id string) bool { return strings.HasPrefix(id, awayPrefix) }

// errAway says that a KSK is needed that no response has.
var errAway = errors.New("no signed key response has the KSK that is needed")

// response is what stands at the apex by a response.
type response struct {
	sets, sigs []dns.Record
	keys       []dns.DNSKEY
}

func responseOf(records []dns.Record) (r response) {
	for _, rec := range records {
		if rec.Type == dns.TypeRRSIG {
			r.sigs = append(r.sigs, rec)
			continue
		}
		r.sets = append(r.sets, rec)
		if k, err := dns.ParseDNSKEY(rec.Data); rec.Type == dns.TypeDNSKEY && err == nil {
			r.keys = append(r.keys, k)
		}
	}
	return r
}

func (r *response) has(rdata []byte) bool {
	return slices.ContainsFunc(r.keys, func(k dns.DNSKEY) bool { return string(k.RData()) == string(rdata) })
}

// isSignedBy reports whether a key signs the DNSKEY set.
func (r *response) isSignedBy(k *keys.Key) bool {
	return slices.ContainsFunc(r.sigs, func(rec dns.Record) bool {
		s, err := dns.ParseRRSIG(rec.Data)
		return err == nil && s.TypeCovered == dns.TypeDNSKEY && s.KeyTag == k.Tag && s.Algorithm == k.Algorithm
	})
}

// offline returns what makes the zone's apex sets elsewhere, nil where this server does.
func (z *Zone) offline() Offline {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.settings.Offline
}

// adoptAway gives the ring the KSK that it needs out of the response of now.
func (z *Zone) adoptAway(away Offline, e *keys.Event, now time.Time) error {
	if e.Standby {
		return errAway
	}
	made, err := away.At(now)
	if err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	r := responseOf(made)
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, k := range r.keys {
		id := fmt.Sprintf("%s%s+%03d+%05d", awayPrefix, z.id.Name.Fold(), k.Algorithm, k.KeyTag())
		if _, isKnown := z.st.Ring.Key(id); !isKnown && k.IsSEP() && !k.IsRevoked() && k.Algorithm == e.Algorithm {
			return z.st.Ring.AddKey(*e, id, k, now)
		}
	}
	return fmt.Errorf("%w: it has none of algorithm %s beside those that are known", errAway, dnssec.AlgorithmName(e.Algorithm))
}

// noticeAway has the KSK rolled over where a response has another one.
func (z *Zone) noticeAway(now time.Time) {
	away := z.offline()
	if away == nil {
		return
	}
	made, err := away.At(now)
	if err != nil {
		return
	}
	r := responseOf(made)
	z.mu.Lock()
	defer z.mu.Unlock()
	all := z.st.Ring.Keys()
	hasOne := slices.ContainsFunc(all, func(k keys.Key) bool { return isAway(k.ID) && !k.Active.IsZero() })
	for _, k := range r.keys {
		isKnown := slices.ContainsFunc(all, func(o keys.Key) bool { return string(o.RData) == string(k.RData()) })
		if hasOne && k.IsSEP() && !k.IsRevoked() && !isKnown {
			// An error says that a rollover is on its way: this one comes after it.
			_ = z.st.Ring.Roll(keys.KSK, now, &z.settings.Policy)
			return
		}
	}
}

// putAway fills in the apex of a plan whose KSK is not here.
func (z *Zone) putAway(plan *sign.Plan, w *keys.Wanted, head *zone.Version, now time.Time) error {
	r, problem := z.responseFor(w, head, now)
	if problem != "" && head != nil && isSigned(head) {
		r.sets, r.sigs = keySets(head)
		r = responseOf(slices.Concat(r.sets, r.sigs))
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if problem != "" && len(r.sets) == 0 {
		// It has never been signed, and goes on like that until there is a response.
		*plan = sign.Plan{ZONEMD: plan.ZONEMD}
		w.Denial, w.Signers, w.DS, w.CDS, w.CDNSKEY = keys.Denial{}, nil, nil, nil, nil
		z.st.Fresh = false
	}
	plan.Apex, plan.KeySigs = r.sets, r.sigs
	if problem == "" {
		problem = z.lacks(&r, w)
	}
	z.awaits = problem
	return nil
}

// responseFor returns the response of now, or says why it is not taken.
func (z *Zone) responseFor(w *keys.Wanted, head *zone.Version, now time.Time) (r response, problem string) {
	away := z.offline()
	if away == nil {
		return r, "the zone's KSK is not here, and its policy has no offline-ksk"
	}
	made, err := away.At(now)
	if err != nil {
		return r, err.Error()
	}
	r = responseOf(made)
	z.mu.Lock()
	defer z.mu.Unlock()
	served := response{}
	if head != nil {
		sets, sigs := keySets(head)
		served = responseOf(slices.Concat(sets, sigs))
	}
	if what := z.endangers(&r, &served, w); what != "" {
		return response{}, what
	}
	return r, ""
}

// endangers says what a response would take away that somebody needs: a ZSK that has signed what is cached, or the last KSK
// whose DS caches have. The caller holds z.mu.
func (z *Zone) endangers(r, served *response, w *keys.Wanted) string {
	for _, s := range w.Signers {
		if k, ok := z.st.Ring.Key(s.ID); ok && s.SignsZone && !r.has(k.RData) {
			return fmt.Sprintf("the signed key response lacks ZSK %d, which signs the zone: make a request with it, and have that signed", k.Tag)
		}
	}
	for _, k := range w.DNSKEYs {
		if !k.IsSEP() && served.has(k.RData()) && !r.has(k.RData()) {
			return fmt.Sprintf("the signed key response lacks ZSK %d, whose signatures are still in caches", k.KeyTag())
		}
	}
	var trusted []string
	for _, k := range z.st.Ring.Keys() {
		switch {
		case k.Records[keys.DS].State != keys.Omnipresent:
		case r.isSignedBy(&k):
			return ""
		default:
			trusted = append(trusted, fmt.Sprint(k.Tag))
		}
	}
	if len(trusted) == 0 {
		return ""
	}
	return fmt.Sprintf("the signed key response is not signed by KSK %s, which is the one with a DS in caches", strings.Join(trusted, " or "))
}

// lacks says what the ring wants that a response does not have yet. The caller holds z.mu.
func (z *Zone) lacks(r *response, w *keys.Wanted) string {
	for _, k := range w.DNSKEYs {
		if !r.has(k.RData()) {
			return fmt.Sprintf("the signed key response does not have key %d yet: make a request with it, and have that signed", k.KeyTag())
		}
	}
	for _, s := range w.Signers {
		if k, ok := z.st.Ring.Key(s.ID); ok && s.SignsKeys && !r.isSignedBy(&k) {
			return fmt.Sprintf("the signed key response is not signed by KSK %d yet", k.Tag)
		}
	}
	return ""
}

// alarmAway tells when there should be another response, and what of it is missing.
func (z *Zone) alarmAway(now time.Time) {
	away := z.offline()
	z.mu.Lock()
	awaits, refresh := z.awaits, z.settings.Policy.Refresh
	z.mu.Unlock()
	z.alarm("response", now, awaits)
	text := ""
	if away != nil {
		if until := away.Until(); !until.IsZero() && until.Sub(now) <= refresh {
			text = fmt.Sprintf("the signed key responses end at %s: make a request for the time to come, and have it signed where the KSK is", until.UTC().Format(time.RFC3339))
		}
	}
	z.alarm("responses end", now, text)
}

// hasKeySigs reports whether the signatures that were made elsewhere are those of v.
func hasKeySigs(v *zone.Version, plan *sign.Plan) bool {
	if len(plan.KeySigs) == 0 {
		return true
	}
	_, there := keySets(v)
	return !slices.ContainsFunc(plan.KeySigs, func(want dns.Record) bool {
		return !slices.ContainsFunc(there, func(r dns.Record) bool { return string(r.Data) == string(want.Data) })
	})
}

// loadSigners adds the keys that sign to a plan, but for those that are away.
func (z *Zone) loadSigners(ctx context.Context, plan *sign.Plan, w *keys.Wanted) (areAway bool, err error) {
	for _, s := range w.Signers {
		if isAway(s.ID) && !s.SignsZone {
			areAway = true
			continue
		}
		k, err := z.k.o.Store.Load(ctx, s.ID)
		if err != nil {
			return areAway, &lostError{s.ID, err}
		}
		plan.Keys = append(plan.Keys, sign.Key{Key: k, SignsKeys: s.SignsKeys, SignsZone: s.SignsZone})
	}
	return areAway, nil
}
