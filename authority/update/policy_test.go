package update

import (
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/transport"
)

// Each line is a policy, then what it decides: WHO NAME TYPE OP, granted or not.
// WHO is an address, then key:NAME or sig0:NAME, then tcp.
func TestPolicy(t *testing.T) {
	for _, c := range []struct{ policy, asked, want string }{
		{"", "192.0.2.1 a. A add", "no"},
		{"grant any zonesub", "192.0.2.1 a. A add", "yes"},
		{"grant any zonesub", "192.0.2.1 a. A delete", "yes"},
		{"grant any zonesub", "192.0.2.1 a. NS add", "no"},
		{"grant any zonesub", "192.0.2.1 a. DNSKEY add", "no"},
		{"grant any zonesub ANY", "192.0.2.1 a. DNSKEY add", "yes"},
		{"grant any zonesub A NS", "192.0.2.1 a. NS add", "yes"},
		{"grant any zonesub A NS", "192.0.2.1 a. TXT add", "no"},
		{"deny any name a.\ngrant any zonesub", "192.0.2.1 A. A add", "no"},
		{"deny any name a.\ngrant any zonesub", "192.0.2.1 b.a. A add", "yes"},
		{"deny any name a. TXT\ngrant any zonesub", "192.0.2.1 a. A add", "yes"},
		{"grant any zonesub ops=add", "192.0.2.1 a. A add", "yes"},
		{"grant any zonesub ops=add", "192.0.2.1 a. A delete", "no"},
		{"grant any zonesub ops=add,delete", "192.0.2.1 a. A delete", "yes"},
		{"grant any subdomain a.b.", "192.0.2.1 x.A.B. A add", "yes"},
		{"grant any subdomain a.b.", "192.0.2.1 a.b. A add", "yes"},
		{"grant any subdomain a.b.", "192.0.2.1 xa.b. A add", "no"},
		{"grant any wildcard *.a.", "192.0.2.1 x.y.a. A add", "yes"},
		{"grant any wildcard *.a.", "192.0.2.1 a. A add", "no"},
		{"grant 192.0.2.0/24 zonesub", "192.0.2.1 a. A add", "yes"},
		{"grant 192.0.2.0/24 zonesub", "192.0.3.1 a. A add", "no"},
		{"grant 192.0.2.0/24,2001:db8::/32 zonesub", "2001:db8::1 a. A add", "yes"},
		{"grant signed zonesub", "192.0.2.1 a. A add", "no"},
		{"grant signed zonesub", "192.0.2.1 key:k. a. A add", "yes"},
		{"grant signed zonesub", "192.0.2.1 sig0:k. a. A add", "yes"},
		{"grant tsig zonesub", "192.0.2.1 sig0:k. a. A add", "no"},
		{"grant sig0 zonesub", "192.0.2.1 key:k. a. A add", "no"},
		{"grant key:k. zonesub", "192.0.2.1 key:K. a. A add", "yes"},
		{"grant key:k. zonesub", "192.0.2.1 sig0:k. a. A add", "no"},
		{"grant sig0:k. zonesub", "192.0.2.1 key:k. a. A add", "no"},
		{"grant key:k. zonesub", "192.0.2.1 a. A add", "no"},
		{"grant key:k.,10.0.0.0/8 zonesub", "10.1.2.3 a. A add", "yes"},
		{"grant 192.0.2.0/24+key:k. zonesub", "192.0.3.1 key:k. a. A add", "no"},
		{"grant 192.0.2.0/24+key:k. zonesub", "192.0.2.1 key:k. a. A add", "yes"},
		{"grant 192.0.2.0/24+signed zonesub", "192.0.2.1 a. A add", "no"},
		{"grant key:*.k. zonesub", "192.0.2.1 key:a.b.k. a. A add", "yes"},
		{"grant key:*.k. zonesub", "192.0.2.1 key:k. a. A add", "no"},
		{"grant signed self", "192.0.2.1 key:h.a. h.a. A add", "yes"},
		{"grant signed self", "192.0.2.1 key:h.a. x.h.a. A add", "no"},
		{"grant any self", "192.0.2.1 h.a. A add", "no"},
		{"grant signed selfsub", "192.0.2.1 key:h.a. x.h.a. A add", "yes"},
		{"grant signed selfsub", "192.0.2.1 key:h.a. h.a. A add", "yes"},
		{"grant signed selfwild", "192.0.2.1 key:h.a. h.a. A add", "no"},
		{"grant signed selfwild", "192.0.2.1 key:h.a. x.h.a. A add", "yes"},
		{"grant any tcp-self PTR", "192.0.2.10 tcp 10.2.0.192.in-addr.arpa. PTR add", "yes"},
		{"grant any tcp-self PTR", "192.0.2.10 10.2.0.192.in-addr.arpa. PTR add", "no"},
		{"grant any tcp-self PTR", "192.0.2.11 tcp 10.2.0.192.in-addr.arpa. PTR add", "no"},
		{"grant any tcp-self PTR", "2001:db8::1 tcp 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR add", "yes"},
	} {
		words := strings.Fields(c.asked)
		client := Client{Addr: netip.MustParseAddr(words[0])}
		words = words[1:]
		if kind, key, ok := strings.Cut(words[0], ":"); ok {
			client.Key, client.Kind = dns.MustName(key), map[string]Kind{"key": TSIG, "sig0": SIG0}[kind]
			words = words[1:]
		}
		if words[0] == "tcp" {
			client.Proto = transport.TCP
			words = words[1:]
		}
		typ, _ := dns.ParseType(words[1])
		op := map[string]Ops{"add": Add, "delete": Delete}[words[2]]
		rule := mustPolicy(t, c.policy).Find(&client, dns.MustName(words[0]), typ, op)
		if rule.grants() != (c.want == "yes") {
			t.Errorf("%q: %s: %v, expected %s", c.policy, c.asked, rule, c.want)
		}
	}
}

