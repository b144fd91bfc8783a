package peers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// PolicyZone is a response policy zone for a peer.
type PolicyZone struct {
	Name string // with the final dot
	Text string // a master file
}

// PolicyResolver runs a peer, BIND or Unbound, that forwards to upstream and answers by the policy zones, the first before the second.
func PolicyResolver(t testing.TB, r *Resolver, upstream netip.AddrPort, zones []PolicyZone) *Server {
	t.Helper()
	Need(t, r.Binary)
	dir := tempDir(t, r.Name+"-policy")
	for i, z := range zones {
		if _, err := writeFile(dir, fmt.Sprintf("zone%d", i), z.Text); err != nil {
			t.Fatal(err)
		}
	}
	addr := r.Addr(t)
	if r == BINDResolver {
		return startPolicies(t, r, dir, addr, bindPolicies(addr, upstream, dir, zones), "-g", "-4", "-n", "1", "-c")
	}
	return startPolicies(t, r, dir, addr, unboundPolicies(addr, upstream, dir, zones, nil), "-d", "-c")
}

// LocalZoneResolver runs Unbound with lines for its section `server`, such as local zones, forwarding to upstream.
func LocalZoneResolver(t testing.TB, upstream netip.AddrPort, lines []string) *Server {
	t.Helper()
	Need(t, Unbound.Binary)
	dir, addr := tempDir(t, "unbound-local"), Unbound.Addr(t)
	return startPolicies(t, Unbound, dir, addr, unboundPolicies(addr, upstream, dir, nil, lines), "-d", "-c")
}

// startPolicies starts a peer with a configuration, whose path is put behind args.
func startPolicies(t testing.TB, r *Resolver, dir string, addr netip.AddrPort, conf []string, args ...string) *Server {
	t.Helper()
	path, err := writeFile(dir, "conf", conf...)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := find(r.Binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, r.Name, dir, addr, binary, append(args, path))
	s.await(t, "answering", s.responds)
	return s
}

func bindPolicies(addr, upstream netip.AddrPort, dir string, zones []PolicyZone) []string {
	var names, bodies strings.Builder
	for i, z := range zones {
		fmt.Fprintf(&names, "zone %q; ", z.Name)
		fmt.Fprintf(&bodies, "zone %q { type primary; file \"zone%d\"; check-names ignore; };\n", z.Name, i)
	}
	return []string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion yes; allow-query { any; }; allow-recursion { any; }; allow-query-cache { any; };",
		"  dnssec-validation no; empty-zones-enable no; minimal-responses yes;",
		fmt.Sprintf("  forward only; forwarders { %s port %d; };", upstream.Addr(), upstream.Port()),
		"  response-policy { " + names.String() + "} break-dnssec yes max-policy-ttl 300 min-ns-dots 0;",
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
		bodies.String(),
	}
}

func unboundPolicies(addr, upstream netip.AddrPort, dir string, zones []PolicyZone, server []string) []string {
	lines := []string{
		"server:",
		fmt.Sprintf("  interface: %s@%d", addr.Addr(), addr.Port()),
		"  do-ip6: no", "  do-daemonize: no", "  use-syslog: no", `  username: ""`, `  chroot: ""`, `  pidfile: ""`,
		fmt.Sprintf("  directory: %q", dir),
		"  num-threads: 1",
		`  module-config: "respip iterator"`,
		"  access-control: 127.0.0.0/8 allow",
		"  do-not-query-localhost: no",
		"  minimal-responses: yes",
		`  local-zone: "test." nodefault`,
	}
	for _, line := range server {
		lines = append(lines, "  "+line)
	}
	lines = append(lines,
		"remote-control:", "  control-enable: no",
		"forward-zone:", `  name: "."`,
		fmt.Sprintf("  forward-addr: %s@%d", upstream.Addr(), upstream.Port()),
	)
	for i, z := range zones {
		lines = append(lines, "rpz:", fmt.Sprintf("  name: %q", z.Name), fmt.Sprintf("  zonefile: \"zone%d\"", i))
	}
	return lines
}
