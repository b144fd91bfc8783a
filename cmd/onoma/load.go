package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"onoma/zone"
)

var errZone = errors.New("the zone cannot be served")

// loaded is what came of reading a zone: a version, or why there is none.
type loaded struct {
	version *zone.Version
	log     bytes.Buffer // what is wrong with the zone, warnings too
	err     error
}

// loadZones reads the zones by read, several at a time, with a progress bar on a
// terminal. What is wrong with them goes to a.stderr in the order of files.
func loadZones(a *app, files []zoneFile, read func(f zoneFile, w io.Writer, p *progress) (*zone.Version, error)) []loaded {
	results := make([]loaded, len(files))
	p := newProgress(a.stderr, files)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				r := &results[i]
				r.version, r.err = read(files[i], &r.log, p)
				p.zoneDone()
			}
		})
	}
	wg.Wait()
	p.end()
	for i := range results {
		_, _ = a.stderr.Write(results[i].log.Bytes()) // there is nobody else to tell
	}
	return results
}

// giveBack returns memory to the system at once, when zones have been read and
// published: reading takes more than to keep them, what they replaced is gone,
// and the server may not make garbage for hours. Little is not worth a collection.
func giveBack(results []loaded) {
	const worth = 16 << 20
	octets := 0
	for i := range results {
		if v := results[i].version; v != nil {
			octets += v.Stats().Bytes
		}
	}
	if octets >= worth {
		debug.FreeOSMemory()
	}
}

// loadZone reads one zone and writes what is wrong with it to w.
func loadZone(w io.Writer, f zoneFile, p *progress) (*zone.Version, error) {
	v, findings, err := zone.Loader{Progress: p.file()}.LoadFile(f.file, f.name)
	if err != nil {
		fmt.Fprintln(w, err)
		return nil, errZone
	}
	serious := writeFindings(w, f.file, findings)
	if serious > 0 || v == nil {
		return nil, errZone
	}
	return v, nil
}

// writeFindings writes a line for each finding and returns how many are errors.
func writeFindings(w io.Writer, file string, findings []zone.Finding) (serious int) {
	for _, f := range findings {
		kind := "warning"
		if f.Severity == zone.Error {
			kind = "error"
			serious++
		}
		fmt.Fprintf(w, "%s: %s: %s\n", file, kind, f)
	}
	return serious
}

// sizeOf returns the size of a file, 0 where it cannot be told.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}
