package keys

import (
	"strings"
	"testing"
	"time"
)

func TestClockThatGoesBackStopsAll(t *testing.T) {
	s := newSim(t)
	s.fresh = true
	s.run(day)
	s.r.Roll(CSK, s.now, &s.p)
	s.run(time.Hour)
	before, _ := s.r.MarshalJSON()
	back := s.now.Add(-10 * day)
	events := s.r.Step(back, &s.p, Facts{Generation: s.gen, InSync: s.synced, Signed: s.synced})
	after, _ := s.r.MarshalJSON()
	if string(before) != string(after) || len(events) != 1 || events[0].What != Alarm {
		t.Errorf("the ring went on: %v", events)
	}
	if w := s.r.Explain(); len(w) != 1 || !w[0].Alarm || !strings.Contains(w[0].Text, "clock") {
		t.Errorf("explained by %v", w)
	}
	// An operator says that the clock is right: waits begin anew, and the rollover comes to its end.
	s.r.TrustClock(back)
	s.now, s.synced, s.dsAt = back, back, back
	s.parent = true
	s.run(3 * day)
	for _, k := range s.r.Keys() {
		if want := map[string]string{"CSK1": Gone, "CSK2": Active}[k.ID]; k.Phase() != want {
			t.Errorf("%s is %s, want %s: %v", k.ID, k.Phase(), want, s.waits())
		}
	}
}

// TestWhatPeopleSayOfTheParentCounts: what is seen from here is another parent than theirs, perhaps.
func TestWhatPeopleSayOfTheParentCounts(t *testing.T) {
	s := newSim(t)
	s.fresh, s.p.Parent = true, ByHand
	s.run(time.Hour)
	if err := s.r.DSSeen("CSK1", s.now); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f := s.facts()
		f.Parent = Parent{At: s.now, Asked: 2, Answered: 2, TTL: time.Minute, NegativeTTL: time.Minute}
		for _, e := range s.r.Step(s.now, &s.p, f) {
			if e.What == Alarm {
				t.Error(e.Text)
			}
		}
		s.now = s.now.Add(s.p.ParentTTL)
	}
	if k := s.r.Keys()[0]; k.Records[DS].State != Omnipresent {
		t.Errorf("the DS is %v, expected %v: %v", k.Records[DS].State, Omnipresent, s.waits())
	}
}

// TestNobodyForetellsWhatIsNotKnown: keys that were imported with their DS, and a parent that nobody has asked yet.
func TestNobodyForetellsWhatIsNotKnown(t *testing.T) {
	s := newSim(t)
	need := Event{Role: CSK, Algorithm: s.p.Algorithm}
	k, id := s.key(need, 1)
	if err := s.r.Import(id, k, CSK, false, true, s.now); err != nil {
		t.Fatal(err)
	}
	f := s.facts()
	f.Parent = Parent{}
	s.r.Step(s.now, &s.p, f)
	if e := s.r.Timeline(s.now, &s.p, f, s.now.Add(30*day)); len(e) > 0 {
		t.Errorf("foretold: %v", e[0].Text)
	}
}

// TestSilenceProvesNothing: a parent's server that does not answer has the DS no more and no less than before.
func TestSilenceProvesNothing(t *testing.T) {
	s := newSim(t)
	s.fresh = true
	s.run(day)
	f := s.facts()
	f.Parent.DS, f.Parent.Answered = nil, 0
	f.Parent.At = s.now.Add(time.Hour)
	s.r.Step(f.Parent.At, &s.p, f)
	if k := s.r.Keys()[0]; k.Records[DS].State != Omnipresent {
		t.Errorf("no answer made the DS %v", k.Records[DS].State)
	}
	s.r.Roll(CSK, s.now, &s.p)
	s.now = s.now.Add(2 * time.Hour)
	s.parent = false
	s.run(12 * time.Hour)
	g := s.facts()
	k1 := s.r.key("CSK1")
	if k1.Records[DS].State != Unretentive || k1.Parent.Servers != 2 {
		t.Fatalf("the DS of CSK1 is %v at %d servers", k1.Records[DS].State, k1.Parent.Servers)
	}
	g.Parent.DS, g.Parent.Answered, g.Parent.At = nil, 1, s.now
	s.r.Step(s.now, &s.p, g)
	if !k1.Parent.Nobody.IsZero() {
		t.Error("one server of two proves that nobody has the DS")
	}
	g.Parent.Answered, g.Parent.At = 2, s.now.Add(time.Hour)
	s.r.Step(g.Parent.At, &s.p, g)
	if k1.Parent.Nobody.IsZero() {
		t.Error("two servers of two do not prove that nobody has the DS")
	}
}

