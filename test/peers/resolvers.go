package peers

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Resolver is a peer that resolves by asking other servers, at port 53.
type Resolver struct {
	Name        string
	Package     string
	Binary      string
	onInterface bool // as in Peer
	configure   func(dir, rootHints string, addr netip.AddrPort) ([]string, error)
}

// Resolvers are the peers that can walk a tree of servers.
var Resolvers = []*Resolver{Unbound, BINDResolver}

// Unbound resolves from rootHints without validation, also towards loopback addresses.
var Unbound = &Resolver{
	Name: "unbound", Package: "unbound", Binary: "unbound",
	configure: func(dir, rootHints string, addr netip.AddrPort) ([]string, error) {
		conf, err := writeFile(dir, "unbound.conf",
			"server:",
			fmt.Sprintf("  interface: %s@%d", addr.Addr(), addr.Port()),
			"  do-ip6: no",
			"  do-daemonize: no",
			"  use-syslog: no",
			`  username: ""`,
			`  chroot: ""`,
			`  pidfile: ""`,
			fmt.Sprintf("  directory: %q", dir),
			"  num-threads: 1",
			`  module-config: "iterator"`,
			"  access-control: 127.0.0.0/8 allow",
			"  do-not-query-localhost: no",
			fmt.Sprintf("  root-hints: %q", rootHints),
			"remote-control:",
			"  control-enable: no",
		)
		return []string{"-d", "-c", conf}, err
	},
}

// BINDResolver is BIND as a resolver, from rootHints, without validation.
var BINDResolver = &Resolver{
	Name: "bind", Package: "bind9", Binary: "named", onInterface: true,
	configure: func(dir, rootHints string, addr netip.AddrPort) ([]string, error) {
		conf, err := writeFile(dir, "named.conf",
			"options {",
			fmt.Sprintf("  directory %q;", dir),
			fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
			"  listen-on-v6 { none; };",
			"  recursion yes; allow-query { any; }; allow-recursion { any; };",
			"  dnssec-validation no; empty-zones-enable no;",
			"  pid-file none; session-keyfile none;",
			"};",
			"controls { };",
			fmt.Sprintf("zone \".\" { type hint; file %q; };", rootHints),
		)
		return []string{"-g", "-4", "-n", "1", "-c", conf}, err
	},
}

// Addr finds a free loopback address on which this resolver can listen.
func (r *Resolver) Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	if r.onInterface {
		return localhost(t)
	}
	return Addr(t)
}

// Start runs the resolver at addr (see [Resolver.Addr]) until the test ends; rootHints is a file of the root's NS and address records.
// It skips the test when the resolver is not installed.
func (r *Resolver) Start(t testing.TB, rootHints string, addr netip.AddrPort) *Server {
	t.Helper()
	Need(t, r.Binary)
	dir := tempDir(t, r.Name)
	args, err := r.configure(dir, rootHints, addr)
	if err != nil {
		t.Fatalf("configuring %s: %v", r.Name, err)
	}
	binary, err := find(r.Binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, r.Name, dir, addr, binary, args)
	s.await(t, "answering", s.responds)
	return s
}

// responds says whether the server reacts to a question that needs no other server (RFC 4892).
func (s *Server) responds() bool {
	q := new(dns.Msg)
	q.SetQuestion("version.bind.", dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	client := dns.Client{Timeout: 500 * time.Millisecond}
	_, _, err := client.Exchange(q, s.Addr.String())
	return err == nil
}

// Run starts an installed program that answers at addr until the test ends, for tests that write its configuration
// themselves, and returns when it answers. It skips the test when the program is not installed.
func Run(t testing.TB, name, dir string, addr netip.AddrPort, binary string, args ...string) *Server {
	t.Helper()
	Need(t, binary)
	path, err := find(binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, name, dir, addr, path, args)
	s.await(t, "answering", s.responds)
	return s
}
