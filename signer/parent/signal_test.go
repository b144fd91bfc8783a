package parent

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

func versionOf(t testing.TB, origin, text string) *zone.Version {
	t.Helper()
	name := dns.MustName(origin)
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: name}), name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const providerText = `$TTL 300
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 192.0.2.1
ns2 A 192.0.2.2
far NS ns.elsewhere.test.
`

func requests(t testing.TB, n int) (cds, cdnskey []dns.RData) {
	t.Helper()
	cds, cdnskey, err := Requests(dns.MustName("child.example."), []dns.DNSKEY{testKey(n)}, []uint8{2})
	if err != nil {
		t.Fatal(err)
	}
	return cds, cdnskey
}

// providers are zones of this server: one that is signed, one that is not.
type providers map[string]*Provider

func (p providers) find(name dns.Name) (Provider, bool) {
	for n := name; !n.IsZero(); n = n.Parent() {
		if x := p[n.String()]; x != nil {
			return *x, true
		}
	}
	return Provider{}, false
}

func (p providers) apply(t testing.TB, changes []zone.Change) {
	t.Helper()
	for _, c := range changes {
		x := p[c.Zone.Name.String()]
		e := x.Version.Edit()
		if err := c.Edit(e); err != nil {
			t.Fatal(err)
		}
		v, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		x.Version = v
	}
}

func (p providers) signals(origin string) []string {
	var out []string
	for r := range p[origin].Version.Records() {
		if r.Type == dns.TypeCDS || r.Type == dns.TypeCDNSKEY {
			out = append(out, r.Name.String()+" "+r.Type.String())
		}
	}
	return out
}

func ours(t testing.TB) providers {
	p := providers{}
	for origin, isSigned := range map[string]bool{"provider.test.": true, "plain.test.": false} {
		p[origin] = &Provider{zone.IDOf("", dns.MustName(origin)), versionOf(t, origin, providerText), isSigned}
	}
	return p
}

func names(list ...string) (out []dns.Name) {
	for _, n := range list {
		out = append(out, dns.MustName(n))
	}
	return out
}

func TestSignals(t *testing.T) {
	p := ours(t)
	cds, cdnskey := requests(t, 1)
	c := Child{
		Name: dns.MustName("example.co.test."), CDS: cds, CDNSKEY: cdnskey, TTL: 300,
		NS: names("ns1.provider.test.", "ns2.provider.test.", "ns.example.co.test.", "ns1.plain.test.", "ns.far.provider.test.", "ns.others.test."),
	}
	changes, problems := SignalChanges([]Child{c}, p.find)
	for host, want := range map[string]error{"ns1.plain.test.": ErrNotSigned, "ns.far.provider.test.": ErrNotOurs, "ns.others.test.": ErrNotOurs} {
		found := false
		for _, x := range problems {
			found = found || x.Host.String() == host && errors.Is(x, want)
		}
		if !found || len(problems) != 3 {
			t.Errorf("%s: want %v in %v", host, want, problems)
		}
	}
	p.apply(t, changes)
	want := []string{
		"_dsboot.example.co.test._signal.ns1.provider.test. CDS", "_dsboot.example.co.test._signal.ns1.provider.test. CDNSKEY",
		"_dsboot.example.co.test._signal.ns2.provider.test. CDS", "_dsboot.example.co.test._signal.ns2.provider.test. CDNSKEY",
	}
	if diff := cmp.Diff(want, p.signals("provider.test.")); diff != "" {
		t.Fatal(diff)
	}
	if changes, _ = SignalChanges([]Child{c}, p.find); len(changes) != 0 {
		t.Errorf("what is there is put there again")
	}
	c.CDS, c.CDNSKEY = requests(t, 2)
	if changes, _ = SignalChanges([]Child{c}, p.find); len(changes) != 1 {
		t.Fatalf("%d changes for other keys, want 1", len(changes))
	}
	p.apply(t, changes)
	c.CDS, c.CDNSKEY = RequestDeletion()
	changes, problems = SignalChanges([]Child{c}, p.find)
	if p.apply(t, changes); len(p.signals("provider.test.")) != 0 || len(problems) != 0 {
		t.Errorf("left over: %v, problems: %v", p.signals("provider.test."), problems)
	}
}

