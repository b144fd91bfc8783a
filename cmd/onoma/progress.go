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
	w     io.Writer
	files []zoneFile
	now   func() time.Time
	begun time.Time

	mu          sync.Mutex
	read, total int64 // octets
	zones       int   // done
	bar         *progressbar.ProgressBar
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
	return &progress{w: w, files: files, now: time.Now, begun: time.Now()}
}

// file returns what to call with how much of one file has been read.
func (p *progress) file() func(read, total int64) {
	if p == nil {
		return nil
	}
	before := int64(0)
	return func(read, _ int64) {
		p.add(read - before)
		before = read
	}
}

// add notes n octets more.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read += n
	if p.bar == nil && p.now().Sub(p.begun) > barAfter {
		p.begin()
	}
	if p.bar != nil {
		_ = p.bar.Set64(p.read) // it is only shown
	}
}

// begin shows the bar for the first time.
func (p *progress) begin() {
	for _, f := range p.files {
		p.total += sizeOf(f.file)
	}
	p.bar = progressbar.NewOptions64(max(p.total, p.read, 1),
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.text()),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
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
	if p.zones++; p.bar != nil {
		p.bar.Describe(p.text())
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p == nil || p.bar == nil {
		return
	}
	_ = p.bar.Finish() // it was only shown
}
