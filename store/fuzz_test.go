package store

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzDamagedFile changes octets anywhere in a database file. Whatever SQLite makes of it: nothing panics, and a delta
// or a checkpoint that is returned is one that was written.
func FuzzDamagedFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "db")
	s := open(f, path)
	ids := []int64{addZone(f, s, "a.example.").ID, addZone(f, s, "b.example.").ID}
	for _, id := range ids {
		commit(f, s, id, 1, 20)
	}
	whole := pattern(3000, 1)
	err := s.WriteCheckpoint(f.Context(), ids[1], 15, func(w io.Writer) error { _, err := w.Write(whole); return err })
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte("x"))
	f.Add(uint32(100), []byte{13, 0, 0, 255, 255})
	for page := 1; page < len(sound)/4096; page++ {
		f.Add(uint32(page*4096), []byte{2})
		f.Add(uint32(page*4096+3), []byte{255, 255, 255, 255})
		f.Add(uint32(page*4096+4000), bytes.Repeat([]byte{0x81}, 60))
	}
	f.Fuzz(func(t *testing.T, at uint32, octets []byte) {
		file := append([]byte(nil), sound...)
		copy(file[int(at)%len(file):], octets)
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{ReadOnly: true})
		if err != nil {
			return
		}
		defer s.Close()
		readDamaged(t, s, ids, whole)
	})
}

// readDamaged reads all that there is. Errors are fine, other contents are not.
func readDamaged(t *testing.T, s *Store, ids []int64, whole []byte) {
	right := func(v *Version) {
		if string(v.Delta) != string(version(v.Zone, v.Number).Delta) || v.Serial != version(v.Zone, v.Number).Serial {
			t.Errorf("version %d of zone %d has serial %d and delta %q", v.Number, v.Zone, v.Serial, v.Delta)
		}
	}
	for l, err := range s.Small(t.Context()) {
		if err == nil && l.Content != nil && !bytes.Equal(l.Content, whole) {
			t.Errorf("zone %+v has a checkpoint that was not written", l.Zone)
		}
		for i := range l.Deltas {
			right(&l.Deltas[i])
		}
	}
	for _, id := range ids {
		n := uint64(0)
		for v, err := range s.Versions(t.Context(), id, 1, 30) {
			if n++; err == nil && v.Number != n {
				t.Errorf("version %d of zone %d comes as number %d", v.Number, id, n)
			}
			if err == nil {
				right(&v)
			}
		}
		if _, r, err := s.Checkpoint(t.Context(), id); err == nil {
			got, err := io.ReadAll(r)
			if err == nil && len(got) > 0 && !bytes.Equal(got, whole) {
				t.Errorf("zone %d has a checkpoint that was not written", id)
			}
		}
		log, _ := s.Log(t.Context(), id, 0, 100) // those before the error
		for _, v := range log {
			if want := version(v.Zone, v.Number); v.Author != want.Author || v.Comment != want.Comment || !v.At.Equal(want.At) {
				t.Errorf("version %d of zone %d is said to be %q by %s at %v", v.Number, id, v.Comment, v.Author, v.At)
			}
		}
		_, _, _, _ = s.HistorySize(t.Context(), id)
	}
	_, _ = s.Check(t.Context())
}
