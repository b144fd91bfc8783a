package importer

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"onoma/config"
)

// nsd is the import of an nsd.conf.
type nsd struct {
	r        *reader
	d        *draft
	sections []*section
	dir      string
	patterns map[string]*section
	bundle   string // whom to trust as primaries over TLS
}

var nsdSections = []string{"server", "zone", "pattern", "key", "remote-control", "tls-auth", "verify", "dnstap", "xdp"}

func importNSD(r *reader, path string) (*draft, error) {
	n := &nsd{r: r, d: &draft{}, dir: filepath.Dir(path), patterns: make(map[string]*section)}
	if err := n.load(path, 0); err != nil {
		return nil, err
	}
	for _, s := range n.sections {
		switch s.name {
		case "key":
			n.d.key(s.at, s.get("name"), s.get("algorithm"), s.get("secret"))
		case "pattern":
			n.patterns[s.get("name")] = s
		case "server":
			if dir := s.get("zonesdir"); dir != "" {
				n.dir = dir
			}
		case "remote-control":
			n.d.note(s.at, "remote-control is not carried over: \"onoma ctl\" talks to the server over the socket that the setting control names")
		case "verify", "dnstap", "xdp":
			n.d.note(s.at, "the section %s is not carried over", s.name)
		}
	}
	n.server()
	for _, s := range n.sections {
		switch s.name {
		case "pattern":
			t := named{name: s.get("name")}
			n.zone(&t, n.expand(s, 0))
			n.d.templates = append(n.d.templates, t)
		case "zone":
			n.addZone(s)
		}
	}
	n.d.templates = slices.DeleteFunc(n.d.templates, func(t named) bool { return !n.isUsed(quote(t.name)) })
	return n.d, nil
}

// load reads a file and those that it includes.
func (n *nsd) load(path string, depth int) error {
	text, err := n.r.read(path)
	if err != nil {
		return err
	}
	var last *attribute
	for i, line := range strings.Split(text, "\n") {
		words, columns, quoted := splitWords(line, "")
		for j, w := range words {
			at := config.Pos{File: path, Line: i + 1, Column: columns[j]}
			if quoted[j] || !attributeName.MatchString(w) {
				if last == nil {
					return &SyntaxError{at, "expected a word with a colon, such as server: or zone:"}
				}
				last.values = append(last.values, w)
				continue
			}
			if err := n.included(last, depth); err != nil {
				return err
			}
			if last, err = n.begin(at, strings.TrimSuffix(w, ":")); err != nil {
				return err
			}
		}
	}
	return n.included(last, depth)
}

// begin adds a section or an attribute.
func (n *nsd) begin(at config.Pos, name string) (*attribute, error) {
	if contains(name, nsdSections...) {
		n.sections = append(n.sections, &section{at: at, name: name})
		return nil, nil
	}
	if name == "include" {
		return &attribute{at: at, name: name}, nil
	}
	if len(n.sections) == 0 {
		return nil, &SyntaxError{at, name + ": stands in no section, expected server: or zone: first"}
	}
	s := n.sections[len(n.sections)-1]
	s.attrs = append(s.attrs, attribute{at: at, name: name})
	return &s.attrs[len(s.attrs)-1], nil
}

// included reads the files of an include.
func (n *nsd) included(a *attribute, depth int) error {
	if a == nil || a.name != "include" {
		return nil
	}
	if depth == maxDepth {
		return &SyntaxError{a.at, "files include one another too deeply"}
	}
	for _, pattern := range a.values {
		paths := n.r.glob(a.at.File, pattern)
		if len(paths) == 0 && !strings.ContainsAny(pattern, "*?[") {
			n.d.note(a.at, "%s is left out: there is no such file", pattern)
		}
		for _, path := range paths {
			if err := n.load(path, depth+1); err != nil {
				return err
			}
		}
	}
	a.values = nil
	return nil
}

