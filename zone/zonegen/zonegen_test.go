package zonegen

import (
	"bytes"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"onoma/dns"
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

func TestQueries(t *testing.T) {
	g := TLD{Origin: dns.MustName("tld."), Delegations: 100, Seed: 7}
	var zone, queries strings.Builder
	if err := g.WriteZone(&zone); err != nil {
		t.Fatal(err)
	}
	if err := g.WriteQueries(&queries, 1000); err != nil {
		t.Fatal(err)
	}
	there := 0
	for line := range strings.Lines(queries.String()) {
		name := strings.TrimPrefix(strings.TrimSuffix(line, ".tld. A\n"), "www.")
		if strings.Contains(zone.String(), "\n"+name+" NS ") {
			there++
		}
	}
	if there != 900 {
		t.Errorf("%d of 1000 questions lead to a delegation, want 900", there)
	}
}
