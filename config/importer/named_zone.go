package importer

import (
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
)

// zones carries over the zones of a block.
func (b *bind) zones(all []statement, view string, to *[]named) {
	for _, s := range all {
		if s.word(0) == "zone" {
			b.zone(s, view, to)
		}
	}
}

func (b *bind) zone(s statement, view string, to *[]named) {
	z := named{name: zoneName(s.word(1))}
	kind, inView := "", false
	for _, e := range s.block() {
		switch e.word(0) {
		case "type":
			kind = e.word(1)
		case "in-view":
			inView = true
		}
	}
	if class := s.word(2); class != "" && !strings.EqualFold(class, "IN") {
		b.d.note(s.at(), "zone %s is of class %s and left out", z.name, class)
		return
	}
	switch kind {
	case "primary", "master", "secondary", "slave":
	case "native": // PowerDNS's word for a primary without secondaries
	case "mirror":
		b.d.note(s.at(), "zone %s is a mirror for resolving, and served as any secondary here", z.name)
	case "hint":
		return // of the root, for resolving
	case "":
		if inView {
			b.d.note(s.at(), "zone %s is that of another view (in-view) and left out: the setting others of a view serves zones outside of views in it", z.name)
			return
		}
		fallthrough
	default:
		b.d.note(s.at(), "zone %s is of type %q, which is not carried over", z.name, kind)
		return
	}
	b.zoneBlock(&z, s, contains(kind, "primary", "master", "native"))
	b.transfers(&z, s)
	b.d.addZone(s.at(), view, to, z)
}

// zoneBlock carries over the settings of a zone, after those of its view.
func (b *bind) zoneBlock(z *named, s statement, isPrimary bool) {
	for _, e := range b.inherited {
		if zoneWide[e.word(0)] {
			b.zoneSetting(z, e)
		}
	}
	var rules []string
	for _, e := range s.block() {
		name := e.word(0)
		switch {
		case contains(name, "type", "file", "masterfile-format") || signingWords[name] || silent[name] && name != "journal":
		case contains(name, "primaries", "masters"):
			z.set("primaries", list(b.remotes(e, 0)))
		case zoneWide[name]:
			b.zoneSetting(z, e)
		case name == "allow-update":
			rules = append(rules, b.allowUpdate(e)...)
		case name == "update-policy":
			rules = append(rules, b.updatePolicy(z, e)...)
		case name == "allow-update-forwarding":
			if updates := b.allowUpdate(e); len(updates) > 0 && !isPrimary {
				rules = append(rules, updates...)
				z.set("forward-updates", "true")
			}
		default:
			b.unknown(e, "zone "+z.name+": ")
		}
	}
	b.content(z, s, isPrimary, rules)
	b.signing(z, s, isPrimary)
}

// content says where the zone comes from.
func (b *bind) content(z *named, s statement, isPrimary bool, rules []string) {
	for _, e := range s.block() {
		switch e.word(0) {
		case "file":
			if isPrimary {
				z.settings = append([]setting{{"file", quote(b.path(e.word(1)))}}, z.settings...)
			}
		case "masterfile-format":
			if isPrimary && e.word(1) != "text" {
				b.d.note(e.at(), "zone %s: its file is in the form %s, write it as text: named-compilezone -f %s -F text", z.name, e.word(1), e.word(1))
			}
		}
	}
	switch {
	case isPrimary && len(rules) > 0:
		if z.get("file") != "" {
			z.set("file-mode", "initial")
			b.d.note(s.at(), "zone %s is changed by UPDATE: before its file is read here, have BIND write what it has: rndc sync -clean %s", z.name, z.name)
		}
		z.set("update", list(rules))
	case len(rules) > 0 && z.get("forward-updates") != "":
		z.set("update", list(rules))
	}
	if isPrimary && z.get("file") == "" {
		b.d.note(s.at(), "zone %s has no file: it is empty until something is put into it", z.name)
	}
	if !isPrimary && z.get("primaries") == "" {
		b.d.note(s.at(), "zone %s has no primaries", z.name)
	}
	if _, is := b.catalogs[z.name]; is {
		z.set("catalog", "{consume: {template: "+quote("members-of-"+z.name)+"}}")
	}
}

