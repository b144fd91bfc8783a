package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"onoma/dns"
)

const (
	// Small texts need little; large ones are read in steps that stay in the
	// processor's cache.
	firstBuffer = 4 << 10
	usualBuffer = 64 << 10
	// maxEntry bounds one entry and thus the memory of a reader. 64 KiB of
	// rdata are at most 384 KiB of text, written \DDD or as type numbers.
	maxEntry = 1 << 20
)

// source is one file being read: the entry at hand and what else of the file
// is in the buffer.
type source struct {
	name   string
	in     io.Reader
	closer io.Closer   // nil: not ours to close
	info   fs.FileInfo // nil: unknown

	origin dns.Name
	owner  owner

	buf      []byte
	pos, end int   // what is in the buffer and not yet consumed
	read     int64 // offset in the file of what follows the buffer
	used     int   // octets of the current entry, consumed by the next call
	lines    int   // line ends in these
	line     int   // line number at pos, which is at column one unless skip says otherwise
	err      error // io.EOF or the error that ended reading
	skip     resync
	begun    bool
}

var (
	errTooLong = errors.New("entry is too long")
	errUTF16   = errors.New("text is in UTF-16")
)

// next scans the next entry into x, whose words are good until the following
// call. At the end it returns io.EOF or the error of reading.
func (s *source) next(x *lexer) error {
	s.pos += s.used
	s.line += s.lines
	s.used, s.lines = 0, 0
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.resync(); err != nil {
		return err
	}
	for {
		if s.pos == s.end && s.err != nil {
			return s.err
		}
		text := s.buf[s.pos:s.end]
		if n := x.scan(text, s.err == io.EOF); n >= 0 {
			s.used, s.lines, s.skip = n, x.lines, x.skip
			return nil
		}
		if s.err != nil { // cut off by an error: half an entry is no entry
			return s.err
		}
		if len(text) >= maxEntry {
			s.tooLong(x, text)
			return nil
		}
		s.fill()
	}
}

// begin reads the first octets and leaves out a byte order mark.
func (s *source) begin() error {
	if s.begun {
		return nil
	}
	s.begun, s.line = true, 1
	s.fill()
	text := s.buf[s.pos:s.end]
	if bytes.HasPrefix(text, []byte("\xEF\xBB\xBF")) {
		s.pos += 3
	}
	if bytes.HasPrefix(text, []byte("\xFE\xFF")) || bytes.HasPrefix(text, []byte("\xFF\xFE")) {
		s.err = io.EOF
		s.pos = s.end
		return errUTF16
	}
	return nil
}

// tooLong handles text that fills the buffer and is no whole entry. Mostly the
// cause is something that was never closed, and that is then the error.
func (s *source) tooLong(x *lexer, text []byte) {
	n := x.scan(text, true)
	if x.skip == atOnce { // the line goes on behind the buffer
		x.skip = atNextLine
	}
	if x.fault == nil {
		x.fault = faultAt(0, "entry is too long", fmt.Sprintf("at most %d octets", maxEntry))
		x.fault.err = errTooLong
	}
	s.used, s.lines, s.skip = n, x.lines, x.skip
}

// broken makes a fault of the error that reading ended with. What follows is
// the end of the file.
func (s *source) broken(err error) *fault {
	f := &fault{off: s.end - s.pos, what: fmt.Sprintf("reading: %v", err), err: err}
	s.used = s.end - s.pos
	s.err = io.EOF
	return f
}

// resync leaves out what s.skip says.
func (s *source) resync() error {
	for s.skip != atOnce {
		n := bytes.IndexByte(s.buf[s.pos:s.end], '\n')
		switch {
		case n >= 0:
			s.pos += n + 1
			s.line++
			if s.skip == atNextLine {
				s.skip = atOnce
				return nil
			}
			if err := s.skipGroup(); err != nil {
				return err
			}
		case s.err != nil:
			s.pos, s.skip = s.end, atOnce
			return s.err
		default:
			s.pos = s.end
			s.fill()
		}
	}
	return nil
}

// skipGroup looks at column one: an entry begins there unless it is blank, or
// closes a group.
func (s *source) skipGroup() error {
	if s.pos == s.end && s.err == nil {
		s.fill()
	}
	if s.pos == s.end {
		s.skip = atOnce
		return s.err
	}
	switch kinds[s.buf[s.pos]] {
	case blank, lineEnd, carriage, comment, closing:
	default:
		s.skip = atOnce
	}
	return nil
}

// fill reads as much as the buffer takes. It grows to its usual size with the
// text, and beyond for an entry that fills it.
func (s *source) fill() {
	if s.pos > 0 {
		s.end = copy(s.buf, s.buf[s.pos:s.end])
		s.pos = 0
	}
	if s.end == len(s.buf) || len(s.buf) < usualBuffer {
		grown := make([]byte, max(firstBuffer, min(8*len(s.buf), usualBuffer), 2*s.end))
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	for idle := 0; s.end < len(s.buf) && s.err == nil; {
		n, err := s.in.Read(s.buf[s.end:])
		s.end += n
		s.read += int64(n)
		s.err = err
		if idle++; n > 0 {
			idle = 0
		}
		if idle == 100 {
			s.err = io.ErrNoProgress
		}
	}
}

// place returns the line and column of the offset off in the current entry.
func (s *source) place(off int) (line, col int) {
	text := s.buf[s.pos:min(s.pos+off, s.end)]
	return s.line + bytes.Count(text, []byte{'\n'}), len(text) - bytes.LastIndexByte(text, '\n')
}

func (s *source) close() {
	if s.closer != nil {
		_ = s.closer.Close() // it was only read
	}
}
