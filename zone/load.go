package zone

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// Load reads the zone origin from r to its end. A text with mistakes is read to
// its end too, so that the error is all of them ([zonefile.Errors]) and comes
// with what is wrong with the zone as far as it was read; there is no version then.
func Load(r *zonefile.Reader, origin dns.Name) (*Version, []Finding, error) {
	return Loader{Workers: 1}.Load(r, origin)
}

// LoadFile reads the master file at path for the zone origin. $INCLUDE takes
// files from path's directory and below.
func LoadFile(path string, origin dns.Name) (*Version, []Finding, error) {
	return Loader{}.LoadFile(path, origin)
}

// Loader says how zones are read. The zero value is good.
type Loader struct {
	// Workers is the most goroutines for one file; 0: as many as there are CPUs.
	// Small files are always read by one.
	Workers int
	// Progress is called now and then, by one goroutine at a time, with how much
	// of the file has been read, in octets. It may be nil.
	Progress func(read, total int64)

	pieces zonefile.Parallel // sizes, for tests
	least  int               // fewest names worth a goroutine, for tests; 0: leastShare
}

const (
	// largeFile is the size from which a file is read by several goroutines.
	largeFile = 4 << 20
	// eachReads is how much of a file there is for each of more than two, since
	// each leaves memory of its own partly unused.
	eachReads = 8 << 20
)

// LoadFile is the function LoadFile, as the Loader says.
func (l Loader) LoadFile(path string, origin dns.Name) (*Version, []Finding, error) {
	begun := time.Now()
	r, err := zonefile.Open(path, zonefile.Options{Origin: origin})
	if err != nil {
		return nil, nil, err
	}
	v, found, err := l.Load(r, origin)
	if v != nil {
		v.source = sourceOf(r, begun)
	}
	return v, found, err
}

// Load is the function Load, as the Loader says.
func (l Loader) Load(r *zonefile.Reader, origin dns.Name) (*Version, []Finding, error) {
	b, p := l.plan(r, origin)
	err := r.ReadInto(taker{b}, p)
	mistakes := zonefile.Errors(nil)
	if err != nil && !errors.As(err, &mistakes) {
		return nil, nil, fmt.Errorf("loading zone %s: %w", origin, err)
	}
	v, found := b.Build()
	if len(mistakes) > 0 {
		return nil, found, mistakes
	}
	return v, found, nil
}

// plan decides by the size of the text who builds the zone.
func (l Loader) plan(r *zonefile.Reader, origin dns.Name) (*Builder, zonefile.Parallel) {
	p := l.pieces
	p.Workers = l.Workers
	if p.Workers == 0 {
		p.Workers = runtime.GOMAXPROCS(0)
	}
	size := r.Size()
	if l.Progress != nil {
		p.Progress = func(read int64) { l.Progress(read, max(read, size)) }
	}
	switch {
	case p.Size > 0: // a test's
	case size < largeFile:
		p.Workers = 1
	default:
		p.Workers = int(min(int64(p.Workers), max(2, size/eachReads)))
	}
	if p.Workers < 2 {
		return NewBuilder(origin), p
	}
	b := newTeam(origin, p.Workers, int(size))
	if l.least > 0 {
		b.team.least = l.least
	}
	return b, p
}
