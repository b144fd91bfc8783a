package sign_test

import (
	"testing"
	"time"

	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

const day = 24 * time.Hour

// renewed does what a signer does when something is due.
func renewed(t *testing.T, p *sign.Plan, v *zone.Version, due []sign.Due, serial uint32, at time.Time) (*zone.Version, int) {
	t.Helper()
	e := v.Edit()
	setSerial(e, serial, 0)
	r, err := p.Renew(t.Context(), e, due, at)
	if err != nil {
		t.Fatal(err)
	}
	r2, err := p.Edit(t.Context(), e, v, at, true)
	if err != nil {
		t.Fatal(err)
	}
	nv, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return nv, r.Signatures + r2.Signatures
}

func TestSurveyAndRenew(t *testing.T) {
	for _, name := range []string{"NSEC", "NSEC3", "NSEC3 opt-out", "compact"} {
		t.Run(name, func(t *testing.T) {
			p := csk(t, denials[name])
			v, r, err := p.Whole(t.Context(), load(t, example), noon)
			if err != nil {
				t.Fatal(err)
			}
			y := p.Survey(t.Context(), v, noon, 100)
			if y.All != 0 || !y.IsComplete || y.Signatures != r.Signatures || !y.Next.Equal(r.Next) || !y.Earliest.Equal(r.Earliest) || len(y.By) != 1 {
				t.Fatalf("fresh: %+v, signing said %+v", y, r)
			}
			if y.Next.Before(noon.Add(10*day)) || y.Earliest.After(noon.Add(14*day)) {
				t.Errorf("next %s, earliest %s", y.Next, y.Earliest)
			}
			at := noon.Add(10*day + 12*time.Hour) // in the midst of the jitter
			some := p.Survey(t.Context(), v, at, 1000)
			if some.All == 0 || some.All == r.Signatures || !some.IsComplete || !some.Next.After(at) {
				t.Fatalf("some should be due: %+v", some)
			}
			if one := p.Survey(t.Context(), v, at, 1); len(one.Due) != 1 || one.All != some.All {
				t.Errorf("a limit of 1: %+v", one)
			}
			v, made := renewed(t, p, v, some.Due, 2, at)
			if made < some.All || made > some.All+1 {
				t.Errorf("%d signatures made, %d were due", made, some.All)
			}
			if y := p.Survey(t.Context(), v, at, 10); y.All != 0 {
				t.Errorf("still due: %+v", y)
			}
			sameAt(t, p, v, at)
		})
	}
}

// TestRolloverOfTheZoneKey: another key signs; all is made anew in portions.
func TestRolloverOfTheZoneKey(t *testing.T) {
	p := csk(t, denials["NSEC3"])
	v, _, err := p.Whole(t.Context(), load(t, example), noon)
	if err != nil {
		t.Fatal(err)
	}
	k := newKey(t, dnssec.ECDSAP256SHA256, zsk)
	q := *p
	q.Apex = append(dnskeys(k), p.Apex...)
	q.Keys = []sign.Key{{Key: p.Keys[0].Key, SignsKeys: true}, {Key: k, SignsZone: true}}
	serial := uint32(2)
	for ; serial < 100; serial++ {
		y := q.Survey(t.Context(), v, noon, 5)
		if serial == 2 && y.IsComplete {
			t.Fatalf("nothing to do: %+v", y)
		}
		if y.IsComplete {
			if len(y.By) != 2 || y.By[0].Signatures+y.By[1].Signatures != y.Signatures {
				t.Errorf("signatures by key: %+v", y.By)
			}
			break
		}
		v, _ = renewed(t, &q, v, y.Due, serial, noon)
	}
	if serial == 100 {
		t.Fatal("it does not end")
	}
	sameAt(t, &q, v, noon)
}

// TestSurveyAllocatesNothingByName holds the walk of large zones to its promise.
func TestSurveyAllocatesNothingByName(t *testing.T) {
	p := csk(t, denials["NSEC3"])
	v, _, err := p.Whole(t.Context(), load(t, example), noon)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { p.Survey(t.Context(), v, noon, 0) }); n > 20 {
		t.Errorf("%v allocations for %d names", n, v.Stats().Names)
	}
}
