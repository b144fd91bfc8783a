package compact

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"onoma/dns/dnssec"
	"onoma/signer/online"
	"onoma/test/peers"
)

// questions have an answer that a validator must find, and what it is.
var questions = []struct {
	name, typ string
	rcode     int // for a validator that does not know RFC 9824
	answers   int // records without signatures
	insecure  bool
}{
	{name: "www.compact.test.", typ: "A", answers: 1},
	{name: "WWW.Compact.test.", typ: "A", answers: 1},
	{name: "www.compact.test.", typ: "MX"},
	{name: "compact.test.", typ: "TXT"},
	{name: "compact.test.", typ: "SOA", answers: 1},
	{name: "compact.test.", typ: "DNSKEY", answers: 1},
	{name: "compact.test.", typ: "DS", answers: 1},
	{name: "nx.compact.test.", typ: "A"},
	{name: "nX.comPact.test.", typ: "AAAA"},
	{name: "a.nx.b.compact.test.", typ: "A"},
	{name: "b.c.compact.test.", typ: "A"},
	{name: "c.compact.test.", typ: "TXT"},
	{name: "wild.compact.test.", typ: "TXT"},
	{name: "x.wild.compact.test.", typ: "TXT", answers: 1},
	{name: "x.y.z.wild.compact.test.", typ: "A", answers: 1},
	{name: "x.wild.compact.test.", typ: "MX"},
	{name: "*.wild.compact.test.", typ: "TXT", answers: 1},
	{name: "*.wild.compact.test.", typ: "MX"},
	{name: "alias.compact.test.", typ: "A", answers: 2},
	{name: "alias.compact.test.", typ: "MX", answers: 1},
	{name: "dangling.compact.test.", typ: "A", answers: 1},
	{name: "x.calias.compact.test.", typ: "A", answers: 2},
	{name: "x.cdangling.compact.test.", typ: "A", answers: 1},
	{name: "x.old.compact.test.", typ: "TXT", answers: 3},
	{name: "sub.compact.test.", typ: "DS"},
	{name: "plain.test.", typ: "DS"},
	{name: "deep.test.", typ: "A"},
	{name: "nx.test.", typ: "DS"},
	{name: "www.plain.test.", typ: "A", answers: 1, insecure: true},
	{name: "nx.plain.test.", typ: "A", rcode: mdns.RcodeNameError, insecure: true},
}

// TestUnboundFindsAllSecure: through the chain of trust of a parent that is signed in the same way, with every algorithm.
func TestUnboundFindsAllSecure(t *testing.T) {
	for _, algorithm := range []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519, dnssec.RSASHA256} {
		t.Run(dnssec.AlgorithmName(algorithm), func(t *testing.T) {
			if testing.Short() && algorithm != dnssec.ECDSAP256SHA256 {
				t.Skip("one algorithm is enough with -short")
			}
			r := newRig(t, online.Options{}, algorithm)
			unbound := peers.Validator(t, r.anchor+"\n", map[string]netip.AddrPort{"test": r.addr, "compact.test": r.addr, "plain.test": r.addr})
			for _, q := range questions {
				m := new(mdns.Msg)
				m.SetQuestion(q.name, mdns.StringToType[q.typ]).SetEdns0(1232, true)
				reply, err := mdns.Exchange(m, unbound.Addr.String())
				if err != nil {
					t.Fatalf("%s %s: %v", q.name, q.typ, err)
				}
				plain := slices.DeleteFunc(slices.Clone(reply.Answer), func(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeRRSIG })
				if reply.Rcode != q.rcode || reply.AuthenticatedData == q.insecure || len(plain) != q.answers {
					t.Errorf("%s %s: expected rcode %d, secure %t, %d records\n%s", q.name, q.typ, q.rcode, !q.insecure, q.answers, reply)
				}
			}
		})
	}
}

var dnskeyLine = regexp.MustCompile(`DNSKEY (\d+) 3 (\d+) (.*)`)

// TestDelvFindsAllSecure asks our server as if it were a resolver, which it may be for names that are its own.
func TestDelvFindsAllSecure(t *testing.T) {
	peers.Need(t, "delv")
	r := newRig(t, online.Options{}, dnssec.ECDSAP256SHA256)
	key := dnskeyLine.FindStringSubmatch(r.anchor)
	anchors := filepath.Join(t.TempDir(), "anchors")
	text := "trust-anchors { test. static-key " + key[1] + " 3 " + key[2] + " \"" + strings.ReplaceAll(key[3], " ", "") + "\"; };\n"
	if err := os.WriteFile(anchors, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		if q.insecure || q.name == "dangling.compact.test." {
			continue
		}
		args := []string{"@" + r.addr.Addr().String(), "-p", strconv.Itoa(int(r.addr.Port())), "-a", anchors, "+root=test.", q.name, q.typ}
		out, err := exec.Command("delv", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("delv %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if !strings.Contains(string(out), "fully validated") || strings.Contains(string(out), "unsigned answer") {
			t.Errorf("%s %s:\n%s", q.name, q.typ, out)
		}
	}
}
