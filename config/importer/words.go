package importer

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"onoma/config"
)

// attribute is a KEY: VALUE... of nsd.conf or knot.conf.
type attribute struct {
	at     config.Pos
	name   string
	values []string
	isItem bool // a dash stands before it
}

func (a attribute) value() string {
	if len(a.values) == 0 {
		return ""
	}
	return a.values[0]
}

// section is a part of such a file, and its attributes.
type section struct {
	at    config.Pos
	name  string
	attrs []attribute
}

// get returns the last value of an attribute, "" where it is absent.
func (s *section) get(name string) string {
	if all := s.all(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// all returns all values of an attribute.
func (s *section) all(name string) (values []string) {
	for _, a := range s.attrs {
		if a.name == name {
			values = append(values, a.values...)
		}
	}
	return values
}

func (s *section) isOn(name string) bool { return contains(s.get(name), "on", "yes", "true") }

// splitWords takes a line apart: words between blanks, texts in quotation marks;
// what follows a # is a remark. columns tells where they begin.
func splitWords(line, separators string) (words []string, columns []int, quoted []bool) {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case strings.IndexByte(" \t\r\f\v", c) >= 0:
			i++
		case c == '#':
			return words, columns, quoted
		case c == '"' || c == '\'':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				end = len(line) - i - 1
			}
			words, columns, quoted = append(words, line[i+1:i+1+end]), append(columns, i+1), append(quoted, true)
			i += min(end+2, len(line)-i)
		case strings.IndexByte(separators, c) >= 0:
			words, columns, quoted = append(words, line[i:i+1]), append(columns, i+1), append(quoted, false)
			i++
		default:
			end := strings.IndexAny(line[i:], " \t\r\f\v#\""+separators)
			if end < 0 {
				end = len(line) - i
			}
			words, columns, quoted = append(words, line[i:i+end]), append(columns, i+1), append(quoted, false)
			i += end
		}
	}
	return words, columns, quoted
}

var attributeName = regexp.MustCompile(`^[a-z][a-z0-9_-]*:$`)

// address takes ADDR@PORT apart.
func address(s string) (addr netip.Addr, port string, ok bool) {
	text, port, _ := strings.Cut(s, "@")
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), port, err == nil
}

// listenOn writes an address to listen on.
func listenOn(s, port string) (string, bool) {
	addr, own, ok := address(s)
	if own != "" {
		port = own
	}
	text := addr.String()
	if addr.Is6() {
		text = "[" + text + "]"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return text + ":" + strconv.FormatUint(n, 10), ok && err == nil
}

// allowed makes a list of clients of those that are let in and those that are
// turned away before.
func allowed(in []client, holes []netip.Prefix) []client {
	m := matchList{holes: holes}
	m.letIn(in)
	return m.out
}

// pathIn returns a path that is seen from dir.
func pathIn(dir, path string) string {
	if strings.HasPrefix(path, "/") || dir == "" {
		return path
	}
	return strings.TrimSuffix(dir, "/") + "/" + path
}

// template writes the pattern of a zone file: %s is the name of the zone.
func (d *draft) filePattern(at config.Pos, path string) string {
	path = strings.ReplaceAll(path, "%s", "{zone}")
	if i := strings.IndexByte(path, '%'); i >= 0 {
		d.note(at, "%s: %s in a path is not carried over, {zone} and {view} are all there is", path, path[i:min(i+2, len(path))])
	}
	return quote(path)
}

// hasAny reports whether one of the words is among items.
func hasAny(items []string, words ...string) bool {
	return slices.ContainsFunc(items, func(s string) bool { return contains(s, words...) })
}

// shell writes a word of a command that people are told.
func shell(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
