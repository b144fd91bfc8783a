package zonefile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"onoma/dns"
)

// Options says how a master file is read. The zero value is good for one whose
// names are all absolute.
type Options struct {
	File   string    // what errors call the text; "input" if empty
	Origin dns.Name  // what relative names are relative to, until $ORIGIN; zero: nothing
	Class  dns.Class // the zone's class; zero: IN

	// DefaultTTL is the TTL of records without one, as a $TTL line before the
	// text would set it; zero: there is none.
	DefaultTTL uint32

	// IncludeDir is the directory that $INCLUDE takes files from, given by their
	// paths within it. Neither ".." nor a symbolic link leads out of it. While it
	// is empty $INCLUDE is an error.
	IncludeDir string

	MaxIncludeDepth int // files open within each other besides the first; 0: 16
	MaxIncludes     int // files included in all; 0: 10,000
	MaxErrors       int // mistakes after which reading ends; 0: 1,000
	MaxGenerate     int // records from all $GENERATE together; 0: 1,048,576
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value *int
		std   int
	}{
		{&o.MaxIncludeDepth, 16}, {&o.MaxIncludes, 10_000},
		{&o.MaxErrors, 1000}, {&o.MaxGenerate, 1 << 20},
	} {
		if *d.value <= 0 {
			*d.value = d.std
		}
	}
	if o.File == "" {
		o.File = "input"
	}
	if o.Class == 0 {
		o.Class = dns.ClassIN
	}
}

// Entry is a record in the reader's own memory: Owner and Data are good until
// the next call of the Reader.
type Entry struct {
	Owner []byte // uncompressed wire form, case kept
	Type  dns.Type
	Class dns.Class
	TTL   uint32
	Data  dns.RData
}

// Reader reads the records of a master file one after the other.
type Reader struct {
	opts    Options
	src     *source   // the file being read
	parents []*source // the files that include it, the outermost first
	root    *os.Root  // Options.IncludeDir, once it is needed
	spare   []byte    // the buffer of an included file that was closed

	lex   lexer
	owner *owner // that of src
	ttl   ttlState
	types typeCache
	gen   generator

	entry Entry
	data  []byte
	name  dns.Name // the owner that Next gave last

	files                  []File
	included, made, errors int // against the limits of opts
	done                   bool
	ahead                  bool // it reads a piece of another Reader's text
}

// NewReader returns a Reader of the text of r. It reads ahead.
func NewReader(r io.Reader, opts Options) *Reader {
	opts.setDefaults()
	src := &source{name: opts.File, in: r, origin: opts.Origin}
	if f, ok := r.(interface{ Stat() (fs.FileInfo, error) }); ok {
		src.info, _ = f.Stat() // unknown is fine: it only helps to name a cycle
	}
	z := &Reader{opts: opts, src: src, owner: &src.owner}
	z.files = append(z.files, File{src.name, src.info})
	if opts.DefaultTTL != 0 {
		z.ttl.setDefault(opts.DefaultTTL)
	}
	return z
}

// Open returns a Reader of the file called name, which is also what errors call
// it unless opts says otherwise. Unless opts says otherwise, $INCLUDE takes
// files from the directory that the file is in. Close the Reader after use.
func Open(name string, opts Options) (*Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening zone file: %w", err)
	}
	if opts.File == "" {
		opts.File = name
	}
	if opts.IncludeDir == "" {
		opts.IncludeDir = filepath.Dir(name)
	}
	z := NewReader(f, opts)
	z.src.closer = f
	return z, nil
}

// File is a file that a Reader reads.
type File struct {
	Name string
	Info fs.FileInfo // from before its text was read; nil where the text is no file
}

// Files returns the files that have been opened so far, the first one first and
// then those that $INCLUDE named. It may be called after Close.
func (z *Reader) Files() []File { return z.files }

