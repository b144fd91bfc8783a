package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often handshakes make the files be looked at.
	lookEvery = 5 * time.Second
	// warnBefore is how long before a certificate ends the log says so, once a day.
	warnBefore = 14 * 24 * time.Hour
	warnEvery  = 24 * time.Hour
)

// Pair is a certificate's file, with the intermediate ones behind it, and its key's, both in PEM.
type Pair struct{ Cert, Key string }

// Files are pairs that are read again when they change. A pair that has become wrong keeps its last good version.
type Files struct {
	log *slog.Logger
	now func() time.Time

	nextLook atomic.Int64 // Unix nanoseconds
	current  atomic.Pointer[[]tls.Certificate]

	mu    sync.Mutex // one look at a time; guards what follows
	pairs []watched
}

// watched is a pair and what is known of its files.
type watched struct {
	Pair
	cert, key  fs.FileInfo // as of the last try
	failed     string      // how that ended, if badly
	nextWarned time.Time
	good       tls.Certificate
}

// Load reads all pairs. Each must be good to begin with.
func Load(pairs []Pair, log *slog.Logger) (*Files, error) {
	return load(pairs, log, time.Now)
}

func load(pairs []Pair, log *slog.Logger, now func() time.Time) (*Files, error) {
	if len(pairs) == 0 {
		return nil, errors.New("loading certificates: none is named")
	}
	f := &Files{log: log, now: now}
	for _, p := range pairs {
		w := watched{Pair: p}
		if _, err := w.look(); err != nil {
			return nil, err
		}
		f.pairs = append(f.pairs, w)
	}
	f.publish()
	f.nextLook.Store(now().Add(lookEvery).UnixNano())
	return f, nil
}

// TLSConfig returns a configuration that always uses the pairs as they are.
func (f *Files) TLSConfig() *tls.Config {
	return &tls.Config{GetCertificate: f.certificate, MinVersion: tls.VersionTLS12}
}

// certificate chooses the first pair that is for the name the client asks for, and of a kind that it can check; where there
// is none, the first pair: the client may know better.
func (f *Files) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, next := f.now(), f.nextLook.Load()
	if now.UnixNano() >= next && f.nextLook.CompareAndSwap(next, now.Add(lookEvery).UnixNano()) {
		go f.Look()
	}
	certs := *f.current.Load()
	for i := range certs {
		if hello.SupportsCertificate(&certs[i]) == nil {
			return &certs[i], nil
		}
	}
	return &certs[0], nil
}

// Look reads again what has changed, and says in the log what became of it.
func (f *Files) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := false
	for i := range f.pairs {
		w := &f.pairs[i]
		before := w.failed
		reread, err := w.look()
		switch {
		case err != nil && w.failed != before:
			f.log.Error("certificate not reloaded, its last good version stays in service", "error", err)
		case reread && err == nil:
			changed = true
			f.log.Info("certificate reloaded", "file", w.Cert, "names", w.good.Leaf.DNSNames, "expires", w.good.Leaf.NotAfter)
		}
	}
	if changed {
		f.publish()
	}
	f.warn()
}

// publish makes what is good what is used, and warns of what soon is not.
func (f *Files) publish() {
	certs := make([]tls.Certificate, len(f.pairs))
	for i := range f.pairs {
		certs[i] = f.pairs[i].good
	}
	f.current.Store(&certs)
	f.warn()
}

func (f *Files) warn() {
	now := f.now()
	for i := range f.pairs {
		w := &f.pairs[i]
		end := w.good.Leaf.NotAfter
		if now.Before(end.Add(-warnBefore)) || now.Before(w.nextWarned) {
			continue
		}
		w.nextWarned = now.Add(warnEvery)
		if now.After(end) {
			f.log.Error("certificate has expired: clients will refuse it", "file", w.Cert, "expired", end)
		} else {
			f.log.Warn("certificate expires soon", "file", w.Cert, "expires", end)
		}
	}
}

// look reads the pair if its files are not those of the last time. Half a pair, seen while another process replaces it, is
// wrong now and looked at again next time, because the other half changes then.
func (w *watched) look() (reread bool, err error) {
	cert, err1 := os.Stat(w.Cert)
	key, err2 := os.Stat(w.Key)
	if err := errors.Join(err1, err2); err != nil {
		w.cert, w.key = nil, nil
		return false, w.fail(fmt.Errorf("loading a certificate: %w", err))
	}
	if same(cert, w.cert) && same(key, w.key) {
		return false, nil
	}
	w.cert, w.key = cert, key
	pair, err := tls.LoadX509KeyPair(w.Cert, w.Key)
	if err != nil {
		return true, w.fail(fmt.Errorf("loading the certificate %s with the key %s: %w", w.Cert, w.Key, err))
	}
	w.good, w.failed, w.nextWarned = pair, "", time.Time{}
	return true, nil
}

func (w *watched) fail(err error) error {
	w.failed = err.Error()
	return err
}

// same compares what rename, rewriting and a changed symbolic link change.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// Names returns the names that the certificates have, each once, the first one's first.
func (f *Files) Names() (names []string) {
	for _, c := range *f.current.Load() {
		leaf := c.Leaf
		if leaf == nil {
			continue
		}
		for _, n := range leaf.DNSNames {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}
