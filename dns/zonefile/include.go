package zonefile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// include obeys $INCLUDE file [origin] (RFC 1035 §5.1).
func (z *Reader) include() *fault {
	if f := z.arguments(1, 2, "a file name"); f != nil {
		return f
	}
	origin := z.src.origin
	if len(z.lex.toks) == 3 {
		var f *fault
		if origin, f = z.parseName(2, "origin"); f != nil {
			return f
		}
	}
	child, f := z.openIncluded(string(unescape(z.lex.toks[1].Text)))
	if f != nil {
		f.off = z.lex.off(1)
		return f
	}
	child.origin = origin
	child.owner.inherit(z.owner)
	child.buf, z.spare = z.spare, nil
	z.files = append(z.files, File{child.name, child.info})
	z.included++
	z.parents = append(z.parents, z.src)
	z.src, z.owner = child, &child.owner
	return nil
}

// openIncluded opens a file within the include directory. os.Root sees to it
// that no path and no symbolic link leads out of it.
func (z *Reader) openIncluded(path string) (*source, *fault) {
	dir := z.opts.IncludeDir
	switch {
	case dir == "":
		return nil, faultAt(0, "$INCLUDE", "none: there is no directory to include files from")
	case len(z.parents) >= z.opts.MaxIncludeDepth:
		return nil, faultAt(0, "$INCLUDE within too many others", fmt.Sprintf("at most %d", z.opts.MaxIncludeDepth))
	case z.included >= z.opts.MaxIncludes:
		return nil, faultAt(0, "too many $INCLUDE", fmt.Sprintf("at most %d in all", z.opts.MaxIncludes))
	}
	local, err := localPath(dir, path)
	if err == nil && z.root == nil {
		z.root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return nil, openFault(path, dir, err)
	}
	// Opening a pipe or a device might block: look before.
	info, err := z.root.Stat(local)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file")
	}
	if err != nil {
		return nil, openFault(path, dir, err)
	}
	if f := z.checkCycle(filepath.Join(dir, local), info); f != nil {
		return nil, f
	}
	file, err := z.root.Open(local)
	if err != nil {
		return nil, openFault(path, dir, err)
	}
	return &source{name: filepath.Join(dir, local), in: file, closer: file, info: info}, nil
}

// localPath returns path as seen from dir. An absolute path may name a file
// in dir, too.
func localPath(dir, path string) (string, error) {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		if path, err = filepath.Rel(abs, path); err != nil {
			return "", err
		}
	}
	if !filepath.IsLocal(path) {
		return "", fmt.Errorf("path leads out of the directory")
	}
	return filepath.Clean(path), nil
}

func openFault(path, dir string, err error) *fault {
	cause := err
	if pe, ok := err.(*fs.PathError); ok {
		cause = pe.Err // its path is in the message already
	}
	f := faultAt(0, fmt.Sprintf("including %s: %v", show([]byte(path)), cause), "a file in the directory "+dir)
	f.err = err
	return f
}

// checkCycle reports whether the file is being read already, and by which way.
func (z *Reader) checkCycle(name string, info fs.FileInfo) *fault {
	open := append(z.parents[:len(z.parents):len(z.parents)], z.src)
	for i, s := range open {
		if s.name != name && (s.info == nil || !os.SameFile(s.info, info)) {
			continue
		}
		var way []string
		for _, s := range open[i:] {
			way = append(way, s.name)
		}
		way = append(way, name)
		return faultAt(0, "file includes itself: "+strings.Join(way, " -> "), "a file that is not being read")
	}
	return nil
}

// unescape resolves the escapes of a file name or of a text within quotes.
func unescape(text []byte) []byte {
	var out []byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			c = text[i]
			if v, ok := threeDigits(text[i:]); ok {
				c, i = v, i+2
			}
		}
		out = append(out, c)
	}
	return out
}

// threeDigits reads the DDD of an escape.
func threeDigits(s []byte) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	v := 0
	for _, c := range s[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return byte(v), v < 256
}
