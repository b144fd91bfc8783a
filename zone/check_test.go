package zone

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"

	"github.com/google/go-cmp/cmp"
)

const (
	checkSOA = "@ SOA ns.x. h.x. 1 2 3 4 5\n"
	checkTop = checkSOA + "@ NS ns.other.\n"
	digest   = " DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000\n"
	hashed   = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
	nsec3    = " NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n"
	rrsigOf  = " 13 2 300 20300101000000 20200101000000 1 example. AAAA\n"
)

// badZones is zones of example. and what is found in them: severity and code.
// bind is what named-checkzone -i local makes of the zone, where that is another
// severity; then why says who is right.
var badZones = []struct {
	name, text string
	want       []string
	bind, why  string
}{
	{name: "good", text: checkTop + "a A 192.0.2.1\n* TXT x\n"},
	{name: "no SOA", text: "@ NS ns.other.\n", want: []string{"error no-soa"}},
	{name: "no SOA at the apex", text: "a SOA ns.x. h.x. 1 2 3 4 5\n@ NS ns.other.\n", want: []string{"error no-soa"}},
	{name: "nothing", text: "", want: []string{"error no-soa"}},
	{name: "two SOA", text: checkTop + "@ SOA ns.y. h.x. 1 2 3 4 5\n", want: []string{"error several-SOA"}},
	{name: "SOA elsewhere", text: checkTop + "a SOA ns.x. h.x. 1 2 3 4 5\n", want: []string{"error soa-not-at-apex"}},
	{name: "no NS", text: checkSOA, want: []string{"error no-ns"}},
	{name: "NS is an alias", text: checkSOA + "@ NS a\na CNAME b\nb A 192.0.2.1\n", want: []string{"error ns-is-cname"}},
	{name: "NS does not exist", text: checkSOA + "@ NS a\n", want: []string{"error ns-without-address"}},
	{name: "NS without address", text: checkSOA + "@ NS a\na TXT x\n", want: []string{"error ns-without-address"}},
	{name: "NS below a DNAME", text: checkSOA + "@ NS a.d\nd DNAME x.\n", want: []string{"error ns-below-dname"}},
	{name: "NS by a wildcard", text: checkSOA + "@ NS a\n* A 192.0.2.1\n"},
	{name: "NS below a delegation", text: checkSOA + "@ NS n.sub\nsub NS ns.foo.\n"},
	{name: "delegation without glue", text: checkTop + "sub NS ns.sub\n", want: []string{"warning no-glue"}},
	{name: "delegation to itself", text: checkTop + "sub NS sub\n", want: []string{"warning no-glue"}},
	{name: "delegation to itself with glue", text: checkTop + "sub NS sub\nsub A 192.0.2.1\n"},
	{name: "glue of another type", text: checkTop + "sub NS ns.sub\nns.sub TXT x\n", want: []string{"warning no-glue", "warning occluded"}},
	{name: "glue is an alias", text: checkTop + "sub NS ns.sub\nns.sub CNAME x.\n", want: []string{"warning no-glue", "warning occluded"}},
	{name: "sibling without glue", text: checkTop + "sub NS ns.sub2\nsub2 NS ns.out.\n", want: []string{"warning no-sibling-glue"}},
	{name: "delegation to nobody", text: checkTop + "sub NS ns.other2\n", want: []string{"warning ns-without-address"}},
	{name: "delegation to an alias", text: checkTop + "sub NS c\nc CNAME d\nd A 192.0.2.1\n", want: []string{"warning ns-is-cname"}},
	{name: "delegation below a DNAME", text: checkTop + "sub NS x.d\nd DNAME y.\n", want: []string{"warning ns-below-dname"}},
	{name: "many delegations to nobody", text: checkTop + "a NS ns.x\nb NS ns.x\n", want: []string{"warning ns-without-address", "warning ns-without-address"}},
	{name: "MX is an alias", text: checkTop + "@ MX 10 a\na CNAME b\nb A 192.0.2.1\n", want: []string{"warning target-is-cname"}},
	{name: "MX does not exist", text: checkTop + "@ MX 10 a\n", want: []string{"warning target-without-address"}},
	{name: "MX without address", text: checkTop + "@ MX 10 a\na TXT x\n", want: []string{"warning target-without-address"}},
	{name: "MX below a DNAME", text: checkTop + "@ MX 10 a.d\nd DNAME x.\n", want: []string{"warning target-below-dname"}},
	{name: "MX below a delegation", text: checkTop + "sub NS ns.foo.\n@ MX 10 m.sub\n"},
	{name: "MX is an address", text: checkTop + "@ MX 10 192.0.2.1.\n", want: []string{"warning target-is-address"}},
	{name: "MX is an address without final dot", text: checkTop + "@ MX 10 192.0.2.1\n", want: []string{"warning target-is-address", "warning target-without-address"}},
	{name: "MX is no host", text: checkTop + "@ MX 10 a_b.foo.\n", want: []string{"warning bad-host-name"}},
	{name: "null MX", text: checkTop + "@ MX 0 .\n"},
	{name: "null MX beside another", text: checkTop + "@ MX 0 .\n@ MX 5 a.foo.\n", want: []string{"warning null-mx"},
		bind: "good", why: "RFC 7505 §3 forbids it"},
	{name: "SRV is an alias", text: checkTop + "_x._tcp SRV 1 1 1 a\na CNAME b\nb A 192.0.2.1\n", want: []string{"warning target-is-cname"}},
	{name: "SRV does not exist", text: checkTop + "_x._tcp SRV 1 1 1 a\n", want: []string{"warning target-without-address"}},
	{name: "SRV is no host", text: checkTop + "_x._tcp SRV 1 1 1 a_b.foo.\n", want: []string{"warning bad-host-name"}},
	{name: "SRV is an address", text: checkTop + "_x._tcp SRV 1 1 1 192.0.2.1.\n", want: []string{"warning target-is-address"},
		bind: "good", why: "as wrong as in MX"},
	{name: "NS is an address", text: checkSOA + "@ NS 192.0.2.1.\n", want: []string{"warning target-is-address"}},
	{name: "NS is no host", text: checkSOA + "@ NS a_b.foo.\n", want: []string{"warning bad-host-name"}},
	{name: "SOA names no host", text: "@ SOA n_s.x. h_.x. 1 2 3 4 5\n@ NS ns.other.\n", want: []string{"warning bad-host-name"}},
	{name: "alias to no host", text: checkTop + "a CNAME b_c.foo.\n"},
	{name: "A at no host", text: checkTop + "a_b A 192.0.2.1\n", want: []string{"warning bad-owner-name"}},
	{name: "AAAA at no host", text: checkTop + "a_b AAAA 2001:db8::1\n", want: []string{"warning bad-owner-name"}},
	{name: "MX at no host", text: checkTop + "a_b MX 10 x.foo.\n", want: []string{"warning bad-owner-name"}},
	{name: "A at a hyphen", text: checkTop + "a- A 192.0.2.1\n", want: []string{"warning bad-owner-name"}},
	{name: "A of a global catalog", text: checkTop + "gc._msdcs A 192.0.2.1\n"},
	{name: "CNAME and other data", text: checkTop + "a CNAME b\na A 192.0.2.1\n", want: []string{"error cname-and-other-data"}},
	{name: "CNAME and DNAME", text: checkTop + "a CNAME b\na DNAME c\n", want: []string{"error cname-and-other-data"}},
	{name: "CNAME and DNSSEC", text: checkTop + "a CNAME b\na NSEC b.example. CNAME\na RRSIG CNAME" + rrsigOf + "a KEY 0 3 13 AAAA\n"},
	{name: "two CNAME", text: checkTop + "a CNAME b\na CNAME c\n", want: []string{"error several-CNAME"}},
	{name: "two DNAME", text: checkTop + "a DNAME b\na DNAME c\n", want: []string{"error several-DNAME"}},
	{name: "data below a DNAME", text: checkTop + "a DNAME b\nx.a A 192.0.2.1\n", want: []string{"warning occluded"},
		bind: "good", why: "RFC 6672 §2.4: it is never seen"},
	{name: "data below a DNAME at the apex", text: checkTop + "@ DNAME b.foo.\na A 192.0.2.1\n", want: []string{"warning occluded"},
		bind: "good", why: "RFC 6672 §2.4: it is never seen"},
	{name: "DNAME at a wildcard", text: checkTop + "* DNAME ns.foo.\n", want: []string{"warning wildcard-dname"},
		bind: "good", why: "RFC 4592 §4.4 strongly discourages it"},
	{name: "NS at a wildcard", text: checkTop + "* NS ns.foo.\n", want: []string{"error wildcard-ns"}},
	{name: "asterisk within a name", text: checkTop + "a.*.b TXT x\n", want: []string{"warning inner-wildcard"}},
	{name: "data below a delegation", text: checkTop + "sub NS ns.foo.\nx.sub TXT x\n", want: []string{"warning occluded"},
		bind: "good", why: "it is never seen"},
	{name: "data at a delegation", text: checkTop + "sub NS ns.foo.\nsub MX 10 foo.\n", want: []string{"warning occluded"},
		bind: "good", why: "it is never seen"},
	{name: "delegation below a delegation", text: checkTop + "sub NS ns.foo.\nx.sub NS ns.foo.\n", want: []string{"warning occluded"},
		bind: "good", why: "it is never seen"},
	{name: "DS without NS", text: checkTop + "a" + digest, want: []string{"warning ds-without-ns"},
		bind: "good", why: "RFC 4034 §5: DS is for delegations"},
	{name: "DS at the apex", text: checkTop + "@" + digest, want: []string{"error ds-at-apex"}},
	{name: "DS at a delegation", text: checkTop + "a NS ns.foo.\na" + digest},
	{name: "out of the zone", text: checkTop + "foo.bar. A 192.0.2.1\n", want: []string{"warning out-of-zone"}},
	{name: "beside the zone", text: checkTop + "xexample. A 192.0.2.1\n", want: []string{"warning out-of-zone"}},
	{name: "several TTLs", text: checkTop + "a 300 A 192.0.2.1\na 600 A 192.0.2.2\n", want: []string{"warning ttl-mismatch"}},
	{name: "several TTLs apart", text: checkTop + "a 300 A 192.0.2.1\nb TXT x\na 600 A 192.0.2.2\n", want: []string{"warning ttl-mismatch"},
		bind: "good", why: "RFC 2181 §5.2: it is one RRset all the same"},
	{name: "repetition", text: checkTop + "a A 192.0.2.1\na A 192.0.2.1\n"},
	{name: "another class", text: checkTop + "a CH TXT foo\n", want: []string{"error text"}},
	{name: "question type", text: checkTop + "a TYPE255 \\# 0\n", want: []string{"error text"}},
	{name: "TSIG", text: checkTop + "a TYPE250 \\# 0\n", want: []string{"error text"}},
	{name: "NSEC3 without NSEC3PARAM", text: checkTop + hashed + nsec3, want: []string{"warning nsec3-without-nsec3param"},
		bind: "good", why: "no proof has these records"},
	{name: "NSEC3PARAM without NSEC3", text: checkTop + "@ NSEC3PARAM 1 0 0 -\n", want: []string{"warning nsec3param-without-nsec3"},
		bind: "good", why: "nothing can be denied"},
	{name: "NSEC3", text: checkTop + "@ NSEC3PARAM 1 0 0 -\n" + hashed + nsec3},
	{name: "NSEC3 at no hash", text: checkTop + "@ NSEC3PARAM 1 0 0 -\n" + hashed + nsec3 + "abc" + nsec3, want: []string{"error bad-nsec3-owner"}},
	{name: "NSEC3 too deep", text: checkTop + "@ NSEC3PARAM 1 0 0 -\n" + hashed + nsec3 + hashed + ".a" + nsec3, want: []string{"warning bad-nsec3-owner"},
		bind: "good", why: "RFC 5155 §3 has it one label below the apex"},
	{name: "signatures of nothing", text: checkTop + "a RRSIG A" + rrsigOf, want: []string{"warning rrsig-without-rrset"},
		bind: "good", why: "they are never sent"},
	{name: "SPF alone", text: checkTop + "a SPF \"v=spf1 -all\"\n", want: []string{"warning spf-without-txt"}},
	{name: "more than fits a message", text: checkTop + "$GENERATE 1-4100 a TXT t$\n", want: []string{"warning rrset-too-large"},
		bind: "good", why: "RFC 1035 §4.2.2: no message has that many"},
	{name: "SPF and TXT", text: checkTop + "a SPF \"v=spf1 -all\"\na TXT \"v=spf1 -all\"\n"},
}

