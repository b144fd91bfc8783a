package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"onoma/store"
	"onoma/zone"
)

// node is one of several servers that share a database. Its data directory is its
// own, and tells it from the others after a restart, too.
type node struct {
	name string
	lock io.Closer
}

// openNode takes the sole right to a data directory, and finds its name there, or
// gives it one.
func openNode(dir string) (*node, error) {
	lock, err := store.Lock(filepath.Join(dir, "node.lock"))
	if err != nil {
		return nil, fmt.Errorf("opening the data directory %s: %w", dir, err)
	}
	name, err := nodeName(filepath.Join(dir, "node"))
	if err != nil {
		_ = lock.Close() // the first error says more
		return nil, fmt.Errorf("opening the data directory %s: %w", dir, err)
	}
	return &node{name: name, lock: lock}, nil
}

func nodeName(path string) (string, error) {
	text, err := os.ReadFile(path)
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	name := hex.EncodeToString(b[:])
	return name, os.WriteFile(path, []byte(name+"\n"), 0o600)
}

func (n *node) close() error {
	if n == nil {
		return nil
	}
	return n.lock.Close()
}

// A node that fetches a zone has the sole right to it for a while, and renews it.
// Where it dies another one takes over after that while.
const (
	turnTime  = 6 * time.Second
	turnRenew = 2 * time.Second
)

// turn returns who sees to it that a zone is fetched from its primaries by one
// node at a time; nil where there is one node.
func (d *Daemon) turn() func(context.Context, zone.ID) (func(), bool) {
	if d.node == nil {
		return nil
	}
	return d.takeTurn
}

func (d *Daemon) takeTurn(ctx context.Context, id zone.ID) (done func(), ok bool) {
	row, known := d.pipe.Row(id)
	if !known {
		return nil, false
	}
	name := fmt.Sprintf("transfer/%d", row)
	if ok, err := d.store.Lease(ctx, name, d.node.name, turnTime); err != nil || !ok {
		if err != nil {
			d.log.Warn("zone is not fetched now, and will be later", "zone", id, "error", err)
		}
		return nil, false
	}
	renewing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.renewTurn(renewing, name)
	}()
	return func() {
		stop()
		<-ended
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnRenew)
		defer cancel()
		_ = d.store.Release(ctx, name, d.node.name) // else it ends by itself
	}, true
}

// renewTurn keeps a turn. One that is lost costs a second transfer, no more: the
// pipeline takes one version of two.
func (d *Daemon) renewTurn(ctx context.Context, name string) {
	ticker := time.NewTicker(turnRenew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = d.store.Lease(ctx, name, d.node.name, turnTime)
		}
	}
}
