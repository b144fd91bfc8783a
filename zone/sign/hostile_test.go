package sign_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
)

// TestPlansFollowEachOther: whatever plans follow one another, keys and denial changing in the middle of changes and of being
// signed anew, no version is bogus, and each plan is reached.
func TestPlansFollowEachOther(t *testing.T) {
	var all []dns.Record
	var list []*sign.Plan
	for range 3 {
		k := newKey(t, dnssec.ED25519, ksk)
		all = append(all, dnskeys(k)...)
		for _, d := range denials {
			list = append(list, &sign.Plan{Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Denial: d, Workers: 1,
				Validity: 4 * time.Hour, Refresh: time.Hour, Jitter: time.Hour, Skew: time.Minute})
		}
	}
	for _, p := range list {
		if p.Denial.Kind != sign.None {
			p.Apex = all
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v, at := loadRapid(t, example), noon
		for serial := range uint32(rapid.IntRange(1, 8).Draw(t, "changes")) {
			p := rapid.SampledFrom(list).Draw(t, "plan")
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute)
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0, 1:
				v = editBy(t, p, v, serial+2, at, nil)
			case 2:
				v = editBy(t, p, v, serial+2, at, p.Survey(t.Context(), v, at, rapid.IntRange(1, 20).Draw(t, "due")).Due)
			case 3:
				next, _, err := p.WholeFrom(t.Context(), rewritten(t, v, serial+2), v, at)
				if err != nil {
					t.Fatal(err)
				}
				v = next
			}
			isGood(t, p, v, at)
			if rapid.IntRange(0, 3).Draw(t, "reach") == 0 {
				v = reach(t, p, v, 100*(serial+1), at)
				isGood(t, p, v, at)
			}
		}
	})
}