// server carries over the section of that name.
func (n *nsd) server() {
	port, listen := "53", []string(nil)
	var rate, slip []setting
	for _, s := range n.sections {
		if s.name == "server" && s.get("port") != "" {
			port = n.d.port(s.at, s.get("port"))
		}
	}
	for _, s := range n.sections {
		if s.name != "server" {
			continue
		}
		for _, a := range s.attrs {
			v := a.value()
			switch a.name {
			case "ip-address", "interface":
				if text, ok := listenOn(v, port); ok {
					listen = append(listen, text)
				} else {
					n.d.note(a.at, "%s: %s is left out: it is no address", a.name, v)
				}
			case "nsid":
				if hex, isHex := strings.CutPrefix(v, "ascii_"); isHex {
					n.d.server = put(n.d.server, "nsid", quote(hex))
				} else {
					n.d.server = put(n.d.server, "nsid", quote("0x"+v))
				}
			case "identity":
				n.d.server = put(n.d.server, "hostname", quote(v))
			case "version":
				n.d.server = put(n.d.server, "version", quote(v))
			case "rrl-ratelimit":
				if v = n.d.number(a.at, a.name, v, 0, 1000000); v != "" {
					rate = []setting{{"rate", v}}
				}
			case "rrl-slip":
				if v = n.d.number(a.at, a.name, v, 0, 15); v != "" {
					slip = []setting{{"slip", v}}
				}
			case "tls-service-key", "tls-service-pem", "tls-port":
				n.d.note(a.at, "%s is not carried over: listen: tls://ADDR, and tls: {certificates: [{cert: FILE, key: FILE}]}", a.name)
			case "tls-cert-bundle":
				n.bundle = v
			case "zonesdir", "port", "ipv4-edns-size", "ipv6-edns-size":
			default:
				if !nsdSilent[a.name] {
					n.d.note(a.at, "server: %s is not carried over", a.name)
				}
			}
		}
	}
	if rate != nil && rate[0].value != "0" {
		n.d.limit = append(rate, slip...)
	}
	if listen == nil {
		listen = []string{"0.0.0.0:" + port, "[::]:" + port}
	}
	n.d.general = put(n.d.general, "listen", list(unique(listen)))
}

// nsdSilent are settings of NSD's own process and files.
var nsdSilent = map[string]bool{
	"username": true, "chroot": true, "pidfile": true, "logfile": true, "log-only-syslog": true, "log-time-ascii": true, "log-time-iso": true,
	"verbosity": true, "database": true, "xfrdfile": true, "xfrdir": true, "zonelistfile": true, "server-count": true, "reuseport": true,
	"hide-version": true, "hide-identity": true, "statistics": true, "tcp-count": true, "tcp-timeout": true, "tcp-query-count": true,
	"debug-mode": true, "do-ip4": true, "do-ip6": true, "ip-transparent": true, "ip-freebind": true, "minimal-responses": true,
	"refuse-any": true, "round-robin": true, "zonefiles-check": true, "zonefiles-write": true, "xfrd-reload-timeout": true,
	"rrl-size": true, "rrl-ipv4-prefix-length": true, "rrl-ipv6-prefix-length": true, "send-buffer-size": true, "receive-buffer-size": true,
	"cpu-affinity": true, "drop-updates": true, "confine-to-zone": true, "tcp-mss": true, "outgoing-tcp-mss": true, "xfrd-tcp-max": true,
	"xfrd-tcp-pipeline": true,
}

// expand returns a section with the attributes of the patterns that it includes.
func (n *nsd) expand(s *section, depth int) *section {
	out := &section{at: s.at, name: s.name}
	for _, a := range s.attrs {
		if a.name != "include-pattern" {
			out.attrs = append(out.attrs, a)
			continue
		}
		p := n.patterns[strings.ReplaceAll(a.value(), "%s", s.get("name"))]
		if p == nil || depth > 8 {
			n.d.note(a.at, "pattern %s is left out: there is none of that name", a.value())
			continue
		}
		for _, inherited := range n.expand(p, depth+1).attrs {
			if inherited.name != "name" {
				out.attrs = append(out.attrs, inherited)
			}
		}
	}
	return out
}

// isUsed reports whether a zone names a template: zones have the settings of some
// patterns written out.
func (n *nsd) isUsed(template string) bool {
	return slices.ContainsFunc(n.d.zones, func(z named) bool {
		return z.get("template") == template || z.get("catalog") == consumer(template)
	})
}

func consumer(template string) string { return "{consume: {template: " + template + "}}" }

