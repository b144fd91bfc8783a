package store

import (
	"context"
	"database/sql"
)

// pruneRows is how many versions go in one transaction.
const pruneRows = 1000

// Prune forgets the versions of a zone below a number, in small transactions, and returns how many. Those after the
// checkpoint stay, as the content is made of them, and so does the newest one.
func (s *Store) Prune(ctx context.Context, zone int64, below uint64) (int, error) {
	const doing = "pruning a zone"
	z, err := s.read().zone(ctx, zone)
	if err != nil {
		return 0, s.fail(doing, err)
	}
	below = min(below, z.Checkpoint+1, z.Head)
	pruned := 0
	for from := max(z.Oldest, 1); from < below; {
		from = min(from+pruneRows, below)
		n, err := s.pruneSome(ctx, zone, from)
		pruned += n
		if err != nil {
			return pruned, s.fail(doing, err)
		}
	}
	return pruned, s.fail(doing, s.dropReleased(ctx))
}

func (s *Store) pruneSome(ctx context.Context, zone int64, below uint64) (int, error) {
	var n int64
	err := s.write(ctx, func(t tx) (err error) {
		if n, err = t.exec(ctx, "DELETE FROM versions WHERE zone = ? AND number < ?", zone, below); err != nil {
			return err
		}
		if _, err = t.exec(ctx, "UPDATE zones SET oldest = ? WHERE id = ? AND oldest < ?", below, zone, below); err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE streams SET zone = 0, complete = 0, made = 0 WHERE zone = ? AND number < ? AND checkpoint = 0", zone, below)
		return err
	})
	return int(n), err
}

// dropReleased deletes the streams that were released.
func (s *Store) dropReleased(ctx context.Context) error {
	ids, err := s.read().numbers(ctx, "SELECT id FROM streams WHERE zone = 0 AND complete = 0 AND made = 0")
	for _, id := range ids {
		if err == nil {
			err = s.dropStream(ctx, id)
		}
	}
	return err
}

// numbers returns the values of a query of one column.
func (t tx) numbers(ctx context.Context, query string, args ...any) ([]int64, error) {
	var out []int64
	err := t.each(ctx, func(r *sql.Rows) error {
		out = append(out, 0)
		return r.Scan(&out[len(out)-1])
	}, query, args...)
	return out, err
}

// clear deletes what is left of a removed zone, in small transactions.
func (s *Store) clear(ctx context.Context, zone int64) error {
	for {
		top, err := s.read().numbers(ctx, "SELECT number FROM versions WHERE zone = ? ORDER BY number LIMIT 1 OFFSET ?", zone, pruneRows)
		if err != nil || len(top) == 0 {
			if err == nil {
				err = s.clearRest(ctx, zone)
			}
			return err
		}
		if _, err := s.pruneSome(ctx, zone, uint64(top[0])); err != nil {
			return err
		}
	}
}

func (s *Store) clearRest(ctx context.Context, zone int64) error {
	err := s.write(ctx, func(t tx) error {
		for _, statement := range []string{
			"DELETE FROM versions WHERE zone = ?",
			"UPDATE streams SET zone = 0, complete = 0, made = 0 WHERE zone = ?",
			"DELETE FROM removed WHERE zone = ?",
		} {
			if _, err := t.exec(ctx, statement, zone); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.dropReleased(ctx)
}

// tidy finishes what a process did not come to before it ended, beside other work.
func (s *Store) tidy(ctx context.Context) error {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.work.Go(func() {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what was abandoned in the database could not be deleted", "error", s.translate(err))
		}
	})
	return nil
}

func (s *Store) sweep(ctx context.Context) error {
	zones, err := s.read().numbers(ctx, "SELECT zone FROM removed")
	for _, z := range zones {
		if err == nil {
			err = s.clear(ctx, z)
		}
	}
	if err != nil {
		return err
	}
	err = s.write(ctx, func(t tx) error {
		_, err := t.exec(ctx, "UPDATE streams SET complete = 0, made = 0 WHERE zone = 0 AND made < {now} - ?", stagingAge.Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	return s.dropReleased(ctx)
}
