package peers

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// Primary is where a secondary gets its zones from.
type Primary struct {
	Addr netip.AddrPort
	Key  *Key // to sign with; nil: nothing is signed
}

// Key is a TSIG key of algorithm hmac-sha256.
type Key struct{ Name, Secret string }

// secondaries configure peers as secondaries of zones, whose transfers everybody on this machine may have.
var secondaries = map[*Peer]func(dir string, zones []string, addr netip.AddrPort, from Primary) ([]string, error){
	NSD: secondaryNSD, Knot: secondaryKnot, BIND: secondaryBIND, PowerDNS: secondaryPowerDNS,
}

// StartSecondary runs the peer at addr (see [Peer.Addr]) as a secondary of zones until the test ends. It does not wait for
// the zones. It skips the test when the peer is not installed.
func (p *Peer) StartSecondary(t testing.TB, zones []string, addr netip.AddrPort, from Primary) *Server {
	t.Helper()
	Need(t, p.Binary)
	if p == PowerDNS {
		needSQLite(t)
	}
	dir := tempDir(t, p.Name)
	args, err := secondaries[p](dir, zones, addr, from)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	binary, err := find(p.Binary)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, p.Name, dir, addr, binary, args)
}

func secondaryNSD(dir string, zones []string, addr netip.AddrPort, from Primary) ([]string, error) {
	lines := []string{
		"server:",
		fmt.Sprintf("  ip-address: %s@%d", addr.Addr(), addr.Port()),
		"  server-count: 1",
		`  username: ""`, `  chroot: ""`, `  database: ""`, `  pidfile: ""`,
		fmt.Sprintf("  zonesdir: %q", dir), fmt.Sprintf("  xfrdir: %q", dir),
		fmt.Sprintf("  xfrdfile: %q", filepath.Join(dir, "xfrd.state")),
		fmt.Sprintf("  zonelistfile: %q", filepath.Join(dir, "zone.list")),
		"  rrl-ratelimit: 0", "  rrl-whitelist-ratelimit: 0", "  xfrd-reload-timeout: 0",
		"remote-control:", "  control-enable: no",
	}
	key := "NOKEY"
	if from.Key != nil {
		key = from.Key.Name
		lines = append(lines, "key:", fmt.Sprintf("  name: %q", key), "  algorithm: hmac-sha256", fmt.Sprintf("  secret: %q", from.Key.Secret))
	}
	for i, z := range zones {
		lines = append(lines, "zone:", fmt.Sprintf("  name: %q", z), fmt.Sprintf("  zonefile: \"%d.zone\"", i),
			fmt.Sprintf("  request-xfr: %s@%d %s", from.Addr.Addr(), from.Addr.Port(), key),
			"  allow-notify: 127.0.0.0/8 "+key, "  provide-xfr: 127.0.0.0/8 NOKEY")
	}
	conf, err := writeFile(dir, "nsd.conf", lines...)
	return []string{"-d", "-c", conf}, err
}

func secondaryKnot(dir string, zones []string, addr netip.AddrPort, from Primary) ([]string, error) {
	lines := []string{
		"server:",
		fmt.Sprintf("    rundir: %q", dir), fmt.Sprintf("    listen: \"%s@%d\"", addr.Addr(), addr.Port()),
		"    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 1",
		"database:", fmt.Sprintf("    storage: %q", dir),
		"log:", "  - target: stderr", "    any: info",
	}
	key := ""
	if from.Key != nil {
		lines = append(lines, "key:", "  - id: "+from.Key.Name, "    algorithm: hmac-sha256", "    secret: "+from.Key.Secret)
		key = "    key: " + from.Key.Name
	}
	lines = append(lines, "remote:", "  - id: primary", fmt.Sprintf("    address: \"%s@%d\"", from.Addr.Addr(), from.Addr.Port()), key,
		"acl:", "  - id: notify", "    address: 127.0.0.0/8", "    action: notify", key,
		"  - id: transfer", "    address: 127.0.0.0/8", "    action: transfer",
		"zone:")
	for i, z := range zones {
		lines = append(lines, fmt.Sprintf("  - domain: %q", z), fmt.Sprintf("    file: \"%d.zone\"", i), fmt.Sprintf("    storage: %q", dir),
			"    master: primary", "    acl: [notify, transfer]")
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	return []string{"-c", conf}, err
}

func secondaryBIND(dir string, zones []string, addr netip.AddrPort, from Primary) ([]string, error) {
	lines := []string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; notify no; dnssec-validation no; empty-zones-enable no;",
		"  check-names secondary ignore; allow-transfer { any; }; serial-query-rate 1000; transfers-in 100; transfers-per-ns 100;",
		"  min-refresh-time 1; min-retry-time 1;", // else the SOA record does not count
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
	}
	key := ""
	if from.Key != nil {
		lines = append(lines, fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", from.Key.Name, from.Key.Secret))
		key = " key " + from.Key.Name
	}
	allowed := "127.0.0.0/8;"
	if key != "" {
		allowed = strings.TrimSpace(key) + ";"
	}
	for i, z := range zones {
		lines = append(lines, fmt.Sprintf("zone %q { type secondary; file \"%d.zone\"; primaries { %s port %d%s; }; allow-notify { %s }; };",
			z, i, from.Addr.Addr(), from.Addr.Port(), key, allowed))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

// secondaryPowerDNS obeys NOTIFY from 127.0.0.1, through which a relay speaks, and asks for differences.
func secondaryPowerDNS(dir string, zones []string, addr netip.AddrPort, from Primary) ([]string, error) {
	var commands [][]string
	if from.Key != nil {
		commands = append(commands, []string{"import-tsig-key", from.Key.Name, "hmac-sha256", from.Key.Secret})
	}
	for _, z := range zones {
		commands = append(commands, []string{"create-secondary-zone", z, from.Addr.String()}, []string{"set-meta", z, "IXFR", "1"})
		if from.Key != nil {
			commands = append(commands, []string{"activate-tsig-key", z, from.Key.Name, "secondary"})
		}
	}
	return powerDNS(dir, addr, "secondary=yes", commands...)
}
