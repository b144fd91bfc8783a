package policy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"onoma/dns"
)

const (
	maxLine     = 64 << 10
	maxDNSTypes = 32 // of one $dnstype
)

// lineError is about one line; the others go on.
type lineError struct{ what string }

func (e lineError) Error() string { return e.what }

// Read takes a list; what names it in problems, mostly a file or a URL. Each line stands for itself, so that one list may have
// hosts lines, names and AdBlock rules. Lines that make no sense are left out and noted; the error is about reading.
func (b *BlockBuilder) Read(r io.Reader, what string) error {
	if len(b.blocks.lists) == maxLists {
		return fmt.Errorf("reading block list %s: this is one too many, expected at most %d", what, maxLists)
	}
	b.blocks.lists = append(b.blocks.lists, what)
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading block list %s: %w", what, err)
		}
		problem := error(lineError{fmt.Sprintf("a line of more than %d octets", maxLine)})
		if !tooLong {
			problem = b.line(strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")))
		}
		if le := (lineError{}); errors.As(problem, &le) {
			b.blocks.problems.add(func() string { return fmt.Sprintf("%s:%d:1: %s", what, n, le.what) })
		} else if problem != nil {
			return fmt.Errorf("reading block list %s: %w", what, problem)
		}
		if err == io.EOF {
			return nil
		}
	}
}

// line takes one line without the blanks around it.
func (b *BlockBuilder) line(text string) error {
	switch {
	case text == "" || text[0] == '!' || text[0] == ';' || text[0] == '[' && strings.HasSuffix(text, "]"):
		return nil
	case isCosmetic(text):
		b.blocks.skipped++
		return nil
	case text[0] == '#':
		return nil
	case text[0] == '|' || text[0] == '/' || strings.HasPrefix(text, "@@") || strings.Contains(text, "$"):
		return b.adblock(text)
	}
	text, _, _ = strings.Cut(text, "#")
	words := strings.Fields(text)
	if addr, err := netip.ParseAddr(words[0]); err == nil {
		return b.hosts(addr, words[1:])
	}
	if len(words) > 1 {
		return lineError{fmt.Sprintf("%.60q, expected one name, an address with names, or a rule", text)}
	}
	return b.plain(words[0])
}

// isCosmetic says whether a line of an AdBlock list is about a page's content: a mark between sites, without blanks, and a selector.
func isCosmetic(text string) bool {
	for _, mark := range [...]string{"##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "#@%#", "$$", "$@$"} {
		if sites, selector, ok := strings.Cut(text, mark); ok && sites != "" && selector != "" && !strings.ContainsAny(sites, "# \t") {
			return true
		}
	}
	return false
}

// hosts takes a line of a hosts file: names that are to lead nowhere.
func (b *BlockBuilder) hosts(addr netip.Addr, names []string) error {
	if !addr.IsUnspecified() && !addr.IsLoopback() {
		return lineError{fmt.Sprintf("address %s leads somewhere, expected 0.0.0.0, 127.0.0.1, :: or ::1: put names with addresses of their own into the hosts file", addr)}
	}
	if len(names) == 0 {
		return lineError{"an address without a name"}
	}
	var problem error
	for _, text := range names {
		if isOwnName(text) {
			continue
		}
		name, err := parseHost(text)
		if err == nil {
			err = b.put(name, true, false, blockRule{})
		}
		if err != nil && problem == nil {
			problem = err
		}
	}
	return problem
}

// isOwnName says whether a name is one that every hosts file has for the machine itself.
func isOwnName(text string) bool {
	switch strings.ToLower(text) {
	case "localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "0.0.0.0":
		return true
	}
	return false
}

// plain takes a line that is a name: itself, *.name for those below it, .name for both.
func (b *BlockBuilder) plain(text string) error {
	exact, below := true, b.subdomains
	switch {
	case strings.HasPrefix(text, "*."):
		text, exact, below = text[2:], false, true
	case strings.HasPrefix(text, ".") && len(text) > 1:
		text, below = text[1:], true
	}
	name, err := parseHost(text)
	if err != nil {
		return err
	}
	return b.put(name, exact, below, blockRule{})
}

// parseHost reads a name that is to be blocked. A list that blocks the root or an address is a mistake.
func parseHost(text string) (dns.Name, error) {
	parse := dns.ParseName
	if strings.ContainsFunc(text, func(c rune) bool { return c > 127 }) {
		parse = dns.ParseNameIDNA
	}
	name, err := parse(text)
	switch {
	case err != nil || strings.ContainsAny(text, `/:*"\@|^$=,`):
		return dns.Name{}, lineError{fmt.Sprintf("%.60q is no host name", text)}
	case name.IsRoot():
		return dns.Name{}, lineError{"this would block every name"}
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return dns.Name{}, lineError{fmt.Sprintf("%s is an address, expected a name: a policy zone with rpz-ip can block answers by address", text)}
	}
	return name, nil
}

// adblock takes a rule of the AdBlock syntax as far as it is about names.
func (b *BlockBuilder) adblock(text string) error {
	pattern, options, _ := strings.Cut(text, "$")
	var r blockRule
	if rest, ok := strings.CutPrefix(pattern, "@@"); ok {
		pattern, r.allow = rest, true
	}
	if err := r.options(options, strings.Contains(text, "$")); err != nil {
		return err
	}
	exact, below := true, false
	switch {
	case strings.HasPrefix(pattern, "/"):
		return lineError{"a regular expression, expected ||name^"}
	case strings.HasPrefix(pattern, "||*."):
		pattern, exact, below = pattern[4:], false, true
	case strings.HasPrefix(pattern, "||"):
		pattern, below = pattern[2:], true
	case strings.HasPrefix(pattern, "|"):
		pattern = pattern[1:]
	default:
		below = b.subdomains
	}
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "|"), "^")
	name, err := parseHost(pattern)
	if err != nil {
		return err
	}
	return b.put(name, exact, below, r)
}

// options reads what stands behind the $ of a rule.
func (r *blockRule) options(text string, present bool) error {
	if !present {
		return nil
	}
	for option := range strings.SplitSeq(text, ",") {
		word, value, _ := strings.Cut(option, "=")
		switch word {
		case "important":
			r.important = true
		case "dnstype":
			if err := r.dnsTypes(value); err != nil {
				return err
			}
		default:
			return lineError{fmt.Sprintf("option %.40q, expected important or dnstype: a rule with others is not about a whole name", option)}
		}
	}
	return nil
}

// dnsTypes reads the value of $dnstype: A|AAAA, or ~A|~AAAA for all others.
func (r *blockRule) dnsTypes(value string) error {
	for i, word := range strings.Split(value, "|") {
		word, others := strings.CutPrefix(word, "~")
		t, ok := dns.ParseType(strings.ToUpper(word))
		switch {
		case !ok:
			return lineError{fmt.Sprintf("%.20q is no type of records", word)}
		case i > 0 && others != r.others:
			return lineError{"$dnstype with types and types that are not meant, expected one or the other"}
		case i == maxDNSTypes:
			return lineError{fmt.Sprintf("$dnstype with more than %d types", maxDNSTypes)}
		}
		r.others = others
		r.types = append(r.types, t)
	}
	return nil
}
