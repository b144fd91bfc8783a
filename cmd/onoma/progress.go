package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// barAfter is how long loading may take before there is a bar.
const barAfter = time.Second

// progress shows how much of the zones' text has been read, once that takes
// longer than a moment and where a person looks at it. A nil progress shows nothing.
type progress struct {
	files []zoneFile

	mu    sync.Mutex
	read  int64 // octets
	zones int   // done
	bar   *progressbar.ProgressBar
}

// newProgress returns nil where w is no terminal.
func newProgress(w io.Writer, files []zoneFile) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	begun := time.Now()
	return startProgress(w, files, func() bool { return time.Since(begun) > barAfter })
}

// startProgress returns a progress that shows itself on w from when isTime is true.
func startProgress(w io.Writer, files []zoneFile, isTime func() bool) *progress {
	p := &progress{files: files}
	total := int64(0)
	for _, f := range files {
		total += sizeOf(f.file)
	}
	p.bar = progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(&gate{w: w, isOpen: isTime}),
		progressbar.OptionSetDescription(p.text()),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	return p
}

// gate drops what is written before it is open.
type gate struct {
	w      io.Writer
	isOpen func() bool
}

func (g *gate) Write(b []byte) (int, error) {
	if !g.isOpen() {
		return len(b), nil
	}
	return g.w.Write(b)
}

// file returns what to call with how much of one file has been read.
func (p *progress) file() func(read, total int64) {
	if p == nil {
		return nil
	}
	before := int64(0)
	return func(read, _ int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.read += read - before
		before = read
		_ = p.bar.Set64(min(p.read, p.bar.GetMax64())) // it is only shown
	}
}

// text says what is being read.
func (p *progress) text() string {
	if len(p.files) == 1 {
		return "reading " + p.files[0].name.String()
	}
	return fmt.Sprintf("reading %d zones, %d done", len(p.files), p.zones)
}

// zoneDone notes that one more zone has been read.
func (p *progress) zoneDone() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.zones++; len(p.files) > 1 && (p.zones%64 == 0 || len(p.files) < 64) {
		p.bar.Describe(p.text())
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p == nil {
		return
	}
	_ = p.bar.Finish() // it was only shown
}
