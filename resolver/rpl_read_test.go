package resolver

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// scenario is a scripted conversation in the form of Unbound's testbound: what
// servers say while which step runs, and what the client asks and must hear.
type scenario struct {
	options map[string][]string // of the head; those of clauses have the clause in front: stub-zone.name
	ranges  []rplRange
	steps   []rplStep
	unknown string // the first thing that the reader does not know
}

type rplRange struct {
	from, to int
	addrs    []netip.Addr
	entries  []*rplEntry
}

type rplStep struct {
	number int
	kind   string
	args   []string
	entry  *rplEntry
}

// rplEntry is a message, and how it matches and is adjusted.
type rplEntry struct {
	match, adjust []string
	msg           dns.Message
}

func readScenario(file string) (*scenario, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := rplReader{lines: bufio.NewScanner(f), s: &scenario{options: map[string][]string{}}}
	r.config()
	if err := r.script(); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s:%d: %w", file, r.line, err)
	}
	return r.s, nil
}

type rplReader struct {
	lines *bufio.Scanner
	line  int
	s     *scenario
}

// next returns the words of the next line that has any.
func (r *rplReader) next() ([]string, string, bool) {
	for r.lines.Scan() {
		r.line++
		text := uncomment(r.lines.Text())
		if words := strings.Fields(text); len(words) > 0 {
			return words, text, true
		}
	}
	return nil, "", false
}

// uncomment cuts a comment off, but not within quotes.
func uncomment(text string) string {
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return text[:i]
		}
	}
	return text
}

func (r *rplReader) config() {
	clause := ""
	for words, text, ok := r.next(); ok && words[0] != "CONFIG_END"; words, text, ok = r.next() {
		text, _, _ = strings.Cut(text, "#")
		name, value, found := strings.Cut(strings.TrimSpace(text), ":")
		switch value = strings.Trim(strings.TrimSpace(value), `"`); {
		case !found:
		case value == "" && name == "server":
			clause = ""
		case value == "":
			clause = name + "."
			r.s.options[name] = append(r.s.options[name], "")
		default:
			r.s.options[clause+name] = append(r.s.options[clause+name], value)
		}
	}
}

func (r *rplReader) script() error {
	for words, _, ok := r.next(); ok; words, _, ok = r.next() {
		switch words[0] {
		case "SCENARIO_BEGIN", "RANGE_END": // a second end does no harm
		case "SCENARIO_END":
			return nil
		case "RANGE_BEGIN":
			if err := r.readRange(words[1:]); err != nil {
				return err
			}
		case "STEP":
			if err := r.readStep(words[1:]); err != nil {
				return err
			}
		default:
			if r.s.unknown == "" {
				r.s.unknown = words[0]
			}
		}
	}
	return nil
}

func (r *rplReader) readRange(args []string) error {
	var g rplRange
	var err error
	if g.from, err = strconv.Atoi(args[0]); err != nil {
		return err
	}
	if g.to, err = strconv.Atoi(args[1]); err != nil {
		return err
	}
	for words, _, ok := r.next(); ok && words[0] != "RANGE_END"; words, _, ok = r.next() {
		switch words[0] {
		case "ADDRESS":
			a, err := netip.ParseAddr(words[1])
			if err != nil {
				return err
			}
			g.addrs = append(g.addrs, a)
		case "ENTRY_BEGIN":
			e, err := r.readEntry()
			if err != nil {
				return err
			}
			g.entries = append(g.entries, e)
		default:
			return fmt.Errorf("%s in a range", words[0])
		}
	}
	r.s.ranges = append(r.s.ranges, g)
	return nil
}

// stepsWithEntry are the steps that a message follows.
var stepsWithEntry = []string{"QUERY", "CHECK_ANSWER", "REPLY", "CHECK_OUT_QUERY"}

func (r *rplReader) readStep(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s := rplStep{number: n, kind: args[1], args: args[2:]}
	if slices.Contains(stepsWithEntry, s.kind) {
		for words, _, ok := r.next(); ok; words, _, ok = r.next() {
			if words[0] == "ENTRY_BEGIN" {
				break
			}
			s.args = append(s.args, words...)
		}
		if s.entry, err = r.readEntry(); err != nil {
			return err
		}
	}
	r.s.steps = append(r.s.steps, s)
	return nil
}

var rplFlags = map[string]dns.Flags{
	"QR": dns.FlagQR, "AA": dns.FlagAA, "TC": dns.FlagTC, "RD": dns.FlagRD, "RA": dns.FlagRA, "AD": dns.FlagAD, "CD": dns.FlagCD,
}

