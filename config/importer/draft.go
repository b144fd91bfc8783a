package importer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"onoma/config"
	"onoma/dns"
)

// draft is a configuration on its way. Its parts are in the order in which they
// are to be written.
type draft struct {
	source    string
	general   []setting // of the outermost mapping
	server    []setting // of the section server
	limit     []setting // of rate-limit in it
	keys      []named
	servers   []named
	access    []named // of each the first setting is the list
	policies  []named
	templates []named
	zones     []named
	views     []view
	notes     []Note
	seen      map[string]bool // names of keys and servers that are there
}

// setting is a key and what stands behind it, as YAML.
type setting struct{ key, value string }

// named is a part with a name.
type named struct {
	name     string
	remark   string
	settings []setting
}

// view is a view with its zones.
type view struct {
	named
	zones []named
}

// set adds a setting, or replaces it.
func (n *named) set(key, value string) { n.settings = put(n.settings, key, value) }

func put(settings []setting, key, value string) []setting {
	for i := range settings {
		if settings[i].key == key {
			settings[i].value = value
			return settings
		}
	}
	return append(settings, setting{key, value})
}

func (n *named) get(key string) string {
	for _, s := range n.settings {
		if s.key == key {
			return s.value
		}
	}
	return ""
}

func (d *draft) note(at config.Pos, format string, args ...any) {
	d.notes = append(d.notes, Note{at, fmt.Sprintf(format, args...)})
}

// number returns a number of the configuration that has to be from least to most,
// and "" with a note where it is not.
func (d *draft) number(at config.Pos, what, text string, least, most int) string {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		d.note(at, "%s: %s is left out: expected a number from %d to %d", what, text, least, most)
		return ""
	}
	return strconv.Itoa(n)
}

// serverNumber sets a number of the section server.
func (d *draft) serverNumber(at config.Pos, key, text string, least, most int) {
	if n := d.number(at, key, text, least, most); n != "" {
		d.server = put(d.server, key, n)
	}
}

// port returns the number of a port, 53 where it is none.
func (d *draft) port(at config.Pos, text string) string {
	if text == "" {
		return "53"
	}
	if n := d.number(at, "port", text, 1, 65535); n != "" {
		return n
	}
	return "53"
}

// isNew reports whether a part of that kind and name is seen for the first time.
func (d *draft) isNew(kind, name string) bool {
	if d.seen == nil {
		d.seen = make(map[string]bool)
	}
	is := !d.seen[kind+" "+name]
	d.seen[kind+" "+name] = true
	return is
}

// addServer adds a server that has been made up here, and returns its name: another
// one where there is one of that name with other settings.
func (d *draft) addServer(s named) string {
	name := s.name
	for i := 2; ; i++ {
		at := slices.IndexFunc(d.servers, func(o named) bool { return o.name == s.name })
		switch {
		case at < 0 && d.isNew("server", s.name):
			d.servers = append(d.servers, s)
			return s.name
		case at >= 0 && slices.Equal(d.servers[at].settings, s.settings):
			return s.name
		}
		s.name = name + "-" + strconv.Itoa(i)
	}
}

// key adds a TSIG key, if its name and algorithm are good.
func (d *draft) key(at config.Pos, name, algorithm, secret string) {
	n, err := dns.ParseName(name)
	if err != nil {
		d.note(at, "key %s is left out: %v", name, err)
		return
	}
	a, err := dns.ParseTSIGAlgorithm(algorithm)
	if err != nil {
		d.note(at, "key %s is left out: %v", name, err)
		return
	}
	if b, err := base64.StdEncoding.DecodeString(secret); err != nil || len(b) == 0 {
		d.note(at, "key %s is left out: its secret is not Base64", name)
		return
	}
	if !d.isNew("key", n.Fold().String()) {
		return
	}
	d.keys = append(d.keys, named{name: n.String(), settings: []setting{
		{"algorithm", strings.TrimSuffix(a.String(), ".")}, {"secret", quote(secret)},
	}})
}

// hasKey reports whether a key of that name is there, and returns the name in full.
func (d *draft) hasKey(name string) (string, bool) {
	n, err := dns.ParseName(name)
	if err != nil {
		return name, false
	}
	return n.String(), d.seen["key "+n.Fold().String()]
}

