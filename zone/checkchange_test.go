package zone

import (
	"fmt"
	"slices"
	"testing"

	"onoma/dns"

	"pgregory.net/rapid"
)

// drawChecked draws a record of those that the checks have an opinion of.
func drawChecked(t *rapid.T) dns.Record {
	r := drawRecord(t)
	switch rapid.IntRange(0, 9).Draw(t, "special") {
	case 0:
		r.Name, r.Type, r.Data = drawOwner(t, "soa owner"), dns.TypeSOA, modelSOA(7)
	case 1:
		r.Type, r.Data = dns.TypeNSEC3, append(append(dns.RData{1, 0, 0, 0, 0, 20}, make([]byte, 20)...), 0, 1, 0x40)
	case 2:
		r.Name, r.Type, r.Data = dns.MustName(modelOrigin), dns.TypeNS, dns.NewTarget(drawTarget(t))
	case 3:
		r.Name = dns.MustName(modelOrigin)
	case 4:
		r.Name, r.Type, r.Data = dns.MustName(modelOrigin), dns.TypeNSEC3PARAM, dns.RData{1, 0, 0, byte(rapid.IntRange(0, 255).Draw(t, "iterations")), 0}
	}
	return r
}

// rebuilt is a version from records with nothing shared, where a name may have
// several records of types that an Editor replaces.
func rebuilt(t *rapid.T, v *Version, without, with []dns.Record) *Version {
	records := slices.Collect(v.Records())
	for _, r := range without {
		if i := slices.IndexFunc(records, func(o dns.Record) bool {
			return o.Name.Equal(r.Name) && o.Type == r.Type && string(o.Data) == string(r.Data)
		}); i > 0 { // never the first SOA
			records = slices.Delete(records, i, i+1)
		}
	}
	return build(t, v.Origin(), append(records, with...))
}

// editedTo is v edited.
func editedTo(t *rapid.T, v *Version, without, with []dns.Record) *Version {
	e := v.Edit()
	for _, r := range without {
		if r.Type != dns.TypeSOA {
			e.Remove(r)
		}
	}
	for _, r := range with {
		if _, err := e.Add(r); err != nil {
			t.Fatalf("adding %s: %v", r, err)
		}
	}
	nv, err := e.Commit()
	if err != nil {
		t.Fatalf("committing: %v", err)
	}
	return nv
}

// isFarWarning reports whether f is a warning that CheckChange does not look for
// at names that have not changed: of records whose host has lost its addresses.
func isFarWarning(f Finding, d Delta) bool {
	if f.Severity == Error {
		return false
	}
	switch f.Code {
	case "ns-is-cname", "ns-below-dname", "ns-without-address", "no-sibling-glue", "no-glue", "target-is-cname",
		"target-below-dname", "target-without-address":
	case "nsec3-without-nsec3param", "bad-nsec3-owner", "rrsig-without-rrset": // another chain is in use
	default:
		return false
	}
	return !slices.ContainsFunc(slices.Concat(d.Removed, d.Added), func(r dns.Record) bool { return r.Name.Equal(f.Name) })
}

// TestCheckChangeIsCheck compares CheckChange with what Check says of both versions.
func TestCheckChangeIsCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		apex := dns.MustName(modelOrigin)
		first := dns.Record{Name: apex, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(1)}
		old := build(t, apex, append([]dns.Record{first}, rapid.SliceOfN(rapid.Custom(drawChecked), 0, 30).Draw(t, "zone")...))
		all := slices.Collect(old.Records())
		without := rapid.SliceOfN(rapid.SampledFrom(all), 0, 6).Draw(t, "without")
		with := rapid.SliceOfN(rapid.Custom(drawChecked), 0, 6).Draw(t, "with")
		how := editedTo
		if rapid.Bool().Draw(t, "whole") {
			how = rebuilt
		}
		now := how(t, old, without, with)
		d := Diff(old, now)
		had, has, found := old.Check(), now.Check(), CheckChange(old, now, d)
		for i, f := range found {
			switch {
			case !slices.Contains(has, f):
				t.Fatalf("CheckChange reports %s (%s), which Check does not", f, f.Code)
			case slices.Contains(had, f):
				t.Fatalf("CheckChange reports %s (%s), which was there before", f, f.Code)
			case slices.Contains(found[:i], f):
				t.Fatalf("CheckChange reports %s (%s) twice", f, f.Code)
			}
		}
		for _, f := range has {
			if !slices.Contains(had, f) && !slices.Contains(found, f) && !isFarWarning(f, d) {
				t.Fatalf("CheckChange does not report the new %s %s (%s)\nold:\n%v\nremoved:\n%v\nadded:\n%v", f.Severity, f, f.Code, texts(all), texts(d.Removed), texts(d.Added))
			}
		}
	})
}

// TestCheckChangeLosesTheServers takes the address of the zone's only server away,
// which touches no record of the apex.
func TestCheckChangeLosesTheServers(t *testing.T) {
	old, _ := parseZone(t, "example", "$TTL 300\n"+checkSOA+"@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n")
	e := old.Edit()
	e.RemoveName(dns.MustName("ns.example"))
	now, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	found := CheckChange(old, now, Diff(old, now))
	if len(found) != 1 || found[0].Code != "ns-without-address" || found[0].Severity != Error {
		t.Errorf("found %v, expected that the name server has no address", found)
	}
}

// tenChanges edits n names of a TLD zone.
func tenChanges(t testing.TB, v *Version, n int) *Version {
	t.Helper()
	e := v.Edit()
	for i := range n {
		name := dns.MustName(fmt.Sprintf("new-%d.%s", i, v.Origin()))
		if _, err := e.Add(dns.Record{Name: name, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 300, Data: dns.NewTarget(dns.MustName("ns.elsewhere."))}); err != nil {
			t.Fatal(err)
		}
	}
	nv, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return nv
}

// tenMoves gives the delegations of tenChanges other servers.
func tenMoves(t testing.TB, v *Version, n int) *Version {
	t.Helper()
	e := v.Edit()
	for i := range n {
		name := dns.MustName(fmt.Sprintf("new-%d.%s", i, v.Origin()))
		e.RemoveRRset(name, dns.TypeNS)
		if _, err := e.Add(dns.Record{Name: name, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 300, Data: dns.NewTarget(dns.MustName("ns2.elsewhere."))}); err != nil {
			t.Fatal(err)
		}
	}
	nv, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return nv
}

func TestCheckChangeDoesNotAllocate(t *testing.T) {
	tld, text := generated(t, 1000)
	v := load(t, tld.Origin, text)
	old := tenChanges(t, v, 10)
	now := tenMoves(t, old, 10)
	d := Diff(old, now)
	if n := testing.AllocsPerRun(100, func() {
		if found := CheckChange(old, now, d); len(found) > 0 {
			t.Fatal(found)
		}
	}); n > 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

// BenchmarkCheckChange is ten records into a million delegations.
func BenchmarkCheckChange(b *testing.B) {
	tld, text := generated(b, 1_000_000)
	old := load(b, tld.Origin, text)
	now := tenChanges(b, old, 10)
	d := Diff(old, now)
	for b.Loop() {
		CheckChange(old, now, d)
	}
}
