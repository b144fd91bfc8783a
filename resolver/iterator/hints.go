package iterator

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
)

// Hint is a root server and where it can be reached.
type Hint struct {
	Name  dns.Name
	Addrs []netip.Addr
}

// rootServers is the root hints file as of 27 November 2023, when b.root-servers.net
// got its present addresses (RFC 9609 §2 and IANA's named.root).
var rootServers = [...][2]string{
	{"198.41.0.4", "2001:503:ba3e::2:30"},
	{"170.247.170.2", "2801:1b8:10::b"},
	{"192.33.4.12", "2001:500:2::c"},
	{"199.7.91.13", "2001:500:2d::d"},
	{"192.203.230.10", "2001:500:a8::e"},
	{"192.5.5.241", "2001:500:2f::f"},
	{"192.112.36.4", "2001:500:12::d0d"},
	{"198.97.190.53", "2001:500:1::53"},
	{"192.36.148.17", "2001:7fe::53"},
	{"192.58.128.30", "2001:503:c27::2:30"},
	{"193.0.14.129", "2001:7fd::1"},
	{"199.7.83.42", "2001:500:9f::42"},
	{"202.12.27.33", "2001:dc3::35"},
}

// RootHints returns the thirteen root servers of the Internet.
func RootHints() []Hint {
	hints := make([]Hint, len(rootServers))
	for i, a := range rootServers {
		hints[i] = Hint{
			Name:  dns.MustName(string(rune('a'+i)) + ".root-servers.net."),
			Addrs: []netip.Addr{netip.MustParseAddr(a[0]), netip.MustParseAddr(a[1])},
		}
	}
	return hints
}

// maxHints bounds a hints file; nobody has more root servers than this.
const maxHints = 64

// ParseHints reads a hints file: a master file with the root's NS records and
// the addresses of their targets, as IANA publishes it. file names it in errors.
//
// One record a line is all that such files have, so that is what is read here;
// a full master file reader lives in dns/zonefile.
func ParseHints(r io.Reader, file string) ([]Hint, error) {
	var hints []Hint
	addrs := map[dns.Name][]netip.Addr{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), ";")
		owner, typ, data, ok := hintFields(text)
		if !ok {
			continue
		}
		name, err := dns.ParseName(owner)
		if err != nil {
			return nil, fmt.Errorf("%s:%d:1: %q is not a name: %w", file, n, owner, err)
		}
		switch typ {
		case "NS":
			target, err := dns.ParseName(data)
			if err != nil || !name.IsRoot() || len(hints) == maxHints {
				return nil, fmt.Errorf("%s:%d:1: expected an NS record of the root with a server's name", file, n)
			}
			hints = append(hints, Hint{Name: target.Fold()})
		case "A", "AAAA":
			a, err := netip.ParseAddr(data)
			if err != nil || a.Is4() != (typ == "A") {
				return nil, fmt.Errorf("%s:%d:1: %q is not an address of type %s", file, n, data, typ)
			}
			addrs[name.Fold()] = append(addrs[name.Fold()], a)
		default:
			return nil, fmt.Errorf("%s:%d:1: type %s in root hints, expected NS, A or AAAA", file, n, typ)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	for i := range hints {
		hints[i].Addrs = addrs[hints[i].Name]
	}
	hints = slices.DeleteFunc(hints, func(h Hint) bool { return len(h.Addrs) == 0 })
	if len(hints) == 0 {
		return nil, fmt.Errorf("%s: no root server with an address, expected NS records of the root and A or AAAA of their targets", file)
	}
	return hints, nil
}

// hintFields splits a line into owner, type in upper case and data; TTL and
// class between owner and type are skipped. ok is false on an empty line.
func hintFields(line string) (owner, typ, data string, ok bool) {
	f := strings.Fields(line)
	if len(f) == 0 || strings.HasPrefix(f[0], "$") {
		return "", "", "", false
	}
	owner, f = f[0], f[1:]
	for len(f) > 0 && (f[0][0] >= '0' && f[0][0] <= '9' || strings.EqualFold(f[0], "IN")) {
		f = f[1:]
	}
	if len(f) != 2 {
		return owner, strings.Join(f, " "), "", true
	}
	return owner, strings.ToUpper(f[0]), f[1], true
}
