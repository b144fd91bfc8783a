package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

var (
	zone  = dns.MustName("example.com.")
	sealA = []byte("0123456789abcdef0123456789abcdef")
	sealB = []byte("fedcba9876543210fedcba9876543210")
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" && o.Blobs == nil {
		o.Dir = filepath.Join(t.TempDir(), "keys")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generate(t *testing.T, s *Store) (string, *dnssec.Key) {
	t.Helper()
	id, k, err := s.Generate(t.Context(), zone, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	return id, k
}

// mustLoad holds a key to what it was when it was made: it signs for it.
func mustLoad(t *testing.T, s *Store, id string, want *dnssec.Key) {
	t.Helper()
	k, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := k.Sign(nil, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dnssec.Verify(want.Algorithm(), want.DNSKEY().PublicKey, []byte("data"), signature); err != nil || !bytes.Equal(k.RData(), want.RData()) {
		t.Errorf("the key that was loaded is another: %v", err)
	}
}

// wantErr wants an error of a kind that says all of some words.
func wantErr(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%v, want it to be %q", err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestKeysOutliveTheStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, seal := range [][]byte{nil, sealA} {
		s := open(t, Options{Dir: dir, Seal: seal})
		for _, a := range []uint8{dnssec.RSASHA512, dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448} {
			id, k, err := s.Generate(t.Context(), zone, a, 0, 256)
			if err != nil {
				t.Fatal(err)
			}
			mustLoad(t, open(t, Options{Dir: dir, Seal: seal}), id, k)
			info, err := os.Stat(filepath.Join(dir, id+".pem"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key's file: %v, mode %v, want 0600", err, info.Mode())
			}
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, mode %v, want 0700", err, info.Mode())
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestRefusesWhatOthersCanRead(t *testing.T) {
	s := open(t, Options{})
	dir := s.where
	id, _ := generate(t, s)
	path := filepath.Join(dir, id+".pem")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, Options{Dir: dir}).Load(t.Context(), id)
	wantErr(t, err, ErrExposed, path, "chmod 600")
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: dir})
	wantErr(t, err, ErrExposed, dir, "chmod 700")
}

func TestSealedFilesShowNothing(t *testing.T) {
	s := open(t, Options{Seal: sealA})
	id, k := generate(t, s)
	text, err := os.ReadFile(filepath.Join(s.where, id+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := decode(id, text)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := keyfile.Secret(k.Private())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(f.body, secret) {
		t.Error("the secret stands in the file")
	}
	_, err = open(t, Options{Dir: s.where}).Load(t.Context(), id)
	wantErr(t, err, ErrSeal, id, "none is given", "set seal", s.seals[0].print)
	_, err = open(t, Options{Dir: s.where, Seal: sealB}).Load(t.Context(), id)
	wantErr(t, err, ErrSeal, id, s.seals[0].print, newSeal(sealB).print)
	infos, err := open(t, Options{Dir: s.where, Seal: sealB}).List(t.Context(), zone)
	if err != nil || len(infos) != 1 || !errors.Is(infos[0].Err, ErrSeal) || infos[0].Tag != k.Tag() {
		t.Errorf("listed as %+v, %v: want the tag, and that the seal is another", infos, err)
	}
}

func TestSealedFilesCannotBeSwapped(t *testing.T) {
	s := open(t, Options{Seal: sealA})
	a, _ := generate(t, s)
	b, _ := generate(t, s)
	text, err := os.ReadFile(filepath.Join(s.where, a+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ id, old, new string }{
		{b, "", ""},
		{a, "Zone: example.com.", "Zone: example.net."},
		{a, "DNSKEY: 257", "DNSKEY: 256"},
	} {
		if err := os.WriteFile(filepath.Join(s.where, change.id+".pem"), bytes.Replace(text, []byte(change.old), []byte(change.new), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Forget()
		_, err := s.Load(t.Context(), change.id)
		wantErr(t, err, ErrLost, change.id, "was changed, or stood under another name")
	}
}

func TestLostKeys(t *testing.T) {
	for _, seal := range [][]byte{nil, sealA} {
		s := open(t, Options{Seal: seal})
		id, k := generate(t, s)
		path := filepath.Join(s.where, id+".pem")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text)-1; at += 7 { // cut off, as by a disk that is full
			s.Forget()
			if err := os.WriteFile(path, text[:at], 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.Load(t.Context(), id)
			wantErr(t, err, ErrLost, id, s.where, "restore it from a backup")
		}
		s.Forget()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_, err = s.Load(t.Context(), id)
		wantErr(t, err, ErrLost, id, s.where, "restore it there from a backup")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		mustLoad(t, s, id, k) // the cure helps without a restart
	}
}

func TestAnotherPrivateHalfIsNoticed(t *testing.T) {
	s := open(t, Options{})
	a, _ := generate(t, s)
	b, _ := generate(t, s)
	text, err := os.ReadFile(filepath.Join(s.where, a+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(s.where, b+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(text, []byte("\n\n"))
	_, body, _ := bytes.Cut(other, []byte("\n\n"))
	if err := os.WriteFile(filepath.Join(s.where, a+".pem"), slices.Concat(head, []byte("\n\n"), body), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	_, err = s.Load(t.Context(), a)
	wantErr(t, err, ErrLost, a)
}

func TestReseal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	s := open(t, Options{Dir: dir})
	keys := map[string]*dnssec.Key{}
	for range 5 {
		id, k := generate(t, s)
		keys[id] = k
	}
	for _, to := range [][]byte{sealA, sealB, nil, sealB} {
		if n, err := s.Reseal(t.Context(), to); err != nil || n != 5 {
			t.Fatalf("%d keys were sealed anew: %v; want 5", n, err)
		}
		for id, k := range keys {
			s.Forget()
			mustLoad(t, s, id, k)
			mustLoad(t, open(t, Options{Dir: dir, Seal: to}), id, k)
		}
	}
	if n, err := s.Reseal(t.Context(), sealB); err != nil || n != 0 {
		t.Errorf("%d keys were sealed twice: %v", n, err)
	}
}

func TestResealGoesOn(t *testing.T) {
	s := open(t, Options{Seal: sealA})
	a, ka := generate(t, s)
	b, kb := generate(t, s)
	damaged := filepath.Join(s.where, max(a, b)+".pem")
	text, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := s.Reseal(t.Context(), sealB)
	wantErr(t, err, ErrLost, "of which 1 are done")
	if n != 1 {
		t.Errorf("%d keys were sealed anew before the damaged one, want 1", n)
	}
	if err := os.WriteFile(damaged, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, Options{Dir: s.where, Seal: sealB, OldSeals: [][]byte{sealA}})
	mustLoad(t, again, a, ka)
	mustLoad(t, again, b, kb)
	if n, err := again.Reseal(t.Context(), sealB); err != nil || n != 1 {
		t.Errorf("%d keys are sealed the second time: %v; want 1", n, err)
	}
	again = open(t, Options{Dir: s.where, Seal: sealB})
	mustLoad(t, again, a, ka)
	mustLoad(t, again, b, kb)
}

func TestImportExportRemove(t *testing.T) {
	s := open(t, Options{Clock: func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }})
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ED448, 0, 256)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Import(t.Context(), zone, k)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Import(t.Context(), zone, k); err != nil || again != id {
		t.Errorf("imported twice as %s, %v; want %s again", again, err, id)
	}
	var private, public, pem bytes.Buffer
	if err := errors.Join(s.Export(t.Context(), id, Private, &private), s.Export(t.Context(), id, Public, &public), s.Export(t.Context(), id, PEM, &pem)); err != nil {
		t.Fatal(err)
	}
	stem := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(os.WriteFile(stem+".private", private.Bytes(), 0o600), os.WriteFile(stem+".key", public.Bytes(), 0o600), os.WriteFile(stem+".pem", pem.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	name, got, _, err := keyfile.Read(stem)
	if err != nil || !name.Equal(zone) || !bytes.Equal(got.RData(), k.RData()) {
		t.Errorf("exported to BIND's files as %v of %v, %v", got, name, err)
	}
	if got, _, err := keyfile.ReadPEM(stem+".pem", 0, 256); err != nil || !bytes.Equal(got.RData(), k.RData()) {
		t.Errorf("exported to PEM as %v, %v", got, err)
	}
	if err := s.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context(), id)
	wantErr(t, err, ErrLost)
	aside := filepath.Join(s.where, "removed", id+".20260131T120000Z.pem")
	if err := os.Rename(aside, filepath.Join(s.where, id+".pem")); err != nil {
		t.Errorf("what was removed cannot be moved back: %v", err)
	}
	mustLoad(t, s, id, k)
	if err := errors.Join(s.Remove(t.Context(), id), s.Remove(t.Context(), id)); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func TestListOfAZone(t *testing.T) {
	s := open(t, Options{})
	other := dns.MustName("example.net.")
	id, k := generate(t, s)
	if _, _, err := s.Generate(t.Context(), other, dnssec.ED25519, 0, 256); err != nil {
		t.Fatal(err)
	}
	infos, err := s.List(t.Context(), zone)
	if err != nil {
		t.Fatal(err)
	}
	want := []Info{{ID: id, Zone: zone, Key: k.DNSKEY(), Tag: k.Tag()}}
	for i := range infos {
		infos[i].Created = time.Time{}
	}
	if diff := cmp.Diff(want, infos, cmp.Comparer(dns.Name.Equal)); diff != "" {
		t.Error(diff)
	}
	if all, err := s.List(t.Context(), dns.Name{}); err != nil || len(all) != 2 {
		t.Errorf("%d keys of all zones, %v; want 2", len(all), err)
	}
}

func TestIDsAreNoPaths(t *testing.T) {
	s := open(t, Options{})
	for _, id := range []string{"", "..", "../a+013+00001+00", "a/b+013+00001+00", ".a+013+00001+00", "a\x00+1+1+1", strings.Repeat("a", 300) + "+1+1+1"} {
		if _, err := s.Load(t.Context(), id); err == nil || !strings.Contains(err.Error(), "is no id of a key") {
			t.Errorf("%q: %v, want a refusal", id, err)
		}
		if err := s.Remove(t.Context(), id); err == nil {
			t.Errorf("%q was removed", id)
		}
	}
	long := strings.Repeat(strings.Repeat("\\001", 63)+".", 3) + "x."
	name := dns.MustName(long)
	id, k, err := s.Generate(t.Context(), name, dnssec.ED25519, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	s.Forget()
	mustLoad(t, s, id, k)
	if infos, err := s.List(t.Context(), name); err != nil || len(infos) != 1 || !infos[0].Zone.Equal(name) {
		t.Errorf("the key of a long name is listed as %v, %v", infos, err)
	}
}

// same gives the same octets again and again, so that the same key comes.
type same struct{ n byte }

func (r *same) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = r.n
	}
	return len(b), nil
}

func TestTagsAreUnique(t *testing.T) {
	r := &same{1}
	s := open(t, Options{Random: r})
	generate(t, s)
	_, _, err := s.Generate(t.Context(), zone, dnssec.ECDSAP256SHA256, 0, 257)
	if err == nil || !strings.Contains(err.Error(), "tags that are taken") {
		t.Errorf("the same tag a second time: %v, want that no other was found", err)
	}
	r.n = 2
	generate(t, s)
}

// blobs is a database.
type blobs struct {
	mu   sync.Mutex
	rows map[string][]byte
}

func (b *blobs) Get(_ context.Context, id string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if row, found := b.rows[id]; found {
		return row, nil
	}
	return nil, fs.ErrNotExist
}

func (b *blobs) Put(_ context.Context, id string, data []byte, replace bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, found := b.rows[id]; found != replace {
		return fs.ErrExist
	}
	b.rows[id] = data
	return nil
}

func (b *blobs) List(context.Context) (ids []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.rows {
		ids = append(ids, id)
	}
	return ids, nil
}

func (b *blobs) Delete(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rows, id)
	return nil
}

func TestKeysInADatabase(t *testing.T) {
	b := &blobs{rows: map[string][]byte{}}
	_, err := Open(Options{Blobs: b})
	wantErr(t, err, ErrExposed, "set seal")
	one, two := open(t, Options{Blobs: b, Seal: sealA}), open(t, Options{Blobs: b, Seal: sealA})
	id, k := generate(t, one)
	mustLoad(t, two, id, k) // another node
	if _, err := one.Reseal(t.Context(), nil); err == nil {
		t.Error("keys in the database were unsealed")
	}
	if _, err := one.Reseal(t.Context(), sealB); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, open(t, Options{Blobs: b, Seal: sealB}), id, k)
	if err := one.Remove(t.Context(), id); err != nil || len(b.rows) > 0 {
		t.Errorf("removed: %v, %d are left", err, len(b.rows))
	}
}

func TestManyGoroutines(t *testing.T) {
	s := open(t, Options{Cache: 3, Seal: sealA})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			id, k, err := s.Generate(t.Context(), zone, dnssec.ED25519, 0, 256)
			if err != nil {
				t.Error(err)
				return
			}
			for range 4 {
				got, err := s.Load(t.Context(), id)
				if err != nil || got.Tag() != k.Tag() {
					t.Errorf("loaded %v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if infos, err := s.List(t.Context(), zone); err != nil || len(infos) != 8 {
		t.Errorf("%d keys, %v; want 8", len(infos), err)
	}
	if len(s.cache) > 3 {
		t.Errorf("%d keys are in memory, want 3", len(s.cache))
	}
}

func TestSealFrom(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open := write("good", string(sealA)+"\n", 0o600), write("open", string(sealA), 0o644)
	env := func(name string) string {
		return map[string]string{"CREDENTIALS_DIRECTORY": dir, "SEAL": " " + string(sealA) + "\n", "SHORT": "short"}[name]
	}
	for _, spec := range []string{"file:" + good, "credential:good", "credential:open", "env:SEAL"} {
		if got, err := SealFrom(spec, env); err != nil || !bytes.Equal(got, sealA) {
			t.Errorf("%s: %q, %v", spec, got, err)
		}
	}
	if got, err := SealFrom("", env); got != nil || err != nil {
		t.Errorf("no seal: %q, %v", got, err)
	}
	for spec, want := range map[string]string{
		"file:" + open:        "chmod 600",
		"file:" + dir + "/no": "no such file",
		"env:NO":              "NO is not set",
		"env:SHORT":           "has 5 octets; 32 at least were expected: make one by",
		"credential:../good":  "LoadCredential",
		"secret":              "file:PATH, env:NAME or credential:NAME was expected",
	} {
		if _, err := SealFrom(spec, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ED25519, 0, 257)
	if err != nil {
		f.Fatal(err)
	}
	x := newSeal(sealA)
	for _, to := range []*seal{nil, &x} {
		text, err := (&file{id: exampleID, zone: zone, key: k.DNSKEY(), created: time.Unix(0, 0)}).encode(k.Private(), to, rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := decode(exampleID, text)
		if err != nil {
			return
		}
		private, err := read.open([]seal{x})
		if err != nil {
			return
		}
		again, err := read.encode(private, nil, rand.Reader)
		if err != nil {
			return // RSA of more than two primes
		}
		if _, err := decode(exampleID, again); err != nil {
			t.Errorf("%v in\n%s", err, again)
		}
	})
}
