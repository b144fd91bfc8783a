package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/resolver/policy"
)

func dns64(t *testing.T, prefixes ...string) *policy.DNS64 {
	t.Helper()
	o := policy.DNS64Options{Skip: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Exclude: []netip.Prefix{netip.MustParsePrefix("2001:db8:bad::/48")}}
	for _, p := range prefixes {
		o.Prefixes = append(o.Prefixes, netip.MustParsePrefix(p))
	}
	d, err := policy.NewDNS64(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func records(lines ...string) (out []dns.Record) {
	for _, l := range lines {
		out = append(out, dns.MustRecord(l))
	}
	return out
}

// texts are records, one a line, with single blanks.
func texts(list []dns.Record) (out []string) {
	for _, r := range list {
		out = append(out, fmt.Sprintf("%v %d %v %s", r.Name, r.TTL, r.Type, r.Data.Text(r.Type)))
	}
	return out
}

// The table of RFC 6052 §2.4.
func TestEmbeddedAddresses(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":              "2001:db8:c000:221::",
		"2001:db8:100::/40":          "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":          "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56":      "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64":      "2001:db8:122:344:c0:2:2100:0",
		"2001:db8:122:344::/96":      "2001:db8:122:344::c000:221",
		"64:ff9b::/96":               "64:ff9b::c000:221",
		"64:ff9b:1:fffe:0:aa00::/96": "64:ff9b:1:fffe:0:aa00:c000:221",
	} {
		d := dns64(t, prefix)
		got := d.Synthesize(records("x. 60 IN A 192.0.2.33"), nil)
		if len(got) != 1 || got[0].Data.Text(dns.TypeAAAA) != netip.MustParseAddr(want).String() {
			t.Errorf("%s: got %v, want %s", prefix, got, want)
		}
		if v4, ok := d.Embedded(netip.MustParseAddr(want)); !ok || v4 != netip.MustParseAddr("192.0.2.33") {
			t.Errorf("%s: back comes %v", prefix, v4)
		}
	}
	for _, bad := range []string{"64:ff9b::/95", "2001:db8:0:0:ff00::/96", "192.0.2.0/24", "2001:db8::1/96"} {
		if _, err := policy.NewDNS64(policy.DNS64Options{Prefixes: []netip.Prefix{netip.MustParsePrefix(bad)}}); err == nil {
			t.Errorf("prefix %s was taken", bad)
		}
	}
	if _, err := policy.NewDNS64(policy.DNS64Options{}); err == nil {
		t.Error("no prefix was taken")
	}
}

func TestSynthesis(t *testing.T) {
	d := dns64(t, "64:ff9b::/96", "2001:db8:64::/96")
	answer := records("x. 300 IN CNAME y.", "x. 300 IN RRSIG CNAME 13 1 300 20300101000000 20200101000000 1 x. AAAA", "y. 3600 IN A 192.0.2.1", "y. 3600 IN A 10.0.0.1")
	want := []string{"x. 300 CNAME y.", "y. 90 AAAA 64:ff9b::c000:201", "y. 90 AAAA 2001:db8:64::c000:201"}
	if diff := cmp.Diff(want, texts(d.Synthesize(answer, records("y. 900 IN SOA . . 1 1 1 1 90")))); diff != "" {
		t.Errorf("with an SOA (-want +got):\n%s", diff)
	}
	if got := d.Synthesize(answer, nil)[1].TTL; got != 600 {
		t.Errorf("TTL without an SOA: %d, want 600", got)
	}
	if got := d.Synthesize(records("x. 60 IN A 10.0.0.1"), nil); got != nil {
		t.Errorf("an address to be skipped gave %v", got)
	}
	q := dns.Question{Name: dns.MustName("x."), Type: dns.TypeAAAA, Class: dns.ClassIN}
	if !d.Applies(q, true, false) || !d.Applies(q, false, true) || d.Applies(q, true, true) || (*policy.DNS64)(nil).Applies(q, false, false) {
		t.Error("DNS64 is for all AAAA questions but those with DO and CD")
	}
	good, bad, mapped := "x. 60 IN AAAA 2001:db8::1", "x. 60 IN AAAA 2001:db8:bad::1", "x. 60 IN AAAA ::ffff:192.0.2.1"
	for _, c := range []struct {
		rcode  dns.RCode
		answer []dns.Record
		want   bool
	}{
		{dns.RCodeNoError, nil, true},
		{dns.RCodeNXDomain, nil, false},
		{dns.RCodeServFail, nil, true},
		{dns.RCodeNoError, records(good), false},
		{dns.RCodeNoError, records(bad, mapped), true},
		{dns.RCodeNoError, records(bad, good), false},
	} {
		if got := d.WantsA(c.rcode, c.answer); got != c.want {
			t.Errorf("%v %v: asks for A: %v", c.rcode, c.answer, got)
		}
	}
	if diff := cmp.Diff([]string{"x. 60 AAAA 2001:db8::1"}, texts(d.Keep(records(bad, good, mapped)))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestSpecialNamesOfDNS64(t *testing.T) {
	d := dns64(t, "64:ff9b::/96")
	ask := func(name string, qtype dns.Type) string {
		reply, ok := d.Special(dns.Question{Name: dns.MustName(name), Type: qtype, Class: dns.ClassIN})
		if !ok {
			return "nothing"
		}
		return replied(reply)
	}
	reverse := func(last string) string {
		return strings.Join(strings.Split(last, ""), ".") + strings.Repeat(".0", 16) + ".b.9.f.f.4.6.0.0.ip6.arpa."
	}
	for _, c := range []struct {
		name  string
		qtype dns.Type
		want  string
	}{
		{"ipv4only.arpa.", dns.TypeA, "data ipv4only.arpa. 86400 A 192.0.0.170 ipv4only.arpa. 86400 A 192.0.0.171"},
		{"IPv4only.arpa.", dns.TypeAAAA, "data IPv4only.arpa. 600 AAAA 64:ff9b::c000:aa IPv4only.arpa. 600 AAAA 64:ff9b::c000:ab"},
		{"ipv4only.arpa.", dns.TypeMX, "nodata"},
		{"x.ipv4only.arpa.", dns.TypeA, "nxdomain NXDOMAIN"},
		{reverse("1200000c"), dns.TypePTR, "data " + reverse("1200000c") + " 600 CNAME 33.2.0.192.in-addr.arpa."},
		{"1.0.0.ip6.arpa.", dns.TypePTR, "nothing"},
		{strings.Repeat("1.", 32) + "ip6.arpa.", dns.TypePTR, "nothing"},
		{strings.Repeat("g.", 32) + "ip6.arpa.", dns.TypePTR, "nothing"},
		{"example.", dns.TypeAAAA, "nothing"},
	} {
		got := ask(c.name, c.qtype)
		if strings.Contains(c.want, "CNAME") { // the name is checked by its parts: 192.0.2.33 embedded
			name := reverse("1220000c")
			got, c.want = ask(name, c.qtype), "data "+name+" 600 CNAME 33.2.0.192.in-addr.arpa. follow 33.2.0.192.in-addr.arpa."
		}
		if got != c.want {
			t.Errorf("%s %v: got %q, want %q", c.name, c.qtype, got, c.want)
		}
	}
	if got := ask(reverse("aa00000c"), dns.TypePTR); got != "data "+reverse("aa00000c")+" 600 PTR ipv4only.arpa." {
		t.Errorf("the reverse name of 192.0.0.170: %s", got)
	}
}

func TestRebinding(t *testing.T) {
	r, err := policy.NewRebinding(policy.RebindingOptions{Allowed: []dns.Name{dns.MustName("Home.example.")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		record  string
		private bool
	}{
		{"x. 60 IN A 192.0.2.1", false},
		{"x. 60 IN A 192.168.1.1", true},
		{"x. 60 IN A 127.0.0.1", true},
		{"x. 60 IN A 0.0.0.0", true},
		{"home.EXAMPLE. 60 IN A 192.168.1.1", false},
		{"a.b.home.example. 60 IN A 192.168.1.1", false},
		{"x. 60 IN AAAA 2001:db8::1", false},
		{"x. 60 IN AAAA fd00::1", true},
		{"x. 60 IN AAAA ::1", true},
		{"x. 60 IN AAAA ::ffff:192.168.1.1", true},
		{"x. 60 IN AAAA ::ffff:192.0.2.1", false},
		{"x. 60 IN AAAA 64:ff9b::c0a8:101", true},
		{"x. 60 IN AAAA 64:ff9b::c000:201", false},
		{"x. 60 IN HTTPS 1 . alpn=h2", false},
		{"x. 60 IN HTTPS 1 . ipv4hint=192.0.2.1", false},
		{"x. 60 IN HTTPS 1 . ipv4hint=192.0.2.1,10.0.0.1", true},
		{"x. 60 IN SVCB 1 . ipv6hint=fe80::1", true},
		{"_dns.home.example. 60 IN SVCB 1 . ipv6hint=fe80::1", false},
		{"x. 60 IN TXT 10.0.0.1", false},
	} {
		kept, removed := r.Keep(records(c.record))
		if (removed == 1) != c.private || (len(kept) == 0) != c.private {
			t.Errorf("%s: removed %d, kept %v", c.record, removed, kept)
		}
	}
	const signature = "13 1 300 20300101000000 20200101000000 1 . AAAA"
	all := records("x. 60 IN A 192.0.2.1", "x. 60 IN A 10.0.0.1", "X. 60 IN RRSIG A "+signature, "x. 60 IN AAAA 2001:db8::1", "x. 60 IN RRSIG AAAA "+signature, "y. 60 IN RRSIG A "+signature)
	before := texts(all)
	kept, _ := r.Keep(all)
	if diff := cmp.Diff([]string{before[0], before[3], before[4], before[5]}, texts(kept)); diff != "" {
		t.Errorf("what stays of signed sets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, texts(all)); diff != "" {
		t.Errorf("the answer that was given changed:\n%s", diff)
	}
	clean := records("x. 60 IN A 192.0.2.1", "x. 60 IN AAAA 2001:db8::1", "x. 60 IN HTTPS 1 . alpn=h2")
	if n := testing.AllocsPerRun(100, func() { r.Keep(clean) }); n != 0 {
		t.Errorf("%v allocations where nothing is removed, want none", n)
	}
}
