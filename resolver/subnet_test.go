package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// near has www answered with 10.A.B.C for the client network A.B.C.0, for scope
// bits, and with 10.0.0.0 where nothing is said of clients.
func near(bits uint8) func(q, a *dns.Message, _ transport.Proto) *dns.Message {
	return func(q, a *dns.Message, _ transport.Proto) *dns.Message {
		o, ok := q.EDNS.Option(dns.OptionECS)
		addr := [4]byte{10}
		if ok {
			c, _ := o.ECS()
			c.Scope = bits
			a.EDNS.Options = append(a.EDNS.Options, c.Option())
			if c.Source.Addr().Is4() {
				client := c.Source.Addr().As4()
				copy(addr[1:], client[:3])
			}
		}
		for i := range a.Answer {
			if a.Answer[i].Type == dns.TypeA && q.Question().Name.Equal(dns.MustName("www.example.com.")) {
				a.Answer[i].Data = addr[:]
			}
		}
		return a
	}
}

func subnetConfig(zones ...string) Config {
	cfg := Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
	for _, z := range zones {
		cfg.ClientSubnet.Zones = append(cfg.ClientSubnet.Zones, dns.MustName(z))
	}
	return cfg
}

// askFrom asks from an address, with an option if it is not "", and returns the
// answer's address, and its option.
func (w *world) askFrom(client, name string, subnet string) string {
	w.t.Helper()
	w.client = mustAddrPort(client)
	m := query(name, dns.TypeA, 1232, false)
	if subnet != "" {
		m.EDNS.Options = []dns.Option{dns.ClientSubnet{Source: netip.MustParsePrefix(subnet)}.Option()}
	}
	return shortly(w.ask(m))
}

func shortly(a *dns.Message) string {
	parts := []string{}
	if a.RCode != dns.RCodeNoError {
		parts = append(parts, a.RCode.String())
	}
	for _, r := range a.Answer {
		if r.Type == dns.TypeA {
			addr, _ := netip.AddrFromSlice(r.Data)
			parts = append(parts, addr.String())
		}
	}
	if o, ok := a.EDNS.Option(dns.OptionECS); ok {
		c, _ := o.ECS()
		parts = append(parts, fmt.Sprintf("%s/%d", c.Source, c.Scope))
	}
	return strings.Join(parts, " ")
}

// told returns who was told of which networks since the last call.
func (w *world) told() string {
	var list []string
	for _, p := range w.Sent() {
		if o, ok := p.EDNS.Option(dns.OptionECS); ok {
			c, err := o.ECS()
			if err != nil || c.Scope != 0 {
				w.t.Errorf("sent %v: %v", o, err)
			}
			list = append(list, fmt.Sprintf("%s:%s", p.To, c.Source))
		}
	}
	return strings.Join(list, " ")
}

func TestSubnetTold(t *testing.T) {
	inWorld(t, subnetConfig("example.com."), "www 60 A 10.9.9.9\nalias 60 CNAME www\nother 60 TXT x", func(t *testing.T, w *world) {
		w.At("192.0.2.3").Hook = near(24)
		for i, c := range []struct{ client, name, option, told, want string }{
			{"203.0.113.77", "www.example.com.", "", "192.0.2.3:203.0.113.0/24", "10.203.0.113"},
			{"203.0.113.9", "www.example.com.", "", "", "10.203.0.113"}, // the same network
			{"198.51.100.1", "www.example.com.", "", "192.0.2.3:198.51.100.0/24", "10.198.51.100"},
			{"2001:db8:1:2:3::1", "www.example.com.", "", "192.0.2.3:2001:db8:1::/56", "10.0.0.0"},
			{"198.51.100.1", "www.example.com.", "0.0.0.0/0", "", "10.0.0.0 0.0.0.0/0/0"}, // does not want that
			{"192.168.1.1", "www.example.com.", "", "", "10.0.0.0"},
			{"127.0.0.1", "www.example.com.", "9.9.9.0/24", "", "10.0.0.0"}, // nobody listens to that
			{"203.0.113.5", "www.example.com.", "", "", "10.203.0.113"},
			{"203.0.113.5", "alias.example.com.", "", "192.0.2.3:203.0.113.0/24 192.0.2.3:203.0.113.0/24", "10.203.0.113"},
			{"198.51.100.2", "alias.example.com.", "", "192.0.2.3:198.51.100.0/24 192.0.2.3:198.51.100.0/24", "10.198.51.100"},
		} {
			what := fmt.Sprintf("%d: %s asks for %s", i, c.client, c.name)
			expect(t, what, w.askFrom(c.client, c.name, c.option), c.want)
			expect(t, what+", told", w.told(), c.told)
		}
		time.Sleep(61 * time.Second)
		expect(t, "when its time is over", w.askFrom("203.0.113.6", "www.example.com.", ""), "10.203.0.113")
		expect(t, "when its time is over, told", w.told(), "192.0.2.3:203.0.113.0/24")
		w.r.Flush(dns.MustName("www.example.com."), false)
		expect(t, "when it is flushed", w.askFrom("203.0.113.6", "www.example.com.", ""), "10.203.0.113")
		expect(t, "when it is flushed, told", w.told(), "192.0.2.3:203.0.113.0/24")
	})
}

