package keyfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
)

var algorithms = []uint8{dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448}

func newKey(t testing.TB, algorithm uint8, flags uint16) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(rand.Reader, algorithm, 0, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// same holds two keys to one another: the public halves, and that the private half
// of one signs for the other.
func same(t *testing.T, got, want *dnssec.Key) {
	t.Helper()
	if diff := cmp.Diff(want.DNSKEY(), got.DNSKEY()); diff != "" {
		t.Errorf("another DNSKEY (-want +got):\n%s", diff)
	}
	signature, err := got.Sign(nil, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dnssec.Verify(want.Algorithm(), want.DNSKEY().PublicKey, []byte("data"), signature); err != nil {
		t.Errorf("its signature: %v", err)
	}
}

var day = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func fullMeta() Meta {
	return Meta{
		Times: Times{Created: day, Publish: day, Activate: day.AddDate(0, 0, 1), Inactive: day.AddDate(0, 1, 0), Delete: day.AddDate(0, 2, 0),
			DSPublish: day.AddDate(0, 0, 3), SyncPublish: day.AddDate(0, 0, 2), SyncDelete: day.AddDate(0, 3, 0)},
		TTL: 3600, HasTTL: true, Predecessor: 12345, Successor: 4711,
		State: &State{Lifetime: 30 * 24 * time.Hour, KSK: true, DNSKEY: Omnipresent, KRRSIG: Omnipresent, DS: Rumoured, Goal: Omnipresent, DNSKEYChange: day, DSChange: day},
	}
}

func TestWriteAndRead(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(dnssec.AlgorithmName(algorithm), func(t *testing.T) {
			name, k, dir, meta := dns.MustName("a\\.b.Example.com."), newKey(t, algorithm, 257), t.TempDir(), fullMeta()
			stem, err := Write(dir, name, k, meta)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, FileName(name, algorithm, k.Tag())); stem != want || !strings.Contains(stem, "Ka%2Eb.example.com.+") {
				t.Errorf("written as %s, want %s", stem, want)
			}
			for _, ext := range []string{"", ".key", ".private", ".state"} {
				gotName, got, gotMeta, err := Read(stem + ext)
				if err != nil {
					t.Fatal(err)
				}
				if !gotName.Equal(name) {
					t.Errorf("the key is %s's, want %s", gotName, name)
				}
				same(t, got, k)
				if diff := cmp.Diff(meta, gotMeta); diff != "" {
					t.Errorf("other times or states (-want +got):\n%s", diff)
				}
			}
			if _, err := Write(dir, name, k, meta); !errors.Is(err, os.ErrExist) {
				t.Errorf("written a second time: %v, want a refusal", err)
			}
		})
	}
}

