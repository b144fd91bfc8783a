package update

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"onoma/dns"
)

// The words of a rule's text. Those of names are BIND's where BIND has them.
var (
	matchWords = [...]string{
		Zone: "zonesub", Exact: "name", Subdomain: "subdomain", Wildcard: "wildcard",
		Self: "self", SelfSub: "selfsub", SelfWild: "selfwild", Reverse: "tcp-self",
	}
	opWords   = map[Ops]string{Add: "add", Delete: "delete", Add | Delete: "add,delete"}
	kindWords = [...]string{AnyKind: "any", TSIG: "tsig", SIG0: "sig0", Signed: "signed"}
)

// takesName reports whether a name follows the word.
func (m Match) takesName() bool { return m == Exact || m == Subdomain || m == Wildcard }

// RuleError says where the text of a rule is wrong.
type RuleError struct {
	Column int // counted from 1, in octets
	What   string
}

func (e *RuleError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.What) }

// ParseRule reads a rule:
//
//	grant|deny WHO[,WHO...] MATCH [NAME] [TYPE[(MOST)]...] [ops=add|delete] [ttl=MIN-MAX] [records=N]
//
// WHO is any, signed, tsig, sig0, key:NAME, sig0:NAME, an address, a prefix, or a
// prefix with one of the others behind a +. MATCH is zonesub, name NAME, subdomain
// NAME, wildcard NAME, self, selfsub, selfwild or tcp-self. Names are fully
// qualified. An error is a *[RuleError].
func ParseRule(text string) (Rule, error) {
	p := ruleParser{text: text}
	r := p.rule()
	if p.err != nil {
		return Rule{}, p.err
	}
	return r, nil
}

type ruleParser struct {
	text string
	at   int // of the present word
	next int // where the next one is looked for
	err  *RuleError
}

// word returns the next word, "" at the end.
func (p *ruleParser) word() string {
	rest := p.text[p.next:]
	p.at = p.next + len(rest) - len(strings.TrimLeft(rest, " \t"))
	end := p.at
	for end < len(p.text) && p.text[end] != ' ' && p.text[end] != '\t' {
		end++
	}
	p.next = end
	return p.text[p.at:end]
}

// fail notes the first error, at an offset in the text.
func (p *ruleParser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = &RuleError{at + 1, fmt.Sprintf(format, args...)}
	}
}

func (p *ruleParser) rule() (r Rule) {
	switch w := p.word(); w {
	case "grant":
	case "deny":
		r.Deny = true
	default:
		p.fail(p.at, "%q, expected grant or deny", w)
		return r
	}
	r.Who = p.who()
	p.match(&r)
	for w := p.word(); w != "" && p.err == nil; w = p.word() {
		if key, value, ok := strings.Cut(w, "="); ok {
			p.option(&r, key, value)
		} else {
			r.Types = append(r.Types, p.typ(w))
		}
	}
	return r
}

func (p *ruleParser) who() (all []Who) {
	list := p.word()
	at := p.at
	if list == "" {
		p.fail(at, "expected who it is for: any, signed, key:NAME, sig0:NAME, an address or a prefix")
	}
	for item := range strings.SplitSeq(list, ",") {
		all = append(all, p.client(item, at))
		at += len(item) + 1
	}
	return all
}

// client reads one of the clients, which stands at an offset.
func (p *ruleParser) client(item string, at int) (w Who) {
	address, rest, both := strings.Cut(item, "+")
	if !both {
		if p.kind(&w, item, at) {
			return w
		}
		rest = ""
	}
	var err error
	if w.Prefix, err = parsePrefix(address); err != nil {
		p.fail(at, "%v", err)
		return w
	}
	if both && !p.kind(&w, rest, at+len(address)+1) {
		p.fail(at+len(address)+1, "%q, expected signed, tsig, sig0, key:NAME or sig0:NAME behind the +", rest)
	}
	return w
}

// kind reads how a request is signed, and reports whether it is that.
func (p *ruleParser) kind(w *Who, item string, at int) bool {
	for kind, word := range kindWords {
		if item == word {
			w.Kind = Kind(kind)
			return true
		}
	}
	word, name, named := strings.Cut(item, ":")
	switch {
	case named && word == "key":
		w.Kind = TSIG
	case named && word == "sig0":
		w.Kind = SIG0
	default:
		return false
	}
	w.Key = p.name(name, at+len(word)+1)
	return true
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return prefix, fmt.Errorf("%q, expected any, signed, tsig, sig0, key:NAME, sig0:NAME, an address such as 192.0.2.1 or a prefix such as 2001:db8::/32", s)
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("%q, expected an IPv4 prefix in its own form", s)
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("%q has bits set behind the prefix, expected %s", s, prefix.Masked())
	}
	return prefix, nil
}

func (p *ruleParser) name(s string, at int) dns.Name {
	n, err := dns.ParseName(s)
	if err != nil {
		p.fail(at, "%q: %v, expected a domain name", s, err)
	}
	return n
}

