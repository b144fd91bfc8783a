package importer

import (
	"net/netip"
)

// silent are options that say nothing which onoma's answers depend on: they are
// about resolving, about memory, about files of BIND's own.
var silent = map[string]bool{
	"directory": true, "pid-file": true, "session-keyfile": true, "managed-keys-directory": true, "dump-file": true,
	"statistics-file": true, "memstatistics-file": true, "bindkeys-file": true, "key-directory": true, "lock-file": true,
	"recursing-file": true, "secroots-file": true, "dnssec-validation": true, "dnssec-enable": true, "auth-nxdomain": true,
	"empty-zones-enable": true, "disable-empty-zone": true, "minimal-responses": true, "minimal-any": true, "zone-statistics": true,
	"check-names": true, "check-mx": true, "check-integrity": true, "check-wildcard": true, "check-sibling": true, "check-spf": true,
	"check-dup-records": true, "check-mx-cname": true, "check-srv-cname": true, "check-svcb": true, "files": true, "cleaning-interval": true,
	"heartbeat-interval": true, "interface-interval": true, "tcp-listen-queue": true, "reserved-sockets": true, "coresize": true,
	"datasize": true, "stacksize": true, "querylog": true, "max-cache-size": true, "max-cache-ttl": true, "max-ncache-ttl": true,
	"recursive-clients": true, "prefetch": true, "qname-minimization": true, "edns-udp-size": true, "root-delegation-only": true,
	"additional-from-auth": true, "additional-from-cache": true, "port": true, "transfer-format": true, "masterfile-style": true,
	"request-nsid": true, "provide-ixfr": true, "max-journal-size": true, "journal": true, "try-tcp-refresh": true, "multi-master": true,
	"max-ixfr-ratio": true, "max-retry-queries": true, "notify-delay": true, "startup-notify-rate": true, "serial-query-rate": true,
	"notify-rate": true, "resolver-query-timeout": true, "stale-answer-enable": true, "max-stale-ttl": true, "synth-from-dnssec": true,
	"lame-ttl": true, "answer-cookie": true, "allow-recursion-on": true, "allow-query-cache-on": true, "allow-query-on": true, "class": true,
}

// zoneWide are options that zones inherit, and that zoneSettings reads.
var zoneWide = map[string]bool{
	"allow-transfer": true, "also-notify": true, "notify": true, "notify-source": true, "notify-source-v6": true, "transfer-source": true,
	"transfer-source-v6": true, "serial-update-method": true, "request-ixfr": true, "min-refresh-time": true, "max-refresh-time": true,
	"min-retry-time": true, "max-retry-time": true, "allow-notify": true, "ixfr-from-differences": true,
}

// viewWide are those of views beside zoneWide.
var viewWide = zoneWide

// options carries over the block of options.
func (b *bind) options(all []statement) {
	var t named
	t.name = "default"
	transfers := false
	for _, s := range all {
		transfers = transfers || s.word(0) == "allow-transfer"
		switch name := s.word(0); {
		case b.serverOption(s), silent[name], signingWords[name], contains(name, "listen-on", "listen-on-v6"):
		case zoneWide[name]:
			b.zoneSetting(&t, s)
		case name == "catalog-zones":
			b.catalogZones(s)
		default:
			b.unknown(s, "")
		}
	}
	b.listen(all)
	if t.get("notify-ns") == "" {
		t.set("notify-ns", "true")
	}
	b.d.templates = append(b.d.templates, t)
	b.open = !transfers
}

// transfers tells, once, that whoever was let in by BIND's default is not here.
func (b *bind) transfers(z *named, s statement) {
	if b.open && z.get("transfer-to") == "" {
		b.open = false
		b.d.note(s.at(), "there is no allow-transfer, which lets everybody have zones before BIND 9.20 and nobody since: nobody gets this zone here, and others without it")
	}
}

// serverOption carries over what is said of the server itself.
func (b *bind) serverOption(s statement) bool {
	word := s.word(1)
	set := func(key, value string) { b.d.server = put(b.d.server, key, value) }
	switch s.word(0) {
	case "version", "hostname":
		if word != "none" {
			set(s.word(0), quote(word))
		}
	case "server-id":
		switch {
		case word == "hostname" && !s.items[1].quoted:
			b.d.note(s.at(), "server-id hostname is not carried over: server.nsid says the name itself")
		case word != "none":
			set("nsid", quote(word))
			set("hostname", quote(word))
		}
	case "max-udp-size":
		b.d.serverNumber(s.at(), "max-udp", word, 512, 4096)
	case "transfers-out":
		b.d.serverNumber(s.at(), "transfers-max", word, 1, 100000)
	case "transfers-in":
		b.d.serverNumber(s.at(), "transfers-in-max", word, 1, 10000)
	case "rate-limit":
		b.rateLimit(s)
	case "recursion":
		if contains(word, "yes", "true", "1") {
			b.d.note(s.at(), "recursion is another server's work: onoma resolver")
		}
	default:
		return false
	}
	return true
}

