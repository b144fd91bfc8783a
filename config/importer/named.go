package importer

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// bind is the import of a named.conf.
type bind struct {
	r          *reader
	d          *draft
	dir        string                 // that relative paths are seen from
	acls       map[string][]statement // access lists
	lists      map[string]statement   // lists of servers
	tls        map[string][]statement // profiles
	serverKeys map[netip.Addr]string  // of server statements
	busy       map[string]bool        // lists that are being read
	catalogs   map[string]statement   // entries of catalog-zones, by their zones
	inherited  []statement            // of the view at hand
	all        []statement            // of the options
	open       bool                   // there is no allow-transfer among the options

	isPowerDNS bool     // the file is that of its bind backend
	alsoNotify []string // who is told of all zones there
}

func newBIND(r *reader, d *draft) *bind {
	return &bind{
		r: r, d: d, acls: make(map[string][]statement), lists: make(map[string]statement), tls: make(map[string][]statement),
		serverKeys: make(map[netip.Addr]string), busy: make(map[string]bool), catalogs: make(map[string]statement),
	}
}

func importBIND(r *reader, path string) (*draft, error) {
	b := newBIND(r, &draft{})
	top, err := r.readNamed(b.d, path, 0)
	if err != nil {
		return nil, err
	}
	b.dir = filepath.Dir(path)
	b.definitions(top)
	var options []statement
	for _, s := range top {
		if s.word(0) == "options" {
			options = append(options, s.block()...)
		}
	}
	for _, s := range options {
		if s.word(0) == "directory" {
			b.dir = s.word(1)
			if !filepath.IsAbs(b.dir) {
				b.dir = filepath.Join(filepath.Dir(path), b.dir)
			}
		}
	}
	b.all = options
	b.accessLists(top)
	b.options(options)
	b.zones(top, "", &b.d.zones)
	for _, s := range top {
		b.topLevel(s)
	}
	return b.d, nil
}

// definitions notes what other statements name.
func (b *bind) definitions(all []statement) {
	for _, s := range all {
		name := s.word(1)
		switch s.word(0) {
		case "acl":
			b.acls[name] = s.block()
		case "primaries", "masters", "remote-servers", "parental-agents":
			b.lists[name] = s
		case "tls":
			b.tls[name] = s.block()
		case "key":
			b.key(s)
		case "server":
			b.server(s)
		case "view":
			b.definitions(s.block())
		}
	}
}

func (b *bind) key(s statement) {
	var algorithm, secret string
	for _, e := range s.block() {
		switch e.word(0) {
		case "algorithm":
			algorithm = e.word(1)
		case "secret":
			secret = e.word(1)
		}
	}
	b.d.key(s.at(), s.word(1), algorithm, strings.Join(strings.Fields(secret), ""))
}

func (b *bind) server(s statement) {
	addr, err := netip.ParseAddr(s.word(1))
	for _, e := range s.block() {
		if e.word(0) != "keys" || err != nil {
			b.d.note(e.at(), "server %s: %s is not carried over", s.word(1), e.word(0))
			continue
		}
		key := e.word(1)
		if block := e.block(); len(block) > 0 {
			key = block[0].word(0)
		}
		b.serverKeys[addr.Unmap()] = key
	}
}

// path returns a path of the configuration in full.
func (b *bind) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(b.dir, p)
}

func (b *bind) accessLists(top []statement) {
	for _, s := range top {
		if s.word(0) != "acl" || !b.d.isNew("access", listName(s.word(1))) {
			continue
		}
		b.busy[s.word(1)] = true
		// Its parts are written out, so that no list can come to name itself.
		b.d.access = append(b.d.access, named{name: listName(s.word(1)), settings: []setting{{"", names(b.who(s.block(), false, 0))}}})
		delete(b.busy, s.word(1))
	}
}

// topLevel is about statements beside options, zones and definitions.
func (b *bind) topLevel(s statement) {
	switch s.word(0) {
	case "options", "acl", "primaries", "masters", "remote-servers", "parental-agents", "tls", "key", "server", "zone", "http":
	case "view":
		b.view(s)
	case "controls":
		b.d.note(s.at(), "controls is not carried over: \"onoma ctl\" talks to the server over the socket that the setting control names")
	case "logging":
		b.d.note(s.at(), "logging is not carried over: the section log says what is logged")
	case "statistics-channels":
		b.d.note(s.at(), "statistics-channels is not carried over: the setting metrics serves figures for Prometheus")
	case "dnssec-policy":
		b.policy(s)
	case "trust-anchors", "managed-keys", "trusted-keys":
		b.d.note(s.at(), "%s is for resolving, which is another server's work: onoma resolver", s.word(0))
	default:
		b.d.note(s.at(), "%s is not carried over", s.word(0))
	}
}

func (b *bind) view(s statement) {
	v := view{named: named{name: s.word(1)}}
	match := "any"
	for _, e := range s.block() {
		switch e.word(0) {
		case "match-clients":
			match = names(b.who(e.block(), true, 0))
		case "match-destinations":
			v.set("to", b.prefixes(e))
		case "zone", "key", "acl", "server", "primaries", "masters", "recursion":
		case "match-recursive-only":
			b.d.note(e.at(), "view %s: match-recursive-only is not carried over", v.name)
		default:
			if !viewWide[e.word(0)] && !signingWords[e.word(0)] {
				b.unknown(e, "view "+v.name+": ")
			}
		}
	}
	v.set("match", match)
	b.inherited = s.block()
	b.zones(s.block(), v.name, &v.zones)
	b.inherited = nil
	b.d.views = append(b.d.views, v)
}

// prefixes writes a list in which there can be no keys.
func (b *bind) prefixes(s statement) string {
	var items []string
	for _, c := range b.who(s.block(), false, 0) {
		switch {
		case c.key != "":
			b.d.note(s.at(), "%s: a key says nothing of an address, it is left out", s.word(0))
		case !c.prefix.IsValid():
			items = append(items, "0.0.0.0/0", "::/0")
		default:
			items = append(items, showPrefix(c.prefix))
		}
	}
	return list(items)
}

// seconds writes a number of seconds.
func seconds(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return strconv.FormatUint(n, 10) + "s", err == nil && n > 0
}

// contains reports whether a word is one of several.
func contains(word string, words ...string) bool { return slices.Contains(words, word) }
