package importer

import (
	"net/netip"
	"slices"
	"strings"

	"onoma/config"
)

// client is an entry of an address match list, without negation: a prefix, a key,
// or both. The zero client is everybody.
type client struct {
	prefix netip.Prefix
	key    string
	ref    string // another list instead
}

func (c client) String() string {
	switch {
	case c.ref != "":
		return c.ref
	case c.key == "" && !c.prefix.IsValid():
		return "any"
	case c.key == "":
		return showPrefix(c.prefix)
	case !c.prefix.IsValid():
		return "key:" + c.key
	}
	return showPrefix(c.prefix) + "+key:" + c.key
}

// matchList makes a list of clients of BIND's address match lists, in which the
// first element that matches decides, and may say no. What cannot be said here
// ends the list: it lets in fewer clients then, never more.
type matchList struct {
	b     *bind
	out   []client
	holes []netip.Prefix // who has been turned away before
	keys  []string       // whose signatures have been
	among [][]client     // all others than these have been, each time
	ended bool
	fewer bool // somebody is missing who is in BIND's list
}

// who returns the clients of a list. refs lets it name other lists.
func (b *bind) who(block []statement, refs bool, depth int) []client {
	out, _ := b.list(block, refs, depth)
	return out
}

// list reports too whether these are all clients of the list.
func (b *bind) list(block []statement, refs bool, depth int) (out []client, all bool) {
	m := matchList{b: b}
	for _, s := range block {
		if depth > maxDepth || len(m.out) > maxClients {
			m.fewer = true
			break
		}
		if m.ended {
			break
		}
		m.element(s, refs, depth)
	}
	return m.out, !m.fewer
}

const maxClients = 100_000

// names writes clients as YAML.
func names(clients []client) string {
	items := make([]string, 0, len(clients))
	for _, c := range clients {
		items = append(items, c.String())
	}
	if len(items) == 0 {
		items = []string{"none"}
	}
	return list(slices.Compact(items))
}

// sign takes the exclamation marks off an element.
func sign(items []item) (rest []item, negated bool) {
	for len(items) > 0 && !items[0].isBlock && !items[0].quoted && strings.HasPrefix(items[0].text, "!") {
		negated = !negated
		first := items[0]
		first.text = first.text[1:]
		items = append([]item{first}, items[1:]...)
		if first.text == "" {
			items = items[1:]
		}
	}
	return items, negated
}

// element adds one element of the list, or takes it out of those that follow.
func (m *matchList) element(s statement, refs bool, depth int) {
	items, negated := sign(s.items)
	if len(items) == 0 {
		return
	}
	if negated && m.allBut(items, depth) {
		return
	}
	clients, all, ok := m.clients(items, refs && !negated && len(m.holes)+len(m.keys)+len(m.among) == 0, depth)
	m.fewer = m.fewer || !ok || !all
	switch {
	case negated && (!ok || !all):
		m.b.d.note(items[0].at, "who is turned away here cannot be carried over: what follows in the list is left out")
		m.ended = true // whom it would have turned away, something later might let in
	case !ok:
	case negated:
		m.takeOut(items[0].at, clients)
	default:
		m.letIn(clients)
	}
}

// allBut turns away all but some: !{ !SOME; any; }. With what follows that is BIND's
// way to say that clients have to be on two lists.
func (m *matchList) allBut(items []item, depth int) bool {
	block := items[0].block
	if !items[0].isBlock {
		block = m.b.acls[items[0].text]
	}
	if len(block) < 2 || depth > maxDepth {
		return false
	}
	last := len(block) - 1
	if any, negated := sign(block[last].items); negated || len(any) == 0 || any[0].text != "any" {
		return false
	}
	var some []statement
	for _, s := range block[:last] {
		inner, negated := sign(s.items)
		if !negated || len(inner) == 0 {
			return false
		}
		some = append(some, statement{items: inner})
	}
	clients, all := m.b.list(some, false, depth+1)
	m.among = append(m.among, clients)
	m.fewer = m.fewer || !all
	return true
}

