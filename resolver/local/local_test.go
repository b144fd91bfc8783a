package local

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
)

func describe(a *Answer) string {
	if a == nil {
		return "not local"
	}
	text := a.RCode.String()
	for _, s := range a.Sets {
		for _, d := range s.Data {
			text += " " + dns.Record{Name: s.Name, Type: s.Type, Class: dns.ClassIN, TTL: s.TTL, Data: d}.String()
		}
	}
	for _, s := range a.Authority {
		text += " | " + s.Name.String() + " " + s.Type.String()
	}
	return strings.ReplaceAll(text, "\t", " ")
}

func TestSpecialNames(t *testing.T) {
	s := NewSpecial([]dns.Name{dns.MustName("TEST.")})
	for question, want := range map[string]string{
		"localhost. A":                 "NOERROR localhost. 10800 IN A 127.0.0.1",
		"a.b.LocalHost. A":             "NOERROR a.b.LocalHost. 10800 IN A 127.0.0.1",
		"localhost. AAAA":              "NOERROR localhost. 10800 IN AAAA ::1",
		"localhost. MX":                "NOERROR | localhost. SOA",
		"invalid. A":                   "NXDOMAIN | invalid. SOA",
		"a.invalid. TXT":               "NXDOMAIN | invalid. SOA",
		"x.local. A":                   "NXDOMAIN | local. SOA",
		"x.onion. A":                   "NXDOMAIN | onion. SOA",
		"x.alt. A":                     "NXDOMAIN | alt. SOA",
		"x.test. A":                    "not local", // excepted
		"example.com. A":               "not local",
		"nlocalhost. A":                "not local",
		"arpa. NS":                     "not local",
		"in-addr.arpa. NS":             "not local",
		"ipv4only.arpa. A":             "not local",
		"home.arpa. SOA":               "NOERROR home.arpa. 10800 IN SOA home.arpa. nobody.invalid. 1 3600 1200 604800 10800",
		"home.arpa. NS":                "NOERROR home.arpa. 10800 IN NS home.arpa.",
		"home.arpa. DS":                "not local",
		"tv.home.arpa. A":              "NXDOMAIN | home.arpa. SOA",
		"resolver.arpa. A":             "NOERROR | resolver.arpa. SOA",
		"_dns.resolver.arpa. SVCB":     "NOERROR | resolver.arpa. SOA",
		"1.2.3.10.in-addr.arpa. PTR":   "NXDOMAIN | 10.in-addr.arpa. SOA",
		"1.2.31.172.in-addr.arpa. PTR": "NXDOMAIN | 31.172.in-addr.arpa. SOA",
		"1.2.32.172.in-addr.arpa. PTR": "not local",
		"1.2.64.100.in-addr.arpa. PTR": "NXDOMAIN | 64.100.in-addr.arpa. SOA",
		"1.0.0.127.in-addr.arpa. PTR":  "NOERROR 1.0.0.127.in-addr.arpa. 10800 IN PTR localhost.",
		"1.0.0.127.in-addr.arpa. A":    "NOERROR | 127.in-addr.arpa. SOA",
		"2.0.0.127.in-addr.arpa. PTR":  "NXDOMAIN | 127.in-addr.arpa. SOA",
		Reverse(netip.MustParseAddr("::1")).String() + " PTR":     "NOERROR " + Reverse(netip.MustParseAddr("::1")).String() + " 10800 IN PTR localhost.",
		Reverse(netip.MustParseAddr("fe80::1")).String() + " PTR": "NXDOMAIN | 8.e.f.ip6.arpa. SOA",
		Reverse(netip.MustParseAddr("2600::1")).String() + " PTR": "not local",
	} {
		name, typ, _ := strings.Cut(question, " ")
		qtype, ok := dns.ParseType(typ)
		if !ok {
			t.Fatal(question)
		}
		got := describe(s.Answer(dns.Question{Name: dns.MustName(name), Type: qtype, Class: dns.ClassIN}))
		if got != want {
			t.Errorf("%s\n got: %s\nwant: %s", question, got, want)
		}
	}
	if a := s.Answer(dns.Question{Name: dns.MustName("localhost."), Type: dns.TypeA, Class: dns.ClassCH}); a != nil {
		t.Errorf("class CH: %s", describe(a))
	}
}

func TestHostsProblems(t *testing.T) {
	var text strings.Builder
	text.WriteString("192.0.2.1 good\n192.0.2.2\nnonsense here\nfe80::1%lo0 scoped\n192.0.2.3 bad..name fine\n192.0.2.4 . \n\x00\xff junk\n# comment\n\n")
	for range 100 {
		text.WriteString("more nonsense\n")
	}
	h, problems, err := ReadHosts(strings.NewReader(text.String()), "hosts")
	if err != nil {
		t.Fatal(err)
	}
	if h.Len() != 2 || len(problems) != maxProblems {
		t.Errorf("%d names and %d problems, expected 2 and %d", h.Len(), len(problems), maxProblems)
	}
	for i, want := range []string{"hosts:2:1: an address without a name", "hosts:3:1: \"nonsense\" is not an address", "hosts:4:1:", "hosts:5:1: \"bad..name\" is not a host name", "hosts:6:1:", "hosts:7:1:"} {
		if !strings.HasPrefix(problems[i], want) {
			t.Errorf("problem %d: %s, expected %s", i, problems[i], want)
		}
	}
	if _, _, err := ReadHosts(strings.NewReader(strings.Repeat("x", 1<<20)), "hosts"); err == nil {
		t.Error("a line of a megabyte was accepted")
	}
}

func TestHostsManyAddresses(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "10.0.0.%d many\n10.0.0.%d many\n", i, i)
	}
	h, _, err := ReadHosts(strings.NewReader(text.String()), "hosts")
	if err != nil {
		t.Fatal(err)
	}
	a := h.Answer(dns.Question{Name: dns.MustName("many."), Type: dns.TypeA, Class: dns.ClassIN})
	if n := len(a.Sets[0].Data); n != maxHostAddrs {
		t.Errorf("%d addresses, expected %d", n, maxHostAddrs)
	}
}

func FuzzReadHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 localhost ip6-localhost # c\n", "localhost")
	f.Add("1.2.3.4 a\\.b \\300 x\r\n", "x")
	f.Fuzz(func(t *testing.T, text, ask string) {
		h, problems, err := ReadHosts(strings.NewReader(text), "hosts")
		if err != nil {
			return
		}
		if len(problems) > maxProblems {
			t.Errorf("%d problems", len(problems))
		}
		name, err := dns.ParseName(ask)
		if err != nil {
			return
		}
		for _, typ := range []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypePTR} {
			a := h.Answer(dns.Question{Name: name, Type: typ, Class: dns.ClassIN})
			if a == nil {
				continue
			}
			for _, s := range a.Sets {
				for _, d := range s.Data {
					if err := dns.CheckRData(s.Type, d); err != nil {
						t.Errorf("%s %s: %x: %v", name, typ, d, err)
					}
				}
			}
		}
	})
}
