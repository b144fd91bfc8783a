package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"onoma/dns"
	"onoma/store"
	"onoma/zone"
)

// Entry is a version in the log of a zone.
type Entry struct {
	Number         uint64
	Serial         uint32
	At             time.Time
	By             zone.Author
	Removed, Added int // records
}

func entryOf(v *store.Version) Entry {
	return Entry{
		Number: v.Number, Serial: v.Serial, At: v.At, Removed: v.Removed, Added: v.Added,
		By: zone.Author{Door: zone.Door(v.Door), Name: v.Author, Comment: v.Comment},
	}
}

// mostDelta is how much of a history is looked through at a time, in octets.
const mostDelta = 256 << 20

// errLongWay says that a history is too long for one question.
var errLongWay = errors.New("there is too much between the two versions")

// Log returns the newest versions of a zone below a number, the newest first; below
// 0 is from the newest.
func (p *Pipeline) Log(ctx context.Context, id zone.ID, below uint64, most int) ([]Entry, error) {
	st, err := p.lookup(id)
	if err != nil {
		return nil, err
	}
	versions, err := p.store.Log(ctx, st.row, below, most)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(versions))
	for i := range versions {
		out[i] = entryOf(&versions[i])
	}
	return out, nil
}

// noVersion says why a version is not to be had. It is a zone.ErrNoVersion.
type noVersion string

func (e noVersion) Error() string { return string(e) }

func (noVersion) Is(target error) bool { return target == zone.ErrNoVersion }

// reach checks that version number of a zone can be made, and returns the newest.
func (p *Pipeline) reach(id zone.ID, numbers ...uint64) (st *state, head *zone.Version, number uint64, err error) {
	if st, err = p.lookup(id); err != nil {
		return nil, nil, 0, err
	}
	p.mu.RLock()
	head, number = st.head(), st.number
	// The delta of a version leads to the one before it.
	oldest := max(st.oldest, 2) - 1
	err = st.broken
	p.mu.RUnlock()
	for _, n := range numbers {
		switch {
		case err != nil:
		case n == 0 || n > number:
			err = noVersion(fmt.Sprintf("zone %s has no version %d: the newest is %d", id, n, number))
		case n < oldest:
			err = noVersion(fmt.Sprintf("version %d of %s is no longer kept: the oldest is %d", n, id, oldest))
		}
	}
	return st, head, number, err
}

// Delta returns what leads from one version of a zone to another, forward or back,
// without what is undone on the way.
func (p *Pipeline) Delta(ctx context.Context, id zone.ID, from, to uint64) (zone.Delta, error) {
	st, _, _, err := p.reach(id, from, to)
	if err != nil || from == to {
		return zone.Delta{}, err
	}
	var m zone.Merge
	low, high := min(from, to), max(from, to)
	for v, err := range p.store.Versions(ctx, st.row, low+1, high) {
		if err == nil {
			err = p.open(ctx, st, v, m.Step)
		}
		if err == nil && m.Octets() > mostDelta {
			err = errLongWay
		}
		if err != nil {
			return zone.Delta{}, fmt.Errorf("comparing versions %d and %d of %s: %w", from, to, id, err)
		}
	}
	d := m.Delta()
	if from > to {
		d.Removed, d.Added = d.Added, d.Removed
	}
	return d, nil
}

// open hands f the delta of a version.
func (p *Pipeline) open(ctx context.Context, st *state, v store.Version, f func(*zone.DeltaReader) error) error {
	r, err := p.store.OpenDelta(ctx, v)
	if err != nil {
		return err
	}
	defer r.Close()
	return f(zone.NewDeltaReader(r, st.z.Origin()))
}

// At returns a version of a zone, made from the newest one backwards.
func (p *Pipeline) At(ctx context.Context, id zone.ID, number uint64) (*zone.Version, error) {
	st, head, newest, err := p.reach(id, number)
	if err != nil || number == newest {
		return head, err
	}
	e := head.Fork()
	defer e.Discard()
	for v, err := range p.store.Versions(ctx, st.row, newest, number+1) {
		if err == nil {
			err = p.revert(ctx, st, e, v)
		}
		if err != nil {
			return nil, fmt.Errorf("going back to version %d of %s: version %d: %w", number, id, v.Number, err)
		}
	}
	return e.Commit()
}

func (p *Pipeline) revert(ctx context.Context, st *state, e *zone.Editor, v store.Version) error {
	var open []io.Closer
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	return e.Revert(func() (*zone.DeltaReader, error) {
		r, err := p.store.OpenDelta(ctx, v)
		if err != nil {
			return nil, err
		}
		open = append(open, r)
		return zone.NewDeltaReader(r, st.z.Origin()), nil
	})
}

