package peers

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
)

// primaries configure peers as primaries of zones that change, which everybody on this machine may have and change.
var primaries = map[*Peer]func(dir string, zones Zones, addr, secondary netip.AddrPort) ([]string, error){
	NSD: primaryNSD, Knot: primaryKnot, BIND: primaryBIND, PowerDNS: primaryPowerDNS,
}

// StartPrimary runs the peer at addr (see [Peer.Addr]) as a primary that tells a secondary of changes, until the test ends. NSD
// takes them from the zone files at SIGHUP, the others by UPDATE. It skips the test when the peer is not installed.
func (p *Peer) StartPrimary(t testing.TB, zones Zones, addr, secondary netip.AddrPort) *Server {
	t.Helper()
	s := p.startCatalog(t, addr, func(dir string) ([]string, error) { return primaries[p](dir, zones, addr, secondary) })
	s.awaitZones(t, zones)
	return s
}

func primaryNSD(dir string, zones Zones, addr, secondary netip.AddrPort) ([]string, error) {
	lines := []string{
		"server:",
		fmt.Sprintf("  ip-address: %s@%d", addr.Addr(), addr.Port()),
		"  server-count: 1",
		`  username: ""`, `  chroot: ""`, `  database: ""`, `  pidfile: ""`,
		fmt.Sprintf("  zonesdir: %q", dir), fmt.Sprintf("  xfrdir: %q", dir),
		fmt.Sprintf("  xfrdfile: %q", filepath.Join(dir, "xfrd.state")), fmt.Sprintf("  zonelistfile: %q", filepath.Join(dir, "zone.list")),
		"  rrl-ratelimit: 0", "  rrl-whitelist-ratelimit: 0",
		"remote-control:", "  control-enable: no",
	}
	for _, z := range zones {
		lines = append(lines, "zone:", fmt.Sprintf("  name: %q", z.Name), fmt.Sprintf("  zonefile: %q", z.File),
			"  provide-xfr: 127.0.0.0/8 NOKEY", "  store-ixfr: yes", "  create-ixfr: yes",
			fmt.Sprintf("  notify: %s@%d NOKEY", secondary.Addr(), secondary.Port()))
	}
	conf, err := writeFile(dir, "nsd.conf", lines...)
	return []string{"-d", "-c", conf}, err
}

func primaryKnot(dir string, zones Zones, addr, secondary netip.AddrPort) ([]string, error) {
	lines := append(knotServer(dir, addr),
		"remote:", "  - id: secondary", fmt.Sprintf("    address: \"%s@%d\"", secondary.Addr(), secondary.Port()),
		"acl:", "  - id: all", "    address: 127.0.0.0/8", "    action: [transfer, update]",
		"zone:")
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("  - domain: %q", z.Name), fmt.Sprintf("    file: %q", z.File), "    notify: secondary", "    acl: all")
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	return []string{"-c", conf}, err
}

func primaryBIND(dir string, zones Zones, addr, secondary netip.AddrPort) ([]string, error) {
	lines := []string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; allow-query { any; }; allow-transfer { any; }; empty-zones-enable no; dnssec-validation no;",
		fmt.Sprintf("  notify explicit; also-notify { %s port %d; }; notify-delay 0; notify-rate 1000;", secondary.Addr(), secondary.Port()),
		"  check-names primary ignore; check-integrity no; check-mx ignore; check-sibling no;",
		"  pid-file none; session-keyfile none; update-quota 1000;",
		"};",
		"controls { };",
	}
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; allow-update { any; }; };", z.Name, z.File))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

func primaryPowerDNS(dir string, zones Zones, addr, secondary netip.AddrPort) ([]string, error) {
	var commands [][]string
	for _, z := range zones {
		commands = append(commands, []string{"load-zone", z.Name, z.File}, []string{"set-kind", z.Name, "primary"},
			[]string{"set-meta", z.Name, "ALSO-NOTIFY", secondary.String()})
	}
	return powerDNS(dir, addr, "primary=yes\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8", commands...)
}
