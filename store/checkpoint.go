package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
)

// WriteCheckpoint keeps the whole content of a version of a zone, as write gives it. It is written in parts in small
// transactions; the one before is replaced when the new one is complete, and stays where anything fails. If there is
// a checkpoint of the version or of a newer one already, that stays.
func (s *Store) WriteCheckpoint(ctx context.Context, zone int64, number uint64, write func(io.Writer) error) error {
	w := stream{s: s, ctx: ctx}
	err := write(&w)
	var old int64
	if err == nil {
		err = s.write(ctx, func(t tx) (err error) {
			old, err = t.checkpoint(&w, zone, number)
			return err
		})
	}
	if err != nil {
		_ = w.discard() // what cannot be deleted now is by a later Open
	} else if old != 0 {
		err = s.dropStream(ctx, old)
	}
	return s.fail(fmt.Sprintf("writing the checkpoint of version %d of zone %d", number, zone), err)
}

// checkpoint makes a stream the checkpoint of a zone, and returns the stream that is to be dropped then.
func (t tx) checkpoint(w *stream, zone int64, number uint64) (int64, error) {
	z, err := t.zone(w.ctx, zone)
	switch {
	case err != nil:
		return 0, err
	case number == 0 || number > z.Head:
		return 0, fmt.Errorf("version %d is not there, the newest is %d", number, z.Head)
	}
	if err := w.finish(t); err != nil {
		return 0, err
	}
	if number <= z.Checkpoint {
		return w.id, t.release(w.ctx, w.id)
	}
	n, err := t.exec(w.ctx, `UPDATE zones SET checkpoint = ?, stream = ?, pending = pending -
		(SELECT COALESCE(SUM(v.octets), 0) FROM versions v WHERE v.zone = ? AND v.number > ? AND v.number <= ?) WHERE id = ? AND stream = ?`,
		number, w.id, zone, z.Checkpoint, number, zone, z.stream)
	if err == nil && n != 1 {
		err = fmt.Errorf("another checkpoint was written meanwhile: %w", ErrGone)
	}
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(w.ctx, "UPDATE streams SET zone = ?, number = ?, checkpoint = 1 WHERE id = ?", zone, number, w.id); err != nil {
		return 0, err
	}
	if z.stream == 0 {
		return 0, nil
	}
	_, err = t.exec(w.ctx, "UPDATE streams SET zone = 0, complete = 0, made = 0 WHERE id = ?", z.stream)
	return z.stream, err
}

// Checkpoint returns the newest checkpoint of a zone; 0 and an empty reader where there is none. Where it is replaced
// while it is read, the reader returns ErrGone: open the new one then.
func (s *Store) Checkpoint(ctx context.Context, zone int64) (number uint64, r io.ReadCloser, err error) {
	rd := &reader{s: s, ctx: ctx}
	err = s.read().row(ctx, `SELECT z.checkpoint, z.stream, COALESCE(t.complete, 0), COALESCE(t.parts, 0), COALESCE(t.octets, 0)
		FROM zones z LEFT JOIN streams t ON t.id = z.stream WHERE z.id = ?`, zone).Scan(&number, &rd.id, new(int), &rd.parts, &rd.octets)
	if err == sql.ErrNoRows {
		err = ErrGone
	}
	if err != nil {
		return 0, nil, s.fail(fmt.Sprintf("opening the checkpoint of zone %d", zone), err)
	}
	if number == 0 {
		return 0, io.NopCloser(bytes.NewReader(nil)), nil
	}
	rd.what = fmt.Sprintf("the checkpoint of version %d of zone %d", number, zone)
	return number, rd, nil
}