// Size returns the size of the first file in octets, 0 where it is no file.
func (z *Reader) Size() int64 {
	if info := z.files[0].Info; info != nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// Close closes the files that the reader opened. It need not be called after a
// NewReader that was read to its end.
func (z *Reader) Close() error {
	if z.done {
		return nil
	}
	for _, s := range z.parents {
		s.close()
	}
	z.src.close()
	z.parents, z.done, z.gen.active = nil, true, false
	if z.root != nil {
		_ = z.root.Close() // nothing was written
		z.root = nil
	}
	return nil
}

// Next returns the next record. Its Name is the caller's for good; its Data is
// good until the next call. The error is io.EOF at the end and else an *Error,
// after which the caller may go on: the entry, and where it cannot be told where
// it ends also what belongs to it, is left out. What was read from a text with
// errors is not the zone, and must not be served as it.
func (z *Reader) Next() (dns.Record, error) {
	e, err := z.NextEntry()
	if err != nil {
		return dns.Record{}, err
	}
	if z.name.Wire() != string(e.Owner) {
		if z.name, err = dns.NameFromWire(e.Owner); err != nil {
			return dns.Record{}, fmt.Errorf("reading an owner: %w", err)
		}
	}
	return dns.Record{Name: z.name, Type: e.Type, Class: e.Class, TTL: e.TTL, Data: e.Data}, nil
}

// NextEntry is Next without any allocation: all of the entry is good until the
// next call only.
func (z *Reader) NextEntry() (*Entry, error) {
	for !z.done {
		if e, f := z.advance(); f != nil {
			return nil, z.report(f)
		} else if e != nil {
			return e, nil
		}
	}
	return nil, io.EOF
}

// Pos returns the place of the record that was returned last: where its entry
// begins.
func (z *Reader) Pos() (file string, line, col int) {
	off := 0
	if len(z.lex.offs) > 0 {
		off = int(z.lex.offs[0])
	}
	line, col = z.src.place(off)
	return z.src.name, line, col
}

// ReadAll reads to the end and returns copies of all records. The error is nil
// or Errors: everything that is wrong. It closes the reader.
func (z *Reader) ReadAll() ([]dns.Record, error) {
	defer z.Close()
	var records []dns.Record
	var errs Errors
	for {
		rec, err := z.Next()
		switch e := err.(type) {
		case nil:
			rec.Data = append(dns.RData(nil), rec.Data...)
			records = append(records, rec)
		case *Error:
			errs = append(errs, e)
		default:
			if len(errs) > 0 {
				return records, errs
			}
			return records, nil
		}
	}
}

// advance handles one entry, or one step of $GENERATE. It returns neither an
// entry nor a fault where that gave no record.
func (z *Reader) advance() (*Entry, *fault) {
	if z.gen.active {
		return z.gen.next(z)
	}
	err := z.src.next(&z.lex)
	switch {
	case err == io.EOF:
		z.leave()
		return nil, nil
	case err == errUTF16:
		return nil, faultAt(0, err.Error(), "ASCII or UTF-8")
	case err != nil:
		return nil, z.src.broken(err)
	case z.lex.fault != nil:
		z.salvageOwner()
		return nil, z.lex.fault
	case len(z.lex.toks) == 0:
		return nil, nil
	case z.isDirective():
		return nil, z.directive()
	}
	return z.record()
}

// leave goes back to the including file, or ends.
func (z *Reader) leave() {
	last := len(z.parents) - 1
	if last < 0 {
		z.Close()
		return
	}
	z.src.close()
	z.spare = z.src.buf
	z.src, z.parents = z.parents[last], z.parents[:last]
	// RFC 1035 §5.1: an included file never changes its includer's origin.
	z.owner = &z.src.owner
}

// report makes an Error of a fault in the current entry.
func (z *Reader) report(f *fault) *Error {
	line, col := z.src.place(f.off)
	e := &Error{File: z.src.name, Line: line, Col: col, What: f.what, Want: f.want, Err: f.err}
	if z.errors++; z.errors > z.opts.MaxErrors {
		z.Close()
		e.What = fmt.Sprintf("more than %d errors", z.opts.MaxErrors)
		e.Want, e.Err = "fewer; the rest was not read", nil
	}
	return e
}
