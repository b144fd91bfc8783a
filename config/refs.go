package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"onoma/dns"
)

// after makes what was just read known to what follows.
func (d *decoder) after(read any) {
	switch all := read.(type) {
	case *[]Key:
		for _, k := range *all {
			if first, twice := d.keys[k.Name.Fold()]; twice {
				d.failAt(k.At, fmt.Sprintf("it once; it is at %s already", first), "key %s is given twice", k.Name)
			}
			d.keys[k.Name.Fold()] = k.At
		}
	case *DNSSEC:
		for _, t := range all.Tokens {
			d.tokens[t.Name] = true
		}
	case *[]Policy:
		for i := range *all {
			p := &(*all)[i]
			if d.policies[p.Name] {
				d.failAt(p.At, "it in one file", "policy %s is given twice", shorten(p.Name))
			}
			d.policies[p.Name] = true
		}
		d.defaultPolicy(all)
	case *[]Remote:
		for i := range *all {
			r := &(*all)[i]
			if d.remotes[r.Name] != nil {
				d.failAt(d.setting("servers", 0), "it in one file", "server %s is given twice", r.Name)
			}
			d.remotes[r.Name] = r
		}
	}
}

// wantKey notes a key that there is not.
func (d *decoder) wantKey(n *yaml.Node, name dns.Name) {
	if _, ok := d.keys[name.Fold()]; ok || name.IsZero() {
		return
	}
	var words []string
	for k := range d.keys {
		words = append(words, k.String())
	}
	slices.Sort(words)
	d.fail(n, "a name that keys has", "there is no key %s%s", name, nearest(name.Fold().String(), words))
}

// list is an access list, which others may name before it is read.
type list struct {
	part
	busy, done bool
	who        Access
}

// accessLists reads the lists of all files. They may name one another.
func (d *decoder) accessLists(parts []part) []AccessList {
	var names []string
	for _, p := range parts {
		d.file = p.file
		m, ok := d.mapping(p.value, "access")
		if !ok {
			continue
		}
		for _, e := range m.entries {
			name := e.key.Value
			switch _, err := parseWho(name); {
			case d.lists[name] != nil:
				d.fail(e.key, "it once", "access list %s is given twice", shorten(name))
			case err == nil || name == "any" || name == "none" || name == "":
				d.fail(e.key, "a word such as friends", "an access list cannot be called %q", shorten(name))
			default:
				d.lists[name] = &list{part: part{p.file, e}}
				names = append(names, name)
			}
		}
	}
	out := make([]AccessList, 0, len(names))
	for _, name := range names {
		l := d.lists[name]
		d.resolveList(l)
		out = append(out, AccessList{name, l.who})
	}
	return out
}

func (d *decoder) resolveList(l *list) {
	if l.done {
		return
	}
	file := d.file
	l.busy, d.file = true, l.file
	l.who = d.access(l.value)
	l.busy, l.done, d.file = false, true, file
}

// access reads a list of clients.
func (d *decoder) access(n *yaml.Node) Access {
	target := d.follow(n)
	items := []*yaml.Node{n}
	switch {
	case target.Kind == yaml.SequenceNode:
		items = target.Content
	case isNull(target):
		return Access{}
	}
	out := Access{}
	for _, item := range items {
		if d.visit(item) {
			out = append(out, d.who(item)...)
		}
	}
	return out
}

const wantWho = "an address, a prefix, key:NAME, tls:NAME, PREFIX+key:NAME, any, none, or the name of an access list"

// who reads one entry of a list of clients.
func (d *decoder) who(n *yaml.Node) Access {
	target := d.follow(n)
	if target.Kind != yaml.ScalarNode || isNull(target) {
		d.fail(n, wantWho, "an entry is %s", kindName(target))
		return nil
	}
	text := target.Value
	switch text {
	case "any":
		return Access{Who{}}
	case "none":
		return nil
	}
	if l := d.lists[text]; l != nil {
		return d.listed(n, l)
	}
	w, err := parseWho(text)
	if err != nil {
		d.fail(n, wantWho, "%q: %v%s", shorten(text), err, nearest(text, slices.Sorted(maps.Keys(d.lists))))
		return nil
	}
	d.wantKey(n, w.Key)
	return Access{w}
}

