package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const pagePath = "../docs/configuration.md"

// TestConfigurationPage holds the page of all settings to the types. "go generate
// ./config" writes it anew.
func TestConfigurationPage(t *testing.T) {
	intro, err := os.ReadFile("testdata/page.md")
	if err != nil {
		t.Fatal(err)
	}
	p := page{comments: comments(t), done: make(map[reflect.Type]bool)}
	p.WriteString(string(intro))
	p.section("The file", reflect.TypeFor[Config]())
	got := strings.ReplaceAll(p.String(), "EXAMPLE\n", "```yaml\n"+Example+"```\n")
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(pagePath, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the types say: run \"go generate ./config\"", pagePath)
	}
}

// comments returns those of all fields, by TYPE.FIELD.
func comments(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						all[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return all
}

// page writes the settings of one struct after the other.
type page struct {
	strings.Builder
	comments map[string]string
	done     map[reflect.Type]bool
	path     string // of the section at hand, with a dot behind
	rest     []func()
}

// section writes the settings of a struct, and then of those that are in it.
func (p *page) section(title string, t reflect.Type) {
	if p.done[t] {
		return
	}
	p.done[t] = true
	if t == reflect.TypeFor[Zone]() {
		fmt.Fprintf(p, "\n## %s\n\nThe same settings as those of a template, and `template`: the one that the zone starts from; without it\n"+
			"that called `default`, where there is one. A zone that is all of its template is written as `example.com: {}`.\n", title)
		return
	}
	fmt.Fprintf(p, "\n## %s\n\n| setting | what | default | meaning |\n| --- | --- | --- | --- |\n", title)
	p.rows(t)
	rest := p.rest
	p.rest = nil
	for _, write := range rest {
		write()
	}
}

func (p *page) rows(t reflect.Type) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, mode, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || mode == "key" || mode == "value" && t.NumField() == 2:
			continue
		case mode == "inline":
			p.rows(sf.Type)
			continue
		}
		meaning := withoutSubject(p.comments[t.Name()+"."+sf.Name], sf.Name)
		if sf.Tag.Get("restart") != "" {
			meaning += " *Takes effect at the next start.*"
		}
		fallback := sf.Tag.Get("default")
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		f := readTags(sf.Tag, name, nil)
		fmt.Fprintf(p, "| `%s` | %s | %s | %s |\n", name, p.what(name, sf.Type, &f), fallback, strings.ReplaceAll(meaning, "|", `\|`))
	}
}

// withoutSubject takes the name of the field off its comment: "Data is the
// directory" becomes "The directory".
func withoutSubject(comment, field string) string {
	rest := strings.TrimPrefix(comment, field+" ")
	for _, verb := range []string{"is ", "are "} {
		rest = strings.TrimPrefix(rest, verb)
	}
	if rest == "" {
		return ""
	}
	if word, _, _ := strings.Cut(rest, " "); strings.Contains(word, "://") {
		return rest
	}
	return strings.ToUpper(rest[:1]) + rest[1:]
}

// what says what kind of value a setting has.
func (p *page) what(name string, t reflect.Type, f *field) string {
	switch t {
	case reflect.TypeFor[Access]():
		return "list of clients"
	case reflect.TypeFor[Servers]():
		return "list of servers"
	}
	switch {
	case isScalar(t):
		return scalarWords(t, f)
	case t.Kind() == reflect.Pointer:
		p.later(name, "", t.Elem())
		return "see below"
	case t.Kind() != reflect.Slice:
		p.later(name, "", t)
		return "see below"
	case isScalar(t.Elem()):
		return "list: " + scalarWords(t.Elem(), f)
	}
	switch t.Elem() {
	case reflect.TypeFor[AccessList]():
		return "names, each with a list of clients"
	case reflect.TypeFor[Group]():
		return "names, each with that of a template"
	}
	if _, isNamed := t.Elem().FieldByName("Name"); isNamed {
		p.later(name, ": what stands behind each name", t.Elem())
		return "names, each with settings"
	}
	p.later(name, ": what each has", t.Elem())
	return "list of settings"
}

func (p *page) later(name, remark string, t reflect.Type) {
	path := p.path + name
	p.rest = append(p.rest, func() {
		p.path = path + "."
		p.section("`"+path+"`"+remark, t)
	})
}

func scalarWords(t reflect.Type, f *field) string {
	text, _, _ := strings.Cut(wanted(t, f), " such as ")
	if f.oneof == nil && f.least != "" && !strings.Contains(text, "from") {
		text += fmt.Sprintf(", from %s to %s", f.least, f.most)
	}
	if f.path != "" {
		text = "a path"
	}
	return strings.ReplaceAll(text, "|", `\|`)
}
