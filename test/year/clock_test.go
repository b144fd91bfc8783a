package year

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// fakeClock has other programs see the world's time, also while they run.
type fakeClock struct {
	library string // "": there is no C compiler to make it
	file    *os.File
}

func (w *world) newClock() {
	w.Helper()
	c := &w.others
	dir := w.TempDir()
	library := filepath.Join(dir, "clock.so")
	if text, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", library, "testdata/clock.c").CombinedOutput(); err != nil {
		w.Logf("other programs are not asked, there is no C compiler: %v %s", err, text)
		return
	}
	var err error
	if c.file, err = os.Create(filepath.Join(dir, "clock")); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.file.Close() })
	c.library = library
	w.set(w.now)
}

// set tells them.
func (c *fakeClock) set(now time.Time) error {
	if c.file == nil {
		return nil
	}
	away := binary.NativeEndian.AppendUint64(nil, uint64(int64(time.Until(now)/time.Second)))
	_, err := c.file.WriteAt(away, 0)
	return err
}

// environment is what a program has that sees this clock.
func (c *fakeClock) environment() []string {
	return append(os.Environ(), "TZ=UTC", "LD_PRELOAD="+c.library, "ONOMA_CLOCK="+c.file.Name())
}