func TestReadWithoutPublicHalf(t *testing.T) {
	for _, flags := range []uint16{256, 257, 385} {
		name, k := dns.MustName("example."), newKey(t, dnssec.ECDSAP256SHA256, flags)
		stem, err := Write(t.TempDir(), name, k, Meta{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(stem + ".key"); err != nil {
			t.Fatal(err)
		}
		gotName, got, _, err := Read(stem + ".private")
		if err != nil || !gotName.Equal(name) {
			t.Fatalf("read %v of %v, want the key of %s by its file's name", err, gotName, name)
		}
		same(t, got, k)
	}
}

func TestReadWarnsOfOpenFiles(t *testing.T) {
	stem, err := Write(t.TempDir(), dns.Root, newKey(t, dnssec.ED25519, 257), Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(stem+".private", 0o640); err != nil {
		t.Fatal(err)
	}
	name, _, meta, err := Read(stem)
	if err != nil || !name.IsRoot() {
		t.Fatalf("%v, key of %v, want that of the root", err, name)
	}
	if len(meta.Warnings) != 1 || !strings.Contains(meta.Warnings[0], "chmod 600 "+stem+".private") {
		t.Errorf("warnings %q, want one that says which file to chmod", meta.Warnings)
	}
}

func TestPEM(t *testing.T) {
	for _, algorithm := range algorithms {
		k := newKey(t, algorithm, 256)
		text, err := AppendPEM(nil, k.Private())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "k.pem")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, warnings, err := ReadPEM(path, algorithm, 256)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, warnings %q", err, warnings)
		}
		same(t, got, k)
	}
}

func TestPrivateErrors(t *testing.T) {
	good, err := AppendPrivate(nil, &Private{Algorithm: dnssec.ECDSAP256SHA256, Signer: newKey(t, dnssec.ECDSAP256SHA256, 256).Private(), Times: Times{Created: day}})
	if err != nil {
		t.Fatal(err)
	}
	rsa, err := AppendPrivate(nil, &Private{Algorithm: dnssec.RSASHA256, Signer: newKey(t, dnssec.RSASHA256, 256).Private()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, old, new, want string }{
		{"", "", "", "k:1: 'Private-key-format: v1.3' was expected: is this the .private file of a key?"},
		{string(good), "v1.3", "v2.0", `k:1: version "v2.0" of the format: v1.2 or v1.3 was expected`},
		{string(good), "13 (", "x (", `k:2: algorithm "x (ECDSAP256SHA256)": a number such as 13 was expected`},
		{string(good), "PrivateKey: ", "PrivateKey: *", `k:3: PrivateKey: base64 was expected`},
		{string(good), "PrivateKey: ", "PrivateKey: AAAAAAAA", `k:3: PrivateKey: has 38 octets; at most 32 were expected`},
		{string(good), "Created: 2026", "Created: 26", `k:4: Created "260131120000": a time such as 20260131120000 was expected (year, month, day, hour, minute, second of UTC)`},
		{string(good), "PrivateKey: ", "Label: ", `k:3: Label: the key is in a token`},
		{string(good), "PrivateKey: ", "nonsense ", `k:3: "nonsense`},
		{string(rsa), "Prime1: ", "Primel: ", "k: Prime1 is missing, which an RSA key has"},
		{string(rsa), "Prime1: ", "Prime1: AAAB", "k:3: the numbers of the RSA key do not belong together"},
		{string(rsa), "PublicExponent: AQAB", "PublicExponent: AQAAAAE=", "k:4: PublicExponent has 33 bits"},
	} {
		_, err := ParsePrivate("k", []byte(strings.Replace(c.text, c.old, c.new, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want %s", c.new, c.old, err, c.want)
		}
	}
}

func TestPublicErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"; nothing\n", "k:1: a DNSKEY record was expected"},
		{"\nexample. IN A 192.0.2.1 x\n", "k:2: DNSKEY, flags, 3, algorithm and key were expected behind the zone's name"},
		{"example. 3600 IN DNSKEY 257 3 13 *\n", "k:1: DNSKEY: "},
		{"; Created: yesterday\nexample. IN DNSKEY 257 3 15 AAAA\n", `k:1: Created "yesterday": a time`},
	} {
		if _, err := ParsePublic("k", []byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	p, err := ParsePublic("k", []byte("example. IN 60 DNSKEY 257 3 15 ( AAAA ; half\n BBBB )\n"))
	if err != nil || p.TTL != 60 || !bytes.Equal(p.Key.PublicKey, []byte{0, 0, 0, 4, 16, 65}) {
		t.Errorf("a record over two lines: %v, %v", p, err)
	}
}

func TestPEMErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"x", "k:1: a private key in PEM was expected"},
		{"\n-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "k:2: the key is under a pass phrase"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "k:1: a private key was expected; this is a public key"},
		{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "k:1: PRIVATE KEY: "},
	} {
		if _, err := ParsePEM("k", []byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestMismatch(t *testing.T) {
	name, a, b := dns.MustName("example."), newKey(t, dnssec.ED25519, 257), newKey(t, dnssec.ED25519, 257)
	dir := t.TempDir()
	x, err := Write(dir, name, a, Meta{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := Write(dir, name, b, Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(x+".private", y+".private"); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Read(y); err == nil || !strings.Contains(err.Error(), "does not belong to") {
		t.Errorf("another key's private half: %v, want that it does not belong there", err)
	}
	if _, _, _, err := Read(x); err == nil || !strings.Contains(err.Error(), "the public half alone") {
		t.Errorf("no private half: %v, want a hint", err)
	}
}
