//go:build !unix

package store

import (
	"io"
	"os"
)

// lockFile keeps the file open. On these systems SQLite's own locks must do.
func lockFile(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
