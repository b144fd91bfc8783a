package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SigningKnot runs Knot at addr (see [Peer.Addr]) as the signer of zones until the test ends: with one KSK and one ZSK each,
// CDS and CDNSKEY as soon as there is something to ask the parent for, and a look at the parent's servers once a second until
// they have the DS. TTLs and delays are a second. RollKSK begins a rollover. It skips the test when Knot is not installed.
func SigningKnot(t testing.TB, zones Zones, addr, parent netip.AddrPort) *Server {
	t.Helper()
	return signingKnot(t, zones, addr, parent, nil)
}

// PushingKnot is a SigningKnot that brings the DS to the parent itself, by UPDATE with a key.
func PushingKnot(t testing.TB, zones Zones, addr, parent netip.AddrPort, key Key) *Server {
	t.Helper()
	return signingKnot(t, zones, addr, parent, &key)
}

func signingKnot(t testing.TB, zones Zones, addr, parent netip.AddrPort, push *Key) *Server {
	t.Helper()
	Need(t, Knot.Binary)
	dir := tempDir(t, Knot.Name)
	lines, remote, policy := knotServer(dir, addr), "", ""
	if push != nil {
		lines = append(lines, "key:", "  - id: "+push.Name, "    algorithm: hmac-sha256", "    secret: "+push.Secret)
		remote, policy = "    key: "+push.Name, "    ds-push: parent"
	}
	lines = append(lines,
		"remote:", "  - id: parent", fmt.Sprintf("    address: \"%s@%d\"", parent.Addr(), parent.Port()), remote,
		"submission:", "  - id: parent", "    parent: parent", "    check-interval: 1",
		"policy:", "  - id: auto", "    algorithm: ecdsap256sha256", "    ksk-submission: parent", "    cds-cdnskey-publish: rollover",
		"    propagation-delay: 1", "    dnskey-ttl: 1", "    zone-max-ttl: 1", "    nsec3: on", policy,
		"zone:")
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("  - domain: %q", z.Name), fmt.Sprintf("    file: %q", z.File), fmt.Sprintf("    storage: %q", dir),
			"    zonefile-sync: -1", "    zonefile-load: difference-no-serial", "    journal-content: all",
			"    dnssec-signing: on", "    dnssec-policy: auto")
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	return Knot.run(t, dir, addr, []string{"-c", conf}, zones)
}

// RollKSK has a SigningKnot begin a rollover of a zone's KSK.
func RollKSK(t testing.TB, s *Server, zone string) {
	t.Helper()
	knotc, err := find("knotc")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(knotc, "-s", filepath.Join(s.Dir, "knot.sock"), "zone-key-rollover", zone, "ksk").CombinedOutput(); err != nil {
		t.Fatalf("knotc: %v\n%s", err, out)
	}
}

// SigningBIND runs BIND at addr (see [Peer.Addr]) as the signer of zones with one key each, by a dnssec-policy whose delays are a
// second, until the test ends. It publishes CDS and CDNSKEY once the zone's signatures are everywhere. It skips the test when
// BIND is not installed. RNDC tells it what to do.
func SigningBIND(t testing.TB, zones Zones, addr netip.AddrPort) *Server {
	t.Helper()
	Need(t, BIND.Binary)
	dir := tempDir(t, BIND.Name)
	control := localhost(t)
	lines := append([]string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
		"  listen-on-v6 { none; };",
		"  recursion no; allow-query { any; }; notify no; empty-zones-enable no; dnssec-validation no;",
		"  pid-file none; session-keyfile none;",
		"};",
		fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", controlKey.Name, controlKey.Secret),
		fmt.Sprintf("controls { inet %s port %d allow { 127.0.0.1; } keys { %q; }; };", control.Addr(), control.Port(), controlKey.Name),
	}, quickBIND...)
	_, err := writeFile(dir, "rndc.conf",
		fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", controlKey.Name, controlKey.Secret),
		fmt.Sprintf("options { default-key %q; default-server %s; default-port %d; };", controlKey.Name, control.Addr(), control.Port()))
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range zones {
		// It writes beside the zone file.
		own := filepath.Join(dir, filepath.Base(z.File))
		text, err := os.ReadFile(z.File)
		if err == nil {
			err = os.WriteFile(own, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; inline-signing yes; dnssec-policy \"quick\"; };", z.Name, own))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	if err != nil {
		t.Fatal(err)
	}
	return BIND.run(t, dir, addr, []string{"-g", "-n", "1", "-c", conf}, zones)
}

// controlKey lets rndc speak to a BIND of this machine.
var controlKey = Key{Name: "control", Secret: "b25seSBmb3IgdGVzdHMgb24gdGhpcyBtYWNoaW5lLiA="}

// RNDC gives a SigningBIND an order, and returns what it says.
func RNDC(t testing.TB, s *Server, words ...string) string {
	t.Helper()
	rndc, err := find("rndc")
	if err != nil {
		t.Skip(err)
	}
	out, err := exec.Command(rndc, append([]string{"-c", filepath.Join(s.Dir, "rndc.conf")}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("rndc %v: %v\n%s", words, err, out)
	}
	return string(out)
}
