package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"onoma/config"
)

// Note is something that the result does differently from what was imported.
type Note struct {
	At   config.Pos
	Text string
}

// String returns FILE:LINE:COLUMN: TEXT.
func (n Note) String() string {
	if n.At.Line == 0 {
		return n.At.File + ": " + n.Text
	}
	return n.At.String() + ": " + n.Text
}

// Result is an imported configuration.
type Result struct {
	YAML  []byte // which has the secrets of keys in it
	Notes []Note // in the order of the files
}

// Options say how files are read. The zero Options are good.
type Options struct {
	Open func(path string) (io.ReadCloser, error) // nil: of the system
	Glob func(pattern string) ([]string, error)   // nil: of the system

	PowerDNS func(path string) (map[string]*pdnsZone, error) // which zones have keys in its database; nil: as the file says
}

// From are the servers whose configurations can be imported.
var From = []string{"bind", "nsd", "knot", "powerdns"}

// Import reads the configuration file of another server.
func Import(from, path string, o Options) (*Result, error) {
	read := map[string]func(*reader, string) (*draft, error){
		"bind": importBIND, "nsd": importNSD, "knot": importKnot, "powerdns": importPowerDNS,
	}[from]
	if read == nil {
		return nil, fmt.Errorf("there is no import from %q, expected bind, nsd, knot or powerdns", from)
	}
	if o.Open == nil {
		o.Open = func(path string) (io.ReadCloser, error) { return os.Open(path) }
	}
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	if o.PowerDNS == nil {
		o.PowerDNS = readPDNS
	}
	r := &reader{o: o}
	d, err := read(r, path)
	if err != nil {
		return nil, err
	}
	d.source = from + "'s " + path
	d.unsigned()
	d.look()
	notes := d.notes
	rank := make(map[string]int)
	for i, f := range r.files {
		rank[f] = i
	}
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(rank[a.At.File]-rank[b.At.File], a.At.Line-b.At.Line, a.At.Column-b.At.Column)
	})
	notes = slices.Compact(notes)
	return &Result{YAML: d.write(), Notes: notes}, nil
}

// look reads the result as a start would, and notes what is wrong with it: what
// the other server takes for its own reasons, and what was wrong there already.
func (d *draft) look() {
	_, err := config.Parse("result", d.write(), config.Options{})
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return
	}
	for _, m := range mistakes {
		d.note(config.Pos{File: "result"}, "needs your hand: %s", (&config.Error{What: m.What, Want: m.Want}).Error())
	}
}

// Bounds of what is read.
const (
	maxText  = 64 << 20
	maxFiles = 1000
	maxDepth = 50 // of blocks in blocks, and of files that include files
)

// reader reads files, up to the bounds.
type reader struct {
	o     Options
	size  int
	files []string
}

func (r *reader) read(path string) (string, error) {
	if len(r.files) == maxFiles {
		return "", fmt.Errorf("reading %s: the configuration has more than %d files", path, maxFiles)
	}
	r.files = append(r.files, path)
	f, err := r.o.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(maxText-r.size)+1))
	if err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	if r.size += len(text); r.size > maxText {
		return "", fmt.Errorf("reading %s: the configuration has more than %d MiB", path, maxText>>20)
	}
	return string(text), nil
}

// glob finds files, as seen from the directory of the file that names them.
func (r *reader) glob(from, pattern string) []string {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	paths, err := r.o.Glob(pattern)
	if err != nil {
		return nil
	}
	slices.Sort(paths)
	return paths
}

// SyntaxError is a place where a file cannot be understood.
type SyntaxError struct {
	At   config.Pos
	What string
}

func (e *SyntaxError) Error() string { return e.At.String() + ": " + e.What }
