package keys

import (
	"slices"
	"testing"
	"time"

	"onoma/dns"
)

// TestHalfAParent: a DS that some of the parent's servers have is in no cache for sure while others do not answer.
func TestHalfAParent(t *testing.T) {
	s := newSim(t)
	s.fresh = true
	s.run(time.Hour)
	for range 60 {
		f := s.facts()
		f.Parent = Parent{At: s.now, Asked: 2, Answered: 1, TTL: time.Hour, NegativeTTL: time.Hour}
		for _, d := range s.r.wantedDS(&s.p) {
			f.Parent.DS = append(f.Parent.DS, SeenDS{DS: d, Servers: 1})
		}
		s.r.Step(s.now, &s.p, f)
		s.now = s.now.Add(12 * time.Hour)
	}
	if k := s.r.Keys()[0]; k.Records[DS].State != Rumoured {
		t.Errorf("a server of two has the DS, the other one has not answered, and the DS is %v", k.Records[DS].State)
	}
}

// TestWhatWasSeenBefore: that the parent had no DS before it was asked to remove it says nothing of what came meanwhile.
func TestWhatWasSeenBefore(t *testing.T) {
	s := newSim(t)
	s.fresh = true
	s.run(time.Hour)
	f := s.facts()
	f.Parent = Parent{At: s.now, Asked: 2, Answered: 2, TTL: time.Hour, NegativeTTL: time.Hour}
	s.r.Step(s.now, &s.p, f) // asked for, and not there
	s.now = s.now.Add(10 * time.Minute)
	s.r.GoUnsigned()
	f.InSync, f.Signed = time.Time{}, time.Time{}
	for range 60 {
		f.Generation = s.r.current().Generation
		s.r.Step(s.now, &s.p, f)
		s.now = s.now.Add(12 * time.Hour)
	}
	if k := s.r.Keys()[0]; k.Records[DS].State == Hidden {
		t.Error("the parent was last looked at before it was told to remove the DS, and the DS counts as gone")
	}
}

// TestWhatCannotBeSigned: a DNSKEY set that no key at hand can sign is not wanted.
func TestWhatCannotBeSigned(t *testing.T) {
	s := newSim(t)
	s.fresh, s.p.Split = true, true
	s.run(day)
	s.parent = false
	if err := s.r.Lose("KSK1"); err != nil {
		t.Fatal(err)
	}
	if err := s.r.Roll(ZSK, s.now, &s.p); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.run(12 * time.Hour)
		if v := s.r.current(); slices.Contains(v.KeySigners, "KSK1") && !slices.Equal(v.Keys, []string{"KSK1", "ZSK2"}) {
			t.Fatalf("%v are wanted in the DNSKEY set, which only KSK1 signs, and that is lost", v.Keys)
		}
	}
	s.parent = true
	s.dsAt = s.now.Add(time.Hour)
	for range 20 * 24 {
		s.step()
		s.now = s.now.Add(time.Hour)
	}
	for _, k := range s.r.Keys() {
		if stays := k.Goal == Omnipresent; stays != (k.Phase() == Active) {
			t.Errorf("%s is %s at the end: %v", k.ID, k.Phase(), s.waits())
		}
	}
}

// TestTTLThatCameLate: sets that are served under the plan before still count, with TTLs that came on the way.
func TestTTLThatCameLate(t *testing.T) {
	s := newSim(t)
	s.fresh, s.p.Split = true, true
	s.run(day)
	if err := s.r.Roll(ZSK, s.now, &s.p); err != nil {
		t.Fatal(err)
	}
	for s.r.Keys()[2:] == nil || !slices.Contains(s.r.current().Signers, "ZSK3") {
		s.step()
		s.now = s.now.Add(tick)
	}
	f := s.facts()
	f.Generation, f.InSync, f.Signed, f.MaxTTL = s.r.current().Generation, time.Time{}, time.Time{}, 20*day
	s.r.Step(s.now, &s.p, f) // one that was under way when the new key began to sign, by the old key
	s.now = s.now.Add(tick)
	served := s.now
	for s.now.Before(served.Add(20*day - time.Hour)) {
		s.step()
		s.now = s.now.Add(time.Hour)
		if !slices.Contains(s.r.current().Keys, "ZSK2") {
			t.Fatalf("the old key is gone %v after a set with a TTL of 20 days was served", s.now.Sub(served))
		}
	}
	for range 80 {
		s.step()
		s.now = s.now.Add(time.Hour)
	}
	if slices.Contains(s.r.current().Keys, "ZSK2") {
		t.Errorf("the old key stays: %v", s.waits())
	}
}

// TestAbsurdTTL: a slip of the pen of 136 years does not end all rollovers.
func TestAbsurdTTL(t *testing.T) {
	s := newSim(t)
	s.fresh, s.p.Split = true, true
	s.run(day)
	f := s.facts()
	f.MaxTTL, f.NegativeTTL = dns.MaxTTL*time.Second, dns.MaxTTL*time.Second
	f.Parent.TTL = dns.MaxTTL * time.Second
	s.r.Step(s.now, &s.p, f)
	for _, role := range []Role{ZSK, KSK} {
		if err := s.r.Roll(role, s.now, &s.p); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		s.step()
		s.now = s.now.Add(day)
	}
	for _, k := range s.r.Keys() {
		if k.Goal == Hidden && k.Phase() != Gone {
			t.Errorf("a hundred days later %s is %s: %v", k.ID, k.Phase(), s.waits())
		}
	}
}

// TestNoDeletion: that the DS should go is said only where there is one that should (RFC 8078 §4).
func TestNoDeletion(t *testing.T) {
	s := newSim(t)
	for range 48 {
		s.step()
		w := s.r.Wanted(s.now, &s.p)
		if len(w.CDS) != len(w.DS) || len(w.CDNSKEY) != len(w.CDS) {
			t.Fatalf("after %v the DS set is to be %v, and the CDS say %v", s.now.Sub(s.begin), w.DS, w.CDS)
		}
		s.now = s.now.Add(time.Hour)
	}
	if w := s.r.Wanted(s.now, &s.p); len(w.DS) != 1 {
		t.Errorf("two days later the DS set is to be %v", w.DS)
	}
	s.r.GoUnsigned()
	seen := false
	for range 96 {
		s.step()
		w := s.r.Wanted(s.now, &s.p)
		seen = seen || len(w.CDS) == 1 && w.CDS[0].Algorithm == 0
		s.now = s.now.Add(time.Hour)
	}
	if w := s.r.Wanted(s.now, &s.p); !seen || len(w.CDS) > 0 || w.Denial.Kind != NoDenial {
		t.Errorf("deletion asked for %v, and at the end %v", seen, w)
	}
}
