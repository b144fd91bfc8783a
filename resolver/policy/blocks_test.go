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

func read(t testing.TB, o policy.BlockOptions, text string) *policy.Blocks {
	t.Helper()
	b := policy.NewBlocks(o)
	if err := b.Read(strings.NewReader(text), "list"); err != nil {
		t.Fatal(err)
	}
	return b.Compile()
}

const mixedList = "\ufeff" + `! Title: a list
[Adblock Plus 2.0]
# hosts
127.0.0.1 localhost
0.0.0.0 ads.example tracker.example # both
::1 six.example
plain.example
*.below.example
.both.example
||tree.example^
||*.leaves.example^
@@||good.tree.example^
||bad.good.tree.example^$important
@@||never.example^
||never.example^
||must.example^$important
@@||must.example^
@@||may.example^$important
||may.example^$important
|exact.example^
||v6.example^$dnstype=AAAA
||not-a.example^$dnstype=~A|~AAAA
@@||svc.v6.example^$dnstype=AAAA
shop.example##.banner
||BÜCHER.example^
UPPER.Example
`

func TestBlocks(t *testing.T) {
	b := read(t, policy.BlockOptions{}, strings.ReplaceAll(mixedList, "\n", "\r\n"))
	if p := b.Problems(); p.Count > 0 {
		t.Fatalf("problems: %q", p.Text)
	}
	for _, c := range []struct {
		name, rtype string
		want        policy.Action
	}{
		{"ads.example.", "A", policy.NXDomain},
		{"ADS.example.", "TXT", policy.NXDomain},
		{"www.ads.example.", "A", policy.None},
		{"tracker.example.", "A", policy.NXDomain},
		{"six.example.", "A", policy.NXDomain},
		{"localhost.", "A", policy.None},
		{"plain.example.", "A", policy.NXDomain},
		{"www.plain.example.", "A", policy.None},
		{"below.example.", "A", policy.None},
		{"a.b.below.example.", "A", policy.NXDomain},
		{"both.example.", "A", policy.NXDomain},
		{"a.both.example.", "A", policy.NXDomain},
		{"tree.example.", "A", policy.NXDomain},
		{"a.b.tree.example.", "A", policy.NXDomain},
		{"xtree.example.", "A", policy.None},
		{"leaves.example.", "A", policy.None},
		{"a.leaves.example.", "A", policy.NXDomain},
		{"good.tree.example.", "A", policy.Passthru},
		{"a.good.tree.example.", "A", policy.Passthru},
		{"bad.good.tree.example.", "A", policy.NXDomain},
		{"never.example.", "A", policy.Passthru},
		{"must.example.", "A", policy.NXDomain},
		{"may.example.", "A", policy.Passthru},
		{"exact.example.", "A", policy.NXDomain},
		{"a.exact.example.", "A", policy.None},
		{"v6.example.", "A", policy.None},
		{"v6.example.", "AAAA", policy.NXDomain},
		{"svc.v6.example.", "AAAA", policy.Passthru},
		{"not-a.example.", "A", policy.None},
		{"not-a.example.", "HTTPS", policy.NXDomain},
		{"shop.example.", "A", policy.None},
		{"xn--bcher-kva.example.", "A", policy.NXDomain},
		{"upper.example.", "A", policy.NXDomain},
		{"example.", "A", policy.None},
		{".", "A", policy.None},
	} {
		qtype, _ := dns.ParseType(c.rtype)
		if got := b.Ask([]byte(dns.MustName(c.name).Wire()), qtype); got != c.want {
			t.Errorf("%s %s: got %v, want %v", c.name, c.rtype, got, c.want)
		}
	}
	if b.Skipped() != 1 {
		t.Errorf("%d lines skipped, want 1", b.Skipped())
	}
	name := []byte(dns.MustName("a.b.c.www.Example.org.").Wire())
	if n := testing.AllocsPerRun(100, func() { b.Ask(name, dns.TypeA) }); n != 0 {
		t.Errorf("%v allocations where nothing matches, want none", n)
	}
}

