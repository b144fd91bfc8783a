package zonefile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"onoma/dns"
)

// generator is a $GENERATE that is being carried out, one record a step:
//
//	$GENERATE start-stop[/step] owner [TTL] [class] type rdata
//
// In owner and rdata a $ stands for the number, ${offset,width,base} for a
// number moved by offset, of at least width characters, in base d, o, x, X, or
// as nibbles with dots between in n, N. \$ and $$ are a plain dollar sign.
type generator struct {
	active          bool
	now, stop, step int64
	left            []byte // the owner, in the buffer of the source
	header          header
	right           []dns.Token // the rdata, in the buffer of the source
	rightText       []byte      // the rdata where it is one quoted text, else nil

	owner owner // apart, since BIND goes on with the owner before $GENERATE
	lex   lexer // of rightText with its numbers
	text  []byte
	toks  []dns.Token
	ends  []int
}

// generate begins to carry out the $GENERATE in z.lex.
func (z *Reader) generate() *fault {
	const form = "$GENERATE start-stop[/step] owner [TTL] [class] type rdata"
	x, g := &z.lex, &z.gen
	if len(x.toks) < 3 {
		return faultAt(x.end, "unexpected end of the line", form)
	}
	if f := g.setRange(x.toks[1].Text); f != nil {
		f.off = x.off(1)
		return f
	}
	if x.toks[2].Quoted {
		return faultAt(x.off(2), "quoted string as an owner", "a domain name without quotes")
	}
	h, f := z.header(3)
	if f != nil {
		return f
	}
	if count := (g.stop-g.now)/g.step + 1; count > int64(z.opts.MaxGenerate-z.made) {
		return faultAt(x.off(1), fmt.Sprintf("$GENERATE of %d records", count),
			fmt.Sprintf("at most %d more", z.opts.MaxGenerate-z.made))
	}
	g.left, g.header, g.right, g.rightText = x.toks[2].Text, h, x.toks[h.rdata:], nil
	if len(g.right) == 1 && g.right[0].Quoted {
		g.rightText = bytes.ReplaceAll(g.right[0].Text, []byte(`\"`), []byte(`"`))
	}
	g.active, g.owner.known = true, false
	return nil
}

// setRange reads start-stop or start-stop/step.
func (g *generator) setRange(text []byte) *fault {
	const want = "start-stop or start-stop/step, numbers up to 2147483647"
	span, step, stepped := strings.Cut(string(text), "/")
	start, stop, ok := strings.Cut(span, "-")
	if !stepped {
		step = "1"
	}
	var err1, err2, err3 error
	g.now, err1 = parseCount(start)
	g.stop, err2 = parseCount(stop)
	g.step, err3 = parseCount(step)
	switch {
	case !ok || err1 != nil || err2 != nil || err3 != nil:
		return faultAt(0, "bad range "+show(text), want)
	case g.step == 0:
		return faultAt(0, "range "+show(text)+" with a step of 0", "at least 1")
	case g.stop < g.now:
		return faultAt(0, "range "+show(text)+" that ends before it starts", "a stop that is at least the start")
	}
	return nil
}

// parseCount reads a number without a sign.
func parseCount(s string) (int64, error) {
	v, err := strconv.ParseUint(s, 10, 31)
	return int64(v), err
}

// next makes the record of one step. The first mistake ends the whole
// directive: those of the other steps would be the same.
func (g *generator) next(z *Reader) (*Entry, *fault) {
	number := g.now
	if g.now += g.step; g.now > g.stop {
		g.active = false
	}
	z.made++
	f := g.make(z, number)
	if f != nil {
		g.active = false
		f.what = fmt.Sprintf("in step %d: %s", number, f.what)
		return nil, f
	}
	return &z.entry, nil
}

func (g *generator) make(z *Reader, number int64) *fault {
	var f *fault
	if g.text, f = expand(g.text[:0], g.left, number); f != nil {
		f.off = z.lex.off(2)
		return f
	}
	if err := g.owner.set(g.text, z.src.origin); err != nil {
		return nameFault(z.lex.off(2), "owner", g.text, err)
	}
	toks, f := g.rdata(z, number)
	if f != nil {
		return f
	}
	if f = z.fillEntry(&g.owner, &g.header, toks); f != nil {
		if g.rightText != nil { // its words are not in the file
			f.off = min(f.off, 0)
		}
		return z.within(f, g.header.rdata)
	}
	return nil
}

