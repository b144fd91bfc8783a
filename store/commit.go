package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Prepare is called by Commit inside of its transaction, with the versions that others have committed after the number
// that the caller named (a delta of more than MaxInline by OpenDelta). It returns the versions to insert. It must be
// quick, as nobody else can commit meanwhile, and must not call a writing method of the store.
type Prepare = func(missed []Version) ([]Version, error)

// mostMissed is how many versions a Commit reads of others. Who is farther behind reads them by Since.
const mostMissed = 200_000

// Commit makes one synced transaction out of what prepare returns: the rows get the next commit number, and the zones'
// heads follow. It returns the number of the last commit, which is the one it made, or where prepare returned no
// versions that of the last one made by anybody. If anything fails, nothing has happened (but see ErrUnknownOutcome).
//
// Commit, Parts and, where staged, Octets are filled in within the rows that prepare returned. The versions of one zone
// must be in order, and follow its newest one (ErrOverlap).
//
// The end of the context ends the waiting for the turn, not what has begun.
func (s *Store) Commit(ctx context.Context, last uint64, prepare Prepare) (uint64, error) {
	n, err := s.committer.commit(ctx, last, prepare)
	if err != nil {
		return 0, s.fail("committing", err)
	}
	for old := s.seen.Load(); old < n && !s.seen.CompareAndSwap(old, n); old = s.seen.Load() {
	}
	return n, nil
}

// The statements of a commit.
const (
	takeTurn      = "UPDATE log SET last = last + 1 RETURNING last"
	readLast      = "SELECT last FROM log"
	insertVersion = "INSERT INTO versions (zone, number, commit_no, serial, at, door, author, comment, removed, added, octets, staged, parts, sum, delta)"
	insertColumns = 15
	moveHead      = `UPDATE zones SET head = ?, serial = ?, commit_no = ?, pending = pending + ?,
		oldest = CASE WHEN oldest = 0 THEN ? ELSE oldest END WHERE id = ? AND head = ?`
	takeStream = "UPDATE streams SET zone = ?, number = ? WHERE id = ? AND zone = 0 AND complete = 1 RETURNING parts, octets"
)

// head is how a commit changes a zone.
type head struct {
	zone        int64
	first, last uint64
	serial      uint32
	octets      int64
}

// prepared checks and completes the versions of a commit, and returns what becomes of their zones, in the order of zones.
func prepared(vs []Version, commit uint64, heads []head) ([]head, error) {
	heads = heads[:0]
	var at map[int64]int // for many zones
	find := func(zone int64) int {
		if at != nil {
			i, ok := at[zone]
			if !ok {
				return -1
			}
			return i
		}
		for i := range heads {
			if heads[i].zone == zone {
				return i
			}
		}
		return -1
	}
	for i := range vs {
		v := &vs[i]
		if err := v.complete(commit); err != nil {
			return nil, err
		}
		j := find(v.Zone)
		switch {
		case j < 0:
			j = len(heads)
			heads = append(heads, head{zone: v.Zone, first: v.Number})
			if at != nil {
				at[v.Zone] = j
			} else if len(heads) > 16 {
				at = make(map[int64]int, len(vs))
				for k := range heads {
					at[heads[k].zone] = k
				}
			}
		case v.Number != heads[j].last+1:
			return nil, fmt.Errorf("%w: zone %d: version %d after %d in one commit", ErrOverlap, v.Zone, v.Number, heads[j].last)
		}
		h := &heads[j]
		h.last, h.serial, h.octets = v.Number, v.Serial, h.octets+v.Octets
	}
	return heads, nil
}

// weigh adds to the zones of a commit what its staged deltas have, once that is known.
func weigh(heads []head, vs []Version) {
	for i := range vs {
		if vs[i].Staged == 0 {
			continue
		}
		for j := range heads {
			if heads[j].zone == vs[i].Zone {
				heads[j].octets += vs[i].Octets
			}
		}
	}
}

// complete fills in what the store knows of a version, and makes its texts such that both databases take them.
func (v *Version) complete(commit uint64) error {
	if len(v.Delta) > MaxInline {
		return fmt.Errorf("the delta of version %d of zone %d has %d octets: over %d it must be staged", v.Number, v.Zone, len(v.Delta), MaxInline)
	}
	if v.Number == 0 || v.Number > 1<<62 {
		return fmt.Errorf("%w: zone %d: version %d", ErrOverlap, v.Zone, v.Number)
	}
	v.Commit = commit
	v.Parts, v.Octets = 0, int64(len(v.Delta)) // of what was staged, its stream says how much it is
	v.Door, v.Author, v.Comment = plain(v.Door), plain(v.Author), plain(v.Comment)
	return nil
}

// maxText bounds the texts that people and clients give.
const maxText = 4096

// plain returns text that PostgreSQL takes, too: UTF-8 without NUL, and of bounded length.
func plain(text string) string {
	if len(text) <= maxText && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text[:min(len(text), maxText)], "\x00", "\uFFFD"), "\uFFFD")
}

// appendVersion appends the values of a row.
func appendVersion(args []any, v *Version) []any {
	delta := v.Delta
	if delta == nil {
		delta = []byte{}
	}
	return append(args, v.Zone, int64(v.Number), int64(v.Commit), int64(v.Serial), v.At.UnixMicro(), v.Door, v.Author, v.Comment,
		int64(v.Removed), int64(v.Added), v.Octets, v.Staged, int64(v.Parts), v.sum(), delta)
}

// moved checks that the head of a zone was where its new versions begin.
func (h *head) moved(rows int64) error {
	if rows != 1 {
		return fmt.Errorf("%w: zone %d: version %d: there is another already, or the zone has been removed", ErrOverlap, h.zone, h.first)
	}
	return nil
}

// unstaged is the error of a version whose staged delta is not there.
func (v *Version) unstaged() error {
	return fmt.Errorf("the staged delta %d of version %d of zone %d: %w", v.Staged, v.Number, v.Zone, ErrGone)
}

// missed reads what has been committed after a commit.
func (t tx) missed(ctx context.Context, last uint64) ([]Version, error) {
	vs, err := t.versions(ctx, "v.commit_no > ? ORDER BY v.commit_no, v.zone, v.number LIMIT ?", last, mostMissed+1)
	if err == nil && len(vs) > mostMissed {
		return nil, fmt.Errorf("%w: more than %d versions", ErrBehind, mostMissed)
	}
	return vs, err
}

// turn is one commit on its way: the steps that the databases take differently.
type turn interface {
	begin(ctx context.Context) (n uint64, err error) // locks the row of the last number, and returns the one of this commit
	missed(ctx context.Context, last, n uint64) ([]Version, error)
	insert(ctx context.Context, n uint64, vs []Version, heads []head) error
	finish(ctx context.Context) error
	rollback(ctx context.Context)
}

// take makes a commit out of its steps.
func take(ctx context.Context, t turn, last uint64, prepare Prepare, heads *[]head) (n uint64, err error) {
	if n, err = t.begin(ctx); err != nil {
		return 0, err
	}
	done := false
	defer func() {
		if !done {
			t.rollback(ctx)
		}
	}()
	var missed []Version
	if last+1 < n {
		if missed, err = t.missed(ctx, last, n); err != nil {
			return 0, err
		}
	}
	vs, err := prepare(missed)
	if err != nil {
		return 0, err
	}
	if len(vs) == 0 {
		return n - 1, nil
	}
	if *heads, err = prepared(vs, n, *heads); err != nil {
		return 0, err
	}
	if err := t.insert(ctx, n, vs, *heads); err != nil {
		return 0, err
	}
	done = true
	return n, t.finish(ctx)
}
