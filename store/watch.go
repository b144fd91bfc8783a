package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// channel is on which PostgreSQL tells the numbers of commits.
const channel = "onoma_commit"

// Watch returns a channel that gets a value after other nodes may have committed, or have added or removed zones; it is
// closed when the context ends. Of an SQLite file nothing comes, as it is ours alone.
func (s *Store) Watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		if !s.IsShared() {
			<-ctx.Done()
			return
		}
		s.watch(ctx, out)
	}()
	return out
}

func (s *Store) watch(ctx context.Context, out chan<- struct{}) {
	told := s.seen.Load()
	tell := func(commit uint64) {
		if commit <= max(told, s.seen.Load()) {
			return
		}
		told = commit
		select {
		case out <- struct{}{}:
		default: // there is one already
		}
	}
	for ctx.Err() == nil {
		err := s.listen(ctx, tell)
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("notifications of the database stopped; trying again", "error", s.translate(err))
		select {
		case <-ctx.Done():
		case <-time.After(s.poll):
		}
	}
}

// listen waits for notifications, and polls besides, until the connection is lost.
func (s *Store) listen(ctx context.Context, tell func(uint64)) error {
	c, err := s.reader.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(dc any) error {
		conn := dc.(*stdlib.Conn).Conn()
		defer conn.Close(context.WithoutCancel(ctx)) // so that nobody else gets a connection that listens
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for {
			var last uint64
			if err := conn.QueryRow(ctx, "SELECT last FROM log").Scan(&last); err != nil {
				return err
			}
			tell(last)
			if err := s.awaitNotification(ctx, conn, tell); err != nil {
				return err
			}
		}
	})
}

// awaitNotification returns after the time of a poll, too.
func (s *Store) awaitNotification(ctx context.Context, conn *pgx.Conn, tell func(uint64)) error {
	wait, cancel := context.WithTimeout(ctx, s.poll)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(wait)
		if err != nil {
			if wait.Err() != nil && ctx.Err() == nil {
				return nil
			}
			return err
		}
		if commit, err := strconv.ParseUint(n.Payload, 10, 64); err == nil {
			tell(commit)
		}
	}
}
