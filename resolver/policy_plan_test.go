package resolver

import (
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/policy"
)

func TestPolicyPlan(t *testing.T) {
	net := netip.MustParsePrefix
	compiled := 0
	plan := PolicyPlan{
		Zones: []ZonePlan{
			{LocalZone: policy.LocalZone{Name: dns.MustName("all."), Kind: policy.Static}, For: []policy.Entry[policy.LocalKind]{{Prefix: net("10.3.0.0/16"), Value: policy.AlwaysRefuse}}},
			{LocalZone: policy.LocalZone{Name: dns.MustName("play."), Kind: policy.AlwaysNXDomain}, Tags: []string{"kids"}},
		},
		Data: []dns.Record{dns.MustRecord("www.all. 60 IN A 192.0.2.1")},
		RPZ:  []RPZPlan{{Zone: rpz(t, "strict.", "bad.test CNAME .\n"), Tags: []string{"kids"}}},
		Blocks: func(hears func([]string) bool) (*policy.Blocks, error) {
			compiled++
			text := "ads.test\n"
			if hears([]string{"kids"}) {
				text += "games.test\n"
			}
			return mustBlocks(t, text), nil
		},
		Views: []ViewPlan{
			{Name: "kids", Clients: []netip.Prefix{net("10.1.0.0/16")}, Tags: []string{"kids"}},
			{Name: "office", Clients: []netip.Prefix{net("10.2.0.0/16")}, Data: []dns.Record{dns.MustRecord("www.all. 60 IN A 192.0.2.2")}, First: true},
			{Name: "lab", Clients: []netip.Prefix{net("10.4.0.0/16")}, Data: []dns.Record{dns.MustRecord("own.lab. 60 IN A 192.0.2.3")}},
		},
	}
	p, err := plan.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if compiled != 2 {
		t.Errorf("block lists were compiled %d times, expected once with the tag and once without", compiled)
	}
	inWorld(t, Config{Policy: p}, exampleZone, func(t *testing.T, w *world) {
		for _, c := range []struct{ client, name, want string }{
			{"10.9.0.1", "www.all.", "NOERROR qr,rd,ra www.all. 60 A 192.0.2.1;"},
			{"10.9.0.1", "none.all.", "NXDOMAIN qr,rd,ra"},
			{"10.2.0.1", "www.all.", "NOERROR qr,rd,ra www.all. 60 A 192.0.2.2;"},
			{"10.2.0.1", "none.all.", "NXDOMAIN qr,rd,ra"},
			{"10.3.0.1", "www.all.", "REFUSED qr,rd,ra"},
			{"10.4.0.1", "own.lab.", "NOERROR qr,rd,ra own.lab. 60 A 192.0.2.3;"},
			{"10.4.0.1", "www.all.", "NXDOMAIN qr,rd,ra"},
			{"10.1.0.1", "www.example.com.", "NOERROR qr,rd,ra www.example.com. 300 A 192.0.2.80;"},
			{"10.1.0.1", "games.test.", "NXDOMAIN qr,rd,ra EDE15:list"},
			{"10.1.0.1", "x.play.", "NXDOMAIN qr,rd,ra"},
			{"10.1.0.1", "bad.test.", "NXDOMAIN qr,rd,ra EDE15:strict."},
			{"10.9.0.1", "ads.test.", "NXDOMAIN qr,rd,ra EDE15:list"},
		} {
			w.client = mustAddrPort(c.client)
			got := text(w.ask(query(c.name, dns.TypeA, 1232, false)))
			if c.name == "www.all." && c.client == "10.4.0.1" { // the root's answer, which has more to say
				got, _, _ = strings.Cut(got, " |")
			}
			expect(t, c.client+" "+c.name, got, c.want)
		}
		for _, name := range []string{"games.test.", "bad.test."} {
			w.client = mustAddrPort("10.9.0.1")
			if m := w.ask(query(name, dns.TypeA, 1232, false)); len(m.EDNS.EDE()) > 0 && m.EDNS.EDE()[0].Code == dns.EDEBlocked {
				t.Errorf("%s is blocked for clients without the tag", name)
			}
		}
	})
	plan.Views[2].Clients = append(plan.Views[2].Clients, net("10.1.0.0/16"))
	if _, err := plan.Compile(); err == nil || !strings.Contains(err.Error(), "kids and lab") {
		t.Errorf("a prefix in two views: %v", err)
	}
}
