package signer

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/signer/offline"
)

// vault is the machine without a network, with the KSKs.
type vault struct {
	t    *testing.T
	ksks []offline.KSK
	file *offline.File // what it has made last
}

func (v *vault) At(at time.Time) ([]dns.Record, error) {
	if v.file == nil {
		return nil, errors.New("there is no response")
	}
	return v.file.At(at)
}

func (v *vault) Next(at time.Time) time.Time {
	if v.file == nil {
		return time.Time{}
	}
	return v.file.Next(at)
}

func (v *vault) Until() time.Time {
	if v.file == nil {
		return time.Time{}
	}
	return v.file.Until()
}

// addKSK makes a KSK that parents are to have the DS of.
func (v *vault) addKSK() {
	v.t.Helper()
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		v.t.Fatal(err)
	}
	v.ksks = append(v.ksks, offline.KSK{Key: k, CDS: true})
}

// respond makes the response to a request for the zone's ZSKs.
func (v *vault) respond(r *rig, d time.Duration, zsks ...keys.Key) {
	v.t.Helper()
	var all []offline.Scheduled
	for _, k := range zsks {
		all = append(all, offline.Scheduled{Key: k.DNSKEY()})
	}
	ksr, err := offline.NewRequest(r.id.Name, 3600, all, r.now, r.now.Add(d))
	if err != nil {
		v.t.Fatal(err)
	}
	skr, err := offline.Sign(context.Background(), ksr, offline.SignOptions{Keys: v.ksks, Validity: 14 * day, Refresh: 7 * day, Skew: time.Hour, CDSTTL: 3600})
	if err == nil {
		err = skr.Verify(nil)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.file = skr
}

// zsks are those that the ring has, newest last.
func (r *rig) zsks() (out []keys.Key) {
	for _, k := range r.view().Keys {
		if k.Role == keys.ZSK && k.Removed.IsZero() {
			out = append(out, k)
		}
	}
	return out
}

func (r *rig) alarmed(text string) bool {
	return slices.ContainsFunc(r.view().Alarms, func(a string) bool { return strings.Contains(a, text) })
}

func newAwayRig(t *testing.T) (*rig, *vault) {
	p := keys.Default()
	p.Split = true
	v := &vault{t: t}
	v.addKSK()
	r := newRig(t, Settings{Policy: p, Offline: v})
	r.parent.delay = time.Second
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	return r, v
}

// TestAwayKSK: a zone is signed once there is a response, and goes on from one to the next; its ZSK is rolled as responses come.
func TestAwayKSK(t *testing.T) {
	r, v := newAwayRig(t)
	r.pass(2 * day)
	if r.z.Current().Apex().Has(dns.TypeDNSKEY) || !r.alarmed("there is no response") || len(r.zsks()) != 1 {
		t.Fatalf("without a response:\n%s", r.explain())
	}
	if err := r.write("early.example.com. 60 IN A 192.0.2.8"); err != nil {
		t.Errorf("without a response a change is refused: %v", err)
	}
	v.respond(r, 60*day, r.zsks()...)
	r.pass(5 * day)
	if view := r.view(); !isSecured(view) || len(view.Alarms) > 0 {
		t.Fatalf("with a response:\n%s", r.explain())
	}
	for range 3 {
		if err := r.write("new.example.com. 60 IN A 192.0.2." + string(byte('0'+r.steps%10))); err != nil {
			t.Fatal(err)
		}
		r.pass(8 * day)
	}
	if len(r.view().Alarms) > 0 {
		t.Fatalf("in the middle of a response:\n%s", r.explain())
	}
	first := r.zsks()[0]
	if _, err := r.k.Do(t.Context(), r.id, func(ring *keys.Ring, p *keys.Policy, now time.Time) (string, error) {
		return "", ring.Roll(keys.ZSK, now, p)
	}); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	if both := r.zsks(); len(both) != 2 || !r.alarmed("does not have key") || !r.z.Current().Apex().Has(dns.TypeDNSKEY) {
		t.Fatalf("a new ZSK:\n%s", r.explain())
	}
	second := r.zsks()[1]
	v.respond(r, 60*day, r.zsks()...)
	r.pass(3 * day)
	if ids, _ := r.k.SigningKeys(r.id); len(ids) != 1 || ids[0] != second.ID {
		t.Fatalf("the new ZSK is in the DNSKEY set, and %v signs:\n%s", ids, r.explain())
	}
	r.pass(20 * day)
	v.respond(r, 60*day, second)
	r.pass(3 * day)
	if now := r.zsks(); len(now) != 1 || now[0].ID == first.ID || len(r.view().Alarms) > 0 {
		t.Fatalf("the old ZSK should be gone:\n%s", r.explain())
	}
	r.start(*r.s.settings)
	v.respond(r, 10*day, second)
	r.pass(18 * day)
	if !r.alarmed("responses end") {
		t.Errorf("a response ends in days, and nobody is told:\n%s", r.explain())
	}
}

// TestAwayKSKRolls: a KSK that responses bring takes over when the parent has its DS, and one that would leave too early is not
// let go.
func TestAwayKSKRolls(t *testing.T) {
	r, v := newAwayRig(t)
	r.pass(time.Hour)
	v.respond(r, 60*day, r.zsks()...)
	r.pass(5 * day)
	old := v.ksks[0]
	v.addKSK()
	v.ksks = v.ksks[1:]
	v.respond(r, 60*day, r.zsks()...)
	r.pass(2 * day)
	if !r.alarmed("is not signed by KSK") {
		t.Fatalf("a response without the KSK that is trusted:\n%s", r.explain())
	}
	v.ksks = append([]offline.KSK{old}, v.ksks...)
	v.respond(r, 60*day, r.zsks()...)
	r.pass(2 * day)
	v.ksks[0].CDS = false // the new one alone is asked for
	v.respond(r, 60*day, r.zsks()...)
	r.pass(5 * day)
	v.ksks = v.ksks[1:]
	v.respond(r, 60*day, r.zsks()...)
	r.pass(5 * day)
	if len(r.view().Alarms) > 0 || len(r.parent.ds) != 1 || r.parent.ds[0].KeyTag != v.ksks[0].Tag() {
		t.Errorf("after the rollover the parent has %v:\n%s", r.parent.ds, r.explain())
	}
}

// TestAwayIsTaken: a response that lacks the ZSK that signs is not taken; what is served stays.
func TestAwayIsTaken(t *testing.T) {
	r, v := newAwayRig(t)
	r.pass(time.Hour)
	v.respond(r, 60*day, r.zsks()...)
	r.pass(5 * day)
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone)
	if err != nil {
		t.Fatal(err)
	}
	stranger := r.zsks()[0]
	stranger.RData = k.RData()
	v.respond(r, 60*day, stranger)
	r.pass(2 * day)
	if !r.alarmed("lacks ZSK") || !isSecured(r.view()) {
		t.Errorf("a response without the ZSK:\n%s", r.explain())
	}
	if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
		t.Errorf("a change is refused: %v", err)
	}
	r.check()
}