// TestSubnetNobody: without zones that say so nobody is told, and nothing is different.
func TestSubnetNobody(t *testing.T) {
	for _, zones := range [][]string{nil, {"example.net."}} {
		inWorld(t, subnetConfig(zones...), "www 60 A 10.9.9.9", func(t *testing.T, w *world) {
			w.At("192.0.2.3").Hook = near(24)
			for _, client := range []string{"203.0.113.77", "198.51.100.1"} {
				expect(t, client, w.askFrom(client, "www.example.com.", "9.9.9.0/24"), "10.0.0.0")
			}
			expect(t, "told", w.told(), "")
		})
	}
}

func TestSubnetScopes(t *testing.T) {
	cfg := subnetConfig(".")
	cfg.ClientSubnet.FromClients = true
	inWorld(t, cfg, "www 60 A 10.9.9.9", func(t *testing.T, w *world) {
		w.Change(func() { w.At("192.0.2.3").Hook = near(16) })
		expect(t, "scope 16", w.askFrom("127.0.0.1", "www.example.com.", "8.8.8.8/32"), "10.8.8.8 8.8.8.8/32/16")
		w.Sent()
		expect(t, "within it", w.askFrom("127.0.0.1", "www.example.com.", "8.8.200.0/24"), "10.8.8.8 8.8.200.0/24/16")
		expect(t, "shorter than it", w.askFrom("127.0.0.1", "www.example.com.", "8.0.0.0/8"), "10.8.0.0 8.0.0.0/8/8")
		expect(t, "told", w.told(), "192.0.2.3:8.0.0.0/8")
		expect(t, "private", w.askFrom("203.0.113.1", "www.example.com.", "10.1.0.0/16"), "10.0.0.0 10.1.0.0/16/0")

		w.r.FlushAll()
		w.Change(func() { w.At("192.0.2.3").Hook = near(0) })
		expect(t, "scope 0", w.askFrom("203.0.113.1", "www.example.com.", ""), "10.203.0.113")
		w.told()
		expect(t, "another network", w.askFrom("198.51.100.1", "www.example.com.", "8.8.8.0/24"), "10.203.0.113 8.8.8.0/24/0")
		expect(t, "not told of", w.askFrom("127.0.0.1", "www.example.com.", ""), "10.203.0.113")
		expect(t, "asked for scope 0", w.told(), "")

		w.client = mustAddrPort("127.0.0.1")
		for _, data := range []string{"\x00\x01\x18\x18\x08\x08\x08", "\x00\x03\x18\x00\x08\x08\x08", "\x00"} {
			m := query("www.example.com.", dns.TypeA, 1232, false)
			m.EDNS.Options = []dns.Option{{Code: dns.OptionECS, Data: []byte(data)}}
			expect(t, fmt.Sprintf("option %x", data), shortly(w.ask(m)), "FORMERR")
		}
	})
}

