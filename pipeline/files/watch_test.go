package files

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"onoma/zone"
)

// run starts the door's Run for the time of the test.
func (f *fixture) run() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.door.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

// patience is far beyond what anything here takes.
const patience = 20 * time.Second

// until waits for what a goroutine of the door is to do.
func (f *fixture) until(what string, is func() bool) {
	f.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("after %v there is still not: %s\n%s", patience, what, f.log.String())
		}
	}
}

func (f *fixture) untilText(want string) {
	f.t.Helper()
	f.until(want+" in the zone", func() bool { return strings.Contains(f.text(), want) })
}

func (f *fixture) rename(from, to string) {
	f.t.Helper()
	if err := os.Rename(f.path(from), f.path(to)); err != nil {
		f.t.Fatal(err)
	}
}

// watching is a fixture with a watched file that has been read.
func watching(t *testing.T, text string) *fixture {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z"), Mode: Watch})
	f.write("z", text)
	f.write("inc", "i A 192.0.2.1\n")
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 1)
	f.run()
	return f
}

func TestWatchSeesWrites(t *testing.T) {
	f := watching(t, good(1, "$INCLUDE inc\n"))
	f.write("z", good(1, "$INCLUDE inc\na A 192.0.2.20\n"))
	f.untilText("192.0.2.20")
	f.write("other", good(1, "a A 192.0.2.30\nb A 192.0.2.30\n")) // as editors do
	f.rename("other", "z")
	f.untilText("192.0.2.30")
	f.write("z", good(1, "bad\n"))
	f.until("a broken file", func() bool { s, _ := f.door.State(id); return s.Status == Broken })
	f.write("z", good(1, "$INCLUDE inc\nabc A 192.0.2.40\n"))
	f.untilText("192.0.2.40")
	f.write("inc", "i A 192.0.2.155\n")
	f.untilText("192.0.2.155")
}

// TestWatchSeesBrokenInclude mends a file that the zone file includes, which is then
// as it was.
func TestWatchSeesBrokenInclude(t *testing.T) {
	f := watching(t, good(1, ""))
	f.write("inc", "wrong\n")
	f.write("z", good(1, "$INCLUDE inc\n"))
	f.until("a broken file", func() bool { s, _ := f.door.State(id); return s.Status == Broken })
	f.write("inc", "i A 192.0.2.77\n")
	f.untilText("192.0.2.77")
}

