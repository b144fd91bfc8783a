//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes a lock that ends with the process at the latest. It is beside the database, as closing any
// descriptor of that would drop the locks of SQLite.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint(kind(ErrStorage, err), "the user who runs onoma must be able to write in the directory of the database")
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close() // it holds nothing
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, hint(ErrInUse, "end the other onoma, or talk to it by onoma ctl; several nodes share a PostgreSQL, not a file")
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}