// Rollback returns the change that makes a zone what it was in an earlier version,
// to be submitted: a new version with a new serial number.
func (p *Pipeline) Rollback(ctx context.Context, id zone.ID, number uint64, by zone.Author) (zone.Change, error) {
	v, err := p.At(ctx, id, number)
	if err != nil {
		return zone.Change{}, err
	}
	by.Door = zone.DoorRollback
	if by.Comment == "" {
		by.Comment = fmt.Sprintf("back to version %d", number)
	}
	return zone.Change{Zone: id, By: by, Replace: v}, nil
}

// Authored yields the records of a version of a zone that are its authors', and not
// its signer's.
func (p *Pipeline) Authored(id zone.ID, v *zone.Version) iter.Seq[dns.Record] {
	st, err := p.lookup(id)
	if err != nil {
		return v.Records()
	}
	p.mu.RLock()
	spec := st.spec
	p.mu.RUnlock()
	spec = spec.active()
	if spec.Signer == nil {
		return v.Records()
	}
	return spec.authoredOf(v)
}

// Blamed is a record of a zone and the version that it came with.
type Blamed struct {
	Record dns.Record
	Since  Entry
	Known  bool // false: it is older than what is kept, or than Blame looks back
}

// mostBlamed is how many versions Blame looks through.
const mostBlamed = 100_000

// Blame says of each record of a name who has added it, when, and by which door.
func (p *Pipeline) Blame(ctx context.Context, id zone.ID, name dns.Name) ([]Blamed, error) {
	st, head, number, err := p.reach(id)
	if err != nil || head == nil {
		return nil, err
	}
	var out []Blamed
	node := head.Find([]byte(name.Fold().Wire()))
	if node.IsZero() {
		return nil, nil
	}
	for r := range node.Records() {
		out = append(out, Blamed{Record: r})
	}
	p.mu.RLock()
	oldest := max(st.oldest, 1)
	p.mu.RUnlock()
	if number-oldest >= mostBlamed {
		oldest = number - mostBlamed + 1
	}
	left := len(out)
	for v, err := range p.store.Versions(ctx, st.row, number, oldest) {
		if err == nil && left > 0 {
			err = p.blame(ctx, st, v, name, out, &left)
		}
		if err != nil {
			return nil, fmt.Errorf("looking through the history of %s: %w", name, err)
		}
		if left == 0 {
			break
		}
	}
	return out, nil
}

// blame notes v for those records that it added, and that no later one did.
func (p *Pipeline) blame(ctx context.Context, st *state, v store.Version, name dns.Name, out []Blamed, left *int) error {
	return p.open(ctx, st, v, func(r *zone.DeltaReader) error {
		for {
			rec, added, err := r.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if !added || !rec.Name.Equal(name) {
				continue
			}
			for i := range out {
				b := &out[i]
				if !b.Known && b.Record.Type == rec.Type && dns.EqualRData(rec.Type, b.Record.Data, rec.Data) {
					b.Known, b.Since = true, entryOf(&v)
					*left--
				}
			}
		}
	})
}

// mostLooked is how many versions LastAuthor looks through.
const mostLooked = 100_000

// LastAuthor returns who has made the newest version of a zone above a number that is
// not its signer's, with its number and its serial number; ok is false where all are
// the signer's. Where that cannot be told any more there is an error.
func (p *Pipeline) LastAuthor(ctx context.Context, id zone.ID, above uint64) (by zone.Author, number uint64, serial uint32, ok bool, err error) {
	st, err := p.lookup(id)
	if err != nil {
		return by, 0, 0, false, err
	}
	below := uint64(0) // the newest
	for page, looked := 50, 0; looked < mostLooked; page, looked = 1000, looked+page {
		list, err := p.store.Log(ctx, st.row, below, page)
		if err != nil {
			return by, 0, 0, false, err
		}
		for i := range list {
			v := &list[i]
			if v.Number <= above {
				return by, 0, 0, false, nil
			}
			if zone.Door(v.Door) != zone.DoorSigner {
				e := entryOf(v)
				return e.By, e.Number, e.Serial, true, nil
			}
			below = v.Number
		}
		if len(list) < page {
			break
		}
	}
	if below == above+1 {
		return by, 0, 0, false, nil
	}
	return by, 0, 0, false, noVersion(fmt.Sprintf("of the versions of %s above %d not enough are kept to tell who has changed it", id, above))
}
