package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// soft is a token in memory that has Ed25519 keys.
type soft struct {
	mu   sync.Mutex
	keys map[string]ed25519.PrivateKey
	hang chan struct{} // Sign waits until it is closed
}

func (s *soft) Ping() error { return nil }

func (s *soft) List(after string, most int) (labels []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for label := range s.keys {
		if label > after {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return labels[:min(most, len(labels))], nil
}

func (s *soft) key(label string) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, found := s.keys[label]; found {
		return k, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoKey, label)
}

func (s *soft) Public(label string) (Kind, []byte, error) {
	k, err := s.key(label)
	if err != nil {
		return "", nil, err
	}
	return Ed25519, k.Public().(ed25519.PublicKey), nil
}

func (s *soft) Sign(label string, _ crypto.Hash, data []byte) ([]byte, error) {
	if s.hang != nil {
		<-s.hang
	}
	k, err := s.key(label)
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(k, data), nil
}

func (s *soft) Generate(label string, kind Kind, _ int) error {
	if kind != Ed25519 {
		return fmt.Errorf("%w: kind %s", ErrDenied, kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seed := sha256.Sum256([]byte(label))
	s.keys[label] = ed25519.NewKeyFromSeed(seed[:])
	return nil
}

// serveSoft returns the socket of a server, and what ends it.
func serveSoft(t *testing.T, path string, s *soft) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tok")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestClientAndServer(t *testing.T) {
	path, s := socket(t), &soft{keys: map[string]ed25519.PrivateKey{}}
	stop := serveSoft(t, path, s)
	c := NewClient(Options{Socket: path})
	var want []string
	for i := range 3*listPage + 1 {
		label := fmt.Sprintf("key%03d", i)
		want = append(want, label)
		if err := c.Generate(t.Context(), label, Ed25519, 0); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.List(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	k, err := c.Find(t.Context(), "key007")
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		signature, err := k.Sign(nil, []byte("data"), crypto.Hash(0))
		if err != nil || !ed25519.Verify(k.Public().(ed25519.PublicKey), []byte("data"), signature) {
			t.Errorf("signature %x: %v", signature, err)
		}
	}
	check()
	stop()
	serveSoft(t, path, s) // all connections are broken now
	check()
	for _, err := range []error{
		c.Generate(t.Context(), "rsa", RSA, 2048),
		c.Generate(t.Context(), "", Ed25519, 0),
		c.Generate(t.Context(), string(make([]byte, 300)), Ed25519, 0),
		c.Generate(t.Context(), "big", Ed25519, 1<<20),
	} {
		if !errors.Is(err, ErrDenied) {
			t.Errorf("%v, want a refusal", err)
		}
	}
	if _, err := c.Find(t.Context(), "none"); !errors.Is(err, ErrNoKey) {
		t.Errorf("%v, want that there is no such key", err)
	}
	if _, err := k.Sign(nil, make([]byte, 20), crypto.SHA1); !errors.Is(err, ErrDenied) {
		t.Errorf("a digest by SHA-1: %v, want a refusal", err)
	}
}

func TestTimeLimit(t *testing.T) {
	path, s := socket(t), &soft{keys: map[string]ed25519.PrivateKey{}, hang: make(chan struct{})}
	serveSoft(t, path, s)
	defer close(s.hang)
	c := NewClient(Options{Socket: path, Timeout: 50 * time.Millisecond})
	if err := c.Generate(t.Context(), "a", Ed25519, 0); err != nil {
		t.Fatal(err)
	}
	k, err := c.Find(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(nil, []byte("data"), crypto.Hash(0)); !errors.Is(err, ErrGone) {
		t.Errorf("%v, want that it did not answer", err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("another request afterwards: %v", err)
	}
}

// A server that lies or floods ends in an error.
func TestHostileServer(t *testing.T) {
	for name, answer := range map[string][]byte{
		"long":      {0xff, 0xff, 0xff, 0xff},
		"empty":     {0, 0, 0, 0},
		"field":     {0, 0, 0, 5, 0, 0xff, 0xff, 0xff, 0xff},
		"too few":   {0, 0, 0, 1, 0},
		"bad key":   {0, 0, 0, 13, 0, 0, 0, 0, 3, 'r', 's', 'a', 0, 0, 0, 1, 4},
		"no number": {0, 0, 0, 1, 77},
	} {
		path := socket(t)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					read(conn)
					conn.Write(answer)
					io.Copy(io.Discard, conn)
				}()
			}
		}()
		if k, err := NewClient(Options{Socket: path, Timeout: time.Second}).Find(t.Context(), "a"); err == nil {
			t.Errorf("%s: found %v", name, k)
		}
		l.Close()
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range []message{{}, {opSign, [][]byte{[]byte("label"), []byte("sha256"), make([]byte, 32)}}, {1, [][]byte{{}}}} {
		b, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[4:])
	}
	s := &soft{keys: map[string]ed25519.PrivateKey{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil || !bytes.Equal(again[4:], b) {
			t.Errorf("%x is %x again: %v", b, again, err)
		}
		answer, err := serve(s, m)
		if err != nil {
			answer = failure(err)
		}
		if _, err := answer.encode(); err != nil {
			t.Error(err)
		}
		if len(m.fields) == 2 {
			parsePublic(Kind(m.fields[0]), m.fields[1])
		}
		clear(s.keys)
	})
}
