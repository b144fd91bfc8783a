package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"onoma/dns"
)

// decoder makes a Config of the parsed text of one or more files.
type decoder struct {
	o       Options
	c       *Config
	errs    Errors
	file    string // that the node at hand is in
	visits  int    // of nodes, through aliases too, that are left
	layouts layouts

	keys      map[dns.Name]Pos // by folded name
	remotes   map[string]*Remote
	unnamed   map[string]*Remote // by text
	lists     map[string]*list
	templates map[string]*template
	policies  map[string]bool
	tokens    map[string]bool
	members   []member
	top       map[string][]part // the settings of the outermost mappings
}

// fail notes a mistake at n.
func (d *decoder) fail(n *yaml.Node, want, format string, args ...any) {
	d.failAt(d.at(n), want, format, args...)
}

func (d *decoder) failAt(p Pos, want, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{p, fmt.Sprintf(format, args...), want})
	}
}

func (d *decoder) at(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

// entry is a key of a mapping and what stands behind it.
type entry struct {
	key, value *yaml.Node
}

// setting returns the place of item i of a setting of the whole file; where it is
// no list, or a default, that of the setting or the file.
func (d *decoder) setting(name string, i int) Pos {
	if len(d.top[name]) == 0 {
		return Pos{File: d.file}
	}
	p := d.top[name][0]
	n := p.value
	if items := d.follow(n).Content; n.Kind == yaml.SequenceNode && i < len(items) {
		n = items[i]
	}
	return Pos{p.file, n.Line, n.Column}
}

// mapping is a mapping with its merge keys resolved, in the order of the file.
type mapping struct {
	node    *yaml.Node
	entries []entry
}

// at returns the place of a key, or of the whole where there is none.
func (m *mapping) at(key string) *yaml.Node {
	for _, e := range m.entries {
		if e.key.Value == key {
			return e.key
		}
	}
	return m.node
}

// has reports whether the mapping has the key.
func (m *mapping) has(key string) bool { return m.at(key) != m.node }

// get returns what stands behind a key, nil where it is absent.
func (m *mapping) get(key string) *yaml.Node {
	for _, e := range m.entries {
		if e.key.Value == key {
			return e.value
		}
	}
	return nil
}

// visit counts a node that is looked at. Aliases make many of few, so their
// number has a bound that no honest file comes near.
func (d *decoder) visit(n *yaml.Node) bool {
	d.visits--
	if d.visits == 0 {
		d.fail(n, "a file that is written out", "too much is repeated by anchors")
	}
	return d.visits > 0
}

const maxAliases = 16 // one alias that names another, and so on

// follow returns what an alias stands for.
func (d *decoder) follow(n *yaml.Node) *yaml.Node {
	for range maxAliases {
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}

// mapping reads n as one. what says what n is, in an error.
func (d *decoder) mapping(n *yaml.Node, what string) (*mapping, bool) {
	target := d.follow(n)
	m := &mapping{node: n}
	if isNull(target) {
		return m, true
	}
	if target.Kind != yaml.MappingNode {
		d.fail(n, "KEY: VALUE lines", "%s is %s", what, kindName(target))
		return nil, false
	}
	d.collect(m, target, 0)
	return m, true
}

// collect adds the entries of n to m, and after its own those of merge keys.
func (d *decoder) collect(m *mapping, n *yaml.Node, depth int) {
	own := make(map[string]*yaml.Node, len(n.Content)/2)
	for _, e := range m.entries {
		own[e.key.Value] = nil // what merges brings is overridden without a word
	}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.visit(key) {
			return
		}
		if isMerge(key) {
			merges = append(merges, value)
			continue
		}
		key = d.follow(key)
		if key.Kind != yaml.ScalarNode {
			d.fail(key, "a word", "the key is %s", kindName(key))
			continue
		}
		first, twice := own[key.Value]
		switch {
		case twice && first != nil:
			d.fail(key, fmt.Sprintf("it once; it is in line %d already", first.Line), "%s is given twice", key.Value)
		case !twice:
			own[key.Value] = key
			m.entries = append(m.entries, entry{key, value})
		}
	}
	for _, n := range merges {
		d.merge(m, n, depth)
	}
}

func (d *decoder) merge(m *mapping, n *yaml.Node, depth int) {
	target := d.follow(n)
	switch {
	case depth == maxAliases:
		d.fail(n, "mappings that end somewhere", "<< is nested too deeply")
	case target.Kind == yaml.MappingNode:
		d.collect(m, target, depth+1)
	case target.Kind == yaml.SequenceNode:
		for _, e := range target.Content {
			if d.visit(e) {
				d.merge(m, e, depth+1)
			}
		}
	default:
		d.fail(n, "an alias such as *name of a mapping", "behind << stands %s", kindName(target))
	}
}

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 &&
		(n.Value == "" || n.Value == "~" || n.Value == "null")
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}