// fetches reports whether zones of a pattern come from primaries, and so from no file.
func (n *nsd) fetches(pattern string) bool {
	return len(n.expand(n.patterns[pattern], 0).all("request-xfr")) > 0
}

func (n *nsd) addZone(s *section) {
	z := named{name: zoneName(s.get("name"))}
	var own section // what may stand in a zone beside a template: in NSD lists of both would be one
	hasLists := false
	for _, a := range s.attrs {
		switch {
		case contains(a.name, "request-xfr", "notify", "provide-xfr", "allow-notify", "outgoing-interface", "catalog", "catalog-member-pattern"):
			hasLists = true
		case a.name != "include-pattern":
			own.attrs = append(own.attrs, a)
		}
	}
	patterns := s.all("include-pattern")
	if !hasLists && len(patterns) == 1 && n.patterns[patterns[0]] != nil && !n.fetches(patterns[0]) {
		z.set("template", quote(patterns[0]))
		n.zone(&z, &own)
	} else {
		n.zone(&z, n.expand(s, 0))
	}
	n.d.addZone(s.at, "", &n.d.zones, z)
}

// zone carries over the attributes of a zone or pattern.
func (n *nsd) zone(z *named, s *section) {
	var primaries, notify []string
	acls := map[string]*nsdACL{"provide-xfr": {}, "allow-notify": {}}
	isSecondary := len(s.all("request-xfr")) > 0
	for _, a := range s.attrs {
		v := a.value()
		switch a.name {
		case "name":
		case "zonefile":
			if !isSecondary {
				z.set("file", n.d.filePattern(a.at, pathIn(n.dir, v)))
			}
		case "request-xfr":
			values := a.values
			if len(values) > 1 && contains(values[0], "AXFR", "UDP") {
				if values[0] == "AXFR" {
					z.set("ixfr", "false")
				}
				values = values[1:]
			}
			primaries = append(primaries, n.remote(a, values)...)
		case "notify":
			notify = append(notify, n.remote(a, a.values)...)
		case "provide-xfr", "allow-notify":
			n.acl(acls[a.name], a)
		case "min-refresh-time", "max-refresh-time", "min-retry-time", "max-retry-time":
			parts := strings.Split(a.name, "-")
			if text, ok := seconds(v); ok {
				z.set(parts[1]+"-"+parts[0], text)
			}
		case "outgoing-interface":
			if addr, _, ok := address(v); ok {
				z.set("transfer-from", list([]string{addr.String()}))
			}
		case "catalog":
			n.catalog(z, a, s.get("catalog-member-pattern"))
		case "catalog-producer-zone":
			z.set("member-of", quote(zoneName(v)))
		case "catalog-member-pattern", "allow-axfr-fallback", "notify-retry", "multi-primary-check", "multi-master-check", "zonestats", "store-ixfr", "create-ixfr", "ixfr-size", "ixfr-number", "rrl-whitelist":
		default:
			n.d.note(a.at, "%s is not carried over", a.name)
		}
	}
	for _, l := range []struct {
		key   string
		items []string
	}{{"primaries", primaries}, {"notify", notify}} {
		if len(l.items) > 0 {
			z.set(l.key, list(l.items))
		}
	}
	for key, from := range map[string]string{"transfer-to": "provide-xfr", "allow-notify": "allow-notify"} {
		if a := acls[from]; len(a.in) > 0 {
			z.set(key, names(allowed(a.in, a.holes)))
		}
	}
}

// catalog carries over the part that a catalog zone has.
func (n *nsd) catalog(z *named, a attribute, pattern string) {
	switch {
	case a.value() == "producer":
		z.set("catalog", "{produce: true}")
	case a.value() == "consumer" && n.patterns[pattern] != nil:
		z.set("catalog", consumer(quote(pattern)))
	default:
		n.d.note(a.at, "catalog: %s is not carried over: expected producer, or consumer and a catalog-member-pattern", a.value())
	}
}

