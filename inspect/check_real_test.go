package inspect

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/zone"
)

// publish puts a zone that others signed on a machine.
func (m *machine) publish(w *world, origin, text string) {
	w.Helper()
	name := dns.MustName(origin)
	z := zone.New(name)
	z.Publish(w.build(name, readZone(name, text)))
	m.zones.AddZone(z)
}

// The root zone as it was on 1 February 2020 has nothing that is wrong with it, by
// the anchors that are built in.
func TestCheckTheRootZone(t *testing.T) {
	f, err := os.Open("../lab/data/root.zone.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, time.Date(2020, 2, 1, 20, 0, 0, 0, time.UTC))
	w.everywhere = newMachine()
	w.everywhere.publish(w, ".", string(text))
	servers := "@ SOA a hostmaster 1 3600 900 604800 300\n@ NS a\n"
	for i := range 13 {
		servers += fmt.Sprintf("%c A 198.41.0.%d\n", 'a'+i, i+4)
	}
	w.everywhere.publish(w, "root-servers.net.", servers)
	h, err := CheckZone(context.Background(), dns.Root, CheckOptions{Env: w, Anchors: validator.RootAnchors()})
	if err != nil {
		t.Fatal(err)
	}
	if h.Trust.Status != validator.Secure || len(h.Findings) > 0 || len(h.Own) != 13 {
		t.Errorf("%v, %d servers, findings %v", h.Trust.Status, len(h.Own), h.Findings)
	}
}

// Zones that BIND has signed are sound, and broken where they are.
func TestCheckZonesOfBIND(t *testing.T) {
	for _, binary := range []string{"dnssec-keygen", "dnssec-signzone"} {
		if _, err := exec.LookPath(binary); err != nil {
			t.Skipf("%s is not installed (bind9-utils)", binary)
		}
	}
	for _, c := range []struct {
		name, algorithm string
		args            []string
		status          validator.Status
		codes           string
	}{
		{"nsec", "ECDSAP256SHA256", nil, validator.Secure, ""},
		{"nsec3", "RSASHA256", []string{"-3", "-", "-H", "0"}, validator.Secure, ""},
		{"optout", "ED25519", []string{"-3", "-", "-H", "0", "-A"}, validator.Secure, ""},
		{"salted", "ECDSAP384SHA384", []string{"-3", "AABB", "-H", "12"}, validator.Secure, "nsec3-iterations nsec3-salt"},
		{"expired", "ECDSAP256SHA256", []string{"-s", "now-1000000", "-e", "now-3600"}, validator.Bogus, "chain-bogus signature-expired"},
		{"brief", "ECDSAP256SHA256", []string{"-s", "now-86400", "-e", "now+7200"}, validator.Secure, "signature-expiring soa-expire-over-signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, anchors := signedByBIND(t, c.algorithm, c.args)
			w := newWorld(t, time.Now())
			w.everywhere = newMachine()
			m := newMachine()
			m.publish(w, "test.", text)
			w.machines[netip.MustParseAddr("192.0.2.2")], w.machines[netip.MustParseAddr("192.0.2.3")] = m, m
			root := iterator.Hint{Name: dns.MustName("root."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
			w.everywhere.publish(w, ".", ". 3600 SOA root. hostmaster 1 3600 900 604800 300\n. NS root.\nroot. A 192.0.2.1\n"+
				"test. NS ns1.test.\ntest. NS ns2.test.\nns1.test. A 192.0.2.2\nns2.test. A 192.0.2.3\n"+anchors)
			h, err := CheckZone(context.Background(), dns.MustName("test."), CheckOptions{
				Env: w, Hints: []iterator.Hint{root}, Anchors: readZone(dns.Root, anchors),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := codesOf(h); got != c.codes || h.Trust.Status != c.status {
				t.Errorf("%v, found %q, expected %v and %q: %v", h.Trust.Status, got, c.status, c.codes, h.Findings)
			}
		})
	}
}

// signedByBIND returns the zone test. and the DS records of its key.
func signedByBIND(t *testing.T, algorithm string, args []string) (signed, ds string) {
	t.Helper()
	dir := t.TempDir()
	run := func(binary string, args ...string) {
		t.Helper()
		cmd := exec.Command(binary, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", binary, err, out)
		}
	}
	text := "$TTL 3600\n@ SOA ns1 hostmaster 1 3600 900 604800 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.2\nns2 A 192.0.2.3\nsub NS ns.sub\nns.sub A 192.0.2.9\n*.w TXT w\n"
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run("dnssec-keygen", "-q", "-a", algorithm, "-f", "KSK", "test")
	run("dnssec-keygen", "-q", "-a", algorithm, "test")
	run("dnssec-signzone", slices.Concat([]string{"-S", "-o", "test", "-P", "-O", "full", "-f", "signed"}, args, []string{"zone"})...)
	for file, into := range map[string]*string{"signed": &signed, "dsset-test.": &ds} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		*into = string(text)
	}
	return signed, strings.ReplaceAll(ds, "\t", " ")
}
