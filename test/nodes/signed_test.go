package nodes

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// signedNodes has a ZSK that lives for seconds, so that there is always something to do that one node does.
const signedNodes = `
data: DIR/data
store: STORE
control: DIR/ctl
listen: ["ADDR"]
lookups: {root-hints: DIR/root.hints}
SEAL
policies:
  quick: {keys: split, zsk-life: 4s, key-ttl: 1s, publish-safety: 0s, retire-safety: 0s}
templates:
  default: {transfer-to: [127.0.0.0/8], new: true}
zones:
  u.example: {file: DIR/zone, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"], DNSSEC}
  a.example: {file: DIR/zone, file-mode: initial}
`

const quickText = `$TTL 1
@ SOA ns hostmaster 1 3600 600 86400 1
@ NS ns
ns A 127.0.0.1
`

// signedPair makes two nodes that share a database and a seal, "" for none.
func signedPair(t *testing.T, url, seal, dnssec string) [2]*node {
	nodes := pairOfNodes(t, url, strings.NewReplacer("SEAL", seal, "DNSSEC", dnssec).Replace(signedNodes))
	for _, n := range nodes {
		n.Write(t, "zone", quickText)
		n.Write(t, "root.hints", ". 3600 NS a.root.\na.root. 3600 A 127.0.0.1\n")
		n.Write(t, "seal", strings.Repeat("a secret of both", 3))
	}
	return nodes
}

// zsks are the tags of the keys that sign a zone's records, as a server has them.
func (n *node) zsks(zone string) (tags []uint16) {
	set, _ := n.ask(zone, dns.TypeDNSKEY)
	for _, r := range set {
		if k, ok := r.(*dns.DNSKEY); ok && k.Flags == 256 {
			tags = append(tags, k.KeyTag())
		}
	}
	slices.Sort(tags)
	return tags
}

// verified fetches a zone and has dnssec-verify, if it is there, judge it; the result is its text.
func (n *node) verified(t *testing.T, zone string) (string, error) {
	all, err := n.transfer(zone, 0)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, r := range all[:len(all)-1] {
		fmt.Fprintln(&text, r)
	}
	if !strings.Contains(text.String(), "RRSIG\tSOA") {
		return "", fmt.Errorf("%s is not signed", zone)
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return "", err
	}
	if verify, err := exec.LookPath("dnssec-verify"); err == nil {
		if out, err := exec.Command(verify, "-z", "-o", zone, file).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dnssec-verify: %w\n%s\n%s", err, out, text.String())
		}
	}
	return text.String(), nil
}

// goesOn waits until ZSKs have come to and gone from a zone.
func (n *node) goesOn(t *testing.T, zone string, patience time.Duration) {
	t.Helper()
	before := n.zsks(zone)
	within(t, patience, "the next ZSK", func() error {
		now := n.zsks(zone)
		if len(now) == 0 || slices.ContainsFunc(before, func(tag uint16) bool { return slices.Contains(now, tag) }) {
			return fmt.Errorf("ZSKs are %v, and were %v", now, before)
		}
		return nil
	})
}

// TestTwoNodesSign: of two nodes that share a database and a seal, both sign what they are told, and one sees to the keys; when
// it ends, the other does. With ONOMA_NODES it is killed.
func TestTwoNodesSign(t *testing.T) {
	t.Parallel()
	nodes := signedPair(t, peers.StartPostgres(t).Database(t), `dnssec: {seal: "file:DIR/seal"}`, "dnssec: quick")
	for _, n := range nodes {
		n.Run(t)
	}
	zones := []string{"u.example.", "a.example."}
	for _, n := range nodes {
		for _, zone := range zones {
			within(t, 20*time.Second, "a signed zone", func() error { _, err := n.verified(t, zone); return err })
		}
	}
	change := func(i int, name string) {
		t.Helper()
		if err := nodes[i].update(5*time.Second, "u.example.", name+".u.example. 1 IN A 192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		if _, err := nodes[i].Ctl.Zone("a.example.", "").Change(t.Context(), control.ChangeRequest{Add: []string{name + " A 192.0.2.1"}}); err != nil {
			t.Fatal(err)
		}
	}
	same := func(name string, nodes ...*node) {
		t.Helper()
		for _, zone := range zones {
			within(t, 10*time.Second, "the same at all nodes", func() error {
				var first string
				for i, n := range nodes {
					text, err := n.verified(t, zone)
					switch {
					case err != nil:
						return err
					case !strings.Contains(text, name+"."+zone+"\t1\tIN\tRRSIG\tA"):
						return fmt.Errorf("%s.%s is not signed:\n%s", name, zone, text)
					case i > 0 && text != first:
						return fmt.Errorf("two nodes differ:\n%s\n%s", first, text)
					}
					first = text
				}
				return nil
			})
		}
	}
	change(0, "first")
	change(1, "second")
	same("second", nodes[:]...)
	nodes[1].goesOn(t, "u.example.", 30*time.Second)
	end, patience := os.Signal(syscall.SIGTERM), 40*time.Second
	if kills(t) > few {
		end, patience = os.Kill, 90*time.Second
	}
	for i, n := range nodes { // whichever sees to the keys, it is ended once
		other := nodes[1-i]
		n.End(t, end)
		change(1-i, fmt.Sprintf("alone%d", i))
		same(fmt.Sprintf("alone%d", i), other)
		other.goesOn(t, "u.example.", patience)
		n.start(t, "u.example.")
	}
	change(0, "last")
	same("last", nodes[:]...)
}

// TestTwoNodesWithoutASeal: there is no place for private keys, so zones that need not be signed are not, and that is told once;
// that one must be is a mistake, which is told before a start.
func TestTwoNodesWithoutASeal(t *testing.T) {
	t.Parallel()
	url := peers.StartPostgres(t).Database(t)
	nodes := signedPair(t, url, "", "new: true")
	for _, n := range nodes {
		n.start(t, "a.example.")
	}
	for _, n := range nodes {
		within(t, 10*time.Second, "both zones", func() error { _, err := n.serial("u.example."); return err })
		if tags := n.zsks("u.example."); len(tags) > 0 {
			t.Errorf("the zone has the keys %v", tags)
		}
		if lines := strings.Count(n.Log(), "zones are not signed"); lines != 1 {
			t.Errorf("that zones are not signed is told %d times, expected once", lines)
		}
	}
	bad := signedPair(t, url, "", "dnssec: quick")[0]
	out, err := exec.Command(nodes[0].Binary, "config", "check", bad.Path("onoma.yaml")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "zone u.example.") || !strings.Contains(string(out), "dnssec.seal") || strings.Contains(string(out), "a.example.") {
		t.Errorf("the configuration is checked with %v:\n%s", err, out)
	}
	if status, said := bad.fails(t); status == 0 || !strings.Contains(said, "dnssec.seal") {
		t.Errorf("the server ends with %d:\n%s", status, said)
	}
}
