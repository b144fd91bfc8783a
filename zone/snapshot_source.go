package zone

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"onoma/dns/zonefile"
)

// Source is the files that a version was read from, as they were then.
type Source struct {
	Files []SourceFile // the master file, and those that $INCLUDE names
	Read  int64        // when the reading began, in nanoseconds of Unix time
}

// SourceFile is one file of a Source.
type SourceFile struct {
	Path    string // absolute
	Size    int64
	ModTime int64 // in nanoseconds of Unix time
}

// timeGrain is how late a file system may notice that a file has changed: it
// may take the time of the last tick of a clock. A file that was written this
// shortly before it was read may be written again without a trace.
const timeGrain = 20 * time.Millisecond

// sourceOf returns the files that r has read. It is nil where they are not all
// regular files, so that nobody can tell whether they have changed.
func sourceOf(r *zonefile.Reader, begun time.Time) *Source {
	s := &Source{Read: begun.UnixNano()}
	seen := make(map[string]bool)
	for _, f := range r.Files() {
		path, err := filepath.Abs(f.Name)
		if err != nil || f.Info == nil || !f.Info.Mode().IsRegular() {
			return nil
		}
		if !seen[path] {
			seen[path] = true
			s.Files = append(s.Files, SourceFile{path, f.Info.Size(), f.Info.ModTime().UnixNano()})
		}
	}
	return s
}

// IsCurrent reports whether the files are those that a version would be read
// from now, given the path of its master file: none has changed since.
func (s *Source) IsCurrent(path string) bool {
	tooYoung := func(f SourceFile) bool { return f.ModTime > s.Read-int64(timeGrain) }
	return s.LooksCurrent(path) && !slices.ContainsFunc(s.Files, tooYoung)
}

// LooksCurrent reports whether the files have the sizes and times that they had, and
// path is the first. Unlike [Source.IsCurrent] it takes a file that was read within the
// grain of the file system's clock for unchanged: it says whether a person has to be
// told, not whether something has to be read.
func (s *Source) LooksCurrent(path string) bool {
	if s == nil || len(s.Files) == 0 {
		return false
	}
	if abs, err := filepath.Abs(path); err != nil || abs != s.Files[0].Path {
		return false
	}
	for _, f := range s.Files {
		info, err := os.Stat(f.Path)
		if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size || info.ModTime().UnixNano() != f.ModTime {
			return false
		}
	}
	return true
}
