package resolver

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
)

// scenario is a scripted conversation in the form of Unbound's testbound: what
// servers say while which step runs, and what the client asks and must hear.
type scenario struct {
	head    *rplClause          // the options of "server:"
	clauses []*rplClause        // of the other clauses, in their order
	files   map[string][]string // by name: of TEMPFILE_CONTENTS
	anchors map[string][]string // by zone: of AUTOTRUST_FILE
	ranges  []rplRange
	steps   []rplStep
	unknown string // the first thing that the reader does not know
}

// rplClause is one clause of the head: its options in their order.
type rplClause struct {
	kind    string
	options []rplOption
}

type rplOption struct {
	name string
	args []string
}

// all returns the arguments of all options of that name, each joined by blanks.
func (c *rplClause) all(name string) (list []string) {
	for _, o := range c.options {
		if o.name == name {
			list = append(list, strings.Join(o.args, " "))
		}
	}
	return list
}

// last returns the arguments of the last option of that name.
func (c *rplClause) last(name, def string) string {
	if v := c.all(name); len(v) > 0 {
		return v[len(v)-1]
	}
	return def
}

type rplRange struct {
	from, to int
	addrs    []netip.Addr // none: any
	entries  []*rplEntry
}

type rplStep struct {
	number int
	kind   string
	args   []string
	entry  *rplEntry
	lines  []string // of FILE_BEGIN
}

// rplEntry is a message, and how it matches and is adjusted.
type rplEntry struct {
	match, adjust []string
	msg           dns.Message
	hasEDNS       bool          // HEX_EDNSDATA_BEGIN, even with nothing in it
	raw           []byte        // HEX_ANSWER_BEGIN: in place of msg
	extra         []dns.Message // EXTRA_PACKET: the messages of a transfer behind the first
}

func readScenario(file string) (*scenario, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	r := rplReader{lines: lines, s: &scenario{head: &rplClause{kind: "server"}, files: map[string][]string{}, anchors: map[string][]string{}}}
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
	text  *dns.Message // that records are added to
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

// until returns the lines before the one that is end, as they are.
func (r *rplReader) until(end string) (list []string) {
	for r.lines.Scan() {
		r.line++
		text := r.lines.Text()
		if strings.TrimSpace(text) == end {
			break
		}
		list = append(list, text)
	}
	return list
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

// config reads the head. What stands between clauses belongs to the one before.
func (r *rplReader) config() {
	c := r.s.head
	for words, text, ok := r.next(); ok && words[0] != "CONFIG_END"; words, text, ok = r.next() {
		switch words[0] {
		case "AUTOTRUST_FILE":
			r.s.anchors[words[1]] = r.until("AUTOTRUST_END")
		case "TEMPFILE_CONTENTS":
			r.s.files[words[1]] = r.until("TEMPFILE_END")
		case "TEMPFILE_NAME": // the value of the option on the line before
			if last := len(c.options) - 1; last >= 0 {
				c.options[last].args = append(c.options[last].args, words[1])
			}
		default:
			for _, w := range configWords(text) {
				c = r.s.word(c, w)
			}
		}
	}
}

// word takes the next word of the head, and returns the clause that is open.
func (s *scenario) word(c *rplClause, w configWord) *rplClause {
	name, isOption := strings.CutSuffix(w.text, ":")
	switch {
	case isOption && !w.quoted && name == "server":
		return s.head
	case isOption && !w.quoted && slices.Contains(rplClauses, name):
		c = &rplClause{kind: name}
		s.clauses = append(s.clauses, c)
	case isOption && !w.quoted && !strings.Contains(name, ":"):
		c.options = append(c.options, rplOption{name: name})
	case len(c.options) > 0:
		o := &c.options[len(c.options)-1]
		o.args = append(o.args, w.text)
	}
	return c
}

var rplClauses = []string{"stub-zone", "forward-zone", "auth-zone", "rpz", "view", "remote-control", "cachedb", "dnstap", "python", "dnscrypt", "ipset", "dynlib"}

type configWord struct {
	text   string
	quoted bool
}

// configWords splits a line of the head; quotes of both kinds keep words together.
func configWords(line string) (list []configWord) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " \t") {
		switch line[0] {
		case '#':
			return list
		case '"', '\'':
			text, rest, _ := strings.Cut(line[1:], line[:1])
			list, line = append(list, configWord{text, true}), rest
			continue
		}
		end := strings.IndexAny(line, " \t#")
		if end < 0 {
			end = len(line)
		}
		list, line = append(list, configWord{line[:end], false}), line[end:]
	}
	return list
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
			r.unknown(words[0])
		}
	}
	return nil
}

