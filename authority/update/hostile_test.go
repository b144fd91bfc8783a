package update

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// The largest requests cost a fraction of a second, whatever is in them.
func TestHostileRequests(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub ANY")
	label := func(i int) dns.Name { return name(fmt.Sprintf("n%d", i)) }
	requests := map[string]func(u *dns.Update, i int){
		"one RRset":     func(u *dns.Update, i int) { u.Add(name("one"), 60, dns.TypeA, dns.RData{10, 0, byte(i >> 8), byte(i)}) },
		"two RRsets":    func(u *dns.Update, i int) { u.Add(label(i%2), 60, dns.TypeA, dns.RData{10, 0, byte(i >> 8), byte(i)}) },
		"many names":    func(u *dns.Update, i int) { u.Add(label(i), 60, dns.TypeA, dns.RData{10, 0, 0, 1}) },
		"many types":    func(u *dns.Update, i int) { u.Add(name("t"), 60, dns.Type(1000+i), dns.RData{1}) },
		"in and out":    func(u *dns.Update, i int) { u.Add(name("x"), 60, dns.TypeA, address("1")).DeleteName(name("x")) },
		"the apex":      func(u *dns.Update, i int) { u.DeleteName(origin).DeleteRRset(origin, dns.TypeNS) },
		"prerequisites": func(u *dns.Update, i int) { u.IfNoName(label(i)) },
		"one large RRset": func(u *dns.Update, i int) {
			u.IfRecord(name("www"), dns.TypeA, dns.RData{10, 0, byte(i >> 8), byte(i)})
		},
		"many small RRsets": func(u *dns.Update, i int) { u.IfRecord(label(i), dns.TypeA, address("1")) },
		"other spellings": func(u *dns.Update, i int) {
			u.Add(name([]string{"case", "CASE", "Case"}[i%3]), 60, dns.TypeA, dns.RData{10, 1, byte(i >> 8), byte(i)})
		},
	}
	for what, add := range requests {
		u := newUpdate()
		for i := 0; ; i++ {
			add(u, i)
			if i%100 != 99 {
				continue
			}
			if msg, err := u.Append(nil); err != nil || len(msg) > 60000 || i > 5000 {
				break
			}
		}
		m := u.Message()
		msg, err := u.Append(nil)
		for err != nil { // a little too much
			m.Authority = m.Authority[:max(0, len(m.Authority)-100)]
			m.Answer = m.Answer[:max(0, len(m.Answer)-100)]
			msg, err = u.Append(nil)
		}
		began := time.Now()
		code := rcode(t, f.ask(t, msg, transport.TCP))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: %d octets took %v (%v), expected a fraction of a second", what, len(msg), took, code)
		} else {
			t.Logf("%s: %d octets, %d and %d records: %v in %v", what, len(msg), len(m.Answer), len(m.Authority), code, took)
		}
	}
}

// A zone whose content is but the apex can be emptied no further.
func TestSmallestZone(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub ANY")
	f.zone.Publish(build(t, origin, "@ 60 SOA ns.other. h.other. 1 2 3 4 5\n@ 60 NS ns.other.\n").Current())
	v := f.zone.Current()
	for _, u := range []*dns.Update{
		newUpdate().DeleteName(origin), newUpdate().DeleteRRset(origin, dns.TypeNS), newUpdate().DeleteRRset(origin, dns.TypeSOA),
		newUpdate().Delete(origin, dns.TypeNS, rdata(dns.TypeNS, "ns.other.")),
		newUpdate().Delete(origin, dns.TypeSOA, rdata(dns.TypeSOA, "ns.other. h.other. 1 2 3 4 5")),
	} {
		if got := f.update(t, u); got != dns.RCodeNoError || f.zone.Current() != v {
			t.Errorf("%v: %v, expected NOERROR and the same version", u.Message().Authority, got)
		}
	}
}

// FuzzUpdate sends what it likes as the sections of a request, behind the zone
// section. Whatever comes of it, the zone stays one.
func FuzzUpdate(f *testing.F) {
	for _, u := range []*dns.Update{
		newUpdate().IfName(name("www")).IfNoRRset(name("www"), dns.TypeMX).Add(name("new"), 60, dns.TypeA, address("1")),
		newUpdate().IfRecord(name("alias"), dns.TypeCNAME, rdata(dns.TypeCNAME, "www")).DeleteName(name("alias")),
		newUpdate().DeleteName(origin).Add(origin, 1, dns.TypeSOA, rdata(dns.TypeSOA, "ns1 host 9 1 1 1 1")),
		newUpdate().Add(name("a"), 1, dns.TypeRRSIG, rdata(dns.TypeRRSIG, "NSEC3 13 1 1 20300101000000 20200101000000 1 example. AAAA")),
		newUpdate().Add(name("w"), 1, dns.TypeWKS, rdata(dns.TypeWKS, "192.0.2.1 TCP 25")).Delete(name("w"), dns.TypeWKS, rdata(dns.TypeWKS, "192.0.2.1 TCP 25")),
	} {
		m := u.Message()
		msg, _ := u.Append(nil)
		f.Add(uint16(len(m.Answer)), uint16(len(m.Authority)), msg[12+origin.Len()+4:])
	}
	f.Add(uint16(1), uint16(0), []byte{0xC0, 0x0C, 0xC0, 0x19})
	head, _ := newUpdate().Append(nil)
	f.Fuzz(func(t *testing.T, needs, dos uint16, records []byte) {
		msg := append(append([]byte(nil), head...), records...)
		if len(msg) > dns.MaxMessageLen {
			return
		}
		binary.BigEndian.PutUint16(msg[6:], needs)
		binary.BigEndian.PutUint16(msg[8:], dos)
		fx := newFixture(t, Options{}, "grant any zonesub ANY")
		fx.ask(t, msg, transport.TCP)
		v := fx.zone.Current()
		if v.SOA().IsZero() || !v.Apex().Has(dns.TypeNS) {
			t.Fatalf("%x: the apex has lost SOA or NS", msg)
		}
		for r := range v.Records() {
			if err := dns.CheckRData(r.Type, r.Data); err != nil || !r.Name.IsSubdomainOf(origin) {
				t.Fatalf("%x: the zone has %v: %v", msg, r, err)
			}
			n := v.Find(r.Name.Append(nil))
			if r.Type == dns.TypeCNAME && (n.Has(dns.TypeA) || n.Has(dns.TypeTXT)) {
				t.Fatalf("%x: %s has a CNAME beside other records", msg, r.Name)
			}
		}
	})
}
