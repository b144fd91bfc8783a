package zonefile

import (
	"errors"
	"fmt"
	"strings"

	"onoma/dns"
)

// Error is one mistake in a master file and its place. Columns count octets
// from 1.
type Error struct {
	File      string
	Line, Col int
	What      string // what is wrong
	Want      string // what was expected; may be empty
	Err       error  // the cause where that lies outside of the text, else nil
}

// Error returns "file:line:column: what, expected want".
func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.What)
	if e.Want != "" {
		s += ", expected " + e.Want
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is every mistake that one reading found, in the order of the text.
type Errors []*Error

// Error returns the mistakes, one a line.
func (e Errors) Error() string {
	var b strings.Builder
	for i, one := range e {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Unwrap returns the mistakes one by one, for errors.As.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// fault is a mistake whose place is still an offset within its entry.
type fault struct {
	off        int
	what, want string
	err        error
}

func faultAt(off int, what, want string) *fault { return &fault{off: off, what: what, want: want} }

// nameFault explains why a domain name could not be read.
func nameFault(off int, role string, text []byte, err error) *fault {
	want := "a domain name"
	switch {
	case errors.Is(err, dns.ErrNameTooLong):
		want = "a name of at most 255 octets with its origin"
	case errors.Is(err, dns.ErrLabelTooLong):
		want = "labels of at most 63 octets"
	case errors.Is(err, dns.ErrEmptyLabel):
		want = "one dot between labels"
	case errors.Is(err, dns.ErrBadEscape):
		// The dns package's text says what was expected, too.
		return faultAt(off, fmt.Sprintf("%s %s: bad escape", role, show(text)), `\X or \DDD with DDD at most 255`)
	case errors.Is(err, dns.ErrRelativeName):
		want = "a final dot, or $ORIGIN before"
	}
	return faultAt(off, fmt.Sprintf("%s %s: %v", role, show(text), err), want)
}

// show quotes text for a message, cut where it is long.
func show(text []byte) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q...", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