// TestWatchSeesLinks swaps a whole directory by way of a symbolic link, as Kubernetes does.
func TestWatchSeesLinks(t *testing.T) {
	f := newFixture(t)
	for dir, text := range map[string]string{"one": "a A 192.0.2.1\n", "two": "a A 192.0.2.200\n"} {
		if err := os.Mkdir(f.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		f.write(filepath.Join(dir, "z"), good(1, text))
	}
	for from, to := range map[string]string{"data": "one", "z": "data/z", "next": "two"} {
		if err := os.Symlink(to, f.path(from)); err != nil {
			t.Fatal(err)
		}
	}
	f.configure(Zone{ID: id, Path: f.path("z"), Mode: Watch})
	f.door.Reload(t.Context())
	f.run()
	f.until("the directory being watched", func() bool {
		f.door.mu.Lock()
		defer f.door.mu.Unlock()
		return f.door.order[0].paths != nil
	})
	f.rename("next", "data")
	f.untilText("192.0.2.200")
}

// TestPoll is a directory that is not there when it is to be watched.
func TestPoll(t *testing.T) {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("later/z"), Mode: Watch})
	f.door.Reload(t.Context())
	f.run()
	f.until("a warning", func() bool { return strings.Contains(f.log.String(), "directory cannot be watched") })
	if err := os.Mkdir(f.path("later"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write("later/z", good(1, "a A 192.0.2.44\n"))
	f.untilText("192.0.2.44")
	f.write("later/z", good(1, "a A 192.0.2.45\nb A 192.0.2.45\n"))
	f.untilText("192.0.2.45")
	if n := strings.Count(f.log.String(), "zone file is wrong"); n != 1 {
		t.Errorf("the log says %d times that there is no file, expected once", n)
	}
}

// TestOthersAreNotRead touches files of zones in other modes.
func TestOthersAreNotRead(t *testing.T) {
	f := watching(t, good(1, ""))
	other := zone.IDOf("", id.Name.Parent())
	f.write("reload", ". 60 SOA ns.x. h.x. 1 2 3 4 5\n. 60 NS ns.x.\n")
	f.configure(Zone{ID: id, Path: f.path("z"), Mode: Watch}, Zone{ID: other, Path: f.path("reload")})
	f.write("reload", ". 60 SOA ns.x. h.x. 2 2 3 4 5\n. 60 NS ns.x.\n. 60 NS ns.y.\n")
	f.write("z", good(1, "a A 192.0.2.20\n"))
	f.untilText("192.0.2.20")
	if s, _ := f.door.State(other); s.Status != Unread {
		t.Errorf("%+v, expected that it is not read", s)
	}
}

func TestWriteBack(t *testing.T) {
	f := newFixture(t)
	z := Zone{ID: id, Path: f.path("link"), Mode: Initial, WriteBack: true}
	f.configure(z)
	f.write("z", good(1, "a A 192.0.2.1\n"))
	if err := os.Symlink("z", f.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.path("z"), 0o640); err != nil {
		t.Fatal(err)
	}
	f.door.Reload(t.Context())
	f.run()
	f.update("b A 192.0.2.88\n")
	written := func(want string) {
		t.Helper()
		f.until(want+" in the file", func() bool {
			text, err := os.ReadFile(f.path("z"))
			return err == nil && strings.Contains(string(text), want)
		})
	}
	written("192.0.2.88")
	f.until("a good state", func() bool { s, _ := f.door.State(id); return s.Version == 2 && s.Status == Good })
	if info, err := os.Lstat(f.path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the symbolic link is no more: %v, %v", info, err)
	}
	if info, err := os.Stat(f.path("z")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, expected 0640", info.Mode())
	}
	v, findings, err := zone.LoadFile(f.path("z"), id.Name)
	if err != nil || len(findings) > 0 {
		t.Fatal(err, findings)
	}
	if _, head, _ := f.pipe.head(id); !isEqual(v, head) {
		t.Error("what is in the file is not what is served")
	}
	expect(t, f.door.Reload(t.Context())[0], Good, 2, 2) // no conflict with itself

	f.write("z", good(9, "mine A 192.0.2.99\n"))
	f.update("c A 192.0.2.89\n")
	f.until("a conflict", func() bool { s, _ := f.door.State(id); return s.Status == Conflict })
	written("192.0.2.99") // what a person has written stays
	if err := os.Remove(f.path("z")); err != nil {
		t.Fatal(err)
	}
	f.update("d A 192.0.2.90\n")
	written("192.0.2.90")
	if names, _ := filepath.Glob(f.path(".*")); len(names) > 0 {
		t.Errorf("%q are left over", names)
	}
}

func isEqual(a, b *zone.Version) bool { d := zone.Diff(a, b); return d.IsEmpty() }

// TestNoFile has something in the place of a zone file that cannot be read to its end.
// It must not keep the watcher from other files, nor from a good file that follows.
func TestNoFile(t *testing.T) {
	f := watching(t, good(1, "a A 192.0.2.1\n"))
	kinds := []struct {
		what string
		make func(path string) error
	}{
		{"a pipe", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a device", func(path string) error { return os.Symlink("/dev/zero", path) }},
	}
	for _, k := range kinds {
		if err := k.make(f.path("new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(f.path("z")); err != nil {
			t.Fatal(err)
		}
		f.rename("new", "z")
		f.until(k.what+" is refused", func() bool {
			s, _ := f.door.State(id)
			return s.Status == Broken && len(s.Problems) > 0 && strings.Contains(s.Problems[0], k.what+", expected a zone file")
		})
	}
	f.write("new", good(1, "b A 192.0.2.1\n"))
	_ = os.Remove(f.path("z"))
	f.rename("new", "z")
	f.untilText("b.example")
}
