package signer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/zone"
)

const content = `example.com. 3600 IN SOA ns.example.com. admin.example.com. 1 7200 3600 1209600 300
example.com. 3600 IN NS ns.example.com.
ns.example.com. 3600 IN A 192.0.2.1
www.example.com. 3600 IN A 192.0.2.2
sub.example.com. 3600 IN NS ns.sub.example.com.
ns.sub.example.com. 3600 IN A 192.0.2.3`

const day = 24 * time.Hour

func isSecured(v View) bool {
	return slices.ContainsFunc(v.Keys, func(k keys.Key) bool { return k.Records[keys.DS].State == keys.Omnipresent })
}

// TestSigned: a zone is signed with its first content, the parent gets its DS, and a month later nothing has expired.
func TestSigned(t *testing.T) {
	for _, kind := range []keys.DenialKind{keys.NSEC, keys.NSEC3, keys.Compact} {
		p := keys.Default()
		p.Denial = keys.Denial{Kind: kind}
		r := newRig(t, Settings{Policy: p})
		if err := r.write(content); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * day)
		if !isSecured(r.view()) {
			t.Fatalf("two days later the parent has no DS:\n%s", r.explain())
		}
		r.pass(30 * day)
		if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
			t.Fatal(err)
		}
		r.pass(10 * day)
		if len(r.view().Alarms) > 0 {
			t.Errorf("alarms:\n%s", r.explain())
		}
		if r.steps > 200 {
			t.Errorf("%d versions in six weeks", r.steps)
		}
	}
}

// TestMoved: a zone that others may have served unsigned until now has no DS before the world's caches have forgotten that.
func TestMoved(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	r.parent.delay = time.Second
	if err := r.write(content + "\nlong.example.com. 86400 IN A 192.0.2.4"); err != nil {
		t.Fatal(err)
	}
	r.pass(day - time.Minute)
	if len(r.parent.ds) > 0 {
		t.Fatalf("the parent has a DS while unsigned records are cached:\n%s", r.explain())
	}
	r.pass(3 * time.Hour)
	if len(r.parent.ds) == 0 {
		t.Fatalf("a day later the parent has no DS:\n%s", r.explain())
	}
}

// TestNew: of a zone that is new to the world the parent is told at once.
func TestNew(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default(), New: true})
	r.parent.delay = time.Second
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(5 * time.Second)
	if len(r.parent.ds) == 0 {
		t.Fatalf("five seconds later the parent has no DS:\n%s", r.explain())
	}
}

// TestRolls: each kind of rollover comes to its end, with a restart in the middle of each.
func TestRolls(t *testing.T) {
	for name, change := range map[string]func(*rig, *Settings){
		"csk":        func(r *rig, _ *Settings) { r.do(roll(keys.CSK, false)) },
		"emergency":  func(r *rig, _ *Settings) { r.do(roll(keys.CSK, true)) },
		"algorithm":  func(_ *rig, s *Settings) { s.Policy.Algorithm = 15 },
		"split":      func(_ *rig, s *Settings) { s.Policy.Split = true },
		"nsec3":      func(_ *rig, s *Settings) { s.Policy.Denial = keys.Denial{Kind: keys.NSEC3, SaltLength: 4} },
		"compact":    func(_ *rig, s *Settings) { s.Policy.Denial = keys.Denial{Kind: keys.Compact} },
		"unsigned":   func(_ *rig, s *Settings) { s.Policy.Unsigned = true },
		"the digest": func(_ *rig, s *Settings) { s.ZONEMD = []uint8{1} },
	} {
		t.Run(name, func(t *testing.T) {
			s := Settings{Policy: keys.Default()}
			r := newRig(t, s)
			if err := r.write(content); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * day)
			before := r.view()
			change(r, &s)
			for range 6 {
				r.start(s)
				r.pass(10 * time.Hour)
			}
			r.pass(10 * day)
			v := r.view()
			if s.Policy.Unsigned {
				if v.IsSigned || r.z.Current().Apex().Has(dns.TypeDNSKEY) || len(r.parent.ds) > 0 {
					t.Errorf("the zone is still signed:\n%s", r.explain())
				}
				return
			}
			if name == "csk" || name == "emergency" || name == "algorithm" || name == "split" {
				old := slices.IndexFunc(v.Keys, func(k keys.Key) bool { return k.ID == before.Keys[0].ID })
				if old >= 0 && v.Keys[old].Phase() != keys.Gone {
					t.Errorf("the old key is still there:\n%s", r.explain())
				}
			}
			if !isSecured(v) {
				t.Errorf("the parent has no DS any more:\n%s", r.explain())
			}
		})
	}
}

