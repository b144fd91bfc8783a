package local

import (
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/cache"
)

func show(sets []cache.RRset) string {
	var lines []string
	for _, s := range sets {
		for _, d := range s.Data {
			r := dns.Record{Name: s.Name, Type: s.Type, Class: dns.ClassIN, TTL: s.TTL, Data: d}
			lines = append(lines, strings.Join(strings.Fields(r.String()), " "))
		}
	}
	return strings.Join(lines, "\n")
}

// TestDiscovery has the records of RFC 9461 §4 to §6 and RFC 9606 §5, in the ways of
// this resolver.
func TestDiscovery(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	d := NewDiscovery([]dns.Name{dns.MustName("dns.example."), dns.MustName("other.example.")}, []Designation{
		{ALPN: []string{"dot"}, Port: 853, Addrs: addrs}, {ALPN: []string{"doq"}, Port: 8853}, {ALPN: []string{"h2", "h3"}, Port: 443, Path: "/dns-query", Addrs: addrs[:1]},
	}, []string{"qnamemin", "exterr=15-17", "infourl=https://resolver.example/guide"})
	const hints = "ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"
	for _, c := range []struct {
		name string
		typ  dns.Type
		want string
	}{
		{"_DNS.resolver.arpa.", dns.TypeSVCB, "_dns.resolver.arpa. 300 IN SVCB 1 dns.example. alpn=\"dot\" " + hints +
			"\n_dns.resolver.arpa. 300 IN SVCB 2 dns.example. alpn=\"doq\" port=8853" +
			"\n_dns.resolver.arpa. 300 IN SVCB 3 dns.example. alpn=\"h2,h3\" ipv4hint=192.0.2.1 dohpath=\"/dns-query{?dns}\""},
		{"_dns.other.example.", dns.TypeSVCB, "_dns.other.example. 300 IN SVCB 1 other.example. alpn=\"dot\" " + hints +
			"\n_dns.other.example. 300 IN SVCB 2 other.example. alpn=\"doq\" port=8853" +
			"\n_dns.other.example. 300 IN SVCB 3 other.example. alpn=\"h2,h3\" ipv4hint=192.0.2.1 dohpath=\"/dns-query{?dns}\""},
		{"resolver.arpa.", dns.TypeRESINFO, `resolver.arpa. 300 IN RESINFO "qnamemin" "exterr=15-17" "infourl=https://resolver.example/guide"`},
		{"dns.example.", dns.TypeRESINFO, `dns.example. 300 IN RESINFO "qnamemin" "exterr=15-17" "infourl=https://resolver.example/guide"`},
		{"_dns.resolver.arpa.", dns.TypeA, ""},
		{"_dns.third.example.", dns.TypeSVCB, ""},
		{"dns.example.", dns.TypeA, ""},
	} {
		a := d.Answer(dns.Question{Name: dns.MustName(c.name), Type: c.typ, Class: dns.ClassIN})
		got := ""
		if a != nil {
			for _, s := range a.Sets {
				for _, data := range s.Data {
					if err := dns.CheckRData(s.Type, data); err != nil {
						t.Errorf("%s: %v", c.name, err)
					}
				}
			}
			got = show(a.Sets)
		}
		if got != c.want {
			t.Errorf("%s %s\n got: %s\nwant: %s", c.name, c.typ, got, c.want)
		}
	}
	beside := d.Answer(dns.Question{Name: ddrName, Type: dns.TypeSVCB, Class: dns.ClassIN}).Additional
	if got := show(beside); got != "dns.example. 300 IN A 192.0.2.1\ndns.example. 300 IN AAAA 2001:db8::1" {
		t.Errorf("beside it: %s", got)
	}
}

// TestNothingToDesignate: without a name, or an encrypted listener, nobody is led
// anywhere, and the question goes no further (RFC 9462 §6.4).
func TestNothingToDesignate(t *testing.T) {
	q := dns.Question{Name: ddrName, Type: dns.TypeSVCB, Class: dns.ClassIN}
	for what, d := range map[string]*Discovery{
		"no name": NewDiscovery(nil, []Designation{{ALPN: []string{"dot"}, Port: 853}}, nil),
		"no way":  NewDiscovery([]dns.Name{dns.MustName("dns.example.")}, nil, nil),
		"nothing": nil,
	} {
		if a := d.Answer(q); a != nil {
			t.Errorf("%s: %s", what, show(a.Sets))
		}
	}
	if a := NewSpecial(nil).Answer(q); a == nil || a.RCode != dns.RCodeNoError || len(a.Sets) != 0 || len(a.Authority) != 1 {
		t.Errorf("resolver.arpa: %+v", a)
	}
}
