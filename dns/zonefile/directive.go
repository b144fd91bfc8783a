package zonefile

import (
	"bytes"

	"onoma/dns"
)

// isDirective reports whether the entry begins with a word like $ORIGIN in
// column one.
func (z *Reader) isDirective() bool {
	x := &z.lex
	return !x.blank && !x.toks[0].Quoted && x.toks[0].Text[0] == '$'
}

func (z *Reader) directive() *fault {
	text := z.lex.toks[0].Text
	switch {
	case bytes.EqualFold(text, []byte("$ORIGIN")):
		return z.setOrigin()
	case bytes.EqualFold(text, []byte("$TTL")):
		return z.setTTL()
	case z.ahead: // whose turn has not come: limits and open files are of all the text
		return faultAt(0, "directive in a piece", "")
	case bytes.EqualFold(text, []byte("$INCLUDE")):
		return z.include()
	case bytes.EqualFold(text, []byte("$GENERATE")):
		return z.generate()
	}
	return faultAt(z.lex.off(0), "unknown directive "+show(text), "$ORIGIN, $TTL, $INCLUDE or $GENERATE")
}

// arguments checks how many words follow the directive.
func (z *Reader) arguments(least, most int, want string) *fault {
	n := len(z.lex.toks) - 1
	switch {
	case n < least:
		return faultAt(z.lex.end, "unexpected end of the line", want)
	case n > most:
		return faultAt(z.lex.off(most+1), "extra word "+show(z.lex.toks[most+1].Text), "the end of the line")
	}
	return nil
}

// setOrigin obeys $ORIGIN (RFC 1035 §5.1). A relative name is relative to the
// origin so far.
func (z *Reader) setOrigin() *fault {
	if f := z.arguments(1, 1, "a domain name"); f != nil {
		return f
	}
	origin, f := z.parseName(1, "origin")
	if f == nil {
		z.src.origin = origin
		z.owner.known = false
	}
	return f
}

// parseName reads token k as a name below the origin in force.
func (z *Reader) parseName(k int, role string) (dns.Name, *fault) {
	tok := &z.lex.toks[k]
	if tok.Quoted {
		return dns.Name{}, faultAt(z.lex.off(k), "quoted string as an "+role, "a domain name without quotes")
	}
	name, err := dns.ParseNameIn(string(tok.Text), z.src.origin)
	if err != nil {
		return dns.Name{}, nameFault(z.lex.off(k), role, tok.Text, err)
	}
	return name, nil
}

// setTTL obeys $TTL (RFC 2308 §4).
func (z *Reader) setTTL() *fault {
	if f := z.arguments(1, 1, "a TTL"); f != nil {
		return f
	}
	ttl, f := z.parseTTL(1)
	if f == nil {
		z.ttl.setDefault(ttl)
	}
	return f
}