// severityOf sums findings up.
func severityOf(found []string) string {
	s := "good"
	for _, f := range found {
		if strings.HasPrefix(f, "error") {
			return "error"
		}
		s = "warning"
	}
	return s
}

func TestChecks(t *testing.T) {
	for _, z := range badZones {
		origin := dns.MustName("example")
		text := "$TTL 300\n" + z.text
		v, findings, err := Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin}), origin)
		var got []string
		for _, f := range findings {
			got = append(got, f.Severity.String()+" "+f.Code)
			if f.Text == "" || f.Cure == "" || f.Name.IsZero() || strings.HasPrefix(f.String(), ":") {
				t.Errorf("%s: finding %q without name, text or cure", z.name, f)
			}
		}
		if err != nil {
			got = append(got, "error text")
		}
		slices.Sort(got)
		if d := cmp.Diff(z.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s%v %v", z.name, d, findings, err)
		}
		if v != nil && err == nil && !slices.Contains(got, "error no-soa") {
			if again := v.Check(); len(again) > len(findings) {
				t.Errorf("%s: Check finds %v, building it found %v", z.name, again, findings)
			}
		}
	}
}

// namedCheckzone returns what named-checkzone makes of a zone.
func namedCheckzone(t *testing.T, origin, file string) (severity, output string) {
	t.Helper()
	out, err := exec.Command("named-checkzone", "-i", "local", origin, file).CombinedOutput()
	if err != nil {
		return "error", string(out)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "loaded serial") && line != "OK\n" {
			return "warning", string(out)
		}
	}
	return "good", string(out)
}