// rdata returns the words of the right side with the number put in.
func (g *generator) rdata(z *Reader, number int64) ([]dns.Token, *fault) {
	var f *fault
	if g.rightText != nil {
		if g.text, f = expand(g.text[:0], g.rightText, number); f == nil {
			g.lex.scan(g.text, true)
			f = g.lex.fault
		}
		if f != nil {
			f.off = z.lex.off(g.header.rdata)
		}
		return g.lex.toks, f
	}
	g.text, g.ends, g.toks = g.text[:0], g.ends[:0], g.toks[:0]
	for i, tok := range g.right {
		if g.text, f = expand(g.text, tok.Text, number); f != nil {
			f.off = z.lex.off(g.header.rdata + i)
			return nil, f
		}
		g.ends = append(g.ends, len(g.text))
	}
	start := 0
	for i, end := range g.ends { // only now does g.text stay where it is
		g.toks = append(g.toks, dns.Token{Text: g.text[start:end], Quoted: g.right[i].Quoted})
		start = end
	}
	return g.toks, nil
}

// expand appends text to dst with the number put in.
func expand(dst, text []byte, number int64) ([]byte, *fault) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			dst = append(dst, c, text[i+1])
			i++
		case c != '$':
			dst = append(dst, c)
		case i+1 < len(text) && text[i+1] == '$':
			dst = append(dst, '$')
			i++
		case i+1 < len(text) && text[i+1] == '{':
			n := bytes.IndexByte(text[i:], '}')
			if n < 0 {
				return dst, faultAt(0, "bad substitution "+show(text[i:]), "a closing brace")
			}
			var f *fault
			if dst, f = substitute(dst, text[i:i+n+1], number); f != nil {
				return dst, f
			}
			i += n
		default:
			dst = strconv.AppendInt(dst, number, 10)
		}
	}
	return dst, nil
}

// substitute appends the number as ${offset,width,base} wants it.
func substitute(dst, spec []byte, number int64) ([]byte, *fault) {
	bad := func(want string) ([]byte, *fault) {
		return dst, faultAt(0, "bad substitution "+show(spec), want)
	}
	fields := strings.Split(string(spec[2:len(spec)-1]), ",")
	offset, err := strconv.ParseInt(fields[0], 10, 32)
	if err != nil || len(fields) > 3 {
		return bad("${offset}, ${offset,width} or ${offset,width,base}")
	}
	width, base := int64(0), "d"
	if len(fields) > 1 {
		if width, err = parseCount(fields[1]); err != nil || width > dns.MaxNameLen {
			return bad("a width from 0 to 255")
		}
	}
	if len(fields) > 2 {
		base = fields[2]
	}
	if number += offset; number < 0 {
		return bad("an offset that leaves no number below 0")
	}
	return appendNumber(dst, number, int(width), base, bad)
}

func appendNumber(dst []byte, n int64, width int, base string, bad func(string) ([]byte, *fault)) ([]byte, *fault) {
	var digits string
	switch base {
	case "d":
		digits = strconv.FormatInt(n, 10)
	case "o":
		digits = strconv.FormatInt(n, 8)
	case "x":
		digits = strconv.FormatInt(n, 16)
	case "X":
		digits = strings.ToUpper(strconv.FormatInt(n, 16))
	case "n":
		return appendNibbles(dst, n, width, "0123456789abcdef"), nil
	case "N":
		return appendNibbles(dst, n, width, "0123456789ABCDEF"), nil
	default:
		return bad("a base of d, o, x, X, n or N")
	}
	for pad := width - len(digits); pad > 0; pad-- {
		dst = append(dst, '0')
	}
	return append(dst, digits...), nil
}

// appendNibbles appends hex digits from the lowest up with dots between, as
// names below ip6.arpa have them. The width counts the dots, so that with an
// even one the text ends in a dot.
func appendNibbles(dst []byte, n int64, width int, hex string) []byte {
	for {
		dst = append(dst, hex[n&15])
		n >>= 4
		width--
		if n == 0 && width <= 0 {
			return dst
		}
		dst = append(dst, '.')
		if width--; n == 0 && width <= 0 {
			return dst
		}
	}
}
