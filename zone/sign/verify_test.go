package sign_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

func codes(findings []zone.Finding) (list []string) {
	for _, f := range findings {
		if !slices.Contains(list, f.Code) {
			list = append(list, f.Code)
		}
	}
	return list
}

// judges are other verifiers: each returns whether the zone is good for it.
var judges = map[string]func(file string) *exec.Cmd{
	"dnssec-verify":    func(f string) *exec.Cmd { return exec.Command("dnssec-verify", "-q", "-o", "example.", f) },
	"ldns-verify-zone": func(f string) *exec.Cmd { return exec.Command("ldns-verify-zone", f) },
	"kzonecheck":       func(f string) *exec.Cmd { return exec.Command("kzonecheck", "-d", "on", "-o", "example.", f) },
}

// judge asks a verifier, and reports false where it is not installed.
func judge(t testing.TB, name string, v *zone.Version) (err error, ok bool) {
	cmd := judges[name]
	if _, err := exec.LookPath(name); err != nil {
		return nil, false
	}
	file := filepath.Join(t.TempDir(), "zone")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := zonefile.WriteLines(f, v.Records()); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd(file).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out), true
	}
	return nil, true
}

// tidy is a zone that all judges have in common ground: nothing below a cut but glue.
const tidy = `$ORIGIN example.
$TTL 3600
@ SOA ns1 hostmaster 1 3600 900 604800 600
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.1
mail A 192.0.2.2
*.wild TXT "wild"
a.b.c.d TXT "deep"
insecure NS ns.insecure
ns.insecure A 192.0.2.3
secure NS ns1
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
only.cuts.below NS ns.insecure
dname DNAME elsewhere.test.
`

func TestJudgesAgree(t *testing.T) {
	now := time.Now()
	for _, algorithm := range []uint8{dnssec.RSASHA256, dnssec.ECDSAP256SHA256, dnssec.ED25519} {
		k, z := newKey(t, algorithm, ksk), newKey(t, algorithm, zsk)
		for name, d := range denials {
			if d.Kind == sign.None || d.Kind == sign.Compact || testing.Short() && d.Salt != nil {
				continue
			}
			t.Run(name+" "+dnssec.AlgorithmName(algorithm), func(t *testing.T) {
				p := csk(t, d)
				p.Keys, p.Apex = []sign.Key{{Key: k, SignsKeys: true}, {Key: z, SignsZone: true}}, dnskeys(k, z)
				p.ZONEMD = []uint8{dnssec.ZONEMDSHA384}
				v, _, err := p.Whole(t.Context(), load(t, tidy), now)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range sign.Verify(v, sign.VerifyOptions{At: now, Left: 24 * time.Hour, Anchors: anchors(t, k)}) {
					if f.Code != "nsec3-iterations" {
						t.Errorf("Verify: %s", f)
					}
				}
				for name := range judges {
					if err, ok := judge(t, name, v); err != nil {
						t.Errorf("%s: %v", name, err)
					} else if !ok {
						t.Logf("%s is not installed", name)
					}
				}
			})
		}
	}
}

func anchors(t testing.TB, k *dnssec.Key) []dns.Record {
	ds, err := dnssec.MakeDS(origin, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return []dns.Record{{Name: origin, Type: dns.TypeDS, Class: dns.ClassIN, Data: ds.RData()}}
}

// TestVerifyRandomZones: what Whole makes of any zone, Verify has nothing to say of.
func TestVerifyRandomZones(t *testing.T) {
	k := newKey(t, dnssec.ED25519, ksk)
	for name, d := range denials {
		if d.Kind == sign.None {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := &sign.Plan{Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Apex: dnskeys(k), Denial: d, Workers: 1}
				e := loadRapid(t, example).Edit()
				for range rapid.IntRange(0, 12).Draw(t, "records") {
					if r := drawRecord(t); !r.Name.Equal(origin) {
						e.Add(r)
					}
				}
				plain, err := e.Commit()
				if err != nil {
					t.Fatal(err)
				}
				v, _, err := p.Whole(context.Background(), plain, noon)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range sign.Verify(v, sign.VerifyOptions{At: noon, Compact: d.Kind == sign.Compact, Workers: 1}) {
					if f.Code != "nsec3-iterations" {
						t.Fatalf("%s: %s", f.Code, f)
					}
				}
			})
		})
	}
}