func (r *rplReader) unknown(what string) {
	if r.s.unknown == "" {
		r.s.unknown = fmt.Sprintf("%s (line %d)", what, r.line)
	}
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
			g.entries = append(g.entries, r.readEntry())
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
	if err != nil || len(args) < 2 {
		return fmt.Errorf("step %q", args)
	}
	s := rplStep{number: n, kind: args[1], args: args[2:]}
	switch {
	case slices.Contains(stepsWithEntry, s.kind):
		for words, _, ok := r.next(); ok && words[0] != "ENTRY_BEGIN"; words, _, ok = r.next() {
			s.args = append(s.args, words...)
		}
		s.entry = r.readEntry()
	case s.kind == "CHECK_AUTOTRUST", s.kind == "CHECK_TEMPFILE":
		r.until("FILE_BEGIN")
		s.lines = r.until("FILE_END")
	}
	r.s.steps = append(r.s.steps, s)
	return nil
}

var rplFlags = map[string]dns.Flags{
	"QR": dns.FlagQR, "AA": dns.FlagAA, "TC": dns.FlagTC, "RD": dns.FlagRD, "RA": dns.FlagRA, "AD": dns.FlagAD, "CD": dns.FlagCD,
}

var rplRCodes = map[string]dns.RCode{
	"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMPL": 4, "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10,
}

func (r *rplReader) readEntry() *rplEntry {
	e := &rplEntry{}
	r.text = &e.msg
	section := ""
	for words, text, ok := r.next(); ok && words[0] != "ENTRY_END"; words, text, ok = r.next() {
		switch words[0] {
		case "MATCH":
			e.match = append(e.match, words[1:]...)
		case "ADJUST":
			e.adjust = append(e.adjust, words[1:]...)
		case "REPLY":
			r.reply(words[1:])
		case "SECTION":
			section = words[1]
		case "EXTRA_PACKET":
			e.extra = append(e.extra, dns.Message{})
			r.text = &e.extra[len(e.extra)-1]
		case "HEX_EDNSDATA_BEGIN":
			e.hasEDNS = true
			e.options(r.hexUntil("HEX_EDNSDATA_END"))
		case "HEX_ANSWER_BEGIN":
			e.raw = r.hexUntil("HEX_ANSWER_END")
		default:
			if err := r.record(section, words, text); err != nil {
				r.unknown("a record that cannot be read: " + err.Error())
			}
		}
	}
	return e
}

// hexUntil reads octets; comments and blanks do not count.
func (r *rplReader) hexUntil(end string) []byte {
	var text strings.Builder
	for words, _, ok := r.next(); ok && words[0] != end; words, _, ok = r.next() {
		text.WriteString(strings.Join(words, ""))
	}
	b, err := hex.DecodeString(text.String())
	if err != nil {
		r.unknown("octets that cannot be read: " + err.Error())
	}
	return b
}

// options gives the message an OPT with these options.
func (e *rplEntry) options(wire []byte) {
	if e.msg.EDNS == nil {
		e.msg.EDNS = &dns.EDNS{UDPSize: 4096}
	}
	for len(wire) >= 4 {
		code, n := uint16(wire[0])<<8|uint16(wire[1]), int(wire[2])<<8|int(wire[3])
		n = min(n, len(wire)-4)
		e.msg.EDNS.Options = append(e.msg.EDNS.Options, dns.Option{Code: dns.OptionCode(code), Data: wire[4 : 4+n]})
		wire = wire[4+n:]
	}
}

func (r *rplReader) reply(words []string) {
	m := r.text
	for _, w := range words {
		if f, ok := rplFlags[w]; ok {
			m.Flags |= f
		} else if rc, ok := rplRCodes[w]; ok {
			m.RCode = rc
		} else if w == "DO" {
			if m.EDNS == nil {
				m.EDNS = &dns.EDNS{UDPSize: 4096}
			}
			m.EDNS.DO = true
		} else if w == "NOTIFY" {
			m.Flags = m.Flags.WithOpcode(dns.OpcodeNotify)
		} else {
			r.unknown("REPLY " + w)
		}
	}
}

// elapse reads the time of TIME_PASSES.
func (s *rplStep) elapse(m *rplMacros) (time.Duration, error) {
	if len(s.args) < 2 {
		return 0, fmt.Errorf("TIME_PASSES %v", s.args)
	}
	text := strings.Join(s.args[1:], " ")
	if s.args[0] == "EVAL" {
		text = m.expand(text)
	}
	sec, err := strconv.ParseFloat(text, 64)
	return time.Duration(sec * float64(time.Second)), err
}
