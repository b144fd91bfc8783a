package links

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"onoma/dns"
)

// Link is what is known of DNS on one network link.
type Link struct {
	Name    string // of the interface, or of the file that it is known from
	Servers []Server
	Search  []dns.Name // domains that short names are completed with
	Only    []dns.Name // domains whose names are asked of this link's servers, without being searched
	Default bool       // its servers are asked for all other names, too
}

// Server is one that a link was given.
type Server struct {
	Addr netip.AddrPort
	Name string // that its certificate has, where that is known
}

const (
	networkd  = "run/systemd/netif/links"
	maxFile   = 64 << 10
	maxLinks  = 64
	maxOfEach = 32 // servers and domains of one link
)

// resolvconfs are the directories that have a file for each link.
var resolvconfs = []string{"run/resolvconf/interfaces", "run/resolvconf/interface", "run/resolvconf/keys"}

// globals are files for all links, of which the first one with a server counts
// where no link is known.
var globals = []string{"run/systemd/resolve/resolv.conf", "run/NetworkManager/no-stub-resolv.conf", "run/NetworkManager/resolv.conf", "etc/resolv.conf"}

// Read gathers what root, the root directory of the system, tells of links.
// Servers at own, where the reader itself listens, are left out. Notes say what could
// not be read.
func Read(root fs.FS, own []netip.AddrPort) (list []Link, notes []string) {
	r := reader{root: root, own: own}
	for _, name := range r.names(networkd) {
		r.add(r.networkd(name))
	}
	for _, dir := range resolvconfs {
		for _, name := range r.names(dir) {
			r.add(r.resolvConf(path.Join(dir, name), name))
		}
	}
	for _, file := range globals {
		if hasServers(r.list) {
			break
		}
		r.add(r.resolvConf(file, path.Base(file)))
	}
	return r.list, r.notes
}

func hasServers(list []Link) bool {
	return slices.ContainsFunc(list, func(l Link) bool { return len(l.Servers) > 0 })
}

type reader struct {
	root  fs.FS
	own   []netip.AddrPort
	list  []Link
	notes []string
}

func (r *reader) note(format string, args ...any) {
	if len(r.notes) < maxLinks {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// add takes in a link that has something to say.
func (r *reader) add(l Link, ok bool) {
	if ok && len(r.list) < maxLinks && len(l.Servers)+len(l.Search)+len(l.Only) > 0 {
		r.list = append(r.list, l)
	}
}

func (r *reader) names(dir string) (names []string) {
	entries, err := fs.ReadDir(r.root, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.note("/%s: %v", dir, err)
	}
	for _, e := range entries[:min(len(entries), maxLinks)] {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// lines returns the lines of a file; ok is false where there is none.
func (r *reader) lines(name string) (lines []string, ok bool) {
	f, err := r.root.Open(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.note("/%s: %v", name, err)
		}
		return nil, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		r.note("/%s: %v", name, err)
		return nil, false
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	return lines, true
}

// networkd reads the state of a link as systemd-networkd keeps it: KEY=VALUES.
func (r *reader) networkd(name string) (l Link, ok bool) {
	file := path.Join(networkd, name)
	lines, ok := r.lines(file)
	l = Link{Name: "link " + name, Default: true}
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		switch words := strings.Fields(value); key {
		case "DNS":
			r.servers(&l, file, words)
		case "DOMAINS":
			l.Search = r.domains(file, words)
		case "ROUTE_DOMAINS":
			l.Only = r.domains(file, words)
		case "DNS_DEFAULT_ROUTE":
			l.Default = value != "no"
		}
	}
	return l, ok
}

// resolvConf reads a file like resolv.conf(5).
func (r *reader) resolvConf(file, name string) (l Link, ok bool) {
	lines, ok := r.lines(file)
	l = Link{Name: name, Default: true}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			r.servers(&l, file, words[1:2])
		case "search", "domain": // the last one counts
			l.Search = r.domains(file, words[1:])
		}
	}
	return l, ok
}

// servers adds servers, written as ADDR, ADDR:PORT or [ADDR]:PORT, each perhaps
// with #NAME.
func (r *reader) servers(l *Link, file string, words []string) {
	for _, word := range words {
		text, name, _ := strings.Cut(word, "#")
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(strings.Trim(text, "[]"))
			at = netip.AddrPortFrom(addr, 53)
		}
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		switch {
		case err != nil || at.Port() == 0 || at.Addr().IsUnspecified() || at.Addr().IsMulticast():
			r.note("/%s: %q is not the address of a server", file, word)
		case slices.Contains(r.own, at), slices.ContainsFunc(l.Servers, func(s Server) bool { return s.Addr == at }):
		case len(l.Servers) < maxOfEach:
			l.Servers = append(l.Servers, Server{at, name})
		}
	}
}

func (r *reader) domains(file string, words []string) (list []dns.Name) {
	for _, word := range words {
		name, err := dns.ParseNameIDNA(strings.TrimPrefix(word, "~"))
		switch {
		case err != nil:
			r.note("/%s: %q is not a domain", file, word)
		case len(list) < maxOfEach && !slices.ContainsFunc(list, name.Equal):
			list = append(list, name)
		}
	}
	return list
}
