package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Zone is a zone, and where its versions are.
type Zone struct {
	ID         int64
	View, Name string // Name is folded presentation text
	Kind       string // what the caller notes about it when it is added

	Head       uint64 // the newest version, 0: there is none yet
	Serial     uint32 // of the newest version
	Checkpoint uint64 // the version of which the whole content is kept, 0: none, and the deltas begin with nothing
	Oldest     uint64 // the oldest version whose delta is kept
	Commit     uint64 // number of the commit that made the newest version
	Pending    int64  // octets of the deltas after the checkpoint

	stream int64 // of the checkpoint
}

const zoneColumns = "z.id, z.view, z.name, z.kind, z.head, z.serial, z.checkpoint, z.oldest, z.commit_no, z.pending, z.stream"

func (z *Zone) scan(row interface{ Scan(...any) error }, more ...any) error {
	into := append(make([]any, 0, 16), &z.ID, &z.View, &z.Name, &z.Kind, &z.Head, &z.Serial, &z.Checkpoint, &z.Oldest, &z.Commit, &z.Pending, &z.stream)
	return row.Scan(append(into, more...)...)
}

// Zones returns all zones, in the order in which they were added.
func (s *Store) Zones(ctx context.Context) ([]Zone, error) {
	var zones []Zone
	err := s.read().each(ctx, func(r *sql.Rows) error {
		zones = append(zones, Zone{})
		return zones[len(zones)-1].scan(r)
	}, "SELECT "+zoneColumns+" FROM zones z ORDER BY z.id")
	return zones, s.fail("reading the zones", err)
}

// AddZone returns the zone that is there, or a new one.
func (s *Store) AddZone(ctx context.Context, view, name string) (Zone, error) {
	zones, err := s.AddZones(ctx, []Zone{{View: view, Name: name}})
	if err != nil {
		return Zone{}, err
	}
	return zones[0], nil
}

// AddZones adds zones in one transaction, and returns them in the same order. Of each, View, Name and Kind count.
// Those that are there already are returned as they are.
func (s *Store) AddZones(ctx context.Context, add []Zone) ([]Zone, error) {
	out := make([]Zone, len(add))
	err := s.read().findZones(ctx, add, out)
	var fresh []Zone
	for i := range out {
		if out[i].ID == 0 {
			fresh = append(fresh, add[i])
		}
	}
	if err != nil || len(fresh) == 0 { // at a start mostly all of them are there
		return out, s.fail("adding zones", err)
	}
	err = s.write(ctx, func(t tx) error {
		err := t.insert(ctx, len(fresh), 3, "INSERT INTO zones (view, name, kind)", "ON CONFLICT (view, name) DO NOTHING",
			func(args []any, i int) []any { return append(args, fresh[i].View, fresh[i].Name, fresh[i].Kind) })
		if err != nil {
			return err
		}
		return t.findZones(ctx, add, out)
	})
	return out, s.fail("adding zones", err)
}

// manyZones is from how many on it is quicker to read all zones than those alone,
// and zonesAtOnce how many are looked up by one statement.
const (
	manyZones   = 4096
	zonesAtOnce = 128
)

func (t tx) findZones(ctx context.Context, wanted, out []Zone) error {
	type key struct{ view, name string }
	at := make(map[key][]int, len(wanted))
	for i, z := range wanted {
		at[key{z.View, z.Name}] = append(at[key{z.View, z.Name}], i)
	}
	found := func(r *sql.Rows) error {
		var z Zone
		if err := z.scan(r); err != nil {
			return err
		}
		for _, i := range at[key{z.View, z.Name}] {
			out[i] = z
		}
		return nil
	}
	if len(wanted) >= manyZones {
		return t.each(ctx, found, "SELECT "+zoneColumns+" FROM zones z")
	}
	for some := range slices.Chunk(wanted, zonesAtOnce) {
		args := make([]any, 0, 2*len(some))
		for _, z := range some {
			args = append(args, z.View, z.Name)
		}
		pairs := strings.Repeat(", (?, ?)", len(some))[2:]
		if err := t.each(ctx, found, "SELECT "+zoneColumns+" FROM zones z WHERE (z.view, z.name) IN (VALUES "+pairs+")", args...); err != nil {
			return err
		}
	}
	return nil
}

// zone returns one zone; ErrGone where there is none.
func (t tx) zone(ctx context.Context, id int64) (Zone, error) {
	var z Zone
	err := z.scan(t.row(ctx, "SELECT "+zoneColumns+" FROM zones z WHERE z.id = ?", id))
	if err == sql.ErrNoRows {
		return Zone{}, fmt.Errorf("zone %d: %w", id, ErrGone)
	}
	return z, err
}

// RemoveZone forgets a zone with all its versions and states. It is gone at once; the room that it took is freed
// little by little before RemoveZone returns, or else at the next Open.
func (s *Store) RemoveZone(ctx context.Context, id int64) error {
	err := s.write(ctx, func(t tx) error {
		if _, err := t.exec(ctx, "DELETE FROM zones WHERE id = ?", id); err != nil {
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO removed (zone) VALUES (?) ON CONFLICT (zone) DO NOTHING", id)
		return err
	})
	if err == nil {
		err = s.clear(ctx, id)
	}
	return s.fail("removing a zone", err)
}
