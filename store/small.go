package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
)

// smallOctets is up to what size, checkpoint and deltas after it together, a zone counts as small.
const smallOctets = 1 << 20

// Loaded is a zone as Small gives it.
type Loaded struct {
	Zone    Zone
	Content []byte    // the checkpoint, nil where there is none
	Deltas  []Version // those after the checkpoint
	Large   bool      // Content and Deltas are left out: use Checkpoint and Versions
}

// Small reads all zones for a start: those that are small with their content, in few ordered scans. They come in the
// order in which they were added, and all of one state of the database. An error with a zone is of that zone alone, and
// the others follow; one without (ID 0) is the end.
func (s *Store) Small(ctx context.Context) iter.Seq2[Loaded, error] {
	return func(yield func(Loaded, error) bool) {
		stopped := errStop{}
		err := s.snapshot(ctx, func(t tx) error {
			for after := int64(0); ; {
				page, err := t.zonePage(ctx, after)
				if err != nil || len(page) == 0 {
					return err
				}
				after = page[len(page)-1].zone.ID
				if err := t.loadPage(ctx, page, yield); err != nil {
					return err
				}
			}
		})
		if err != nil && err != stopped {
			yield(Loaded{}, s.fail("reading the zones", err))
		}
	}
}

// sizedZone is a zone and how much there is to read of it.
type sizedZone struct {
	zone   Zone
	octets int64
}

// How much is read at once.
const (
	groupZones  = 1000
	groupOctets = 8 << 20
)

func (t tx) zonePage(ctx context.Context, after int64) ([]sizedZone, error) {
	var out []sizedZone
	err := t.each(ctx, func(r *sql.Rows) error {
		var z sizedZone
		err := z.zone.scan(r, &z.octets)
		z.octets += max(0, z.zone.Pending)
		out = append(out, z)
		return err
	}, "SELECT "+zoneColumns+", COALESCE(t.octets, 0) FROM zones z LEFT JOIN streams t ON t.id = z.stream WHERE z.id > ? ORDER BY z.id LIMIT ?", after, groupZones)
	return out, err
}

// loadPage cuts a page into groups of small zones, and yields them and the large ones between.
func (t tx) loadPage(ctx context.Context, page []sizedZone, yield func(Loaded, error) bool) error {
	for len(page) > 0 {
		n, octets := 0, int64(0)
		for n < len(page) && page[n].octets <= smallOctets && octets <= groupOctets {
			octets += page[n].octets
			n++
		}
		if n == 0 {
			if !yield(Loaded{Zone: page[0].zone, Large: true}, nil) {
				return errStop{}
			}
			page = page[1:]
			continue
		}
		if err := t.loadGroup(ctx, page[:n], yield); err != nil {
			return err
		}
		page = page[n:]
	}
	return nil
}

// group is what was read of zones that follow each other.
type group struct {
	loaded []Loaded
	errs   []error
	at     int
}

// seek returns the place of a zone. Rows come in the order of zones, unless the database is damaged.
func (g *group) seek(zone int64) (*Loaded, *error, error) {
	for ; g.at < len(g.loaded); g.at++ {
		if g.loaded[g.at].Zone.ID == zone {
			return &g.loaded[g.at], &g.errs[g.at], nil
		}
	}
	return nil, nil, fmt.Errorf("%w: rows of zone %d are out of order", ErrCorrupt, zone)
}

func (t tx) loadGroup(ctx context.Context, zones []sizedZone, yield func(Loaded, error) bool) error {
	g := group{loaded: make([]Loaded, len(zones)), errs: make([]error, len(zones))}
	for i := range zones {
		g.loaded[i].Zone = zones[i].zone
	}
	first, last := zones[0].zone.ID, zones[len(zones)-1].zone.ID
	if err := t.loadParts(ctx, &g, first, last); err != nil {
		return err
	}
	g.at = 0
	if err := t.loadDeltas(ctx, &g, first, last); err != nil {
		return err
	}
	for i := range g.loaded {
		l := &g.loaded[i]
		if g.errs[i] == nil {
			g.errs[i] = l.check()
		}
		if g.errs[i] != nil {
			*l = Loaded{Zone: l.Zone}
			g.errs[i] = fmt.Errorf("reading zone %s: %w", l.Zone.Name, g.errs[i])
		}
		if !yield(*l, g.errs[i]) {
			return errStop{}
		}
	}
	return nil
}

// check compares the deltas with what the zone says of them.
func (l *Loaded) check() error {
	n := uint64(len(l.Deltas))
	if n != l.Zone.Head-l.Zone.Checkpoint {
		return fmt.Errorf("%w: there are %d versions after the checkpoint, and not %d", ErrCorrupt, n, l.Zone.Head-l.Zone.Checkpoint)
	}
	if n > 0 && l.Deltas[n-1].Serial != l.Zone.Serial {
		return fmt.Errorf("%w: the newest version has serial number %d, and the zone %d", ErrCorrupt, l.Deltas[n-1].Serial, l.Zone.Serial)
	}
	return nil
}

func (t tx) loadParts(ctx context.Context, g *group, first, last int64) error {
	return t.each(ctx, func(r *sql.Rows) error {
		var zone, id int64
		var part int
		var sum uint32
		var data []byte
		if err := r.Scan(&zone, &id, &part, &sum, &data); err != nil {
			return err
		}
		l, bad, err := g.seek(zone)
		if err != nil {
			return err
		}
		if sum != sumPart(id, part, data) {
			*bad = fmt.Errorf("%w: part %d of the checkpoint does not match its checksum", ErrCorrupt, part)
		}
		if l.Content == nil {
			l.Content = data
		} else {
			l.Content = append(l.Content, data...)
		}
		return nil
	}, `SELECT z.id, p.stream, p.part, p.sum, p.data FROM zones z JOIN parts p ON p.stream = z.stream
		WHERE z.id BETWEEN ? AND ? ORDER BY z.id, p.part`, first, last)
}

func (t tx) loadDeltas(ctx context.Context, g *group, first, last int64) error {
	return t.each(ctx, func(r *sql.Rows) error {
		var v Version
		err := v.scan(r)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		l, bad, lost := g.seek(v.Zone)
		if lost != nil {
			return lost
		}
		if err == nil && v.Number != l.Zone.Checkpoint+uint64(len(l.Deltas))+1 {
			err = fmt.Errorf("%w: version %d is missing", ErrCorrupt, l.Zone.Checkpoint+uint64(len(l.Deltas))+1)
		}
		if err != nil && *bad == nil {
			*bad = err
		}
		l.Deltas = append(l.Deltas, v)
		return nil
	}, "SELECT "+versionColumns+` FROM zones z JOIN versions v ON v.zone = z.id AND v.number > z.checkpoint
		WHERE z.id BETWEEN ? AND ? AND v.zone BETWEEN ? AND ? ORDER BY v.zone, v.number`, first, last, first, last)
}
