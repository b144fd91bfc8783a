package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrations go forward only. A migration that has been released is never changed.
//
//go:embed migrations
var migrations embed.FS

// versionTable is where goose notes which migrations have been applied.
const versionTable = "goose_version"

// newest is the version that migrate brings the schema to as a rule.
const newest = 0

// migrate brings the schema up to a version, or says why it cannot be used.
func (s *Store) migrate(ctx context.Context, to int64) error {
	unlock, err := s.lockSchema(ctx)
	if err != nil {
		return s.dialect.fail(err)
	}
	defer unlock()
	p, err := s.provider()
	if err != nil {
		return err
	}
	version, err := s.checkVersion(ctx, p, s.readOnly)
	if err != nil {
		return err
	}
	if s.readOnly {
		return older(version, highest(p))
	}
	if to == newest {
		to = highest(p)
	}
	done, err := p.UpTo(ctx, to)
	if err != nil {
		return fmt.Errorf("migrating its schema: %w", s.dialect.fail(err))
	}
	for _, m := range done {
		s.log.Info("the schema of the database was migrated", "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}

// older refuses a schema that would have to be migrated.
func older(theirs, ours int64) error {
	if theirs == ours {
		return nil
	}
	return hint(fmt.Errorf("its schema has version %d, and this program needs %d", theirs, ours), "start onoma serve once: it migrates the database")
}

func highest(p *goose.Provider) int64 { return p.ListSources()[len(p.ListSources())-1].Version }

func (s *Store) provider() (*goose.Provider, error) {
	dialect := map[string]database.Dialect{"sqlite": database.DialectSQLite3, "postgres": database.DialectPostgres}[s.dialect.name]
	files, err := fs.Sub(migrations, "migrations/"+s.dialect.name)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.writer, files, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
}

// checkVersion returns the version of the schema, and refuses one that this program cannot use. Where it must be there,
// an empty database is refused, too.
func (s *Store) checkVersion(ctx context.Context, p *goose.Provider, there bool) (int64, error) {
	ours := highest(p)
	theirs, err := s.schemaVersion(ctx)
	switch {
	case err != nil:
		return 0, s.dialect.fail(err)
	case theirs > ours:
		return 0, hint(fmt.Errorf("%w: its schema has version %d, and this program knows %d", ErrNewer, theirs, ours),
			"start the newer onoma again, or restore a backup from before the upgrade into a new database")
	case there && theirs == 0:
		return 0, fmt.Errorf("%w: there are no tables of ours", ErrForeign)
	}
	return theirs, nil
}

// schemaVersion returns 0 for an empty database. It changes nothing.
func (s *Store) schemaVersion(ctx context.Context) (int64, error) {
	exists := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
	if s.IsShared() {
		exists = "SELECT COUNT(*) FROM pg_tables WHERE tablename = ? AND schemaname = current_schema()"
	}
	var n, version int64
	t := tx{s.dialect, s.writer}
	if err := t.row(ctx, exists, versionTable).Scan(&n); err != nil {
		return 0, err
	}
	if n == 0 {
		if err := t.row(ctx, exists, "zones").Scan(&n); err != nil || n > 0 {
			return 0, errors.Join(err, ErrForeign)
		}
		return 0, nil
	}
	err := t.row(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable).Scan(&version)
	return version, err
}

// schemaLock is the number of the advisory lock that keeps two nodes from migrating at once: "onoma".
const schemaLock = 0x6f6e6f6d61

// lockSchema makes the schema of PostgreSQL, and keeps other nodes out until unlock. An SQLite file is ours alone already.
func (s *Store) lockSchema(ctx context.Context) (unlock func(), err error) {
	if !s.IsShared() || s.readOnly {
		return func() {}, nil
	}
	c, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := tx{s.dialect, c}
	if _, err = t.exec(ctx, "SELECT pg_advisory_lock(?)", schemaLock); err != nil {
		_ = c.Close() // back into the pool
		return nil, err
	}
	unlock = func() {
		_, _ = t.exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", schemaLock) // else it ends with the session
		_ = c.Close()                                                                         // back into the pool
	}
	if err = s.makeSchema(ctx, t); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// makeSchema makes the schema that the search path names first, if there is none.
func (s *Store) makeSchema(ctx context.Context, t tx) error {
	var there *string
	if err := t.row(ctx, "SELECT current_schema()").Scan(&there); err != nil || there != nil {
		return err
	}
	var name string
	if err := t.row(ctx, "SELECT trim(both ' \"' from split_part(current_setting('search_path'), ',', 1))").Scan(&name); err != nil {
		return err
	}
	_, err := t.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{name}.Sanitize())
	return err
}
