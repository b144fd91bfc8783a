package importer

import (
	"path/filepath"
	"strings"

	"onoma/config"
)

// powerDNS is the import of a pdns.conf and of the named.conf of its bind backend.
type powerDNS struct {
	r        *reader
	d        *draft
	settings section
	notify   []string // those who are told of all zones
}

func importPowerDNS(r *reader, path string) (*draft, error) {
	p := &powerDNS{r: r, d: &draft{source: path}}
	if err := p.load(path); err != nil {
		return nil, err
	}
	if dir := p.settings.get("include-dir"); dir != "" {
		for _, file := range r.glob(path, filepath.Join(dir, "*.conf")) {
			if err := p.load(file); err != nil {
				return nil, err
			}
		}
	}
	p.server()
	return p.d, p.zones(path)
}

// load reads lines of NAME=VALUE; NAME+=VALUE adds to what is there.
func (p *powerDNS) load(path string) error {
	text, err := p.r.read(path)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		a := attribute{at: config.Pos{File: path, Line: i + 1, Column: 1}, name: strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(name), "+"))}
		a.values = []string{strings.TrimSpace(value)}
		p.settings.attrs = append(p.settings.attrs, a)
	}
	return nil
}

// words takes a list apart, whose items have commas or blanks between them.
func pdnsWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == ';' })
}

func (p *powerDNS) server() {
	port := p.d.port(config.Pos{File: p.d.source}, p.settings.get("local-port"))
	listen := []string{"0.0.0.0:" + port, "[::]:" + port}
	t := named{name: "default"}
	for _, a := range p.settings.attrs {
		v := a.value()
		switch a.name {
		case "local-address", "local-ipv6":
			listen = nil
			for _, s := range pdnsWords(v) {
				if on, ok := pdnsListen(s, port); ok {
					listen = append(listen, on)
				} else {
					p.d.note(a.at, "local-address: %s is left out: it is no address", s)
				}
			}
		case "server-id":
			p.d.server = put(p.d.server, "nsid", quote(v))
			p.d.server = put(p.d.server, "hostname", quote(v))
		case "version-string":
			if !contains(v, "full", "anonymous", "powerdns", "") {
				p.d.server = put(p.d.server, "version", quote(v))
			}
		case "udp-truncation-threshold":
			p.d.serverNumber(a.at, "max-udp", v, 512, 4096)
		case "allow-axfr-ips":
			t.set("transfer-to", names(p.clients(a)))
		case "also-notify":
			p.notify = p.servers(a)
			t.set("notify", list(p.notify))
		case "primary", "master":
			if contains(v, "yes", "on", "true") {
				t.set("notify-ns", "true")
			}
		case "launch":
			p.launch(a)
		case "dnsupdate":
			if contains(v, "yes", "on", "true") {
				p.d.note(a.at, "dnsupdate is not carried over: what may be changed stands in the database (ALLOW-DNSUPDATE-FROM, TSIG-ALLOW-DNSUPDATE); the setting update of a zone says it here")
			}
		case "api", "api-key", "webserver":
			p.d.note(a.at, "%s is not carried over", a.name)
		default:
			if !pdnsSilent[a.name] && !strings.HasPrefix(a.name, "bind-") && v != "" {
				p.d.note(a.at, "%s is not carried over", a.name)
			}
		}
	}
	if t.get("transfer-to") == "" {
		t.set("transfer-to", names(p.clients(attribute{values: []string{"127.0.0.0/8,::1"}})))
	}
	p.d.general = put(p.d.general, "listen", list(unique(listen)))
	p.d.templates = append(p.d.templates, t)
}

var pdnsSilent = map[string]bool{
	"include-dir": true, "local-port": true, "setuid": true, "setgid": true, "daemon": true, "guardian": true, "security-poll-suffix": true,
	"config-dir": true, "socket-dir": true, "secondary": true, "slave": true, "secondary-cycle-interval": true, "slave-cycle-interval": true,
	"cache-ttl": true, "query-cache-ttl": true, "negquery-cache-ttl": true, "receiver-threads": true, "distributor-threads": true,
	"loglevel": true, "log-dns-details": true, "log-dns-queries": true, "disable-syslog": true, "write-pid": true, "chroot": true,
	"default-ttl": true, "disable-axfr": true, "zone-cache-refresh-interval": true, "max-tcp-connections": true, "reuseport": true,
}

func pdnsListen(s, port string) (string, bool) {
	if strings.HasPrefix(s, "[") && strings.Contains(s, "]:") {
		return s, true
	}
	if host, own, ok := strings.Cut(s, ":"); ok && !strings.Contains(own, ":") {
		s, port = host, own
	}
	return listenOn(strings.Trim(s, "[]"), port)
}

// launch is about where PowerDNS has its zones.
func (p *powerDNS) launch(a attribute) {
	for _, backend := range pdnsWords(a.value()) {
		if name, _, _ := strings.Cut(backend, ":"); name != "bind" {
			p.d.note(a.at, "the zones of backend %s are not carried over: \"pdnsutil list-zone NAME\" writes each as a zone file. Those with keys (\"pdnsutil list-keys\") are bogus without them: write these by \"pdnsutil export-zone-key\" into a directory that keys-from names", backend)
		}
	}
}

func (p *powerDNS) clients(a attribute) (out []client) {
	for _, s := range pdnsWords(a.value()) {
		if prefix, ok := parsePrefix(s); ok {
			out = append(out, client{prefix: prefix})
		} else {
			p.d.note(a.at, "%s: %s is left out: it is neither an address nor a prefix", a.name, s)
		}
	}
	return out
}

func (p *powerDNS) servers(a attribute) (out []string) {
	for _, s := range pdnsWords(a.value()) {
		on, ok := pdnsListen(s, "53")
		if !ok {
			p.d.note(a.at, "%s: %s is left out: it is no address", a.name, s)
			continue
		}
		out = append(out, on)
	}
	return out
}

// zones carries over those of the bind backend.
func (p *powerDNS) zones(path string) error {
	file := p.settings.get("bind-config")
	if file == "" {
		return nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(path), file)
	}
	b := newBIND(p.r, p.d)
	b.isPowerDNS, b.alsoNotify = true, p.notify
	b.dir = filepath.Dir(file)
	all, err := p.r.readNamed(p.d, file, 0)
	if err != nil {
		return err
	}
	b.definitions(all)
	for _, s := range all {
		if s.word(0) != "options" {
			continue
		}
		for _, o := range s.block() {
			if o.word(0) == "directory" && filepath.IsAbs(o.word(1)) {
				b.dir = o.word(1)
			}
		}
	}
	b.accessLists(all)
	b.zones(all, "", &p.d.zones)
	p.signing(path)
	p.d.note(config.Pos{File: file}, "TSIG keys and metadata of zones are in PowerDNS's database and not carried over")
	return nil
}
