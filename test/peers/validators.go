package peers

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Validator is Unbound as a validating resolver that knows nothing but the zones given, each at one server whatever its port; anchors
// are DS or DNSKEY records in the form of a zone file. settings are further lines of its section server.
func Validator(t testing.TB, anchors string, zones map[string]netip.AddrPort, settings ...string) *Server {
	t.Helper()
	Need(t, Unbound.Binary)
	addr := Unbound.Addr(t)
	dir := tempDir(t, "unbound-validator")
	anchor := filepath.Join(dir, "anchors")
	if err := os.WriteFile(anchor, []byte(anchors), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{
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
		`  module-config: "validator iterator"`,
		fmt.Sprintf("  trust-anchor-file: %q", anchor),
		"  val-log-level: 2",
		"  ede: yes",
		"  access-control: 127.0.0.0/8 allow",
		"  do-not-query-localhost: no",
	}, settings...)
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		// Names of RFC 6761 are answered by Unbound itself otherwise.
		lines = append(lines, fmt.Sprintf("  local-zone: %q nodefault", zone))
	}
	lines = append(lines, "remote-control:", "  control-enable: no")
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		at := zones[zone]
		lines = append(lines, "stub-zone:", fmt.Sprintf("  name: %q", zone), fmt.Sprintf("  stub-addr: %s@%d", at.Addr(), at.Port()))
	}
	conf, err := writeFile(dir, "unbound.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := find(Unbound.Binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "unbound as a validator", dir, addr, binary, []string{"-d", "-c", conf})
	s.await(t, "answering", s.responds)
	return s
}
