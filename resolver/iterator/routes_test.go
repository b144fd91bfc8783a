package iterator

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
	"onoma/zone"
)

// forwarder serves zones as a resolver does: only to who asks with RD, without
// AA, and with what more says besides.
func (w *world) forwarder(addr string, more func(*dns.Message), zones ...*fakenet.Zone) {
	w.Serve(addr, zones...).Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
		if !q.Flags.Has(dns.FlagRD) {
			a.RCode, a.Answer = dns.RCodeRefused, nil
		}
		a.Flags = a.Flags&^dns.FlagAA | dns.FlagRA
		if more != nil {
			more(a)
		}
		return a
	}
}

func to(addrs ...string) (list []RouteServer) {
	for _, a := range addrs {
		list = append(list, RouteServer{Target: Target{Addr: netip.AddrPortFrom(netip.MustParseAddr(a), 53)}})
	}
	return list
}

func (w *world) route(list ...Route) {
	w.t.Helper()
	rs, err := NewRoutes(list...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.it.SetRoutes(rs)
}

func mustZone(t *testing.T, origin, text string) *zone.Zone {
	t.Helper()
	z := zone.New(dns.MustName(origin))
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader("$ORIGIN "+origin+"\n$TTL 3600\n"+text), zonefile.Options{Origin: dns.MustName(origin)}), dns.MustName(origin))
	if err != nil {
		t.Fatal(err, findings)
	}
	z.Publish(v)
	return z
}

func record(line string) dns.Record { return fakenet.ParseRecord(line, dns.Root) }

func TestForward(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "www CNAME www.corp\nwww.corp A 192.0.2.66\nreal A 192.0.2.70"))
		w.forwarder("192.0.2.9", nil, fakenet.ParseZone("corp.example.com.", "a.b.c.d.www A 192.0.2.80\nwww A 192.0.2.81\nout CNAME real.example.com.\nreal.example.com. A 192.0.2.66"))
		w.route(Route{Zone: dns.MustName("corp.example.com."), Kind: RouteForward, Servers: to("192.0.2.9")})

		expect(t, "a name of the zone", w.resolve("a.b.c.d.www.corp.example.com.", dns.TypeA), "NOERROR a.b.c.d.www.corp.example.com./3600/A=192.0.2.80")
		expectList(t, "it is asked for whole", w.asked(), "192.0.2.9 a.b.c.d.www.corp.example.com. A")
		expect(t, "what is not there", w.resolve("none.corp.example.com.", dns.TypeA), "NXDOMAIN | corp.example.com./300/SOA")
		expect(t, "again", w.resolve("none.corp.example.com.", dns.TypeA), "NXDOMAIN | corp.example.com./300/SOA")
		expectList(t, "is remembered", w.asked(), "192.0.2.9 none.corp.example.com. A")
		expect(t, "a server above is not believed about the zone", w.resolve("www.example.com.", dns.TypeA),
			"NOERROR www.example.com./3600/CNAME=www.corp.example.com. www.corp.example.com./3600/A=192.0.2.81")
		expect(t, "nor the forwarder about what is above", w.resolve("out.corp.example.com.", dns.TypeA),
			"NOERROR out.corp.example.com./3600/CNAME=real.example.com. real.example.com./3600/A=192.0.2.70")
		w.asked()
		w.resolve("corp.example.com.", dns.TypeDS)
		expectList(t, "DS is the parent's", w.asked(), "192.0.2.3 corp.example.com. DS")
	})
}

// A resolver that forwards a zone, and takes from who answers there what it says
// of others, gives the whole tree away (MaginotDNS, 2023).
func TestForwardedDataStaysInItsZone(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("victim.com. NS ns.victim.com.\nns.victim.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("victim.com.", "www A 192.0.2.70"))
		w.Serve("192.0.2.66", fakenet.ParseZone("com.", "www.victim.com. A 192.0.2.66"))
		w.forwarder("192.0.2.9", func(a *dns.Message) {
			a.Answer = append(a.Answer, record("www.victim.com. A 192.0.2.66"), record("ns.victim.com. A 192.0.2.66"))
			a.Authority = append(a.Authority, record("com. NS ns.evil.example."), record("victim.com. NS ns.evil.example."), record(". NS ns.evil.example."))
			a.Additional = append(a.Additional, record("ns.evil.example. A 192.0.2.66"), record("a.gtld-servers.net. A 192.0.2.66"))
		}, fakenet.ParseZone("evil.example.", "www A 192.0.2.9\nalias CNAME www.victim.com.\nns A 192.0.2.66"))
		w.route(Route{Zone: dns.MustName("evil.example."), Kind: RouteForward, Servers: to("192.0.2.9")})
		w.resolve("www.evil.example.", dns.TypeA)
		w.resolve("none.evil.example.", dns.TypeA)
		expect(t, "through an alias", w.resolve("alias.evil.example.", dns.TypeA),
			"NOERROR alias.evil.example./3600/CNAME=www.victim.com. www.victim.com./3600/A=192.0.2.70")
		for _, asked := range w.asked() {
			if strings.HasPrefix(asked, "192.0.2.66") {
				t.Errorf("the attacker's server was asked: %s", asked)
			}
		}
	})
}