// listed returns what is in another list. Lists of lists of lists grow quickly,
// so what is copied counts as if it had been written.
func (d *decoder) listed(n *yaml.Node, l *list) Access {
	if l.busy {
		d.fail(n, "lists that end somewhere", "access list %s contains itself", shorten(n.Value))
		return nil
	}
	d.resolveList(l)
	for range l.who {
		if !d.visit(n) {
			return nil
		}
	}
	return l.who
}

// parseWho reads PREFIX, key:NAME, tls:NAME, or several of these with + between.
func parseWho(s string) (w Who, err error) {
	for i, rest := 0, s; ; i++ {
		part, next, more := cutWho(rest)
		key, isKey := strings.CutPrefix(part, "key:")
		name, isTLS := strings.CutPrefix(part, "tls:")
		switch {
		case isKey && key != "" && w.Key.IsZero():
			if w.Key, err = dns.ParseName(key); err != nil {
				return w, err
			}
		case isTLS && strings.Trim(name, ".") != "" && w.TLS == "":
			w.TLS = strings.ToLower(strings.TrimSuffix(name, "."))
		case i > 0 || part == "" || isKey || isTLS:
			return w, errors.New("not a client")
		default:
			if w.Prefix, err = parsePrefix(part); err != nil {
				if !strings.ContainsAny(part, ".:/") {
					err = errors.New("no such access list")
				}
				return w, err
			}
		}
		if !more {
			return w, nil
		}
		rest = next
	}
}

// cutWho returns the first part of s. A plus sign may be in a key's name, too.
func cutWho(s string) (part, rest string, more bool) {
	end := len(s)
	for _, next := range []string{"+key:", "+tls:"} {
		if i := strings.Index(s, next); i >= 0 {
			end = min(end, i)
		}
	}
	if end == len(s) {
		if part, rest, more = strings.Cut(s, "+"); more && !strings.HasPrefix(s, "key:") {
			return part, rest, true
		}
		return s, "", false
	}
	return s[:end], s[end+1:], true
}

const wantServer = "the name of a server, or ADDR, ADDR:PORT, each perhaps with +key:NAME behind"

// servers reads a list of names of servers.
func (d *decoder) servers(n *yaml.Node) Servers {
	target := d.follow(n)
	items := []*yaml.Node{n}
	switch {
	case target.Kind == yaml.SequenceNode:
		items = target.Content
	case isNull(target):
		return Servers{}
	}
	out := make(Servers, 0, len(items))
	for _, item := range items {
		target := d.follow(item)
		if !d.visit(item) {
			break
		}
		if target.Kind != yaml.ScalarNode || isNull(target) {
			d.fail(item, wantServer, "an entry is %s", kindName(target))
			continue
		}
		if r := d.server(item, target.Value); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// server finds a server by its name, or makes one of an address.
func (d *decoder) server(n *yaml.Node, text string) *Remote {
	for _, known := range []map[string]*Remote{d.remotes, d.unnamed} {
		if r := known[text]; r != nil {
			return r
		}
	}
	address, key, signed := strings.Cut(text, "+")
	addr, err := parseAddress(address)
	if err != nil {
		words := slices.Sorted(maps.Keys(d.remotes))
		d.fail(n, wantServer, "there is no server %q%s", shorten(text), nearest(text, words))
		return nil
	}
	r := &Remote{Address: []netip.AddrPort{withPort(addr, portDNS)}, Transport: TransportTCP}
	if name, ok := strings.CutPrefix(key, "key:"); signed {
		if r.Key, err = dns.ParseName(name); !ok || err != nil {
			d.fail(n, wantServer, "%q: not the name of a key", shorten(text))
			return nil
		}
		d.wantKey(n, r.Key)
	}
	d.unnamed[text] = r
	return r
}
