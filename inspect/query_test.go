package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
)

// network is an Env whose servers are functions; its clock stands still but for
// what a server takes.
type network struct {
	now     time.Time
	servers map[netip.AddrPort]func(proto transport.Proto, q *dns.Message) (*dns.Message, error)
	asked   []string
}

func (n *network) Now() time.Time { return n.now }
func (n *network) Uint64() uint64 { return 0x1234 }

func (n *network) Exchange(_ context.Context, target transport.Target, query []byte) ([]byte, error) {
	to, proto := target.Addr, target.Proto
	n.asked = append(n.asked, to.String()+" "+proto.String())
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, err
	}
	n.now = n.now.Add(1500 * time.Microsecond)
	reply, err := n.servers[to](proto, q)
	if err != nil {
		return nil, err
	}
	reply.ID, reply.Questions = q.ID, q.Questions
	return reply.Append(nil)
}

var (
	serverA = netip.MustParseAddrPort("192.0.2.1:53")
	serverB = netip.MustParseAddrPort("[2001:db8::2]:5300")
)

func record(name string, ttl uint32, t dns.Type, data string) dns.Record {
	rdata, err := dns.ParseRDataString(t, data, dns.Root)
	if err != nil {
		panic(err)
	}
	return dns.Record{Name: dns.MustName(name), Type: t, Class: dns.ClassIN, TTL: ttl, Data: rdata}
}

func answering(rs ...dns.Record) func(transport.Proto, *dns.Message) (*dns.Message, error) {
	return func(transport.Proto, *dns.Message) (*dns.Message, error) {
		return &dns.Message{Flags: dns.FlagQR, Answer: rs}, nil
	}
}

func dead(transport.Proto, *dns.Message) (*dns.Message, error) {
	return nil, context.DeadlineExceeded
}

func newQuery(n *network, servers ...netip.AddrPort) *Query {
	return &Query{
		Env: n, Servers: servers, Recurse: true, Timeout: time.Second, Tries: 2, EDNS: &dns.EDNS{UDPSize: 1232},
		Question: dns.Question{Name: dns.MustName("www.example.com"), Type: dns.TypeA, Class: dns.ClassIN},
	}
}

func TestAskGoesOnToTheNextServer(t *testing.T) {
	n := &network{servers: map[netip.AddrPort]func(transport.Proto, *dns.Message) (*dns.Message, error){
		serverA: dead, serverB: answering(record("www.example.com", 60, dns.TypeA, "192.0.2.80")),
	}}
	r, err := newQuery(n, serverA, serverB).Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Server != serverB || len(r.Message.Answer) != 1 || r.Elapsed != 1500*time.Microsecond {
		t.Errorf("%+v, expected the second server's answer after 1.5 ms", r)
	}
	if diff := cmp.Diff([]string{"192.0.2.1:53 udp", "[2001:db8::2]:5300 udp"}, n.asked); diff != "" {
		t.Error(diff)
	}
}

func TestAskNobodyReplies(t *testing.T) {
	n := &network{servers: map[netip.AddrPort]func(transport.Proto, *dns.Message) (*dns.Message, error){serverA: dead}}
	_, err := newQuery(n, serverA).Ask(t.Context())
	var none *NoReplyError
	if !errors.As(err, &none) || len(none.Tries) != 2 || !strings.Contains(err.Error(), "192.0.2.1:53: no reply over udp within 1 s") {
		t.Errorf("%v, expected two tries without a reply", err)
	}
	if _, err := newQuery(n).Ask(t.Context()); err == nil || err.Error() != "no server to ask" {
		t.Errorf("without servers: %v", err)
	}
}

func TestAskTruncatedGoesToTCP(t *testing.T) {
	overTCP := answering(record("www.example.com", 60, dns.TypeTXT, "long"))
	n := &network{servers: map[netip.AddrPort]func(transport.Proto, *dns.Message) (*dns.Message, error){
		serverA: func(p transport.Proto, q *dns.Message) (*dns.Message, error) {
			if p == transport.UDP {
				return &dns.Message{Flags: dns.FlagQR | dns.FlagTC}, nil
			}
			return overTCP(p, q)
		},
	}}
	r, err := newQuery(n, serverA).Ask(t.Context())
	if err != nil || !r.Truncated || r.Proto != transport.TCP || len(r.Message.Answer) != 1 {
		t.Errorf("%+v, %v: expected the whole answer over TCP", r, err)
	}

	// Where TCP fails, the truncated reply is better than none.
	n.servers[serverA] = func(p transport.Proto, q *dns.Message) (*dns.Message, error) {
		if p == transport.UDP {
			return &dns.Message{Flags: dns.FlagQR | dns.FlagTC}, nil
		}
		return dead(p, q)
	}
	r, err = newQuery(n, serverA).Ask(t.Context())
	if err != nil || r.Truncated || !r.Message.Flags.Has(dns.FlagTC) {
		t.Errorf("%+v, %v: expected the reply with TC", r, err)
	}
}