// TestChecksAgainstNamedCheckzone wants the severities of badZones to be BIND's,
// or the difference to have a reason.
func TestChecksAgainstNamedCheckzone(t *testing.T) {
	if _, err := exec.LookPath("named-checkzone"); err != nil {
		t.Skip("named-checkzone is not installed (Debian package bind9-utils)")
	}
	file := filepath.Join(t.TempDir(), "zone")
	for _, z := range badZones {
		if err := os.WriteFile(file, []byte("$ORIGIN example.\n$TTL 300\n"+z.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, output := namedCheckzone(t, "example", file)
		switch ours := severityOf(z.want); {
		case z.bind == "" && got != ours:
			t.Errorf("%s: we say %s, named-checkzone %s:\n%s", z.name, ours, got, output)
		case z.bind != "" && (got != z.bind || z.why == "" || got == ours):
			t.Errorf("%s: named-checkzone says %s, the table %s (%s) and we %s", z.name, got, z.bind, z.why, ours)
		}
	}
}

// sharedFile returns the path of a file that lies beside the repository.
func sharedFile(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("ONOMA_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there (set ONOMA_SHARED)", path)
	}
	return path
}

func TestRealZonesHaveNoFindings(t *testing.T) {
	for file, origin := range map[string]string{
		"root-2020-signed.zone": ".", "thedns.guru.zone": "thedns.guru.", "palettepalapp.com.zone": "palettepalapp.com.",
	} {
		t.Run(file, func(t *testing.T) {
			path := sharedFile(t, file)
			v, findings, err := LoadFile(path, dns.MustName(origin))
			if err != nil {
				t.Fatal(err)
			}
			if len(findings) == 0 {
				return
			}
			if _, err := exec.LookPath("named-checkzone"); err != nil {
				t.Skip("there are findings, and no named-checkzone to compare them with")
			}
			if severity, output := namedCheckzone(t, origin, path); severity == "good" {
				t.Errorf("%v, serial %d; named-checkzone finds nothing:\n%s", findings, v.Serial(), output)
			}
		})
	}
}