func TestCommandsRefuse(t *testing.T) {
	s := newSim(t)
	s.run(day)
	k, _ := s.key(Event{Role: CSK, Algorithm: 13}, 77)
	rsa, _ := s.key(Event{Role: ZSK, Algorithm: 8}, 78)
	revoked := k
	revoked.Flags |= 1 << 7
	for name, err := range map[string]error{
		"roll what is not there": s.r.Roll(ZSK, s.now, &s.p),
		"retire nothing":         s.r.Retire("x", s.now),
		"forget a key in use":    s.r.Forget("CSK1"),
		"import beside own keys": s.r.Import("i", k, CSK, false, true, s.now),
		"other algorithm":        s.r.AddForeign("other", "o", rsa, ZSK, s.now),
		"same id":                s.r.AddKey(Event{Role: CSK}, "CSK1", k, s.now),
		"revoked":                s.r.AddKey(Event{Role: CSK}, "new", revoked, s.now),
		"the DS of nothing":      s.r.DSSeen("x", s.now),
		"a provider that is not": s.r.RemoveForeign("other", s.now),
		"restore nothing":        s.r.Restore("x", s.now),
		"find what was not lost": s.r.Found("CSK1"),
		"a policy without sense": (&Policy{}).Check(),
		"a life time of an hour": func() error { p := Default(); p.KSKLife = time.Hour; return p.Check() }(),
	} {
		if err == nil {
			t.Errorf("%s: done", name)
		}
	}
}

// TestImport takes over keys that are in use: nothing waits, and the next rollover is like any other.
func TestImport(t *testing.T) {
	s := newSim(t)
	s.p.Split = true
	ksk, _ := s.key(Event{Role: KSK, Algorithm: 8}, 50)
	zsk, _ := s.key(Event{Role: ZSK, Algorithm: 8}, 62)
	for _, err := range []error{s.r.Import("ksk", ksk, KSK, false, true, s.now), s.r.Import("zsk", zsk, ZSK, false, false, s.now)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.p.Algorithm = 8
	s.ds = s.r.dsOf(s.r.key("ksk"), &s.p)
	if out := s.run(time.Hour); strings.Contains(strings.Join(out, " "), "needed") {
		t.Errorf("imported keys do not do: %v", out)
	}
	if w := s.r.Wanted(s.now, &s.p); len(w.DNSKEYs) != 2 || len(w.Signers) != 2 || len(w.CDS) != 1 {
		t.Errorf("wanted: %+v", w)
	}
	s.p.Algorithm = 13
	s.run(4 * day)
	for _, k := range s.r.Keys() {
		if want := map[uint8]string{8: Gone, 13: Active}[k.Algorithm]; k.Phase() != want {
			t.Errorf("%s is %s, want %s: %v", k.ID, k.Phase(), want, s.waits())
		}
	}
}

// TestHalfOfTheParentIsNotAll: a DS that one of two servers has is in no cache for certain, however long it is there.
func TestHalfOfTheParentIsNotAll(t *testing.T) {
	s := newSim(t)
	s.fresh, s.parent = true, false
	s.run(2 * time.Hour)
	f := s.facts()
	k := s.r.key("CSK1")
	f.Parent.DS = []SeenDS{{DS: s.r.dsOf(k, &s.p)[0], Servers: 1}}
	for range 3 {
		s.now = s.now.Add(10 * day)
		f.Parent.At = s.now
		s.r.Step(s.now, &s.p, f)
	}
	if got := k.Records[DS].State; got != Rumoured {
		t.Errorf("the DS is %v", got)
	}
	if w := strings.Join(s.waits(), "\n"); !strings.Contains(w, "1 of 2 servers have it") {
		t.Errorf("explained by %q", w)
	}
}

// TestWholeSeconds: a resolver that counts in whole seconds has a set for up to a second longer than its TTL. That second is waited for
// whatever the margins are, and in an emergency; for the DS as well as for the keys.
func TestWholeSeconds(t *testing.T) {
	for _, how := range []string{"roll", "emergency"} {
		s := newSim(t)
		s.fresh = true
		s.p.PublishSafety, s.p.RetireSafety = 0, 0
		s.run(24 * time.Hour)
		s.do([]string{how, "CSK"})
		s.step()
		for _, next := range []struct {
			record Record
			after  time.Duration // of the TTL, from when all servers have what is new
		}{{DNSKEY, time.Hour}, {DS, 2 * time.Hour}} {
			from := s.synced
			if next.record == DS {
				s.now = s.dsAt
				s.step() // the parent has it from here on
				from = s.now
			}
			s.now = from.Add(next.after)
			s.step()
			if k, _ := s.r.Key("CSK2"); k.Records[next.record].State != Rumoured {
				t.Errorf("%s: when the TTL is over, the %v is %v, expected rumoured", how, next.record, k.Records[next.record].State)
			}
			s.now = s.now.Add(time.Second)
			s.step()
			if k, _ := s.r.Key("CSK2"); k.Records[next.record].State != Omnipresent {
				t.Errorf("%s: a second later the %v is %v, expected omnipresent", how, next.record, k.Records[next.record].State)
			}
		}
	}
}