// TestSubnetRootTold: the root is told only where it is named.
func TestSubnetRootTold(t *testing.T) {
	inWorld(t, subnetConfig("."), "www 60 A 10.9.9.9", func(t *testing.T, w *world) {
		expect(t, "www", w.askFrom("203.0.113.1", "www.example.com.", ""), "10.9.9.9")
		expect(t, "told", w.told(), "192.0.2.3:203.0.113.0/24") // whole names go to nobody else
		w.askFrom("203.0.113.1", "nothing.", "")
		expect(t, "told of a top-level domain", w.told(), "192.0.2.1:203.0.113.0/24")
	})
}

// TestSubnetTrouble: replies that do not fit, and servers that do not want to know.
func TestSubnetTrouble(t *testing.T) {
	inWorld(t, subnetConfig("example.com."), "www 60 A 10.9.9.9\nwild 60 A 10.9.9.9", func(t *testing.T, w *world) {
		other := func(q, a *dns.Message, p transport.Proto) *dns.Message {
			a = near(24)(q, a, p)
			if len(a.EDNS.Options) > 0 && p == transport.UDP {
				a.EDNS.Options = []dns.Option{dns.ClientSubnet{Source: netip.MustParsePrefix("9.9.9.0/24"), Scope: 8}.Option()}
				a.Answer[0].Data = dns.RData{6, 6, 6, 6}
			}
			return a
		}
		w.Change(func() { w.At("192.0.2.3").Hook = other })
		expect(t, "another network", w.askFrom("203.0.113.1", "www.example.com.", ""), "10.203.0.113")
		expect(t, "told", w.told(), "192.0.2.3:203.0.113.0/24 192.0.2.3:203.0.113.0/24")
		for _, rcode := range []dns.RCode{dns.RCodeRefused, dns.RCodeFormErr, dns.RCodeNotImp} {
			w.r.FlushAll()
			w.Change(func() {
				w.At("192.0.2.3").Hook = func(q, a *dns.Message, p transport.Proto) *dns.Message {
					if _, ok := q.EDNS.Option(dns.OptionECS); ok {
						a.RCode, a.Answer, a.EDNS = rcode, nil, nil
					}
					return a
				}
			})
			expect(t, rcode.String(), w.askFrom("203.0.113.1", "www.example.com.", ""), "10.9.9.9")
			expect(t, rcode.String()+", told", w.told(), "192.0.2.3:203.0.113.0/24")
			expect(t, rcode.String()+", another network", w.askFrom("198.51.100.1", "www.example.com.", ""), "10.9.9.9")
			expect(t, rcode.String()+", told again", w.told(), "")
		}
	})
}

// TestSubnetFailure: that a server fails for one network takes nothing from those for which there are answers.
func TestSubnetFailure(t *testing.T) {
	inWorld(t, subnetConfig("example.com."), "www 60 A 10.9.9.9", func(t *testing.T, w *world) {
		w.At("192.0.2.3").Hook = near(24)
		w.askFrom("203.0.113.1", "www.example.com.", "")
		w.Change(func() { w.At("192.0.2.3").Down = true })
		expect(t, "another network", w.askFrom("198.51.100.1", "www.example.com.", ""), "SERVFAIL")
		expect(t, "the first", w.askFrom("203.0.113.9", "www.example.com.", ""), "10.203.0.113")
		w.Change(func() { w.At("192.0.2.3").Down = false })
		time.Sleep(30 * time.Second)
		expect(t, "the other one later", w.askFrom("198.51.100.1", "www.example.com.", ""), "10.198.51.100")
	})
}

// TestSubnetDenied: denials are for everybody.
func TestSubnetDenied(t *testing.T) {
	inWorld(t, subnetConfig("example.com."), "@ 60 SOA ns h 1 2 3 4 60\nwww 60 TXT x", func(t *testing.T, w *world) {
		w.At("192.0.2.3").Hook = near(24)
		for _, name := range []string{"none.example.com.", "www.example.com."} {
			first := w.askFrom("203.0.113.1", name, "")
			w.told()
			expect(t, name, w.askFrom("198.51.100.1", name, ""), first)
			expect(t, name+" told", w.told(), "")
		}
	})
}

