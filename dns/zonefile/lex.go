package zonefile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"onoma/dns"
)

// maxTokens is the most words of one entry. 64 KiB of rdata in hex, every digit
// on its own, just fit.
const maxTokens = 1<<17 + 64

// Kinds of octets. Those from escape on need a second look within a word.
const (
	word uint8 = iota
	blank
	lineEnd
	carriage
	comment
	opening
	closing
	escape
	quote
	control
)

var kinds = func() (t [256]uint8) {
	for c := range ' ' {
		t[c] = control
	}
	t[0x7F] = control
	t[' '], t['\t'] = blank, blank
	t['\n'], t['\r'] = lineEnd, carriage
	t[';'], t['('], t[')'] = comment, opening, closing
	t['\\'], t['"'] = escape, quote
	return t
}()

// resync says what to leave out before the next entry is looked for.
type resync uint8

const (
	atOnce       resync = iota // nothing
	atNextLine                 // the rest of this line
	atNextColumn               // that, and lines that do not begin in column one
)

// lexer cuts one entry of a master file into words (RFC 1035 §5.1). The words
// are slices of the text that it was given.
type lexer struct {
	toks  []dns.Token
	offs  []int32 // where each word begins, from the start of the entry
	end   int     // offset behind the last word
	lines int     // line ends in what was consumed
	blank bool    // a blank stands in column one: the owner is the one before

	fault *fault // the first mistake
	skip  resync

	text  []byte
	pos   int
	open  int  // where the open parenthesis stands, or -1
	over  int  // where the first word beyond maxTokens stands, else 0
	final bool // nothing follows text
}

// scan reads the entry at the start of text, which ends at the first line end
// outside parentheses and quotes. It returns how many octets that took, or -1
// where text ends too early and, as final is false, more may follow.
func (x *lexer) scan(text []byte, final bool) int {
	*x = lexer{toks: x.toks[:0], offs: x.offs[:0], text: text, open: -1, final: final}
	x.blank = len(text) > 0 && kinds[text[0]] == blank
	for x.pos < len(text) {
		more, ok := x.step(text[x.pos])
		switch {
		case !ok:
			return -1
		case !more:
			return x.finish()
		}
	}
	if !final {
		return -1
	}
	if x.open >= 0 {
		x.unclosed("parenthesis is not closed")
	}
	return x.finish()
}

func (x *lexer) finish() int {
	if x.over > 0 {
		x.note(x.over, "too many words", fmt.Sprintf("at most %d in one entry", maxTokens))
	}
	return x.pos
}

// step reads what begins with the octet c at x.pos. more is false where that
// ended the entry, ok where the text is too short to tell.
func (x *lexer) step(c byte) (more, ok bool) {
	b, i := x.text, x.pos
	switch kinds[c] {
	case blank:
		for i++; i < len(b) && kinds[b[i]] == blank; i++ {
		}
		x.pos = i
		return true, true
	case lineEnd:
		x.pos++
		x.lines++
		return x.open >= 0, true
	case carriage:
		if i+1 == len(b) && !x.final {
			return false, false
		}
		if i+1 == len(b) || b[i+1] != '\n' {
			x.note(i, "carriage return alone", "LF or CR LF at the end of a line")
		}
		x.pos++
		return true, true
	case comment:
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			x.pos = len(b)
			return true, x.final
		}
		x.pos = i + n
		return true, true
	case opening, closing:
		x.pos++
		return x.parenthesis(c == '(', i), true
	case quote:
		return x.quoted()
	}
	near := min(i+longWord, len(b))
	for i < near && kinds[b[i]] == word {
		i++
	}
	if i == near {
		i = plainRun(b, i)
	}
	if i < len(b) && kinds[b[i]] >= escape {
		i = x.oddWord(i)
	}
	if i == len(b) && !x.final {
		return false, false
	}
	x.token(b[x.pos:i], x.pos, false)
	x.pos, x.end = i, i
	return true, true
}

// longWord is the length from which a word, mostly base64 or hex, is worth
// looking at eight octets at a time.
const longWord = 16

// plainRun returns the first offset from i on where b has an octet that is not
// of the kind word.
func plainRun(b []byte, i int) int {
	for i+8 <= len(b) && plain8(binary.LittleEndian.Uint64(b[i:])) {
		i += 8
	}
	for i < len(b) && kinds[b[i]] == word {
		i++
	}
	return i
}

// plain8 reports whether all eight octets of v are of the kind word. Where one
// is not, it becomes 0 in y (or is below 0x21 in v), and a subtraction that goes
// below 0 sets a top bit that was clear.
func plain8(v uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	found := (v - 0x21*ones) &^ v
	for _, special := range [...]uint64{'"' * ones, ';' * ones, '\\' * ones, 0x7F * ones} {
		y := v ^ special
		found |= (y - ones) &^ y
	}
	y := (v | ones) ^ (')' * ones) // '(' differs in the lowest bit
	found |= (y - ones) &^ y
	return found&tops == 0
}

