package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"sync"
	"time"
)

// Version is a version of a zone: what it changed, who made it, when, by which door and why.
type Version struct {
	Zone                  int64
	Number                uint64 // 1, 2, 3 and so on in each zone
	Commit                uint64 // number of the commit that made it, given by Commit
	Serial                uint32
	At                    time.Time // to the microsecond
	Door, Author, Comment string
	Removed, Added        int // records

	// Delta is opaque here, and has MaxInline octets at most. That of a larger one is empty: it was staged, Staged
	// being what Staging.Close returned, and OpenDelta reads it.
	Delta  []byte
	Staged int64
	Parts  int   // in which it was staged, given by Commit
	Octets int64 // of the delta, wherever it is, given by Commit
}

const (
	headColumns    = "v.zone, v.number, v.commit_no, v.serial, v.at, v.door, v.author, v.comment, v.removed, v.added, v.staged, v.parts, v.octets, v.sum"
	versionColumns = headColumns + ", v.delta"
)

// scanHead reads a row of headColumns, and verifies it.
func (v *Version) scanHead(row interface{ Scan(...any) error }) error {
	sum, err := v.scanUnchecked(row)
	if err == nil && uint32(sum>>32) != v.headSum() {
		err = v.damaged()
	}
	return err
}

// scan reads a row of versionColumns, and verifies it.
func (v *Version) scan(row interface{ Scan(...any) error }) error {
	sum, err := v.scanUnchecked(row, &v.Delta)
	if err == nil && sum != v.sum() {
		err = v.damaged()
	}
	return err
}

func (v *Version) scanUnchecked(row interface{ Scan(...any) error }, more ...any) (sum int64, err error) {
	var at int64
	into := append(make([]any, 0, 16), &v.Zone, &v.Number, &v.Commit, &v.Serial, &at, &v.Door, &v.Author, &v.Comment,
		&v.Removed, &v.Added, &v.Staged, &v.Parts, &v.Octets, &sum)
	err = row.Scan(append(into, more...)...)
	v.At = time.UnixMicro(at).UTC()
	return sum, err
}

func (v *Version) damaged() error {
	return fmt.Errorf("%w: version %d of zone %d does not match its checksum", ErrCorrupt, v.Number, v.Zone)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is what a row has to verify it by: in the upper half that of all but the delta, so that the log can be read
// without, in the lower half that of the delta and where it belongs.
func (v *Version) sum() int64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[0:], uint64(v.Zone))
	binary.BigEndian.PutUint64(b[8:], v.Number)
	delta := crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, v.Delta)
	return int64(uint64(v.headSum())<<32 | uint64(delta))
}

func (v *Version) headSum() uint32 {
	space := headSpace.Get().(*[]byte)
	defer headSpace.Put(space)
	b := (*space)[:0]
	for _, n := range [...]uint64{uint64(v.Zone), v.Number, v.Commit, uint64(v.Serial), uint64(v.At.UnixMicro()), uint64(v.Removed),
		uint64(v.Added), uint64(v.Staged), uint64(v.Parts), uint64(v.Octets), uint64(len(v.Door)), uint64(len(v.Author))} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(append(append(b, v.Door...), v.Author...), v.Comment...)
	*space = b
	return crc32.Checksum(b, castagnoli)
}

// headSpace has room for headSum, so that a commit does not allocate it for each row.
var headSpace = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// LastCommit returns the number of the last commit, 0 before the first.
func (s *Store) LastCommit(ctx context.Context) (uint64, error) {
	var last uint64
	err := s.read().row(ctx, "SELECT last FROM log").Scan(&last)
	return last, s.fail("reading the number of the last commit", err)
}

// Since returns the versions that were made after a commit, in the order of commits, and in each by zone and number.
// There are about most of them: a commit is never cut in two, so one that is larger comes as a whole.
func (s *Store) Since(ctx context.Context, commit uint64, most int) ([]Version, error) {
	vs, err := s.read().versions(ctx, "v.commit_no > ? ORDER BY v.commit_no, v.zone, v.number LIMIT ?", commit, most+1)
	if err == nil && len(vs) > max(most, 0) {
		vs, err = s.wholeCommits(ctx, vs)
	}
	return vs, s.fail("reading the versions since a commit", err)
}

// wholeCommits drops the versions of the last commit, which may go on, unless there is no other: that is read to its end.
func (s *Store) wholeCommits(ctx context.Context, vs []Version) ([]Version, error) {
	cut := vs[len(vs)-1].Commit
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].Commit != cut {
			return vs[:i+1], nil
		}
	}
	return s.read().versions(ctx, "v.commit_no = ? ORDER BY v.zone, v.number", cut)
}

