//go:build cgo

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keystore"
	"onoma/signer/keystore/token"
)

// The test's own program is onoma-pkcs11 when this is set.
const beHelper = "ONOMA_PKCS11_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(beHelper) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// hsm is a SoftHSM with one token, "zones", whose PIN is 1234.
type hsm struct{ dir, module string }

func softHSM(t testing.TB) *hsm {
	t.Helper()
	util, err := exec.LookPath("softhsm2-util")
	modules, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	if plain, _ := filepath.Glob("/usr/lib/softhsm/libsofthsm2.so"); len(plain) > 0 {
		modules = plain
	}
	if err != nil || len(modules) == 0 {
		t.Skip("softhsm2 is not installed")
	}
	dir, err := os.MkdirTemp("", "hsm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &hsm{dir, modules[0]}
	h.write(t, "conf", "directories.tokendir = "+dir+"/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
	h.write(t, "pin", "1234\n")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "conf"))
	if out, err := exec.Command(util, "--init-token", "--free", "--label", "zones", "--pin", "1234", "--so-pin", "5678").CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return h
}

func (h *hsm) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *hsm) helper(t testing.TB) *token.Helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &token.Helper{Program: self, Env: []string{beHelper + "=1"}, Module: h.module, Token: "zones", PIN: "file:" + h.dir + "/pin"}
}

// client starts a helper of its own.
func (h *hsm) client(t *testing.T, helper *token.Helper) *token.Client {
	t.Helper()
	c := token.NewClient(token.Options{Socket: filepath.Join(h.dir, "s"), Helper: helper, Timeout: 20 * time.Second})
	t.Cleanup(c.Close)
	return c
}

