package store

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxInline is how many octets a delta may have in the row of its version. A larger one is staged.
const MaxInline = 256 << 10

// Options of a store. The zero value is good.
type Options struct {
	Log *slog.Logger // nil: nothing is logged

	// ReadOnly opens a database that is there already, and changes nothing in it. A database of an older program
	// is refused then, as it is not migrated.
	ReadOnly bool

	// Poll is how often Watch looks for the commits of other nodes where no notification has come. 0: each second.
	Poll time.Duration
}

// Store is an open database.
type Store struct {
	log      *slog.Logger
	dialect  *dialect
	where    string // for people: the path, or the URL without its password
	path     string // of an SQLite file, absolute
	readOnly bool
	poll     time.Duration

	reader, writer *sql.DB // one and the same for PostgreSQL
	committer      committer
	closers        []io.Closer

	seen atomic.Uint64 // the highest commit number that a Commit of this store has made or met
	stop context.CancelFunc
	work sync.WaitGroup // what runs until stop
}

// dialect is where the two databases differ.
type dialect struct {
	name      string
	index     int
	numbered  bool   // parameters are $1, $2, and not ?
	now       string // milliseconds since 1970, by the database's clock
	blob      string // the type of octets
	isolation sql.IsolationLevel
	fail      func(error) error // says in our errors what the driver says
}

// committer makes the transaction of a commit.
type committer interface {
	commit(ctx context.Context, last uint64, prepare Prepare) (uint64, error)
	close() error
}

// Open opens the database at a URL: sqlite:PATH or a plain path, which is made if it is not there, or
// postgres://USER@HOST/DATABASE as libpq has it. Its schema is brought up to date. A database that a newer program
// has made is refused with ErrNewer.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	s := newStore(o)
	err := s.connect(ctx, url)
	if err == nil {
		err = s.migrate(ctx, newest)
	}
	if err == nil && !s.readOnly {
		err = s.tidy(ctx)
	}
	if err != nil {
		_ = s.Close() // the first error says more
		return nil, fmt.Errorf("opening the database %s: %w", s.where, err)
	}
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{log: o.Log, readOnly: o.ReadOnly, poll: o.Poll}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.poll <= 0 {
		s.poll = time.Second
	}
	return s
}

func (s *Store) connect(ctx context.Context, url string) error {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return s.connectPostgres(ctx, url)
	}
	if scheme, _, ok := strings.Cut(url, "://"); ok && scheme != "sqlite" && !strings.ContainsAny(scheme, "/.") {
		return hint(fmt.Errorf("there is no kind of database called %q", scheme), "expected sqlite:PATH, a path, or postgres://USER@HOST/DATABASE")
	}
	return s.connectSQLite(ctx, strings.TrimPrefix(url, "sqlite:"))
}

// Close ends all that uses the database, and lets it go. Calling it twice is fine.
func (s *Store) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.work.Wait()
	var first error
	if s.committer != nil {
		first = s.committer.close()
	}
	for _, c := range s.closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	s.closers = nil
	if first != nil {
		return fmt.Errorf("closing the database %s: %w", s.where, first)
	}
	return nil
}

// Lock takes the sole right to a directory that is kept beside a database, by a file in it. It fails with ErrInUse
// where another process has it, and ends with the process at the latest.
func Lock(path string) (io.Closer, error) { return lockFile(path) }

// IsShared says whether other nodes may use the database, too.
func (s *Store) IsShared() bool { return s.dialect == &postgres }

// String returns where the database is, without any password.
func (s *Store) String() string { return s.where }
