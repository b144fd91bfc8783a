package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// write puts a fresh pair for names into the files of p.
func write(t *testing.T, p Pair, names ...string) {
	t.Helper()
	cfg, err := SelfSigned(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair := cfg.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	writeFile(t, p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
}

// writeFile replaces a file as certbot and Kubernetes do: another inode under the old name.
func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func pairIn(dir, name string) Pair {
	return Pair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key.txt")}
}

// clock is a time that tests move, and a log that they read; both may be used by the look that a handshake starts.
type clock struct {
	mu  sync.Mutex
	at  time.Time
	log bytes.Buffer
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

func (c *clock) logged() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.log.String()
	c.log.Reset()
	return s
}

func open(t *testing.T, pairs ...Pair) (*Files, *clock) {
	t.Helper()
	c := &clock{at: time.Now()}
	f, err := load(pairs, slog.New(slog.NewTextHandler(c, nil)), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

// served is the certificate that a client gets which asks for name.
func served(t *testing.T, f *Files, name string) *x509.Certificate {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		tls.Server(server, f.TLSConfig()).Handshake()
	}()
	c := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

func TestChoiceByName(t *testing.T) {
	dir := t.TempDir()
	one, two := pairIn(dir, "one"), pairIn(dir, "two")
	write(t, one, "one.example")
	write(t, two, "two.example", "*.two.example")
	f, _ := open(t, one, two)
	for asked, want := range map[string]string{
		"one.example": "one.example", "two.example": "two.example", "www.two.example": "two.example",
		"stranger.example": "one.example", "": "one.example",
	} {
		if got := served(t, f, asked).DNSNames[0]; got != want {
			t.Errorf("asked for %q a client got the certificate of %s, want %s", asked, got, want)
		}
	}
}

// A handshake some seconds after the files have changed makes the next ones use them.
func TestHotReload(t *testing.T) {
	p := pairIn(t.TempDir(), "pair")
	write(t, p, "old.example")
	f, c := open(t, p)
	write(t, p, "new.example")
	if got := served(t, f, "").DNSNames[0]; got != "old.example" {
		t.Errorf("%s is served before the files were looked at", got)
	}
	c.add(lookEvery)
	for end := time.Now().Add(10 * time.Second); served(t, f, "").DNSNames[0] != "new.example"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not served")
		}
	}
	f.Look()
	if log := c.logged(); strings.Count(log, "certificate reloaded") != 1 {
		t.Errorf("the log says %q", log)
	}
}

// What is wrong with a new pair is said once, and the old one stays; when it is mended, it is used.
func TestBrokenPairKeepsTheLastGood(t *testing.T) {
	dir := t.TempDir()
	p, other := pairIn(dir, "pair"), pairIn(dir, "other")
	write(t, p, "good.example")
	write(t, other, "other.example")
	f, c := open(t, p)
	otherKey, err := os.ReadFile(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	for why, breakIt := range map[string]func(){
		"does not match":         func() { writeFile(t, p.Key, otherKey) },
		"failed to find any PEM": func() { writeFile(t, p.Cert, []byte("rubbish")) },
		"no such file":           func() { os.Remove(p.Cert) },
	} {
		breakIt()
		f.Look()
		f.Look()
		if log := c.logged(); strings.Count(log, "last good version stays") != 1 || !strings.Contains(log, why) || !strings.Contains(log, p.Cert) {
			t.Errorf("%s: the log says %q", why, log)
		}
		if got := served(t, f, "").DNSNames[0]; got != "good.example" {
			t.Errorf("%s: %s is served", why, got)
		}
		write(t, p, "good.example")
		f.Look()
		c.logged()
	}
}

func TestExpiryIsSaidOnceADay(t *testing.T) {
	p := pairIn(t.TempDir(), "pair")
	write(t, p, "ns.example")
	f, c := open(t, p)
	f.Look()
	if log := c.logged(); log != "" {
		t.Errorf("long before the end the log says %q", log)
	}
	c.add(selfSignedFor - warnBefore + time.Hour)
	f.Look()
	f.Look()
	if log := c.logged(); strings.Count(log, "expires soon") != 1 {
		t.Errorf("the log says %q", log)
	}
	c.add(warnBefore)
	f.Look()
	if log := c.logged(); !strings.Contains(log, "has expired") {
		t.Errorf("the log says %q", log)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	missing := pairIn(t.TempDir(), "missing")
	if _, err := Load([]Pair{missing}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), missing.Cert) || !strings.Contains(err.Error(), missing.Key) {
		t.Errorf("two missing files: %v", err)
	}
	if _, err := Load(nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no pairs at all are accepted")
	}
}

func TestSelfSigned(t *testing.T) {
	cfg, err := SelfSigned([]string{"ns.example"}, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")})
	if err != nil {
		t.Fatal(err)
	}
	leaf := cfg.Certificates[0].Leaf
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"ns.example", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: strings.Trim(name, "[]")}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
