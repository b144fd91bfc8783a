package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// sharedCommitter commits in three round trips: take the turn; insert; commit. It is used by many at once, who wait for
// each other in the database.
type sharedCommitter struct{ s *Store }

func (c *sharedCommitter) close() error { return nil }

const (
	// stuck is after what time PostgreSQL ends the transaction of a node that holds the turn and is not heard of any more.
	stuck = "30s"
	// answering is how long the answer to COMMIT may take.
	answering = 30 * time.Second
	// attempts is how often a connection is tried anew that turns out to be dead before anything has happened.
	attempts = poolSize + 1
)

func (c *sharedCommitter) commit(ctx context.Context, last uint64, prepare Prepare) (n uint64, err error) {
	for range attempts {
		begun := false
		n, err = c.attempt(ctx, &begun, last, prepare)
		var refused *pgconn.ConnectError // a new connection, so that others are no better
		if err == nil || begun || ctx.Err() != nil || errors.As(err, &refused) || !errors.Is(failPostgres(err), ErrUnavailable) {
			break
		}
	}
	return n, err
}

func (c *sharedCommitter) attempt(ctx context.Context, begun *bool, last uint64, prepare Prepare) (n uint64, err error) {
	conn, err := c.s.writer.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(dc any) error {
		t := &sharedTurn{s: c.s, conn: dc.(*stdlib.Conn).Conn(), begun: begun}
		var heads []head
		n, err = take(ctx, t, last, prepare, &heads)
		return err // the pool drops connections that are closed
	})
	return n, err
}

// sharedTurn is one commit on one connection.
type sharedTurn struct {
	s     *Store
	conn  *pgx.Conn
	begun *bool // the turn was taken: the caller's prepare may have been called
}

func (t *sharedTurn) queue(b *pgx.Batch, query string, args ...any) *pgx.QueuedQuery {
	return b.Queue(t.s.dialect.text(query), args...)
}

func (t *sharedTurn) begin(ctx context.Context) (n uint64, err error) {
	var b pgx.Batch
	t.queue(&b, "BEGIN")
	t.queue(&b, "SET LOCAL idle_in_transaction_session_timeout = '"+stuck+"'")
	t.queue(&b, takeTurn).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	if err := t.conn.SendBatch(ctx, &b).Close(); err != nil {
		t.rollback(ctx)
		return 0, err
	}
	*t.begun = true
	return n, nil
}

// missed reads in the transaction: each statement sees what was committed before it began.
func (t *sharedTurn) missed(ctx context.Context, last, _ uint64) ([]Version, error) {
	query := "SELECT " + versionColumns + " FROM versions v WHERE v.commit_no > ? ORDER BY v.commit_no, v.zone, v.number LIMIT ?"
	rows, err := t.conn.Query(ctx, t.s.dialect.text(query), int64(min(last, 1<<62)), mostMissed+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Version
	for rows.Next() {
		var v Version
		if err := v.scan(rows); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if len(out) > mostMissed {
		return nil, fmt.Errorf("%w: more than %d versions", ErrBehind, mostMissed)
	}
	return out, rows.Err()
}

func (t *sharedTurn) insert(ctx context.Context, n uint64, vs []Version, heads []head) error {
	if err := t.takeStreams(ctx, vs); err != nil {
		return err
	}
	weigh(heads, vs)
	var b pgx.Batch
	moved := make([]int64, len(heads))
	for i := range heads {
		h := &heads[i]
		t.queue(&b, moveHead, int64(h.last), int64(h.serial), int64(n), h.octets, int64(h.first), h.zone, int64(h.first)-1)
	}
	t.queueVersions(&b, vs)
	t.queue(&b, "SELECT pg_notify(?, ?)", channel, fmt.Sprint(n))
	r := t.conn.SendBatch(ctx, &b)
	defer r.Close()
	for i := range heads {
		tag, err := r.Exec()
		if err != nil {
			return err
		}
		moved[i] = tag.RowsAffected()
		if err := heads[i].moved(moved[i]); err != nil {
			return err
		}
	}
	return r.Close()
}

// queueVersions inserts by as few statements as insertSizes allows.
func (t *sharedTurn) queueVersions(b *pgx.Batch, vs []Version) {
	for len(vs) > 0 {
		size := 1
		for _, size = range insertSizes {
			if size <= len(vs) {
				break
			}
		}
		args := make([]any, 0, size*insertColumns)
		for i := range size {
			args = appendVersion(args, &vs[i])
		}
		t.queue(b, insertVersion+" VALUES "+values(size, insertColumns), args...)
		vs = vs[size:]
	}
}

// takeStreams binds the staged deltas to their versions. They are few.
func (t *sharedTurn) takeStreams(ctx context.Context, vs []Version) error {
	for i := range vs {
		v := &vs[i]
		if v.Staged == 0 {
			continue
		}
		err := t.conn.QueryRow(ctx, t.s.dialect.text(takeStream), v.Zone, int64(v.Number), v.Staged).Scan(&v.Parts, &v.Octets)
		if errors.Is(err, pgx.ErrNoRows) {
			return v.unstaged()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish asks to commit. From here on the end of the caller's context does not count, as it would leave the outcome unknown.
func (t *sharedTurn) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answering)
	defer cancel()
	tag, err := t.conn.Exec(ctx, "COMMIT")
	switch {
	case err == nil && tag.String() != "COMMIT":
		return fmt.Errorf("PostgreSQL answers COMMIT by %s", tag)
	case err == nil:
		return nil
	case t.conn.IsClosed():
		return hint(kind(ErrUnknownOutcome, err), "it is found out at the next change")
	}
	t.rollback(ctx)
	return err
}

// rollback leaves the connection as it was, or closes it where it cannot.
func (t *sharedTurn) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if t.conn.IsClosed() || t.conn.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := t.conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = t.conn.Close(ctx) // the server rolls back
	}
}
