package files

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"onoma/zone"
)

// stamp says which files became which version of a zone.
type stamp struct {
	version uint64 // number
	served  uint32 // serial number of that version
	serial  uint32 // that of the file, which may be another
	source  *zone.Source
}

// Limits of what a stamp can be; a file has a few includes.
const (
	stampFormat   = 1
	maxStampFiles = 1 << 16
	maxStampPath  = 1 << 12
)

var errStamp = errors.New("malformed stamp of a zone file")

// append encodes the stamp:
//
//	octet    1, the format
//	uvarint  number of the version
//	uvarint  its serial number, and that in the file
//	varint   when the reading began
//	uvarint  number of files, and for each
//	         uvarint and octets: the path; uvarint size; varint time of modification
func (s *stamp) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, stampFormat), s.version)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.served)), uint64(s.serial))
	dst = binary.AppendVarint(dst, s.source.Read)
	dst = binary.AppendUvarint(dst, uint64(len(s.source.Files)))
	for _, f := range s.source.Files {
		dst = append(binary.AppendUvarint(dst, uint64(len(f.Path))), f.Path...)
		dst = binary.AppendUvarint(dst, uint64(f.Size))
		dst = binary.AppendVarint(dst, f.ModTime)
	}
	return dst
}

// parseStamp decodes what append has made.
func parseStamp(b []byte) (s stamp, err error) {
	r := stampReader{b: b}
	if r.octet() != stampFormat {
		return s, errStamp
	}
	s.version = r.uint(1<<64 - 1)
	s.served = uint32(r.uint(1<<32 - 1))
	s.serial = uint32(r.uint(1<<32 - 1))
	s.source = &zone.Source{Read: r.int()}
	for n := r.uint(maxStampFiles); n > 0 && !r.bad; n-- {
		path := r.text(int(r.uint(maxStampPath)))
		s.source.Files = append(s.source.Files, zone.SourceFile{Path: path, Size: int64(r.uint(1<<63 - 1)), ModTime: r.int()})
	}
	if r.bad || len(r.b) > 0 {
		return stamp{}, errStamp
	}
	return s, nil
}

// stampReader takes values off the front of b, and notes whether they are bad.
type stampReader struct {
	b   []byte
	bad bool
}

func (r *stampReader) octet() byte {
	t := r.text(1)
	if t == "" {
		return 0
	}
	return t[0]
}

func (r *stampReader) text(n int) string {
	if r.bad = r.bad || n > len(r.b); r.bad {
		return ""
	}
	t := string(r.b[:n])
	r.b = r.b[n:]
	return t
}

func (r *stampReader) uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad = r.bad || n <= 0 || v > most; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stampReader) int() int64 {
	v, n := binary.Varint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

// look returns the source that a zone of this one file would have, read now.
func look(path string, now int64) (*zone.Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	return &zone.Source{Read: now, Files: []zone.SourceFile{{Path: abs, Size: info.Size(), ModTime: info.ModTime().UnixNano()}}}, nil
}
