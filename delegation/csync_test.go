package delegation

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// synced is a child that serves what its delegation has, and asks to be synchronized.
func synced(t *testing.T) *child {
	c := newChild(t, "child.tld.")
	c.set(c.name, dns.TypeCSYNC, "10 3 NS A AAAA")
	c.set(c.name, dns.TypeNS, "ns1.child.tld.", "ns2.child.tld.")
	c.address("ns1.child.tld.", "192.0.2.1", "")
	c.address("ns2.child.tld.", "192.0.2.2", "")
	return c
}

// address sets the addresses of a host, with a proof that the types that it has not are not
// there.
func (c *child) address(host, a, aaaa string) {
	name := dns.MustName(host)
	types := []dns.Type{dns.TypeRRSIG, dns.TypeNSEC}
	for _, x := range []struct {
		t    dns.Type
		text string
	}{{dns.TypeA, a}, {dns.TypeAAAA, aaaa}} {
		if x.text != "" {
			c.set(name, x.t, x.text)
			types = append(types, x.t)
		} else {
			c.set(name, x.t)
		}
	}
	nsec := dns.Record{Name: name, Type: dns.TypeNSEC, Class: dns.ClassIN, TTL: 1, Data: dns.NSEC{Next: c.name, Types: dns.AppendTypeBitmap(nil, types...)}.RData()}
	for _, typ := range glueTypes {
		c.denial[dns.Question{Name: name, Type: typ, Class: dns.ClassIN}] = nsec
	}
}

func syncHouse(t *testing.T, c *child) *house {
	h := newHouse(t, delegated+dsLine(c, c.ksk[0]), Policy{CSYNC: true}, nil)
	h.serveChild(c)
	return h
}

// TestSync: a name server goes, another one comes with two addresses.
func TestSync(t *testing.T) {
	c := synced(t)
	h := syncHouse(t, c)
	if r := h.look("child.tld."); r.CSYNC.Verdict != Unchanged || r.CSYNC.Why != "NS and glue are as CSYNC has them" {
		t.Fatalf("%+v", r.CSYNC)
	}
	c.set(c.name, dns.TypeNS, "ns2.child.tld.", "ns3.child.tld.")
	c.address("ns3.child.tld.", "192.0.2.3", "2001:db8::3")
	h.net.set("192.0.2.3", c.serveOn)
	if r := h.look("child.tld."); r.CSYNC.Verdict != Waits || !strings.Contains(r.CSYNC.Why, "new name server ns3.child.tld. (2001:db8::3)") {
		t.Fatalf("a new server that does not answer at one address: %+v", r.CSYNC)
	}
	h.net.set("2001:db8::3", c.serveOn)
	r := h.look("child.tld.")
	if r.CSYNC.Verdict != Changed || r.DS.Looked {
		t.Fatalf("%+v", r)
	}
	for _, x := range []struct {
		name string
		typ  dns.Type
		want []string
	}{
		{"child.tld.", dns.TypeNS, []string{"ns2.child.tld.", "ns3.child.tld."}},
		{"ns1.child.tld.", dns.TypeA, nil},
		{"ns2.child.tld.", dns.TypeA, []string{"192.0.2.2"}},
		{"ns3.child.tld.", dns.TypeA, []string{"192.0.2.3"}},
		{"ns3.child.tld.", dns.TypeAAAA, []string{"2001:db8::3"}},
	} {
		if diff := cmp.Diff(x.want, h.has(x.name, x.typ)); diff != "" {
			t.Errorf("%s %s: %s", x.name, x.typ, diff)
		}
	}
	if ns, _ := h.zone.Current().Find([]byte(c.name.Wire())).RRset(dns.TypeNS); ns.TTL() != 3600 {
		t.Errorf("TTL %d: the parent's is the parent's to say", ns.TTL())
	}
}