// defaults fills in what is not in the file.
func (d *decoder) defaults(v reflect.Value) {
	for _, f := range d.layouts.of(v.Type()).fields {
		at := v.FieldByIndex(f.index)
		if at.Kind() == reflect.Struct && !isScalar(at.Type()) {
			d.defaults(at)
			continue
		}
		if f.fallback != "" {
			d.value(defaultNode(f.fallback, at), at, &f)
		}
	}
}

// defaultNode is the node that a default would be if it stood in the file.
func defaultNode(text string, v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if v.Kind() != reflect.Slice {
		return n
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, word := range strings.Split(text, ",") {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: word})
	}
	return list
}

// fields reads the keys of m into the struct v, which has its defaults.
func (d *decoder) fields(m *mapping, v reflect.Value, what string) {
	l := d.layouts.of(v.Type())
	for _, e := range m.entries {
		f, ok := l.names[e.key.Value]
		if !ok {
			words := make([]string, 0, len(l.fields))
			for _, f := range l.fields {
				words = append(words, f.name)
			}
			d.fail(e.key, d.oneOf(words), "%s has no setting %q%s", what, shorten(e.key.Value), nearest(e.key.Value, words))
			continue
		}
		d.value(e.value, v.FieldByIndex(f.index), f)
	}
}

