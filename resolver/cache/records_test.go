package cache

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

var compareNames = cmp.Comparer(func(a, b dns.Name) bool { return a == b })
var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestRecordsRoundTrip(t *testing.T) {
	r := NewRecords(1 << 20)
	name, zone := dns.MustName("WWW.Example.com."), dns.MustName("example.com.")
	proof := RRset{Name: zone, Type: dns.TypeNSEC, TTL: 60, Data: []dns.RData{{0, 0, 1, 2}}, Sigs: []dns.RData{{9, 9}}}
	set := RRset{Name: name, Type: dns.TypeA, TTL: 60, Data: []dns.RData{{1, 2, 3, 4}, {5, 6, 7, 8}}, Sigs: []dns.RData{{1}, {2}}, Proof: []RRset{proof}}
	r.PutRRset(&set, TrustAuthority, zone, 1000, 1060)
	got, ok := r.RRset(dns.MustName("www.example.COM."), dns.TypeA, 1020)
	set.TTL, set.Proof[0].TTL = 40, 40
	want := Entry{Trust: TrustAuthority, Zone: zone, Expire: 1060, Sets: []RRset{set}}
	if diff := cmp.Diff(want, got, compareNames); !ok || diff != "" {
		t.Errorf("RRset (-want +got):\n%s", diff)
	}
	if _, ok = r.RRset(name, dns.TypeA, 1060); ok {
		t.Error("an RRset outlived its TTL")
	}
	if _, ok = r.RRset(name, dns.TypeAAAA, 1020); ok {
		t.Error("another type was found")
	}

	d := &Delegation{Zone: zone, Parent: dns.MustName("com."), Granted: 1000, Expire: 2000, Servers: []NameServer{
		{Name: dns.MustName("ns1.example.com."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		{Name: dns.MustName("ns.elsewhere.net.")},
	}}
	r.PutDelegation(d, 1000)
	gotD, _ := r.Delegation(zone, 1500)
	if diff := cmp.Diff(d, gotD, compareNames, compareAddrs); diff != "" {
		t.Errorf("delegation (-want +got):\n%s", diff)
	}
	if d.Due(1899) || !d.Due(1901) || !d.Due(3000) {
		t.Error("a lease is due when less than a tenth is left")
	}

	f := Failure{Count: 3, Code: dns.EDENetworkError, Text: "why", Expire: 1010}
	r.PutFailure(name, dns.TypeA, f, 1000)
	if gotF, ok := r.Failure(name, dns.TypeA); !ok || gotF != f {
		t.Errorf("failure: %+v, expected %+v", gotF, f)
	}
	if r.DropFailure(name, dns.TypeA); r.Len() != 2 {
		t.Errorf("%d entries, expected 2", r.Len())
	}
	if n := r.Forget(Below(zone)); n != 2 {
		t.Errorf("%d entries flushed, expected 2", n)
	}
}

// TestCredibility: worse data does not replace better data that is alive
// (RFC 2181 §5.4.1).
func TestCredibility(t *testing.T) {
	r := NewRecords(1 << 20)
	name := dns.MustName("www.example.com.")
	put := func(last byte, trust Trust, now uint32) {
		r.PutRRset(&RRset{Name: name, Type: dns.TypeA, Data: []dns.RData{{192, 0, 2, last}}}, trust, dns.Root, now, now+100)
	}
	check := func(what string, now uint32, last byte) {
		t.Helper()
		if e, ok := r.RRset(name, dns.TypeA, now); !ok || e.Sets[0].Data[0][3] != last {
			t.Errorf("%s: %+v, expected 192.0.2.%d", what, e, last)
		}
	}
	put(1, TrustAnswer, 0)
	put(2, TrustAuthority, 0)
	check("better data replaces worse", 1, 2)
	put(3, TrustAnswer, 1)
	check("worse data does not replace better", 1, 2)
	put(4, TrustAuthority, 2)
	check("newer data replaces what is as good", 2, 4)
	put(5, TrustAnswer, 102)
	check("worse data replaces what has expired", 102, 5)
}

func TestRecordsRefuseTooMany(t *testing.T) {
	r := NewRecords(1 << 20)
	set := RRset{Name: dns.Root, Type: dns.TypeTXT, Data: make([]dns.RData, 1<<16)}
	if r.PutRRset(&set, TrustAuthority, dns.Root, 0, 10) {
		t.Error("65,536 records were taken")
	}
}

func TestBogus(t *testing.T) {
	r := NewRecords(1 << 20)
	name := dns.MustName("www.example.com.")
	want := dns.EDE{Code: dns.EDESignatureExpired, Text: "old"}
	r.PutBogus(name, dns.TypeA, want, 1000, 1060)
	if got, expire, ok := r.Bogus(dns.MustName("WWW.example.com."), dns.TypeA, 1059); !ok || got != want || expire != 1060 {
		t.Errorf("%v until %d, %v", got, expire, ok)
	}
	if _, _, ok := r.Bogus(name, dns.TypeA, 1060); ok {
		t.Error("it is remembered for too long")
	}
	if _, _, ok := r.Bogus(name, dns.TypeAAAA, 1000); ok {
		t.Error("another type is said to be bogus")
	}
}

func TestDrop(t *testing.T) {
	r := NewRecords(1 << 20)
	name, zone := dns.MustName("www.example.com."), dns.MustName("example.com.")
	put := func() {
		for _, typ := range []dns.Type{dns.TypeA, dns.TypeMX, dns.TypeCNAME} {
			r.PutRRset(&RRset{Name: name, Type: typ, Data: []dns.RData{{1, 2, 3, 4}}}, TrustAuthority, zone, 1000, 1060)
		}
		e := Entry{Trust: TrustAuthority, Zone: zone, Expire: 1060}
		r.PutNoData(name, dns.TypeA, e, 1000)
		r.PutNXDomain(name, e, 1000)
	}
	put()
	r.Drop(dns.MustName("WWW.example.com."), dns.TypeA)
	_, a := r.RRset(name, dns.TypeA, 1001)
	_, alias := r.RRset(name, dns.TypeCNAME, 1001)
	_, noData := r.NoData(name, dns.TypeA, 1001)
	_, noName := r.NXDomain(name, 1001)
	if a || alias || noData || noName {
		t.Errorf("still there: RRset %v, alias %v, NODATA %v, NXDOMAIN %v", a, alias, noData, noName)
	}
	if _, ok := r.RRset(name, dns.TypeMX, 1001); !ok {
		t.Error("another type is gone, too")
	}
}
