package signer

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/signer/keystore"
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

// TestClockThatWasAhead: what was signed while the clock was ahead is signed anew as soon as it is right.
func TestClockThatWasAhead(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	r := newRig(t, s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	for _, ahead := range []time.Duration{100 * day, 0} {
		r.off = ahead
		r.start(s)
		if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(settling)
		r.k.Wake(r.id)
		r.k.Tend(t.Context())
	}
	r.check()
	steps := r.steps
	for range 20 {
		r.now = r.now.Add(time.Hour)
		r.k.Tend(t.Context())
	}
	if r.check(); r.steps > steps+2 {
		t.Errorf("%d versions more in a day", r.steps-steps)
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

// TestShortSignatures: signatures that are renewed a minute before they end are no reason to withdraw a zone.
func TestShortSignatures(t *testing.T) {
	p := keys.Default()
	p.Validity, p.KeyValidity, p.Refresh, p.Jitter = time.Hour, time.Hour, time.Minute, 10*time.Minute
	r := newRig(t, Settings{Policy: p})
	r.parent.delay = time.Second
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(12 * time.Hour)
	if !isSecured(r.view()) {
		t.Fatalf("no DS:\n%s", r.explain())
	}
	for end := r.now.Add(65 * time.Minute); r.now.Before(end); r.now = r.now.Add(time.Second) {
		r.k.Tend(t.Context())
		if r.z.Current() == nil {
			t.Fatalf("the zone is withdrawn, %v after the beginning:\n%s", r.now.Sub(begin), r.explain())
		}
		if a := r.view().Alarms; len(a) > 0 {
			t.Fatalf("%v after the beginning: %q", r.now.Sub(begin), a)
		}
	}
	r.check()
}

// TestCommandThatIsNotKept: what could not be written has not been done, whatever comes later.
func TestCommandThatIsNotKept(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	r.full = errDisk
	if _, err := r.k.Do(t.Context(), r.id, roll(keys.CSK, true)); !errors.Is(err, errDisk) {
		t.Fatalf("a roll on a full disk: %v", err)
	}
	r.full = nil
	r.pass(2 * day)
	if n := len(r.view().Keys); n != 1 {
		t.Errorf("%d keys:\n%s", n, r.explain())
	}
}

// TestNothingIsServedThatIsNotKept: keys that are known to memory alone sign nothing.
func TestNothingIsServedThatIsNotKept(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	r := newRig(t, s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	s.Policy.Standby = 1 // published at once
	r.full = errDisk
	r.start(s)
	r.k.Wake(r.id)
	r.k.Tend(t.Context())
	if err := r.write("new.example.com. 60 IN A 192.0.2.9"); err == nil {
		set, _ := r.z.Current().Apex().RRset(dns.TypeDNSKEY)
		for rd := range set.RData() {
			if !strings.Contains(string(r.saved), base64.StdEncoding.EncodeToString(rd)) {
				t.Errorf("a key is served that the disk does not know")
			}
		}
	}
	r.full = nil
	r.pass(time.Hour)
	r.check()
}

// TestHalfSigned: as long as some of the zone is signed by the old key, and cannot be signed anew, that key stays.
func TestHalfSigned(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	s.Policy.Split = true
	r := newRig(t, s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * day)
	r.fail, r.which = errDisk, "signatures"
	r.do(roll(keys.ZSK, false))
	r.hours(72) // each hour what is served is verified
	if n := len(r.view().Keys); n != 3 {
		t.Fatalf("%d keys:\n%s", n, r.explain())
	}
	if a := strings.Join(r.view().Alarms, "\n"); !strings.Contains(a, "could not be tended") || !strings.Contains(a, errDisk.Error()) {
		t.Errorf("alarms: %q", a)
	}
	r.fail = nil
	r.hours(48)
	if i := slices.IndexFunc(r.view().Keys, func(k keys.Key) bool { return k.Role == keys.ZSK && k.Phase() == keys.Gone }); i < 0 {
		t.Errorf("the old key is still there:\n%s", r.explain())
	}
}

// TestServersThatLag: nothing goes on before all servers of the zone have what was published, and it is said what is waited for.
func TestServersThatLag(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	r.has = func(zone.ID) (uint32, bool) { return r.z.Latest().Serial(), true }
	r.start(Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.hours(48)
	lag := r.z.Latest().Serial()
	r.has = nil
	served := func(zone.ID) (uint32, bool) { return lag, true }
	r.k.o.InSync = served
	r.do(roll(keys.CSK, false))
	r.hours(120)
	v := r.view()
	if len(v.Keys) != 2 || v.Keys[1].Phase() != keys.Published {
		t.Errorf("the servers have not taken the zone for five days:\n%s", r.explain())
	}
	if !slices.ContainsFunc(v.Waits, func(w keys.Wait) bool { return strings.Contains(w.Text, "all servers have it") }) {
		t.Errorf("nobody says what is waited for: %v", v.Waits)
	}
	lag = r.z.Latest().Serial()
	r.k.o.InSync = func(zone.ID) (uint32, bool) { return r.z.Latest().Serial(), true }
	r.hours(120)
	if v := r.view(); v.Keys[1].Phase() != keys.Active {
		t.Errorf("the servers have it by now:\n%s", r.explain())
	}
}

// TestServersWithOldSignatures: the old key stays until all servers have the zone as it is signed by the new one, not just its keys.
func TestServersWithOldSignatures(t *testing.T) {
	s := Settings{Policy: keys.Default()}
	s.Policy.Split = true
	r := newRig(t, s)
	isCapped := false
	r.has = func(zone.ID) (uint32, bool) {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		if isCapped {
			return r.s.st.Served.Serial, true
		}
		return r.z.Latest().Serial(), true
	}
	r.start(s)
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.hours(48)
	isCapped = true
	r.do(roll(keys.ZSK, false))
	r.hours(120)
	v := r.view()
	if i := slices.IndexFunc(v.Keys, func(k keys.Key) bool { return k.Role == keys.ZSK && k.Goal == keys.Hidden }); i < 0 || v.Keys[i].Records[keys.DNSKEY].State != keys.Omnipresent {
		t.Errorf("the servers have signatures by the old key still:\n%s", r.explain())
	}
	isCapped = false
	r.hours(48)
	if i := slices.IndexFunc(r.view().Keys, func(k keys.Key) bool { return k.Phase() == keys.Gone }); i < 0 {
		t.Errorf("the old key stays:\n%s", r.explain())
	}
}

// hours lets time go by in steps of an hour, however soon somebody wants to look again.
func (r *rig) hours(n int) {
	r.t.Helper()
	for range n {
		r.now = r.now.Add(time.Hour)
		r.k.Wake(r.id)
		r.k.Tend(r.t.Context())
		r.check()
	}
}

// TestContentThatWasRefused: a zone that its authors sign stays theirs where they bring one that is not signed and that is
// refused, although keys were made for it.
func TestContentThatWasRefused(t *testing.T) {
	other := newRig(t, Settings{Policy: keys.Default()})
	if err := other.write(content); err != nil {
		t.Fatal(err)
	}
	s := Settings{Policy: keys.Default(), Auto: true}
	r := newRig(t, s)
	r.z.Publish(other.z.Current())
	r.start(s)
	b := zone.NewBuilder(r.id.Name)
	for _, rec := range parse(t, content) {
		if err := b.Add(rec); err != nil {
			t.Fatal(err)
		}
	}
	bare, _ := b.Build()
	if !r.s.Takes(bare) || !r.s.Owns(r.id.Name, dns.TypeRRSIG) {
		t.Fatal("what comes unsigned is not signed here")
	}
	if _, err := r.s.Whole(t.Context(), bare, r.z.Latest(), r.now); err != nil {
		t.Fatal(err)
	}
	r.s.Took(false)
	steps := r.steps
	for _, when := range []string{"at once", "after a start"} {
		if r.s.Owns(r.id.Name, dns.TypeRRSIG) || !r.view().IsPassive {
			t.Errorf("%s the zone is taken over", when)
		}
		r.hours(48)
		r.start(s)
	}
	if r.steps != steps {
		t.Error("the zone was signed")
	}
	if !r.s.Takes(bare) {
		t.Error("what comes unsigned is not signed here")
	}
	r.s.Took(true)
	if r.view().IsPassive {
		t.Error("what came unsigned is not signed here")
	}
}

// hanging is a parent's side that does not answer about some zones.
type hanging struct {
	on   atomic.Bool
	ctx  context.Context
	seen atomic.Int32 // of the others
}

func (h *hanging) Forget(zone.ID)               {}
func (h *hanging) Seen(zone.ID) (p keys.Parent) { return p }
func (h *hanging) Want(id zone.ID, _ Wish) {
	switch {
	case !h.on.Load():
	case id.Name.String() != "other.":
		<-h.ctx.Done()
	default:
		h.seen.Add(1)
	}
}

// TestZonesThatTakeLong: zones at which the work hangs keep no others from being tended.
func TestZonesThatTakeLong(t *testing.T) {
	store, err := keystore.Open(keystore.Options{Dir: t.TempDir() + "/keys"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &hanging{ctx: ctx}
		began := time.Now()
		k := New(Options{
			Zone: func(zone.ID) *zone.Zone { return nil }, Store: store, Parents: h, Workers: 2,
			Load:  func(context.Context, zone.ID) ([]byte, error) { return nil, nil },
			Save:  func(context.Context, zone.ID, []byte) error { return nil },
			Clock: NewSteady(time.Now, func() time.Duration { return time.Since(began) }),
		})
		names := []string{"a.", "b.", "c.", "d.", "other."}
		for _, n := range names {
			if _, err := k.Add(ctx, zone.IDOf("", dns.MustName(n)), Settings{Policy: keys.Default()}); err != nil {
				t.Fatal(err)
			}
		}
		h.on.Store(true)
		var running sync.WaitGroup
		running.Go(func() { _ = k.Run(ctx) })
		for _, n := range names {
			k.Wake(zone.IDOf("", dns.MustName(n)))
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		if h.seen.Load() == 0 {
			t.Error("five minutes later nobody has looked at the zone that is well")
		}
		cancel()
		running.Wait()
	})
}