// TestSubnetRebirthday: many networks do not become as many queries on their way at
// the same time (CVE-2025-5994), also when those that are asked do not answer.
func TestSubnetRebirthday(t *testing.T) {
	for _, silent := range []bool{false, true} {
		inWorld(t, subnetConfig("example.com."), "www 60 A 10.9.9.9\nfirst 60 A 10.9.9.9", func(t *testing.T, w *world) {
			w.askFrom("203.0.113.1", "first.example.com.", "")
			w.Sent()
			var mu sync.Mutex
			onWay, most, all := 0, 0, 0
			w.Change(func() {
				s := w.At("192.0.2.3")
				s.Hook = func(q, a *dns.Message, p transport.Proto) *dns.Message {
					mu.Lock()
					onWay, all = onWay+1, all+1
					most = max(most, onWay)
					mu.Unlock()
					time.Sleep(300 * time.Millisecond)
					mu.Lock()
					onWay--
					mu.Unlock()
					if silent {
						return nil
					}
					return near(24)(q, a, p)
				}
			})
			var waits []func() []byte
			for i := range 200 {
				w.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i), 1}), 5353)
				waits = append(waits, w.start(pack(t, query("www.example.com.", dns.TypeA, 1232, false))))
				if i%20 == 19 {
					time.Sleep(100 * time.Millisecond)
				}
			}
			own := 0
			for i, wait := range waits {
				switch got := shortly(w.parse(wait())); {
				case got == fmt.Sprintf("10.198.51.%d", i):
					own++
				case got != "10.0.0.0" && !silent:
					t.Errorf("network %d got %s", i, got)
				}
			}
			if limit := 9 + 2; most > limit { // each may be asked for by a second query when it is slow: few may
				t.Errorf("silent %v: %d queries on their way at the same time", silent, most)
			}
			if !silent && own < 8 {
				t.Errorf("%d got what is near them", own)
			}
			t.Logf("silent %v: %d queries, %d at the same time, %d of 200 got what is near", silent, all, most, own)
		})
	}
}

// TestSubnetBounded: for one name answers for so many networks are kept.
func TestSubnetBounded(t *testing.T) {
	inWorld(t, subnetConfig("example.com."), "www 600 A 10.9.9.9", func(t *testing.T, w *world) {
		w.At("192.0.2.3").Hook = near(24)
		ask := func(i int) string { return w.askFrom(fmt.Sprintf("198.51.%d.1", i), "www.example.com.", "") }
		for round := range 2 {
			for i := range 200 {
				expect(t, fmt.Sprint(round, i), ask(i), fmt.Sprintf("10.198.51.%d", i))
			}
		}
		for _, s := range w.r.subnets.scopes {
			expect(t, "scopes", fmt.Sprint(len(s.list)), fmt.Sprint(mostScopes))
		}
		w.Sent()
		for i := 199; i > 199-mostScopes; i-- {
			ask(i)
		}
		expect(t, "the last ones are known", w.told(), "")
	})
}

// TestSubnetSigned: what is for one network is validated like the rest.
func TestSubnetSigned(t *testing.T) {
	inSignedWorld(t, subnetConfig("example."), [2]change{forge, nil}, func(t *testing.T, w *world) {
		for _, server := range []string{"192.0.2.3", "192.0.2.4"} {
			s := w.At(server)
			honest := s.Hook
			s.Hook = func(q, a *dns.Message, p transport.Proto) *dns.Message {
				if a = honest(q, a, p); a != nil && a.EDNS != nil {
					if o, ok := q.EDNS.Option(dns.OptionECS); ok {
						c, _ := o.ECS()
						c.Scope = 24
						a.EDNS.Options = append(a.EDNS.Options, c.Option())
					}
				}
				return a
			}
		}
		for i := range 20 {
			w.client = mustAddrPort(fmt.Sprintf("198.51.%d.1", i))
			a := w.ask(query("www.example.", dns.TypeA, 1232, true))
			if !a.Flags.Has(dns.FlagAD) || len(a.Answer) == 0 {
				t.Errorf("network %d, not validated: %s", i, text(a))
			}
			if w.told() == "" {
				t.Errorf("network %d was not told of", i)
			}
		}
		w.ask(query("www.example.", dns.TypeA, 1232, true))
		expect(t, "told again", w.told(), "")
	})
}
