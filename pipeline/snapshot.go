package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"onoma/store"
	"onoma/zone"
)

// snapshotLeast is the size of zones from which a snapshot file is quicker than
// the database.
const snapshotLeast = 1 << 20

// A snapshot of a version is DataDir/zones/ROW-NUMBER-MICROSECONDS.snapshot: with
// the time when the version was made it is not mistaken for that of another
// version with the same number, such as after an older backup was restored.
type snapshotFile struct {
	path   string
	number uint64
	made   int64
}

const snapshotSuffix = ".snapshot"

func (p *Pipeline) snapshotPath(row int64, number uint64, made int64) string {
	return filepath.Join(p.o.DataDir, "zones", fmt.Sprintf("%d-%d-%d%s", row, number, made, snapshotSuffix))
}

// snapshots returns the files of a zone, the newest version first.
func (p *Pipeline) snapshots(row int64) []snapshotFile {
	if p.o.DataDir == "" {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(p.o.DataDir, "zones", strconv.FormatInt(row, 10)+"-*"+snapshotSuffix))
	if err != nil {
		return nil // the directory's name has characters of patterns: as if there were none
	}
	var out []snapshotFile
	for _, path := range paths {
		parts := strings.Split(strings.TrimSuffix(filepath.Base(path), snapshotSuffix), "-")
		if len(parts) != 3 {
			continue
		}
		number, err1 := strconv.ParseUint(parts[1], 10, 64)
		made, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err1 == nil && err2 == nil {
			out = append(out, snapshotFile{path, number, made})
		}
	}
	slices.SortFunc(out, func(a, b snapshotFile) int { return int(int64(b.number) - int64(a.number)) })
	return out
}

// readSnapshot reads the newest snapshot of a zone that fits the database; nil
// where there is none.
func (p *Pipeline) readSnapshot(ctx context.Context, st *state, row store.Zone) (*zone.Version, uint64) {
	for _, f := range p.snapshots(st.row) {
		// An older one than the checkpoint may need deltas that are gone.
		if f.number > row.Head || f.number < row.Checkpoint || f.number == 0 {
			continue
		}
		log, err := p.store.Log(ctx, st.row, f.number+1, 1)
		if err != nil || len(log) == 0 || log[0].Number != f.number || log[0].At.UnixMicro() != f.made {
			continue
		}
		v, err := zone.LoadSnapshot(f.path, st.z.Origin())
		if err == nil {
			err = fits(v, f.number, log[0].Serial)
		}
		if err != nil {
			p.o.Log.Warn("a snapshot cannot be used, and the zone is made from the database", "zone", st.spec.ID.String(), "file", f.path, "err", err)
			continue
		}
		st.snapshot, st.made = f.number, f.made
		return v, f.number
	}
	return nil, 0
}

// writeSnapshot writes the newest version of a zone to a file, unless it is small
// or there already.
func (p *Pipeline) writeSnapshot(st *state) error {
	p.mu.RLock()
	number, made, last, v := st.number, st.made, st.snapshot, st.head()
	p.mu.RUnlock()
	if p.o.DataDir == "" || v == nil || number == last || v.Stats().Bytes < snapshotLeast {
		return nil
	}
	path := p.snapshotPath(st.row, number, made)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing snapshot of %s: %w", st.spec.ID, err)
	}
	if err := v.WriteSnapshot(path); err != nil {
		return err
	}
	p.mu.Lock()
	st.snapshot, st.unsaved = number, 0
	p.mu.Unlock()
	p.removeSnapshots(st, path)
	return nil
}

// removeSnapshots removes the files of a zone but keep.
func (p *Pipeline) removeSnapshots(st *state, keep string) {
	for _, f := range p.snapshots(st.row) {
		if f.path != keep {
			_ = os.Remove(f.path) // else at the next time
		}
	}
}
