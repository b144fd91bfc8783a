package mixed

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

const (
	catz  = "catalog.invalid."
	group = "special"
)

var members = []string{"a.example.", "b.example.", "c.example.", "sub.a.example."}

// catalogConfig is that of a producer of a catalog of some members, of which b.example is in a group.
func catalogConfig(notify []netip.AddrPort, listed ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "templates:\n  default: {dnssec: off, transfer-to: [127.0.0.0/8], notify: [")
	for _, a := range notify {
		fmt.Fprintf(&b, "%q,", a)
	}
	fmt.Fprintf(&b, "]}\n  member: {template: default, file: 'DIR/{zone}.zone', file-mode: initial, member-of: %s}\nzones:\n", catz)
	fmt.Fprintf(&b, "  %s: {catalog: {produce: true}}\n", catz)
	for _, z := range listed {
		in := ""
		if z == "b.example." {
			in = ", group: " + group
		}
		fmt.Fprintf(&b, "  %s: {template: member%s}\n", z, in)
	}
	return b.String()
}

// consumerConfig is that of a consumer whose members are given away to everybody, but those of the group only to who signs.
func consumerConfig(from netip.AddrPort) string {
	return fmt.Sprintf(`
keys: {%s: {secret: %s}}
templates:
  edge: {primaries: ["%s"], allow-notify: [127.0.0.0/8], transfer-to: [127.0.0.0/8], refresh-min: 1s, retry-min: 1s}
  signed: {template: edge, transfer-to: ["key:%s"]}
zones:
  %s: {template: edge, catalog: {consume: {template: edge, groups: {%s: signed}}}}
`, key.Name, key.Secret, from, key.Name, catz, group)
}

// consumer is a server that follows the catalog.
type consumer struct {
	name string
	addr netip.AddrPort
}

// TestCatalogProducer has members come and go by the configuration, through a kill -9, and other servers serve what is listed.
func TestCatalogProducer(t *testing.T) {
	t.Parallel()
	p := newNode(t, "")
	for i, z := range members {
		p.Write(t, strings.TrimSuffix(z, ".")+".zone", fmt.Sprintf("$TTL 60\n@ SOA ns host 1 5 1 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.%d\n", i))
	}
	notify, start := consumers(t, p)
	p.configure(t, catalogConfig(notify, members[0], members[1]))
	p.start(t)
	all := start()
	follow(t, p, all, members[0], members[1])
	t.Run("group", func(t *testing.T) {
		own := all[len(all)-1].addr
		if _, _, err := transfer(own, "b.example.", nil); err == nil {
			t.Error("a member of the group is not served by the template of the group")
		}
	})

	p.configure(t, catalogConfig(notify, members[1], members[2], members[3]))
	p.reload(t)
	follow(t, p, all, members[1], members[2], members[3])

	if _, err := p.Ctl.Zone(members[2], "").Change(t.Context(), control.ChangeRequest{Add: []string{"new 60 TXT new"}}); err != nil {
		t.Fatal(err)
	}
	follow(t, p, all, members[1], members[2], members[3])

	p.End(t, syscall.SIGKILL)
	p.configure(t, catalogConfig(notify, members...))
	p.start(t)
	follow(t, p, all, members...)
}

// consumers finds addresses for consumers of p's catalog, and returns what starts them. The last one is an onoma.
func consumers(t *testing.T, p *node) (notify []netip.AddrPort, start func() []consumer) {
	var list []*peers.Peer
	for _, peer := range []*peers.Peer{peers.Knot, peers.BIND, peers.PowerDNS} {
		if !peer.Available() {
			t.Run(peer.Name, func(t *testing.T) { peers.Need(t, peer.Binary) })
			continue
		}
		list, notify = append(list, peer), append(notify, peer.Addr(t))
	}
	t.Run("nsd", func(t *testing.T) {
		t.Skipf("NSD %s: no harness for its catalogs, which it has from 4.9", peers.NSD.Version())
	})
	own := newNode(t, consumerConfig(p.Addr))
	notify = append(notify, own.Addr)
	return notify, func() (all []consumer) {
		for i, peer := range list {
			peer.StartConsumer(t, catz, group, notify[i], peers.Primary{Addr: p.Addr})
			all = append(all, consumer{peer.Name, notify[i]})
		}
		own.start(t)
		return append(all, consumer{"onoma", own.Addr})
	}
}

