package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/policy"
)

// parse reads records relative to origin.
func parse(t testing.TB, origin, text string) []dns.Record {
	t.Helper()
	r := zonefile.NewReader(strings.NewReader("$TTL 300\n"+text), zonefile.Options{Origin: dns.MustName(origin)})
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// zoneOf compiles a policy zone whose rules must all make sense.
func zoneOf(t testing.TB, origin, text string) *policy.Zone {
	t.Helper()
	z := compile(t, policy.ZoneOptions{Origin: dns.MustName(origin)}, parse(t, origin, text))
	if p := z.Problems(); p.Count > 0 {
		t.Fatalf("problems: %q", p.Text)
	}
	return z
}

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// show is a match and its reply in one line.
func show(r policy.RPZ, m policy.Match, name string, t dns.Type) string {
	reply := r.Reply(m, dns.MustName(name), t)
	text := fmt.Sprintf("%v %v", m.Action, m.Trigger)
	for _, a := range reply.Answer {
		text += fmt.Sprintf(" %v %d %s %s", a.Name, a.TTL, a.Type, a.Data.Text(a.Type))
	}
	if !reply.Follow.IsZero() {
		text += " follow " + reply.Follow.String()
	}
	return text
}

const everyAction = `
@             SOA    ns. host. 1 3600 600 86400 30
@             NS     localhost.
gone          CNAME  .
gone          CNAME  .
*.gone        CNAME  .
empty         CNAME  *.
ok            CNAME  rpz-passthru.
old-ok        CNAME  old-ok.
drop          CNAME  rpz-drop.
tcp           CNAME  rpz-tcp-only.
data          A      192.0.2.1
data          A      192.0.2.2
data          TXT    "see here"
cname         CNAME  garden.example.
*.wild        CNAME  *.garden.example.
apart         A      192.0.2.3
between       CNAME  .
apart         AAAA   2001:db8::3
apart         A      192.0.2.3
*.com         CNAME  .
good.com      CNAME  rpz-passthru.
*.tree.com    CNAME  *.
MiXeD.Case    CNAME  .
a.b.c.org     CNAME  .
*.org         CNAME  *.
`

func TestActionsOfNames(t *testing.T) {
	rpz := policy.RPZ{zoneOf(t, "rpz.", everyAction)}
	for _, c := range []struct{ name, rtype, want string }{
		{"gone.", "A", "nxdomain qname"},
		{"a.b.gone.", "A", "nxdomain qname"},
		{"empty.", "A", "nodata qname"},
		{"below.empty.", "A", "none none"},
		{"ok.", "A", "passthru qname"},
		{"old-ok.", "A", "passthru qname"},
		{"drop.", "A", "drop qname"},
		{"tcp.", "A", "tcp-only qname"},
		{"data.", "A", "data qname data. 300 A 192.0.2.1 data. 300 A 192.0.2.2"},
		{"DATA.", "TXT", `data qname DATA. 300 TXT "see here"`},
		{"data.", "MX", "data qname"}, // NODATA
		{"data.", "ANY", `data qname data. 300 A 192.0.2.1 data. 300 A 192.0.2.2 data. 300 TXT "see here"`},
		{"cname.", "A", "data qname cname. 300 CNAME garden.example. follow garden.example."},
		{"cname.", "CNAME", "data qname cname. 300 CNAME garden.example."},
		{"wild.", "A", "none none"},
		{"a.b.wild.", "A", "data qname a.b.wild. 300 CNAME a.b.wild.garden.example. follow a.b.wild.garden.example."},
		{"apart.", "AAAA", "data qname apart. 300 AAAA 2001:db8::3"},
		{"apart.", "A", "data qname apart. 300 A 192.0.2.3"},
		{"com.", "A", "none none"},
		{"x.com.", "A", "nxdomain qname"},
		{"good.com.", "A", "passthru qname"},
		{"x.good.com.", "A", "none none"}, // good.com hides *.com
		{"tree.com.", "A", "none none"},   // so does tree.com, which exists by *.tree.com (RFC 4592 §2.2.2)
		{"a.b.com.", "A", "nxdomain qname"},
		{"x.y.tree.com.", "A", "nodata qname"},
		{"x.c.org.", "A", "none none"}, // c.org and b.c.org exist by a.b.c.org
		{"b.c.org.", "A", "none none"},
		{"x.org.", "A", "nodata qname"},
		{"mixed.CASE.", "A", "nxdomain qname"},
		{".", "A", "none none"},
	} {
		qtype, _ := dns.ParseType(c.rtype)
		m := rpz.Question(netip.Addr{}, []byte(dns.MustName(c.name).Wire()))
		if got := show(rpz, m, c.name, qtype); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.name, c.rtype, got, c.want)
		}
		if !m.IsFinal {
			t.Errorf("%s: not final, though no rule is about the answer", c.name)
		}
	}
	m := rpz.Question(netip.Addr{}, []byte(dns.MustName("gone.").Wire()))
	if extra := rpz.Reply(m, dns.MustName("gone."), dns.TypeA).Extra; len(extra) != 1 || extra[0].Type != dns.TypeSOA {
		t.Errorf("additional section %v, want the SOA of the policy zone", extra)
	}
}

