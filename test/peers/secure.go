package peers

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
)

// SecureSecondary is a server that fetches zones over TLS (RFC 9103) and checks who gives them.
type SecureSecondary struct {
	Name        string
	Binary      string
	onInterface bool // as in Peer
	// ZoneFile is where it writes the zone, if it gives nobody transfers.
	ZoneFile  string
	configure func(dir, zone string, addr netip.AddrPort, from Primary, as, ca string) ([]string, error)
}

// SecureSecondaries are those of Debian 12. Knot and PowerDNS fetch nothing over TLS there.
var SecureSecondaries = []*SecureSecondary{
	{Name: "nsd", Binary: "nsd", configure: secureNSD},
	{Name: "bind", Binary: "named", onInterface: true, configure: secureBIND},
	{Name: "unbound", Binary: "unbound", ZoneFile: "zone", configure: secureUnbound},
}

// Addr finds a free loopback address on which it can listen.
func (s *SecureSecondary) Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	if s.onInterface {
		return localhost(t)
	}
	return Addr(t)
}

// Start runs it at addr until the test ends. from has the address for TLS; as is the name in the primary's certificate, and
// ca the file of who has signed that.
func (s *SecureSecondary) Start(t testing.TB, zone string, addr netip.AddrPort, from Primary, as, ca string) *Server {
	t.Helper()
	Need(t, s.Binary)
	dir := tempDir(t, s.Name)
	args, err := s.configure(dir, zone, addr, from, as, ca)
	if err != nil {
		t.Fatalf("configuring %s: %v", s.Name, err)
	}
	binary, err := find(s.Binary)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, s.Name, dir, addr, binary, args)
}

func secureNSD(dir, zone string, addr netip.AddrPort, from Primary, as, ca string) ([]string, error) {
	conf, err := writeFile(dir, "nsd.conf",
		"server:",
		fmt.Sprintf("  ip-address: %s@%d", addr.Addr(), addr.Port()),
		"  server-count: 1",
		`  username: ""`, `  chroot: ""`, `  database: ""`, `  pidfile: ""`,
		fmt.Sprintf("  zonesdir: %q", dir), fmt.Sprintf("  xfrdir: %q", dir),
		fmt.Sprintf("  xfrdfile: %q", filepath.Join(dir, "xfrd.state")),
		fmt.Sprintf("  zonelistfile: %q", filepath.Join(dir, "zone.list")),
		"  rrl-ratelimit: 0", "  rrl-whitelist-ratelimit: 0", "  xfrd-reload-timeout: 0",
		fmt.Sprintf("  tls-cert-bundle: %q", ca),
		"remote-control:", "  control-enable: no",
		"tls-auth:", "  name: primary", fmt.Sprintf("  auth-domain-name: %q", as),
		"zone:", fmt.Sprintf("  name: %q", zone), `  zonefile: "zone"`,
		fmt.Sprintf("  request-xfr: %s@%d NOKEY primary", from.Addr.Addr(), from.Addr.Port()),
		"  allow-notify: 127.0.0.0/8 NOKEY", "  provide-xfr: 127.0.0.0/8 NOKEY",
	)
	return []string{"-d", "-c", conf}, err
}

func secureBIND(dir, zone string, addr netip.AddrPort, from Primary, as, ca string) ([]string, error) {
	conf, err := writeFile(dir, "named.conf",
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; notify no; dnssec-validation no; empty-zones-enable no;",
		"  check-names secondary ignore; allow-transfer { any; }; serial-query-rate 1000;",
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
		fmt.Sprintf("tls primary { ca-file %q; remote-hostname %q; };", ca, as),
		fmt.Sprintf("zone %q { type secondary; file \"zone\"; primaries { %s port %d tls primary; }; allow-notify { 127.0.0.0/8; }; };",
			zone, from.Addr.Addr(), from.Addr.Port()),
	)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

func secureUnbound(dir, zone string, addr netip.AddrPort, from Primary, as, ca string) ([]string, error) {
	conf, err := writeFile(dir, "unbound.conf",
		"server:",
		fmt.Sprintf("  interface: %s@%d", addr.Addr(), addr.Port()),
		"  do-ip6: no", "  do-daemonize: no", "  use-syslog: no", "  verbosity: 2",
		`  username: ""`, `  chroot: ""`, `  pidfile: ""`,
		fmt.Sprintf("  directory: %q", dir),
		"  num-threads: 1",
		`  module-config: "iterator"`,
		"  access-control: 127.0.0.0/8 allow",
		"  do-not-query-localhost: no",
		fmt.Sprintf("  tls-cert-bundle: %q", ca),
		"remote-control:", "  control-enable: no",
		"auth-zone:", fmt.Sprintf("  name: %q", zone), `  zonefile: "zone"`, "  for-downstream: yes", "  for-upstream: yes",
		fmt.Sprintf("  primary: \"%s@%d#%s\"", from.Addr.Addr(), from.Addr.Port(), as),
		"  allow-notify: 127.0.0.0/8",
	)
	return []string{"-d", "-c", conf}, err
}
