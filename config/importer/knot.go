package importer

import (
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
)

// knot is the import of a knot.conf.
type knot struct {
	r        *reader
	d        *draft
	sections []*section
	begun    string
	remotes  map[string]*section
	groups   map[string][]string
	acls     map[string]*section
	policies map[string]*section
	path     string // of the file
	autoACL  bool
}

func importKnot(r *reader, path string) (*draft, error) {
	k := &knot{
		r: r, d: &draft{}, remotes: make(map[string]*section), groups: make(map[string][]string), acls: make(map[string]*section),
		policies: make(map[string]*section), path: path,
	}
	if err := k.readKnot(path, 0); err != nil {
		return nil, err
	}
	for _, s := range k.sections {
		if s.name == "key" {
			k.d.key(s.at, s.get("id"), s.get("algorithm"), s.get("secret"))
		}
	}
	for _, s := range k.sections {
		k.define(s)
	}
	if len(k.d.general) == 0 {
		k.d.general = put(k.d.general, "listen", list([]string{"0.0.0.0:53", "[::]:53"}))
	}
	for _, s := range k.sections {
		switch s.name {
		case "template":
			t := named{name: s.get("id")}
			k.zone(&t, s, true)
			k.d.templates = append(k.d.templates, t)
		case "zone":
			k.addZone(s)
		}
	}
	return k.d, nil
}

// define notes what zones name.
func (k *knot) define(s *section) {
	id := s.get("id")
	switch s.name {
	case "server":
		k.server(s)
	case "remote":
		if id != "" {
			k.remote(s, id)
		}
	case "remotes":
		k.groups[id] = s.all("remote")
	case "acl":
		k.acls[id] = s
	case "policy":
		k.policies[id] = s
	case "key", "template", "zone", "database", "control", "keystore", "submission":
	case "log":
		k.d.note(s.at, "log is not carried over: the section log says what is logged")
	default:
		k.d.note(s.at, "the section %s is not carried over", s.name)
	}
}

var knotSilent = map[string]bool{
	"rundir": true, "user": true, "pidfile": true, "udp-workers": true, "tcp-workers": true, "background-workers": true, "async-start": true,
	"tcp-idle-timeout": true, "tcp-io-timeout": true, "tcp-remote-io-timeout": true, "tcp-max-clients": true, "tcp-reuseport": true,
	"tcp-fastopen": true, "socket-affinity": true, "udp-max-payload-ipv4": true, "udp-max-payload-ipv6": true, "edns-client-subnet": true,
	"answer-rotation": true, "dbus-event": true, "dbus-init-delay": true, "remote-pool-limit": true, "remote-pool-timeout": true, "remote-retry-delay": true,
}

func (k *knot) server(s *section) {
	for _, a := range s.attrs {
		v := a.value()
		switch a.name {
		case "listen":
			var items []string
			for _, text := range a.values {
				if on, ok := listenOn(text, "53"); ok {
					items = append(items, on)
				} else {
					k.d.note(a.at, "listen: %s is left out: it is no address", text)
				}
			}
			if len(items) > 0 {
				k.d.general = put(k.d.general, "listen", list(unique(items)))
			}
		case "identity":
			k.d.server = put(k.d.server, "hostname", quote(v))
		case "nsid":
			k.d.server = put(k.d.server, "nsid", quote(v))
		case "version":
			k.d.server = put(k.d.server, "version", quote(v))
		case "automatic-acl":
			k.autoACL = s.isOn(a.name)
		case "udp-max-payload":
			k.d.serverNumber(a.at, "max-udp", v, 512, 4096)
		default:
			if !knotSilent[a.name] {
				k.d.note(a.at, "server: %s is not carried over", a.name)
			}
		}
	}
}