// The rules of precedence, RPZ draft §5, one case for each.
func TestPrecedence(t *testing.T) {
	first := zoneOf(t, "one.", `
24.0.2.0.192.rpz-client-ip      CNAME rpz-drop.
both                            CNAME .
32.9.2.0.192.rpz-ip             CNAME rpz-passthru.
24.0.2.0.192.rpz-ip             A 198.51.100.24
25.0.2.0.192.rpz-ip             A 198.51.100.25
32.7.113.0.203.rpz-ip           A 198.51.100.7
32.8.113.0.203.rpz-ip           A 198.51.100.8
128.1.zz.db8.2001.rpz-ip        A 198.51.100.128
48.zz.1.db8.2001.rpz-ip         A 198.51.100.48
*.example.rpz-nsdname           A 198.51.100.1
ns.example.rpz-nsdname          A 198.51.100.2
*.deep.example.rpz-nsdname      A 198.51.100.3
a.ns.test.rpz-nsdname           A 198.51.100.4
b.ns.test.rpz-nsdname           A 198.51.100.5
16.0.0.51.198.rpz-nsip          A 198.51.100.6`)
	second := zoneOf(t, "two.", `
both       CNAME *.
second     CNAME *.
32.1.2.0.192.rpz-client-ip CNAME .`)
	rpz := policy.RPZ{first, second}
	for _, c := range []struct {
		why, client, name string
		facts             policy.Facts
		want              string
	}{
		{"client before name", "192.0.2.1", "both.", policy.Facts{}, "0 drop client-ip"},
		{"first zone before second", "", "both.", policy.Facts{}, "0 nxdomain qname"},
		{"first zone though a later trigger", "", "second.", policy.Facts{Addresses: addrs("192.0.2.9")}, "0 passthru ip"},
		{"second zone where the first has nothing", "", "second.", policy.Facts{Addresses: addrs("192.1.2.9")}, "1 nodata qname"},
		{"name before address", "", "both.", policy.Facts{Addresses: addrs("192.0.2.9")}, "0 nxdomain qname"},
		{"longest prefix of one address", "", "x.", policy.Facts{Addresses: addrs("192.0.2.1")}, "0 data ip x. 300 A 198.51.100.25"},
		{"longest prefix of all addresses", "", "x.", policy.Facts{Addresses: addrs("192.0.2.200", "192.0.2.1", "203.0.113.8")}, "0 data ip x. 300 A 198.51.100.8"},
		{"smallest address", "", "x.", policy.Facts{Addresses: addrs("203.0.113.8", "203.0.113.7")}, "0 data ip x. 300 A 198.51.100.7"},
		{"mapped address", "", "x.", policy.Facts{Addresses: addrs("::ffff:203.0.113.8")}, "0 data ip x. 300 A 198.51.100.8"},
		{"both families", "", "x.", policy.Facts{Addresses: addrs("2001:db8:1::5", "192.0.2.200")}, "0 data ip x. 300 A 198.51.100.24"},
		{"IPv6 host", "", "x.", policy.Facts{Addresses: addrs("2001:db8:1::5", "2001:db8::1")}, "0 data ip x. 300 A 198.51.100.128"},
		{"IPv4 /32 and IPv6 /128: smallest address", "", "x.", policy.Facts{Addresses: addrs("2001:db8::1", "203.0.113.7")}, "0 data ip x. 300 A 198.51.100.7"},
		{"address before server", "", "x.", policy.Facts{Addresses: addrs("192.0.2.1"), Servers: names("ns.example.")}, "0 data ip x. 300 A 198.51.100.25"},
		{"server's name before its address", "", "x.", policy.Facts{Servers: names("z.example."), ServerAddresses: addrs("198.51.1.1")}, "0 data nsdname x. 300 A 198.51.100.1"},
		{"server's exact name before wildcard", "", "x.", policy.Facts{Servers: names("a.deep.example.", "ns.example.")}, "0 data nsdname x. 300 A 198.51.100.2"},
		{"server's longer wildcard", "", "x.", policy.Facts{Servers: names("a.example.", "a.deep.example.")}, "0 data nsdname x. 300 A 198.51.100.3"},
		{"server's smallest name", "", "x.", policy.Facts{Servers: names("b.ns.test.", "A.ns.test.")}, "0 data nsdname x. 300 A 198.51.100.4"},
		{"server's address", "", "x.", policy.Facts{ServerAddresses: addrs("203.0.113.1", "198.51.1.1")}, "0 data nsip x. 300 A 198.51.100.6"},
		{"first rule of two names", "", "x.", policy.Facts{Servers: names("a.ns.test.", "b.ns.test.")}, "0 data nsdname x. 300 A 198.51.100.4"},
		{"nothing", "203.0.113.1", "x.", policy.Facts{Addresses: addrs("203.0.113.1"), Servers: names("example.")}, "0 none none"},
	} {
		var client netip.Addr
		if c.client != "" {
			client = netip.MustParseAddr(c.client)
		}
		m := rpz.Answer(rpz.Question(client, []byte(dns.MustName(c.name).Wire())), c.facts)
		if got := fmt.Sprint(m.Zone, " ", show(rpz, m, c.name, dns.TypeA)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
	servers, addresses := rpz.Needs()
	if !servers || !addresses {
		t.Errorf("Needs says %v, %v though there are such rules", servers, addresses)
	}
}

func names(list ...string) (out []dns.Name) {
	for _, n := range list {
		out = append(out, dns.MustName(n))
	}
	return out
}

// A match is final only where no zone before it could be heard after the question is resolved.
func TestFinal(t *testing.T) {
	plain := zoneOf(t, "one.", "other CNAME .")
	late := zoneOf(t, "two.", "32.1.2.0.192.rpz-ip CNAME .\nname CNAME .")
	for _, c := range []struct {
		rpz  policy.RPZ
		want policy.Match
	}{
		{policy.RPZ{}, policy.Match{IsFinal: true}},
		{policy.RPZ{plain}, policy.Match{IsFinal: true}},
		{policy.RPZ{late}, policy.Match{Action: policy.NXDomain, Trigger: policy.ByName, IsFinal: true}},
		{policy.RPZ{plain, late}, policy.Match{Action: policy.NXDomain, Trigger: policy.ByName, Zone: 1, IsFinal: true}},
	} {
		m := c.rpz.Question(netip.Addr{}, []byte(dns.MustName("name.").Wire()))
		if m.Action != c.want.Action || m.IsFinal != c.want.IsFinal || m.Zone != c.want.Zone {
			t.Errorf("got %+v, want %+v", m, c.want)
		}
	}
	m := (policy.RPZ{late, plain}).Question(netip.Addr{}, []byte(dns.MustName("other.").Wire()))
	if m.IsFinal || m.Zone != 1 {
		t.Errorf("got %+v, want one that waits for the answer", m)
	}
}

func TestOverride(t *testing.T) {
	records := parse(t, "rpz.", everyAction)
	for _, c := range []struct {
		o    policy.ZoneOptions
		want string
	}{
		{policy.ZoneOptions{Override: policy.Drop}, "drop qname"},
		{policy.ZoneOptions{Override: policy.Data, Target: dns.MustName("*.garden.test.")}, "data qname data. 60 CNAME data.garden.test. follow data.garden.test."},
		{policy.ZoneOptions{MaxTTL: 5}, "data qname data. 5 A 192.0.2.1 data. 5 A 192.0.2.2"},
	} {
		c.o.Origin = dns.MustName("rpz.")
		rpz := policy.RPZ{compile(t, c.o, records)}
		m := rpz.Question(netip.Addr{}, []byte(dns.MustName("data.").Wire()))
		if got := show(rpz, m, "data.", dns.TypeA); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.o, got, c.want)
		}
	}
	if _, err := policy.NewZone(policy.ZoneOptions{Origin: dns.MustName("rpz."), Override: policy.Data}); err == nil {
		t.Error("an override by data without a target was taken")
	}
}

