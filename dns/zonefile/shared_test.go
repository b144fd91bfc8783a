package zonefile

import (
	"os"
	"path/filepath"
	"testing"
)

// sharedData returns the path of a file of real data that lies beside the
// repository, and skips the test where it is absent.
func sharedData(tb testing.TB, name string) string {
	tb.Helper()
	dir := os.Getenv("ONOMA_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("%s is absent (%v)", name, err)
	}
	return path
}
