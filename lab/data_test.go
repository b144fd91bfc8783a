package lab

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/zone"
)

// shippedZones unpacks a new lab's zone files and loads them all.
func shippedZones(t *testing.T) map[string]map[dns.Name]*zone.Version {
	t.Helper()
	dir := t.TempDir()
	if _, err := unpack(dir, standardBlock); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "zones", "*", "*.zone"))
	if err != nil {
		t.Fatal(err)
	}
	zones := map[string]map[dns.Name]*zone.Version{}
	for _, f := range files {
		name, _ := zoneNameOf(f)
		origin := dns.MustName(name)
		v, findings, err := zone.LoadFile(f, origin)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range findings {
			t.Errorf("%s: %s", f, found)
		}
		op := filepath.Base(filepath.Dir(f))
		if zones[op] == nil {
			zones[op] = map[dns.Name]*zone.Version{}
		}
		zones[op][origin] = v
	}
	return zones
}

func TestRootZone(t *testing.T) {
	root := shippedZones(t)["root"][dns.Root]
	tlds, types := 0, map[dns.Type]int{}
	for r := range root.Records() {
		types[r.Type]++
		if a, ok := r.Data.Addr(r.Type); ok && a.IsLoopback() && !standardBlock.prefix().Contains(a) {
			t.Errorf("%s is outside of the lab", r)
		}
	}
	for n := range root.Nodes() {
		if n.IsCut() {
			tlds++
		}
	}
	if tlds < 1500 {
		t.Errorf("%d top-level domains, expected those of the real root", tlds)
	}
	for _, typ := range []dns.Type{dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY} {
		if types[typ] > 0 {
			t.Errorf("%d records of type %s, expected none: they would not hold", types[typ], typ)
		}
	}
}

// TestDelegationsAgree: what a zone says of its name servers, its parent says
// too, but for the domains that are broken on purpose.
func TestDelegationsAgree(t *testing.T) {
	zones := shippedZones(t)
	checked := 0
	for _, held := range zones {
		for origin, v := range held {
			if origin.IsRoot() {
				continue
			}
			want := nsOf(v, origin)
			parent := parentOf(zones, origin)
			if parent == nil {
				t.Errorf("nobody delegates %s", origin)
				continue
			}
			if diff := cmp.Diff(want, nsOf(parent, origin)); diff != "" {
				t.Errorf("%s: its own name servers, and its parent's (-own +parent):\n%s", origin, diff)
			}
			checked++
		}
	}
	if checked < 30 {
		t.Errorf("only %d delegations compared", checked)
	}
}

func nsOf(v *zone.Version, name dns.Name) string {
	var set []dns.Name
	if s, ok := v.Find(name.Append(nil)).RRset(dns.TypeNS); ok {
		for d := range s.RData() {
			set = append(set, dns.RData(d).Target(dns.TypeNS))
		}
	}
	return joinNames(sorted(set))
}

// parentOf finds the deepest zone above name.
func parentOf(zones map[string]map[dns.Name]*zone.Version, name dns.Name) *zone.Version {
	for n := name.Parent(); !n.IsZero(); n = n.Parent() {
		for _, held := range zones {
			if v := held[n]; v != nil {
				return v
			}
		}
	}
	return nil
}

// TestNameServersHaveTheLabsAddresses: each server of the plan is found at the
// address where it listens.
func TestNameServersHaveTheLabsAddresses(t *testing.T) {
	zones := shippedZones(t)
	for _, op := range plan() {
		for _, s := range op.servers {
			host := dns.MustName(s.name)
			v := parentOf(zones, host)
			set, ok := v.Find(host.Append(nil)).RRset(dns.TypeA)
			if !ok {
				t.Errorf("%s has no address in %s", host, v.Origin())
				continue
			}
			for d := range set.RData() {
				if a, _ := dns.RData(d).Addr(dns.TypeA); a != standardBlock.addr(s.third, s.fourth) {
					t.Errorf("%s is at %s in its zone, and listens on %s", host, a, standardBlock.addr(s.third, s.fourth))
				}
			}
		}
	}
}

// TestSampleZonesAreAsGiven: two of the zones are samples that others know.
func TestSampleZonesAreAsGiven(t *testing.T) {
	shared := os.Getenv("ONOMA_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	for ours, theirs := range map[string]string{
		"example/thedns.guru.zone":      "thedns.guru.zone",
		"awsdns/palettepalapp.com.zone": "palettepalapp.com.zone",
	} {
		sample, err := os.ReadFile(filepath.Join(shared, "data", theirs))
		if err != nil {
			t.Skipf("no sample zones beside the checkout: %v", err)
		}
		zone, err := shipped.ReadFile("data/zones/" + ours)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.TrimSpace(zone), bytes.TrimSpace(sample)) {
			t.Errorf("%s is not the sample any more", ours)
		}
	}
}

// TestUnpackOnce: edited files stay, and removed ones stay away.
func TestUnpackOnce(t *testing.T) {
	dir := t.TempDir()
	if _, err := unpack(dir, 77); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "zones", "guru", "guru.zone")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "127.77.1.9") || strings.Contains(string(text), "127.53.") {
		t.Errorf("a lab in 127.77.0.0/16 has this zone:\n%s", text)
	}
	removed := filepath.Join(dir, "zones", "acropolis", "half-lame.org.zone")
	if err := errors.Join(os.WriteFile(file, []byte("mine"), 0o644), os.Remove(removed)); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(dir, 77); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("an edited file was replaced by:\n%s", text)
	}
	if _, err := os.Stat(removed); err == nil {
		t.Errorf("%s is there again", removed)
	}
}

func TestZoneFileNames(t *testing.T) {
	for _, zone := range []string{".", "guru.", "25.18.198.in-addr.arpa.", `..\/..\/etc.`, `a/b.c.`, `\047x.`} {
		n, err := dns.ParseName(zone)
		if err != nil {
			continue
		}
		file := zoneFileOf(n.String())
		if strings.ContainsAny(file, "/") {
			t.Errorf("%s would be kept in %s, outside of its directory", zone, file)
		}
		back, ok := zoneNameOf(file)
		if m, err := dns.ParseName(back); !ok || err != nil || !m.Equal(n) {
			t.Errorf("%s is kept in %s, which reads as %q", zone, file, back)
		}
	}
	for _, file := range []string{"README", ".guru.zone.123", ".zone", "guru.zone~"} {
		if name, ok := zoneNameOf(file); ok {
			t.Errorf("%s passes for the zone %q", file, name)
		}
	}
}