func (p *ruleParser) match(r *Rule) {
	if p.err != nil {
		return
	}
	word := p.word()
	for m, w := range matchWords {
		if word != w {
			continue
		}
		if r.Match = Match(m); r.Match.takesName() {
			r.Name = p.name(p.word(), p.at)
		}
		if r.Match == Wildcard && !r.Name.IsWildcard() {
			p.fail(p.at, "%s, expected a name that begins with *.", r.Name)
		}
		return
	}
	p.fail(p.at, "%q, expected one of %s", word, strings.Join(matchWords[:], ", "))
}

// typ reads TYPE or TYPE(MOST).
func (p *ruleParser) typ(w string) (t Type) {
	name, most, bounded := strings.Cut(w, "(")
	var ok bool
	if t.Type, ok = dns.ParseType(name); !ok || t.Type != dns.TypeANY && t.Type.IsMeta() {
		p.fail(p.at, "%q, expected a type of records, ANY, or ops=, ttl= or records=", name)
		return t
	}
	if !bounded {
		return t
	}
	digits, closed := strings.CutSuffix(most, ")")
	if t.Most = p.number(digits, p.at+len(name)+1, 1); !closed {
		p.fail(p.at+len(w), "expected ) behind the number of records")
	}
	return t
}

// number reads a number of least or more.
func (p *ruleParser) number(digits string, at, least int) int {
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || int(n) < least {
		p.fail(at, "%q, expected a number from %d to %d", digits, least, 1<<31-1)
	}
	return int(n)
}

func (p *ruleParser) option(r *Rule, key, value string) {
	at := p.at + len(key) + 1
	switch key {
	case "ops":
		for ops, word := range opWords {
			if value == word {
				r.Ops = ops
				return
			}
		}
		p.fail(at, "%q, expected add, delete or add,delete", value)
	case "records":
		r.MostRecords = p.number(value, at, 1)
	case "ttl":
		p.ttl(r, value, at)
	default:
		p.fail(p.at, "%q, expected ops=, ttl= or records=", key+"=")
	}
}

// ttl reads MIN-MAX, of which one may be missing.
func (p *ruleParser) ttl(r *Rule, value string, at int) {
	low, high, ok := strings.Cut(value, "-")
	if !ok || low == "" && high == "" {
		p.fail(at, "%q, expected MIN-MAX, MIN- or -MAX in seconds", value)
		return
	}
	if low != "" {
		r.MinTTL = uint32(p.number(low, at, 0))
	}
	if high != "" {
		r.MaxTTL = uint32(p.number(high, at+len(low)+1, 1))
		if r.MaxTTL < r.MinTTL {
			p.fail(at, "%q, expected the smaller TTL first", value)
		}
	}
}

// String returns the rule as ParseRule reads it.
func (r Rule) String() string {
	words := []string{"grant"}
	if r.Deny {
		words[0] = "deny"
	}
	who := make([]string, len(r.Who))
	for i, w := range r.Who {
		who[i] = w.String()
	}
	words = append(words, strings.Join(who, ","), matchWords[r.Match])
	if r.Match.takesName() {
		words = append(words, r.Name.String())
	}
	for _, t := range r.Types {
		word := t.Type.String()
		if t.Most > 0 {
			word += "(" + strconv.Itoa(t.Most) + ")"
		}
		words = append(words, word)
	}
	if r.Ops != 0 {
		words = append(words, "ops="+opWords[r.Ops])
	}
	switch {
	case r.MaxTTL > 0:
		words = append(words, fmt.Sprintf("ttl=%d-%d", r.MinTTL, r.MaxTTL))
	case r.MinTTL > 0:
		words = append(words, fmt.Sprintf("ttl=%d-", r.MinTTL))
	}
	if r.MostRecords > 0 {
		words = append(words, fmt.Sprintf("records=%d", r.MostRecords))
	}
	return strings.Join(words, " ")
}

// String returns w as it stands in a rule.
func (w Who) String() string {
	kind := kindWords[w.Kind]
	switch {
	case !w.Key.IsZero() && w.Kind == SIG0:
		kind = "sig0:" + w.Key.String()
	case !w.Key.IsZero():
		kind = "key:" + w.Key.String()
	}
	switch {
	case !w.Prefix.IsValid():
		return kind
	case w.Kind == AnyKind && w.Key.IsZero():
		return w.Prefix.String()
	}
	return w.Prefix.String() + "+" + kind
}

// MarshalText is [Rule.String].
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRule].
func (r *Rule) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRule(string(text))
	return err
}

// ParsePolicy reads rules, one a line; # begins a remark. An error begins with
// LINE:COLUMN.
func ParsePolicy(text string) (Policy, error) {
	var rules Policy
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(strings.TrimRight(line, "\r\n"), "#")
		if strings.Trim(line, " \t") == "" {
			continue
		}
		p := ruleParser{text: line}
		r := p.rule()
		if p.err != nil {
			return nil, fmt.Errorf("%d:%d: %s", n, p.err.Column, p.err.What)
		}
		rules = append(rules, r)
	}
	return rules, nil
}
