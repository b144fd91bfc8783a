package gate

import (
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

// signedByOthers returns a version as somebody else has signed it, and the DS record of
// its key.
func signedByOthers(t *testing.T, at time.Time) (*zone.Version, dns.Record) {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, dnssec.ED25519, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	p := &sign.Plan{
		Keys:   []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}},
		Apex:   []dns.Record{{Name: id.Name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 300, Data: k.RData()}},
		Denial: sign.Denial{Kind: sign.NSEC}, Validity: 24 * time.Hour, Skew: time.Hour,
	}
	v, _, err := p.Whole(t.Context(), parse(t, top+"www A 192.0.2.1\n"), at)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dnssec.MakeDS(id.Name, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return v, dns.Record{Name: id.Name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 300, Data: ds.RData()}
}

func edited(t *testing.T, v *zone.Version, edit func(*zone.Editor)) *zone.Version {
	t.Helper()
	e := v.Fork()
	edit(e)
	v, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What comes signed is served where validators would take it.
func TestSignatures(t *testing.T) {
	at := time.Unix(1800000000, 0)
	good, ds := signedByOthers(t, at)
	_, other := signedByOthers(t, at)
	www := dns.MustName("www.example.")
	stale := edited(t, good, func(e *zone.Editor) { _, _ = e.Add(dns.MustRecord("www.example. 300 IN A 192.0.2.99")) })
	bare := edited(t, good, func(e *zone.Editor) { e.RemoveRRset(www, dns.TypeRRSIG) })
	gap := edited(t, good, func(e *zone.Editor) { e.RemoveRRset(www, dns.TypeNSEC) })
	stripped := edited(t, good, func(e *zone.Editor) {
		for r := range good.Records() {
			if r.Type == dns.TypeRRSIG || r.Type == dns.TypeNSEC || r.Type == dns.TypeDNSKEY {
				e.Remove(r)
			}
		}
	})
	for _, c := range []struct {
		name    string
		v       *zone.Version
		rule    DNSSEC
		anchors []dns.Record
		at      time.Time
		door    zone.Door
		want    string // in the refusal; "": it passes
	}{
		{"good", good, DNSSECRequire, nil, at, zone.DoorTransfer, ""},
		{"good, by its DS", good, DNSSECVerify, []dns.Record{other, ds}, at, zone.DoorTransfer, ""},
		{"another key than the parent's", good, DNSSECVerify, []dns.Record{other}, at, zone.DoorTransfer, "wrong with the signatures"},
		{"expired", good, DNSSECVerify, nil, at.Add(25 * time.Hour), zone.DoorTransfer, "wrong with the signatures"},
		{"not yet", good, DNSSECVerify, nil, at.Add(-25 * time.Hour), zone.DoorFile, "wrong with the signatures"},
		{"a record that was not signed", stale, DNSSECVerify, nil, at, zone.DoorTransfer, "www.example."},
		{"without a signature", bare, DNSSECVerify, nil, at, zone.DoorTransfer, "www.example."},
		{"a gap in the chain", gap, DNSSECVerify, nil, at, zone.DoorTransfer, "www.example."},
		{"off", bare, DNSSECOff, nil, at, zone.DoorTransfer, ""},
		{"by UPDATE", bare, DNSSECRequire, nil, at, zone.DoorUpdate, ""},
		{"unsigned", stripped, DNSSECVerify, nil, at, zone.DoorTransfer, ""},
		{"unsigned, and required", stripped, DNSSECRequire, nil, at, zone.DoorTransfer, "is not signed"},
		{"unsigned, with a DS", stripped, DNSSECVerify, []dns.Record{ds}, at, zone.DoorTransfer, "is not signed"},
	} {
		r := Rules{DNSSEC: c.rule, Anchors: c.anchors}
		got := r.Slow(t.Context(), Judged{ID: id, New: c.v, Brought: c.v, Door: c.door, At: c.at})
		if (got == nil) != (c.want == "") || got != nil && (!strings.Contains(got.Error(), c.want) || got.Rule != RuleDNSSEC) {
			t.Errorf("%s: %v, expected %q", c.name, got, c.want)
		}
		if slow := r.IsSlow(c.door); slow != (c.rule != DNSSECOff && c.door != zone.DoorUpdate) {
			t.Errorf("%s: IsSlow is %v", c.name, slow)
		}
	}
	r := Rules{DNSSEC: DNSSECRequire}
	if got := r.Slow(t.Context(), Judged{ID: id, New: bare, Door: zone.DoorTransfer, At: at}); got != nil {
		t.Errorf("what has come is not known, and there is %v", got)
	}
}

// Limits are about authors' records where others are made here.
func TestLimitsOfAuthors(t *testing.T) {
	old, _ := signedByOthers(t, time.Unix(1800000000, 0))
	authored := func(r *dns.Record) bool {
		return r.Type != dns.TypeRRSIG && r.Type != dns.TypeNSEC && r.Type != dns.TypeDNSKEY
	}
	now := edited(t, old, func(e *zone.Editor) { e.RemoveRRset(dns.MustName("www.example."), dns.TypeA) })
	d := zone.Delta{Removed: []dns.Record{dns.MustRecord("www.example. 300 IN A 192.0.2.1")}}
	r := Rules{RemoveRecords: Limit{Share: 0.1}, Checks: CheckOff}
	if got := r.Fast(id, old, now, d, nil); got != nil {
		t.Errorf("1 of %d records: %v", old.Stats().Records, got)
	}
	if got := r.Fast(id, old, now, d, authored); got == nil || !strings.Contains(got.Reason, "1 of 4 records") {
		t.Errorf("1 of 4 records of the authors: %v, expected a refusal", got)
	}
}
