package store

import (
	"context"
	"errors"
	"fmt"
)

// Errors that callers tell apart. All others are mistakes of the program.
var (
	// ErrNewer: a newer program has made or migrated the database.
	ErrNewer = errors.New("the database belongs to a newer onoma")
	// ErrForeign: there is something else than a database of ours.
	ErrForeign = errors.New("this is not a database of onoma")
	// ErrInUse: another process has the SQLite file open.
	ErrInUse = errors.New("another process uses the database")
	// ErrStorage: the disk is full, cannot be written, or fails. Nothing of the attempt is in the database.
	ErrStorage = errors.New("the database cannot be written")
	// ErrUnavailable: PostgreSQL cannot be reached now. Nothing of the attempt is in the database. The next attempt
	// makes a new connection.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrUnknownOutcome: the connection was lost while PostgreSQL was asked to commit. The versions are in the
	// database as a whole or not at all: the next Commit with the same last number tells, as its missed versions
	// begin with them, or Since does.
	ErrUnknownOutcome = errors.New("it is not known whether the commit has happened")
	// ErrCorrupt: what was read is not what was written.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrGone: a version or a stream that has been forgotten, or replaced meanwhile.
	ErrGone = errors.New("no longer in the database")
	// ErrOverlap: a version does not follow the newest one of its zone, or the zone has been removed.
	ErrOverlap = errors.New("the version does not follow the newest one")
	// ErrBehind: so much has been committed by others that it must be read by Since before the next Commit.
	ErrBehind = errors.New("too far behind the other nodes")
	// ErrNotEmpty: Restore found zones in the database that it was to fill.
	ErrNotEmpty = errors.New("the database is not empty")
)

// hinted is an error with advice for a person.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() + " (hint: " + h.hint + ")" }
func (h *hinted) Unwrap() error { return h.err }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// kind marks an error of a driver as one of ours, and keeps it.
func kind(ours, err error) error { return fmt.Errorf("%w: %w", ours, err) }

// fail says what was being done, and translates an error of the driver.
func (s *Store) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, s.translate(err))
}

func (s *Store) translate(err error) error {
	if err == nil {
		return nil
	}
	ours := []error{context.Canceled, context.DeadlineExceeded, ErrStorage, ErrUnavailable, ErrUnknownOutcome, ErrCorrupt,
		ErrGone, ErrOverlap, ErrBehind, ErrForeign, ErrNewer, ErrInUse, ErrNotEmpty}
	for _, o := range ours {
		if errors.Is(err, o) {
			return err
		}
	}
	return s.dialect.fail(err)
}
