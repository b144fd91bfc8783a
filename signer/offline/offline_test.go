package offline

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

var (
	zone = dns.MustName("example.com.")
	day0 = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
)

func day(n int) time.Time { return day0.AddDate(0, 0, n) }

func newKey(t testing.TB, flags uint16) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rolling are two ZSKs, of which the second follows the first.
func rolling(t testing.TB) (a, b *dnssec.Key, request *File) {
	t.Helper()
	a, b = newKey(t, 256), newKey(t, 256)
	f, err := NewRequest(zone, 3600, []Scheduled{{Key: a.DNSKEY(), Remove: day(12)}, {Key: b.DNSKEY(), Publish: day(10)}}, day(0), day(30))
	if err != nil {
		t.Fatal(err)
	}
	return a, b, f
}

func usual(ksk *dnssec.Key) SignOptions {
	return SignOptions{Keys: []KSK{{Key: ksk, CDS: true}}, Validity: 14 * 24 * time.Hour, Refresh: 7 * 24 * time.Hour, Skew: time.Hour}
}

func mustSign(t testing.TB, f *File, o SignOptions) *File {
	t.Helper()
	skr, err := Sign(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	return skr
}

// reread writes and reads a file.
func reread(t testing.TB, f *File, style Style) *File {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, style, day(0), "onoma"); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("file", &b)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestRequestAndResponse(t *testing.T) {
	a, b, request := rolling(t)
	ksk := newKey(t, 257)
	for _, style := range []Style{Knot, BIND} {
		got := reread(t, request, style)
		if diff := cmp.Diff(request.Bundles, got.Bundles, cmp.Comparer(dns.Name.Equal)); diff != "" || got.Kind != Request {
			t.Fatalf("read as %s, %s", got.Kind, diff)
		}
		skr := reread(t, mustSign(t, got, usual(ksk)), style)
		if err := skr.Verify([]dns.Record{{Name: zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: ksk.RData()}}); err != nil {
			t.Fatal(err)
		}
		// Every hour of the time, all sets are there with signatures that are good.
		for at := day(0); at.Before(day(37)); at = at.Add(time.Hour) {
			bundle, err := skr.Bundle(at)
			if err != nil {
				t.Fatal(err)
			}
			if bundle.Has(a.DNSKEY()) != at.Before(day(12)) || bundle.Has(b.DNSKEY()) == at.Before(day(10)) || !bundle.Has(ksk.DNSKEY()) {
				t.Fatalf("at %s the keys are %v", at, bundle.Keys())
			}
			checkSigs(t, skr, at, ksk)
		}
		if got, want := skr.Until(), day(44); !got.Equal(want) {
			t.Errorf("it ends at %s, want %s", got, want)
		}
		if got := skr.Next(day(0)); !got.Equal(day(7)) {
			t.Errorf("after %s, %s is next, want %s", day(0), got, day(7))
		}
	}
}

func checkSigs(t *testing.T, f *File, at time.Time, ksk *dnssec.Key) {
	t.Helper()
	records, err := f.At(at)
	if err != nil {
		t.Fatal(err)
	}
	b := Bundle{Records: records}
	n := 0
	for _, r := range records {
		if r.Type != dns.TypeRRSIG {
			continue
		}
		s, err := dns.ParseRRSIG(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := dnssec.VerifyRRset(b.set(s.TypeCovered), &s, ksk.DNSKEY(), at); err != nil {
			t.Fatalf("at %s: RRSIG %s: %v", at, s.TypeCovered, err)
		}
		n++
	}
	if n != 3 {
		t.Fatalf("at %s there are %d signatures, want 3", at, n)
	}
}

func TestOutsideOfTheTime(t *testing.T) {
	_, _, request := rolling(t)
	skr := mustSign(t, request, usual(newKey(t, 257)))
	for _, at := range []time.Time{day(-1), day(44), day(400)} {
		if _, err := skr.At(at); !errors.Is(err, ErrUncovered) {
			t.Errorf("at %s: %v, want that there is nothing", at, err)
		}
	}
	if !skr.Next(day(31)).IsZero() {
		t.Error("something comes after the end")
	}
}

// A KSK follows another: for a time both are there, and both sign.
func TestKSKRollover(t *testing.T) {
	_, _, request := rolling(t)
	old, next := newKey(t, 257), newKey(t, 257)
	o := usual(old)
	o.Keys = []KSK{{Key: old, Remove: day(20), Inactive: day(20), CDS: true}, {Key: next, Publish: day(5), Activate: day(5), CDS: true}}
	skr := mustSign(t, request, o)
	if err := skr.Verify(nil); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int][2]bool{0: {true, false}, 4: {true, false}, 5: {true, true}, 19: {true, true}, 20: {false, true}, 26: {false, true}} {
		b, err := skr.Bundle(day(n))
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{b.Has(old.DNSKEY()), b.Has(next.DNSKEY())}; got != want {
			t.Errorf("on day %d the KSKs are there: %v, want %v", n, got, want)
		}
	}
	o.Keys[1].Publish, o.Keys[1].Activate = day(25), day(25)
	if _, err := Sign(t.Context(), request, o); err == nil || !strings.Contains(err.Error(), "no KSK is active") {
		t.Errorf("with no KSK for some days: %v", err)
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	_, _, request := rolling(t)
	ksk, other := newKey(t, 257), newKey(t, 257)
	for want, spoil := range map[string]func(f *File) []dns.Record{
		"none of its keys is one": func(*File) []dns.Record {
			return []dns.Record{{Name: zone, Type: dns.TypeDNSKEY, Data: other.RData()}}
		},
		"signature is wrong":            func(f *File) []dns.Record { f.Bundles[2].Sigs[0].Data[40] ^= 1; return nil },
		"DNSKEY is not signed":          func(f *File) []dns.Record { f.Bundles[2].Sigs = f.Bundles[2].Sigs[1:]; return nil },
		"before the next ones begin":    func(f *File) []dns.Record { f.Bundles = append(f.Bundles[:1], f.Bundles[4:]...); return nil },
		"RRSIG DNSKEY by key":           func(f *File) []dns.Record { f.Bundles[1].Records = f.Bundles[1].Records[1:]; return nil },
		"which is not in the DNSKEY":    func(f *File) []dns.Record { return resignWith(t, f, ksk, other) },
		"expected; this is a request":   func(f *File) []dns.Record { f.Kind = Request; return nil },
		"SignedKeyResponse: no, not it": nil,
	} {
		f := mustSign(t, request, usual(ksk))
		if spoil == nil {
			if err := f.Verify(nil); err != nil {
				t.Errorf("a good one: %v", err)
			}
			continue
		}
		trust := spoil(f)
		if err := f.Verify(trust); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// resignWith puts a CDNSKEY of a key that is not there into a bundle, well signed.
func resignWith(t *testing.T, f *File, ksk, other *dnssec.Key) []dns.Record {
	t.Helper()
	b := &f.Bundles[0]
	b.Records = append(b.Records, dns.Record{Name: zone, Type: dns.TypeCDNSKEY, Class: dns.ClassIN, Data: other.RData()})
	b.Sigs = nil
	o := usual(ksk)
	for _, typ := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		if err := signSet(t.Context(), zone, b, typ, &o); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

func TestSignRefuses(t *testing.T) {
	_, _, request := rolling(t)
	ksk := newKey(t, 257)
	withSEP, err := NewRequest(zone, 60, []Scheduled{{Key: newKey(t, 257).DNSKEY()}}, day(0), day(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(t.Context(), withSEP, usual(ksk)); err == nil || !strings.Contains(err.Error(), "zone-signing keys (256) were expected") {
		t.Errorf("a request that has a KSK: %v", err)
	}
	o := usual(ksk)
	o.Refresh = o.Validity
	if _, err := Sign(t.Context(), request, o); err == nil {
		t.Error("signed without end")
	}
	if _, err := Sign(t.Context(), mustSign(t, request, usual(ksk)), usual(ksk)); err == nil {
		t.Error("a response was signed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Sign(ctx, request, usual(ksk)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	if _, err := NewRequest(zone, 60, []Scheduled{{Key: newKey(t, 256).DNSKEY(), Publish: day(2)}}, day(0), day(5)); err == nil || !strings.Contains(err.Error(), "no key is in the zone") {
		t.Errorf("a time without keys: %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	const head, key = ";; KeySigningRequest 1.0 1000 (x) ===\n", "example.com. 60 DNSKEY 256 3 15 AAAA\n"
	for _, c := range []struct{ text, want string }{
		{"", "f:1: ';; KeySigningRequest 1.0'"},
		{key, "f:1: ';; KeySigningRequest 1.0'"},
		{";; KeySigningRequest 2.0 1000\n" + key, `f:1: version "2.0"`},
		{";; KeySigningRequest 1.0 soon\n" + key, `f:1: "soon": a time was expected`},
		{head + "\n", "f:1: the bundle of 1970-01-01T00:16:40Z has no records"},
		{head + key + ";; KeySigningRequest 1.0 999\n" + key, "f:3: 1970-01-01T00:16:39Z comes after 1970-01-01T00:16:40Z"},
		{head + key + ";; SignedKeyResponse 1.0 2000\n", "f:3: SignedKeyResponse in a KeySigningRequest"},
		{head + key + "example.net. 60 DNSKEY 256 3 15 AAAA\n", "f:3: a record of example.net.; example.com. was expected"},
		{head + key + "example.com. 60 A 192.0.2.1\n", "f:3: A: DNSKEY, CDS, CDNSKEY or RRSIG was expected"},
		{head + key + "example.com. 60 DNSKEY 256 3 x\n", "f:3: "},
		{head + key + "$INCLUDE /etc/passwd\n", "f:3: "},
		{head + key + "example.com. 60 RRSIG DNSKEY 13 2 60 20300101000000 20200101000000 1 example.com. AAAA\n", "f:3: a signature in a request"},
		{head + strings.Repeat(key, 65), "f:66: the bundle has more than 64 records"},
	} {
		if _, err := Parse("f", strings.NewReader(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, _, request := rolling(f)
	for _, file := range []*File{request, mustSign(f, request, usual(newKey(f, 257)))} {
		var b bytes.Buffer
		file.Bundles = file.Bundles[:1]
		if err := file.Write(&b, Knot, day(0), "onoma"); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("f", bytes.NewReader(text))
		if err != nil {
			return
		}
		again := reread(t, file, BIND)
		if diff := cmp.Diff(file.Bundles, again.Bundles, cmp.Comparer(dns.Name.Equal)); diff != "" {
			t.Error(diff)
		}
		file.Verify(nil)
		file.At(day(0))
	})
}

// knot runs keymgr with a configuration of offline KSKs.
type knot struct{ program, dir string }

func newKnot(t *testing.T) *knot {
	t.Helper()
	program, err := exec.LookPath("keymgr")
	if err != nil {
		if _, err := os.Stat("/usr/sbin/keymgr"); err != nil {
			t.Skip("knot is not installed")
		}
		program = "/usr/sbin/keymgr"
	}
	k := &knot{program, t.TempDir()}
	k.file(t, "knot.conf", `
database:
    storage: "`+k.dir+`"
policy:
  - id: p
    manual: on
    offline-ksk: on
    algorithm: ecdsap256sha256
    zsk-lifetime: 10d
    dnskey-ttl: 3600
    zone-max-ttl: 3600
    rrsig-lifetime: 14d
    rrsig-refresh: 7d
    cds-cdnskey-publish: always
template:
  - id: default
    dnssec-signing: on
    dnssec-policy: p
    storage: "`+k.dir+`"
zone:
  - domain: example.com
`)
	return k
}

func (k *knot) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *knot) keymgr(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(k.program, append([]string{"-c", filepath.Join(k.dir, "knot.conf"), "example.com."}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(string(out)+stderr.String(), "rror") {
		t.Fatalf("keymgr %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func text(t *testing.T, f *File) string {
	t.Helper()
	var b strings.Builder
	if err := f.Write(&b, Knot, time.Now(), "onoma"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Knot has the zone, and the KSK is ours.
func TestKnotTakesOurResponse(t *testing.T) {
	k := newKnot(t)
	k.keymgr(t, "pregenerate", "+30d")
	request, err := Parse("ksr", strings.NewReader(k.keymgr(t, "generate-ksr", "+0", "+30d")))
	if err != nil {
		t.Fatal(err)
	}
	if len(request.Bundles) < 5 || !strings.Contains(request.Made, "Knot") {
		t.Errorf("%d bundles by %q, want the rollovers of 30 days by Knot", len(request.Bundles), request.Made)
	}
	ksk := newKey(t, 257)
	skr := k.file(t, "skr", text(t, mustSign(t, request, usual(ksk))))
	k.keymgr(t, "validate-skr", skr)
	k.keymgr(t, "import-skr", skr)
	kept, err := Parse("offline", strings.NewReader(strings.ReplaceAll(k.keymgr(t, "show-offline"), "Offline records for", "SignedKeyResponse 1.0")))
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Verify([]dns.Record{{Name: zone, Type: dns.TypeDNSKEY, Data: ksk.RData()}}); err != nil {
		t.Errorf("what Knot keeps of it: %v", err)
	}
	if want := mustSign(t, request, usual(ksk)); len(kept.Bundles) != len(want.Bundles) {
		t.Errorf("Knot keeps %d bundles of %d", len(kept.Bundles), len(want.Bundles))
	}
}

// We have the zone, and the KSK is at a Knot.
func TestKnotSignsOurRequest(t *testing.T) {
	k := newKnot(t)
	ksk := newKey(t, 257)
	stem, err := keyfile.Write(k.dir, zone, ksk, keyfile.Meta{Times: keyfile.Times{Created: day0, Publish: day0, Activate: day0}})
	if err != nil {
		t.Fatal(err)
	}
	k.keymgr(t, "import-bind", stem)
	now := time.Now().UTC().Truncate(time.Second)
	a, b := newKey(t, 256), newKey(t, 256)
	request, err := NewRequest(zone, 3600, []Scheduled{{Key: a.DNSKEY(), Remove: now.AddDate(0, 0, 12)}, {Key: b.DNSKEY(), Publish: now.AddDate(0, 0, 10)}}, now, now.AddDate(0, 0, 30))
	if err != nil {
		t.Fatal(err)
	}
	skr, err := Parse("skr", strings.NewReader(k.keymgr(t, "sign-ksr", k.file(t, "ksr", text(t, request)))))
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dnssec.MakeDS(zone, ksk.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := skr.Verify([]dns.Record{{Name: zone, Type: dns.TypeDS, Data: ds.RData()}}); err != nil {
		t.Fatal(err)
	}
	for at := now; at.Before(now.AddDate(0, 0, 30)); at = at.Add(6 * time.Hour) {
		bundle, err := skr.Bundle(at)
		if err != nil {
			t.Fatal(err)
		}
		if bundle.Has(a.DNSKEY()) != at.Before(now.AddDate(0, 0, 12)) || bundle.Has(b.DNSKEY()) == at.Before(now.AddDate(0, 0, 10)) {
			t.Fatalf("at %s the keys are %v", at, bundle.Keys())
		}
		checkSigs(t, skr, at, ksk)
	}
}

// BIND signs our request, and we sign its.
func TestBIND(t *testing.T) {
	program, err := exec.LookPath("dnssec-ksr")
	if err != nil {
		t.Skip("bind9-utils with dnssec-ksr (9.20) is not installed")
	}
	dir, kskDir := t.TempDir(), t.TempDir()
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte(`dnssec-policy "p" { offline-ksk yes; keys { ksk lifetime unlimited algorithm 13; zsk lifetime P60D algorithm 13; }; };`), 0o600); err != nil {
		t.Fatal(err)
	}
	ksr := func(dir string, args ...string) string {
		t.Helper()
		out, err := exec.Command(program, append([]string{"-K", dir, "-k", "p", "-l", conf, "-i", "now", "-e", "+90d"}, args...)...).Output()
		if err != nil {
			t.Fatalf("dnssec-ksr %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	ksr(dir, "keygen", "example.com")
	request, err := Parse("ksr", strings.NewReader(ksr(dir, "request", "example.com")))
	if err != nil {
		t.Fatal(err)
	}
	o := usual(newKey(t, 257))
	o.Until = request.Bundles[0].From.AddDate(0, 0, 90)
	if err := reread(t, mustSign(t, request, o), BIND).Verify(nil); err != nil {
		t.Error(err)
	}
	ksr(kskDir, "-o", "keygen", "example.com")
	path := filepath.Join(dir, "ksr")
	var b bytes.Buffer
	if err := request.Write(&b, BIND, time.Now(), "onoma"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	skr, err := Parse("skr", strings.NewReader(ksr(kskDir, "-f", path, "-o", "sign", "example.com")))
	if err != nil {
		t.Fatal(err)
	}
	if err := skr.Verify(nil); err != nil || len(skr.Bundles) < 5 {
		t.Errorf("BIND's response of %d bundles: %v", len(skr.Bundles), err)
	}
}
