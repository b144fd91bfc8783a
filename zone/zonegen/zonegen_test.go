package zonegen

import (
	"bytes"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

func TestTLD(t *testing.T) {
	g := TLD{Origin: dns.MustName("tld."), Delegations: 5000, Seed: 7}
	var text, again bytes.Buffer
	if err := g.WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	if err := g.WriteZone(&again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text.Bytes(), again.Bytes()) {
		t.Fatal("the same parameters gave another zone")
	}
	count := map[uint16]int{}
	delegated, glue := map[string]bool{}, map[string]bool{}
	var targets []string
	last := dns.Root
	zp := mdns.NewZoneParser(&text, ".", "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		count[rr.Header().Rrtype]++
		name := dns.MustName(rr.Header().Name)
		switch rr := rr.(type) {
		case *mdns.NS:
			if name.NumLabels() == 2 && last.Compare(name) > 0 {
				t.Fatalf("%s comes after %s", name, last)
			}
			last, delegated[rr.Hdr.Name] = name, true
			targets = append(targets, rr.Ns)
		case *mdns.A:
			glue[rr.Hdr.Name] = true
		}
	}
	if err := zp.Err(); err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if !glue[target] {
			t.Fatalf("the name server %s has no glue", target)
		}
	}
	if len(delegated) != 5001 || count[mdns.TypeNS] != 10002 || count[mdns.TypeA] != 1002 {
		t.Errorf("%d owners of NS, counts %v", len(delegated), count)
	}
	if n := count[mdns.TypeDS]; n < 1400 || n > 1600 {
		t.Errorf("%d DS records, want about 1500", n)
	}
}

func TestTLDIsAGoodZone(t *testing.T) {
	for _, origin := range []dns.Name{dns.MustName("tld"), dns.Root} {
		tld := TLD{Origin: origin, Delegations: 5000, Seed: 1}
		var text, again bytes.Buffer
		if err := tld.WriteZone(&text); err != nil {
			t.Fatal(err)
		}
		if err := tld.WriteZone(&again); err != nil || !bytes.Equal(text.Bytes(), again.Bytes()) {
			t.Errorf("a second run wrote another zone (%v)", err)
		}
		v, findings, err := zone.Load(zonefile.NewReader(&text, zonefile.Options{}), origin)
		if err != nil || len(findings) > 0 {
			t.Fatalf("the zone has mistakes: %v, %v", err, findings)
		}
		cuts, ds := 0, 0
		for n := range v.Nodes() {
			if n.IsCut() {
				cuts++
			}
			if n.HasDS() {
				ds++
			}
		}
		if cuts != 5000 || ds < 1300 || ds > 1700 {
			t.Errorf("%d delegations, %d with DS, expected 5000 and about 1500", cuts, ds)
		}
		checkQueries(t, tld, v)
	}
}

// checkQueries wants one question in ten to be for a name that does not exist
// and the others for referrals.
func checkQueries(t *testing.T, tld TLD, v *zone.Version) {
	t.Helper()
	var text bytes.Buffer
	if err := tld.WriteQueries(&text, 1000); err != nil {
		t.Fatal(err)
	}
	referrals, denials := 0, 0
	var m zone.Match
	for line := range strings.Lines(text.String()) {
		name, _, _ := strings.Cut(line, " ")
		v.Lookup(&m, []byte(dns.MustName(name).Wire()))
		switch {
		case !m.Cut.IsZero():
			referrals++
		case m.Node.IsZero():
			denials++
		}
	}
	if referrals != 900 || denials != 100 {
		t.Errorf("%d referrals and %d denials, expected 900 and 100", referrals, denials)
	}
}