func store(t testing.TB, c *token.Client) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(keystore.Options{Dir: filepath.Join(t.TempDir(), "keys"), Tokens: token.Set{"hsm": c}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var example = dns.MustName("example.com.")

func sign(k *dnssec.Key) error {
	set := dnssec.RRset{Owner: example, Type: dns.TypeTXT, Class: dns.ClassIN, TTL: 60, RData: []dns.RData{dns.RData("\x04text")}}
	sig, err := dnssec.SignRRset(k, example, set, 1000, 2000)
	if err != nil {
		return err
	}
	return dnssec.VerifyRRset(set, &sig, k.DNSKEY(), time.Unix(1500, 0))
}

func TestAlgorithms(t *testing.T) {
	c := softHSM(t)
	client := c.client(t, c.helper(t))
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := store(t, client)
	for _, algorithm := range []uint8{dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448} {
		id, k, err := s.GenerateIn(t.Context(), "hsm", example, algorithm, 0, 257)
		if errors.Is(err, token.ErrDenied) && algorithm >= dnssec.ED25519 {
			t.Logf("this SoftHSM has no %s: %v", dnssec.AlgorithmName(algorithm), err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(id, "pkcs11:hsm/example.com.+") || !k.IsSlow() || k.Algorithm() != algorithm {
			t.Errorf("%s of algorithm %d, slow: %v", id, k.Algorithm(), k.IsSlow())
		}
		s.Forget()
		again, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := sign(again); err != nil || again.Tag() != k.Tag() {
			t.Errorf("%s: key %d of %d: %v", dnssec.AlgorithmName(algorithm), again.Tag(), k.Tag(), err)
		}
	}
	if labels, err := client.List(t.Context()); err != nil || len(labels) < 4 {
		t.Errorf("listed %q, %v", labels, err)
	}
	info, err := os.Stat(filepath.Join(c.dir, "s"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, mode %v, want 0600", err, info.Mode())
	}
}

func TestExistingKeys(t *testing.T) {
	h := softHSM(t)
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool (opensc) is not installed")
	}
	out, err := exec.Command("pkcs11-tool", "--module", h.module, "--token-label", "zones", "--login", "--pin", "1234", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "a1b2", "--label", "old").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := store(t, h.client(t, h.helper(t)))
	for _, id := range []string{"pkcs11:hsm/old;13;257", "pkcs11:hsm/id=a1b2", "pkcs11:hsm/id=a1b2;ecdsap256sha256;256"} {
		k, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := sign(k); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestMissingKeysAndTokens(t *testing.T) {
	h := softHSM(t)
	s := store(t, h.client(t, h.helper(t)))
	for id, want := range map[string]error{"pkcs11:hsm/none;13;257": token.ErrNoKey, "pkcs11:other/none;13;257": token.ErrGone} {
		if _, err := s.Load(t.Context(), id); !errors.Is(err, want) || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	helper := h.helper(t)
	helper.Token = "elsewhere"
	t.Setenv("TMPDIR", h.dir)
	other := token.NewClient(token.Options{Helper: helper})
	err := other.Ping(t.Context())
	other.Close()
	if left, globErr := filepath.Glob(filepath.Join(h.dir, "onoma-*")); globErr != nil || len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if !errors.Is(err, token.ErrGone) || !strings.Contains(err.Error(), `there are: "zones"`) {
		t.Errorf("another label: %v, want which tokens there are", err)
	}
}

// A wrong PIN is tried once: tokens lock themselves.
func TestWrongPIN(t *testing.T) {
	h := softHSM(t)
	h.write(t, "pin", "4321\n")
	c := h.client(t, h.helper(t))
	for range 5 {
		if err := c.Ping(t.Context()); !errors.Is(err, token.ErrPIN) || !strings.Contains(err.Error(), "correct the PIN") {
			t.Fatalf("%v, want that the PIN was refused", err)
		}
	}
	h.write(t, "pin", "1234\n")
	if err := h.client(t, h.helper(t)).Ping(t.Context()); err != nil {
		t.Errorf("with the right PIN afterwards: %v", err)
	}
}

func TestHelperIsKilled(t *testing.T) {
	h := softHSM(t)
	helper := h.helper(t)
	s := store(t, h.client(t, helper))
	_, k, err := s.GenerateIn(t.Context(), "hsm", example, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := sign(k); err != nil {
					t.Errorf("signing while helpers are killed: %v", err)
					return
				}
			}
		})
	}
	for range 3 {
		before := helper.PID()
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for helper.PID() == before {
			if err := sign(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	wg.Wait()
}

// A helper that hangs, as by its library, is replaced after some requests.
func TestHelperHangs(t *testing.T) {
	h := softHSM(t)
	helper := h.helper(t)
	c := token.NewClient(token.Options{Helper: helper, Timeout: 300 * time.Millisecond})
	t.Cleanup(c.Close)
	s := store(t, c)
	_, k, err := s.GenerateIn(t.Context(), "hsm", example, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	before := helper.PID()
	if err := syscall.Kill(before, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for tries := 0; helper.PID() == before; tries++ {
		err := sign(k) // the first may still be answered, and a later one is by another helper
		if err != nil && !errors.Is(err, token.ErrGone) || tries == 20 {
			t.Fatalf("%v after %d requests, want that it did not answer, and another helper soon", err, tries)
		}
	}
	if err := sign(k); err != nil {
		t.Errorf("by the next helper: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	h := softHSM(b)
	c := token.NewClient(token.Options{Helper: h.helper(b)})
	b.Cleanup(c.Close)
	_, k, err := store(b, c).GenerateIn(b.Context(), "hsm", example, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Sign(nil, []byte("data")); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTokenIsLost(t *testing.T) {
	h := softHSM(t)
	helper := h.helper(t)
	s := store(t, h.client(t, helper))
	_, k, err := s.GenerateIn(t.Context(), "hsm", example, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(h.dir, "tokens")
	if err := os.Rename(tokens, tokens+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	helper.Close()
	err = sign(k)
	if !errors.Is(err, token.ErrGone) {
		t.Errorf("%v, want that the token is gone", err)
	}
	if err := errors.Join(os.Remove(tokens), os.Rename(tokens+".away", tokens)); err != nil {
		t.Fatal(err)
	}
	if err := sign(k); err != nil {
		t.Errorf("after the token came back: %v", err)
	}
}

// The helper that nobody started serves several, and ends with its input or not.
func TestHelperEndsWithItsParent(t *testing.T) {
	h := softHSM(t)
	helper := h.helper(t)
	c := h.client(t, helper)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := token.NewClient(token.Options{Socket: filepath.Join(h.dir, "s")})
	if err := other.Ping(t.Context()); err != nil {
		t.Errorf("another client of the same helper: %v", err)
	}
	pid := helper.PID()
	helper.Close()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the helper is still there: %v", err)
	}
	if err := other.Ping(t.Context()); !errors.Is(err, token.ErrGone) || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("%v, want that the helper is gone", err)
	}
}