// TestUnsignedUnseen: a DS that somebody has brought to the parent by hand, while the parent did not answer, is not left behind by
// a zone that goes unsigned.
func TestUnsignedUnseen(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	r := newRig(t, s)
	r.parent.isMute, r.parent.isDeaf = true, true
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	ds, err := dnssec.MakeDS(r.id.Name, dnskeyOf(t, r), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	r.parent.ds = []dns.DS{ds}
	s.Policy.Unsigned = true
	r.start(s)
	r.pass(5 * day)
	if !r.z.Current().Apex().Has(dns.TypeDNSKEY) {
		t.Fatalf("the zone is not signed any more, and the parent has its DS:\n%s", r.explain())
	}
	if !strings.Contains(r.explain(), "say that there is none (ds-gone)") {
		t.Errorf("nothing says what is waited for:\n%s", r.explain())
	}
	r.parent.isMute = false
	r.pass(5 * day)
	if !r.z.Current().Apex().Has(dns.TypeDNSKEY) {
		t.Fatalf("the zone is not signed any more, and the parent has its DS, as it says:\n%s", r.explain())
	}
	r.parent.ds, r.parent.isMute = nil, true
	r.start(s)
	r.do(func(ring *keys.Ring, _ *keys.Policy, now time.Time) (string, error) {
		return "", ring.DSGone(ring.Keys()[0].ID, now)
	})
	r.pass(5 * day)
	if r.z.Current().Apex().Has(dns.TypeDNSKEY) {
		t.Errorf("the zone is still signed:\n%s", r.explain())
	}
}

func dnskeyOf(t *testing.T, r *rig) dns.DNSKEY {
	t.Helper()
	set, ok := r.z.Current().Apex().RRset(dns.TypeDNSKEY)
	if !ok {
		t.Fatal("the zone has no keys")
	}
	k, err := dns.ParseDNSKEY(set.First())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func roll(role keys.Role, urgent bool) Command {
	return func(ring *keys.Ring, p *keys.Policy, now time.Time) (string, error) {
		if urgent {
			return "", ring.RollEmergency(role, now)
		}
		return "", ring.Roll(role, now, p)
	}
}

func (r *rig) do(c Command) {
	r.t.Helper()
	if _, err := r.k.Do(r.t.Context(), r.id, c); err != nil {
		r.t.Fatal(err)
	}
}

// TestClock: a clock that is set, or that stands still, spoils no signature.
func TestClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"into the future": 100 * day, "into the past": -100 * day} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Settings{Policy: keys.Default()})
			if err := r.write(content); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * day)
			r.off = off
			if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
				t.Fatal(err)
			}
			r.pass(20 * day)
			if a := r.view().Alarms; len(a) != 1 || !strings.Contains(a[0], "jumped") {
				t.Errorf("alarms: %q", a)
			}
			r.off = 0
			r.pass(day)
			if a := r.view().Alarms; len(a) != 0 {
				t.Errorf("the clock is right again, and these alarms stand: %q", a)
			}
		})
	}
}

// TestExpiry: where signatures cannot be made anew there are alarms, and then a zone with a DS is withdrawn, and comes back.
func TestExpiry(t *testing.T) {
	for _, secured := range []bool{true, false} {
		r := newRig(t, Settings{Policy: keys.Default()})
		r.parent.isDeaf = !secured
		if err := r.write(content); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * day)
		r.fail = errDisk
		alarmed := time.Time{}
		for range 20 {
			r.now = r.now.Add(day)
			r.k.Wake(r.id)
			r.k.Tend(t.Context())
			a := strings.Join(r.view().Alarms, "\n")
			if alarmed.IsZero() && strings.Contains(a, "should have been made anew") && strings.Contains(a, errDisk.Error()) {
				alarmed = r.now
			}
			if r.z.Current() != nil && secured {
				r.check()
			}
		}
		if alarmed.IsZero() || alarmed.Sub(begin) > 13*day {
			t.Errorf("the alarm came at %v:\n%s", alarmed, r.explain())
		}
		withdrawn := 0
		if secured {
			withdrawn = 1
		}
		if c := r.k.Counts(5, nil); c.Signed != 1 || c.Alarming != 1 || c.Withdrawn != withdrawn || len(c.Worst) != 1 || !strings.Contains(c.Worst[0].Text, errDisk.Error()) {
			t.Errorf("with a DS %v: counted %+v", secured, c)
		}
		if isGone := r.z.Current() == nil; isGone != secured {
			t.Errorf("with a DS %v: the zone is withdrawn %v:\n%s", secured, isGone, r.explain())
		}
		r.fail = nil
		r.pass(time.Hour)
		if r.z.Current() == nil {
			t.Errorf("the zone does not come back:\n%s", r.explain())
		}
		if c := r.k.Counts(5, func(zone.ID) string { return "no parent" }); c.Alarming != 1 || c.Worst[0].Text == "" {
			t.Errorf("with what others have found: counted %+v", c)
		}
		if c := r.k.Counts(5, nil); c.Withdrawn != 0 || c.Signatures == 0 || c.Keys[keys.Active] != 1 || c.First.Before(r.now) {
			t.Errorf("all is well again: counted %+v", c)
		}
		if a := r.view().Alarms; len(a) > 0 && secured {
			t.Errorf("all is well again, and these alarms stand: %q", a)
		}
	}
}