func TestProblemsOfZones(t *testing.T) {
	z := compile(t, policy.ZoneOptions{Origin: dns.MustName("rpz.")}, append(parse(t, "rpz.", `
good                    CNAME .
dname                   DNAME .
33.1.2.0.192.rpz-ip     CNAME .
24.1.2.0.192.rpz-ip     CNAME .
032.1.2.0.192.rpz-ip    CNAME .
32.1.2.0.rpz-ip         CNAME .
32.1.2.0.999.rpz-ip     CNAME .
64.zz.1.zz.rpz-ip       CNAME .
rpz-ip                  CNAME .
x.rpz-new               CNAME .
unknown                 CNAME rpz-log.
two                     CNAME .
two                     A 192.0.2.1
twice                   CNAME .
between                 CNAME .
twice                   CNAME *.
`), dns.MustRecord("elsewhere. 60 IN CNAME .")))
	want := []string{
		`dname.rpz.: type DNAME has no meaning in a rule`,
		`33.1.2.0.192.rpz-ip.rpz.: this is no prefix: length "33", expected 0 to 32`,
		`24.1.2.0.192.rpz-ip.rpz.: this is no prefix: bits of 192.0.2.1 are set behind the first 24, expected 192.0.2.0/24`,
		`032.1.2.0.192.rpz-ip.rpz.: this is no prefix: length "032", expected 0 to 32`,
		`32.1.2.0.rpz-ip.rpz.: this is no prefix: "32.1.2.0" is no address`,
		`32.1.2.0.999.rpz-ip.rpz.: this is no prefix: "32.1.2.0.999" is no address`,
		`64.zz.1.zz.rpz-ip.rpz.: this is no prefix: "64.zz.1.zz" is no address`,
		`rpz-ip.rpz.: this is no trigger: "rpz-ip" with nothing before it`,
		`x.rpz-new.rpz.: this is no trigger: "rpz-new", expected rpz-client-ip, rpz-ip, rpz-nsdname or rpz-nsip`,
		`unknown.rpz.: action "rpz-log" is unknown, expected rpz-passthru, rpz-drop or rpz-tcp-only`,
		`two.rpz.: a CNAME beside other records, expected it alone`,
		`elsewhere.: this is not below rpz.`,
		`twice.rpz.: another rule for the same trigger came before`,
	}
	if d := cmp.Diff(want, z.Problems().Text); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	if z.Len() != 3 { // good, twice, between
		t.Errorf("%d rules, want 3", z.Len())
	}
}

