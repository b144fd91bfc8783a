package lab

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// shipped are the zones that a new lab begins with, a directory for each
// operator, and the root zone of 1 February 2020 as IANA published it.
//
//go:embed data/zones data/root.zone.gz
var shipped embed.FS

// zoneSuffix ends the name of each zone file; the rest is the zone's name, the
// root's excepted.
const (
	zoneSuffix = ".zone"
	rootFile   = "root.zone"
)

// unpack makes dir/zones with the shipped zone files. Where it exists it is left
// as it is, and isNew is false: files in it may have been edited, added and removed.
func unpack(dir string, b block) (isNew bool, err error) {
	zones := filepath.Join(dir, "zones")
	if _, err := os.Stat(zones); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	// All files or none, whatever happens in between.
	begun, err := os.MkdirTemp(dir, ".zones-*")
	if err != nil {
		return false, fmt.Errorf("writing the zone files: %w", err)
	}
	err = errors.Join(unpackTo(begun, b), os.Chmod(begun, 0o755))
	if err == nil {
		err = os.Rename(begun, zones)
	}
	if err != nil {
		os.RemoveAll(begun)
		return false, fmt.Errorf("writing the zone files: %w", err)
	}
	return true, nil
}

func unpackTo(dir string, b block) error {
	shippedZones, err := fs.Sub(shipped, "data/zones")
	if err != nil {
		return err
	}
	err = fs.WalkDir(shippedZones, ".", func(name string, d fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		}
		text, err := fs.ReadFile(shippedZones, name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, relocate(text, b), 0o644)
	})
	if err != nil {
		return err
	}
	root, err := rootZone(b)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "root", rootFile), root, 0o644)
}

// relocate moves the addresses in a shipped file to the lab's block.
func relocate(text []byte, b block) []byte {
	if b == standardBlock {
		return text
	}
	return bytes.ReplaceAll(text, fmt.Appendf(nil, "127.%d.", standardBlock), fmt.Appendf(nil, "127.%d.", b))
}

// writeFile replaces a file so that whoever reads it, after a crash too, finds
// the old content or the new, and that the new is on disk when it returns.
func writeFile(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// signedRoot returns the root zone as it was published.
func signedRoot() ([]byte, error) {
	packed, err := shipped.ReadFile("data/root.zone.gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// zoneNameOf returns the zone that a file in an operator's directory holds; ok
// is false for files that are no zones.
func zoneNameOf(file string) (name string, ok bool) {
	base := path.Base(filepath.ToSlash(file))
	if base == rootFile {
		return ".", true
	}
	name, ok = strings.CutSuffix(base, zoneSuffix)
	return name, ok && name != "" && !strings.HasPrefix(base, ".")
}

// zoneFileOf is zoneNameOf's inverse. A zone's name is in presentation form,
// and a slash in a label must not leave the directory.
func zoneFileOf(zone string) string {
	if zone == "." {
		return rootFile
	}
	return strings.ReplaceAll(strings.TrimSuffix(zone, "."), "/", `\047`) + zoneSuffix
}
