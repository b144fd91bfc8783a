package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Onoma runs `onoma authority` with zones at addr until the test ends.
func Onoma(t testing.TB, zones Zones, addr netip.AddrPort) *Server {
	t.Helper()
	args := []string{"authority", "--listen", addr.String()}
	for _, z := range zones {
		args = append(args, "--zone", z.Name+"="+z.File)
	}
	s := StartOnoma(t, addr, args...)
	s.awaitZones(t, zones)
	return s
}

// StartOnoma runs our binary with any arguments until the test ends, and returns when its log says `ready`.
func StartOnoma(t testing.TB, addr netip.AddrPort, args ...string) *Server {
	t.Helper()
	s := start(t, "onoma", tempDir(t, "onoma"), addr, Binary(t), args)
	s.await(t, "logging that it is ready", func() bool { return strings.Contains(s.Log(), "ready") })
	return s
}

// ModuleRoot is the directory of go.mod: that of the test, or above it.
func ModuleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// Shared finds a file of the data that lies beside the checkout (or where ONOMA_SHARED says);
// ok is false where there is none.
func Shared(elem ...string) (name string, ok bool) {
	base := os.Getenv("ONOMA_SHARED")
	if base == "" {
		base = filepath.Join(ModuleRoot(), "..", "shared")
	}
	name = filepath.Join(append([]string{base}, elem...)...)
	_, err := os.Stat(name)
	return name, err == nil
}

// built is our binary while tests of this process use it; the last one removes it.
var built struct {
	sync.Mutex
	users int
	dir   string
}

// Binary builds cmd/onoma, with invariants checked, once for all tests of the process that overlap.
func Binary(t testing.TB) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "onoma-bin-")
		if err != nil {
			t.Fatal(err)
		}
		if err := build(filepath.Join(dir, "onoma")); err != nil {
			os.RemoveAll(dir)
			t.Fatal(err)
		}
		built.dir = dir
	}
	built.users++
	t.Cleanup(func() {
		built.Lock()
		defer built.Unlock()
		if built.users--; built.users == 0 {
			if err := os.RemoveAll(built.dir); err != nil {
				t.Errorf("removing the built binary: %v", err)
			}
			built.dir = ""
		}
	})
	return filepath.Join(built.dir, "onoma")
}

func build(output string) error {
	cmd := exec.Command("go", "build", "-tags", "invariants", "-o", output, "./cmd/onoma")
	cmd.Dir = ModuleRoot()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}
