package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create makes a file that must not be there yet: when it returns, the file is
// whole and on disk; if it fails or the machine does before, there is none.
func Create(path string, data []byte, mode os.FileMode) error {
	return place(path, data, mode, func(temp string) error {
		if err := os.Link(temp, path); err != nil {
			return err
		}
		return os.Remove(temp)
	})
}

// Replace is Create for a file that is there: it has either content, never a part.
func Replace(path string, data []byte, mode os.FileMode) error {
	return place(path, data, mode, func(temp string) error { return os.Rename(temp, path) })
}

// place writes a file under another name, which others cannot read before it has
// its mode, and gives it to move.
func place(path string, data []byte, mode os.FileMode, move func(temp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	err = fill(f, data, mode)
	if err == nil {
		err = move(f.Name())
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing a key: %w", refused(err, path))
	}
	return SyncDir(dir)
}

func refused(err error, path string) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is not replaced: %w", path, fs.ErrExist)
	}
	return err
}

func fill(f *os.File, data []byte, mode os.FileMode) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// SyncDir makes what was done to a folder's entries last.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	return nil
}
