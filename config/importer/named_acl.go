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
	ended bool
}

// who returns the clients of a list. refs lets it name other lists.
func (b *bind) who(block []statement, refs bool, depth int) []client {
	m := matchList{b: b}
	for _, s := range block {
		if m.ended || depth > maxDepth || len(m.out) > maxClients {
			break
		}
		m.element(s, refs, depth)
	}
	return m.out
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

// element adds one element of the list, or takes it out of those that follow.
func (m *matchList) element(s statement, refs bool, depth int) {
	items := s.items
	negated := false
	for len(items) > 0 && !items[0].isBlock && !items[0].quoted && strings.HasPrefix(items[0].text, "!") {
		negated = !negated
		first := items[0]
		first.text = first.text[1:]
		items = append([]item{first}, items[1:]...)
		if first.text == "" {
			items = items[1:]
		}
	}
	if len(items) == 0 {
		return
	}
	clients, ok := m.clients(items, refs && !negated && len(m.holes) == 0, depth)
	switch {
	case !ok && negated:
		m.ended = true // whom it would have turned away, something later might let in
	case !ok:
	case negated:
		m.takeOut(items[0].at, clients)
	default:
		m.letIn(clients)
	}
}

// takeOut turns clients away from what follows.
func (m *matchList) takeOut(at config.Pos, clients []client) {
	for _, c := range clients {
		switch {
		case c.key != "":
			m.b.d.note(at, "an access list that turns away who signs with a key cannot be carried over: what follows in the list is left out")
			m.ended = true
			return
		case !c.prefix.IsValid():
			m.ended = true
			return
		}
		m.holes = append(m.holes, c.prefix)
	}
}

// letIn adds clients, but for those turned away before.
func (m *matchList) letIn(clients []client) {
	for _, c := range clients {
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

// clients returns who an element is about, its negation aside.
func (m *matchList) clients(items []item, refs bool, depth int) (clients []client, ok bool) {
	first, d := items[0], m.b.d
	switch {
	case first.isBlock:
		return m.b.who(first.block, false, depth+1), true
	case first.text == "key" && len(items) > 1:
		name, known := d.hasKey(items[1].text)
		if !known {
			d.note(first.at, "there is no key %s: who signs with it is left out", items[1].text)
			return nil, false
		}
		return []client{{key: name}}, true
	case first.text == "any":
		return []client{{}}, true
	case first.text == "none":
		m.ended = true
		return nil, true
	case first.text == "localhost":
		d.note(first.at, "localhost is 127.0.0.0/8 and ::1 here: add other addresses of this machine where they matter")
		return []client{{prefix: netip.MustParsePrefix("127.0.0.0/8")}, {prefix: netip.MustParsePrefix("::1/128")}}, true
	case first.text == "localnets":
		d.note(first.at, "localnets is left out: name this machine's networks")
		return nil, false
	}
	if p, isPrefix := parsePrefix(first.text); isPrefix {
		return []client{{prefix: p}}, true
	}
	return m.named(first, refs, depth)
}

// named returns the clients of a list with a name.
func (m *matchList) named(first item, refs bool, depth int) ([]client, bool) {
	block, known := m.b.acls[first.text]
	if !known {
		m.b.d.note(first.at, "%s is left out of an access list: it is neither an address nor the name of a list", first.text)
		return nil, false
	}
	if refs {
		return []client{{ref: listName(first.text)}}, true
	}
	if m.b.busy[first.text] {
		m.b.d.note(first.at, "access list %s contains itself: it is left out there", first.text)
		return nil, false
	}
	m.b.busy[first.text] = true
	defer delete(m.b.busy, first.text)
	return m.b.who(block, false, depth+1), true
}

// listName makes a name of an access list that is no client.
func listName(name string) string {
	_, isPrefix := parsePrefix(name)
	if isPrefix || name == "any" || name == "none" || name == "" || strings.ContainsAny(name, "+:/") {
		return "list-" + strings.NewReplacer("+", "-", ":", "-", "/", "-").Replace(name)
	}
	return name
}
