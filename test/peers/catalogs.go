package peers

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
)

// Member is a zone that a catalog lists, with the group property or without.
type Member struct{ Zone, Group string }

// consumers configure peers to follow a catalog zone (RFC 9432) and to get its members from where the catalog is.
var consumers = map[*Peer]func(dir, catalog, group string, addr netip.AddrPort, from Primary) ([]string, error){
	Knot: consumerKnot, BIND: consumerBIND, PowerDNS: consumerPowerDNS,
}

// producers configure peers to make a catalog of members, which everybody on this machine may have.
var producers = map[*Peer]func(dir, catalog string, members []Member, addr netip.AddrPort) ([]string, error){
	Knot: producerKnot, PowerDNS: producerPowerDNS,
}

// StartConsumer runs the peer at addr as a consumer of a catalog until the test ends. group is one that it knows, where it
// knows groups. It skips the test when the peer is not installed.
func (p *Peer) StartConsumer(t testing.TB, catalog, group string, addr netip.AddrPort, from Primary) *Server {
	t.Helper()
	return p.startCatalog(t, addr, func(dir string) ([]string, error) { return consumers[p](dir, catalog, group, addr, from) })
}

// StartProducer runs the peer at addr as the producer of a catalog until the test ends.
func (p *Peer) StartProducer(t testing.TB, catalog string, members []Member, addr netip.AddrPort) *Server {
	t.Helper()
	return p.startCatalog(t, addr, func(dir string) ([]string, error) { return producers[p](dir, catalog, members, addr) })
}

func (p *Peer) startCatalog(t testing.TB, addr netip.AddrPort, configure func(dir string) ([]string, error)) *Server {
	t.Helper()
	Need(t, p.Binary)
	if p == PowerDNS {
		needSQLite(t)
	}
	dir := tempDir(t, p.Name)
	args, err := configure(dir)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	binary, err := find(p.Binary)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, p.Name, dir, addr, binary, args)
}

// needSQLite skips the test where PowerDNS has no backend that knows catalogs.
func needSQLite(t testing.TB) {
	t.Helper()
	Need(t, "sqlite3")
	if found, _ := filepath.Glob("/usr/lib/*/pdns/libgsqlite3backend.so"); len(found) == 0 {
		t.Skip("pdns-backend-sqlite3 is not installed (scripts/test-deps installs it)")
	}
}

func knotServer(dir string, addr netip.AddrPort) []string {
	return []string{
		"server:",
		fmt.Sprintf("    rundir: %q", dir), fmt.Sprintf("    listen: \"%s@%d\"", addr.Addr(), addr.Port()),
		"    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 1",
		"database:", fmt.Sprintf("    storage: %q", dir),
		"log:", "  - target: stderr", "    any: info",
	}
}

// consumerKnot names a template as the group, which is how Knot chooses one.
func consumerKnot(dir, catalog, group string, addr netip.AddrPort, from Primary) ([]string, error) {
	conf, err := writeFile(dir, "knot.conf", append(knotServer(dir, addr),
		"remote:", "  - id: primary", fmt.Sprintf("    address: \"%s@%d\"", from.Addr.Addr(), from.Addr.Port()),
		"acl:", "  - id: notify", "    address: 127.0.0.0/8", "    action: [notify, transfer]",
		"template:",
		"  - id: plain", "    master: primary", "    acl: notify", fmt.Sprintf("    storage: %q", dir), "    file: \"plain-%s.zone\"",
		"  - id: "+group, "    master: primary", "    acl: notify", fmt.Sprintf("    storage: %q", dir), "    file: \"group-%s.zone\"",
		"zone:",
		fmt.Sprintf("  - domain: %q", catalog), "    master: primary", "    acl: notify", fmt.Sprintf("    storage: %q", dir),
		"    catalog-role: interpret", fmt.Sprintf("    catalog-template: [ plain, %s ]", group),
	)...)
	return []string{"-c", conf}, err
}

