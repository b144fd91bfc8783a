package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of one megabyte or so.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1200k"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	s, err := Open(t.Context(), filepath.Join(dir, "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	z := addZone(t, s, "a.")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 500_000), 0o600); err != nil {
		t.Fatal(err)
	}
	next, last := uint64(1), uint64(0)
	fill := func() error {
		for ; ; next++ {
			v := version(z.ID, next)
			v.Delta = pattern(10_000, byte(next))
			n, err := s.Commit(t.Context(), last, always(v))
			if err != nil {
				return err
			}
			last = n
		}
	}
	err = fill()
	wantError(t, err, ErrStorage)
	t.Log(err)
	for range 3 {
		_, err := s.Commit(t.Context(), last, always(version(z.ID, next)))
		if err == nil { // a small one may still fit
			next, last = next+1, last+1
		} else {
			wantError(t, err, ErrStorage)
		}
	}
	if got := numbersOf(collect(t, s, z.ID, 1, 1<<40)); len(got) != int(next-1) {
		t.Errorf("%d versions were acknowledged, and %d are there", next-1, len(got))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	before := next
	wantError(t, fill(), ErrStorage)
	if next < before+10 {
		t.Errorf("when there was room again, %d versions were committed", next-before)
	}
	if said, err := s.Check(t.Context()); len(said) > 0 || err != nil {
		t.Errorf("the check finds %q, %v", said, err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	addZone(t, s, "a.")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	openFails(t, path, Options{}, ErrStorage, "hint: ", "read-only")
	openFails(t, filepath.Join(dir, "new"), Options{}, ErrStorage, "hint: ")
	r, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if zones, err := r.Zones(t.Context()); len(zones) != 1 || err != nil {
		t.Errorf("read-only it has %v, %v", zones, err)
	}
	if err := errors.Join(r.Close()); err != nil {
		t.Error(err)
	}
}