// remote carries over another server, under its own name.
func (k *knot) remote(s *section, id string) {
	if _, _, isAddress := address(id); isAddress || strings.ContainsAny(id, "+ ") || !k.d.isNew("server", id) {
		k.d.note(s.at, "remote %s is left out: its name is that of another, or not a word", id)
		return
	}
	r := named{name: id}
	var addresses []string
	for _, v := range s.all("address") {
		if addr, port, ok := address(v); ok {
			addresses = append(addresses, inline(addr, port, ""))
		} else {
			k.d.note(s.at, "remote %s: %s is left out: it is no address", id, v)
		}
	}
	if len(addresses) == 0 {
		k.d.note(s.at, "remote %s is left out: it has no address", id)
		return
	}
	r.set("address", list(addresses))
	if key := s.get("key"); key != "" {
		if name, known := k.d.hasKey(key); known {
			r.set("key", quote(name))
		} else {
			k.d.note(s.at, "remote %s: there is no key %s", id, key)
		}
	}
	for _, transport := range []string{"tls", "quic"} {
		if s.isOn(transport) {
			r.set("transport", transport)
			r.set("tls", "{mode: opportunistic}")
			if pins := s.all("cert-key"); len(pins) > 0 {
				r.set("tls", "{mode: strict, pin: "+list(pins)+"}")
			}
		}
	}
	if via := s.get("via"); via != "" {
		k.d.note(s.at, "remote %s: via is not carried over: the settings transfer-from and notify-from of zones name local addresses", id)
	}
	k.remotes[id] = s
	k.d.servers = append(k.d.servers, r)
}

// names returns the servers of an attribute, groups written out.
func (k *knot) names(a attribute) (out []string) {
	for _, id := range a.values {
		members, isGroup := k.groups[id]
		if !isGroup {
			members = []string{id}
		}
		for _, m := range members {
			if k.remotes[m] == nil {
				k.d.note(a.at, "%s: there is no remote %s", a.name, m)
				continue
			}
			out = append(out, m)
		}
	}
	return unique(out)
}

func (k *knot) addZone(s *section) {
	z := named{name: zoneName(s.get("domain"))}
	if t := s.get("template"); t != "" {
		if k.isTemplate(t) {
			z.set("template", quote(t))
		} else {
			k.d.note(s.at, "zone %s: there is no template %s", z.name, t)
		}
	}
	k.zone(&z, s, false)
	k.d.addZone(s.at, "", &k.d.zones, z)
}

func (k *knot) isTemplate(id string) bool {
	return slices.ContainsFunc(k.sections, func(s *section) bool { return s.name == "template" && s.get("id") == id })
}

// inherited returns the template that a zone starts from, nil for none.
func (k *knot) inherited(s *section) *section {
	id := s.get("template")
	if id == "" {
		id = "default"
	}
	for _, t := range k.sections {
		if t.name == "template" && t.get("id") == id {
			return t
		}
	}
	return nil
}

// zone carries over the attributes of a zone or template.
func (k *knot) zone(z *named, s *section, isTemplate bool) {
	for _, a := range s.attrs {
		v := a.value()
		switch a.name {
		case "id", "domain", "template", "storage", "file", "acl":
		case "master", "notify":
			z.set(map[string]string{"master": "primaries", "notify": "notify"}[a.name], list(k.names(a)))
		case "serial-policy":
			if serial, ok := map[string]string{"increment": "increment", "unixtime": "unixtime", "dateserial": "date"}[v]; ok {
				z.set("serial", serial)
			}
		case "zonemd-verify":
			if s.isOn(a.name) {
				z.set("zonemd", "require")
			}
		case "ixfr-benevolent", "ixfr-from-axfr", "journal-content", "journal-max-usage", "journal-max-depth", "zonefile-sync", "zonefile-load", "semantic-checks", "adjust-threads", "provide-ixfr", "ixfr-by-one", "zone-max-size", "reverse-generate", "unsafe-operation", "dnssec-signing", "dnssec-policy", "zonemd-generate":
		case "refresh-min-interval", "refresh-max-interval", "retry-min-interval", "retry-max-interval", "expire-min-interval", "expire-max-interval":
			if v = strings.ToLower(v); strings.Trim(v, "0123456789") == "" {
				v += "s"
			}
			z.set(strings.TrimSuffix(a.name, "-interval"), quote(v))
		case "catalog-role":
			k.catalog(z, s, v)
		case "catalog-zone":
			z.set("member-of", quote(zoneName(v)))
		case "catalog-group":
			z.set("group", quote(v))
		case "catalog-template":
		case "module":
			k.d.note(a.at, "module %s is not carried over", strings.Join(a.values, ", "))
		default:
			k.d.note(a.at, "%s is not carried over", a.name)
		}
	}
	k.file(z, s, isTemplate)
	k.signing(z, s, isTemplate)
	k.access(z, s, isTemplate)
}