// fullReply has something in every section and odd things in its OPT record.
func fullReply(t *testing.T) *Reply {
	t.Helper()
	n := &network{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	n.servers = map[netip.AddrPort]func(transport.Proto, *dns.Message) (*dns.Message, error){
		serverA: func(transport.Proto, *dns.Message) (*dns.Message, error) {
			return &dns.Message{
				Flags: dns.FlagQR | dns.FlagRD | dns.FlagRA, RCode: dns.RCodeServFail,
				Answer:     []dns.Record{record("www.example.com", 60, dns.TypeCNAME, "example.com"), record("example.com", 61, dns.TypeTXT, `"a \"b\" \255"`)},
				Authority:  []dns.Record{record("example.com", 62, dns.TypeNS, "ns.example.com")},
				Additional: []dns.Record{record("ns.example.com", 63, dns.TypeAAAA, "2001:db8::1")},
				EDNS: &dns.EDNS{UDPSize: 1232, DO: true, Options: []dns.Option{
					{Code: dns.OptionNSID, Data: []byte("ns1\x1b")},
					dns.EDE{Code: dns.EDENoReachableAuthority, Text: "nobody\x1bthere"}.Option(),
					{Code: 65001, Data: []byte{1, 2}},
				}},
			}, nil
		},
	}
	r, err := newQuery(n, serverA).Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWriteText(t *testing.T) {
	var b strings.Builder
	if err := fullReply(t).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `;; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 4660
;; flags: qr rd ra; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 2

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
; NSID: 6e73311b (ns1.)
; EDE: 22 (No Reachable Authority): nobody.there
; OPT65001: 0102

;; QUESTION SECTION:
;www.example.com.	IN	A

;; ANSWER SECTION:
www.example.com.	60	IN	CNAME	example.com.
example.com.	61	IN	TXT	"a \"b\" \255"

;; AUTHORITY SECTION:
example.com.	62	IN	NS	ns.example.com.

;; ADDITIONAL SECTION:
ns.example.com.	63	IN	AAAA	2001:db8::1

;; Query time: 1.5 ms
;; SERVER: 192.0.2.1#53 (UDP)
;; WHEN: Fri, 02 Jan 2026 03:04:05 +0000
;; MSG SIZE  rcvd: 155
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteShort(t *testing.T) {
	var b strings.Builder
	if err := fullReply(t).WriteShort(&b); err != nil {
		t.Fatal(err)
	}
	if want := "example.com.\n\"a \\\"b\\\" \\255\"\n"; b.String() != want {
		t.Errorf("%q, expected %q", b.String(), want)
	}
}

// TestReplyJSON fixes the form that programs rely on.
func TestReplyJSON(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(fullReply(t)); err != nil {
		t.Fatal(err)
	}
	want := `{
  "server": "192.0.2.1:53",
  "proto": "udp",
  "when": "2026-01-02T03:04:05Z",
  "time_ms": 1.5,
  "size": 155,
  "truncated": false,
  "id": 4660,
  "opcode": "QUERY",
  "status": "SERVFAIL",
  "flags": [
    "qr",
    "rd",
    "ra"
  ],
  "edns": {
    "version": 0,
    "flags": [
      "do"
    ],
    "udp_size": 1232,
    "nsid": "ns1\u001b",
    "ede": [
      {
        "code": 22,
        "purpose": "No Reachable Authority",
        "text": "nobody\u001bthere"
      }
    ],
    "options": [
      {
        "code": 65001,
        "name": "OPT65001",
        "data": "0102"
      }
    ]
  },
  "question": [
    {
      "name": "www.example.com.",
      "class": "IN",
      "type": "A"
    }
  ],
  "answer": [
    {
      "name": "www.example.com.",
      "ttl": 60,
      "class": "IN",
      "type": "CNAME",
      "data": "example.com."
    },
    {
      "name": "example.com.",
      "ttl": 61,
      "class": "IN",
      "type": "TXT",
      "data": "\"a \\\"b\\\" \\255\""
    }
  ],
  "authority": [
    {
      "name": "example.com.",
      "ttl": 62,
      "class": "IN",
      "type": "NS",
      "data": "ns.example.com."
    }
  ],
  "additional": [
    {
      "name": "ns.example.com.",
      "ttl": 63,
      "class": "IN",
      "type": "AAAA",
      "data": "2001:db8::1"
    }
  ]
}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestReverseName(t *testing.T) {
	for addr, want := range map[string]string{
		"198.18.25.10":       "10.25.18.198.in-addr.arpa.",
		"0.0.0.0":            "0.0.0.0.in-addr.arpa.",
		"255.255.255.255":    "255.255.255.255.in-addr.arpa.",
		"::ffff:192.0.2.1":   "1.2.0.192.in-addr.arpa.",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", // RFC 3596 §2.5
	} {
		if got := ReverseName(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s is %s, expected %s", addr, got, want)
		}
	}
}

// TestNetworkOnly: what is outside is refused before any packet, whatever the protocol.
func TestNetworkOnly(t *testing.T) {
	n := &Network{Only: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, p := range []transport.Proto{transport.UDP, transport.TCP} {
		for _, to := range []string{"192.0.2.1:53", "[2001:db8::1]:53", "[::ffff:127.0.0.1]:53"} {
			_, err := n.Exchange(t.Context(), transport.Target{Addr: netip.MustParseAddrPort(to), Proto: p}, make([]byte, 12))
			if !errors.Is(err, ErrOutside) {
				t.Errorf("%s over %s: %v, expected %v", to, p, err, ErrOutside)
			}
		}
	}
}