// editBy edits head at random under a plan, which renews what is due before.
func editBy(t *rapid.T, p *sign.Plan, head *zone.Version, serial uint32, at time.Time, due []sign.Due) *zone.Version {
	e := head.Edit()
	for range rapid.IntRange(0, 4).Draw(t, "edits") {
		switch r := drawRecord(t); {
		case r.Name.Equal(origin) && r.Type == dns.TypeNS:
		case rapid.Bool().Draw(t, "add"):
			e.Add(r)
		case !r.Name.Equal(origin):
			e.RemoveName(r.Name)
		}
	}
	setSerial(e, serial, 0)
	if _, err := p.Renew(t.Context(), e, due, at); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Edit(t.Context(), e, head, at, false); err != nil {
		t.Fatal(err)
	}
	v, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rewritten is what authors have of v, with one record more, without anything that signing has made.
func rewritten(t *rapid.T, v *zone.Version, serial uint32) *zone.Version {
	p := &sign.Plan{}
	b := zone.NewBuilder(origin)
	for r := range v.Records() {
		if p.Owns(origin, r.Name, r.Type) {
			continue
		}
		if r.Type == dns.TypeSOA {
			s, _ := dns.ParseSOA(r.Data)
			s.Serial = serial
			r.Data = s.RData()
		}
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if r := drawRecord(t); r.Type == dns.TypeA {
		_ = b.Add(r) // beside an alias it may not be
	}
	w, findings := b.Build()
	if w == nil {
		t.Fatal(findings)
	}
	return w
}

// reach renews until nothing is due, as the keeper does.
func reach(t *rapid.T, p *sign.Plan, v *zone.Version, serial uint32, at time.Time) *zone.Version {
	for range 60 {
		y := p.Survey(t.Context(), v, at, 20)
		if len(y.Due) == 0 {
			if !y.IsComplete {
				t.Fatalf("nothing is due, and it is not complete: %+v", y)
			}
			if p.Denial.Kind != sign.None && y.Earliest.Before(at.Add(time.Hour)) {
				t.Fatalf("nothing is due, and something expires at %v", y.Earliest)
			}
			return v
		}
		serial++
		e := v.Edit()
		setSerial(e, serial, 0)
		if _, err := p.Renew(t.Context(), e, y.Due, at); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Edit(t.Context(), e, v, at, false); err != nil {
			t.Fatal(err)
		}
		next, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		v = next
	}
	t.Fatal("it does not end")
	return v
}

func isGood(t *rapid.T, p *sign.Plan, v *zone.Version, at time.Time) {
	if p.Denial.Kind == sign.None {
		for r := range v.Records() {
			if p.Owns(origin, r.Name, r.Type) {
				t.Fatalf("in a zone that is not signed there is %v", r)
			}
		}
		return
	}
	for _, f := range sign.Verify(v, sign.VerifyOptions{At: at, Compact: p.Denial.Kind == sign.Compact, Workers: 1}) {
		if f.Severity == zone.Error {
			t.Fatalf("%v: %s", p.Denial, f)
		}
	}
}

// TestLongNames: names as long as they may be are signed and denied; a zone whose own name is so long that the owners of NSEC3
// records have no room is refused with a reason.
func TestLongNames(t *testing.T) {
	label := strings.Repeat("x", 63)
	for _, c := range []struct {
		origin string
		names  []string
		kinds  map[string]bool // refused
	}{
		{"example.", []string{label + "." + label + "." + label + "." + strings.Repeat("y", 53), strings.Repeat("a.", 120) + "b", `\000.` + label}, nil},
		{label + "." + label + "." + label + "." + strings.Repeat("y", 28) + ".", []string{"a"}, nil},                                                                            // 222 octets
		{label + "." + label + "." + label + "." + strings.Repeat("y", 29) + ".", []string{"a"}, map[string]bool{"NSEC3": true, "NSEC3 opt-out": true, "NSEC3 with salt": true}}, // one more
	} {
		text := "@ SOA ns. h. 1 3600 900 604800 600\n@ NS ns.\n"
		for _, n := range c.names {
			text += n + " A 192.0.2.1\n"
		}
		top := dns.MustName(c.origin)
		for name, d := range denials {
			v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: top, DefaultTTL: 300}), top)
			if err != nil {
				t.Fatal(err)
			}
			k := newKey(t, dnssec.ED25519, ksk)
			apex := dnskeys(k)
			apex[0].Name = top
			p := &sign.Plan{Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Apex: apex, Denial: d}
			if d.Kind == sign.None {
				p.Apex = nil
			}
			v, _, err = p.Whole(t.Context(), v, noon)
			if refused := err != nil; refused != c.kinds[name] {
				t.Errorf("%s with a name of %d octets: %v", name, top.Len(), err)
				continue
			}
			if err != nil || d.Kind == sign.None {
				continue
			}
			for _, f := range sign.Verify(v, sign.VerifyOptions{At: noon, Compact: d.Kind == sign.Compact}) {
				if f.Severity == zone.Error {
					t.Errorf("%s: %s", name, f)
				}
			}
		}
	}
}

