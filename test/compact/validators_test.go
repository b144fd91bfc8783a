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
	"onoma/zone/sign"
)

// question has an answer that a validator must find, and says what it is.
type question struct {
	name, typ string
	answers   int  // records without signatures
	absent    bool // the last name of the chain does not exist: an rcode where there is a chain of denial
	insecure  bool
}

var questions = []question{
	{name: "www.compact.test.", typ: "A", answers: 1},
	{name: "WWW.Compact.test.", typ: "A", answers: 1},
	{name: "www.compact.test.", typ: "MX"},
	{name: "compact.test.", typ: "TXT"},
	{name: "compact.test.", typ: "SOA", answers: 1},
	{name: "compact.test.", typ: "DNSKEY", answers: 1},
	{name: "compact.test.", typ: "DS", answers: 1},
	{name: "nx.compact.test.", typ: "A", absent: true},
	{name: "nX.comPact.test.", typ: "AAAA", absent: true},
	{name: "a.nx.b.compact.test.", typ: "A", absent: true},
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
	{name: "dangling.compact.test.", typ: "A", answers: 1, absent: true},
	{name: "x.calias.compact.test.", typ: "A", answers: 2},
	{name: "x.cdangling.compact.test.", typ: "A", answers: 1, absent: true},
	{name: "x.old.compact.test.", typ: "TXT", answers: 3},
	{name: "sub.compact.test.", typ: "DS"},
	{name: "plain.test.", typ: "DS"},
	{name: "deep.test.", typ: "A"},
	{name: "nx.test.", typ: "DS", absent: true},
	{name: "www.plain.test.", typ: "A", answers: 1, insecure: true},
	{name: "nx.plain.test.", typ: "A", absent: true, insecure: true},
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
				rcode := mdns.RcodeSuccess
				if q.absent && q.insecure { // else the validator, which does not know RFC 9824, has NOERROR
					rcode = mdns.RcodeNameError
				}
				judge(t, reply, q, rcode, !q.insecure)
			}
		})
	}
}

// judge compares what a validator says with what it must find.
func judge(t *testing.T, reply *mdns.Msg, q question, rcode int, secure bool) {
	t.Helper()
	plain := slices.DeleteFunc(slices.Clone(reply.Answer), func(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeRRSIG })
	if reply.Rcode != rcode || reply.AuthenticatedData != secure || len(plain) != q.answers {
		t.Errorf("%s %s: expected rcode %d, secure %t, %d records\n%s", q.name, q.typ, rcode, secure, q.answers, reply)
	}
}

// TestUnboundFindsChainsSecure asks the same of zones that have a chain.
func TestUnboundFindsChainsSecure(t *testing.T) {
	for name, denial := range map[string]sign.Denial{
		"NSEC": {Kind: sign.NSEC}, "NSEC3": {Kind: sign.NSEC3}, "NSEC3 with salt": {Kind: sign.NSEC3, Iterations: 3, Salt: []byte{1, 2}},
		"opt-out": {Kind: sign.NSEC3, OptOut: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(t, online.Options{}, dnssec.ECDSAP256SHA256, denial)
			unbound := peers.Validator(t, r.anchor+"\n", map[string]netip.AddrPort{"test": r.addr, "compact.test": r.addr, "plain.test": r.addr})
			for _, q := range questions {
				m := new(mdns.Msg)
				m.SetQuestion(q.name, mdns.StringToType[q.typ]).SetEdns0(1232, true)
				reply, err := mdns.Exchange(m, unbound.Addr.String())
				if err != nil {
					t.Fatalf("%s %s: %v", q.name, q.typ, err)
				}
				rcode := mdns.RcodeSuccess
				if q.absent {
					rcode = mdns.RcodeNameError
				}
				// RFC 5155 §9.2: what an opt-out span denies is not secure.
				secure := !q.insecure && (!denial.OptOut || reply.AuthenticatedData || q.answers > 0 && !q.absent && !strings.HasPrefix(q.name, "x."))
				judge(t, reply, q, rcode, secure)
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

// TestClientsGetTheResponseCodeBack: RFC 9824 §5.1, in the oracle's reading of the flag, over the wire. (dig 9.18 sends no such flag.)
func TestClientsGetTheResponseCodeBack(t *testing.T) {
	r := newRig(t, online.Options{}, dnssec.ECDSAP256SHA256)
	for _, co := range []bool{false, true} {
		m := new(mdns.Msg)
		m.SetQuestion("nx.compact.test.", mdns.TypeA).SetEdns0(1232, true)
		if co {
			m.IsEdns0().SetCo()
		}
		reply, err := mdns.Exchange(m, r.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if opt := reply.IsEdns0(); opt == nil || opt.Co() != co || (reply.Rcode == mdns.RcodeNameError) != co || len(reply.Ns) != 4 {
			t.Errorf("CO %t:\n%s", co, reply)
		}
	}
}
