package mixed

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

const twofold = "views.example."

// sides are two views of one zone: who signs with the key of one has its address.
var sides = []struct {
	name, address string
	key           peers.Key
}{
	{"inside", "10.0.0.1", peers.Key{Name: "inside.key.", Secret: "aW5zaWRlIGluc2lkZSBpbnNpZGUgaW5zaWRl"}},
	{"outside", "192.0.2.1", peers.Key{Name: "outside.key.", Secret: "b3V0c2lkZSBvdXRzaWRlIG91dHNpZGUgb3V0"}},
}

// viewsConfig has both views; of is what is said of the zone in that of a name, whose key is that.
func viewsConfig(of func(i int) string) string {
	var b strings.Builder
	b.WriteString("keys:\n")
	for _, s := range sides {
		fmt.Fprintf(&b, "  %s: {secret: %s}\n", s.key.Name, s.key.Secret)
	}
	b.WriteString("views:\n")
	for i, s := range sides {
		fmt.Fprintf(&b, "  %s: {match: [\"key:%s\"], zones: {%s: {%s}}}\n", s.name, s.key.Name, twofold, of(i))
	}
	return b.String()
}

// TestViewsTransfer: of a zone in two views, secondaries get the one whose key they have, an onoma both.
func TestViewsTransfer(t *testing.T) {
	t.Parallel()
	p, both := newNode(t, ""), newNode(t, "")
	knots := map[int]netip.AddrPort{}
	if peers.Knot.Available() {
		for i := range sides {
			knots[i] = peers.Knot.Addr(t)
		}
	} else {
		t.Run(peers.Knot.Name, func(t *testing.T) { peers.Need(t, peers.Knot.Binary) })
	}
	for _, s := range sides {
		p.Write(t, s.name, fmt.Sprintf("$TTL 60\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A %s\n", s.address))
	}
	p.configure(t, viewsConfig(func(i int) string {
		s := sides[i]
		to := fmt.Sprintf("\"%s+key:%s\"", both.Addr, s.key.Name)
		if k, ok := knots[i]; ok {
			to += fmt.Sprintf(",\"%s+key:%s\"", k, s.key.Name)
		}
		return fmt.Sprintf("file: DIR/%s, file-mode: initial, transfer-to: [\"key:%s\"], notify: [%s]", s.name, s.key.Name, to)
	}))
	both.configure(t, viewsConfig(func(i int) string {
		return fmt.Sprintf("primaries: [\"%s+key:%s\"], allow-notify: [127.0.0.0/8], transfer-to: [127.0.0.0/8], retry-min: 1s", p.Addr, sides[i].key.Name)
	}))
	p.start(t)
	both.start(t)
	for i, at := range knots {
		peers.Knot.StartSecondary(t, []string{twofold}, at, peers.Primary{Addr: p.Addr, Key: &sides[i].key})
	}
	expect := func(i int, address string) {
		t.Helper()
		servers := map[string]netip.AddrPort{"the primary": p.Addr, "onoma": both.Addr}
		if k, ok := knots[i]; ok {
			servers["knot"] = k
		}
		for name, at := range servers {
			var got string
			await(t, fmt.Sprintf("%s to say %s inside of view %s", name, address, sides[i].name), func() bool {
				got = addressOf(at, &sides[i].key)
				return got == address
			})
		}
	}
	change := func(i int, address string) {
		t.Helper()
		req := control.ChangeRequest{Remove: []string{"www A"}, Add: []string{"www 60 A " + address}}
		if _, err := p.Ctl.Zone(twofold, sides[i].name).Change(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	expect(0, "10.0.0.1")
	expect(1, "192.0.2.1")
	change(0, "10.0.0.2")
	expect(0, "10.0.0.2")
	expect(1, "192.0.2.1")
	both.End(t, syscall.SIGKILL)
	change(1, "192.0.2.2")
	both.start(t)
	expect(0, "10.0.0.2")
	expect(1, "192.0.2.2")
	if a := addressOf(p.Addr, nil); a != "" {
		t.Errorf("who signs nothing is told %s", a)
	}
	for i, s := range sides {
		_, lines, err := transfer(p.Addr, twofold, &sides[i].key)
		other := sides[1-i].address[:3]
		if err != nil || strings.Contains(strings.Join(lines, "\n"), other) {
			t.Errorf("who has the key of %s gets %v (%v)", s.name, lines, err)
		}
	}
	if _, lines, err := transfer(p.Addr, twofold, nil); err == nil {
		t.Errorf("who signs nothing gets %v", lines)
	}
}

// addressOf is that of www which a server tells who signs with a key.
func addressOf(at netip.AddrPort, signer *peers.Key) string {
	r, err := ask(at, "www."+twofold, dns.TypeA, signer)
	if err != nil || len(r.Answer) != 1 {
		return ""
	}
	return r.Answer[0].(*dns.A).A.String()
}