// TestTimesOfSignatures: around 2038 and 2106, where 32 bits end, signatures are as good as always (RFC 4034 §3.1.5).
func TestTimesOfSignatures(t *testing.T) {
	p := csk(t, denials["NSEC"])
	for _, at := range []time.Time{time.Unix(1<<31-1000, 0), time.Unix(1<<31, 0), time.Unix(1<<32-1000, 0), time.Unix(1<<32+1000, 0), time.Unix(0, 0)} {
		v, _, err := p.Whole(t.Context(), load(t, example), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, later := range []time.Duration{0, 9 * 24 * time.Hour} {
			for _, f := range sign.Verify(v, sign.VerifyOptions{At: at.Add(later)}) {
				if f.Severity == zone.Error {
					t.Errorf("%v and %v: %s", at, later, f)
				}
			}
			y := p.Survey(t.Context(), v, at.Add(later), 10)
			if y.All > 0 || !y.IsComplete || y.Earliest.Before(at.Add(13*24*time.Hour)) || y.Earliest.After(at.Add(14*24*time.Hour)) {
				t.Errorf("%v and %v: %+v", at, later, y)
			}
		}
		if y := p.Survey(t.Context(), v, at.Add(12*24*time.Hour), 1000); y.All == 0 {
			t.Errorf("%v: nothing is due after 12 of 14 days", at)
		}
		if f := sign.Verify(v, sign.VerifyOptions{At: at.Add(15 * 24 * time.Hour)}); len(f) == 0 {
			t.Errorf("%v: nothing has expired after 15 of 14 days", at)
		}
	}
}

// TestSignaturesMadeElsewhere: those over the keys that the plan brings are neither strange nor to be made anew here.
func TestSignaturesMadeElsewhere(t *testing.T) {
	away, z := newKey(t, dnssec.ECDSAP256SHA256, ksk), newKey(t, dnssec.ECDSAP256SHA256, zsk)
	p := &sign.Plan{Keys: []sign.Key{{Key: z, SignsZone: true}}, Apex: dnskeys(away, z), Denial: denials["NSEC"], Validity: 14 * 24 * time.Hour, Refresh: 3 * 24 * time.Hour}
	set := dnssec.RRset{Owner: origin, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, RData: []dns.RData{p.Apex[0].Data, p.Apex[1].Data}}
	sig, err := dnssec.SignRRset(away, origin, set, uint32(noon.Unix()-60), uint32(noon.Unix()+60*24*3600))
	if err != nil {
		t.Fatal(err)
	}
	p.KeySigs = []dns.Record{{Name: origin, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: 3600, Data: sig.RData()}}
	v, _, err := p.Whole(t.Context(), load(t, example), noon)
	if err != nil {
		t.Fatal(err)
	}
	if y := p.Survey(t.Context(), v, noon, 10); y.All > 0 || !y.IsComplete {
		t.Errorf("due: %+v", y)
	}
	for _, f := range sign.Verify(v, sign.VerifyOptions{At: noon, Anchors: dnskeys(away)}) {
		if f.Severity == zone.Error {
			t.Error(f)
		}
	}
}

// TestStrangeSignatures: those of a key that signs the keys no more are to go.
func TestStrangeSignatures(t *testing.T) {
	a, b, z := newKey(t, dnssec.ECDSAP256SHA256, ksk), newKey(t, dnssec.ECDSAP256SHA256, ksk), newKey(t, dnssec.ECDSAP256SHA256, zsk)
	p := &sign.Plan{Keys: []sign.Key{{Key: a, SignsKeys: true}, {Key: b, SignsKeys: true}, {Key: z, SignsZone: true}}, Apex: dnskeys(a, b, z), Denial: denials["NSEC"]}
	v, _, err := p.Whole(t.Context(), load(t, example), noon)
	if err != nil {
		t.Fatal(err)
	}
	q := *p
	q.Keys = p.Keys[1:]
	if y := q.Survey(t.Context(), v, noon, 10); y.IsComplete || len(y.Due) != 1 || y.Due[0].Type != dns.TypeDNSKEY {
		t.Errorf("due: %+v", y)
	}
}

// TestDigestThatIsNotOfTheZone: one that the authors bring, or that somebody has changed in a signed file, is made anew.
func TestDigestThatIsNotOfTheZone(t *testing.T) {
	p := csk(t, denials["NSEC"])
	p.ZONEMD = []uint8{1}
	wrong := "@ ZONEMD 1 1 1 " + strings.Repeat("00", 48) + "\n"
	v, _, err := p.Whole(t.Context(), load(t, example+wrong), noon)
	if err != nil {
		t.Fatal(err)
	}
	right := func(v *zone.Version) {
		t.Helper()
		for _, f := range sign.Verify(v, sign.VerifyOptions{At: noon}) {
			if f.Severity == zone.Error {
				t.Error(f)
			}
		}
		set, _ := v.Apex().RRset(dns.TypeZONEMD)
		want := dnssec.DigestZone(origin, v.Serial(), v.Records(), 1)[0]
		if got, err := dnssec.ParseZONEMD(set.First()); err != nil || string(got.Digest) != string(want.Digest) {
			t.Errorf("the digest is not that of the zone: %v", err)
		}
	}
	right(v)
	b := zone.NewBuilder(origin)
	for r := range v.Records() {
		if r.Type == dns.TypeZONEMD {
			r.Data = append(dns.RData(nil), r.Data...)
			r.Data[len(r.Data)-1] ^= 1
		}
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	changed, _ := b.Build()
	if v, _, err = p.Whole(t.Context(), changed, noon); err != nil {
		t.Fatal(err)
	}
	right(v)
}
