package encrypted

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/transport/https"
	"onoma/transport/quic"
)

const exampleZone = `$TTL 300
@        SOA   ns hostmaster 1 7200 900 1209600 60
@        NS    ns
ns       A     127.0.0.1
www      A     192.0.2.80
www      AAAA  2001:db8::80
alias    CNAME www
chain    CNAME alias
*.wild   TXT   "anything"
sub      NS    ns.sub
ns.sub   A     192.0.2.54
large    TXT   "` + long + `" "` + long + `" "` + long + `" "` + long + `"
large    TXT   "a` + long + `" "` + long + `" "` + long + `" "` + long + `"
large    TXT   "b` + long + `" "` + long + `" "` + long + `" "` + long + `"
ent.below A    192.0.2.81
`

const long = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// way is a transport to ask over.
type way struct {
	name string
	ask  func(ctx context.Context, query []byte) ([]byte, error)
}

// ways are all of them, on connections that stay.
func ways(t *testing.T, s *server) []way {
	t.Helper()
	c := &transport.Client{TLS: s.trust, Reuse: 1}
	t.Cleanup(c.CloseIdle)
	over := func(p transport.Proto, to netip.AddrPort) func(context.Context, []byte) ([]byte, error) {
		return func(ctx context.Context, query []byte) ([]byte, error) {
			r, err := c.Exchange(ctx, p, to, query, nil)
			return r.Msg, err
		}
	}
	doq, err := quic.Dial(t.Context(), netip.Addr{}, s.quic, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(doq.Close)
	h2, h3 := https.NewClient(s.url(), s.https, s.trust, false), https.NewClient(s.url(), s.https, s.trust, true)
	t.Cleanup(h2.Close)
	t.Cleanup(h3.Close)
	return []way{
		{"tcp", over(transport.TCP, s.plain)}, {"udp", over(transport.UDP, s.plain)}, {"tls", over(transport.TLS, s.tls)},
		{"quic", doq.Exchange}, {"https, HTTP/2", h2.Exchange}, {"https, HTTP/3", h3.Exchange},
	}
}

// compare asks over every transport, and expects what TCP brings, but where UDP has no room for it.
func compare(t *testing.T, all []way, q dns.Question, do bool) {
	t.Helper()
	m := dns.NewQuery(uint16(rand.Uint32()), q, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: do}
	msg, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	var want *dns.Message
	for _, w := range all {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		reply, err := w.ask(ctx, msg)
		cancel()
		if err != nil {
			t.Fatalf("%v over %s: %v", q, w.name, err)
		}
		got, err := dns.ParseMessage(reply)
		switch {
		case err != nil:
			t.Fatalf("%v over %s: %v", q, w.name, err)
		case want == nil:
			want = got
		case w.name == "udp" && (got.Flags.Has(dns.FlagTC) || q.Type == dns.TypeANY): // RFC 8482: over UDP one RRset will do
		case got.ID != want.ID || got.Flags != want.Flags:
			t.Errorf("%v over %s: %v, over TCP %v", q, w.name, got.Flags, want.Flags)
		default:
			for _, s := range []dns.Section{dns.SectionAnswer, dns.SectionAuthority, dns.SectionAdditional} {
				if d := cmp.Diff(records(want.Section(s)), records(got.Section(s))); d != "" && !(w.name == "udp" && s == dns.SectionAdditional) {
					t.Errorf("%v: %v over TCP (-) and %s (+):\n%s", q, s, w.name, d)
				}
			}
		}
	}
}

func records(rs []dns.Record) []string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = r.String()
	}
	return texts
}

func TestSameAnswers(t *testing.T) {
	s := start(t, map[string]string{"enc.example.": zoneFile(t, exampleZone)})
	all := ways(t, s)
	for _, name := range []string{
		"www", "alias", "chain", "a.wild", "a.b.wild", "wild", "sub", "deep.sub", "large", "below", "ent.below", "nothing", "ns",
	} {
		for _, typ := range []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeNS, dns.TypeSOA, dns.TypeANY} {
			compare(t, all, dns.Question{Name: dns.MustName(name + ".enc.example."), Type: typ, Class: dns.ClassIN}, false)
		}
	}
	compare(t, all, dns.Question{Name: dns.MustName("elsewhere."), Type: dns.TypeA, Class: dns.ClassIN}, false)
}

// The same with the signed root zone: referrals, their DS records, and proofs that a name does not exist.
func TestSameAnswersFromTheRoot(t *testing.T) {
	file, ok := peers.Shared("data", "root-2020-signed.zone")
	if !ok {
		t.Skip("root-2020-signed.zone is not there (set ONOMA_SHARED)")
	}
	s := start(t, map[string]string{".": file})
	all := ways(t, s)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, seen := rand.New(rand.NewPCG(1, 2)), 0
	for line := range strings.Lines(string(text)) {
		owner, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		name, err := dns.ParseName(owner)
		if err != nil || r.IntN(200) > 0 {
			continue
		}
		seen++
		for _, typ := range []dns.Type{dns.TypeNS, dns.TypeDS, dns.TypeA} {
			compare(t, all, dns.Question{Name: name, Type: typ, Class: dns.ClassIN}, seen%2 == 0)
		}
		if none, err := dns.ParseName("no-such-" + strings.ReplaceAll(owner, ".", "-") + "."); err == nil {
			compare(t, all, dns.Question{Name: none, Type: dns.TypeA, Class: dns.ClassIN}, true)
		}
	}
	if seen < 20 {
		t.Errorf("only %d names were asked for", seen)
	}
}
