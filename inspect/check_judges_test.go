package inspect

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/test/peers"
)

// What a check says of the chain by way of a zone's first server is what Unbound
// and BIND's delv come to that know this server only.
func TestCheckAgreesWithUnboundAndDelv(t *testing.T) {
	if testing.Short() {
		t.Skip("Unbound is not started by -short")
	}
	w := checkWorld(t)
	test := w.sites[dns.MustName("test.")]
	var anchor string
	for _, k := range test.keys {
		if k.SignsKeys {
			anchor += dns.Record{Name: test.name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()}.String() + "\n"
		}
	}
	servers := w.serve(t)
	delete(servers, ".")
	unbound := peers.Validator(t, anchor, servers, "aggressive-nsec: no")
	delv := newDelv(t, unbound.Addr, test)
	seen := map[validator.Status]int{}
	for _, name := range slices.Sorted(maps.Keys(checkCases)) {
		if strings.Contains(name, ".") {
			continue // of another TLD, which the judges do not trust
		}
		h := checked(t, name)
		i := slices.IndexFunc(h.Own, func(st ServerState) bool { return st.Addr.Addr() == w.sites[h.Zone].addrs[0] })
		if i < 0 {
			t.Errorf("%s: its first server was not asked", name)
			continue
		}
		ours := h.Own[i].Trust
		if ours == validator.Indeterminate {
			ours = validator.Bogus // resolvers do not tell those from each other
		}
		seen[ours]++
		if theirs := ask(t, unbound.Addr, h.Zone); theirs != ours {
			t.Errorf("%s: %v, Unbound says %v", name, ours, theirs)
		}
		if theirs := delv.verdict(h.Zone); delv != nil && theirs != ours {
			t.Errorf("%s: %v, delv says %v", name, ours, theirs)
		}
	}
	t.Logf("verdicts: %v", seen)
	if seen[validator.Secure] < 20 || seen[validator.Bogus] < 8 || seen[validator.Insecure] < 10 {
		t.Errorf("verdicts are %v: the zones are not what they should be", seen)
	}
}

// ask asks Unbound for a zone's SOA.
func ask(t *testing.T, at netip.AddrPort, name dns.Name) validator.Status {
	t.Helper()
	q := Query{
		Env: &Network{}, Servers: []netip.AddrPort{at}, Question: dns.Question{Name: name, Type: dns.TypeSOA, Class: dns.ClassIN},
		Recurse: true, Timeout: 20 * time.Second, Tries: 1, EDNS: &dns.EDNS{UDPSize: 1232, DO: true},
	}
	r, err := q.Ask(context.Background())
	switch {
	case err != nil:
		t.Fatalf("%s: %v", name, err)
	case r.Message.RCode == dns.RCodeServFail:
		return validator.Bogus
	case r.Message.Flags.Has(dns.FlagAD):
		return validator.Secure
	}
	return validator.Insecure
}

// delv is BIND's validator, which gets its data from a resolver.
type delv struct {
	t       *testing.T
	path    string
	server  netip.AddrPort
	anchors string
}

// newDelv returns nil where there is no delv.
func newDelv(t *testing.T, server netip.AddrPort, trusted *site) *delv {
	path, err := exec.LookPath("delv")
	if err != nil {
		t.Log("delv is not installed (bind9-dnsutils): Unbound is the only judge")
		return nil
	}
	d := &delv{t: t, path: path, server: server, anchors: filepath.Join(t.TempDir(), "anchors")}
	text := "trust-anchors {\n"
	for _, k := range trusted.keys {
		if ds, err := dnssec.MakeDS(trusted.name, k.DNSKEY(), dnssec.DigestSHA256); err == nil && k.SignsKeys {
			text += fmt.Sprintf("  %q static-ds %d %d %d \"%X\";\n", trusted.name, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
		}
	}
	if err := os.WriteFile(d.anchors, []byte(text+"};\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *delv) verdict(name dns.Name) validator.Status {
	if d == nil {
		return 0
	}
	host, port, _ := net.SplitHostPort(d.server.String())
	out, _ := exec.Command(d.path, "-a", d.anchors, "+root=test.", "@"+host, "-p", port, name.String(), "SOA").CombinedOutput()
	switch text := string(out); {
	case strings.Contains(text, "; fully validated"):
		return validator.Secure
	case strings.Contains(text, "; unsigned answer"):
		return validator.Insecure
	case strings.Contains(text, "resolution failed"):
		return validator.Bogus
	default:
		d.t.Errorf("%s: delv says %s", name, strconv.Quote(text))
		return validator.Indeterminate
	}
}
