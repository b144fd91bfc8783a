package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone"
)

// snapshotFlags are about the zones that are kept ready to be served at once.
type snapshotFlags struct {
	Snapshots string `placeholder:"DIR" help:"Keep a snapshot of each zone in this directory, and start from it for as long as the zone's files have not changed."`

	writer *snapshotWriter
	brief  bool // zones are too many to be named one by one
}

// zoneText reads the text of a zone.
type zoneText func() (*zone.Version, error)

// begin makes ready what start and reload need, for so many zones. Those may be
// called by several goroutines.
func (s *snapshotFlags) begin(log *slog.Logger, zones int) {
	const many = 20
	s.brief = zones > many
	if s.Snapshots != "" {
		s.writer = &snapshotWriter{log: log, waiting: make(map[string]*zone.Version)}
	}
}

// start returns the version to start with: that of the snapshot, or else of the
// text, of which there will be a snapshot soon.
func (s *snapshotFlags) start(log *slog.Logger, f zoneFile, text zoneText) (*zone.Version, error) {
	if s.Snapshots == "" {
		return text()
	}
	v, err := s.read(f)
	switch {
	case v != nil:
		s.writer.used.Add(1)
		if !s.brief {
			log.Info("zone served from its snapshot", "zone", f.name, "serial", v.Serial())
		}
		return v, nil
	case err != nil:
		log.Warn("snapshot cannot be used, the text is read instead", "zone", f.name, "error", err)
	}
	return s.reload(f, text)
}

// begun tells of zones that start did not name.
func (s *snapshotFlags) begun(log *slog.Logger) {
	if s.writer == nil || !s.brief {
		return
	}
	if n := s.writer.used.Load(); n > 0 {
		log.Info("zones served from their snapshots", "zones", n)
	}
}

// reload reads the text, of which there will be a snapshot soon.
func (s *snapshotFlags) reload(f zoneFile, text zoneText) (*zone.Version, error) {
	v, err := text()
	if err == nil && s.Snapshots != "" && v.Source() != nil {
		s.writer.add(s.path(f.name), v)
	}
	return v, err
}

// read returns the version of the snapshot, and nil where there is none or the
// zone's files have changed.
func (s *snapshotFlags) read(f zoneFile) (*zone.Version, error) {
	snap, err := zone.OpenSnapshot(s.path(f.name), f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	if !snap.Source().IsCurrent(f.file) {
		return nil, nil
	}
	return snap.Load()
}

// path returns the file of a zone's snapshot: a name that people can read where
// it fits a file system, else its hash.
func (s *snapshotFlags) path(name dns.Name) string {
	const most = 200 // octets, of the 255 that file systems take
	file := "@"      // no other is called so
	if !name.IsRoot() {
		file = strings.Map(plainRune, strings.TrimSuffix(name.Fold().String(), "."))
	}
	if len(file) > most || strings.Contains(file, "%") {
		sum := sha256.Sum256([]byte(name.Fold().Wire()))
		file = "%" + hex.EncodeToString(sum[:16])
	}
	return filepath.Join(s.Snapshots, file+".snapshot")
}

// plainRune returns % for what is not plain in a file's name.
func plainRune(r rune) rune {
	if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.' {
		return r
	}
	return '%'
}

// snapshotWriter writes one snapshot after the other, beside the answers.
type snapshotWriter struct {
	log  *slog.Logger
	used atomic.Int64 // snapshots that zones are served from

	mu      sync.Mutex
	waiting map[string]*zone.Version // by the path of the snapshot
	order   []string                 // paths, the one to be written next first
	running bool
}

// add has a snapshot of v written. It returns at once. Of several versions that
// wait for the same file the last is written.
func (w *snapshotWriter) add(path string, v *zone.Version) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[path] == nil {
		w.order = append(w.order, path)
	}
	w.waiting[path] = v
	if !w.running {
		w.running = true
		go w.run()
	}
}

// run writes what waits, and ends when nothing does.
func (w *snapshotWriter) run() {
	for written := 0; ; {
		path, v := w.take()
		if v == nil {
			w.log.Info("snapshots written", "zones", written)
			return
		}
		if err := writeSnapshot(path, v); err != nil {
			w.log.Error("snapshot not written, the next start reads the text", "zone", v.Origin(), "error", err)
			continue
		}
		written++
	}
}

func (w *snapshotWriter) take() (path string, v *zone.Version) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) == 0 {
		w.order, w.running = nil, false
		return "", nil
	}
	path = w.order[0]
	w.order = w.order[1:]
	v = w.waiting[path]
	delete(w.waiting, path)
	return path, v
}

func writeSnapshot(path string, v *zone.Version) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the directory of snapshots: %w", err)
	}
	return v.WriteSnapshot(path)
}
