package peers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// quickBIND is a dnssec-policy with one key, whose TTLs and delays are a second.
var quickBIND = []string{
	`dnssec-policy "quick" {`,
	"  keys { csk lifetime unlimited algorithm ecdsap256sha256; };",
	"  dnskey-ttl 1; publish-safety PT1S; retire-safety PT1S; purge-keys 0;",
	"  max-zone-ttl PT1S; zone-propagation-delay PT1S; parent-ds-ttl PT1S; parent-propagation-delay PT1S;",
	"};",
}

// signedParents configure peers to sign a zone that a key may update.
var signedParents = map[*Peer]func(dir string, zone Zone, addr netip.AddrPort, key Key) ([]string, error){
	BIND: signedParentBIND, Knot: signedParentKnot,
}

// StartSignedParent runs the peer, BIND or Knot, at addr (see [Peer.Addr]) as the signer of a zone whose DS records a key may
// update, until the test ends. It skips the test when the peer is not installed.
func (p *Peer) StartSignedParent(t testing.TB, zone Zone, addr netip.AddrPort, key Key) *Server {
	t.Helper()
	Need(t, p.Binary)
	dir := tempDir(t, p.Name)
	// They write beside the zone file.
	text, err := os.ReadFile(zone.File)
	if err == nil {
		zone.File = filepath.Join(dir, "parent.zone")
		err = os.WriteFile(zone.File, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	args, err := signedParents[p](dir, zone, addr, key)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	return p.run(t, dir, addr, args, Zones{zone})
}

func signedParentBIND(dir string, zone Zone, addr netip.AddrPort, key Key) ([]string, error) {
	lines := append([]string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; allow-query { any; }; notify no; empty-zones-enable no; dnssec-validation no; check-integrity no;",
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
		fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", key.Name, key.Secret),
	}, quickBIND...)
	lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; dnssec-policy \"quick\"; update-policy { grant %s subdomain %s DS; }; };",
		zone.Name, zone.File, key.Name, zone.Name))
	conf, err := writeFile(dir, "named.conf", lines...)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

func signedParentKnot(dir string, zone Zone, addr netip.AddrPort, key Key) ([]string, error) {
	conf, err := writeFile(dir, "knot.conf", append(knotServer(dir, addr),
		"key:", "  - id: "+key.Name, "    algorithm: hmac-sha256", "    secret: "+key.Secret,
		"acl:", "  - id: update", "    key: "+key.Name, "    action: update", "    update-type: DS",
		"policy:", "  - id: auto", "    algorithm: ecdsap256sha256", "    single-type-signing: on", "    dnskey-ttl: 1", "    zone-max-ttl: 1",
		"zone:",
		fmt.Sprintf("  - domain: %q", zone.Name), fmt.Sprintf("    file: %q", zone.File), fmt.Sprintf("    storage: %q", dir),
		"    zonefile-sync: -1", "    zonefile-load: difference-no-serial", "    journal-content: all", "    acl: update",
		"    dnssec-signing: on", "    dnssec-policy: auto",
	)...)
	return []string{"-c", conf}, err
}
