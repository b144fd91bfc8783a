package offline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Scheduled is a key, and from when to when it is in the DNSKEY set; zero: always
// before, or always after.
type Scheduled struct {
	Key             dns.DNSKEY
	Publish, Remove time.Time
}

func (s Scheduled) isIn(at time.Time) bool {
	return !s.Publish.After(at) && (s.Remove.IsZero() || s.Remove.After(at))
}

// NewRequest makes a request for the time from one moment to another: a bundle at
// the beginning, at each change of the keys, and at the end, as Knot has it.
func NewRequest(zone dns.Name, ttl uint32, keys []Scheduled, from, until time.Time) (*File, error) {
	from, until = from.UTC().Truncate(time.Second), until.UTC().Truncate(time.Second)
	if !until.After(from) {
		return nil, fmt.Errorf("making a key signing request: it ends at %s; a time after %s was expected", stamp(until), stamp(from))
	}
	times := map[time.Time]bool{from: true, until: true}
	for _, k := range keys {
		for _, t := range []time.Time{k.Publish.UTC().Truncate(time.Second), k.Remove.UTC().Truncate(time.Second)} {
			if t.After(from) && t.Before(until) {
				times[t] = true
			}
		}
	}
	f := &File{Kind: Request, Zone: zone.Fold(), name: "the request"}
	for _, at := range slices.SortedFunc(maps.Keys(times), time.Time.Compare) {
		b := Bundle{From: at}
		for _, k := range keys {
			if k.Publish, k.Remove = k.Publish.Truncate(time.Second), k.Remove.Truncate(time.Second); k.isIn(at) {
				b.Records = append(b.Records, dns.Record{Name: f.Zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: ttl, Data: k.Key.RData()})
			}
		}
		if len(b.Records) == 0 {
			return nil, fmt.Errorf("making a key signing request: no key is in the zone at %s: generate the next ones first", stamp(at))
		}
		f.Bundles = append(f.Bundles, b)
	}
	return f, nil
}

// KSK is a key that signs the sets; zero times do not bound. CDS says that parents
// are to have its DS.
type KSK struct {
	*dnssec.Key
	Publish, Activate, Inactive, Remove time.Time
	CDS                                 bool
}

// SignOptions say how a request is signed.
type SignOptions struct {
	Keys     []KSK
	Validity time.Duration // of a signature
	Refresh  time.Duration // of it that is left when the next one takes its place
	Skew     time.Duration // inception lies so much before
	Digests  []uint8       // of CDS; none: SHA-256
	CDSTTL   uint32
	Until    time.Time // the end of the last bundle; zero: its beginning, as Knot's requests have it
}

// maxSigned bounds what a request may make us sign.
const maxSigned = maxBundles

// Sign makes the response to a request. Who signs has seen where it comes from.
func Sign(ctx context.Context, ksr *File, o SignOptions) (*File, error) {
	if ksr.Kind != Request {
		return nil, errors.New("signing keys: a key signing request was expected; this is a response")
	}
	step := (o.Validity - o.Refresh).Truncate(time.Second)
	if step < time.Minute || o.Refresh < 0 {
		return nil, fmt.Errorf("signing keys: signatures are good for %v and refreshed %v before they end: less was expected", o.Validity, o.Refresh)
	}
	if o.Digests == nil {
		o.Digests = []uint8{dnssec.DigestSHA256}
	}
	out := &File{Kind: Response, Zone: ksr.Zone, name: "the response"}
	bundles := atChanges(ksr.Bundles, &o)
	for i, b := range bundles {
		until := o.Until
		if i+1 < len(bundles) {
			until = bundles[i+1].From
		}
		for at := b.From; at.Equal(b.From) || at.Before(until); at = at.Add(step) {
			if len(out.Bundles) == maxSigned {
				return nil, fmt.Errorf("signing keys: more than %d times: ask for less, or let signatures be good for longer", maxSigned)
			}
			signed, err := signBundle(ctx, ksr.Zone, b, at, &o)
			if err != nil {
				return nil, fmt.Errorf("signing keys for %s: %w", stamp(at), err)
			}
			out.Bundles = append(out.Bundles, signed)
		}
	}
	return out, nil
}