// TestSyncSiblingGlue: glue that another delegation leads to stays.
func TestSyncSiblingGlue(t *testing.T) {
	c := synced(t)
	h := newHouse(t, delegated+dsLine(c, c.ksk[0])+"sister NS ns1.child\n", Policy{CSYNC: true}, nil)
	h.serveChild(c)
	c.set(c.name, dns.TypeNS, "ns2.child.tld.")
	if r := h.look("child.tld."); r.CSYNC.Verdict != Changed {
		t.Fatalf("%+v", r.CSYNC)
	}
	if diff := cmp.Diff([]string{"192.0.2.1"}, h.has("ns1.child.tld.", dns.TypeA)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"ns2.child.tld."}, h.has("child.tld.", dns.TypeNS)); diff != "" {
		t.Error(diff)
	}
}

// TestSyncRules: what is not followed, or not yet.
func TestSyncRules(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(h *house, c *child)
		want   Verdict
		why    string
	}{
		{"no CSYNC", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC) }, Unchanged, "no CSYNC"},
		{"two of them", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "10 3 NS", "11 3 NS") }, Refused, "2 CSYNC records"},
		{"an unknown flag", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "10 7 NS") }, Refused, "flags that are not known"},
		{"another type", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "10 3 NS MX") }, Refused, "asks for MX"},
		{"nobody has approved it", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "10 2 NS") }, Waits, "approve"},
		{"of a serial to come", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "11 3 NS") }, Waits, "has serial 10, and CSYNC is for 11"},
		{"any serial", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "4000000000 1 NS A AAAA") }, Changed, ""},
		{"of a serial long ago, by RFC 1982", func(_ *house, c *child) { c.set(c.name, dns.TypeCSYNC, "4294967290 3 NS A AAAA") }, Changed, ""},
		{"no name server", func(_ *house, c *child) { c.set(c.name, dns.TypeNS) }, Refused, "has no NS"},
		{"not signed", func(_ *house, c *child) { c.zsk = nil }, Refused, "not signed by a key that counts"},
		{"NS not signed", func(_ *house, c *child) { c.overridden[c.at(dns.TypeNS)] = signedBy(c, dns.TypeNS, nil) }, Refused, "NS is not signed"},
		{"servers differ", func(h *house, c *child) {
			d := c.clone()
			d.set(c.name, dns.TypeNS, "ns1.child.tld.")
			h.net.set("192.0.2.1", d.serveOn)
		}, Waits, "NS differs"},
		{"addresses differ", func(h *house, c *child) {
			d := c.clone()
			d.address("ns2.child.tld.", "192.0.2.99", "")
			h.net.set("192.0.2.1", d.serveOn)
		}, Waits, "ns2.child.tld. A differs"},
		{"no glue for a server of its own", func(_ *house, c *child) {
			c.set(c.name, dns.TypeNS, "ns2.child.tld.", "ns4.child.tld.")
			c.address("ns4.child.tld.", "", "")
		}, Refused, "ns4.child.tld. would have no glue"},
		{"no glue is asked for", func(_ *house, c *child) {
			c.set(c.name, dns.TypeCSYNC, "10 3 NS")
			c.set(c.name, dns.TypeNS, "ns2.child.tld.", "ns4.child.tld.")
		}, Refused, "ns4.child.tld. would have no glue"},
		{"an address that is not there, and no proof", func(_ *house, c *child) { c.denial = nil }, Refused, "has no AAAA is not proven"},
		{"a proof of something else", func(_ *house, c *child) {
			for q, d := range c.denial {
				d.Name = dns.MustName("other.child.tld.")
				c.denial[q] = d
			}
		}, Refused, "is not proven"},
		{"an expansion of a wildcard", func(_ *house, c *child) {
			q := dns.Question{Name: dns.MustName("ns2.child.tld."), Type: dns.TypeA, Class: dns.ClassIN}
			set := c.sets[q]
			m := &dns.Message{Flags: dns.FlagQR | dns.FlagAA, Answer: []dns.Record{{Name: q.Name, Type: q.Type, Class: dns.ClassIN, TTL: 1, Data: set[0]}}}
			for _, r := range c.sign(dns.MustName("*.child.tld."), q.Type, set, c.zsk) {
				r.Name = q.Name
				m.Answer = append(m.Answer, r)
			}
			c.overridden[q] = m
		}, Refused, "wildcard"},
		{"a new server that does not serve it", func(h *house, c *child) {
			c.set(c.name, dns.TypeNS, "ns2.child.tld.", "ns3.child.tld.")
			c.address("ns3.child.tld.", "192.0.2.3", "")
			d := c.clone()
			d.noAA = true
			h.net.set("192.0.2.3", d.serveOn)
		}, Waits, "ns3.child.tld. (192.0.2.3): the answer is not authoritative"},
		{"a new server with other keys", func(h *house, c *child) {
			c.set(c.name, dns.TypeNS, "ns2.child.tld.", "ns3.child.tld.")
			c.address("ns3.child.tld.", "192.0.2.3", "")
			h.net.set("192.0.2.3", newChild(h.t, "child.tld.").serveOn)
		}, Waits, "no key of the DNSKEY set has a DS"},
		{"a zone that changes meanwhile", func(h *house, c *child) {
			d := c.clone()
			d.set(c.name, dns.TypeSOA, "ns1. h. 11 1 1 1 1")
			var asked atomic.Bool
			h.net.set("192.0.2.1", func(conn net.Conn) {
				if asked.Swap(true) {
					d.serveOn(conn)
				} else {
					c.serveOn(conn)
				}
			})
		}, Waits, "has changed while it was looked at"},
		{"in good order", func(*house, *child) {}, Changed, "CSYNC has them"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := synced(t)
			h := syncHouse(t, c)
			before := h.has("child.tld.", dns.TypeNS)
			c.set(c.name, dns.TypeNS, "ns2.child.tld.")
			x.change(h, c)
			r := h.look("child.tld.")
			if r.CSYNC.Verdict != x.want || !strings.Contains(r.CSYNC.Why, x.why) {
				t.Errorf("%s, since %q; expected %s, since %q", r.CSYNC.Verdict, r.CSYNC.Why, x.want, x.why)
			}
			if changed := !cmp.Equal(before, h.has("child.tld.", dns.TypeNS)); changed != (x.want == Changed) {
				t.Errorf("the delegation has changed: %v", changed)
			}
		})
	}
}