func TestForwardEverything(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "www A 192.0.2.70\nalias CNAME www.elsewhere.org."))
		w.forwarder("192.0.2.9", nil, fakenet.ParseZone(".", "www.elsewhere.org. A 192.0.2.80\nwww.example.com. A 192.0.2.66\nto.elsewhere.org. CNAME www.example.com."))
		w.route(Route{Zone: dns.Root, Kind: RouteForward, Servers: to("192.0.2.99", "192.0.2.9")},
			Route{Zone: dns.MustName("example.com."), Kind: RouteIterate})
		expect(t, "forwarded, past a server that is silent", w.resolve("www.elsewhere.org.", dns.TypeA), "NOERROR www.elsewhere.org./3600/A=192.0.2.80")
		expect(t, "exempt", w.resolve("alias.example.com.", dns.TypeA),
			"NOERROR alias.example.com./3600/CNAME=www.elsewhere.org. www.elsewhere.org./3600/A=192.0.2.80")
		w.it.Cache.FlushAll()
		expect(t, "the forwarder's word does not count there", w.resolve("to.elsewhere.org.", dns.TypeA),
			"NOERROR to.elsewhere.org./3600/CNAME=www.example.com. www.example.com./3600/A=192.0.2.70")
	})
}

// What a server above says of a name that has a route says nothing about it, and
// what it denies there denies nothing (CVE-2026-44687).
func TestDenialEndsAtARoute(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "alias CNAME www.corp"))
		w.Serve("192.0.2.4", fakenet.ParseZone("corp.example.com.", "www A 192.0.2.81"))
		w.Serve("192.0.2.5", fakenet.ParseZone("home.", "www A 192.0.2.82"))
		w.route(Route{Zone: dns.MustName("corp.example.com."), Kind: RouteStub, Servers: to("192.0.2.4")},
			Route{Zone: dns.MustName("home."), Kind: RouteStub, Servers: to("192.0.2.5")})
		expect(t, "denied above", w.resolve("corp.example.com.", dns.TypeDS), "NXDOMAIN | example.com./300/SOA")
		expect(t, "denied by the root", w.resolve("home.", dns.TypeDS), "NXDOMAIN | ./300/SOA")
		expect(t, "below", w.resolve("www.home.", dns.TypeA), "NOERROR www.home./3600/A=192.0.2.82")
		expect(t, "through an alias that is denied with it", w.resolve("alias.example.com.", dns.TypeA),
			"NOERROR alias.example.com./3600/CNAME=www.corp.example.com. www.corp.example.com./3600/A=192.0.2.81")
	})
}

func TestRouteFails(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "www A 192.0.2.70"))
		for _, kind := range []RouteKind{RouteForward, RouteStub, RouteLocal} {
			r := Route{Zone: dns.MustName("example.com."), Kind: kind, Fallback: true}
			if kind == RouteLocal {
				r.Local = zone.New(r.Zone)
			} else {
				r.Servers = to("192.0.2.99")
			}
			w.it.Cache.FlushAll()
			w.route(r)
			expect(t, kind.String()+" first", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=192.0.2.70")
			w.it.Cache.FlushAll()
			r.Fallback = false
			w.route(r)
			w.expectFailure("www.example.com.", "example.com.")
			time.Sleep(time.Minute)
		}
	})
}