// breakage does something to a signed zone that Verify has to find.
type breakage struct {
	denial string
	code   string
	do     func(e *zone.Editor)
	judges bool // the others find it too
}

// first returns the first record of a type at or below the origin for which is holds.
func first(v *zone.Version, is func(dns.Record) bool) dns.Record {
	for r := range v.Records() {
		if is(r) {
			return r
		}
	}
	panic("the zone has no such record")
}

func ofType(t dns.Type) func(dns.Record) bool {
	return func(r dns.Record) bool { return r.Type == t }
}

// change replaces a record by one with other rdata; its signatures stay.
func change(e *zone.Editor, r dns.Record, f func(rdata []byte) []byte) {
	e.Remove(r)
	r.Data = f(slices.Clone(r.Data))
	if _, err := e.Add(r); err != nil {
		panic(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
}

func sigOver(name string, t dns.Type) func(dns.Record) bool {
	return func(r dns.Record) bool {
		return r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == t && (name == "" || r.Name.Equal(dns.MustName(name)))
	}
}

func TestVerifyFindsWhatIsBroken(t *testing.T) {
	other := newKey(t, dnssec.ECDSAP256SHA256, zsk)
	rsa := newKey(t, dnssec.RSASHA256, zsk)
	for _, b := range []breakage{
		{"NSEC", "rrsig-missing", func(e *zone.Editor) { e.Remove(first(e.View(), sigOver("ns1.example.", dns.TypeA))) }, true},
		{"NSEC", "rrsig-missing", func(e *zone.Editor) { e.Remove(first(e.View(), sigOver("example.", dns.TypeSOA))) }, true},
		{"NSEC", "rrsig-missing", func(e *zone.Editor) { e.Remove(first(e.View(), sigOver("example.", dns.TypeDNSKEY))) }, true},
		{"NSEC", "rrsig-missing", func(e *zone.Editor) { e.Remove(first(e.View(), sigOver("secure.example.", dns.TypeDS))) }, true},
		{"NSEC3", "rrsig-missing", func(e *zone.Editor) { e.Remove(first(e.View(), sigOver("", dns.TypeNSEC3))) }, true},
		{"NSEC", "rrsig-missing", func(e *zone.Editor) { e.Add(dnskeys(rsa)[0]) }, true}, // another algorithm
		{"NSEC", "rrsig-wrong", func(e *zone.Editor) { change(e, first(e.View(), sigOver("ns1.example.", dns.TypeA)), flip(-1)) }, true},
		{"NSEC", "rrsig-wrong", func(e *zone.Editor) { change(e, first(e.View(), sigOver("ns1.example.", dns.TypeA)), flip(3)) }, true}, // labels
		{"NSEC", "rrsig-wrong", func(e *zone.Editor) { e.Add(dns.MustRecord("ns1.example. 3600 IN A 192.0.2.77")) }, true},
		{"NSEC", "rrsig-by-unknown-key", func(e *zone.Editor) {
			e.RemoveRRset(origin, dns.TypeDNSKEY)
			e.Add(dnskeys(other)[0])
		}, true},
		{"NSEC", "not-signed", func(e *zone.Editor) { e.RemoveRRset(origin, dns.TypeDNSKEY) }, true},
		{"NSEC", "nsec-missing", func(e *zone.Editor) { e.RemoveRRset(dns.MustName("mail.example."), dns.TypeNSEC) }, true},
		{"NSEC", "nsec-missing", func(e *zone.Editor) { e.Add(dns.MustRecord("new.example. 300 IN TXT new")) }, true},
		{"NSEC", "nsec-wrong-next", func(e *zone.Editor) { e.RemoveName(dns.MustName("mail.example.")) }, true},
		{"NSEC", "nsec-wrong-types", func(e *zone.Editor) { e.Add(dns.MustRecord("mail.example. 3600 IN TXT new")) }, true},
		{"NSEC", "nsec-orphan", func(e *zone.Editor) {
			r := first(e.View(), ofType(dns.TypeNSEC))
			r.Name = dns.MustName("ns.insecure.example.")
			e.Add(r)
		}, true},
		{"NSEC", "no-denial", func(e *zone.Editor) {
			for n := range e.View().Nodes() {
				defer e.RemoveRRset(n.Name(), dns.TypeNSEC)
			}
		}, true},
		{"NSEC3", "nsec3-missing", func(e *zone.Editor) {
			e.RemoveRRset(first(e.View(), ofType(dns.TypeNSEC3)).Name, dns.TypeNSEC3)
		}, true},
		{"NSEC3", "nsec3-missing", func(e *zone.Editor) { e.Add(dns.MustRecord("x.new.example. 300 IN TXT new")) }, true},
		{"NSEC3", "nsec3-orphan", func(e *zone.Editor) { e.RemoveName(dns.MustName("mail.example.")) }, true},
		{"NSEC3", "nsec3-wrong-types", func(e *zone.Editor) { e.Add(dns.MustRecord("mail.example. 3600 IN TXT new")) }, true},
		{"NSEC3", "nsec3-wrong-next", func(e *zone.Editor) { change(e, first(e.View(), ofType(dns.TypeNSEC3)), flip(5+2+1+19)) }, true},
		{"NSEC3", "nsec3param-missing", func(e *zone.Editor) { e.RemoveRRset(origin, dns.TypeNSEC3PARAM) }, false},
		{"NSEC3 opt-out", "nsec3-missing", func(e *zone.Editor) {
			e.Add(dns.MustRecord("insecure.example. 300 IN DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))
		}, true},
		{"NSEC", "zonemd-wrong", func(e *zone.Editor) { e.Add(dns.MustRecord("ns.insecure.example. 3600 IN A 192.0.2.99")) }, false},
	} {
		now := time.Now()
		p := csk(t, denials[b.denial])
		p.ZONEMD = []uint8{dnssec.ZONEMDSHA384}
		v, _, err := p.Whole(t.Context(), load(t, tidy), now)
		if err != nil {
			t.Fatal(err)
		}
		e := v.Edit()
		b.do(e)
		if v, err = e.Commit(); err != nil {
			t.Fatal(err)
		}
		found := sign.Verify(v, sign.VerifyOptions{At: now})
		if !slices.ContainsFunc(found, func(f zone.Finding) bool { return f.Code == b.code && f.Severity == zone.Error }) {
			t.Errorf("%s: found %v, expected %s as an error", b.denial, found, b.code)
		}
		for _, f := range found {
			if f.Text == "" || f.Cure == "" {
				t.Errorf("%s has no text or no cure", f.Code)
			}
		}
		if err, ok := judge(t, "dnssec-verify", v); b.judges && ok && err == nil {
			t.Errorf("%s, %s: dnssec-verify finds nothing", b.denial, b.code)
		}
	}
}

func TestVerifyTimesAndAnchors(t *testing.T) {
	p := csk(t, denials["NSEC3"])
	v, _, err := p.Whole(t.Context(), load(t, tidy), noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		o    sign.VerifyOptions
		want string
	}{
		{sign.VerifyOptions{At: noon}, ""},
		{sign.VerifyOptions{At: noon.Add(20 * day)}, "rrsig-expired"},
		{sign.VerifyOptions{At: noon.Add(-2 * time.Hour)}, "rrsig-not-yet-valid"},
		{sign.VerifyOptions{At: noon, Left: 15 * day}, "rrsig-expires-soon"},
		{sign.VerifyOptions{At: noon, Anchors: anchors(t, p.Keys[0].Key)}, ""},
		{sign.VerifyOptions{At: noon, Anchors: dnskeys(p.Keys[0].Key)}, ""},
		{sign.VerifyOptions{At: noon, Anchors: anchors(t, newKey(t, dnssec.ECDSAP256SHA256, ksk))}, "anchor-without-key"},
	} {
		got := slices.DeleteFunc(codes(sign.Verify(v, test.o)), func(c string) bool { return c == "nsec3-iterations" })
		if strings.Join(got, " ") != test.want {
			t.Errorf("at %s: %v, expected %q", test.o.At, got, test.want)
		}
	}
}