// TestSyncInsecure: without DNSSEC nobody knows who asks.
func TestSyncInsecure(t *testing.T) {
	c := synced(t)
	h := newHouse(t, delegated, Policy{CSYNC: true}, nil)
	h.serveChild(c)
	if r := h.look("child.tld."); r.CSYNC.Verdict != Refused || !strings.Contains(r.CSYNC.Why, "not secure") {
		t.Errorf("%+v", r.CSYNC)
	}
}

// TestSyncApproved: a person says yes to what is not immediate.
func TestSyncApproved(t *testing.T) {
	c := synced(t)
	c.set(c.name, dns.TypeCSYNC, "10 2 NS A AAAA")
	c.set(c.name, dns.TypeNS, "ns2.child.tld.")
	h := syncHouse(t, c)
	r, err := h.desk.Look(t.Context(), h.id, c.name, true)
	if err != nil || r.CSYNC.Verdict != Changed {
		t.Errorf("%+v, %v", r.CSYNC, err)
	}
}

// TestBothSides: DS first, then NS under the new DS; a scan does both.
func TestBothSides(t *testing.T) {
	inTime(t, func(t *testing.T, clock func() time.Time) {
		c := synced(t)
		old := c.ksk[0]
		h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true, CSYNC: true, Scan: time.Minute}, func(o *Options) { o.Clock = clock })
		h.serveChild(c)
		next := newKey(t, 13, 257)
		c.ksk = append(c.ksk, next)
		c.publish(next)
		c.set(c.name, dns.TypeNS, "ns2.child.tld.")
		defer h.start(t)()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(c.dsText(next), h.has("child.tld.", dns.TypeDS)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"ns2.child.tld."}, h.has("child.tld.", dns.TypeNS)); diff != "" {
			t.Errorf("%s\n%+v", diff, h.desk.State(h.id, c.name).Last)
		}
		if len(h.changes) != 2 {
			t.Errorf("%d changes", len(h.changes))
		}
	})
}
