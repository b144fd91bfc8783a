package preflight

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/config"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// pair writes a certificate that is good until end, and its key.
func pair(t *testing.T, dir, name string, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: end}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// check returns all findings about a configuration whose files are in dir.
func check(t *testing.T, dir, text string) (lines []string) {
	t.Helper()
	c, err := config.Parse(filepath.Join(dir, "onoma.yaml"), []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"GOOD": "AAEC"}[name] }
	for _, f := range Check(c, Options{Now: now, Getenv: getenv}) {
		lines = append(lines, strings.ReplaceAll(f.String(), dir+"/", ""))
	}
	return lines
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "good", now.AddDate(1, 0, 0))
	pair(t, dir, "late", now.AddDate(0, 0, 2))
	pair(t, dir, "old", now.AddDate(0, 0, -1))
	write(t, filepath.Join(dir, "keys"), "key \"in.file.\" { algorithm hmac-sha256; secret \"AAEC\"; };\n")
	write(t, filepath.Join(dir, "zone"), "@ 60 IN SOA ns h 1 7200 900 1209600 300\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n")
	got := check(t, dir, `
data: zone
server: {cookies: {secrets: zone}}
tls: {certificates: [{cert: good.crt, key: good.key}, {cert: late.crt, key: late.key}, {cert: old.crt, key: old.key}, {cert: good.crt, key: old.key}]}
keys:
  in.file.: {file: keys}
  not.in.file.: {file: keys}
  no.file.: {file: absent}
  good.: {secret: env:GOOD}
  bad.: {secret: env:BAD}
servers:
  ns2: {address: 192.0.2.2, transport: tls, tls: {ca: zone}}
  ns3: {address: 192.0.2.3}
templates:
  idle: {}
zones:
  good.example: {file: zone, notify: ns2}
  gate.example: {file: zone, gate: {command: [no-such-program-anywhere]}}
`)
	want := []string{
		"onoma.yaml:7:3: error: key not.in.file. is not in keys",
		"onoma.yaml:8:3: error: key no.file.: reading TSIG keys: stat absent: no such file or directory",
		"onoma.yaml:10:3: error: key bad.: environment variable BAD is empty, expected a secret in Base64",
		"error: server.cookies.secrets: ",
		"warning: tls.certificates: late.crt is good until 2030-01-03 00:00:00 only",
		"error: tls.certificates: old.crt was good until 2029-12-31 00:00:00",
		"error: tls.certificates: good.crt and old.key: tls: private key does not match public key",
		"error: data: zone is no directory",
		"error: server ns2: zone has no certificate, expected PEM",
		`onoma.yaml:18:3: error: zone gate.example.: gate.command: exec: "no-such-program-anywhere": executable file not found in $PATH`,
		"warning: template idle is used by nothing",
		"warning: server ns3 is used by nothing",
	}
	for i := range got {
		if rest, ok := strings.CutPrefix(got[i], "error: server.cookies.secrets: "); ok && rest != "" {
			got[i] = "error: server.cookies.secrets: "
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}
