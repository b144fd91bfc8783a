package sign_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

// drawRecord makes records that meet: few names, deep enough for empty non-terminals
// and cuts above names, with the types that matter.
func drawRecord(t *rapid.T) dns.Record {
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "*", "B", "ns"}), 0, 4).Draw(t, "labels")
	name := ""
	for _, l := range labels {
		name += l + "."
	}
	data := rapid.SampledFrom([]string{
		"300 A 192.0.2.1", "300 A 192.0.2.2", "60 A 192.0.2.1", `300 TXT "x"`, "300 NS ns.example.", "300 NS ns.b.example.", "300 NS ns.elsewhere.test.",
		"300 DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "300 DNAME elsewhere.test.", "300 MX 1 A.example.",
		"300 TYPE65400 \\# 1 00",
	}).Draw(t, "data")
	return dns.MustRecord(name + "example. " + data)
}

func setSerial(e *zone.Editor, serial uint32, minimum uint32) {
	soa := e.View().SOA()
	s, _ := dns.ParseSOA(soa.First())
	s.Serial = serial
	if minimum > 0 {
		s.Minimum = minimum
	}
	e.Add(dns.Record{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: soa.TTL(), Data: s.RData()})
}

// TestEditAgainstWhole: whatever is edited, in whatever steps, the zone is as if it
// had been signed as a whole.
func TestEditAgainstWhole(t *testing.T) {
	k := newKey(t, dnssec.ED25519, ksk)
	for name, d := range denials {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := &sign.Plan{Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Apex: dnskeys(k), Denial: d, Jitter: time.Hour, Workers: 1}
				v, _, err := p.Whole(t.Context(), loadRapid(t, example), noon)
				if err != nil {
					t.Fatal(err)
				}
				for serial := range uint32(rapid.IntRange(1, 5).Draw(t, "changes")) {
					v = editOnce(t, p, v, serial+2)
					want, got := expected(p, v), actualRapid(t, p, v)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("not what was expected (-) but (+):\n%s", diff)
					}
				}
			})
		})
	}
}