// Bounds of rules hold for what is added, and a name goes as a whole only where all
// of it may.
func TestPolicyBounds(t *testing.T) {
	many := newUpdate()
	for _, last := range []string{"10", "11", "12"} {
		many.Add(name("many"), 60, dns.TypeA, address(last))
	}
	for _, c := range []struct {
		what, policy string
		u            *dns.Update
		want         dns.RCode
	}{
		{"TTL too small", "grant any zonesub ttl=60-3600", newUpdate().Add(name("n"), 59, dns.TypeA, address("1")), dns.RCodeRefused},
		{"TTL too great", "grant any zonesub ttl=60-3600", newUpdate().Add(name("n"), 3601, dns.TypeA, address("1")), dns.RCodeRefused},
		{"TTL", "grant any zonesub ttl=60-3600", newUpdate().Add(name("n"), 3600, dns.TypeA, address("1")), dns.RCodeNoError},
		{"deletions have no TTL", "grant any zonesub ttl=60-", newUpdate().DeleteRRset(name("www"), dns.TypeA), dns.RCodeNoError},
		{"too many of a type", "grant any zonesub A(2)", many, dns.RCodeRefused},
		{"as many of a type", "grant any zonesub A(3)", many, dns.RCodeNoError},
		{"too many of a name", "grant any zonesub records=2", many, dns.RCodeRefused},
		{"with those that are there", "grant any zonesub records=3", newUpdate().Add(name("www"), 60, dns.TypeA, address("9")), dns.RCodeRefused},
		{"a name with another's type", "grant any zonesub A", newUpdate().DeleteName(name("www")), dns.RCodeRefused},
		{"a name with all types", "grant any zonesub A TXT", newUpdate().DeleteName(name("www")), dns.RCodeNoError},
		{"a name of nobody's", "grant any name www.example.", newUpdate().DeleteName(name("none")), dns.RCodeRefused},
		{"the apex keeps what it must have", "grant any zonesub", newUpdate().DeleteName(origin), dns.RCodeNoError},
		{"the apex", "grant any zonesub", newUpdate().Add(origin, 60, dns.TypeNS, rdata(dns.TypeNS, "ns3")), dns.RCodeRefused},
		{"delete only, an addition", "grant any zonesub ops=delete", newUpdate().Add(name("n"), 60, dns.TypeA, address("1")), dns.RCodeRefused},
		{"add only, a deletion", "grant any zonesub ops=add", newUpdate().DeleteName(name("www")), dns.RCodeRefused},
	} {
		if got := newFixture(t, Options{}, c.policy).update(t, c.u); got != c.want {
			t.Errorf("%s: %v, expected %v", c.what, got, c.want)
		}
	}
}

// Who may change something may ask for anything by prerequisites, others for nothing.
func TestPrerequisitesAreForClients(t *testing.T) {
	f := newFixture(t, Options{}, "grant 192.0.2.7 name n.example.")
	if got := f.update(t, newUpdate().IfName(name("none"))); got != dns.RCodeNXDomain {
		t.Errorf("%v for who may change something, expected NXDOMAIN", got)
	}
	f = newFixture(t, Options{}, "grant 192.0.2.8 zonesub\ndeny 192.0.2.7 zonesub")
	if got := f.update(t, newUpdate().IfName(name("none"))); got != dns.RCodeRefused {
		t.Errorf("%v for who may not, expected REFUSED", got)
	}
}
