package peers

import (
	"fmt"
	"net/netip"
	"testing"
)

// StartUpdatableBIND runs BIND as the primary of zones that everybody may transfer, at addr (see [Peer.Addr]), until the test
// ends. Who may update a zone is said by rules of its update-policy, by the zone's name; where it has none, everybody may. Its
// journals are written beside the zone files. It skips the test when BIND is not installed.
func StartUpdatableBIND(t testing.TB, zones Zones, addr netip.AddrPort, policies map[string]string, keys ...Key) *Server {
	t.Helper()
	Need(t, BIND.Binary)
	dir := tempDir(t, BIND.Name)
	lines := []string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; allow-query { any; }; allow-transfer { any; }; notify no; empty-zones-enable no; dnssec-validation no;",
		"  check-names primary ignore; check-integrity no; check-mx ignore; check-sibling no;",
		"  pid-file none; session-keyfile none; update-quota 1000;",
		"};",
		"controls { };",
	}
	for _, k := range keys {
		lines = append(lines, fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", k.Name, k.Secret))
	}
	for _, z := range zones {
		who := "allow-update { any; };"
		if rules, ok := policies[z.Name]; ok {
			who = "update-policy { " + rules + " };"
		}
		lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; %s };", z.Name, z.File, who))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	return BIND.run(t, dir, addr, []string{"-g", "-n", "1", "-c", conf}, zones)
}

// StartUpdatableKnot runs Knot as the primary of zones that a key may update, at addr (see [Peer.Addr]), until the test ends. It
// skips the test when Knot is not installed.
func StartUpdatableKnot(t testing.TB, zones Zones, addr netip.AddrPort, key Key) *Server {
	t.Helper()
	Need(t, Knot.Binary)
	dir := tempDir(t, Knot.Name)
	lines := append(knotServer(dir, addr),
		"key:", "  - id: "+key.Name, "    algorithm: hmac-sha256", "    secret: "+key.Secret,
		"acl:", "  - id: update", "    key: "+key.Name, "    action: update", "zone:")
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("  - domain: %q", z.Name), fmt.Sprintf("    file: %q", z.File), fmt.Sprintf("    storage: %q", dir),
			"    zonefile-sync: -1", "    zonefile-load: difference", "    journal-content: changes", "    acl: update")
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	return Knot.run(t, dir, addr, []string{"-c", conf}, zones)
}
