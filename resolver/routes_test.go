package resolver

import (
	"net/netip"
	"testing"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/iterator"
	"onoma/transport"
	"onoma/zone"
)

func serverAt(addr string) []iterator.RouteServer {
	return []iterator.RouteServer{{Target: iterator.Target{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 53)}}}
}

// setRoutes replaces the routes.
func (w *world) setRoutes(list ...Route) {
	w.t.Helper()
	if err := w.r.SetRoutes(list); err != nil {
		w.t.Fatal(err)
	}
}

// resolverAt has another resolver at addr, which does not validate; change may
// change what it says.
func (w *world) resolverAt(addr string, change func(q dns.Question, a *dns.Message)) {
	cfg := w.r.cfg
	cfg.Anchors, cfg.Routes = nil, nil
	r, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.Close() })
	w.Serve(addr).Hook = func(q, _ *dns.Message, _ transport.Proto) *dns.Message {
		found, err := r.Resolve(w.t.Context(), q.Question(), Options{DNSSEC: q.EDNS != nil && q.EDNS.DO})
		if err != nil {
			return nil
		}
		a := &dns.Message{ID: q.ID, Flags: dns.FlagQR | dns.FlagRA | q.Flags&dns.FlagRD, RCode: found.RCode, Questions: q.Questions}
		a.Answer, a.Authority = found.Answer, found.Authority
		if change != nil {
			change(q.Question(), a)
		}
		return a
	}
}

// TestForwardedAnswersAreValidated: another resolver need not be trusted.
func TestForwardedAnswersAreValidated(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		w.resolverAt("192.0.2.9", nil)
		w.resolverAt("192.0.2.66", forge)
		w.setRoutes(Route{Zone: dns.Root, Kind: iterator.RouteForward, Servers: serverAt("192.0.2.9")})
		for range 2 {
			expect(t, "secure", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
			expect(t, "no such name", w.verdict("no.example.", dns.TypeA, withAD), "NXDOMAIN AD")
			expect(t, "no such type", w.verdict("www.example.", dns.TypeMX, withDO), "NOERROR AD")
			expect(t, "from a wildcard", w.verdict("x.wild.example.", dns.TypeTXT, withAD), "NOERROR AD TXT")
			expect(t, "no such top-level domain", w.verdict("www.nowhere.", dns.TypeA, withAD), "NXDOMAIN AD")
			expect(t, "not signed", w.verdict("www.plain.", dns.TypeA, withAD), "NOERROR A")
		}
		w.setRoutes(Route{Zone: dns.Root, Kind: iterator.RouteForward, Servers: serverAt("192.0.2.66")})
		expect(t, "forged", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
	})
}

// TestPrivateZone: the root proves that it does not exist; its route says that it
// need not.
func TestPrivateZone(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		w.Serve("192.0.2.8", fakenet.ParseZone("corp.", "www A 198.51.100.8"))
		route := Route{Zone: dns.MustName("corp."), Kind: iterator.RouteStub, Servers: serverAt("192.0.2.8")}
		expect(t, "without a route", w.verdict("www.corp.", dns.TypeA, withAD), "NXDOMAIN AD")
		w.setRoutes(route)
		expect(t, "with one", w.verdict("www.corp.", dns.TypeA, withAD), "SERVFAIL RRSIGs Missing")
		route.Insecure = true
		w.setRoutes(route)
		expect(t, "insecure", w.verdict("www.corp.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		expect(t, "the root's denial", w.verdict("corp.", dns.TypeDS, withAD), "NXDOMAIN AD")
		expect(t, "does not concern it", w.verdict("corp.", dns.TypeMX, withAD), "NOERROR Negative Trust Anchor")
		w.setRoutes()
		expect(t, "without it again", w.verdict("www.corp.", dns.TypeA, withAD), "NXDOMAIN AD")
	})
}

// TestRootInMemory: the root zone is as good as its servers, signatures and
// denials included; and where there is no good copy, they are asked.
func TestRootInMemory(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		root := zone.New(dns.Root)
		w.setRoutes(Route{Zone: dns.Root, Kind: iterator.RouteLocal, Local: root, Fallback: true})
		check := func(askRoot bool) {
			w.r.FlushAll()
			w.Sent()
			expect(t, "secure", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
			expect(t, "no such top-level domain", w.verdict("www.nowhere.", dns.TypeA, withDO), "NXDOMAIN AD")
			expect(t, "not signed", w.verdict("www.plain.", dns.TypeA, withAD), "NOERROR A")
			asked := false
			for _, p := range w.Sent() {
				asked = asked || p.To == netip.MustParseAddr("192.0.2.1")
			}
			if asked != askRoot {
				t.Errorf("a root server was asked: %v", asked)
			}
		}
		check(true)
		w.r.PublishLocal(root, w.root.version)
		check(false)
		w.r.PublishLocal(root, nil)
		check(true)
	})
}
