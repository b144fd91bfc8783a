package signer

import (
	"slices"
	"testing"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
)

// TestSlowSigning: what takes long to sign is served since it is served, not since somebody began to sign it.
func TestSlowSigning(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	r.slow = 40 * time.Minute
	r.do(roll(keys.CSK, false))
	r.slow = 0
	published := r.now
	r.pass(10 * time.Second)
	if v := r.view(); v.Served.Before(published) {
		t.Errorf("the new keys count as served since %s, and were published at %s", v.Served, published)
	}
}

// TestTTLThatWas: a long TTL that stood in the zone for a moment only is in caches all the same, and the old key stays as long.
func TestTTLThatWas(t *testing.T) {
	p := keys.Default()
	p.Split = true
	r := newRig(t, Settings{Policy: p})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	for _, text := range []string{"tmp.example.com. 604800 IN A 192.0.2.9", "tmp.example.com. 60 IN A 192.0.2.9"} {
		if err := r.write(text); err != nil {
			t.Fatal(err)
		}
	}
	was := r.now
	old := r.view().Keys[slices.IndexFunc(r.view().Keys, func(k keys.Key) bool { return k.Role == keys.ZSK })]
	r.do(roll(keys.ZSK, false))
	for r.now.Sub(was) < 7*day-time.Hour {
		r.pass(3 * time.Hour)
		set, _ := r.z.Current().Apex().RRset(dns.TypeDNSKEY)
		found := false
		for rd := range set.RData() {
			found = found || string(rd) == string(old.RData)
		}
		if !found && r.now.Sub(was) < 7*day {
			t.Fatalf("%v after a set with a TTL of 7 days was replaced the key that signed it is gone:\n%s", r.now.Sub(was), r.explain())
		}
	}
}

// TestClockWithoutBattery: a machine that does not know the year when it starts signs nothing that is expired for those who do.
func TestClockWithoutBattery(t *testing.T) {
	for name, off := range map[string]time.Duration{"1970": begin.Sub(time.Unix(60, 0)), "last month": 30 * day} {
		t.Run(name, func(t *testing.T) {
			s := Settings{Policy: keys.Default()}
			r := newRig(t, s)
			if err := r.write(content); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * day)
			r.off = -off
			r.start(s)
			if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
				t.Fatal(err)
			}
			r.check()
			r.k.Wake(r.id)
			r.k.Tend(t.Context())
			r.check()
			r.off = 0
			r.pass(15 * day)
			if a := r.view().Alarms; len(a) != 0 {
				t.Errorf("the clock is right again, and these alarms stand: %q", a)
			}
		})
	}
}

// TestSettingsTakeEffect: what is wanted otherwise is done, not left until somebody changes the zone.
func TestSettingsTakeEffect(t *testing.T) {
	for name, change := range map[string]struct {
		do    func(*Settings)
		isNow func(*zone.Version) bool
	}{
		"opt-out": {func(s *Settings) { s.Policy.Denial.OptOut = true }, func(v *zone.Version) bool {
			for n := range v.NSEC3Owners() {
				set, _ := n.RRset(dns.TypeNSEC3)
				return set.First()[1] == dns.NSEC3OptOut
			}
			return false
		}},
		"zonemd": {func(s *Settings) { s.ZONEMD = []uint8{1} }, func(v *zone.Version) bool { return v.Apex().Has(dns.TypeZONEMD) }},
		"ttl": {func(s *Settings) { s.Policy.DNSKEYTTL = 2 * time.Hour }, func(v *zone.Version) bool {
			set, _ := v.Apex().RRset(dns.TypeDNSKEY)
			return set.TTL() == 7200
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Settings{Policy: keys.Default()}
			s.Policy.Denial = keys.Denial{Kind: keys.NSEC3}
			r := newRig(t, s)
			if err := r.write(content); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * day)
			change.do(&s)
			if _, err := r.k.Add(t.Context(), r.id, s); err != nil {
				t.Fatal(err)
			}
			r.pass(time.Minute)
			if !change.isNow(r.z.Current()) {
				t.Error("a minute later nothing has happened")
			}
			steps := r.steps
			r.pass(time.Hour)
			if r.steps != steps {
				t.Errorf("%d versions more in an hour", r.steps-steps)
			}
		})
	}
}
