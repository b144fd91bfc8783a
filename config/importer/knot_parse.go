package importer

import (
	"strings"

	"onoma/config"
)

// readKnot reads a knot.conf, whose form is a part of YAML: sections at the left
// margin, in them attributes, of which those with a dash begin another item.
func (k *knot) readKnot(path string, depth int) error {
	text, err := k.r.read(path)
	if err != nil {
		return err
	}
	kind := ""
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line, at := strings.TrimRight(lines[i], " \t\r"), config.Pos{File: path, Line: i + 1, Column: 1}
		for strings.Count(line, "[") > strings.Count(line, "]") && i+1 < len(lines) {
			i++
			line += " " + lines[i] // a list that goes on
		}
		rest := strings.TrimLeft(line, " \t")
		indent := len(line) - len(rest)
		if rest == "" || rest[0] == '#' {
			continue
		}
		at.Column += indent
		a, ok := knotLine(rest, at)
		switch {
		case !ok:
			return &SyntaxError{at, "expected NAME: VALUE"}
		case a.name == "include" && indent == 0:
			if err := k.include(a, depth); err != nil {
				return err
			}
		case indent == 0 && !a.isItem:
			kind = a.name
			k.begun = kind
			if contains(kind, "server", "database", "statistics", "control", "xdp") {
				k.sections = append(k.sections, &section{at: at, name: kind})
			}
		case kind == "":
			return &SyntaxError{at, a.name + ": stands in no section"}
		default:
			k.attribute(kind, a)
		}
	}
	return nil
}

// attribute adds one to the item that it belongs to.
func (k *knot) attribute(kind string, a attribute) {
	last := len(k.sections) - 1
	if a.isItem || last < 0 || k.sections[last].name != kind {
		k.sections = append(k.sections, &section{at: a.at, name: kind})
		last++
	}
	s := k.sections[last]
	s.attrs = append(s.attrs, a)
}

// knotLine reads [- ]NAME: VALUE, or [- ]NAME: [VALUE, ...].
func knotLine(text string, at config.Pos) (attribute, bool) {
	a := attribute{at: at}
	if rest, isItem := strings.CutPrefix(text, "-"); isItem {
		a.isItem = true
		text = strings.TrimLeft(rest, " \t")
	}
	name, rest, ok := strings.Cut(text, ":")
	a.name = strings.TrimSpace(name)
	words, _, quoted := splitWords(rest, "[],")
	for i, w := range words {
		if quoted[i] || !contains(w, "[", "]", ",") {
			a.values = append(a.values, w)
		}
	}
	return a, ok && a.name != ""
}

func (k *knot) include(a attribute, depth int) error {
	if depth == maxDepth {
		return &SyntaxError{a.at, "files include one another too deeply"}
	}
	paths := k.r.glob(a.at.File, a.value())
	if len(paths) == 0 {
		k.d.note(a.at, "%s is left out: there is no such file", a.value())
	}
	for _, path := range paths {
		if err := k.readKnot(path, depth+1); err != nil {
			return err
		}
	}
	return nil
}