// remote writes a server: ADDR[@PORT] and the name of a key.
func (n *nsd) remote(a attribute, values []string) []string {
	addr, port, ok := netip.Addr{}, "", false
	if len(values) > 0 {
		addr, port, ok = address(values[0])
	}
	if !ok {
		n.d.note(a.at, "%s: %s is left out: expected an address and a key", a.name, strings.Join(values, " "))
		return nil
	}
	key := ""
	if len(values) > 1 && values[1] != "NOKEY" {
		if key, ok = n.d.hasKey(values[1]); !ok {
			n.d.note(a.at, "%s: there is no key %s, server %s is spoken to without one", a.name, values[1], addr)
			key = ""
		}
	}
	if len(values) > 2 {
		return n.overTLS(a, values[2], addr, port, key)
	}
	return []string{inline(addr, port, key)}
}

// overTLS adds a server that is spoken to over TLS, and returns its name. Where it is
// not known whom to trust there is none: what was to be encrypted is, or is not sent.
func (n *nsd) overTLS(a attribute, auth string, addr netip.Addr, port, key string) []string {
	at := slices.IndexFunc(n.sections, func(s *section) bool { return s.name == "tls-auth" && s.get("name") == auth })
	if at < 0 {
		n.d.note(a.at, "%s: %s is left out: there is no tls-auth %s", a.name, addr, auth)
		return nil
	}
	s := n.sections[at]
	if port == "" {
		port = "853"
	}
	r := named{name: "tls-" + strings.ReplaceAll(addr.String(), ":", "-") + "-" + port}
	r.set("address", list([]string{inline(addr, port, "")}))
	if key != "" {
		r.set("key", quote(key))
	}
	r.set("transport", "tls")
	tls := []setting{{"mode", "strict"}, {"name", quote(s.get("auth-domain-name"))}}
	if cert, private := s.get("client-cert"), s.get("client-key"); cert != "" && private != "" {
		tls[0].value = "mutual"
		tls = append(tls, setting{"cert", quote(pathIn(n.dir, cert))}, setting{"key", quote(pathIn(n.dir, private))})
		if s.get("client-key-pw") != "" {
			n.d.note(s.at, "tls-auth %s: client-key-pw is not carried over: the key has to be readable without a password", auth)
		}
	}
	if n.bundle != "" {
		tls = append(tls, setting{"ca", quote(n.bundle)})
	}
	r.set("tls", flow(tls))
	return []string{n.d.addServer(r)}
}

// nsdACL is a list of clients. Those who are BLOCKED are so wherever they stand.
type nsdACL struct {
	in    []client
	holes []netip.Prefix
}

// acl adds a client: ADDR, PREFIX, ADDR&MASK or ADDR-ADDR, and a key, NOKEY or BLOCKED.
func (n *nsd) acl(to *nsdACL, a attribute) {
	if len(a.values) < 2 {
		n.d.note(a.at, "%s %s is left out: expected a client, and a key, NOKEY or BLOCKED", a.name, a.value())
		return
	}
	text, _, _ := strings.Cut(a.values[0], "@")
	prefixes, ok := parseClients(text)
	if addr, mask, isMask := strings.Cut(text, "&"); isMask {
		var p netip.Prefix
		p, ok = masked(addr, mask)
		prefixes = []netip.Prefix{p}
	}
	key, known := "", true
	if !contains(a.values[1], "NOKEY", "BLOCKED") {
		key, known = n.d.hasKey(a.values[1])
	}
	switch {
	case a.values[1] == "BLOCKED" && !ok:
		n.d.note(a.at, "%s: %s cannot be carried over, and neither can those who are let in: nobody is", a.name, text)
		to.holes = append(to.holes, everywhere...)
	case !ok || !known:
		n.d.note(a.at, "%s %s is left out: there is no such client, or no such key", a.name, strings.Join(a.values, " "))
	case a.values[1] == "BLOCKED":
		to.holes = append(to.holes, prefixes...)
	default:
		for _, p := range prefixes {
			to.in = append(to.in, client{prefix: p, key: key})
		}
	}
}

// masked makes a prefix of an address and a mask.
func masked(address, mask string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(address)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || a.BitLen() != m.BitLen() {
		return netip.Prefix{}, false
	}
	bits := 0
	octets := m.AsSlice()
	for bits < m.BitLen() && octets[bits/8]&(0x80>>(bits%8)) != 0 {
		bits++
	}
	p := netip.PrefixFrom(a, bits).Masked()
	for i := bits; i < m.BitLen(); i++ {
		if octets[i/8]&(0x80>>(i%8)) != 0 {
			return p, false
		}
	}
	return p, true
}
