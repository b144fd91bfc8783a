package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// partSize is how much of a stream is written in one transaction.
const partSize = 512 << 10

// stagingAge is after what time without a write a stream to which nothing refers is taken for abandoned, where
// another node could still be at it.
const stagingAge = 24 * time.Hour

// stream writes content in parts, each in a transaction of its own.
type stream struct {
	s      *Store
	ctx    context.Context // that of the call which began it
	id     int64           // 0: there is no part yet
	parts  int
	octets int64
	buf    []byte
	err    error
}

func (w *stream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && w.err == nil {
		k := min(len(p), partSize-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
		if len(w.buf) == partSize {
			w.err = w.s.write(w.ctx, w.flush)
		}
	}
	if w.err != nil {
		return 0, w.s.fail("writing a part", w.err)
	}
	return n, nil
}

// begin makes the row of the stream, or tells that somebody is still at it.
func (w *stream) begin(t tx) error {
	if w.id == 0 {
		return t.row(w.ctx, "INSERT INTO streams (made) VALUES ({now}) RETURNING id").Scan(&w.id)
	}
	n, err := t.exec(w.ctx, "UPDATE streams SET made = {now} WHERE id = ? AND zone = 0 AND complete = 0", w.id)
	if err == nil && n != 1 {
		err = fmt.Errorf("what was written so far: %w", ErrGone)
	}
	return err
}

func (w *stream) flush(t tx) error {
	if err := w.begin(t); err != nil {
		return err
	}
	_, err := t.exec(w.ctx, "INSERT INTO parts (stream, part, sum, data) VALUES (?, ?, ?, ?)",
		w.id, w.parts, int64(sumPart(w.id, w.parts, w.buf)), w.buf)
	if err == nil {
		w.octets += int64(len(w.buf))
		w.parts++
		w.buf = w.buf[:0]
	}
	return err
}

// finish writes the rest. The stream is whole when the transaction is committed.
func (w *stream) finish(t tx) error {
	if w.err != nil {
		return w.err
	}
	write := w.begin
	if len(w.buf) > 0 {
		write = w.flush
	}
	if err := write(t); err != nil {
		return err
	}
	_, err := t.exec(w.ctx, "UPDATE streams SET complete = 1, parts = ?, octets = ? WHERE id = ?", w.parts, w.octets, w.id)
	return err
}

// discard deletes what was written.
func (w *stream) discard() error {
	if w.id == 0 {
		return nil
	}
	ctx := context.WithoutCancel(w.ctx)
	err := w.s.write(ctx, func(t tx) error { return t.release(ctx, w.id) })
	if err != nil {
		return err
	}
	return w.s.dropStream(ctx, w.id)
}

func sumPart(stream int64, part int, data []byte) uint32 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[0:], uint64(stream))
	binary.BigEndian.PutUint64(b[8:], uint64(part))
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, data)
}

// Staging is where a large delta is written before the commit that refers to it. It is for one goroutine.
type Staging struct{ w stream }

// Stage begins a large delta. The context is that of all its writes.
func (s *Store) Stage(ctx context.Context) (*Staging, error) {
	return &Staging{stream{s: s, ctx: ctx}}, nil
}

// Write adds to the delta, some hundred kilobytes in each transaction.
func (g *Staging) Write(p []byte) (int, error) { return g.w.Write(p) }

// Close writes the rest, and returns the number by which a Version refers to the delta in its field Staged. A delta to
// which nothing comes to refer is deleted at a later Open.
func (g *Staging) Close() (int64, error) {
	err := g.w.s.write(g.w.ctx, g.w.finish)
	if err != nil {
		_ = g.w.discard() // what cannot be deleted now is by a later Open
		return 0, g.w.s.fail("staging a delta", err)
	}
	return g.w.id, nil
}

// Discard deletes what was written, before or after Close, unless a version refers to it.
func (g *Staging) Discard() error { return g.w.s.fail("discarding a delta", g.w.discard()) }

// release lets a stream go that belongs to nothing. dropStream deletes it.
func (t tx) release(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "UPDATE streams SET complete = 0, made = 0 WHERE id = ? AND zone = 0", id)
	return err
}

