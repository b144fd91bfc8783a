package importer

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// remotes returns the servers of a block such as that of primaries, as zones
// name them here.
func (b *bind) remotes(s statement, depth int) (out []string) {
	defaultPort := s.after("port")
	for _, e := range s.block() {
		first := e.items[0]
		if first.isBlock || depth > maxDepth || len(out) > maxClients {
			continue
		}
		addr, err := netip.ParseAddr(first.text)
		port := e.after("port")
		if to, bad := netip.ParseAddrPort(first.text); bad == nil && b.isPowerDNS { // its way to write a port
			addr, err, port = to.Addr(), nil, strconv.Itoa(int(to.Port()))
		}
		if err != nil {
			inner, known := b.lists[first.text]
			if !known || b.busy[first.text] {
				b.d.note(first.at, "%s is left out: it is neither an address nor the name of a list of servers", first.text)
				continue
			}
			b.busy[first.text] = true
			out = append(out, b.remotes(inner, depth+1)...)
			delete(b.busy, first.text)
			continue
		}
		if port == "" {
			port = defaultPort
		}
		out = append(out, b.remote(e, addr.Unmap(), port))
	}
	return out
}

// remote returns one server: its address, or the name of one that is made here
// because it is spoken to over TLS.
func (b *bind) remote(e statement, addr netip.Addr, port string) string {
	key := e.after("key")
	if key == "" {
		key = b.serverKeys[addr]
	}
	if key != "" {
		name, known := b.d.hasKey(key)
		if !known {
			b.d.note(e.at(), "there is no key %s: server %s is asked without one", key, addr)
			name = ""
		}
		key = name
	}
	if t := e.after("tls"); t != "" && t != "none" {
		return b.remoteTLS(t, addr, port, key)
	}
	return inline(addr, port, key)
}

// inline writes a server that has no name.
func inline(addr netip.Addr, port, key string) string {
	text := addr.String()
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n != 53 && n != 0 {
		text = netip.AddrPortFrom(addr, uint16(n)).String()
	}
	if key != "" {
		text += "+key:" + key
	}
	return text
}

func (b *bind) remoteTLS(profile string, addr netip.Addr, port, key string) string {
	name := "tls-" + strings.NewReplacer(":", "-", "%", "-").Replace(addr.String())
	if port != "" {
		name += "-" + port
	}
	address := addr.String()
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n != 0 {
		address = netip.AddrPortFrom(addr, uint16(n)).String()
	}
	r := named{name: name, settings: []setting{{"address", quote(address)}, {"transport", "tls"}}}
	if key != "" {
		r.set("key", quote(key))
	}
	mode, settings, cert, certKey := "opportunistic", "", "", ""
	for _, s := range b.tls[profile] {
		path := quote(b.path(s.word(1)))
		switch s.word(0) {
		case "ca-file":
			mode, settings = "strict", settings+", ca: "+path
		case "remote-hostname":
			mode, settings = "strict", settings+", name: "+quote(s.word(1))
		case "cert-file":
			cert = path
		case "key-file":
			certKey = path
		}
	}
	if cert != "" && certKey != "" {
		settings += ", cert: " + cert + ", key: " + certKey
		if mode == "strict" {
			mode = "mutual"
		}
	}
	r.set("tls", fmt.Sprintf("{mode: %s%s}", mode, settings))
	return b.d.addServer(r)
}