func TestWaysOfBlocking(t *testing.T) {
	name := dns.MustName("a.x.example.")
	for how, want := range map[policy.Blocking]string{
		policy.BlockNXDomain: "nxdomain NXDOMAIN []",
		policy.BlockNull:     "data NOERROR [a.x.example. 60 IN AAAA ::]",
		policy.BlockNoData:   "nodata NOERROR []",
		policy.BlockRefuse:   "refuse REFUSED []",
	} {
		b := read(t, policy.BlockOptions{Blocking: how, Subdomains: true}, "x.example")
		r := b.Reply(b.Ask([]byte(name.Wire()), dns.TypeAAAA), name, dns.TypeAAAA)
		if got := fmt.Sprint(r.Action, " ", r.RCode, " ", strings.ReplaceAll(fmt.Sprint(r.Answer), "\t", " ")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProblemsOfBlockLists(t *testing.T) {
	b := read(t, policy.BlockOptions{}, `good.example
two words
192.0.2.1 host.example
0.0.0.0
/ads[0-9]+/
||a.example^$third-party
||a.example^$dnstype=NOPE
||a.example^$dnstype=A|~AAAA
||ads.*^
||example.com/ads/banner.gif
||^
192.0.2.7
.
http://x.example/
`+strings.Repeat("x", 70_000)+"\nlast.example")
	want := []string{
		`list:2:1: "two words", expected one name, an address with names, or a rule`,
		`list:3:1: address 192.0.2.1 leads somewhere, expected 0.0.0.0, 127.0.0.1, :: or ::1: put names with addresses of their own into the hosts file`,
		`list:4:1: an address without a name`,
		`list:5:1: a regular expression, expected ||name^`,
		`list:6:1: option "third-party", expected important or dnstype: a rule with others is not about a whole name`,
		`list:7:1: "NOPE" is no type of records`,
		`list:8:1: $dnstype with types and types that are not meant, expected one or the other`,
		`list:9:1: "ads.*" is no host name`,
		`list:10:1: "example.com/ads/banner.gif" is no host name`,
		`list:11:1: "" is no host name`,
		`list:12:1: address 192.0.2.7 leads somewhere, expected 0.0.0.0, 127.0.0.1, :: or ::1: put names with addresses of their own into the hosts file`,
		`list:13:1: this would block every name`,
		`list:14:1: "http://x.example/" is no host name`,
		`list:15:1: a line of more than 65536 octets`,
	}
	if d := cmp.Diff(want, b.Problems().Text); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	if b.Len() != 2 {
		t.Errorf("%d rules, want the two good ones", b.Len())
	}
	many := read(t, policy.BlockOptions{}, strings.Repeat("two words\n", 1000)).Problems()
	if many.Count != 1000 || len(many.Text) > 100 {
		t.Errorf("%d problems counted, %d kept; want 1000 and at most 100", many.Count, len(many.Text))
	}
}

// 1,000,000 lines of a list of names.
func BenchmarkBlocks(b *testing.B) {
	var text strings.Builder
	const lines = 1_000_000
	for i := range lines {
		fmt.Fprintf(&text, "||host%x.site%d.com^\n", i*7919, i%1000)
	}
	var list *policy.Blocks
	for b.Loop() {
		list = read(b, policy.BlockOptions{}, text.String())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/rule")
	b.ReportMetric(float64(list.Size())/lines, "octets/rule")
}

// People ask which list blocks a name.
func TestListOfABlock(t *testing.T) {
	b := policy.NewBlocks(policy.BlockOptions{})
	for list, text := range []string{"a\nboth", "both\n||b^", "@@||x.b^\nlocalhost.b"} {
		if err := b.Read(strings.NewReader(text), fmt.Sprint("list", list)); err != nil {
			t.Fatal(err)
		}
	}
	view := &policy.View{Blocks: b.Compile()}
	for name, want := range map[string]string{"a.": "list0", "both.": "list0", "B.": "list1", "y.b.": "list1", "c.": ""} {
		d := view.Question(netip.Addr{}, []byte(dns.MustName(name).Wire()), dns.TypeA)
		if got := view.Rule(d, dns.MustName(name), dns.TypeA); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := view.Blocks.List(dns.MustName("x.b."), dns.TypeA); got != "list2" {
		t.Errorf("an exception is of %q, want list2", got)
	}
}
