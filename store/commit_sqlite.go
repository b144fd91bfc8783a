package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
)

// embeddedCommitter commits on the one connection that writes, by prepared statements and without database/sql's
// bookkeeping: this is the path on which every change waits. It is used by one goroutine at a time, the one that has
// the connection.
type embeddedCommitter struct {
	s     *Store
	conn  driver.Conn // to which what follows belongs
	last  int64       // number of the last commit, as we know it
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
	heads []head
}

func (c *embeddedCommitter) commit(ctx context.Context, last uint64, prepare Prepare) (n uint64, err error) {
	err = c.use(ctx, func() error {
		n, err = take(context.WithoutCancel(ctx), c, last, prepare, &c.heads)
		return err
	})
	return n, err
}

// use waits for the connection.
func (c *embeddedCommitter) use(ctx context.Context, f func() error) error {
	conn, err := c.s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(dc any) error {
		if c.conn != dc.(driver.Conn) {
			c.conn, c.stmts, c.last = dc.(driver.Conn), make(map[string]driver.Stmt), 0
		}
		return f()
	})
}

func (c *embeddedCommitter) close() error {
	if len(c.stmts) == 0 {
		return nil
	}
	return c.use(context.Background(), func() error {
		for _, s := range c.stmts {
			_ = s.Close() // the connection ends with them
		}
		c.stmts = make(map[string]driver.Stmt)
		return nil
	})
}

func (c *embeddedCommitter) stmt(query string) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.conn.Prepare(query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

// bind begins the list of values of a statement, and arg adds one.
func (c *embeddedCommitter) bind() { c.args = c.args[:0] }

func (c *embeddedCommitter) arg(v driver.Value) {
	c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1, Value: v})
}

// exec runs a statement with the values that were bound, and returns how many rows it has changed.
func (c *embeddedCommitter) exec(query string) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row reads the one row of a statement.
func (c *embeddedCommitter) row(query string, into []driver.Value) error {
	s, err := c.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.args)
	if err != nil {
		return err
	}
	err = rows.Next(into)
	if e := rows.Close(); err == nil {
		err = e
	}
	return err
}

func (c *embeddedCommitter) begin(context.Context) (uint64, error) {
	c.bind()
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	n, err := c.next()
	if err != nil {
		c.rollback(context.Background())
	}
	return n, err
}

// next counts the commit. Nobody else writes the file, so that the number is mostly known.
func (c *embeddedCommitter) next() (uint64, error) {
	for range 2 {
		c.bind()
		c.arg(c.last)
		if n, err := c.exec("UPDATE log SET last = last + 1 WHERE last = ?"); err != nil || n == 1 {
			return uint64(c.last + 1), err
		}
		var last [1]driver.Value
		c.bind()
		if err := c.row(readLast, last[:]); err != nil {
			return 0, err
		}
		c.last, _ = last[0].(int64) // else it is damaged, and the update fails again
	}
	return 0, fmt.Errorf("%w: the number of the last commit cannot be read", ErrCorrupt)
}

// missed reads by another connection: all that was committed before ours can be seen there, too.
func (c *embeddedCommitter) missed(ctx context.Context, last, _ uint64) ([]Version, error) {
	return c.s.read().missed(ctx, last)
}

func (c *embeddedCommitter) insert(_ context.Context, n uint64, vs []Version, heads []head) error {
	for i := range vs {
		if vs[i].Staged != 0 {
			if err := c.takeStream(&vs[i]); err != nil {
				return err
			}
		}
	}
	weigh(heads, vs)
	for i := range heads {
		if err := c.move(n, &heads[i]); err != nil {
			return err
		}
	}
	for i := 0; i < len(vs); {
		k := commitChunk
		if len(vs)-i < k {
			k = 1
		}
		c.bind()
		for _, v := range vs[i : i+k] {
			c.argVersion(&v)
		}
		if _, err := c.exec(insertSome[k]); err != nil {
			return err
		}
		i += k
	}
	return nil
}

// commitChunk is how many rows an INSERT has where there are so many. The driver looks for each parameter in the list
// of all, so that a larger one costs more: measured are 1, 4, 8, 16 and 64.
const commitChunk = 8

var insertSome = map[int]string{
	1:           insertVersion + " VALUES " + values(1, insertColumns),
	commitChunk: insertVersion + " VALUES " + values(commitChunk, insertColumns),
}

var noDelta = []byte{}

// argVersion binds the values of a row.
func (c *embeddedCommitter) argVersion(v *Version) {
	c.arg(v.Zone)
	c.arg(int64(v.Number))
	c.arg(int64(v.Commit))
	c.arg(int64(v.Serial))
	c.arg(v.At.UnixMicro())
	c.arg(v.Door)
	c.arg(v.Author)
	c.arg(v.Comment)
	c.arg(int64(v.Removed))
	c.arg(int64(v.Added))
	c.arg(v.Octets)
	c.arg(v.Staged)
	c.arg(int64(v.Parts))
	c.arg(v.sum())
	if v.Delta == nil {
		c.arg(noDelta)
	} else {
		c.arg(v.Delta)
	}
}

func (c *embeddedCommitter) move(n uint64, h *head) error {
	c.bind()
	c.arg(int64(h.last))
	c.arg(int64(h.serial))
	c.arg(int64(n))
	c.arg(h.octets)
	c.arg(int64(h.first))
	c.arg(h.zone)
	c.arg(int64(h.first - 1))
	rows, err := c.exec(moveHead)
	if err != nil {
		return err
	}
	return h.moved(rows)
}

func (c *embeddedCommitter) takeStream(v *Version) error {
	var got [2]driver.Value
	c.bind()
	c.arg(v.Zone)
	c.arg(int64(v.Number))
	c.arg(v.Staged)
	if err := c.row(takeStream, got[:]); err == io.EOF {
		return v.unstaged()
	} else if err != nil {
		return err
	}
	parts, _ := got[0].(int64)
	v.Parts = int(parts)
	v.Octets, _ = got[1].(int64)
	return nil
}

func (c *embeddedCommitter) finish(ctx context.Context) error {
	c.bind()
	_, err := c.exec("COMMIT")
	if err != nil {
		c.rollback(ctx)
		return err
	}
	c.last++
	return nil
}

// rollback ends the transaction. That there is none is fine: SQLite ends it by itself after some errors.
func (c *embeddedCommitter) rollback(context.Context) {
	c.bind()
	_, _ = c.exec("ROLLBACK")
}