// catalog carries over the part that a catalog zone has. The one that a member has
// follows from catalog-zone.
func (k *knot) catalog(z *named, s *section, role string) {
	switch role {
	case "generate":
		z.set("catalog", "{produce: true}")
	case "interpret":
		templates := s.all("catalog-template")
		if len(templates) == 0 {
			templates = []string{"default"}
		}
		templates = slices.DeleteFunc(templates, func(t string) bool { return !k.isTemplate(t) })
		if len(templates) == 0 {
			k.d.note(s.at, "catalog-role interpret is not carried over: there is no template for its members")
			return
		}
		groups := make([]string, len(templates))
		for i, t := range templates {
			groups[i] = quote(t) + ": " + quote(t)
		}
		z.set("catalog", "{consume: {template: "+quote(templates[0])+", groups: {"+strings.Join(groups, ", ")+"}}}")
	}
}

// file carries over the zone file, unless the zone comes from elsewhere.
func (k *knot) file(z *named, s *section, isTemplate bool) {
	storage, file := s.get("storage"), s.get("file")
	hasPrimaries, produces := len(s.all("master")) > 0, s.get("catalog-role") == "generate"
	if t := k.inherited(s); t != nil && !isTemplate {
		hasPrimaries = hasPrimaries || len(t.all("master")) > 0
		if storage == "" && file == "" && (t.get("file") != "" || t.get("storage") != "") && !hasPrimaries && !produces {
			return // as the template has it
		}
		if storage == "" {
			storage = t.get("storage")
		}
		if file == "" {
			file = t.get("file")
		}
		if hasPrimaries && z.get("primaries") != "" && t.get("file")+t.get("storage") != "" && len(t.all("master")) == 0 || produces {
			z.set("file", `""`)
			return
		}
	}
	if hasPrimaries || produces || isTemplate && storage == "" && file == "" {
		return
	}
	if storage == "" {
		storage = knotStorage
	}
	if file == "" {
		file = "%s.zone"
	}
	z.settings = append([]setting{{"file", k.d.filePattern(s.at, pathIn(storage, file))}}, z.settings...)
}

// access carries over access lists: who gets the zone, may notify, may change it.
func (k *knot) access(z *named, s *section, isTemplate bool) {
	lists := map[string]*matchList{"transfer": {}, "notify": {}}
	var rules []string
	for _, id := range s.all("acl") {
		a := k.acls[id]
		if a == nil {
			k.d.note(s.at, "there is no acl %s", id)
			continue
		}
		clients, ok := k.clients(a)
		for action, m := range lists {
			if !hasAny(a.all("action"), action) && len(a.all("action")) > 0 || m.ended {
				continue
			}
			switch deny := a.isOn("deny"); {
			case deny && !ok, deny && slices.ContainsFunc(clients, func(c client) bool { return c.key != "" || !c.prefix.IsValid() }):
				m.ended = true
			case deny:
				for _, c := range clients {
					m.holes = append(m.holes, c.prefix)
				}
			case len(a.all("action")) > 0:
				m.letIn(clients)
			}
		}
		if hasAny(a.all("action"), "update") {
			rules = append(rules, k.rules(a, clients)...)
		}
	}
	if k.autoACL {
		for _, id := range k.names(attribute{at: s.at, name: "notify", values: s.all("notify")}) {
			lists["transfer"].letIn(k.remoteClients(id))
		}
	}
	// Lists of the zone are instead of those of its template, also where nothing of them is left.
	t := k.inherited(s)
	instead := !isTemplate && t != nil && len(t.all("acl")) > 0 && len(s.all("acl")) > 0
	if out := lists["transfer"].out; len(out) > 0 || instead {
		z.set("transfer-to", names(out))
	}
	if out := lists["notify"].out; len(out) > 0 || instead {
		z.set("allow-notify", names(out))
	}
	if len(rules) == 0 && instead {
		z.set("update", "[]")
	}
	if len(rules) > 0 {
		z.set("update", list(rules))
		if len(s.all("master")) > 0 {
			z.set("forward-updates", "true")
		} else {
			z.set("file-mode", "initial")
		}
	}
}

