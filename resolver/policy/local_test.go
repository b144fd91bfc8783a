package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/policy"
)

// replied is a reply in one line.
func replied(r policy.Reply) string {
	text := fmt.Sprint(r.Action)
	if r.RCode != dns.RCodeNoError {
		text += fmt.Sprint(" ", r.RCode)
	}
	for _, a := range r.Answer {
		text += fmt.Sprintf(" %v %d %s %s", a.Name, a.TTL, a.Type, a.Data.Text(a.Type))
	}
	for _, a := range r.Authority {
		text += fmt.Sprintf(" authority %v %d %s", a.Name, a.TTL, a.Type)
	}
	if !r.Follow.IsZero() {
		text += " follow " + r.Follow.String()
	}
	return text
}

func TestLocal(t *testing.T) {
	var zones []policy.LocalZone
	for _, kind := range strings.Fields("transparent typetransparent static redirect deny refuse always_transparent always-nxdomain always_nodata always_null always_deny always_refuse") {
		k, ok := policy.ParseLocalKind(kind)
		if !ok {
			t.Fatalf("kind %s is unknown", kind)
		}
		zones = append(zones, policy.LocalZone{Name: dns.MustName(strings.ReplaceAll(kind, "_", "-") + "."), Kind: k})
	}
	zones = append(zones, policy.LocalZone{Name: dns.MustName("Open.always-nxdomain."), Kind: policy.AlwaysTransparent})
	var data []dns.Record
	for _, z := range zones {
		data = append(data, parse(t, z.Name.String(), "@ A 192.0.2.1\nhost.ent A 192.0.2.2\nhost.ent A 192.0.2.3\nhost.ent TXT \"x\"")...)
	}
	data = append(data, parse(t, "static.", "@ SOA ns.static. host.static. 1 3600 600 86400 30\nalias CNAME host.ent.static.")...)
	data = append(data, records("free.example. 60 IN A 192.0.2.9", "free.example. 60 IN A 192.0.2.9")...)
	local, err := policy.NewLocal(zones, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, rtype, want string }{
		{"host.ent.transparent.", "A", "data host.ent.transparent. 300 A 192.0.2.2 host.ent.transparent. 300 A 192.0.2.3"},
		{"host.ent.transparent.", "MX", "nodata"},
		{"x.transparent.", "A", "none"},
		{"ent.transparent.", "A", "none"},
		{"host.ent.typetransparent.", "MX", "none"},
		{"HOST.ent.typetransparent.", "TXT", `data HOST.ent.typetransparent. 300 TXT "x"`},
		{"host.ent.static.", "MX", "nodata authority static. 30 SOA"},
		{"ent.static.", "A", "nodata authority static. 30 SOA"},
		{"x.y.static.", "A", "nxdomain NXDOMAIN authority static. 30 SOA"},
		{"alias.static.", "A", "data alias.static. 300 CNAME host.ent.static. follow host.ent.static."},
		{"x.y.redirect.", "A", "data x.y.redirect. 300 A 192.0.2.1"},
		{"host.ent.redirect.", "TXT", "nodata"},
		{"host.ent.deny.", "TXT", `data host.ent.deny. 300 TXT "x"`},
		{"host.ent.deny.", "MX", "drop"},
		{"x.deny.", "A", "drop"},
		{"x.refuse.", "A", "refuse REFUSED"},
		{"host.ent.always-transparent.", "A", "none"},
		{"host.ent.always-nxdomain.", "A", "nxdomain NXDOMAIN"},
		{"x.open.always-nxdomain.", "A", "none"},
		{"host.ent.always-nodata.", "A", "nodata"},
		{"host.ent.always-null.", "A", "data host.ent.always-null. 60 A 0.0.0.0"},
		{"host.ent.always-null.", "AAAA", "data host.ent.always-null. 60 AAAA ::"},
		{"host.ent.always-null.", "MX", "data"},
		{"host.ent.always-deny.", "A", "drop"},
		{"host.ent.always-refuse.", "A", "refuse REFUSED"},
		{"free.example.", "A", "data free.example. 60 A 192.0.2.9"},
		{"free.example.", "AAAA", "nodata"},
		{"other.example.", "A", "none"},
		{".", "NS", "none"},
	} {
		qtype, _ := dns.ParseType(c.rtype)
		name := dns.MustName(c.name)
		if got := replied(local.Reply(local.Ask([]byte(name.Wire()), qtype), name, qtype)); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.name, c.rtype, got, c.want)
		}
	}
	name := []byte(dns.MustName("a.b.Example.org.").Wire())
	if n := testing.AllocsPerRun(100, func() { local.Ask(name, dns.TypeA) }); n != 0 {
		t.Errorf("%v allocations where nothing matches, want none", n)
	}
	var none *policy.Local
	if m := none.Ask(name, dns.TypeA); m.Action != policy.None {
		t.Errorf("no local zones say %v", m.Action)
	}
}

func TestMistakesInLocal(t *testing.T) {
	x := dns.MustName("x.")
	if _, err := policy.NewLocal([]policy.LocalZone{{Name: x, Kind: policy.Static}, {Name: dns.MustName("X."), Kind: policy.Redirect}}, nil); err == nil {
		t.Error("a zone of two kinds was taken")
	}
	var many []dns.Record
	for i := range 300 {
		_, data := dns.NewAddr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		many = append(many, dns.Record{Name: x, Type: dns.TypeA, Class: dns.ClassIN, Data: data})
	}
	if _, err := policy.NewLocal(nil, many); err == nil {
		t.Error("300 records of one name were taken")
	}
}