func producerKnot(dir, catalog string, members []Member, addr netip.AddrPort) ([]string, error) {
	lines := append(knotServer(dir, addr),
		"acl:", "  - id: transfer", "    address: 127.0.0.0/8", "    action: transfer",
		"zone:", fmt.Sprintf("  - domain: %q", catalog), fmt.Sprintf("    storage: %q", dir), "    catalog-role: generate", "    acl: transfer")
	for i, m := range members {
		file, err := writeFile(dir, fmt.Sprintf("%d.zone", i), memberZone(m.Zone)...)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("  - domain: %q", m.Zone), fmt.Sprintf("    file: %q", file),
			"    acl: transfer", "    catalog-role: member", fmt.Sprintf("    catalog-zone: %q", catalog))
		if m.Group != "" {
			lines = append(lines, "    catalog-group: "+m.Group)
		}
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	return []string{"-c", conf}, err
}

func memberZone(name string) []string {
	return []string{"$ORIGIN " + name, "$TTL 300", "@ SOA ns.example.net. host.example.net. 1 300 300 3000 300", "@ NS ns.example.net."}
}

// consumerBIND does not know groups.
func consumerBIND(dir, catalog, _ string, addr netip.AddrPort, from Primary) ([]string, error) {
	primary := fmt.Sprintf("{ %s port %d; }", from.Addr.Addr(), from.Addr.Port())
	conf, err := writeFile(dir, "named.conf",
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; notify no; dnssec-validation no; empty-zones-enable no;",
		"  allow-transfer { any; }; allow-notify { 127.0.0.0/8; }; serial-query-rate 1000; transfers-in 100; transfers-per-ns 100;",
		fmt.Sprintf("  catalog-zones { zone %q default-primaries %s zone-directory %q min-update-interval 0; };", catalog, primary, dir),
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
		fmt.Sprintf("zone %q { type secondary; file \"catalog.zone\"; primaries %s; };", catalog, primary),
	)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

// powerDNS makes the database and runs pdnsutil commands on it.
func powerDNS(dir string, addr netip.AddrPort, role string, commands ...[]string) ([]string, error) {
	database := filepath.Join(dir, "pdns.sqlite3")
	_, err := writeFile(dir, "pdns.conf",
		"launch=gsqlite3", "gsqlite3-database="+database, "gsqlite3-pragma-synchronous=0",
		"local-address="+addr.Addr().String(), fmt.Sprintf("local-port=%d", addr.Port()),
		"socket-dir="+dir, "daemon=no", "guardian=no", "disable-syslog=yes", "write-pid=no", "security-poll-suffix=",
		"cache-ttl=0", "query-cache-ttl=0", "negquery-cache-ttl=0", "zone-cache-refresh-interval=1", "xfr-cycle-interval=1",
		"distributor-threads=1", "allow-axfr-ips=127.0.0.0/8", "allow-notify-from=127.0.0.0/8", "trusted-notification-proxy=127.0.0.1", role,
	)
	if err != nil {
		return nil, err
	}
	const schema = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"
	if out, err := exec.Command("sqlite3", database, ".read "+schema).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a database for PowerDNS: %w\n%s", err, out)
	}
	for _, args := range commands {
		cmd := exec.Command("pdnsutil", append([]string{"--config-dir=" + dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
	}
	return []string{"--config-dir=" + dir}, nil
}

// consumerPowerDNS does not know groups.
func consumerPowerDNS(dir, catalog, _ string, addr netip.AddrPort, from Primary) ([]string, error) {
	return powerDNS(dir, addr, "secondary=yes",
		[]string{"create-secondary-zone", catalog, from.Addr.String()}, []string{"set-kind", catalog, "consumer"})
}

func producerPowerDNS(dir, catalog string, members []Member, addr netip.AddrPort) ([]string, error) {
	commands := [][]string{{"create-zone", catalog}, {"set-kind", catalog, "producer"}}
	for _, m := range members {
		commands = append(commands, []string{"create-zone", m.Zone, "ns.example.net"}, []string{"set-kind", m.Zone, "primary"}, []string{"set-catalog", m.Zone, catalog})
		if m.Group != "" {
			commands = append(commands, []string{"set-option", m.Zone, "producer", "group", m.Group})
		}
	}
	return powerDNS(dir, addr, "primary=yes", commands...)
}
