package resolver

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/policy"
	"onoma/transport"
)

// rpz compiles a policy zone.
func rpz(t testing.TB, origin, text string) *policy.Zone {
	t.Helper()
	name := dns.MustName(origin)
	b, err := policy.NewZone(policy.ZoneOptions{Origin: name})
	if err != nil {
		t.Fatal(err)
	}
	r := zonefile.NewReader(strings.NewReader("$TTL 300\n"+text), zonefile.Options{Origin: name})
	for {
		record, err := r.Next()
		if err != nil {
			break
		}
		if err := b.Add(record); err != nil {
			t.Fatal(err)
		}
	}
	z, err := b.Compile()
	if err != nil || z.Problems().Count > 0 {
		t.Fatal(err, z.Problems())
	}
	return z
}

func localRules(t testing.TB, zones []policy.LocalZone, records ...string) *policy.Local {
	t.Helper()
	var list []dns.Record
	for _, r := range records {
		list = append(list, dns.MustRecord(r))
	}
	l, err := policy.NewLocal(zones, list)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustBlocks(t testing.TB, text string) *policy.Blocks {
	t.Helper()
	b := policy.NewBlocks(policy.BlockOptions{})
	if err := b.Read(strings.NewReader(text), "list"); err != nil {
		t.Fatal(err)
	}
	return b.Compile()
}

// everybody makes a Policy that has the same rules for all.
func everybody(r Rules) *Policy { return &Policy{Others: &r} }

const exampleZone = `
www 300 A 192.0.2.80
alias 300 CNAME www
deep 300 CNAME alias
bad 300 A 203.0.113.9
mail 300 MX 10 bad
rebind 300 A 10.0.0.1
rebind 300 A 192.0.2.81
inner 300 A 192.168.1.1
six 300 AAAA 2001:db8::6
six 300 A 192.0.2.66
mixed 300 AAAA ::ffff:192.0.2.1
mixed 300 A 192.0.2.67`

func TestPolicyIsHeard(t *testing.T) {
	view := &policy.View{
		Local: localRules(t, []policy.LocalZone{{Name: dns.MustName("corp."), Kind: policy.Static}},
			"host.corp. 60 A 192.0.2.1", "out.corp. 60 CNAME www.example.com.", "in.corp. 60 CNAME host.corp."),
		Blocks: mustBlocks(t, "||blocked.test^\n"),
		RPZ: policy.RPZ{
			rpz(t, "first.rpz.", "32.9.113.0.203.rpz-ip CNAME .\n32.3.2.0.192.rpz-nsip.nothing CNAME .\n"),
			rpz(t, "second.rpz.", "drop.test CNAME rpz-drop.\ntcp.example.com CNAME rpz-tcp-only.\nalias.example.com A 198.51.100.1\n"+
				"away.test CNAME www.example.com.\n*.away.test CNAME *.garden.corp.\nok.test CNAME rpz-passthru.\n32.7.2.0.192.rpz-client-ip CNAME .\n"),
		},
	}
	inWorld(t, Config{Policy: everybody(Rules{View: view}), Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, exampleZone+"\ntcp 300 A 192.0.2.82", func(t *testing.T, w *world) {
		for _, c := range []struct{ name, want string }{
			{"www.example.com.", "NOERROR qr,rd,ra www.example.com. 300 A 192.0.2.80;"},
			{"host.corp.", "NOERROR qr,rd,ra host.corp. 60 A 192.0.2.1;"},
			{"none.corp.", "NXDOMAIN qr,rd,ra"},
			{"out.corp.", "NOERROR qr,rd,ra out.corp. 60 CNAME www.example.com.; www.example.com. 300 A 192.0.2.80;"},
			{"in.corp.", "NOERROR qr,rd,ra in.corp. 60 CNAME host.corp.; host.corp. 60 A 192.0.2.1;"},
			{"x.blocked.test.", "NXDOMAIN qr,rd,ra EDE15:list"},
			{"bad.example.com.", "NXDOMAIN qr,rd,ra EDE15:first.rpz."},
			{"alias.example.com.", "NOERROR qr,rd,ra alias.example.com. 300 A 198.51.100.1; EDE4:second.rpz."},
			{"deep.example.com.", "NOERROR qr,rd,ra deep.example.com. 300 CNAME alias.example.com.; alias.example.com. 300 A 198.51.100.1; EDE4:second.rpz."},
			{"away.test.", "NOERROR qr,rd,ra away.test. 300 CNAME www.example.com.; www.example.com. 300 A 192.0.2.80; EDE4:second.rpz."},
			{"x.away.test.", "NXDOMAIN qr,rd,ra x.away.test. 300 CNAME x.away.test.garden.corp.; EDE4:second.rpz."},
		} {
			for range 2 { // the second time out of the cache
				expect(t, c.name, text(w.ask(query(c.name, dns.TypeA, 1232, false))), c.want)
			}
		}
		if raw := w.start(pack(t, query("drop.test.", dns.TypeA, 1232, false)))(); raw != nil {
			t.Errorf("dropped: an answer came: %x", raw)
		}
		expect(t, "by UDP", text(w.ask(query("tcp.example.com.", dns.TypeA, 1232, false))), "NOERROR qr,tc,rd,ra")
		w.proto = transport.TCP
		expect(t, "by TCP", text(w.ask(query("tcp.example.com.", dns.TypeA, 1232, false))), "NOERROR qr,rd,ra tcp.example.com. 300 A 192.0.2.82;")
		w.proto = transport.UDP
		expect(t, "by UDP again", text(w.ask(query("tcp.example.com.", dns.TypeA, 1232, false))), "NOERROR qr,tc,rd,ra")
		w.client = mustAddrPort("192.0.2.7")
		expect(t, "a client", text(w.ask(query("www.example.com.", dns.TypeA, 1232, false))), "NXDOMAIN qr,rd,ra EDE15:second.rpz.")
		w.client = mustAddrPort("192.0.2.8")
		expect(t, "another", text(w.ask(query("www.example.com.", dns.TypeA, 1232, false))), "NOERROR qr,rd,ra www.example.com. 270 A 192.0.2.80;")

		counts := map[string]uint64{}
		for _, c := range w.r.RuleCounts() {
			counts[c.List+" "+c.Action.String()] = c.Count
		}
		if counts["list nxdomain"] != 2 || counts["second.rpz. drop"] != 1 || counts["local data"] < 4 {
			t.Errorf("counted: %v", counts)
		}
		res, err := w.r.Resolve(t.Context(), dns.Question{Name: dns.MustName("bad.example.com."), Type: dns.TypeA, Class: dns.ClassIN}, Options{Client: netip.MustParseAddr("192.0.2.8")})
		if err != nil || len(res.Rulings) != 1 || res.Rulings[0] != (Ruling{"first.rpz.", "32.9.113.0.203.rpz-ip.first.rpz.", "ip", policy.NXDomain}) {
			t.Errorf("ruled: %+v, %v", res.Rulings, err)
		}
		w.r.SetPolicy(nil)
		for _, name := range []string{"bad.example.com.", "alias.example.com."} {
			if m := w.ask(query(name, dns.TypeA, 1232, false)); m.RCode != 0 || len(m.EDNS.EDE()) > 0 {
				t.Errorf("without policy: %s", text(m))
			}
		}
	})
}

func TestPolicyAboutServers(t *testing.T) {
	for trigger, want := range map[string]string{
		"ns.example.com.rpz-nsdname CNAME .":     "NXDOMAIN qr,rd,ra",
		"*.gtld-servers.net.rpz-nsdname CNAME .": "NXDOMAIN qr,rd,ra",
		"32.3.2.0.192.rpz-nsip CNAME .":          "NXDOMAIN qr,rd,ra",
		"32.4.2.0.192.rpz-nsip CNAME .":          "NOERROR qr,rd,ra www.example.com. 300 A 192.0.2.80;",
	} {
		p := everybody(Rules{View: &policy.View{RPZ: policy.RPZ{rpz(t, "rpz.", trigger+"\n")}}})
		inWorld(t, Config{Policy: p}, exampleZone, func(t *testing.T, w *world) {
			for range 2 {
				expect(t, trigger, text(w.ask(query("www.example.com.", dns.TypeA, 0, false))), want)
			}
		})
	}
}

// Servers that a rule is about are not asked.
func TestServersOfPolicyAreNotAsked(t *testing.T) {
	p := everybody(Rules{View: &policy.View{RPZ: policy.RPZ{rpz(t, "rpz.", "ns.example.com.rpz-nsdname CNAME *.\n")}}})
	inWorld(t, Config{Policy: p}, exampleZone, func(t *testing.T, w *world) {
		w.Serve("192.0.2.3").Down = true
		expect(t, "silent", text(w.ask(query("www.example.com.", dns.TypeA, 0, false))), "NOERROR qr,rd,ra")
		for _, p := range w.Sent() {
			if p.To == netip.MustParseAddr("192.0.2.3") {
				t.Errorf("it was asked for %v", p.Question)
			}
		}
	})
}

func TestPolicyByClient(t *testing.T) {
	kids := &Rules{View: &policy.View{Blocks: mustBlocks(t, "www.example.com\n")}}
	clients, err := policy.NewTable([]policy.Entry[*Rules]{{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Value: kids}})
	if err != nil {
		t.Fatal(err)
	}
	access, err := policy.NewTable([]policy.Entry[policy.Access]{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: policy.Allowed}, {Prefix: netip.MustParsePrefix("10.4.0.0/16"), Value: policy.Denied},
		{Prefix: netip.MustParsePrefix("10.5.0.0/16"), Value: policy.AllowedSetRD}, {Prefix: netip.MustParsePrefix("10.6.0.0/16"), Value: policy.LocalOnly},
		{Prefix: netip.MustParsePrefix("10.7.0.0/16"), Value: policy.CacheOnly},
	})
	if err != nil {
		t.Fatal(err)
	}
	const good = "www.example.com. 300 A 192.0.2.80;"
	inWorld(t, Config{Policy: &Policy{Access: access, Clients: clients}}, exampleZone, func(t *testing.T, w *world) {
		for _, c := range []struct{ client, want string }{
			{"10.7.0.1", "REFUSED qr,ra"},
			{"10.5.0.1", "NOERROR qr,ra " + good},
			{"10.1.0.1", "NOERROR qr,ra " + good},
			{"10.3.0.1", "NXDOMAIN qr,ra"},
			{"10.1.0.2", "NOERROR qr,ra " + good},
			{"10.6.0.1", "REFUSED qr,ra"},
			{"10.7.0.1", "NOERROR qr,ra " + good},
			{"192.0.2.1", "REFUSED qr,ra"},
		} {
			q := query("www.example.com.", dns.TypeA, 0, false)
			q.Flags &^= dns.FlagRD
			w.client = mustAddrPort(c.client)
			expect(t, c.client, text(w.ask(q)), c.want)
		}
		w.client = mustAddrPort("10.4.0.1")
		if raw := w.start(pack(t, query("www.example.com.", dns.TypeA, 0, false)))(); raw != nil {
			t.Errorf("denied: an answer came: %x", raw)
		}
	})
}

func TestRebinding(t *testing.T) {
	keep, err := policy.NewRebinding(policy.RebindingOptions{Allowed: []dns.Name{dns.MustName("inner.example.com.")}})
	if err != nil {
		t.Fatal(err)
	}
	inWorld(t, Config{Policy: everybody(Rules{Rebinding: keep})}, exampleZone+"\nonly A 127.0.0.1", func(t *testing.T, w *world) {
		for name, want := range map[string]string{
			"rebind.example.com.": "NOERROR qr,rd,ra rebind.example.com. 300 A 192.0.2.81; EDE15:" + edeRebinding.Text,
			"only.example.com.":   "NOERROR qr,rd,ra EDE15:" + edeRebinding.Text,
			"inner.example.com.":  "NOERROR qr,rd,ra inner.example.com. 300 A 192.168.1.1;",
			"localhost.":          "NOERROR qr,rd,ra localhost. 10800 A 127.0.0.1;",
		} {
			for range 2 {
				expect(t, name, text(w.ask(query(name, dns.TypeA, 1232, false))), want)
			}
		}
	})
}

func TestDNS64(t *testing.T) {
	d, err := policy.NewDNS64(policy.DNS64Options{Prefixes: []netip.Prefix{policy.WellKnownPrefix}})
	if err != nil {
		t.Fatal(err)
	}
	view := &policy.View{RPZ: policy.RPZ{rpz(t, "rpz.", "32.9.113.0.203.rpz-ip CNAME .\n")}}
	inWorld(t, Config{Policy: everybody(Rules{DNS64: d, View: view})}, exampleZone, func(t *testing.T, w *world) {
		server := w.Serve("192.0.2.3", fakenet.ParseZone("example.com", "@ NS ns\nns A 192.0.2.3\n"+exampleZone+"\nbroken 300 A 192.0.2.68"))
		server.Hook = func(q, m *dns.Message, _ transport.Proto) *dns.Message {
			if q.Question().Type == dns.TypeAAAA && q.Question().Name.Equal(dns.MustName("broken.example.com.")) {
				m.RCode, m.Answer, m.Authority = dns.RCodeServFail, nil, nil
			}
			return m
		}
		for _, c := range []struct {
			name string
			t    dns.Type
			want string
		}{
			{"www.example.com.", dns.TypeAAAA, "NOERROR qr,rd,ra www.example.com. 300 AAAA 64:ff9b::c000:250;"},
			{"deep.example.com.", dns.TypeAAAA, "NOERROR qr,rd,ra deep.example.com. 300 CNAME alias.example.com.; alias.example.com. 300 CNAME www.example.com.; www.example.com. 300 AAAA 64:ff9b::c000:250;"},
			{"six.example.com.", dns.TypeAAAA, "NOERROR qr,rd,ra six.example.com. 300 AAAA 2001:db8::6;"},
			{"mixed.example.com.", dns.TypeAAAA, "NOERROR qr,rd,ra mixed.example.com. 300 AAAA 64:ff9b::c000:243;"},
			{"bad.example.com.", dns.TypeAAAA, "NXDOMAIN qr,rd,ra"},
			{"broken.example.com.", dns.TypeAAAA, "NOERROR qr,rd,ra broken.example.com. 300 AAAA 64:ff9b::c000:244;"},
			{"ipv4only.arpa.", dns.TypeAAAA, "NOERROR qr,rd,ra ipv4only.arpa. 600 AAAA 64:ff9b::c000:aa; ipv4only.arpa. 600 AAAA 64:ff9b::c000:ab;"},
		} {
			for range 2 {
				expect(t, c.name, text(w.ask(query(c.name, c.t, 0, false))), c.want)
			}
		}
	})
}

func TestPolicyLog(t *testing.T) {
	var log lines
	cfg := Config{Policy: everybody(Rules{View: &policy.View{Blocks: mustBlocks(t, "ads.test\n")}, Log: true}), Log: slog.New(slog.NewTextHandler(&log, nil))}
	inWorld(t, cfg, exampleZone, func(t *testing.T, w *world) {
		w.ask(query("ads.test.", dns.TypeA, 0, false))
	})
	if !strings.Contains(log.String(), "action=nxdomain list=list client=127.0.0.1") {
		t.Errorf("logged: %s", log.String())
	}
}

// Rules cost no memory where they have nothing to say, and none at all where there are none.
func TestPolicyAllocates(t *testing.T) {
	p := everybody(Rules{View: &policy.View{Blocks: mustBlocks(t, "ads.test\n"), RPZ: policy.RPZ{rpz(t, "rpz.", "32.9.113.0.203.rpz-ip CNAME .\n")}}})
	inWorld(t, Config{Policy: p}, exampleZone, func(t *testing.T, w *world) {
		m := query("www.example.com.", dns.TypeA, 1232, false)
		w.ask(m)
		q, dst := newQuery(pack(t, m), w.client), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { w.worker.Answer(dst, q) }); n != 0 {
			t.Errorf("%v allocations for an answer out of the cache, want none", n)
		}
	})
}
