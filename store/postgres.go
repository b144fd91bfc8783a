package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgres = dialect{
	name:      "postgres",
	index:     1,
	numbered:  true,
	now:       "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
	blob:      "BYTEA",
	isolation: sql.LevelRepeatableRead,
	fail:      failPostgres,
}

const (
	// schema is where our tables are, unless the URL says search_path.
	schema = "onoma"
	// poolSize is how many connections a node has at most, besides that of Watch.
	poolSize = 8
)

func (s *Store) connectPostgres(ctx context.Context, dsn string) error {
	s.dialect, s.where = &postgres, withoutPassword(dsn)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return hint(errors.New("the URL is not understood"), "it looks like postgres://USER@HOST/DATABASE")
	}
	if config.RuntimeParams["search_path"] == "" {
		config.RuntimeParams["search_path"] = schema
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "onoma"
	}
	if s.readOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(s.prepareSession))
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	s.reader, s.writer = db, db
	s.closers = []io.Closer{db}
	s.committer = &sharedCommitter{s: s}
	return s.dialect.failed(db.PingContext(ctx))
}

// failed is fail for errors that may be nil.
func (d *dialect) failed(err error) error {
	if err == nil {
		return nil
	}
	return d.fail(err)
}

// prepareSession has every commit synced, whatever the server's default is.
func (s *Store) prepareSession(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// withoutPassword returns a URL for people.
func withoutPassword(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "postgres://..."
	}
	q := u.Query()
	q.Del("password")
	u.RawQuery = q.Encode()
	return u.Redacted()
}

// failPostgres translates by the class of SQLSTATE, see appendix A of PostgreSQL's manual.
func failPostgres(err error) error {
	if h := (*hinted)(nil); errors.As(err, &h) {
		return err // it has been here
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return failConnection(err)
	}
	switch {
	case e.Code == "53100", strings.HasPrefix(e.Code, "58"), e.Code == "25006":
		return hint(kind(ErrStorage, err), "the disk of the PostgreSQL server is full or fails, or it takes no writes: see its log")
	case e.Code == "57014":
		return kind(context.Canceled, err)
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57P"), strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "25P0"):
		return hint(kind(ErrUnavailable, err), "see whether the PostgreSQL server runs, and its log")
	case strings.HasPrefix(e.Code, "XX"):
		return hint(kind(ErrCorrupt, err), "see the log of the PostgreSQL server")
	case e.Code == "28P01", e.Code == "28000", e.Code == "3D000":
		return hint(err, "see the user, the password and the database in the URL")
	case e.Code == "42501":
		return hint(err, "let the user make it (GRANT CREATE ON DATABASE), or make it for the user: CREATE SCHEMA onoma AUTHORIZATION the_user")
	}
	return err
}

// failConnection is for errors that the server has not sent.
func failConnection(err error) error {
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "conn closed") {
		return hint(kind(ErrUnavailable, err), "see whether the PostgreSQL server runs, and whether it can be reached from here")
	}
	return err
}