// takeOut turns clients away from what follows.
func (m *matchList) takeOut(at config.Pos, clients []client) {
	for _, c := range clients {
		switch {
		case c.key != "":
			m.b.d.note(at, "who signs with key %s is turned away here: of what follows in the list other keys are carried over, and clients without a key are left out", c.key)
			m.keys = append(m.keys, c.key)
			m.fewer = m.fewer || c.prefix.IsValid()
			continue
		case !c.prefix.IsValid():
			m.ended = true
			return
		}
		m.holes = append(m.holes, c.prefix)
	}
}

// letIn adds clients, but for those turned away before.
func (m *matchList) letIn(clients []client) {
	for _, among := range m.among {
		clients = both(clients, among)
	}
	for _, c := range clients {
		if len(m.keys) > 0 && c.ref == "" && (c.key == "" || contains(c.key, m.keys...)) {
			m.fewer = m.fewer || c.key == "" // with a key that has been turned away it would be let in
			continue
		}
		if len(m.holes) == 0 || c.ref != "" {
			m.out = append(m.out, c)
			continue
		}
		from := []netip.Prefix{c.prefix}
		if !c.prefix.IsValid() {
			from = everywhere
		}
		for _, p := range from {
			for _, left := range without(p, m.holes) {
				m.out = append(m.out, client{prefix: left, key: c.key})
			}
		}
	}
}

// both returns the clients that are on two lists.
func both(a, b []client) (out []client) {
	for _, x := range a {
		for _, y := range b {
			if len(out) > maxClients {
				return out
			}
			switch {
			case x.key != "" && y.key != "" && x.key != y.key:
				continue
			case x.prefix.IsValid() && y.prefix.IsValid() && !x.prefix.Overlaps(y.prefix):
				continue
			}
			c := x
			if c.key == "" {
				c.key = y.key
			}
			if !c.prefix.IsValid() || y.prefix.IsValid() && y.prefix.Bits() > c.prefix.Bits() {
				c.prefix = y.prefix
			}
			out = append(out, c)
		}
	}
	return out
}

// clients returns who an element is about, its negation aside.
func (m *matchList) clients(items []item, refs bool, depth int) (clients []client, all, ok bool) {
	first, d := items[0], m.b.d
	switch {
	case first.isBlock:
		clients, all = m.b.list(first.block, false, depth+1)
		return clients, all, true
	case first.text == "key" && len(items) > 1:
		name, known := d.hasKey(items[1].text)
		if !known {
			d.note(first.at, "there is no key %s: who signs with it is left out", items[1].text)
			return nil, false, false
		}
		return []client{{key: name}}, true, true
	case first.text == "any":
		return []client{{}}, true, true
	case first.text == "none":
		m.ended = true
		return nil, true, true
	case first.text == "localhost":
		d.note(first.at, "localhost is 127.0.0.0/8 and ::1 here: add other addresses of this machine where they matter")
		return []client{{prefix: netip.MustParsePrefix("127.0.0.0/8")}, {prefix: netip.MustParsePrefix("::1/128")}}, false, true
	case first.text == "localnets":
		d.note(first.at, "localnets is left out: name this machine's networks")
		return nil, false, false
	}
	if p, isPrefix := parsePrefix(first.text); isPrefix {
		return []client{{prefix: p}}, true, true
	}
	return m.named(first, refs, depth)
}

// named returns the clients of a list with a name.
func (m *matchList) named(first item, refs bool, depth int) (clients []client, all, ok bool) {
	block, known := m.b.acls[first.text]
	if !known {
		m.b.d.note(first.at, "%s is left out of an access list: it is neither an address nor the name of a list", first.text)
		return nil, false, false
	}
	if refs {
		return []client{{ref: listName(first.text)}}, true, true
	}
	if m.b.busy[first.text] {
		m.b.d.note(first.at, "access list %s contains itself: it is left out there", first.text)
		return nil, false, false
	}
	m.b.busy[first.text] = true
	defer delete(m.b.busy, first.text)
	clients, all = m.b.list(block, false, depth+1)
	return clients, all, true
}

// listName makes a name of an access list that is no client.
func listName(name string) string {
	_, isPrefix := parsePrefix(name)
	if isPrefix || name == "any" || name == "none" || name == "" || strings.ContainsAny(name, "+:/") {
		return "list-" + strings.NewReplacer("+", "-", ":", "-", "/", "-").Replace(name)
	}
	return name
}
