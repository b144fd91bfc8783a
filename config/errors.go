package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is a mistake in a configuration and its place.
type Error struct {
	Pos
	What string // what is wrong
	Want string // what was expected; may be empty
}

// Error returns FILE:LINE:COLUMN: WHAT, expected WANT.
func (e *Error) Error() string {
	text := e.What
	if e.Line > 0 {
		text = e.Pos.String() + ": " + text
	} else if e.File != "" {
		text = e.File + ": " + text
	}
	if e.Want != "" {
		text += ", expected " + e.Want
	}
	return text
}

// Errors are all mistakes of a configuration, in the order of the files and of the lines in them.
type Errors []*Error

// maxErrors is how many mistakes are kept: who has more of them has one that is
// repeated.
const maxErrors = 200

// Error returns all, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted puts the errors into order and drops what is told twice.
func (es Errors) sorted(files []string) Errors {
	rank := make(map[string]int, len(files))
	for i, f := range files {
		rank[f] = i
	}
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(rank[a.File]-rank[b.File], a.Line-b.Line, a.Column-b.Column)
	})
	return slices.CompactFunc(es, func(a, b *Error) bool { return *a == *b })
}

// nearest returns ", did you mean X?" where one of the words is close to s.
func nearest(s string, words []string) string {
	best, least := "", 1+max(min(1, len(s)-1), len(s)/3)
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w), least); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is how many letters have to be put in, taken out, changed or swapped
// with the next one to make b of a; some number of at least limit where it is as much.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit || len(a) > 300 || len(b) > 300 {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