// follow waits until all consumers serve exactly these members, with what the producer has.
func follow(t *testing.T, p *node, all []consumer, listed ...string) {
	t.Helper()
	for _, c := range all {
		var got []string
		await(t, fmt.Sprintf("%s to serve %v", c.name, listed), func() bool {
			got = nil
			for _, z := range members {
				want, _ := serial(p.Addr, z)
				if s, ok := serial(c.addr, z); ok && (s == want || !slices.Contains(listed, z)) {
					got = append(got, z)
				}
			}
			return slices.Equal(got, listed)
		})
		for _, z := range listed {
			soa, lines, err := transfer(p.Addr, z, nil)
			if err != nil {
				t.Fatal(err)
			}
			var signer *peers.Key
			if c.name == "onoma" && z == "b.example." {
				signer = &key
			}
			gotSOA, got, err := transfer(c.addr, z, signer)
			if err != nil {
				t.Errorf("%s from %s: %v", z, c.name, err)
			}
			if diff := cmp.Diff(append(lines, soa), append(got, gotSOA)); diff != "" {
				t.Errorf("%s (-producer +%s):\n%s", z, c.name, diff)
			}
		}
	}
}

// TestCatalogConsumer serves what Knot and PowerDNS list, and serves it no more when they do not.
func TestCatalogConsumer(t *testing.T) {
	t.Parallel()
	listed := []peers.Member{{Zone: "a.example."}, {Zone: "b.example.", Group: group}, {Zone: "c.example."}}
	for peer, unlist := range map[*peers.Peer]func(*testing.T, *peers.Server){peers.Knot: unlistKnot, peers.PowerDNS: unlistPowerDNS} {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			s := peer.StartProducer(t, catz, listed, peer.Addr(t))
			n := startNode(t, consumerConfig(s.Addr))
			for _, m := range listed {
				awaitMember(t, n, s, m)
			}
			unlist(t, s)
			await(t, "the member to go", func() bool {
				_, _ = n.Ctl.Zone(catz, "").Do(t.Context(), "refresh")
				return !serves(n.Addr, "a.example.")
			})
			for range 2 {
				for _, m := range listed[1:] {
					awaitMember(t, n, s, m)
				}
				if serves(n.Addr, "a.example.") {
					t.Error("after a restart the member is back")
				}
				n.End(t, syscall.SIGKILL)
				n.start(t)
			}
		})
	}
}

func awaitMember(t *testing.T, n *node, s *peers.Server, m peers.Member) {
	t.Helper()
	await(t, m.Zone+" to come from "+s.Name, func() bool { return serves(n.Addr, m.Zone) })
	wantSOA, want, err := transfer(s.Addr, m.Zone, nil)
	if err != nil {
		t.Fatal(err)
	}
	var signer *peers.Key
	if m.Group != "" {
		if _, _, err := transfer(n.Addr, m.Zone, nil); err == nil {
			t.Errorf("%s is not served by the template of its group", m.Zone)
		}
		signer = &key
	}
	soa, got, err := transfer(n.Addr, m.Zone, signer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(want, wantSOA), append(got, soa)); diff != "" {
		t.Errorf("%s (-%s +onoma):\n%s", m.Zone, s.Name, diff)
	}
}

// unlistKnot takes a.example out of the catalog of Knot.
func unlistKnot(t *testing.T, s *peers.Server) {
	conf := filepath.Join(s.Dir, "knot.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(string(text), "  - domain: \"a.example.\""), strings.Index(string(text), "  - domain: \"b.example.\"")
	if err := os.WriteFile(conf, []byte(string(text[:from])+string(text[to:])), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// unlistPowerDNS takes it out of that of PowerDNS.
func unlistPowerDNS(t *testing.T, s *peers.Server) {
	if out, err := exec.Command("pdnsutil", "--config-dir="+s.Dir, "delete-zone", "a.example.").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