// versions returns the versions that a condition selects.
func (t tx) versions(ctx context.Context, where string, args ...any) ([]Version, error) {
	var out []Version
	err := t.each(ctx, func(r *sql.Rows) error {
		out = append(out, Version{})
		return out[len(out)-1].scan(r)
	}, "SELECT "+versionColumns+" FROM versions v WHERE "+where, args...)
	return out, err
}

// Log returns the newest versions of a zone below a number, newest first and without deltas. below 0: from the newest.
func (s *Store) Log(ctx context.Context, zone int64, below uint64, most int) ([]Version, error) {
	if below == 0 {
		below = 1<<63 - 1
	}
	var out []Version
	err := s.read().each(ctx, func(r *sql.Rows) error {
		out = append(out, Version{})
		return out[len(out)-1].scanHead(r)
	}, "SELECT "+headColumns+" FROM versions v WHERE v.zone = ? AND v.number < ? ORDER BY v.number DESC LIMIT ?", zone, below, most)
	return out, s.fail("reading the log of a zone", err)
}

// pageOctets and pageRows bound what Versions holds in memory.
const (
	pageRows   = 64
	pageOctets = 4 << 20
)

// Versions returns the versions of a zone from one number to another, both included, ascending, or descending where
// from is the larger one. Those above the newest are left out. ErrGone ends it where from or to is forgotten already.
func (s *Store) Versions(ctx context.Context, zone int64, from, to uint64) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		w := walk{next: from, to: to, down: from > to}
		for !w.done {
			page, err := s.page(ctx, zone, &w)
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if err != nil {
				yield(Version{}, s.fail(fmt.Sprintf("reading versions of zone %d", zone), err))
				return
			}
		}
	}
}

// walk is where Versions is.
type walk struct {
	next, to uint64
	down     bool
	begun    bool
	done     bool
}

// page returns the next versions. Pages hold no connection between them, so that callers may take their time.
func (s *Store) page(ctx context.Context, zone int64, w *walk) ([]Version, error) {
	var out []Version
	octets := 0
	errFull := errStop{}
	query := "SELECT " + versionColumns + " FROM versions v WHERE v.zone = ? AND v.number BETWEEN ? AND ? ORDER BY v.number LIMIT ?"
	low, high := w.next, w.to
	if w.down {
		query = "SELECT " + versionColumns + " FROM versions v WHERE v.zone = ? AND v.number BETWEEN ? AND ? ORDER BY v.number DESC LIMIT ?"
		low, high = w.to, w.next
	}
	err := s.read().each(ctx, func(r *sql.Rows) error {
		var v Version
		if err := v.scan(r); err != nil {
			return err
		}
		if err := w.step(&v); err != nil {
			return err
		}
		out = append(out, v)
		if octets += len(v.Delta); octets >= pageOctets {
			return errFull
		}
		return nil
	}, query, zone, low, min(high, 1<<63-1), pageRows)
	switch {
	case err == errFull:
		return out, nil
	case err == nil && len(out) < pageRows && !w.done:
		w.done = true
		err = s.ended(ctx, zone, w)
	}
	return out, err
}

// errStop ends each early.
type errStop struct{}

func (errStop) Error() string { return "enough" }

// step checks that a version follows the one before.
func (w *walk) step(v *Version) error {
	if v.Number != w.next {
		switch {
		case w.begun:
			return fmt.Errorf("%w: version %d is missing", ErrCorrupt, w.next)
		case !w.down:
			return fmt.Errorf("version %d: %w", w.next, ErrGone)
		}
		w.next = v.Number // it begins above the newest
	}
	w.begun = true
	w.done = w.next == w.to
	if w.down {
		w.next--
	} else {
		w.next++
	}
	return nil
}

// ended says whether it is right that no more versions came.
func (s *Store) ended(ctx context.Context, zone int64, w *walk) error {
	z, err := s.read().zone(ctx, zone)
	switch {
	case err != nil:
		return err
	case w.down && w.next < max(z.Oldest, 1), !w.down && w.next < z.Oldest:
		return fmt.Errorf("version %d: %w", w.next, ErrGone)
	case w.next <= z.Head:
		return fmt.Errorf("%w: version %d is missing", ErrCorrupt, w.next)
	}
	return nil
}

// HistorySize says how much history of a zone is kept.
func (s *Store) HistorySize(ctx context.Context, zone int64) (versions int, octets int64, oldest time.Time, err error) {
	var at int64
	err = s.read().row(ctx, "SELECT COUNT(*), COALESCE(SUM(octets), 0), COALESCE(MIN(at), 0) FROM versions WHERE zone = ?", zone).
		Scan(&versions, &octets, &at)
	if versions > 0 {
		oldest = time.UnixMicro(at).UTC()
	}
	return versions, octets, oldest, s.fail("measuring the history of a zone", err)
}
