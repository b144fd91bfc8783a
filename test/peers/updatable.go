package peers

import (
	"fmt"
	"net/netip"
	"testing"
)

// StartUpdatableBIND runs BIND as the primary of zones that everybody may update and transfer, at addr (see [Peer.Addr]),
// until the test ends. Its journals are written beside the zone files. It skips the test when BIND is not installed.
func StartUpdatableBIND(t testing.TB, zones Zones, addr netip.AddrPort) *Server {
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
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; allow-update { any; }; };", z.Name, z.File))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := find(BIND.Binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, BIND.Name, dir, addr, binary, []string{"-g", "-n", "1", "-c", conf})
	s.awaitZones(t, zones)
	return s
}
