package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// ZoneState is a small state that a door keeps for a zone, such as the timers of its transfers.
type ZoneState struct {
	Zone int64
	What string
	Data []byte
}

// sum is over all of it.
func (z *ZoneState) sum() uint32 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(z.Zone))
	sum := crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, []byte(z.What))
	return crc32.Update(sum, castagnoli, z.Data)
}

func (z *ZoneState) check(sum uint32) error {
	if sum != z.sum() {
		return fmt.Errorf("%w: the state %q of zone %d does not match its checksum", ErrCorrupt, z.What, z.Zone)
	}
	return nil
}

// State returns a state of a zone, nil where there is none.
func (s *Store) State(ctx context.Context, zone int64, what string) ([]byte, error) {
	z := ZoneState{Zone: zone, What: what}
	var sum uint32
	err := s.read().row(ctx, "SELECT sum, data FROM states WHERE zone = ? AND what = ?", zone, what).Scan(&sum, &z.Data)
	if err == sql.ErrNoRows {
		return nil, nil
	}
	if err == nil {
		err = z.check(sum)
	}
	return z.Data, s.fail("reading a zone's state", err)
}

// States returns one kind of state of all zones that have it. A damaged one is left out, and named in the error
// beside the others.
func (s *Store) States(ctx context.Context, what string) (map[int64][]byte, error) {
	out := make(map[int64][]byte)
	var damaged error
	err := s.read().each(ctx, func(r *sql.Rows) error {
		z := ZoneState{What: what}
		var sum uint32
		if err := r.Scan(&z.Zone, &sum, &z.Data); err != nil {
			return err
		}
		if err := z.check(sum); err != nil {
			damaged = err
			return nil
		}
		out[z.Zone] = z.Data
		return nil
	}, "SELECT zone, sum, data FROM states WHERE what = ?", what)
	if err == nil {
		err = damaged
	}
	return out, s.fail("reading the zones' states", err)
}

// StateNames returns the kinds of states that begin with prefix, in order, each once.
func (s *Store) StateNames(ctx context.Context, prefix string) ([]string, error) {
	var out []string
	err := s.read().each(ctx, func(r *sql.Rows) error {
		var what string
		if err := r.Scan(&what); err != nil {
			return err
		}
		out = append(out, what)
		return nil
	}, "SELECT DISTINCT what FROM states WHERE substr(what, 1, ?) = ?", len(prefix), prefix)
	slices.Sort(out)
	return out, s.fail("reading the names of states", err)
}

// setAtOnce is how many states are set in one transaction.
const setAtOnce = 1000

// SetState sets states of zones, as many as there are, up to 1000 of them in one transaction: so commits never wait long
// for it. Nil data forgets one; of several for the same the last counts. What is set for a zone that has been removed
// is dropped.
func (s *Store) SetState(ctx context.Context, states []ZoneState) error {
	for some := range slices.Chunk(states, setAtOnce) {
		err := s.write(ctx, func(t tx) error { return t.setStates(ctx, some) })
		if err != nil {
			return s.fail("writing the zones' states", err)
		}
	}
	return nil
}

// SwapState sets a state of a zone, if it is still what the caller has read: had, nil where there was none. It says
// whether it was: of several nodes that go on from the same state, one does.
func (s *Store) SwapState(ctx context.Context, z ZoneState, had []byte) (bool, error) {
	var n int64
	err := s.write(ctx, func(t tx) (err error) {
		if had == nil {
			n, err = t.exec(ctx, `INSERT INTO states (zone, what, sum, data) SELECT id, CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS {blob}) FROM zones
				WHERE id = ? ON CONFLICT (what, zone) DO NOTHING`, z.What, int64(z.sum()), z.Data, z.Zone)
			return err
		}
		n, err = t.exec(ctx, "UPDATE states SET sum = ?, data = ? WHERE zone = ? AND what = ? AND data = ?", int64(z.sum()), z.Data, z.Zone, z.What, had)
		return err
	})
	return n == 1, s.fail("writing a zone's state", err)
}

func (t tx) setStates(ctx context.Context, states []ZoneState) error {
	type key struct {
		zone int64
		what string
	}
	place := make(map[key]int, len(states))
	set := make([]*ZoneState, 0, len(states))
	for i := range states {
		z := &states[i]
		if at, ok := place[key{z.Zone, z.What}]; ok {
			set[at] = z
			continue
		}
		place[key{z.Zone, z.What}] = len(set)
		set = append(set, z)
	}
	for _, z := range set {
		if z.Data == nil {
			if _, err := t.exec(ctx, "DELETE FROM states WHERE zone = ? AND what = ?", z.Zone, z.What); err != nil {
				return err
			}
		}
	}
	set = slices.DeleteFunc(set, func(z *ZoneState) bool { return z.Data == nil })
	return t.insertRows(ctx, len(set), "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS {blob}))",
		"INSERT INTO states (zone, what, sum, data) SELECT z.id, v.column2, v.column3, v.column4 FROM (",
		`) v JOIN zones z ON z.id = v.column1 WHERE 1 = 1
		ON CONFLICT (what, zone) DO UPDATE SET sum = excluded.sum, data = excluded.data`,
		func(args []any, i int) []any {
			return append(args, set[i].Zone, set[i].What, int64(set[i].sum()), set[i].Data)
		})
}

// Lease gives holder, for a time, the sole right to some work that must be done once among the nodes, or renews it.
// It says whether holder has it. The database's clock counts.
func (s *Store) Lease(ctx context.Context, name, holder string, d time.Duration) (bool, error) {
	var n int64
	err := s.write(ctx, func(t tx) (err error) {
		n, err = t.exec(ctx, `INSERT INTO leases (name, holder, until) VALUES (?, ?, {now} + ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE leases.holder = excluded.holder OR leases.until <= {now}`, name, holder, d.Milliseconds())
		return err
	})
	return n == 1, s.fail("leasing "+name, err)
}

// Release ends a lease, if holder has it.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	err := s.write(ctx, func(t tx) error {
		_, err := t.exec(ctx, "DELETE FROM leases WHERE name = ? AND holder = ?", name, holder)
		return err
	})
	return s.fail("releasing "+name, err)
}
