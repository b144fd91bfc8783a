package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Backup writes one state of the database into an SQLite file, while others go on to read and to commit. The file is
// there under its name only when it is whole and synced; one that was there before is replaced then. It can be
// restored into either kind of database.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.fail("backing up into "+path, s.backup(ctx, path))
}

func (s *Store) backup(ctx context.Context, path string) error {
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(s.where); err == nil && os.SameFile(a, b) {
			return errors.New("that is the database itself")
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-")
	if err != nil {
		return kind(ErrStorage, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // empty, if all went well
	whole := filepath.Join(dir, "db")
	if s.IsShared() {
		err = s.export(ctx, whole)
	} else {
		err = s.vacuum(ctx, whole)
	}
	if err == nil {
		err = publish(whole, path)
	}
	return err
}

// vacuum has SQLite write a compact copy.
func (s *Store) vacuum(ctx context.Context, path string) error {
	db, err := openSQLite(s.path, 1, "", s.readOnly)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	return errors.Join(err, db.Close())
}

// export copies all rows into a new SQLite file.
func (s *Store) export(ctx context.Context, path string) error {
	to, err := Open(ctx, path, Options{Log: s.log})
	if err != nil {
		return err
	}
	err = s.copyInto(ctx, to)
	return errors.Join(err, to.Close())
}

// publish gives a file its name when it is on the disk.
func publish(whole, path string) error {
	f, err := os.OpenFile(whole, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = errors.Join(f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(whole, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return kind(ErrStorage, err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Restore fills the empty or new database at a URL from a backup, in one transaction. A backup of an older program is
// migrated on the way.
func Restore(ctx context.Context, backup, url string) error {
	from := newStore(Options{ReadOnly: true})
	if err := from.restore(ctx, backup, url); err != nil {
		return fmt.Errorf("restoring %s: %w", backup, err)
	}
	return nil
}

func (s *Store) restore(ctx context.Context, backup, url string) error {
	defer s.Close() // it was only read
	if err := s.connectSQLite(ctx, backup); err != nil {
		return err
	}
	p, err := s.provider()
	if err != nil {
		return err
	}
	version, err := s.checkVersion(ctx, p, true)
	if err != nil {
		return err
	}
	to := newStore(Options{})
	err = to.connect(ctx, url)
	if err == nil {
		err = to.migrate(ctx, version)
	}
	if err == nil {
		err = s.copyInto(ctx, to)
	}
	if err == nil {
		err = to.migrate(ctx, newest)
	}
	if err != nil {
		err = fmt.Errorf("into %s: %w", to.where, to.translate(err))
	}
	return errors.Join(err, to.Close())
}

// tables are what a backup has, in the order in which they are filled. Leases are of the nodes that run.
var tables = []string{"zones", "removed", "versions", "streams", "parts", "states"}

// copyInto copies everything into an empty database of the same schema.
func (s *Store) copyInto(ctx context.Context, to *Store) error {
	return s.snapshot(ctx, func(from tx) error {
		return to.write(ctx, func(into tx) error {
			var zones, last int64
			err := into.row(ctx, "SELECT (SELECT COUNT(*) FROM zones), last FROM log").Scan(&zones, &last)
			if err != nil {
				return err
			}
			if zones > 0 || last > 0 {
				return hint(fmt.Errorf("%w: it has %d zones and %d commits", ErrNotEmpty, zones, last), "name a new file, or an empty PostgreSQL database")
			}
			if err := from.row(ctx, readLast).Scan(&last); err != nil {
				return err
			}
			if _, err := into.exec(ctx, "UPDATE log SET last = ?", last); err != nil {
				return err
			}
			for _, table := range tables {
				if err := copyTable(ctx, from, into, table); err != nil {
					return fmt.Errorf("table %s: %w", table, err)
				}
			}
			return into.countOn(ctx)
		})
	})
}

// copyTable copies the rows of a table, some at a time.
func copyTable(ctx context.Context, from, into tx, table string) error {
	var columns []string
	var rows [][]any
	write := func() error {
		list := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ")"
		err := into.insert(ctx, len(rows), len(columns), list, "", func(args []any, i int) []any { return append(args, rows[i]...) })
		rows = rows[:0]
		return err
	}
	err := from.each(ctx, func(r *sql.Rows) (err error) {
		if columns == nil {
			if columns, err = r.Columns(); err != nil {
				return err
			}
		}
		row, err := scanAny(r, len(columns))
		if err != nil {
			return err
		}
		if rows = append(rows, row); len(rows) == insertSizes[0] {
			return write()
		}
		return nil
	}, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	return write()
}

func scanAny(r *sql.Rows, n int) ([]any, error) {
	row, into := make([]any, n), make([]any, n)
	for i := range row {
		into[i] = &row[i]
	}
	if err := r.Scan(into...); err != nil {
		return nil, err
	}
	for i := range row {
		if b, ok := row[i].([]byte); ok && b == nil || row[i] == nil {
			row[i] = []byte{} // no column may be NULL, and octets without length come as such
		}
	}
	return row, nil
}

// countOn has PostgreSQL go on with numbers that are free. SQLite does so by itself.
func (t tx) countOn(ctx context.Context) error {
	if t.dialect != &postgres {
		return nil
	}
	for _, table := range []string{"zones", "streams"} {
		_, err := t.exec(ctx, "SELECT setval(pg_get_serial_sequence('"+table+"', 'id'), GREATEST((SELECT MAX(id) FROM "+table+"), 1))")
		if err != nil {
			return err
		}
	}
	return nil
}