// atChanges adds bundles at the times when something happens to a KSK.
func atChanges(bundles []Bundle, o *SignOptions) []Bundle {
	bundles = slices.Clone(bundles)
	for _, k := range o.Keys {
		for _, t := range []time.Time{k.Publish, k.Activate, k.Inactive, k.Remove} {
			t = t.UTC().Truncate(time.Second)
			i, found := slices.BinarySearchFunc(bundles, t, func(b Bundle, t time.Time) int { return b.From.Compare(t) })
			isLast := i == len(bundles) && !t.Before(o.Until)
			if !t.IsZero() && !found && i > 0 && !isLast {
				bundles = slices.Insert(bundles, i, Bundle{From: t, Records: bundles[i-1].Records})
			}
		}
	}
	return bundles
}

func within(at, from, until time.Time) bool {
	return !from.After(at) && (until.IsZero() || until.After(at))
}

func signBundle(ctx context.Context, zone dns.Name, in Bundle, at time.Time, o *SignOptions) (Bundle, error) {
	b := Bundle{From: at, Records: slices.Clone(in.Records)}
	for _, k := range in.Keys() { // a request brings zone-signing keys, nothing else
		if !k.IsZoneKey() || k.IsSEP() || k.IsRevoked() || k.Protocol != 3 {
			return b, fmt.Errorf("the request has the key %d with flags %d; zone-signing keys (256) were expected", k.KeyTag(), k.Flags)
		}
	}
	if len(in.Keys()) != len(in.Records) {
		return b, errors.New("the request has other records than DNSKEY")
	}
	ttl := in.Records[0].TTL
	add := func(t dns.Type, ttl uint32, d dns.RData) {
		b.Records = append(b.Records, dns.Record{Name: zone, Type: t, Class: dns.ClassIN, TTL: ttl, Data: d})
	}
	for _, k := range o.Keys {
		if within(at, k.Publish, k.Remove) {
			add(dns.TypeDNSKEY, ttl, k.RData())
		}
	}
	if err := addCDS(zone, at, o, add); err != nil {
		return b, err
	}
	for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		if err := signSet(ctx, zone, &b, t, o); err != nil {
			return b, err
		}
	}
	return b, nil
}

// addCDS asks the parent for the keys that it is to have (RFC 7344 §4).
func addCDS(zone dns.Name, at time.Time, o *SignOptions, add func(dns.Type, uint32, dns.RData)) error {
	for _, k := range o.Keys {
		if !k.CDS || !within(at, k.Publish, k.Remove) {
			continue
		}
		add(dns.TypeCDNSKEY, o.CDSTTL, k.RData())
		for _, digest := range o.Digests {
			ds, err := dnssec.MakeDS(zone, k.DNSKEY(), digest)
			if err != nil {
				return err
			}
			add(dns.TypeCDS, o.CDSTTL, ds.RData())
		}
	}
	return nil
}

func signSet(ctx context.Context, zone dns.Name, b *Bundle, t dns.Type, o *SignOptions) error {
	set, signed := b.set(t), false
	if len(set.RData) == 0 {
		return nil
	}
	for _, k := range o.Keys {
		if !within(b.From, k.Activate, k.Inactive) || !b.Has(k.DNSKEY()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := dnssec.SignRRset(k.Key, zone, set, uint32(b.From.Add(-o.Skew).Unix()), uint32(b.From.Add(o.Validity).Unix()))
		if err != nil {
			return err
		}
		b.Sigs = append(b.Sigs, dns.Record{Name: zone, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: set.TTL, Data: s.RData()})
		signed = true
	}
	if !signed {
		return errors.New("no KSK is active: give one whose times have this in them")
	}
	return nil
}
