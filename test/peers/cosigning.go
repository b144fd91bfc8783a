package peers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// StartCosigning runs the peer, Knot or BIND, at addr (see [Peer.Addr]) as one of a zone's signers (RFC 8901): it signs by keys of
// its own, and takes others' DNSKEY, CDS and CDNSKEY, and all else, by UPDATE with a key. TTLs and delays are a second. It skips
// the test when the peer is not installed.
func (p *Peer) StartCosigning(t testing.TB, zone Zone, addr netip.AddrPort, key Key) *Server {
	t.Helper()
	Need(t, p.Binary)
	dir := tempDir(t, p.Name)
	// They write beside the zone file.
	text, err := os.ReadFile(zone.File)
	if err == nil {
		zone.File = filepath.Join(dir, "cosigned.zone")
		err = os.WriteFile(zone.File, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	configure := map[*Peer]func(string, Zone, netip.AddrPort, Key) ([]string, error){Knot: cosigningKnot, BIND: cosigningBIND}[p]
	args, err := configure(dir, zone, addr, key)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	return p.run(t, dir, addr, args, Zones{zone})
}

func cosigningKnot(dir string, zone Zone, addr netip.AddrPort, key Key) ([]string, error) {
	conf, err := writeFile(dir, "knot.conf", append(knotServer(dir, addr),
		"key:", "  - id: "+key.Name, "    algorithm: hmac-sha256", "    secret: "+key.Secret,
		"acl:", "  - id: update", "    key: "+key.Name, "    action: [update, transfer]",
		"policy:", "  - id: auto", "    algorithm: ecdsap256sha256", "    dnskey-ttl: 1", "    zone-max-ttl: 1", "    propagation-delay: 1",
		"    cds-cdnskey-publish: always", "    dnskey-management: incremental", "    delete-delay: 1",
		"zone:",
		fmt.Sprintf("  - domain: %q", zone.Name), fmt.Sprintf("    file: %q", zone.File), fmt.Sprintf("    storage: %q", dir),
		"    zonefile-sync: -1", "    zonefile-load: difference-no-serial", "    journal-content: all", "    acl: update",
		"    dnssec-signing: on", "    dnssec-policy: auto",
	)...)
	return []string{"-c", conf}, err
}

func cosigningBIND(dir string, zone Zone, addr netip.AddrPort, key Key) ([]string, error) {
	conf, err := writeFile(dir, "named.conf", append(append([]string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; allow-query { any; }; notify no; empty-zones-enable no; dnssec-validation no; check-integrity no;",
		"  pid-file none; session-keyfile none;",
		"};",
		"controls { };",
		fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", key.Name, key.Secret),
	}, quickBIND...),
		fmt.Sprintf("zone %q { type primary; file %q; dnssec-policy \"quick\"; allow-update { key %q; }; allow-transfer { key %q; }; };", zone.Name, zone.File, key.Name, key.Name))...)
	return []string{"-g", "-n", "1", "-c", conf}, err
}
