package keystore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"onoma/dns/dnssec/keyfile"
)

// folder is the home of keys on this machine.
type folder struct {
	path  string
	clock func() time.Time
}

const (
	extension = ".pem"
	removed   = "removed"
)

// openFolder makes the folder if need be, and refuses one that others may enter.
func openFolder(path string, clock func() time.Time) (*folder, error) {
	if path == "" {
		return nil, errors.New("opening keys: the folder for them is not named")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("opening keys: %s is no folder", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("opening keys: %w: the folder %s has mode %04o: chmod 700 %s", ErrExposed, path, mode, path)
	}
	return &folder{path, clock}, nil
}

func (d *folder) file(id string) string { return filepath.Join(d.path, id+extension) }

// Get refuses a file that others may read: whoever made it so, it may have been
// read already.
func (d *folder) Get(_ context.Context, id string) ([]byte, error) {
	f, err := os.Open(d.file(id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o: chmod 600 %s, and if others may have read it, roll the zone over to a new key", ErrExposed, f.Name(), mode, f.Name())
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func (d *folder) Put(_ context.Context, id string, data []byte, replace bool) error {
	if replace {
		return keyfile.Replace(d.file(id), data, 0o600)
	}
	return keyfile.Create(d.file(id), data, 0o600)
}

func (d *folder) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		id, isKey := strings.CutSuffix(e.Name(), extension)
		if isKey && !e.IsDir() && isID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Delete moves the file aside: what was removed by mistake is the one thing that
// cannot be made again.
func (d *folder) Delete(_ context.Context, id string) error {
	if _, err := os.Lstat(d.file(id)); err != nil {
		return err
	}
	aside := filepath.Join(d.path, removed)
	if err := os.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	name := id + "." + d.clock().UTC().Format("20060102T150405Z") + extension
	if err := os.Rename(d.file(id), filepath.Join(aside, name)); err != nil {
		return err
	}
	return errors.Join(keyfile.SyncDir(aside), keyfile.SyncDir(d.path))
}