func TestStub(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("")
		w.Serve("192.0.2.4", fakenet.ParseZone("home.", "@ NS ns\nns A 192.0.2.5\nsub NS ns.sub\nns.sub A 192.0.2.6\nwww A 192.0.2.81"))
		w.Serve("192.0.2.5", fakenet.ParseZone("home.", "@ NS ns\nns A 192.0.2.5\nwww A 192.0.2.82"))
		w.Serve("192.0.2.6", fakenet.ParseZone("sub.home.", "www A 192.0.2.83"))
		stub := Route{Zone: dns.MustName("home."), Kind: RouteStub, Servers: to("192.0.2.4")}
		w.route(stub)
		expect(t, "the servers that are configured", w.resolve("www.home.", dns.TypeA), "NOERROR www.home./3600/A=192.0.2.81")
		expect(t, "whom they refer to", w.resolve("www.sub.home.", dns.TypeA), "NOERROR www.sub.home./3600/A=192.0.2.83")
		expect(t, "a lease is used", w.resolve("none.sub.home.", dns.TypeA), "NXDOMAIN | sub.home./300/SOA")
		expectList(t, "asked", w.asked(), "192.0.2.4 www.home. A", "192.0.2.4 sub.home. A", "192.0.2.6 www.sub.home. A", "192.0.2.6 none.sub.home. A")
		w.it.Cache.FlushAll()
		stub.Prime = true
		w.route(stub)
		expect(t, "primed", w.resolve("www.home.", dns.TypeA), "NOERROR www.home./3600/A=192.0.2.82")
		expectList(t, "asked", w.asked(), "192.0.2.4 home. NS", "192.0.2.5 www.home. A")
	})
}

func TestServerByName(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("dns.com. A 192.0.2.9")
		w.forwarder("192.0.2.9", nil, fakenet.ParseZone("corp.", "www A 192.0.2.81"))
		named := RouteServer{Name: dns.MustName("dns.com."), Target: Target{Addr: netip.AddrPortFrom(netip.Addr{}, 53)}}
		w.route(Route{Zone: dns.MustName("corp."), Kind: RouteForward, Servers: []RouteServer{named}})
		expect(t, "found", w.resolve("www.corp.", dns.TypeA), "NOERROR www.corp./3600/A=192.0.2.81")
	})
}

func TestLocalZone(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("real.com. A 192.0.2.70")
		w.Serve("192.0.2.6", fakenet.ParseZone("sub.home.", "www A 192.0.2.83"))
		z := mustZone(t, "home.", "@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.4\nwww A 192.0.2.81\n*.wild A 192.0.2.82\n"+
			"out CNAME real.com.\nd DNAME w.home.\nx.w A 192.0.2.84\nsub NS ns.sub\nns.sub A 192.0.2.6\na.b.ent A 192.0.2.1")
		w.route(Route{Zone: dns.MustName("home."), Kind: RouteLocal, Local: z})
		for _, c := range []struct {
			name string
			typ  dns.Type
			want string
		}{
			{"www.home.", dns.TypeA, "NOERROR www.home./3600/A=192.0.2.81"},
			{"www.home.", dns.TypeAAAA, "NOERROR | home./60/SOA"},
			{"b.ent.home.", dns.TypeA, "NOERROR | home./60/SOA"},
			{"none.home.", dns.TypeA, "NXDOMAIN | home./60/SOA"},
			{"x.wild.home.", dns.TypeA, "NOERROR x.wild.home./3600/A=192.0.2.82"},
			{"x.d.home.", dns.TypeA, "NOERROR d.home./3600/DNAME=w.home. x.d.home./3600/CNAME=x.w.home. x.w.home./3600/A=192.0.2.84"},
		} {
			expect(t, c.name, w.resolve(c.name, c.typ), c.want)
		}
		expectList(t, "nobody was asked", w.asked())
		expect(t, "an alias to elsewhere", w.resolve("out.home.", dns.TypeA), "NOERROR out.home./3600/CNAME=real.com. real.com./3600/A=192.0.2.70")
		expect(t, "whom the zone refers to", w.resolve("www.sub.home.", dns.TypeA), "NOERROR www.sub.home./3600/A=192.0.2.83")
		a, err := w.it.Resolve(t.Context(), question("www.home.", dns.TypeA), Options{CacheOnly: true})
		expect(t, "without RD", describe(a, err), "NOERROR www.home./3600/A=192.0.2.81")
	})
}

func TestRoutesThatCannotBe(t *testing.T) {
	home := dns.MustName("home.")
	for what, list := range map[string][]Route{
		"no zone":       {{}},
		"two":           {{Zone: home}, {Zone: dns.MustName("HOME.")}},
		"no server":     {{Zone: home, Kind: RouteForward}},
		"a server":      {{Zone: home, Servers: to("192.0.2.1")}},
		"no local zone": {{Zone: home, Kind: RouteLocal}},
	} {
		if _, err := NewRoutes(list...); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
