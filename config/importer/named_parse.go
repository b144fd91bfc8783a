package importer

import (
	"fmt"
	"path/filepath"
	"strings"

	"onoma/config"
)

// item is a word of named.conf or a block in braces.
type item struct {
	at      config.Pos
	text    string
	quoted  bool
	isBlock bool
	block   []statement
}

// statement is everything up to a semicolon.
type statement struct {
	items []item
}

func (s statement) at() config.Pos { return s.items[0].at }

// word returns word i, "" where it is absent or a block.
func (s statement) word(i int) string {
	if i < len(s.items) {
		return s.items[i].text
	}
	return ""
}

// block returns the last block, nil where there is none.
func (s statement) block() []statement {
	for i := len(s.items) - 1; i >= 0; i-- {
		if s.items[i].isBlock {
			return s.items[i].block
		}
	}
	return nil
}

// after returns the word behind a word, such as the number behind port.
func (s statement) after(word string) string {
	for i := 1; i+1 < len(s.items); i++ {
		if s.items[i].text == word && !s.items[i].quoted {
			return s.items[i+1].text
		}
	}
	return ""
}

// namedLexer takes the text of a named.conf apart.
type namedLexer struct {
	file      string
	text      string
	pos       int
	line      int
	lineStart int
	next      item // the present token: a word, or one of { } ; and "" at the end
	isPunct   bool
	err       error
}

func (l *namedLexer) here() config.Pos {
	return config.Pos{File: l.file, Line: l.line, Column: l.pos - l.lineStart + 1}
}

func (l *namedLexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = &SyntaxError{l.here(), fmt.Sprintf(format, args...)}
	}
}

// skip passes over blanks and remarks in the styles of C, C++ and the shell.
func (l *namedLexer) skip() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case rest[0] == '\n':
			l.pos++
			l.line, l.lineStart = l.line+1, l.pos
		case strings.IndexByte(" \t\r\f\v", rest[0]) >= 0:
			l.pos++
		case rest[0] == '#' || strings.HasPrefix(rest, "//"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				l.pos += end
			} else {
				l.pos = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				l.fail("a remark begins with /* and does not end")
				l.pos = len(l.text)
				return
			}
			comment := rest[:end+4]
			if last := strings.LastIndexByte(comment, '\n'); last >= 0 {
				l.line += strings.Count(comment, "\n")
				l.lineStart = l.pos + last + 1
			}
			l.pos += len(comment)
		default:
			return
		}
	}
}

// advance reads the next token.
func (l *namedLexer) advance() {
	l.skip()
	l.next, l.isPunct = item{at: l.here()}, false
	if l.pos == len(l.text) {
		return
	}
	rest := l.text[l.pos:]
	switch c := rest[0]; c {
	case '{', '}', ';':
		l.next.text, l.isPunct = rest[:1], true
		l.pos++
	case '"':
		l.quoted(rest)
	default:
		end := strings.IndexAny(rest, " \t\r\n\f\v{};\"")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.Index(rest[:end], "/*"); at > 0 {
			end = at
		}
		l.next.text = rest[:end]
		l.pos += end
	}
}

func (l *namedLexer) quoted(rest string) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			l.next.text, l.next.quoted = b.String(), true
			l.pos += i + 1
			return
		case rest[i] == '\n':
			l.fail("a text begins with \" and does not end in its line")
			l.pos = len(l.text)
			return
		case rest[i] == '\\' && i+1 < len(rest) && (rest[i+1] == '"' || rest[i+1] == '\\'):
			i++
		}
		b.WriteByte(rest[i])
	}
	l.fail("a text begins with \" and does not end")
	l.pos = len(l.text)
}

func (l *namedLexer) isAtEnd() bool {
	return l.err != nil || l.next.text == "" && !l.next.quoted && !l.isPunct
}

func (l *namedLexer) is(punct string) bool { return l.isPunct && l.next.text == punct }

// statements reads up to the end of a block, or of the file.
func (l *namedLexer) statements(depth int) (all []statement) {
	if depth > maxDepth {
		l.fail("blocks are in blocks, more than %d deep", maxDepth)
	}
	for !l.isAtEnd() && !l.is("}") {
		if l.is(";") {
			l.advance()
			continue
		}
		if s := l.statement(depth); len(s.items) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func (l *namedLexer) statement(depth int) (s statement) {
	for !l.isAtEnd() {
		switch {
		case l.is(";"):
			l.advance()
			return s
		case l.is("}"):
			l.fail("} comes before the ; of %q", s.word(0))
		case l.is("{"):
			b := item{at: l.next.at, isBlock: true}
			l.advance()
			b.block = l.statements(depth + 1)
			if l.err == nil && !l.is("}") {
				l.fail("the file ends in a block, expected }")
			}
			l.advance()
			s.items = append(s.items, b)
		default:
			s.items = append(s.items, l.next)
			l.advance()
		}
	}
	if l.err == nil && len(s.items) > 0 {
		l.fail("the file ends in a statement, expected ;")
	}
	return s
}

// parseNamed reads the text of a named.conf.
func parseNamed(file, text string) ([]statement, error) {
	l := &namedLexer{file: file, text: text, line: 1}
	l.advance()
	all := l.statements(0)
	if l.err == nil && !l.isAtEnd() {
		l.fail("} without {")
	}
	return all, l.err
}

// readNamed reads a named.conf and what it includes, wherever that stands.
func (r *reader) readNamed(d *draft, path string, depth int) ([]statement, error) {
	text, err := r.read(path)
	if err != nil {
		return nil, err
	}
	all, err := parseNamed(path, text)
	if err != nil {
		return nil, err
	}
	return r.included(d, path, all, depth)
}

// included puts the contents of files where they are included.
func (r *reader) included(d *draft, path string, all []statement, depth int) ([]statement, error) {
	out := make([]statement, 0, len(all))
	for _, s := range all {
		if s.word(0) != "include" || s.items[0].isBlock {
			for i := range s.items {
				if s.items[i].isBlock {
					block, err := r.included(d, path, s.items[i].block, depth)
					if err != nil {
						return nil, err
					}
					s.items[i].block = block
				}
			}
			out = append(out, s)
			continue
		}
		if depth == maxDepth {
			return nil, &SyntaxError{s.at(), "files include one another too deeply"}
		}
		file := s.word(1)
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		more, err := r.readNamed(d, file, depth+1)
		if _, isSyntax := err.(*SyntaxError); isSyntax {
			return nil, err
		} else if err != nil {
			d.note(s.at(), "%s is left out: %v", s.word(1), err)
			continue
		}
		out = append(out, more...)
	}
	return out, nil
}
