package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/policy"
)

func TestView(t *testing.T) {
	local, err := policy.NewLocal([]policy.LocalZone{{Name: dns.MustName("corp."), Kind: policy.Static}}, records("both. 60 IN A 192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	view := &policy.View{
		Local:  local,
		Blocks: read(t, policy.BlockOptions{}, "||both^\n||blocked^\n@@||allowed^\n||allowed^\n||free^\n@@||free^"),
		RPZ:    policy.RPZ{zoneOf(t, "rpz.", "32.9.2.0.192.rpz-ip CNAME rpz-drop.\nboth CNAME *.\nblocked CNAME *.\nallowed CNAME *.")},
	}
	for _, c := range []struct{ name, address, want string }{
		{"both.", "192.0.2.9", "local data both. 60 A 192.0.2.1"},
		{"x.corp.", "192.0.2.9", "local nxdomain NXDOMAIN"},
		{"a.blocked.", "192.0.2.9", "block-list nxdomain NXDOMAIN"},
		{"allowed.", "192.0.2.9", "rpz nodata"},
		{"free.", "192.0.2.9", "rpz drop"},
		{"free.", "192.0.2.8", "none none"},
	} {
		name := dns.MustName(c.name)
		d := view.Answer(view.Question(netip.Addr{}, []byte(name.Wire()), dns.TypeA), policy.Facts{Addresses: addrs(c.address)})
		if got := fmt.Sprint(d.Source, " ", replied(view.Reply(d, name, dns.TypeA))); got != c.want || !d.IsFinal {
			t.Errorf("%s: got %q (final: %v), want %q", c.name, got, d.IsFinal, c.want)
		}
	}
	for name, want := range map[string]dns.EDECode{"a.blocked.": dns.EDEBlocked, "both.": 0} {
		if code, ok := view.Question(netip.Addr{}, []byte(dns.MustName(name).Wire()), dns.TypeA).EDE(); ok != (want != 0) || ok && code != want {
			t.Errorf("%s: extended error %v, %v; want %v", name, code, ok, want)
		}
	}
	name := []byte(dns.MustName("www.example.org.").Wire())
	if n := testing.AllocsPerRun(100, func() { view.Answer(view.Question(netip.Addr{}, name, dns.TypeA), policy.Facts{}) }); n != 0 {
		t.Errorf("%v allocations where nothing matches, want none", n)
	}
	var none *policy.View
	if d := none.Answer(none.Question(netip.Addr{}, name, dns.TypeA), policy.Facts{}); d.Action != policy.None || !d.IsFinal {
		t.Errorf("a view without rules says %+v", d)
	}
}

// wildcardReference says by RFC 4592 §3.3 which rule of a zone is for a name: the slow, obvious way.
func wildcardReference(rules map[string]string, name string) string {
	exists := func(name string) bool {
		for owner := range rules {
			if owner == name || strings.HasSuffix(owner, "."+name) {
				return true
			}
		}
		return false
	}
	if exists(name) {
		return rules[name]
	}
	for {
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return rules["*"]
		}
		if exists(parent) {
			return rules["*."+parent]
		}
		name = parent
	}
}

func TestNamesAgainstTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		rules, text := map[string]string{}, ""
		for i := range 1 + r.IntN(30) {
			owner := strings.TrimSuffix(ruleName(r), ".test")
			switch r.IntN(12) {
			case 0:
				owner = "*"
			case 1, 2, 3, 4:
				owner = "*." + owner
			}
			if rules[owner] == "" {
				rules[owner] = fmt.Sprintf("192.0.2.%d", i)
				text += fmt.Sprintf("%s A %s\n", owner, rules[owner])
			}
		}
		rpz := policy.RPZ{zoneOf(t, "rpz.", text)}
		for range 60 {
			name := strings.TrimSuffix(ruleName(r), ".test")
			m := rpz.Question(netip.Addr{}, []byte(dns.MustName(name).Wire()))
			got := ""
			if reply := rpz.Reply(m, dns.MustName(name), dns.TypeA); len(reply.Answer) == 1 {
				got = reply.Answer[0].Data.Text(dns.TypeA)
			}
			if want := wildcardReference(rules, name); got != want {
				t.Fatalf("%s: got %q, want %q of\n%s", name, got, want, text)
			}
		}
	}
}
