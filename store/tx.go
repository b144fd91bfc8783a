package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// tx is a transaction, or a connection outside of one: statements are written with ? for their parameters
// {now} for the database's clock and {blob} for the type of octets, in the part of SQL that both databases have.
type tx struct {
	dialect *dialect
	db      interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}
}

// exec returns how many rows it has changed.
func (t tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.db.ExecContext(ctx, t.dialect.text(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.db.QueryRowContext(ctx, t.dialect.text(query), args...)
}

// each calls one for every row.
func (t tx) each(ctx context.Context, one func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.db.QueryContext(ctx, t.dialect.text(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// insertSizes are the numbers of rows that one INSERT has, so that few statements are prepared. The driver of SQLite
// looks each parameter up in the list of all, so that larger ones are slower.
var insertSizes = []int{16, 4, 1}

// insert inserts n rows, whose values fill appends to args. into is all before VALUES, and after all behind.
func (t tx) insert(ctx context.Context, n, columns int, into, after string, fill func(args []any, i int) []any) error {
	return t.insertRows(ctx, n, values(1, columns), into, after, fill)
}

// insertRows is insert with the text of a row, where the databases must be told the types.
func (t tx) insertRows(ctx context.Context, n int, row, into, after string, fill func(args []any, i int) []any) error {
	var args []any
	for i := 0; i < n; {
		size := 1
		for _, size = range insertSizes {
			if size <= n-i {
				break
			}
		}
		args = args[:0]
		for end := i + size; i < end; i++ {
			args = fill(args, i)
		}
		if _, err := t.exec(ctx, into+" VALUES "+strings.Repeat(row+",", size-1)+row+" "+after, args...); err != nil {
			return err
		}
	}
	return nil
}

// values returns (?,?),(?,?).
func values(rows, columns int) string {
	row := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(row+",", rows-1) + row
}

// write runs f in a transaction of its own, synced to the disk when write returns.
func (s *Store) write(ctx context.Context, f func(tx) error) error {
	t, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx{s.dialect, t}); err != nil {
		_ = t.Rollback() // nothing is done either way
		return err
	}
	return t.Commit()
}

// snapshot runs f in a transaction that only reads, and sees one state of the database.
func (s *Store) snapshot(ctx context.Context, f func(tx) error) error {
	t, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.isolation})
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // it has changed nothing
	return f(tx{s.dialect, t})
}

// read is for single statements.
func (s *Store) read() tx { return tx{s.dialect, s.reader} }

// texts are the statements as the two databases want them. There are some dozens.
var texts [2]sync.Map

func (d *dialect) text(query string) string {
	cache := &texts[d.index]
	if t, ok := cache.Load(query); ok {
		return t.(string)
	}
	t := strings.NewReplacer("{now}", d.now, "{blob}", d.blob).Replace(query)
	if d.numbered {
		t = numbered(t)
	}
	cache.Store(query, t)
	return t
}

// numbered replaces ? by $1, $2 and so on. No statement of ours has a ? elsewhere.
func numbered(query string) string {
	var b strings.Builder
	n := 0
	for _, c := range []byte(query) {
		if c != '?' {
			b.WriteByte(c)
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
