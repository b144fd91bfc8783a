package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"onoma/test/peers"
)

// TestServe: a primary with a configuration file makes the catalog, a secondary with another one follows it, and a restart of
// the secondary transfers nothing.
func TestServe(t *testing.T) {
	zones := []string{"a.example.", "b.example.", "c.example."}
	dir := t.TempDir()
	from, to := peers.Addr(t), peers.Addr(t)
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, z := range zones {
		write(z+"zone", "$ORIGIN "+z+"\n$TTL 300\n@ SOA ns h 1 300 300 3000 300\n@ NS ns.example.net.\n")
	}
	configure := func(members string) string {
		return write("primary.yaml", fmt.Sprintf(`
data: primary
control: off
listen: %q
templates:
  customer: {file: "{zone}.zone", member-of: catalog.invalid, transfer-to: 127.0.0.0/8, notify: %q}
zones:
  catalog.invalid: {catalog: {produce: true}, transfer-to: 127.0.0.0/8, notify: %[2]q}
%[3]s`, from, to, members))
	}
	secondary := write("secondary.yaml", fmt.Sprintf(`
data: secondary
control: off
listen: %q
templates:
  edge: {primaries: %q, allow-notify: 127.0.0.0/8}
zones:
  catalog.invalid: {primaries: %[2]q, allow-notify: 127.0.0.0/8, catalog: {consume: {groups: {special: edge}, template: edge}}}
`, to, from))
	for _, data := range []string{"primary", "secondary"} {
		if err := os.Mkdir(filepath.Join(dir, data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := peers.StartOnoma(t, from, "serve", "--config", configure("  a.example: {template: customer}\n  b.example: {template: customer, group: special}\n"))
	s := peers.StartOnoma(t, to, "serve", "--config", secondary)
	await(t, s, zones, "a.example.", "b.example.")
	configure("  b.example: {template: customer, group: special}\n  c.example: {template: customer}\n")
	if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, s, zones, "b.example.", "c.example.")
	s.Stop()
	s = peers.StartOnoma(t, to, "serve", "--config", secondary)
	await(t, s, zones, "b.example.", "c.example.")
	if strings.Contains(s.Log(), "msg=transferred") {
		t.Errorf("zones were transferred again after a restart:\n%s", s.Log())
	}
}