var plain = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9/._-]*$`)

// quote writes a text as YAML.
func quote(s string) string {
	if plain.MatchString(s) && s != "null" {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(strings.ToValidUTF8(s, "?")); err != nil {
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// list writes a list as YAML.
func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// write makes the YAML.
func (d *draft) write() []byte {
	w := &yamlWriter{}
	w.printf("# Imported from %s.\n", strings.Map(printable, d.source))
	if len(d.notes) > 0 {
		w.printf("# Things that are different here, or missing: %d. The import has told of each.\n", len(d.notes))
	}
	w.printf("\n")
	w.settings("", d.general)
	if len(d.server)+len(d.limit) > 0 {
		w.printf("\nserver:\n")
		w.settings("  ", d.server)
		if len(d.limit) > 0 {
			w.printf("  rate-limit: %s\n", flow(d.limit))
		}
	}
	w.named("", "keys", d.keys)
	w.named("", "servers", d.servers)
	if len(d.access) > 0 {
		w.printf("\naccess:\n")
		for _, l := range d.access {
			w.printf("  %s: %s\n", quote(l.name), l.settings[0].value)
		}
	}
	w.named("", "policies", d.policies)
	w.named("", "templates", d.templates)
	w.named("", "zones", d.zones)
	if len(d.views) > 0 {
		w.printf("\nviews:\n")
	}
	for _, v := range d.views {
		w.printf("  %s:\n", quote(v.name))
		w.settings("    ", v.settings)
		w.named("    ", "zones", v.zones)
	}
	return w.b.Bytes()
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7F || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xFEFF {
		return '?'
	}
	return r
}

type yamlWriter struct{ b bytes.Buffer }

func (w *yamlWriter) printf(format string, args ...any) { fmt.Fprintf(&w.b, format, args...) }

func (w *yamlWriter) settings(indent string, settings []setting) {
	for _, s := range settings {
		w.printf("%s%s: %s\n", indent, s.key, s.value)
	}
}

// named writes parts, short ones in a line.
func (w *yamlWriter) named(indent, what string, parts []named) {
	if len(parts) == 0 {
		return
	}
	if indent == "" {
		w.printf("\n")
	}
	w.printf("%s%s:\n", indent, what)
	for _, p := range parts {
		if p.remark != "" {
			w.printf("%s  # %s\n", indent, strings.Map(printable, p.remark))
		}
		const short = 90
		if line := flow(p.settings); len(line) < short {
			w.printf("%s  %s: %s\n", indent, quote(p.name), line)
			continue
		}
		w.printf("%s  %s:\n", indent, quote(p.name))
		w.settings(indent+"    ", p.settings)
	}
}

func flow(settings []setting) string {
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = s.key + ": " + s.value
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// zoneName returns the name of a zone as it is written, and "" where it is none.
func zoneName(s string) string {
	n, err := dns.ParseName(s)
	switch {
	case err != nil:
		return ""
	case n.IsRoot():
		return "."
	}
	return strings.TrimSuffix(n.Fold().String(), ".")
}

// addZone adds a zone, once.
func (d *draft) addZone(at config.Pos, view string, to *[]named, z named) {
	if z.name == "" {
		d.note(at, "a zone without a proper name is left out")
		return
	}
	if !d.isNew("zone "+view, z.name) {
		d.note(at, "zone %s is there already: this one is left out", z.name)
		return
	}
	*to = append(*to, z)
}

// parsePrefix reads an address, or a prefix whose last octets may be left out or
// have bits set.
func parsePrefix(s string) (netip.Prefix, bool) {
	address, bits, hasBits := strings.Cut(s, "/")
	if !strings.Contains(address, ":") {
		if n := strings.Count(address, "."); hasBits && n < 3 {
			address += strings.Repeat(".0", 3-n)
		}
	}
	if !hasBits {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return netip.Prefix{}, false
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(address + "/" + bits)
	return p.Masked(), err == nil && !p.Addr().Is4In6()
}

// parseClients reads an address, a prefix, or a range: ADDR-ADDR.
func parseClients(s string) ([]netip.Prefix, bool) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		p, ok := parsePrefix(s)
		return []netip.Prefix{p}, ok
	}
	from, err := netip.ParseAddr(first)
	to, err2 := netip.ParseAddr(last)
	if err != nil || err2 != nil || from.BitLen() != to.BitLen() || from.Zone()+to.Zone() != "" || to.Less(from) {
		return nil, false
	}
	var out []netip.Prefix
	for {
		p := netip.PrefixFrom(from, from.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(from, p.Bits()-1).Masked()
			if wider.Addr() != from || to.Less(lastOf(wider)) {
				break
			}
			p = wider
		}
		out = append(out, p)
		if from = lastOf(p).Next(); !from.IsValid() || to.Less(from) {
			return out, true
		}
	}
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	octets := p.Addr().AsSlice()
	for i := p.Bits(); i < len(octets)*8; i++ {
		octets[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(octets)
	return a
}

// showPrefix writes a prefix, and an address as one.
func showPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// without returns what is left of p when holes are taken out of it.
func without(p netip.Prefix, holes []netip.Prefix) []netip.Prefix {
	at := slices.IndexFunc(holes, p.Overlaps)
	switch {
	case at < 0:
		return []netip.Prefix{p}
	case holes[at].Bits() <= p.Bits():
		return nil
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	octets := p.Addr().AsSlice()
	octets[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	high, _ := netip.AddrFromSlice(octets)
	return append(without(low, holes), without(netip.PrefixFrom(high, p.Bits()+1), holes)...)
}
