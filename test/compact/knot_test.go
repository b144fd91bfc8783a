package compact

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"onoma/authority"
	"onoma/dns/dnssec"
	"onoma/signer/online"
	"onoma/test/peers"
)

// differences from Knot 3.2 by RFC section: what is made alike before answers are compared.
var differences = []struct {
	why     string
	pattern *regexp.Regexp
	alike   string
}{
	{
		"RFC 9824 §3.1 and §3.2: we say of a name which types it has, and NXNAME where it does not exist. Knot is older than that: it" +
			" says that every name has the types which are usual, but for the one that was asked for (its nsec-bitmap)",
		regexp.MustCompile(` in nsec (\S+) .*`), " in nsec $1 ...",
	},
	{
		"RFC 4034 §3: the TTL of a signature is that of its set, which for the SOA of a negative answer is less than the original (RFC 2308 §3)",
		regexp.MustCompile(`^(authority: \S+) \d+ RRSIG SOA`), "$1 ... RRSIG SOA",
	},
	{
		"RFC 6672 §5.3.1: the CNAME that follows from a DNAME has no signature; Knot's has one",
		regexp.MustCompile(`^answer: x\.old\.compact\.test\. \d+ RRSIG CNAME .*`), "",
	},
}

// TestBesideKnot puts the same questions to Knot's module onlinesign.
func TestBesideKnot(t *testing.T) {
	child, _ := signed(t, online.New(online.Options{}), "compact.test.", childZone, newKey(t, dnssec.ECDSAP256SHA256), compact)
	auth := authority.New(authority.Options{})
	auth.AddZone(child)
	us := serve(t, auth)
	dir := t.TempDir()
	file := filepath.Join(dir, "compact.test.zone")
	if err := os.WriteFile(file, []byte(childZone), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addr := peers.KnotOnline.Addr(t)
	knot := peers.KnotOnline.Start(t, peers.Zones{{Name: "compact.test.", File: file}}, addr)
	for _, q := range questions {
		if !strings.HasSuffix(strings.ToLower(q.name), "compact.test.") || q.typ == "DNSKEY" {
			continue
		}
		ours, theirs := show(t, us, q.name, q.typ), show(t, knot.Addr, q.name, q.typ)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s %s (-knot +onoma):\n%s", q.name, q.typ, diff)
		}
	}
}

// show returns an answer without what is a matter of keys and times.
func show(t *testing.T, addr netip.AddrPort, name, typ string) []string {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion(name, mdns.StringToType[typ]).SetEdns0(1232, true)
	m.RecursionDesired = false
	reply, err := mdns.Exchange(m, addr.String())
	if err != nil {
		t.Fatalf("%s %s: %v", name, typ, err)
	}
	lines := []string{fmt.Sprintf("%s aa=%t", mdns.RcodeToString[reply.Rcode], reply.Authoritative)}
	for i, section := range [][]mdns.RR{reply.Answer, reply.Ns} {
		var records []string
		for _, rr := range section {
			text := strings.ToLower(rr.String())
			if s, ok := rr.(*mdns.RRSIG); ok {
				text = fmt.Sprintf("%s %d RRSIG %s labels %d ttl %d by %s", strings.ToLower(s.Hdr.Name), s.Hdr.Ttl, mdns.TypeToString[s.TypeCovered], s.Labels, s.OrigTtl, s.SignerName)
			}
			text = fmt.Sprintf("%s: %s", []string{"answer", "authority"}[i], strings.Join(strings.Fields(text), " "))
			for _, d := range differences {
				text = d.pattern.ReplaceAllString(text, d.alike)
			}
			if text != "" {
				records = append(records, text)
			}
		}
		slices.Sort(records)
		lines = append(lines, records...)
	}
	return lines
}