func (x *lexer) token(text []byte, off int, quoted bool) {
	if len(x.toks) == maxTokens {
		if x.over == 0 {
			x.over = off
		}
		return
	}
	x.toks = append(x.toks, dns.Token{Text: text, Quoted: quoted})
	x.offs = append(x.offs, int32(off))
}

// note keeps the first mistake of an entry. Those behind it may follow from it.
func (x *lexer) note(off int, what, want string) {
	if x.fault == nil {
		x.fault = faultAt(off, what, want)
	}
}

func (x *lexer) noteControl(off int) {
	x.note(off, fmt.Sprintf("control character 0x%02X", x.text[off]), "text")
}

func (x *lexer) parenthesis(opens bool, at int) (more bool) {
	switch {
	case opens && x.open < 0:
		x.open = at
	case opens && bytes.IndexByte(x.text[x.open:at], '\n') < 0:
		x.note(at, "parenthesis within parentheses", "a closing parenthesis first")
	case opens:
		// The one before was meant to be closed further up.
		x.unclosed("parenthesis is not closed before the next one opens")
		return false
	case x.open < 0:
		x.note(at, "closing parenthesis", "an opening one before it")
	default:
		x.open = -1
	}
	return true
}

// unclosed gives the entry up at its open parenthesis.
func (x *lexer) unclosed(what string) {
	x.note(x.open, what, "a closing parenthesis")
	x.giveUp(x.open)
}

// giveUp ends the entry at off: what follows on that line is left out, and
// where parentheses were open also what looks like the rest of the group.
func (x *lexer) giveUp(off int) {
	x.skip = atNextLine
	if x.open >= 0 {
		x.skip = atNextColumn
	}
	x.pos = off
	x.lines = bytes.Count(x.text[:off], []byte{'\n'})
	for n := len(x.offs); n > 0 && int(x.offs[n-1]) >= off; n-- {
		x.toks, x.offs = x.toks[:n-1], x.offs[:n-1]
	}
}

// oddWord goes on at i within the word at x.pos, where an octet stands that is
// special, and returns where the word ends.
func (x *lexer) oddWord(i int) int {
	b := x.text
	for i < len(b) {
		switch kinds[b[i]] {
		case word:
			i++
		case escape:
			i = x.escaped(i)
		case quote:
			// key="value" (RFC 9460 §2.1): the quoted part belongs to the word.
			if i > x.pos && b[i-1] == '=' {
				i = x.quotedValue(i)
				continue
			}
			x.note(i, "quote within a word", "a blank before the quote")
			i++
		case control:
			x.noteControl(i)
			i++
		default:
			return i
		}
	}
	return i
}

// escaped returns the offset behind the backslash at i and what it escapes.
func (x *lexer) escaped(i int) int {
	b := x.text
	if i+1 == len(b) {
		if x.final {
			x.note(i, "backslash at the end", "a character behind it")
		}
		return i + 1
	}
	switch kinds[b[i+1]] {
	case lineEnd, carriage:
		x.note(i, "backslash at the end of the line", "a character behind it")
		return i + 1
	case control:
		x.noteControl(i + 1)
	}
	return i + 2
}

// quotedValue returns the offset behind the quoted text at i, which must end on
// its line.
func (x *lexer) quotedValue(i int) int {
	start := i
	for i++; i < len(x.text); {
		switch kinds[x.text[i]] {
		case quote:
			return i + 1
		case escape:
			i = x.escaped(i)
		case lineEnd, carriage:
			x.note(start, "quoted value is not closed", "a closing quote on this line")
			return i
		case control:
			x.noteControl(i)
			i++
		default:
			i++
		}
	}
	if x.final {
		x.note(start, "quoted value is not closed", "a closing quote on this line")
	}
	return i
}

// quoted reads the quoted string at x.pos.
func (x *lexer) quoted() (more, ok bool) {
	b, start, lines := x.text, x.pos, 0
	i := start + 1
	for i < len(b) && b[i] != '"' {
		switch kinds[b[i]] {
		case lineEnd:
			lines++
		case carriage:
			if i+1 < len(b) && b[i+1] != '\n' {
				x.note(i, "carriage return alone", "LF or CR LF at the end of a line")
			}
		case escape:
			if i++; i < len(b) && kinds[b[i]] == control {
				x.noteControl(i)
			} else if i < len(b) && b[i] == '\n' {
				lines++
			}
		case control:
			x.noteControl(i)
		}
		i++
	}
	if i+1 >= len(b) && !x.final {
		return false, false
	}
	if i >= len(b) || lines > 0 && i+1 < len(b) && joins(b[i+1]) {
		// Either there is no other quote, or it opens the next string.
		x.note(start, "quoted string is not closed", "a closing quote")
		x.giveUp(start)
		return false, true
	}
	// "x""y" are two strings to everybody, but "say "x" to y" is a mistake.
	if i+1 < len(b) && b[i+1] != '"' && joins(b[i+1]) {
		x.note(i+1, "text right behind a quoted string", "a blank behind the closing quote")
	}
	x.token(b[start+1:i], start, true)
	x.pos, x.end = i+1, i+1
	x.lines += lines
	return true, true
}

// joins reports whether c goes on with a word.
func joins(c byte) bool { return kinds[c] == word || kinds[c] >= escape }
