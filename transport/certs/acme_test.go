package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// testCA is a CA that speaks as much of RFC 8555 as one order with a tls-alpn-01 challenge (RFC 8737) takes. It does not check
// signatures; it does check the proof.
type testCA struct {
	t        *testing.T
	web      *httptest.Server
	key      *ecdsa.PrivateKey
	root     *x509.Certificate
	validate string // where port 443 of every domain is

	mu     sync.Mutex
	thumb  string // of the account's key
	domain string
	status string // of authorization, challenge and order
	cert   []byte
	nonce  int
}

func newTestCA(t *testing.T, validate string) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := &testCA{t: t, key: key, validate: validate, status: "pending"}
	if ca.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", func(w http.ResponseWriter, r *http.Request) {
		ca.reply(w, 200, map[string]any{"newNonce": ca.url("nonce"), "newAccount": ca.url("account"), "newOrder": ca.url("new-order")})
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, r *http.Request) { ca.reply(w, 200, nil) })
	mux.HandleFunc("POST /account", ca.account)
	mux.HandleFunc("POST /new-order", ca.newOrder)
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) { ca.reply(w, 200, ca.order()) })
	mux.HandleFunc("POST /authorization", func(w http.ResponseWriter, r *http.Request) {
		ca.reply(w, 200, map[string]any{"status": ca.status, "identifier": ca.identifier(), "challenges": []any{ca.challenge()}})
	})
	mux.HandleFunc("POST /challenge", func(w http.ResponseWriter, r *http.Request) {
		ca.prove()
		ca.reply(w, 200, ca.challenge())
	})
	mux.HandleFunc("POST /finalize", ca.finalize)
	mux.HandleFunc("POST /certificate", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert}))
	})
	ca.web = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ca.mu.Lock()
		defer ca.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(ca.web.Close)
	return ca
}

func (ca *testCA) url(path string) string { return ca.web.URL + "/" + path }

func (ca *testCA) reply(w http.ResponseWriter, status int, body any) {
	ca.nonce++
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", ca.nonce))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

// payload reads the parts of a JWS (RFC 7515 §7.2.2).
func (ca *testCA) payload(r *http.Request, protected, payload any) {
	var jws struct{ Protected, Payload string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		ca.t.Error(err)
	}
	for text, v := range map[string]any{jws.Protected: protected, jws.Payload: payload} {
		if b, err := base64.RawURLEncoding.DecodeString(text); err != nil || v != nil && json.Unmarshal(b, v) != nil {
			ca.t.Errorf("%q: %v", text, err)
		}
	}
}

func (ca *testCA) account(w http.ResponseWriter, r *http.Request) {
	var header struct {
		JWK struct{ Crv, Kty, X, Y string }
	}
	ca.payload(r, &header, nil)
	k := header.JWK
	// RFC 7638 §3.1.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"%s","kty":"%s","x":"%s","y":"%s"}`, k.Crv, k.Kty, k.X, k.Y))
	ca.thumb = base64.RawURLEncoding.EncodeToString(sum[:])
	w.Header().Set("Location", ca.url("account/1"))
	ca.reply(w, 201, map[string]any{"status": "valid"})
}

func (ca *testCA) identifier() any { return map[string]string{"type": "dns", "value": ca.domain} }

func (ca *testCA) newOrder(w http.ResponseWriter, r *http.Request) {
	var order struct{ Identifiers []struct{ Value string } }
	ca.payload(r, nil, &order)
	ca.domain = order.Identifiers[0].Value
	w.Header().Set("Location", ca.url("order"))
	ca.reply(w, 201, ca.order())
}

func (ca *testCA) order() any {
	o := map[string]any{
		"status": "pending", "identifiers": []any{ca.identifier()},
		"authorizations": []string{ca.url("authorization")}, "finalize": ca.url("finalize"),
	}
	if ca.status != "pending" {
		o["status"] = map[string]string{"valid": "ready", "invalid": "invalid"}[ca.status]
	}
	if ca.cert != nil {
		o["status"], o["certificate"] = "valid", ca.url("certificate")
	}
	return o
}

const token = "a-token-of-sufficient-length"

func (ca *testCA) challenge() any {
	return map[string]string{"type": "tls-alpn-01", "url": ca.url("challenge"), "token": token, "status": ca.status}
}

// prove connects to the domain's port 443 and looks for the proof (RFC 8737 §3).
func (ca *testCA) prove() {
	ca.status = "invalid"
	d := tls.Dialer{Config: &tls.Config{ServerName: ca.domain, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}}
	nc, err := d.Dial("tcp", ca.validate)
	if err != nil {
		return
	}
	defer nc.Close()
	state := nc.(*tls.Conn).ConnectionState()
	sum := sha256.Sum256([]byte(token + "." + ca.thumb))
	want, _ := asn1.Marshal(sum[:])
	for _, e := range state.PeerCertificates[0].Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.31" && string(e.Value) == string(want) && state.NegotiatedProtocol == "acme-tls/1" {
			ca.status = "valid"
		}
	}
}

func (ca *testCA) finalize(w http.ResponseWriter, r *http.Request) {
	var req struct{ CSR string }
	ca.payload(r, nil, &req)
	der, _ := base64.RawURLEncoding.DecodeString(req.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || ca.status != "valid" {
		ca.reply(w, 403, map[string]string{"type": "urn:ietf:params:acme:error:orderNotReady"})
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ca.cert, err = x509.CreateCertificate(rand.Reader, template, ca.root, csr.PublicKey, ca.key); err != nil {
		ca.t.Error(err)
	}
	w.Header().Set("Location", ca.url("order"))
	ca.reply(w, 200, ca.order())
}

// rootsFile writes down whom to trust as the CA's web server.
func (ca *testCA) rootsFile() string {
	name := filepath.Join(ca.t.TempDir(), "roots.crt")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.web.Certificate().Raw}), 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return name
}

// The proof is given on the listener that is there anyway, and the certificate is used as soon as it has come; the next time
// it is there from the start.
func TestACME(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ca := newTestCA(t, l.Addr().String())
	c := &clock{}
	opts := ACMEOptions{
		Domains: []string{"dns.example.com"}, Email: "hostmaster@example.com", CA: ca.url("directory"), Roots: ca.rootsFile(),
		Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(c, nil)),
	}
	var current sync.Map // "": the configuration that the listener uses
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				cfg, _ := current.Load("")
				tls.Server(nc, cfg.(*tls.Config)).Handshake()
			}()
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(ca.root)
	for _, visit := range []string{"first", "second"} {
		a, err := NewACME(opts)
		if err != nil {
			t.Fatal(err)
		}
		current.Store("", a.TLSConfig())
		ctx, stop := context.WithCancel(t.Context())
		if err := a.Start(ctx, netip.MustParseAddrPort(l.Addr().String())); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: "dns.example.com", RootCAs: roots})
			if err == nil {
				nc.Close()
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the %s time: %v; the log says %s", visit, err, c.logged())
			}
		}
		stop()
	}
	if log := c.logged(); strings.Count(log, "certificate obtained") != 1 {
		t.Errorf("the log says %s", log)
	}
}

func TestACMEOptions(t *testing.T) {
	for want, o := range map[string]ACMEOptions{
		"no domain":     {Dir: "x"},
		"no directory":  {Domains: []string{"a.example"}},
		"directory: ex": {Domains: []string{"a.example"}, Dir: "x", CA: "http://ca.example"},
		"no such file":  {Domains: []string{"a.example"}, Dir: "x", Roots: filepath.Join(t.TempDir(), "none")},
	} {
		if _, err := NewACME(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