func (b *bind) rateLimit(s statement) {
	for _, e := range s.block() {
		word := e.word(1)
		key := map[string]string{"responses-per-second": "rate", "all-per-second": "total", "slip": "slip"}[e.word(0)]
		switch {
		case e.word(0) == "exempt-clients":
			b.d.limit = put(b.d.limit, "allow", b.prefixes(e))
		case key == "":
			b.d.note(e.at(), "rate-limit: %s is not carried over", e.word(0))
		default:
			most := map[string]int{"rate": 1000000, "total": 1000000, "slip": 15}[key]
			if n := b.d.number(e.at(), e.word(0), word, 0, most); n != "" {
				b.d.limit = put(b.d.limit, key, n)
			}
		}
	}
	hasRate := false
	for _, l := range b.d.limit {
		hasRate = hasRate || l.key == "rate" && l.value != "0"
	}
	if !hasRate {
		b.d.limit = nil
	}
}

// listen carries over listen-on and listen-on-v6, of which each is everything
// where it is absent.
func (b *bind) listen(all []statement) {
	port := "53"
	for _, s := range all {
		if s.word(0) == "port" {
			port = b.d.port(s.at(), s.word(1))
		}
	}
	var out []string
	seen := map[string]bool{"listen-on": false, "listen-on-v6": false}
	for _, s := range all {
		if _, is := seen[s.word(0)]; is {
			seen[s.word(0)] = true
			out = append(out, b.listenOn(s, port)...)
		}
	}
	for _, any := range []struct{ word, address string }{{"listen-on", "0.0.0.0"}, {"listen-on-v6", "[::]"}} {
		if !seen[any.word] {
			out = append(out, any.address+":"+port)
		}
	}
	b.d.general = put(b.d.general, "listen", list(unique(out)))
}

func unique(items []string) (out []string) {
	seen := make(map[string]bool)
	for _, s := range items {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

func (b *bind) listenOn(s statement, port string) (out []string) {
	scheme, standard := "", port
	if profile := s.after("tls"); profile != "" && profile != "none" {
		scheme, standard = "tls://", "853"
		b.certificate(s, profile)
	}
	if s.after("http") != "" {
		if scheme == "" {
			b.d.note(s.at(), "%s: HTTP without TLS is not carried over", s.word(0))
			return nil
		}
		scheme, standard = "https://", "443"
	}
	if p := s.after("port"); p != "" {
		standard = b.d.port(s.at(), p)
	}
	for _, c := range b.who(s.block(), false, 0) {
		address := "0.0.0.0"
		if s.word(0) == "listen-on-v6" {
			address = "[::]"
		}
		switch {
		case c.key != "" || c.prefix.IsValid() && !c.prefix.IsSingleIP():
			b.d.note(s.at(), "%s: %s is left out, name the addresses themselves", s.word(0), c)
			continue
		case c.prefix.IsValid():
			address = netip.AddrPortFrom(c.prefix.Addr(), 0).String()
			address = address[:len(address)-len(":0")]
		}
		out = append(out, scheme+address+":"+standard)
	}
	return out
}

// certificate carries over the certificate of a TLS profile.
func (b *bind) certificate(s statement, profile string) {
	var cert, key string
	for _, e := range b.tls[profile] {
		switch e.word(0) {
		case "cert-file":
			cert = b.path(e.word(1))
		case "key-file":
			key = b.path(e.word(1))
		}
	}
	if cert == "" || key == "" {
		if profile != "ephemeral" {
			b.d.note(s.at(), "TLS profile %s has no certificate: one is made up that nobody vouches for", profile)
		}
		b.d.general = put(b.d.general, "tls", "{self-signed: true}")
		return
	}
	b.d.general = put(b.d.general, "tls", "{certificates: [{cert: "+quote(cert)+", key: "+quote(key)+"}]}")
}

// catalogZones notes which zones are catalogs, and how their members are served.
func (b *bind) catalogZones(s statement) {
	for _, e := range s.block() {
		if e.word(0) != "zone" {
			continue
		}
		name := zoneName(e.word(1))
		b.catalogs[name] = e
		t := named{name: "members-of-" + name, settings: []setting{{"template", "default"}}}
		for i, it := range e.items {
			if contains(it.text, "default-masters", "default-primaries") && !it.quoted {
				part := statement{e.items[i:min(i+6, len(e.items))]}
				if part.block() != nil {
					t.set("primaries", list(b.remotes(part, 0)))
				}
			}
		}
		b.d.templates = append(b.d.templates, t)
	}
}

// unknown tells of an option that is not carried over, and what that means where
// it is more than a matter of taste.
func (b *bind) unknown(s statement, where string) {
	switch s.word(0) {
	case "allow-query":
		clients := b.who(s.block(), false, 0)
		if len(clients) != 1 || clients[0] != (client{}) {
			b.d.note(s.at(), "%sallow-query is not carried over: everybody may ask. A view can keep zones to some clients", where)
		}
	case "allow-recursion", "allow-query-cache", "forwarders", "forward", "dns64", "response-policy", "rrset-order", "sortlist":
		b.d.note(s.at(), "%s%s is for resolving, which is another server's work: onoma resolver", where, s.word(0))
	case "update-check-ksk", "dnssec-dnskey-kskonly", "sig-validity-interval", "dnssec-update-mode", "dnssec-loadkeys-interval", "parental-agents", "checkds":
		b.d.note(s.at(), "%s%s is not carried over: the settings of policies say how zones are signed, and parent of zones who is asked for the DS", where, s.word(0))
	default:
		b.d.note(s.at(), "%s%s is not carried over", where, s.word(0))
	}
}
