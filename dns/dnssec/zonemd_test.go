package dnssec_test

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
)

// read reads a zone's text, records outside the zone too, into the order that
// ZoneDigest wants.
func read(t testing.TB, origin, text string) []dns.Record {
	t.Helper()
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: dns.MustName(origin)})
	var list []dns.Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rec.Data = slices.Clone(rec.Data)
		list = append(list, rec)
	}
	slices.SortStableFunc(list, func(a, b dns.Record) int {
		return cmp.Or(a.Name.Compare(b.Name), int(a.Type)-int(b.Type))
	})
	return list
}

func testZone(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestZONEMDVectors is RFC 8976 appendix A, whose zones say their digests.
func TestZONEMDVectors(t *testing.T) {
	for _, v := range []struct {
		file, origin string
		digests      int // that we know how to compute
	}{
		{"rfc8976-a1.zone", "example.", 1},
		{"rfc8976-a2.zone", "example.", 1},
		{"rfc8976-a3.zone", "example.", 2},
		{"rfc8976-a5.zone", "root-servers.net.", 1},
	} {
		list, apex := read(t, v.origin, testZone(t, v.file)), dns.MustName(v.origin)
		n := 0
		for _, r := range list {
			if r.Type != dns.TypeZONEMD || !r.Name.Equal(apex) {
				continue
			}
			want, err := dnssec.ParseZONEMD(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			if want.Scheme != dnssec.ZONEMDSimple || dnssec.ZONEMDDigestLen(want.Algorithm) == 0 {
				continue
			}
			n++
			got := dnssec.DigestZone(apex, want.Serial, slices.Values(list), want.Algorithm)[0]
			if string(got.Append(nil)) != string(r.Data) {
				t.Errorf("%s: %x, expected %x", v.file, got.Append(nil), r.Data)
			}
		}
		if n != v.digests {
			t.Errorf("%s: %d digests were compared, expected %d", v.file, n, v.digests)
		}
		if got := dnssec.VerifyZONEMD(apex, slices.Values(list)); got != dnssec.ZONEMDGood {
			t.Errorf("%s: %v", v.file, got)
		}
	}
}

// TestZONEMDVerdicts changes the zone of appendix A.1 and A.3.
func TestZONEMDVerdicts(t *testing.T) {
	const sha384 = " 1 1 62e6cf51b02e54b9b5f967d547ce43136792901f9f88e637493daaf401c92c279dd10f0edb1c56f8080211f8480ee306\n"
	other := strings.ReplaceAll(sha384, "62e6", "62e7")
	several := func(text string) string {
		var kept []string
		for line := range strings.Lines(testZone(t, "rfc8976-a3.zone")) {
			if !strings.Contains(line, "ZONEMD") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "") + text
	}
	for _, v := range []struct {
		name, text string
		want       dnssec.Verdict
	}{
		{"none", several(""), dnssec.ZONEMDAbsent},
		{"not at the apex", several("a.example. ZONEMD 2018031900" + sha384), dnssec.ZONEMDAbsent},
		{"good", several("example. ZONEMD 2018031900" + sha384), dnssec.ZONEMDGood},
		{"another serial number", several("example. ZONEMD 2018031901" + sha384), dnssec.ZONEMDWrongSerial},
		{"wrong", several("example. ZONEMD 2018031900" + other), dnssec.ZONEMDWrong},
		{"a record more", several("a.example. A 192.0.2.1\nexample. ZONEMD 2018031900" + sha384), dnssec.ZONEMDWrong},
		{"one of two right", several("example. ZONEMD 2018031900" + sha384 + "example. ZONEMD 2018031900 1 2 " + strings.Repeat("00", 64) + "\n"), dnssec.ZONEMDGood},
		{"twice the same pair", several("example. ZONEMD 2018031900" + sha384 + "example. ZONEMD 2018031900" + other), dnssec.ZONEMDContradictory},
		{"an unknown scheme", several("example. ZONEMD 2018031900 2 1 " + strings.Repeat("00", 48) + "\n"), dnssec.ZONEMDUnusable},
		{"an unknown algorithm", several("example. ZONEMD 2018031900 1 3 " + strings.Repeat("00", 48) + "\n"), dnssec.ZONEMDUnusable},
		{"a digest cut short", several("example. ZONEMD 2018031900 1 1 " + strings.Repeat("00", 12) + "\n"), dnssec.ZONEMDUnusable},
		{"a digest of nothing", several("example. ZONEMD 2018031900 1 1 00\n"), dnssec.ZONEMDUnusable},
		{"no SOA", "example. 60 NS a.\n", dnssec.ZONEMDNoSOA},
		{"two SOA", several("example. SOA ns1 admin 7 1800 900 604800 86400\nexample. ZONEMD 2018031900" + sha384), dnssec.ZONEMDNoSOA},
	} {
		if got := dnssec.VerifyZONEMD(dns.MustName("example."), slices.Values(read(t, "example.", v.text))); got != v.want {
			t.Errorf("%s: %q, expected %q", v.name, got, v.want)
		}
	}
}

// TestZONEMDBeside compares with a peer: Knot signs a zone and digests it.
func TestZONEMDBeside(t *testing.T) {
	tool, err := exec.LookPath("kzonesign")
	if err != nil {
		t.Skip("kzonesign is not there (Debian package knot-dnssecutils)")
	}
	for _, hash := range []string{"zonemd-sha384", "zonemd-sha512"} {
		for _, nsec3 := range []string{"off", "on"} {
			dir := t.TempDir()
			text := strings.Replace(testZone(t, "rfc8976-a2.zone"), "foo.test.     555    IN  TXT", "foo.test      555    IN  TXT", 1)
			text = "$ORIGIN example.\n" + strings.ReplaceAll(text, "duplicate     300", "duplicate     400")
			config := fmt.Sprintf(`
database:
    storage: %[1]s
policy:
  - id: p
    algorithm: ecdsap256sha256
    nsec3: %[3]s
template:
  - id: default
    storage: %[1]s
    dnssec-signing: on
    dnssec-policy: p
    zonemd-generate: %[2]s
zone:
  - domain: example.
    file: example.zone
`, dir, hash, nsec3)
			for name, content := range map[string]string{"example.zone": text, "knot.conf": config} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command(tool, "-c", filepath.Join(dir, "knot.conf"), "example.").CombinedOutput(); err != nil {
				t.Fatalf("signing: %v\n%s", err, out)
			}
			signed, err := os.ReadFile(filepath.Join(dir, "example.zone"))
			if err != nil {
				t.Fatal(err)
			}
			list := read(t, "example.", string(signed))
			if got := dnssec.VerifyZONEMD(dns.MustName("example."), slices.Values(list)); got != dnssec.ZONEMDGood {
				t.Errorf("%s, NSEC3 %s: %v\n%s", hash, nsec3, got, signed)
			}
		}
	}
}

func FuzzVerifyZONEMD(f *testing.F) {
	apex := dns.MustName("example.")
	f.Add([]byte("\x78\x48\xb9\x1c\x01\x01"+strings.Repeat("x", 48)), []byte("\x78\x48\xb9\x1c\x01\x01"+strings.Repeat("y", 48)))
	f.Add([]byte("\x78\x48\xb9\x1c\x01\x02"+strings.Repeat("x", 64)), []byte("\x78"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		list := read(t, "example.", testZone(t, "rfc8976-a1.zone"))
		list = slices.DeleteFunc(list, func(r dns.Record) bool { return r.Type == dns.TypeZONEMD })
		good := dnssec.DigestZone(apex, 2018031900, slices.Values(list), dnssec.ZONEMDSHA384)[0]
		for _, data := range [][]byte{one, two} {
			list = append(list, dns.Record{Name: apex, Type: dns.TypeZONEMD, Class: dns.ClassIN, Data: data})
		}
		slices.SortStableFunc(list, func(a, b dns.Record) int { return a.Name.Compare(b.Name) })
		verdict := dnssec.VerifyZONEMD(apex, slices.Values(list))
		is := string(one) == string(good.Append(nil)) || string(two) == string(good.Append(nil))
		if verdict.OK() && !is {
			t.Errorf("%x and %x are taken for the digest", one, two)
		}
		if z, err := dnssec.ParseZONEMD(one); err == nil && string(z.Append(nil)) != string(one) {
			t.Errorf("%x is %x when it is written again", one, z.Append(nil))
		}
	})
}
