package preflight

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/offline"
)

// response writes a signed key response for a zone that is good for some days.
func response(t *testing.T, path, name string, days int) {
	t.Helper()
	var keys []*dnssec.Key
	for _, flags := range []uint16{dns.DNSKEYZone, dns.DNSKEYZone | dns.DNSKEYSEP} {
		k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, flags)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	ksr, err := offline.NewRequest(dns.MustName(name), 3600, []offline.Scheduled{{Key: keys[0].DNSKEY()}}, now.AddDate(0, 0, -3), now.AddDate(0, 0, days-14))
	if err != nil {
		t.Fatal(err)
	}
	skr, err := offline.Sign(context.Background(), ksr, offline.SignOptions{Keys: []offline.KSK{{Key: keys[1]}}, Validity: 14 * 24 * time.Hour, Refresh: 7 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := skr.Write(&text, offline.Knot, now, "test"); err != nil {
		t.Fatal(err)
	}
	write(t, path, text.String())
}

// TestSigning: what keys are protected by, and what policies name.
func TestSigning(t *testing.T) {
	dir := t.TempDir()
	for name, days := range map[string]int{"good": 90, "ends": 13, "other": 90} {
		of := name + ".example."
		if name == "other" {
			of = "good.example."
		}
		response(t, filepath.Join(dir, name+".example.skr"), of, days)
	}
	write(t, filepath.Join(dir, "broken.example.skr"), ";; SignedKeyResponse 1.0 1\nexample. nonsense\n")
	write(t, filepath.Join(dir, "short"), "too short")
	write(t, filepath.Join(dir, "zone"), "@ 60 IN SOA ns h 1 7200 900 1209600 300\n@ 60 IN NS ns\nns 99d IN A 192.0.2.1\n")
	write(t, filepath.Join(dir, "hints"), "a.root. A 192.0.2.1\n")
	if err := os.Mkdir(filepath.Join(dir, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := check(t, dir, `
data: .
dnssec: {seal: "file:`+dir+`/short", keys: open, tokens: {hsm: {module: absent.so, label: x, pin: "env:NOTHING"}}}
lookups: {root-hints: hints, trust-anchor: zone}
policies: {away: {keys: split, offline-ksk: "{zone}.skr"}}
templates: {away: {dnssec: away, update: ["grant 127.0.0.0/8 zonesub ANY"]}}
zones:
  good.example: {template: away}
  ends.example: {template: away}
  other.example: {template: away}
  broken.example: {template: away}
  none.example: {template: away}
  long.example: {file: zone}
  from.example: {file: zone, dnssec: default, keys-from: .}
`)
	for _, want := range []string{
		"error: dnssec.seal: ", "error: dnssec.tokens: hsm: open absent.so", "error: dnssec.tokens: hsm: reading a secret",
		"warning: private keys: others on this machine may look into open: chmod 700", "error: lookups.trust-anchor: ", "error: lookups.root-hints: ",
		"warning: zone ends.example.: ends.example.skr ends on 2030-01-", "error: zone other.example.: other.example.skr is a response for good.example.",
		"error: zone broken.example.: ", "warning: zone none.example.: none.example.skr is not there",
		"warning: zone long.example.: zone: a TTL of 2376h0m0s is longer", "warning: zone from.example.: keys-from: ",
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("nothing tells of %q", want)
		}
	}
	for _, line := range got {
		if strings.Contains(line, "good.example.: ") {
			t.Errorf("a good zone: %s", line)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(got, "\n"))
	}
}

// TestKeyless: servers that share a database have no place for keys without a seal.
func TestKeyless(t *testing.T) {
	const text = `
store: postgres://x@localhost/x
zones:
  auto.example: {update: ["grant 127.0.0.0/8 zonesub ANY"]}
  signed.example: {dnssec: default, update: ["grant 127.0.0.0/8 zonesub ANY"]}
`
	got := strings.Join(check(t, t.TempDir(), text), "\n")
	if !strings.Contains(got, "error: zone signed.example.: dnssec: default: servers that share") || strings.Contains(got, "auto.example") {
		t.Errorf("it is told\n%s", got)
	}
}

// TestSignedInViews: the parent has one DS set for all views.
func TestSignedInViews(t *testing.T) {
	const text = `
templates: {default: {update: ["grant 127.0.0.0/8 zonesub ANY"]}}
keys: {k.: {algorithm: hmac-sha256, secret: "AAECAwQFBgcICQoLDA0ODw=="}}
servers: {in: {address: 127.0.0.1, key: k.}, out: {address: 127.0.0.1, key: k.}}
zones: {both.example: {}, pair.example: {signers: [in]}, off.example: {}, copy.example: {dnssec: off}}
views:
  inside: {match: [10.0.0.0/8], zones: {both.example: {}, pair.example: {signers: [out]}, off.example: {dnssec: off}, copy.example: {}}}
`
	got := strings.Join(check(t, t.TempDir(), text), "\n")
	if !strings.Contains(got, "warning: zone both.example. is signed here and in another view (onoma.yaml:5:9)") || strings.Count(got, "another view") != 1 {
		t.Errorf("it is told\n%s", got)
	}
}