// TestManySignals puts those of many children in place by changes of a bounded size, and sweeps out what nobody wants.
func TestManySignals(t *testing.T) {
	p := ours(t)
	cds, cdnskey := requests(t, 1)
	var children []Child
	for i := range 1200 {
		children = append(children, Child{Name: dns.MustName(fmt.Sprintf("c%d.test.", i)), NS: names("ns1.provider.test."), CDS: cds, CDNSKEY: cdnskey, TTL: 60})
	}
	changes, problems := SignalChanges(children, p.find)
	if len(changes) != 3 || len(problems) != 0 {
		t.Fatalf("%d changes, want 3; problems: %v", len(changes), problems)
	}
	p.apply(t, changes)
	keep := func(child, host dns.Name) bool {
		if host.String() != "ns1.provider.test." {
			t.Fatalf("signal at %s", host)
		}
		return child.String() == "c7.test."
	}
	for range 3 {
		c, ok := Sweep(*p["provider.test."], keep, 500)
		if !ok {
			t.Fatal("nothing to sweep")
		}
		p.apply(t, []zone.Change{c})
	}
	if left := p.signals("provider.test."); len(left) != 2 || !strings.HasPrefix(left[0], "_dsboot.c7.test.") {
		t.Errorf("left over: %v", left)
	}
	if _, ok := Sweep(*p["provider.test."], keep, 500); ok {
		t.Error("what is to be kept is swept away")
	}
}

func TestHandouts(t *testing.T) {
	hs, err := Handouts(dns.MustName("child.example."), []dns.DNSKEY{testKey(1)}, []uint8{2, 4}, 3600)
	if err != nil {
		t.Fatal(err)
	}
	h := hs[0]
	lines := strings.Split(h.DS, "\n")
	if len(lines) != 2 || len(h.Digests) != 2 || h.Digests[0].Type != 2 || len(h.Digests[1].Hex) != 96 {
		t.Fatalf("%+v", h)
	}
	for _, text := range append(lines, h.DNSKEY) {
		if r, err := dns.ParseRecord(text); err != nil || !r.Name.Equal(dns.MustName("child.example.")) {
			t.Errorf("%q does not read as a record: %v", text, err)
		}
	}
	if r, err := dns.ParseRecord("x. IN DNSKEY 257 3 13 " + h.PublicKey); err != nil || !strings.HasSuffix(string(r.Data), string(testKey(1).PublicKey)) {
		t.Errorf("public key %q: %v", h.PublicKey, err)
	}
}

func TestDelegationIn(t *testing.T) {
	before := DelegationIn(versionOf(t, "example.", "$TTL 300\n@ SOA ns a 1 1 1 1 1\n@ NS ns\n@ NS ns.other.test.\nns A 192.0.2.1\nwww A 192.0.2.9\n"))
	for text, want := range map[string][]dns.Type{
		"@ NS NS\n@ NS ns.other.test.\nns A 192.0.2.1\nwww A 192.0.2.8\n":     nil,
		"@ NS ns\n@ NS ns.other.test.\nns A 192.0.2.2\nns AAAA 2001:db8::1\n": {dns.TypeA, dns.TypeAAAA},
		"@ NS ns2\n@ NS ns.other.test.\nns A 192.0.2.1\nns2 A 192.0.2.1\n":    {dns.TypeNS, dns.TypeA},
		"@ NS ns\n@ NS ns.other.test.\n@ NS ns.third.test.\nns A 192.0.2.1\n": {dns.TypeNS},
	} {
		after := DelegationIn(versionOf(t, "example.", "$TTL 300\n@ SOA ns a 2 1 1 1 1\n"+text))
		if diff := cmp.Diff(want, NeedsSync(before, after)); diff != "" {
			t.Errorf("%s%s", text, diff)
		}
	}
	if got, want := CSYNC(66, dns.TypeA, dns.TypeNS, dns.TypeAAAA).Text(dns.TypeCSYNC), "66 3 A NS AAAA"; got != want {
		t.Errorf("CSYNC %s, want %s (RFC 7477 §2.1.2)", got, want)
	}
}

// FuzzAnswer reads answers of servers that may be anybody's.
func FuzzAnswer(f *testing.F) {
	name := dns.MustName("child.example.")
	m := dns.NewQuery(1, dns.Question{Name: name, Type: dns.TypeDS, Class: dns.ClassIN}, false)
	m.Flags |= dns.FlagQR | dns.FlagAA
	m.Answer = []dns.Record{dns.MustRecord("child.example. 60 IN DS 1 13 2 " + strings.Repeat("ab", 32))}
	m.Authority = []dns.Record{dns.MustRecord("example. 60 IN SOA a. b. 1 2 3 4 5"), dns.MustRecord("_dsync.example. 60 IN DSYNC CDS NOTIFY 53 a.")}
	seed, err := m.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parsed(b)
		if err != nil {
			return
		}
		if s, err := dsIn(m, name); err == nil && (len(s.ds) > mostDS || !s.parent.IsZero() && !isAbove(s.parent, name)) {
			t.Errorf("%d DS of %s", len(s.ds), s.parent)
		}
		if rs := receiversIn(m, dns.TypeCDS); len(rs) > mostReceivers {
			t.Errorf("%d receivers", len(rs))
		}
		if strings.ContainsFunc(verdict(m), func(r rune) bool { return r < ' ' }) {
			t.Error("a control character for the terminal")
		}
	})
}
