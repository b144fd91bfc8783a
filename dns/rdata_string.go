package dns

import (
	"fmt"
	"strings"
)

// This file reads rdata and records that stand alone in a string, as an API, a
// command line or a test has them. Whole files are dns/zonefile's.

// ParseRDataString reads rdata of type t in presentation form from one line.
func ParseRDataString(t Type, s string, origin Name) (RData, error) {
	toks, err := splitTokens(s)
	if err != nil {
		return nil, err
	}
	return ParseRData(nil, t, toks, origin)
}

// splitTokens splits a line at its blanks, quotes respected.
func splitTokens(s string) ([]Token, error) {
	var toks []Token
	for i := 0; ; {
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		if i == len(s) {
			return toks, nil
		}
		end, closed := tokenEnd(s, i)
		if !closed {
			return nil, &TextError{len(toks), "quote that is not closed", `a second "`}
		}
		if s[i] == '"' {
			toks = append(toks, Token{[]byte(s[i+1 : end-1]), true})
		} else {
			toks = append(toks, Token{[]byte(s[i:end]), false})
		}
		i = end
	}
}

// tokenEnd returns the end of the token at s[i:], and whether its quotes are
// closed. A token that begins with a quote ends with the next one.
func tokenEnd(s string, i int) (end int, closed bool) {
	start, quoted := i, false
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			if quoted && s[start] == '"' {
				return i + 1, true
			}
			quoted = !quoted
		case !quoted && isBlank(c):
			return i, true
		}
	}
	return min(i, len(s)), !quoted
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// ParseRecord reads a record in one line, with all its fields in the order that
// [Record.String] writes them: owner, TTL, class, type, rdata. TTL and class
// may be missing: 3600 and IN.
func ParseRecord(s string) (Record, error) {
	fields := strings.Fields(s)
	if len(fields) < 2 {
		return Record{}, fmt.Errorf("record %q: owner name and type expected", s)
	}
	owner, err := ParseName(fields[0])
	if err != nil {
		return Record{}, fmt.Errorf("record %q: %w", s, err)
	}
	r := Record{Name: owner, TTL: 3600, Class: ClassIN}
	rest := cutField(s)
	for _, f := range fields[1:] {
		if v, ok := ParseTTL(f); ok {
			r.TTL = v
		} else if c, ok := ParseClass(f); ok && f != "ANY" {
			r.Class = c
		} else if r.Type, ok = ParseType(f); !ok {
			return Record{}, fmt.Errorf("record %q: unknown type %q", s, f)
		}
		if rest = cutField(rest); r.Type != TypeNone {
			break
		}
	}
	if r.Data, err = ParseRDataString(r.Type, rest, Root); err != nil {
		return Record{}, fmt.Errorf("record %q: %w", s, err)
	}
	return r, nil
}

// cutField returns s without its first word.
func cutField(s string) string {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[i:]
	}
	return ""
}

// MustRecord is ParseRecord for constants and tests: it panics on an error.
func MustRecord(s string) Record {
	r, err := ParseRecord(s)
	if err != nil {
		panic("dns: " + err.Error())
	}
	return r
}