// dropParts is how many parts go in one transaction.
const dropParts = 16

// dropStream deletes a stream that was released, in small transactions.
func (s *Store) dropStream(ctx context.Context, id int64) error {
	var parts int
	err := s.read().row(ctx, `SELECT COALESCE(MAX(p.part) + 1, 0) FROM streams s JOIN parts p ON p.stream = s.id
		WHERE s.id = ? AND s.zone = 0 AND s.complete = 0`, id).Scan(&parts)
	for n := dropParts; err == nil && n < parts; n += dropParts {
		err = s.write(ctx, func(t tx) error {
			_, err := t.exec(ctx, "DELETE FROM parts WHERE stream = ? AND part < ?", id, n)
			return err
		})
	}
	if err != nil {
		return err
	}
	return s.write(ctx, func(t tx) error {
		n, err := t.exec(ctx, "DELETE FROM streams WHERE id = ? AND zone = 0 AND complete = 0 AND made = 0", id)
		if err == nil && n == 1 {
			_, err = t.exec(ctx, "DELETE FROM parts WHERE stream = ?", id)
		}
		return err
	})
}

// OpenDelta returns the delta of a version, wherever it is. Versions of Log are fine, too.
func (s *Store) OpenDelta(ctx context.Context, v Version) (io.ReadCloser, error) {
	doing := fmt.Sprintf("opening the delta of version %d of zone %d", v.Number, v.Zone)
	if v.Staged == 0 {
		if len(v.Delta) == 0 {
			found, err := s.read().versions(ctx, "v.zone = ? AND v.number = ?", v.Zone, v.Number)
			if err == nil && len(found) == 0 {
				err = ErrGone
			}
			if err != nil {
				return nil, s.fail(doing, err)
			}
			v = found[0]
		}
		return io.NopCloser(bytes.NewReader(v.Delta)), nil
	}
	r := &reader{s: s, ctx: ctx, id: v.Staged, what: fmt.Sprintf("version %d of zone %d", v.Number, v.Zone)}
	err := s.read().row(ctx, "SELECT parts, octets FROM streams WHERE id = ? AND zone = ? AND number = ? AND complete = 1", v.Staged, v.Zone, v.Number).
		Scan(&r.parts, &r.octets)
	if err == sql.ErrNoRows {
		err = ErrGone
	}
	if err != nil {
		return nil, s.fail(doing, err)
	}
	return r, nil
}

// reader reads a stream, one part in memory at a time.
type reader struct {
	s      *Store
	ctx    context.Context // that of the call which opened it
	id     int64
	what   string
	parts  int
	octets int64
	next   int
	rest   []byte
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.next == r.parts {
			if r.octets != 0 {
				return 0, fmt.Errorf("reading %s: %w: it has another length than was written", r.what, ErrCorrupt)
			}
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, r.s.fail("reading "+r.what, err)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the reading. Nothing is held open between two reads.
func (r *reader) Close() error { r.rest, r.next, r.octets = nil, r.parts, 0; return nil }

func (r *reader) fetch() error {
	var sum uint32
	var data []byte
	err := r.s.read().row(r.ctx, "SELECT sum, data FROM parts WHERE stream = ? AND part = ?", r.id, r.next).Scan(&sum, &data)
	switch {
	case err == sql.ErrNoRows:
		return r.missing()
	case err != nil:
		return err
	case sum != sumPart(r.id, r.next, data):
		return fmt.Errorf("%w: part %d does not match its checksum", ErrCorrupt, r.next)
	}
	r.rest, r.octets = data, r.octets-int64(len(data))
	r.next++
	return nil
}

// missing tells a part that was lost from a stream that was replaced while it was read.
func (r *reader) missing() error {
	var zone int64
	err := r.s.read().row(r.ctx, "SELECT zone FROM streams WHERE id = ?", r.id).Scan(&zone)
	switch {
	case err == sql.ErrNoRows || err == nil && zone == 0:
		return ErrGone
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: part %d is missing", ErrCorrupt, r.next)
}