// zoneSetting carries over what zones have and may inherit.
func (b *bind) zoneSetting(z *named, s statement) {
	word := s.word(1)
	isNo := contains(word, "no", "false", "0")
	switch s.word(0) {
	case "allow-transfer":
		z.set("transfer-to", names(b.who(s.block(), true, 0)))
	case "also-notify":
		z.set("notify", list(unique(slices.Concat(b.alsoNotify, b.remotes(s, 0)))))
	case "allow-notify":
		z.set("allow-notify", names(b.who(s.block(), true, 0)))
	case "notify":
		b.notify(z, s)
	case "notify-source", "notify-source-v6":
		b.source(z, s, "notify-from")
	case "transfer-source", "transfer-source-v6":
		b.source(z, s, "transfer-from")
	case "request-ixfr":
		if isNo {
			z.set("ixfr", "false")
		}
	case "ixfr-from-differences": // as everybody's differences are made here
	case "serial-update-method":
		if contains(word, "increment", "date", "unixtime") {
			z.set("serial", word)
		}
	case "min-refresh-time", "max-refresh-time", "min-retry-time", "max-retry-time":
		parts := strings.Split(s.word(0), "-")
		if v, ok := seconds(word); ok {
			z.set(parts[1]+"-"+parts[0], v)
		}
	}
}

func (b *bind) notify(z *named, s statement) {
	switch s.word(1) {
	case "no", "false", "0":
		z.set("notify-ns", "false")
		z.set("notify", "[]")
	case "explicit":
		z.set("notify-ns", "false")
	default:
		z.set("notify-ns", "true")
	}
}

// source carries over a local address, of which there is one for each family.
func (b *bind) source(z *named, s statement, key string) {
	addr, err := netip.ParseAddr(s.word(1))
	if err != nil {
		return // * is any
	}
	if s.after("port") != "" {
		b.d.note(s.at(), "%s: the port is not carried over", s.word(0))
	}
	if before := strings.Trim(z.get(key), "[]"); before != "" {
		z.set(key, "["+before+", "+quote(addr.String())+"]")
		return
	}
	z.set(key, list([]string{addr.String()}))
}

// allowUpdate makes a rule of who may change everything.
func (b *bind) allowUpdate(s statement) []string {
	clients := b.who(s.block(), false, 0)
	if len(clients) == 0 {
		return nil
	}
	items := make([]string, len(clients))
	for i, c := range clients {
		items[i] = c.String()
	}
	return []string{"grant " + strings.Join(items, ",") + " zonesub ANY"}
}

// updatePolicy carries over rules, whose words are much the same here.
func (b *bind) updatePolicy(z *named, s statement) (rules []string) {
	if s.word(1) == "local" {
		b.d.note(s.at(), "zone %s: update-policy local is not carried over: name a key", z.name)
		return nil
	}
	for _, e := range s.block() {
		rule, ok := b.policyRule(z, e)
		if ok {
			rules = append(rules, rule)
			continue
		}
		b.d.note(e.at(), "zone %s: this rule of its update-policy is not carried over", z.name)
		if e.word(0) == "deny" {
			return rules // what it denies, a later one might grant
		}
	}
	return rules
}

// policyRule carries over grant|deny IDENTITY RULETYPE [NAME] [TYPES].
func (b *bind) policyRule(z *named, e statement) (string, bool) {
	var words []string
	for _, it := range e.items {
		if it.isBlock {
			return "", false
		}
		words = append(words, it.text)
	}
	if len(words) < 3 || !contains(words[0], "grant", "deny") {
		return "", false
	}
	who, match, rest := words[1], words[2], words[3:]
	switch key, known := b.d.hasKey(who); {
	case who == "*":
		who = "signed"
	case match == "tcp-self":
		who = "any"
	case known:
		who = "key:" + key
	default:
		return "", false
	}
	switch match {
	case "zonesub":
	case "name", "subdomain", "wildcard":
		if len(rest) == 0 {
			return "", false
		}
		name, err := dns.ParseName(rest[0])
		if err != nil {
			return "", false
		}
		match, rest = match+" "+name.String(), rest[1:]
	case "self", "selfsub", "selfwild", "tcp-self":
		if len(rest) > 0 {
			rest = rest[1:] // a name that BIND wants there and ignores
		}
	default:
		return "", false
	}
	for i, t := range rest {
		rest[i] = strings.ToUpper(t)
	}
	return strings.Join(append([]string{words[0], who, match}, rest...), " "), true
}