func TestNoAllocationsOfRPZ(t *testing.T) {
	rpz := policy.RPZ{zoneOf(t, "rpz.", everyAction), zoneOf(t, "two.", "24.0.2.0.192.rpz-ip CNAME .\n*.evil.rpz-nsdname CNAME .\n24.0.2.0.192.rpz-client-ip CNAME .")}
	client, name := netip.MustParseAddr("198.51.100.1"), []byte(dns.MustName("WWW.Example.org.").Wire())
	facts := policy.Facts{Addresses: addrs("198.51.100.1"), Servers: names("ns1.example.org.", "ns2.example.org.")}
	if n := testing.AllocsPerRun(100, func() { rpz.Answer(rpz.Question(client, name), facts) }); n != 0 {
		t.Errorf("%v allocations where no rule matches, want none", n)
	}
}

func TestRuleOfAMatch(t *testing.T) {
	text := `
24.0.2.0.192.rpz-client-ip      CNAME .
exact.example                   CNAME .
*.wild.example                  CNAME .
*                               CNAME rpz-passthru.`
	first := zoneOf(t, "rpz.test.", text)
	second := zoneOf(t, "late.test.", "48.0.0.0.0.0.1.db8.2001.rpz-ip CNAME .\n*.bad.test.rpz-nsdname CNAME .\n32.1.2.0.192.rpz-nsip CNAME .")
	for _, c := range []struct {
		rpz          policy.RPZ
		client, name string
		facts        policy.Facts
		want         string
	}{
		{policy.RPZ{first}, "192.0.2.77", "x.", policy.Facts{}, "24.0.2.0.192.rpz-client-ip.rpz.test."},
		{policy.RPZ{first}, "10.0.0.1", "Exact.Example.", policy.Facts{}, "exact.example.rpz.test."},
		{policy.RPZ{first}, "10.0.0.1", "a.b.wild.example.", policy.Facts{}, "*.wild.example.rpz.test."},
		{policy.RPZ{first}, "10.0.0.1", "other.", policy.Facts{}, "*.rpz.test."},
		{policy.RPZ{second}, "10.0.0.1", "x.", policy.Facts{Addresses: addrs("2001:db8:1::7")}, "48.0.0.0.0.0.1.db8.2001.rpz-ip.late.test."},
		{policy.RPZ{second}, "10.0.0.1", "x.", policy.Facts{Servers: names("ns.bad.test.")}, "*.bad.test.rpz-nsdname.late.test."},
		{policy.RPZ{second}, "10.0.0.1", "x.", policy.Facts{ServerAddresses: addrs("192.0.2.1")}, "32.1.2.0.192.rpz-nsip.late.test."},
		{policy.RPZ{second}, "10.0.0.1", "x.", policy.Facts{}, ""},
	} {
		view := &policy.View{RPZ: c.rpz}
		name := dns.MustName(c.name)
		d := view.Answer(view.Question(netip.MustParseAddr(c.client), []byte(name.Wire()), dns.TypeA), c.facts)
		if got := view.Rule(d, name, dns.TypeA); got != c.want {
			t.Errorf("%s from %s: got %q, want %q", c.name, c.client, got, c.want)
		}
	}
}