// TestLongPause: a server that was away for longer than its signatures serves none of them when it comes back.
func TestLongPause(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	r := newRig(t, s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	r.now = r.now.Add(60 * day)
	r.start(s)
	if r.z.Current() != nil {
		t.Fatal("expired signatures are served")
	}
	r.pass(time.Minute)
	if r.z.Current() == nil {
		t.Fatalf("the zone does not come back:\n%s", r.explain())
	}
	r.check()
}

// TestLostKey: a zone whose key file is gone goes on with what was signed, gets another key, and says so.
func TestLostKey(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	r := newRig(t, s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	files, _ := filepath.Glob(r.dir + "/*")
	kept := map[string][]byte{}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil {
			kept[f] = data
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.start(s)
	r.pass(time.Hour)
	if a := strings.Join(r.view().Alarms, "\n"); !strings.Contains(a, "lost") {
		t.Errorf("alarms: %s", a)
	}
	if r.z.Current() == nil {
		t.Fatal("the zone is not served")
	}
	for f, data := range kept {
		if err := os.WriteFile(f, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.pass(12 * day)
	if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
		t.Fatalf("with the key back: %v\n%s", err, r.explain())
	}
	r.check()
}

// TestDSByForce: a DS that somebody takes away is an alarm, and the zone goes on.
func TestDSByForce(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	r.parent.isDeaf, r.parent.ds = true, nil
	r.pass(5 * day)
	v := r.view()
	text := strings.Join(v.Alarms, "\n")
	for _, w := range v.Waits {
		text += "\n" + w.Text
	}
	if !strings.Contains(text, "DS") || !strings.Contains(text, "parent") {
		t.Errorf("nobody is told:\n%s", r.explain())
	}
}

// TestAuthorsSign: a zone that comes signed is left alone, until one comes that is not.
func TestAuthorsSign(t *testing.T) {
	other := newRig(t, Settings{Policy: keys.Default()})
	if err := other.write(content); err != nil {
		t.Fatal(err)
	}
	signed := other.z.Current()
	r := newRig(t, Settings{Policy: keys.Default(), Auto: true})
	if !r.s.Takes(signed) == false {
		t.Error("a zone that is signed is to be signed")
	}
	if r.s.Owns(r.id.Name, dns.TypeRRSIG) {
		t.Error("signatures of its authors are not theirs")
	}
	if _, err := r.submit(t.Context(), zone.Change{Zone: r.id, By: zone.Author{Door: zone.DoorFile}, Replace: signed}); err != nil {
		t.Fatal(err)
	}
	r.s.Took(true)
	if d := zone.Diff(signed, r.z.Current()); !d.IsEmpty() {
		t.Errorf("%d records are other ones", len(d.Added))
	}
	r.pass(30 * day) // nobody signs it anew: that is its authors' business
	unsigned, _ := zone.NewBuilder(r.id.Name), 0
	for _, rec := range parse(t, content) {
		if err := unsigned.Add(rec); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := unsigned.Build()
	if !r.s.Takes(v) {
		t.Error("a zone that is not signed is left alone")
	}
}

// TestRestartGoesOn: what a key ring has to do next is known again after a start, with nobody to wake the zone.
func TestRestartGoesOn(t *testing.T) {
	p := keys.Default()
	p.Split, p.ZSKLife = true, 2*day
	r := newRig(t, Settings{Policy: p})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(day)
	r.start(Settings{Policy: p})
	r.now = r.now.Add(time.Minute)
	if next := r.k.Tend(t.Context()); next.IsZero() || next.After(begin.Add(2*day)) {
		t.Errorf("the zone is looked at next at %s, and its ZSK is to follow another one at %s", next, begin.Add(2*day))
	}
}
