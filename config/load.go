package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"onoma/dns"
)

// Options say how a configuration is read. The zero Options are good.
type Options struct {
	// CheckRule reads a rule for UPDATE; its error is told with the rule's place.
	// nil: rules are taken as they are.
	CheckRule func(text string) error
	// Open opens files; nil: those of the system.
	Open func(path string) (io.ReadCloser, error)
	// Glob finds the files of a pattern; nil: [filepath.Glob].
	Glob func(pattern string) ([]string, error)
}

// Bounds of what is read. A million zones of a hundred octets each fit in.
const (
	maxText     = 256 << 20
	maxFiles    = 10_000
	maxIncludes = 8 // one in the other
)

// Load reads a configuration file and those that it includes. Its error is
// [Errors] where the text is wrong.
func Load(path string, o Options) (*Config, error) {
	if o.Open == nil {
		o.Open = func(path string) (io.ReadCloser, error) { return os.Open(path) }
	}
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	l := loader{o: o, seen: make(map[string]bool)}
	if err := l.load(path, 0); err != nil {
		return nil, err
	}
	return l.decode()
}

// Parse reads the text of a configuration; file is its name, from whose directory
// paths are seen. There is nothing that it can include.
func Parse(file string, text []byte, o Options) (*Config, error) {
	l := loader{o: o, seen: make(map[string]bool)}
	if err := l.add(file, text, 0); err != nil {
		return nil, err
	}
	return l.decode()
}

// part is a key of the outermost mapping of a file.
type part struct {
	file string
	entry
}

// loader gathers the parts of all files.
type loader struct {
	o     Options
	files []string
	seen  map[string]bool
	parts map[string][]part
	order []string // of the keys of parts
	size  int
	d     decoder
}

func (l *loader) load(path string, depth int) error {
	f, err := l.o.Open(path)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(maxText-l.size)+1))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return l.add(path, text, depth)
}

func (l *loader) add(path string, text []byte, depth int) error {
	if l.size += len(text); l.size > maxText {
		return fmt.Errorf("reading the configuration: its files have more than %d MiB", maxText>>20)
	}
	l.files = append(l.files, path)
	l.seen[filepath.Clean(path)] = true
	// Each octet makes a node at most, and each setting is looked at a few times.
	l.d.visits += 100_000 + 4*len(text)
	l.d.file, l.d.o = path, l.o
	root, ok := l.parse(path, text)
	if !ok {
		return nil
	}
	m, ok := l.d.mapping(root, "the file")
	if !ok {
		return nil
	}
	if l.parts == nil {
		l.parts = make(map[string][]part)
	}
	for _, e := range m.entries {
		if len(l.parts[e.key.Value]) == 0 {
			l.order = append(l.order, e.key.Value)
		}
		l.parts[e.key.Value] = append(l.parts[e.key.Value], part{path, e})
	}
	if n := m.get("include"); n != nil {
		return l.include(n, depth)
	}
	return nil
}

// parse makes nodes of text. Where it is no YAML, that is noted.
func (l *loader) parse(path string, text []byte) (root *yaml.Node, ok bool) {
	var doc yaml.Node
	err := yaml.Load(text, &doc)
	if err == nil {
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			return doc.Content[0], true
		}
		return &doc, doc.Kind != 0
	}
	if len(bytes.TrimSpace(text)) == 0 || strings.Contains(err.Error(), "no documents in stream") {
		return &doc, false // an empty file says nothing, which is fine
	}
	pos, what := Pos{File: path}, strings.TrimPrefix(err.Error(), "yaml: ")
	var bad *yaml.LoadError
	if errors.As(err, &bad) {
		pos.Line, pos.Column, what = bad.Mark.Line, bad.Mark.Column, bad.Message
	}
	what, _, _ = strings.Cut(what, "\n")
	if at := invalidUTF8(text); at >= 0 {
		before := text[:at]
		pos.Line, pos.Column = 1+bytes.Count(before, []byte("\n")), at-bytes.LastIndexByte(before, '\n')
	}
	l.d.failAt(pos, yamlWants(text, pos, what), "not YAML: %s", what)
	return nil, false
}

