package sign_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	origin = dns.MustName("example.")
)

// example has all that signing treats in its own way.
const example = `$ORIGIN example.
$TTL 3600
@ SOA ns1 hostmaster 1 3600 900 604800 600
@ NS ns1
@ NS ns2.elsewhere.test.
@ MX 10 mail
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
Mail A 192.0.2.2
*.wild TXT "wild"
a.b.c.d TXT "deep"
alias CNAME ns1
insecure NS ns.insecure
ns.insecure A 192.0.2.3
hidden.insecure TXT "occluded"
insecure TXT "glue at a cut is nobody's"
secure NS ns1
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
only.cuts.below NS ns.insecure
dname DNAME elsewhere.test.
under.dname TXT "occluded"
\000\255odd TXT "odd"
`

func load(t testing.TB, text string) *zone.Version {
	t.Helper()
	v, err := loadText(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func loadText(text string) (*zone.Version, error) {
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin, DefaultTTL: 300}), origin)
	return v, err
}

func newKey(t testing.TB, algorithm uint8, flags uint16) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, algorithm, 0, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func dnskeys(keys ...*dnssec.Key) (list []dns.Record) {
	for _, k := range keys {
		list = append(list, dns.Record{Name: origin, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()})
	}
	return list
}

const (
	zsk = dns.DNSKEYZone
	ksk = dns.DNSKEYZone | dns.DNSKEYSEP
)

// csk returns a plan with one key.
func csk(t testing.TB, d sign.Denial) *sign.Plan {
	k := newKey(t, dnssec.ECDSAP256SHA256, ksk)
	return &sign.Plan{
		Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Apex: dnskeys(k), Denial: d,
		Validity: 14 * 24 * time.Hour, Refresh: 3 * 24 * time.Hour, Jitter: 24 * time.Hour, Skew: time.Hour,
	}
}

// denials are those that a zone can have.
var denials = map[string]sign.Denial{
	"none":            {},
	"NSEC":            {Kind: sign.NSEC},
	"NSEC3":           {Kind: sign.NSEC3, Iterations: 2, Salt: []byte{0xAB, 0xCD}},
	"NSEC3 opt-out":   {Kind: sign.NSEC3, OptOut: true},
	"compact":         {Kind: sign.Compact},
	"NSEC3 with salt": {Kind: sign.NSEC3, Salt: []byte{1}},
}

func same(t testing.TB, p *sign.Plan, v *zone.Version) {
	t.Helper()
	sameAt(t, p, v, noon)
}

func sameAt(t testing.TB, p *sign.Plan, v *zone.Version, at time.Time) {
	t.Helper()
	got, err := actual(p, v, at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(p, v), got); diff != "" {
		t.Fatalf("not what was expected (-) but (+):\n%s", diff)
	}
}

func TestWhole(t *testing.T) {
	for name, d := range denials {
		t.Run(name, func(t *testing.T) {
			p := csk(t, d)
			v, r, err := p.Whole(t.Context(), load(t, example), noon)
			if err != nil {
				t.Fatal(err)
			}
			same(t, p, v)
			again, r2, err := p.Whole(t.Context(), v, noon.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if diff := zone.Diff(v, again); r2.Signatures != 0 || r2.Kept != r.Signatures || !diff.IsEmpty() {
				t.Errorf("signed again: %+v after %+v, and %d records went, %d came; expected all to be kept", r2, r, len(diff.Removed), len(diff.Added))
			}
		})
	}
}

func TestWholeFromOneDenialToAnother(t *testing.T) {
	k := newKey(t, dnssec.ED25519, ksk)
	for from, d := range denials {
		p := csk(t, d)
		p.Keys[0].Key, p.Apex = k, dnskeys(k)
		v, _, err := p.Whole(t.Context(), load(t, example), noon)
		if err != nil {
			t.Fatal(err)
		}
		for to, d := range denials {
			q := *p
			q.Denial = d
			w, _, err := q.Whole(t.Context(), v, noon)
			if err != nil {
				t.Fatalf("%s to %s: %v", from, to, err)
			}
			same(t, &q, w)
		}
	}
}

// TestWholeOfHiddenSignatures has glue and occluded names that somebody has signed, and
// an NSEC record at one.
func TestWholeOfHiddenSignatures(t *testing.T) {
	const made = ` 13 2 3600 20300101000000 20200101000000 1 example. ` +
		`AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==` + "\n"
	text := example + `ns.insecure RRSIG A` + made + `hidden.insecure RRSIG TXT` + made + `hidden.insecure NSEC x TXT
under.dname RRSIG TXT` + made + `alone.secure RRSIG A` + made
	for name, d := range denials {
		t.Run(name, func(t *testing.T) {
			p := csk(t, d)
			v, _, err := p.Whole(t.Context(), load(t, text), noon)
			if err != nil {
				t.Fatal(err)
			}
			same(t, p, v)
		})
	}
}
