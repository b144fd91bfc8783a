package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var embedded = dialect{
	name: "sqlite",
	now:  "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
	blob: "BLOB",
	fail: failSQLite,
}

// readers is how many read at the same time.
const readers = 4

// connectSQLite opens the file with one connection that writes, and several that read.
func (s *Store) connectSQLite(ctx context.Context, path string) error {
	s.dialect, s.where = &embedded, path
	if path == "" {
		return hint(errors.New("there is no path"), "a database is named by sqlite:PATH or postgres://USER@HOST/DATABASE")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	s.path = path
	if err := s.checkFile(path); err != nil {
		return err
	}
	if !s.readOnly {
		lock, err := lockFile(path + ".lock")
		if err != nil {
			return err
		}
		s.closers = append(s.closers, lock)
		if err := private(path); err != nil {
			return err
		}
	}
	how, err := s.probe(ctx, path)
	if err != nil {
		return err
	}
	if s.writer, err = openSQLite(path, 1, how+"&_txlock=immediate", s.readOnly); err != nil {
		return err
	}
	// Closed in this order, so that the writer is the last and folds the log into the database.
	if s.reader, err = openSQLite(path, readers, how+"&_pragma=query_only(1)", s.readOnly); err != nil {
		return err
	}
	s.closers = append([]io.Closer{s.reader, s.writer}, s.closers...)
	s.committer = &embeddedCommitter{s: s}
	return failSQLite(s.writer.PingContext(ctx))
}

// probe looks, without changing it, whether a file is ours or empty. It returns how the file must be opened.
func (s *Store) probe(ctx context.Context, path string) (how string, err error) {
	err = checkOurs(ctx, path, "")
	if s.readOnly && errors.Is(err, ErrStorage) {
		// In a directory that cannot be written, SQLite reads a file only when it is told that nobody writes it. Where
		// there is a log, somebody does, or it is not whole.
		if _, missing := os.Stat(path + "-wal"); errors.Is(missing, os.ErrNotExist) {
			how = "&immutable=1"
			err = checkOurs(ctx, path, how)
		}
	}
	return how, err
}

// checkFile says in words what SQLite would tell by "unable to open database file".
func (s *Store) checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return hint(fmt.Errorf("%w: it is a directory", ErrForeign), "name a file in it, such as %s", filepath.Join(path, "onoma.db"))
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%w: it is not a regular file", ErrForeign)
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return kind(ErrStorage, err)
	case s.readOnly:
		return kind(ErrGone, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return hint(kind(ErrStorage, err), "make the directory %s, and let the user who runs onoma write in it", filepath.Dir(path))
	}
	return nil
}

// private makes the file, if there is none, such that nobody else can read it. SQLite gives its log the same rights.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return kind(ErrStorage, err)
	}
	return f.Close()
}

// openSQLite opens n connections at most. synchronous=FULL has a commit in the write-ahead log synced before it is acknowledged.
func openSQLite(path string, n int, more string, readOnly bool) (*sql.DB, error) {
	dsn := "file://" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_error_rc=1&_dqs=0&_defensive=1"
	if readOnly {
		dsn += "&mode=ro"
	} else {
		dsn += "&_pragma=journal_mode(WAL)"
	}
	dsn += "&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)" +
		"&_pragma=cache_size(-16384)&_pragma=temp_store(MEMORY)&_pragma=trusted_schema(0)" + more
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// applicationID marks a file as ours: "onom".
const applicationID = 0x6f6e6f6d

func checkOurs(ctx context.Context, path, how string) error {
	db, err := openSQLite(path, 1, how, true)
	if err != nil {
		return err
	}
	defer db.Close() // it was only read
	var id, tables int64
	err = db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id)
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'").Scan(&tables)
	}
	if err != nil {
		return failSQLite(err)
	}
	if id != applicationID && tables > 0 {
		return hint(fmt.Errorf("%w: it is an SQLite file of another program", ErrForeign), "move %s away, or name another file", path)
	}
	return nil
}

func failSQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return hint(kind(ErrStorage, err), "the disk is full: free some space; onoma goes on by itself then")
	case sqlite3.SQLITE_IOERR:
		return hint(kind(ErrStorage, err), "the disk is full or fails: see the system's log")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return hint(kind(ErrStorage, err), "the user who runs onoma must be able to write the file and the directory that it is in")
	case sqlite3.SQLITE_NOTADB:
		return hint(kind(ErrForeign, err), "name another file, or restore a backup")
	case sqlite3.SQLITE_CORRUPT:
		return hint(kind(ErrCorrupt, err), "restore a backup into a new file")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return hint(kind(ErrInUse, err), "end the other program that has the file open")
	case sqlite3.SQLITE_INTERRUPT:
		return kind(context.Canceled, err)
	}
	return err
}