var rplRCodes = map[string]dns.RCode{
	"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMPL": 4, "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9,
}

func (r *rplReader) readEntry() (*rplEntry, error) {
	e := &rplEntry{}
	section := ""
	for words, text, ok := r.next(); ok && words[0] != "ENTRY_END"; words, text, ok = r.next() {
		switch words[0] {
		case "MATCH":
			e.match = append(e.match, words[1:]...)
		case "ADJUST":
			e.adjust = append(e.adjust, words[1:]...)
		case "REPLY":
			r.reply(e, words[1:])
		case "SECTION":
			section = words[1]
		case "HEX_EDNSDATA_BEGIN", "HEX_ANSWER_BEGIN", "EXTRA_PACKET":
			r.s.unknown = words[0]
		default:
			if r.s.unknown != "" {
				continue
			}
			if err := e.record(section, words, text); err != nil {
				r.s.unknown = "a record that cannot be read: " + err.Error()
			}
		}
	}
	return e, nil
}

func (r *rplReader) reply(e *rplEntry, words []string) {
	for _, w := range words {
		if f, ok := rplFlags[w]; ok {
			e.msg.Flags |= f
		} else if rc, ok := rplRCodes[w]; ok {
			e.msg.RCode = rc
		} else if w == "DO" {
			e.msg.EDNS = &dns.EDNS{UDPSize: 4096, DO: true}
		} else {
			r.s.unknown = "REPLY " + w
		}
	}
}

func (e *rplEntry) record(section string, words []string, text string) error {
	if section == "QUESTION" {
		name, err := dns.ParseName(words[0])
		if err != nil {
			return err
		}
		typ, ok := dns.ParseType(words[len(words)-1])
		if !ok {
			return fmt.Errorf("question %q", words)
		}
		class, ok := dns.ParseClass(words[len(words)-2])
		if !ok {
			class = dns.ClassIN // some leave it out
		}
		e.msg.Questions = append(e.msg.Questions, dns.Question{Name: name, Type: typ, Class: class})
		return nil
	}
	opts := zonefile.Options{Origin: dns.Root, DefaultTTL: 3600}
	if slices.Contains(words, "CH") {
		opts.Class = dns.ClassCH
	}
	rec, err := zonefile.NewReader(strings.NewReader(strings.TrimSpace(text)+"\n"), opts).Next()
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	switch section {
	case "ANSWER":
		e.msg.Answer = append(e.msg.Answer, rec)
	case "AUTHORITY":
		e.msg.Authority = append(e.msg.Authority, rec)
	case "ADDITIONAL":
		e.msg.Additional = append(e.msg.Additional, rec)
	}
	return nil
}

// answer returns the reply to q of a server at that step, nil for none.
func (s *scenario) answer(step int, to netip.Addr, tcp bool, q *dns.Message) *dns.Message {
	for _, g := range s.ranges {
		if step < g.from || step > g.to || !slices.Contains(g.addrs, to) {
			continue
		}
		for _, e := range g.entries {
			if e.matches(q, tcp) {
				return e.adjusted(q)
			}
		}
	}
	return nil
}

// matches compares a query with the entry as MATCH says.
func (e *rplEntry) matches(q *dns.Message, tcp bool) bool {
	want, got := e.msg.Question(), q.Question()
	for _, m := range e.match {
		ok := true
		switch m {
		case "qname":
			ok = want.Name.Equal(got.Name)
		case "qtype":
			ok = want.Type == got.Type
		case "subdomain":
			ok = got.Name.IsSubdomainOf(want.Name)
		case "TCP":
			ok = tcp
		case "UDP":
			ok = !tcp
		case "DO":
			ok = q.EDNS != nil && q.EDNS.DO
		case "noedns":
			ok = q.EDNS == nil
		case "ednsdata":
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

func (e *rplEntry) adjusted(q *dns.Message) *dns.Message {
	m := e.msg
	m.ID = q.ID
	if slices.Contains(e.adjust, "copy_query") {
		m.Questions = q.Questions
	}
	return &m
}

// elapse reads the time of TIME_PASSES ELAPSE.
func (s *rplStep) elapse() (time.Duration, error) {
	if len(s.args) == 2 && s.args[0] == "ELAPSE" {
		sec, err := strconv.ParseFloat(s.args[1], 64)
		return time.Duration(sec * float64(time.Second)), err
	}
	return 0, fmt.Errorf("TIME_PASSES %v", s.args)
}