// oneOf lists words.
func (d *decoder) oneOf(words []string) string {
	const many = 40
	if len(words) == 0 {
		return ""
	}
	rest := ""
	if len(words) > many {
		words, rest = words[:many], ", ..."
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ") + rest
}

// shorten keeps an error on a line.
func shorten(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// value reads n into v, a setting that f tells about.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f *field) {
	if !d.visit(n) {
		return
	}
	target := d.follow(n)
	switch p := v.Addr().Interface().(type) {
	case *Access:
		*p = d.access(n)
		return
	case *Servers:
		*p = d.servers(n)
		return
	case *[]Zone:
		*p = d.zones(n)
		return
	}
	switch {
	case isScalar(v.Type()):
		d.scalar(n, target, v, f)
	case v.Kind() == reflect.Slice:
		d.slice(n, v, f)
	case v.Kind() == reflect.Pointer:
		d.pointer(n, v, f)
	default:
		if m, ok := d.mapping(n, f.name); ok {
			d.fields(m, v, f.name)
			d.check(m, v)
		}
	}
}

// pointer reads a struct that may be absent. One that is there already comes
// from a template, whose other zones keep theirs.
func (d *decoder) pointer(n *yaml.Node, v reflect.Value, f *field) {
	fresh := reflect.New(v.Type().Elem())
	if v.IsNil() {
		d.defaults(fresh.Elem())
	} else {
		fresh.Elem().Set(v.Elem())
	}
	d.value(n, fresh.Elem(), f)
	v.Set(fresh)
}

// isNamed reports whether t is a list of things with names, which is a mapping
// in the file.
func (d *decoder) isNamed(t reflect.Type) bool {
	if t.Kind() != reflect.Slice {
		return false
	}
	elem := t.Elem()
	return elem.Kind() == reflect.Struct && !isScalar(elem) && d.layouts.of(elem).key != nil
}

// slice reads a list; one value alone is a list of one.
func (d *decoder) slice(n *yaml.Node, v reflect.Value, f *field) {
	if d.isNamed(v.Type()) {
		d.named(n, v, f)
		return
	}
	elem := v.Type().Elem()
	target := d.follow(n)
	items := []*yaml.Node{n}
	switch {
	case target.Kind == yaml.SequenceNode:
		items = target.Content
	case isNull(target):
		items = nil
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		e := reflect.New(elem).Elem()
		if elem.Kind() == reflect.Struct && !isScalar(elem) {
			d.defaults(e)
		}
		d.value(item, e, f)
		out = reflect.Append(out, e)
	}
	if f.path == "command" && len(items) > 0 && strings.Contains(out.Index(0).String(), "/") {
		seenFrom(out.Index(0), filepath.Dir(d.file))
	}
	v.Set(out)
}

// named reads a mapping of names to structs.
func (d *decoder) named(n *yaml.Node, v reflect.Value, f *field) {
	m, ok := d.mapping(n, f.name)
	if !ok {
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(m.entries))
	for _, e := range m.entries {
		item := reflect.New(v.Type().Elem()).Elem()
		if d.element(e, item, f.name) {
			out = reflect.Append(out, item)
		}
	}
	v.Set(out)
}

// element reads one entry of a mapping of names.
func (d *decoder) element(e entry, v reflect.Value, what string) bool {
	l := d.layouts.of(v.Type())
	before := len(d.errs)
	d.scalar(e.key, e.key, v.FieldByIndex(l.key.index), &field{name: "the name"})
	isNamed := len(d.errs) == before
	d.defaults(v)
	d.body(e, v, what)
	return isNamed // else what refers to it would be wrong, too
}

// body reads what stands behind a name.
func (d *decoder) body(e entry, v reflect.Value, what string) {
	l := d.layouts.of(v.Type())
	target := d.follow(e.value)
	if l.value != nil && target.Kind != yaml.MappingNode {
		d.value(e.value, v.FieldByIndex(l.value.index), l.value)
		return
	}
	m, ok := d.mapping(e.value, what+" "+shorten(e.key.Value))
	if !ok {
		return
	}
	if m.node == e.value && len(m.entries) == 0 {
		m.node = e.key
	}
	d.fields(m, v, what+" "+shorten(e.key.Value))
	m.node = e.key
	d.check(m, v)
}

// scalar reads a single value.
func (d *decoder) scalar(n, target *yaml.Node, v reflect.Value, f *field) {
	want := wanted(v.Type(), f)
	if target.Kind != yaml.ScalarNode || isNull(target) {
		d.fail(n, want, "%s is %s", f.name, kindName(target))
		return
	}
	text := target.Value
	if f.oneof != nil && !slices.Contains(f.oneof, text) {
		d.fail(n, want, "%s: %q is none of its words%s", f.name, shorten(text), nearest(text, f.oneof))
		return
	}
	if v.Type() == typeRule {
		v.Set(reflect.ValueOf(d.rule(n, text)))
		return
	}
	got, err := parseScalar(text, v.Type(), f)
	if err != nil {
		if v.Type() == typeSecret {
			text = "the secret"
		} else {
			text = strconv.Quote(shorten(text))
		}
		d.fail(n, want, "%s: %s: %v", f.name, text, err)
		return
	}
	v.Set(got)
	if f.ref == "key" {
		d.wantKey(n, got.Interface().(dns.Name))
	}
	if v.Kind() == reflect.String {
		d.text(n, v, f)
	}
}

// text ends the reading of paths and references.
func (d *decoder) text(n *yaml.Node, v reflect.Value, f *field) {
	text := v.String()
	if f.off && text == "off" {
		if !f.keepOff {
			v.SetString("")
		}
		return
	}
	switch {
	case f.path == "zone" && d.c.ZoneDir != "":
		seenFrom(v, d.c.ZoneDir)
	case f.path == "file" || f.path == "zone":
		seenFrom(v, filepath.Dir(d.file))
	}
	switch f.ref {
	case "template":
		d.wantTemplate(n, text)
	case "policy":
		d.wantPolicy(n, text)
	case "token":
		d.wantToken(n, text)
	}
}

// seenFrom has a path be seen from a directory.
func seenFrom(v reflect.Value, dir string) {
	if text := v.String(); text != "" && !filepath.IsAbs(text) {
		v.SetString(filepath.Join(dir, text))
	}
}

// rule keeps a rule for UPDATE with its place. What it is good for is another
// package's matter; the keys that it names have to be there.
func (d *decoder) rule(n *yaml.Node, text string) Rule {
	if d.o.CheckRule != nil {
		if err := d.o.CheckRule(text); err != nil {
			d.fail(n, "", "update: %v", err)
			return Rule{}
		}
	}
	if words := strings.Fields(text); len(words) > 1 {
		for _, who := range strings.FieldsFunc(words[1], func(r rune) bool { return r == ',' || r == '+' }) {
			if key, ok := strings.CutPrefix(who, "key:"); ok {
				if name, err := dns.ParseName(key); err == nil {
					d.wantKey(n, name)
				}
			}
		}
	}
	return Rule{text, d.at(n)}
}
