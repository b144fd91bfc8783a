package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"onoma/dns"
)

// zoneFlags say which zones to serve.
type zoneFlags struct {
	Zone  []zoneFile `sep:"none" placeholder:"NAME=FILE" help:"Serve this zone from this master file; the flag again for more."`
	Zones string     `placeholder:"FILE" help:"Serve the zones that this file lists, one \"NAME FILE\" a line; for very many of them."`
}

// list returns the zones of both flags. It reads the file of --zones anew.
func (z *zoneFlags) list() ([]zoneFile, error) {
	if len(z.Zone) == 0 && z.Zones == "" {
		return nil, hint(errors.New("no zone to serve"), "--zone NAME=FILE names one, --zones FILE a file that lists many")
	}
	files := append([]zoneFile(nil), z.Zone...)
	if z.Zones == "" {
		return files, nil
	}
	listed, err := readZoneList(z.Zones)
	if err != nil {
		return nil, err
	}
	return append(files, listed...), nil
}

// listError is a mistake in a list of zones and its place.
type listError struct {
	file       string
	line, col  int
	what, want string
}

func (e *listError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s, expected %s", e.file, e.line, e.col, e.what, e.want)
}

// readZoneList reads a list of zones: a name and, behind blanks, a file on each
// line. What follows a # at the start of a line or behind a blank is a comment.
// A file's path is seen from the directory of the list. All mistakes are told.
func readZoneList(path string) ([]zoneFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the list of zones: %w", err)
	}
	var files []zoneFile
	var wrong []error
	line := 0
	seen := make(map[dns.Name]int) // the line of each
	dir := filepath.Dir(path)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, max(len(text)+1, bufio.MaxScanTokenSize))
	for lines.Scan() {
		line++
		f, col, e := parseZoneLine(lines.Text())
		switch before := seen[f.name.Fold()]; {
		case e != nil:
			e.file, e.line = path, line
			wrong = append(wrong, e)
		case f.file == "":
		case before > 0:
			wrong = append(wrong, &listError{path, line, col, "zone " + f.name.String() + " once more", fmt.Sprintf("it in line %d only", before)})
		default:
			seen[f.name.Fold()] = line
			if !filepath.IsAbs(f.file) {
				f.file = filepath.Join(dir, f.file)
			}
			files = append(files, f)
		}
	}
	return files, errors.Join(wrong...)
}

// parseZoneLine reads NAME FILE. There is neither on a line without any.
func parseZoneLine(line string) (f zoneFile, col int, e *listError) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || strings.IndexByte(" \t", line[i-1]) >= 0) {
			line = line[:i]
			break
		}
	}
	rest := strings.TrimLeft(line, " \t")
	col = len(line) - len(rest) + 1
	rest = strings.TrimRight(rest, " \t\r")
	name, file := rest, ""
	if i := strings.IndexAny(rest, " \t"); i >= 0 {
		name, file = rest[:i], strings.TrimLeft(rest[i:], " \t")
	}
	if name == "" {
		return f, col, nil
	}
	n, err := dns.ParseNameIDNA(name)
	switch {
	case err != nil:
		return f, col, &listError{col: col, what: fmt.Sprintf("%q: %v", name, err), want: "the name of a zone"}
	case file == "":
		return f, col, &listError{col: col + len(name), what: "no file for zone " + n.String(), want: "NAME FILE"}
	}
	return zoneFile{n, file}, col, nil
}