// invalidUTF8 returns where text is not UTF-8, -1 for nowhere.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// yamlWants says what to do about what the reader of YAML has said.
func yamlWants(text []byte, pos Pos, what string) string {
	switch {
	case strings.Contains(what, "cannot start any token"):
		lines := bytes.SplitN(text, []byte("\n"), pos.Line+1)
		if pos.Line > 0 && pos.Line <= len(lines) {
			line := lines[pos.Line-1]
			if bytes.IndexByte(line[:len(line)-len(bytes.TrimLeft(line, " \t"))], '\t') >= 0 {
				return "spaces at the beginning of a line, and no tab"
			}
		}
		return "quotation marks around a text that begins with a sign such as @ or %"
	case strings.Contains(what, "did not find expected key"), strings.Contains(what, "could not find expected ':'"):
		return "KEY: VALUE, as far from the left as the keys beside it, and quotation marks around what has a colon or brackets in it"
	case strings.Contains(what, "unknown anchor"):
		return "an anchor that stands before it, or quotation marks around a text that begins with *"
	case strings.Contains(what, "multiple"):
		return "one document: no line with --- between two"
	case strings.Contains(what, "UTF-8"):
		return "text in UTF-8"
	}
	return ""
}

// include reads the files that patterns name.
func (l *loader) include(n *yaml.Node, depth int) error {
	if l.o.Glob == nil {
		l.d.fail(n, "", "include: there are no other files here")
		return nil
	}
	if depth == maxIncludes {
		l.d.fail(n, "", "include: more than %d files include one another", maxIncludes)
		return nil
	}
	file := l.d.file
	defer func() { l.d.file = file }()
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		l.d.file = file
		if err := l.includeOne(item, depth); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) includeOne(n *yaml.Node, depth int) error {
	pattern := n.Value
	if n.Kind != yaml.ScalarNode || pattern == "" {
		l.d.fail(n, "a path, or a pattern such as zones/*.yaml", "include is %s", kindName(n))
		return nil
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(l.d.file), pattern)
	}
	paths, err := l.o.Glob(pattern)
	if err != nil {
		l.d.fail(n, "a pattern such as zones/*.yaml", "include: %q: %v", shorten(n.Value), err)
		return nil
	}
	if len(paths) == 0 && !strings.ContainsAny(pattern, "*?[") {
		l.d.fail(n, "a file", "include: there is no %s", pattern)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if l.seen[filepath.Clean(path)] {
			continue
		}
		if len(l.files) == maxFiles {
			return fmt.Errorf("reading the configuration: it has more than %d files", maxFiles)
		}
		if err := l.load(path, depth+1); err != nil {
			l.d.fail(n, "", "include: %v", err)
		}
	}
	return nil
}

// decode makes the Config.
func (l *loader) decode() (*Config, error) {
	d := &l.d
	d.c = &Config{Files: l.files}
	d.layouts = make(layouts)
	d.keys, d.unnamed = make(map[dns.Name]Pos), make(map[string]*Remote)
	d.remotes, d.lists, d.templates = make(map[string]*Remote), make(map[string]*list), make(map[string]*template)
	d.policies, d.tokens = make(map[string]bool), make(map[string]bool)
	d.file, d.top = l.files[0], l.parts
	v := reflect.ValueOf(d.c).Elem()
	d.defaults(v)
	top := d.layouts.of(v.Type())
	l.unknown(top)
	for i := range top.fields {
		f := &top.fields[i]
		// The policies have one that need not be written.
		if parts := l.parts[f.name]; (len(parts) > 0 || f.name == "policies") && f.name != "include" {
			l.field(f, v.FieldByIndex(f.index), parts)
		}
	}
	d.file = l.files[0]
	d.finish()
	if len(d.errs) > 0 {
		return nil, d.errs.sorted(l.files)
	}
	return d.c, nil
}

// unknown notes keys that there are not.
func (l *loader) unknown(top *layout) {
	words := make([]string, 0, len(top.fields))
	for _, f := range top.fields {
		words = append(words, f.name)
	}
	for _, key := range l.order {
		if top.names[key] != nil {
			continue
		}
		for _, p := range l.parts[key] {
			l.d.file = p.file
			l.d.fail(p.key, l.d.oneOf(words), "there is no setting %q%s", shorten(key), nearest(key, words))
		}
	}
}

// field reads a setting, which stands in one file, or in several if it has names.
func (l *loader) field(f *field, v reflect.Value, parts []part) {
	d := &l.d
	switch p := v.Addr().Interface().(type) {
	case *[]AccessList:
		*p = d.accessLists(parts)
		return
	case *[]Template:
		*p = d.readTemplates(parts)
		return
	}
	isNamed := d.isNamed(v.Type())
	for i, p := range parts {
		d.file = p.file
		switch {
		case isNamed:
			one := reflect.New(v.Type()).Elem()
			d.value(p.value, one, f)
			v.Set(reflect.AppendSlice(v, one))
		case i > 0:
			d.fail(p.key, fmt.Sprintf("it in one file; it is in %s:%d already", parts[0].file, parts[0].key.Line), "%s is given twice", f.name)
		default:
			d.value(p.value, v, f)
		}
	}
	d.after(v.Addr().Interface())
}