func editOnce(t *rapid.T, p *sign.Plan, head *zone.Version, serial uint32) *zone.Version {
	e := head.Edit()
	for range rapid.IntRange(0, 6).Draw(t, "edits") {
		r := drawRecord(t)
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0, 1, 2:
			if !r.Name.Equal(origin) || r.Type != dns.TypeNS {
				e.Add(r)
			}
		case 3:
			e.Remove(r)
		case 4:
			if !r.Name.Equal(origin) || r.Type != dns.TypeNS {
				e.RemoveRRset(r.Name, r.Type)
			}
		case 5:
			if !r.Name.Equal(origin) {
				e.RemoveName(r.Name)
			}
		}
	}
	minimum := uint32(0)
	if rapid.IntRange(0, 9).Draw(t, "minimum") == 0 {
		minimum = rapid.Uint32Range(1, 5000).Draw(t, "of")
	}
	setSerial(e, serial, minimum)
	if _, err := p.Edit(t.Context(), e, head, noon, false); err != nil {
		t.Fatal(err)
	}
	v, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func loadRapid(t *rapid.T, text string) *zone.Version {
	v, err := loadText(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func actualRapid(t *rapid.T, p *sign.Plan, v *zone.Version) []string {
	lines, err := actual(p, v, noon)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestEditCosts: a change makes the signatures that it has to and no others.
func TestEditCosts(t *testing.T) {
	for _, test := range []struct {
		denial string
		record string
		want   int // SOA, and so on
	}{
		{"NSEC", "new.example. 300 IN A 192.0.2.9", 1 + 2 + 1},            // its A and NSEC, the NSEC before
		{"NSEC3", "new.example. 300 IN A 192.0.2.9", 1 + 1 + 2},           // its A and NSEC3, the NSEC3 before
		{"NSEC3", "x.y.new.example. 300 IN A 192.0.2.9", 1 + 1 + 2*3},     // at most two for each of three names
		{"NSEC3 opt-out", "new.example. 300 IN NS ns1.example.", 1},       // the SOA only
		{"NSEC3 opt-out", "x.y.new.example. 300 IN NS ns1.example.", 1},   // the SOA only
		{"compact", "new.example. 300 IN A 192.0.2.9", 1 + 1},             //
		{"NSEC", "ns1.example. 3600 IN A 192.0.2.9", 1 + 1},               // no new type
		{"NSEC", "ns.insecure.example. 3600 IN A 192.0.2.9", 1},           // glue
		{"NSEC", "more.insecure.example. 3600 IN A 192.0.2.9", 1},         //
		{"NSEC", "insecure.example. 3600 IN NS ns9.elsewhere.test.", 1},   // not signed
		{"NSEC", "mail.example. 3600 IN NS ns9.elsewhere.test.", 1 + 1},   // hides its own A: another bitmap
		{"NSEC3", "d.example. 3600 IN NS ns9.elsewhere.test.", 1 + 1 + 3}, // three names below it go, an ENT becomes a cut
	} {
		p := csk(t, denials[test.denial])
		v, _, err := p.Whole(t.Context(), load(t, example), noon)
		if err != nil {
			t.Fatal(err)
		}
		e := v.Edit()
		if _, err := e.Add(dns.MustRecord(test.record)); err != nil {
			t.Fatal(err)
		}
		setSerial(e, 2, 0)
		r, err := p.Edit(t.Context(), e, v, noon, true)
		if err != nil {
			t.Fatal(err)
		}
		if v, err = e.Commit(); err != nil {
			t.Fatal(err)
		}
		same(t, p, v)
		if r.Signatures > test.want || r.Signatures < 1 {
			t.Errorf("%s, %s: %d signatures, expected %d", test.denial, test.record, r.Signatures, test.want)
		}
	}
}

// TestEditIsQuickOrSlow: where it must be quick, what takes long is refused.
func TestEditIsQuickOrSlow(t *testing.T) {
	text := example
	for i := range 600 {
		text += fmt.Sprintf("n%d A 192.0.2.1\nn%d.insecure TXT \"x\"\n", i, i)
	}
	plain := load(t, text)
	edit := func(p *sign.Plan, head *zone.Version, change func(e *zone.Editor)) error {
		e := head.Edit()
		change(e)
		setSerial(e, 2, 0)
		_, err := p.Edit(t.Context(), e, head, noon, true)
		e.Discard()
		return err
	}
	nothing := func(*zone.Editor) {}
	p := csk(t, denials["NSEC"])
	signed, _, err := p.Whole(t.Context(), plain, noon)
	if err != nil {
		t.Fatal(err)
	}
	other := *p
	other.Denial = denials["NSEC3"]
	digest := *p
	digest.ZONEMD = []uint8{dnssec.ZONEMDSHA384}
	slow := csk(t, denials["NSEC"])
	rsa := newKey(t, dnssec.RSASHA256, ksk)
	slow.Keys[0].Key, slow.Apex = rsa, dnskeys(rsa)
	for name, err := range map[string]error{
		"unsigned":            edit(p, plain, nothing),
		"another denial":      edit(&other, signed, nothing),
		"digest":              edit(&digest, signed, nothing),
		"slow key":            edit(slow, signed, nothing),
		"shows many names":    edit(p, signed, func(e *zone.Editor) { e.RemoveRRset(dns.MustName("insecure.example."), dns.TypeNS) }),
		"TTL of all the NSEC": edit(p, signed, func(e *zone.Editor) { setSerial(e, 3, 10) }),
	} {
		if !errors.Is(err, sign.ErrSlow) {
			t.Errorf("%s: %v, expected ErrSlow", name, err)
		}
	}
	if err := edit(p, signed, nothing); err != nil {
		t.Errorf("nothing but the SOA: %v", err)
	}
}
