package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"onoma/dns"
)

// defaultTemplate is the name of the template of zones that name none.
const defaultTemplate = "default"

// template is one that zones, other templates and catalogs may name.
type template struct {
	part
	busy, done bool
	Template
}

// readTemplates reads the templates of all files. They may start from one another.
func (d *decoder) readTemplates(parts []part) []Template {
	var names []string
	for _, p := range parts {
		d.file = p.file
		m, ok := d.mapping(p.value, "templates")
		if !ok {
			continue
		}
		for _, e := range m.entries {
			if d.templates[e.key.Value] != nil {
				d.fail(e.key, "it once", "template %s is given twice", shorten(e.key.Value))
				continue
			}
			d.templates[e.key.Value] = &template{part: part{p.file, e}}
			names = append(names, e.key.Value)
		}
	}
	out := make([]Template, 0, len(names))
	for _, name := range names {
		t := d.templates[name]
		d.resolveTemplate(t)
		out = append(out, t.Template)
	}
	return out
}

func (d *decoder) resolveTemplate(t *template) {
	if t.done {
		return
	}
	file := d.file
	t.busy, d.file = true, t.file
	t.Name = t.key.Value
	what := "template " + shorten(t.Name)
	if m, ok := d.mapping(t.value, what); ok {
		t.Settings = d.start(m, "")
		d.fields(m, reflect.ValueOf(&t.Template).Elem(), what)
	}
	t.busy, t.done, d.file = false, true, file
}

// start returns what a zone or template begins with: the template that it names,
// that called fallback, or the defaults.
func (d *decoder) start(m *mapping, fallback string) Settings {
	var s Settings
	name, at := fallback, m.node
	if n := m.get("template"); n != nil {
		name, at = d.follow(n).Value, n
	}
	t := d.templates[name]
	switch {
	case t == nil && (name == "" || at == m.node):
	case t == nil:
		d.wantTemplate(at, name)
	case t.busy:
		d.fail(at, "templates that end somewhere", "template %s starts from itself", shorten(name))
	default:
		d.resolveTemplate(t)
		return t.Settings
	}
	d.defaults(reflect.ValueOf(&s).Elem())
	return s
}

// wantTemplate notes a template that there is not.
func (d *decoder) wantTemplate(n *yaml.Node, name string) {
	if name == "" || d.templates[name] != nil {
		return
	}
	words := slices.Sorted(maps.Keys(d.templates))
	d.fail(n, "a name that templates has", "there is no template %q%s", shorten(name), nearest(name, words))
}

// zones reads a mapping of zones.
func (d *decoder) zones(n *yaml.Node) []Zone {
	m, ok := d.mapping(n, "zones")
	if !ok {
		return nil
	}
	out := make([]Zone, 0, len(m.entries))
	for _, e := range m.entries {
		if z, ok := d.zone(e); ok {
			out = append(out, z)
		}
	}
	return out
}

// zone reads one zone. Its settings are those of its template, with its own on top.
func (d *decoder) zone(e entry) (z Zone, ok bool) {
	before := len(d.errs)
	d.scalar(e.key, e.key, reflect.ValueOf(&z.Name).Elem(), &field{name: "zone"})
	z.At = d.at(e.key)
	what := "zone " + shorten(e.key.Value)
	m, isMapping := d.mapping(e.value, what)
	if !isMapping {
		return z, false
	}
	m.node = e.key
	z.Settings = d.start(m, defaultTemplate)
	z.Template = ""
	d.fields(m, reflect.ValueOf(&z).Elem(), what)
	if z.Template == "" && d.templates[defaultTemplate] != nil {
		z.Template = defaultTemplate
	}
	if len(d.errs) > before {
		return z, false
	}
	d.checkZone(m, &z)
	if !z.MemberOf.IsZero() {
		d.members = append(d.members, member{d.at(m.at("member-of")), z.MemberOf})
	}
	return z, true
}

// ExpandFile writes the name of the zone and that of its view into the path of a
// zone file that a template has: {zone} and {view}.
func ExpandFile(path string, name dns.Name, view string) string {
	if !strings.Contains(path, "{") {
		return path
	}
	text := strings.TrimSuffix(name.Fold().String(), ".")
	if name.IsRoot() {
		text = "@"
	}
	text = strings.ReplaceAll(text, string(filepath.Separator), `\047`)
	return strings.NewReplacer("{zone}", text, "{view}", view).Replace(path)
}

// Member returns the settings of a zone that a catalog lists: those of the named
// template, with the zone's own name in its file.
func (c *Config) Member(name dns.Name, view, template string) (Zone, error) {
	i := slices.IndexFunc(c.Templates, func(t Template) bool { return t.Name == template })
	if i < 0 {
		return Zone{}, fmt.Errorf("there is no template %q", template)
	}
	z := Zone{Name: name, Template: template, Settings: c.Templates[i].Settings, View: view}
	z.File = ExpandFile(z.File, name, view)
	return z, nil
}