// clients returns whom an acl is about.
func (k *knot) clients(a *section) (out []client, ok bool) {
	ok = true
	var prefixes []netip.Prefix
	for _, v := range a.all("address") {
		more, isKnown := parseClients(v)
		if !isKnown {
			k.d.note(a.at, "acl %s: %s is left out: it is neither an address, nor a prefix or range", a.get("id"), v)
			ok = false
			continue
		}
		prefixes = append(prefixes, more...)
	}
	if len(a.all("address")) == 0 {
		prefixes = []netip.Prefix{{}}
	}
	for _, id := range k.names(attribute{at: a.at, name: "acl " + a.get("id"), values: a.all("remote")}) {
		out = append(out, k.remoteClients(id)...)
	}
	if len(a.all("remote")) > 0 && len(a.all("address")) == 0 {
		return out, ok
	}
	keys := a.all("key")
	if len(keys) == 0 {
		keys = []string{""}
	}
	for _, key := range keys {
		name := ""
		if key != "" {
			var known bool
			if name, known = k.d.hasKey(key); !known {
				k.d.note(a.at, "acl %s: there is no key %s", a.get("id"), key)
				ok = false
				continue
			}
		}
		for _, p := range prefixes {
			out = append(out, client{prefix: p, key: name})
		}
	}
	return out, ok
}

// remoteClients returns another server as a client.
func (k *knot) remoteClients(id string) (out []client) {
	r := k.remotes[id]
	if r == nil {
		return nil
	}
	key := ""
	if name, known := k.d.hasKey(r.get("key")); known {
		key = name
	}
	for _, v := range r.all("address") {
		if addr, _, ok := address(v); ok {
			out = append(out, client{prefix: netip.PrefixFrom(addr, addr.BitLen()), key: key})
		}
	}
	return out
}

// types returns the types that an acl is about. One that is not known here goes; where it was denied, all are.
func (k *knot) types(a *section) (types []string) {
	all := a.all("update-type")
	if len(all) == 0 {
		return []string{"ANY"}
	}
	for _, word := range all {
		if t, ok := dns.ParseType(strings.ToUpper(word)); ok && (t == dns.TypeANY || !t.IsMeta()) {
			types = append(types, word)
			continue
		}
		k.d.note(a.at, "acl %s: update-type %s is not known here: no update of it is granted", a.get("id"), word)
		if a.isOn("deny") {
			return []string{"ANY"}
		}
	}
	return types
}

// rules carries over who may change what.
func (k *knot) rules(a *section, clients []client) (rules []string) {
	items := make([]string, len(clients))
	for i, c := range clients {
		items[i] = c.String()
	}
	if len(items) == 0 {
		return nil
	}
	verb := "grant "
	if a.isOn("deny") {
		verb = "deny "
	}
	types := k.types(a)
	if len(types) == 0 {
		return nil
	}
	matches := []string{"zonesub"}
	how := map[string]string{"": "subdomain ", "sub-or-equal": "subdomain ", "equal": "name ", "pattern": "wildcard "}
	switch owner := a.get("update-owner"); owner {
	case "key":
		matches = []string{map[bool]string{true: "self", false: "selfsub"}[a.get("update-owner-match") == "equal"]}
	case "name":
		word, known := how[a.get("update-owner-match")]
		matches = nil
		for _, n := range a.all("update-owner-name") {
			if !known || !strings.HasSuffix(n, ".") {
				k.d.note(a.at, "acl %s: updates of %s are left out: expected a full name, and a match other than %s", a.get("id"), n, a.get("update-owner-match"))
				continue
			}
			matches = append(matches, word+n)
		}
	}
	for _, m := range matches {
		rules = append(rules, verb+strings.Join(items, ",")+" "+m+" "+strings.ToUpper(strings.Join(types, " ")))
	}
	return rules
}
