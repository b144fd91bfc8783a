package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var transferKey = dns.TSIGKey{Name: dns.MustName("Transfer.Key."), Algorithm: dns.HMACSHA256, Secret: []byte("a secret of thirty-two octets, or so")}

func allow(t testing.TB, list ...string) ACL {
	t.Helper()
	var acl ACL
	for _, s := range list {
		who, err := ParseWho(s)
		if err != nil {
			t.Fatal(err)
		}
		acl = append(acl, who)
	}
	return acl
}

func keysOf(keys ...dns.TSIGKey) *Keys {
	k := new(Keys)
	k.Set(keys)
	return k
}

// serialQuery is a query for IXFR from a client that has that version.
func serialQuery(t testing.TB, origin string, serial uint32) []byte {
	t.Helper()
	name := dns.MustName(origin)
	m := dns.NewQuery(7, dns.Question{Name: name, Type: dns.TypeIXFR, Class: dns.ClassIN}, false)
	soa := dns.MustRecord(fmt.Sprintf("%s 0 IN SOA . . %d 0 0 0 0", origin, serial))
	m.Authority = []dns.Record{soa}
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// fetch asks for a zone and returns all messages, the signatures of which are
// checked and taken off if key is not nil.
func fetch(t testing.TB, s *Server, msg []byte, proto transport.Proto, key *dns.TSIGKey) []*dns.Message {
	t.Helper()
	var stream *dns.TSIGStream
	if key != nil {
		signed, mac, err := dns.SignTSIG(msg, *key, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if stream, err = dns.NewTSIGStream(*key, mac); err != nil {
			t.Fatal(err)
		}
		msg = signed
	}
	var out [][]byte
	var mu sync.Mutex
	done := make(chan struct{}, 1)
	s.transfers.options.Ended = func(r TransferReport) {
		if r.Err != nil {
			t.Errorf("transfer: %v", r.Err)
		}
		done <- struct{}{}
	}
	q := transport.NewQuery(msg, clientAddr, serverAddr, proto, func(m []byte) error {
		mu.Lock()
		defer mu.Unlock()
		out = append(out, slices.Clone(m))
		return nil
	})
	if first := s.NewWorker().Answer(nil, q); len(first) > 0 {
		out = append(out, first)
	} else {
		<-done
	}
	return parsed(t, out, stream)
}

func parsed(t testing.TB, out [][]byte, stream *dns.TSIGStream) []*dns.Message {
	t.Helper()
	var messages []*dns.Message
	for _, msg := range out {
		if stream != nil {
			n, err := stream.Verify(msg, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			msg = msg[:n]
		}
		m, err := dns.ParseMessage(msg)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// records returns the answers of all messages as text.
func records(messages []*dns.Message) (lines []string) {
	for _, m := range messages {
		for _, r := range m.Answer {
			lines = append(lines, r.String())
		}
	}
	return lines
}

// largeZone has n delegations, with glue, and a record of 40,000 octets.
func largeZone(t testing.TB, serial, n int) *zone.Zone {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "@ 60 SOA ns hostmaster %d 1 1 1 30\n@ 60 NS ns.elsewhere.\n", serial)
	for i := range n {
		fmt.Fprintf(&b, "d%d 300 NS ns.d%d\nns.d%d 300 A 192.0.2.%d\n", i, i, i, i%250)
	}
	fmt.Fprintf(&b, "long 60 TXT%s\n", strings.Repeat(` "`+strings.Repeat("x", 250)+`"`, 160))
	return load(t, "example.", b.String())
}

func TestWholeZone(t *testing.T) {
	z := largeZone(t, 1, 3000)
	var want []string
	for r := range z.Current().Records() {
		want = append(want, r.String())
	}
	want = append(want, want[0])
	for _, key := range []*dns.TSIGKey{nil, &transferKey} {
		for _, proto := range []transport.Proto{transport.TCP, transport.TLS, transport.QUIC} {
			s := serve(t, Options{Keys: keysOf(transferKey), Transfers: TransferOptions{Allow: allow(t, "127.0.0.0/8")}}, z)
			messages := fetch(t, s, query(t, "EXAMPLE. AXFR edns"), proto, key)
			if diff := cmp.Diff(want, records(messages), cmp.Transformer("lower", strings.ToLower)); diff != "" {
				t.Fatalf("over %s (-zone +transfer):\n%s", proto, diff)
			}
			for i, m := range messages {
				if first := i == 0; len(m.Questions) == 1 != first || (m.EDNS != nil) != first || !m.Flags.Has(dns.FlagAA) {
					t.Fatalf("message %d of %d: %v", i, len(messages), m)
				}
			}
			if len(messages) < 8 || len(messages) > 20 {
				t.Errorf("%d messages, expected them to be full", len(messages))
			}
		}
	}
}

// rcodeOf returns the code of the only message.
func rcodeOf(t testing.TB, messages []*dns.Message) string {
	t.Helper()
	if len(messages) != 1 {
		t.Fatalf("%d messages, expected one", len(messages))
	}
	return messages[0].RCode.String()
}

func TestTransfersAreForWhoIsAllowed(t *testing.T) {
	other := transferKey
	other.Name = dns.MustName("other.")
	empty := zone.New(dns.MustName("empty."))
	for _, c := range []struct {
		allow []string
		words string
		key   *dns.TSIGKey
		want  string
	}{
		{nil, "example. AXFR tcp", nil, "REFUSED"},
		{nil, "elsewhere. AXFR tcp", nil, "NOTAUTH"},
		{nil, "www.example. AXFR tcp", nil, "NOTAUTH"},
		{[]string{"127.0.0.1"}, "empty. AXFR tcp", nil, "SERVFAIL"},
		{[]string{"127.0.0.1"}, "example. AXFR", nil, "REFUSED"},
		{[]string{"127.0.0.1"}, "example. AXFR https", nil, "REFUSED"},
		{[]string{"127.0.0.1"}, "example. AXFR tcp", nil, "NOERROR"},
		{[]string{"127.0.0.1"}, "example. IXFR tcp", nil, "FORMERR"},
		{[]string{"127.0.0.1"}, "example. AXFR tcp", &other, "NOERROR"},
		{[]string{"127.0.0.2", "::/0"}, "example. AXFR tcp", nil, "REFUSED"},
		{[]string{"key:transfer.key"}, "example. AXFR tcp", nil, "REFUSED"},
		{[]string{"key:transfer.key"}, "example. AXFR tcp", &other, "REFUSED"},
		{[]string{"key:transfer.key"}, "example. AXFR tcp", &transferKey, "NOERROR"},
		{[]string{"127.0.0.2+key:transfer.key"}, "example. AXFR tcp", &transferKey, "REFUSED"},
		{[]string{"127.0.0.0/8+key:transfer.key"}, "example. AXFR tcp", &transferKey, "NOERROR"},
		{[]string{"127.0.0.0/8+key:transfer.key"}, "example. AXFR tcp", nil, "REFUSED"},
	} {
		s := serve(t, Options{Keys: keysOf(transferKey, other), Transfers: TransferOptions{Allow: allow(t, c.allow...)}}, soaOnly(t, "example."), empty)
		msg, proto := message(t, strings.Fields(c.words))
		if got := rcodeOf(t, fetch(t, s, msg, proto, c.key)); got != c.want {
			t.Errorf("%s, key %v, allowed %v: %s, expected %s", c.words, c.key != nil, c.allow, got, c.want)
		}
	}
}

func TestWho(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::/32": "2001:db8::/32", "key:A": "key:A.",
		"10.0.0.0/8+key:k": "10.0.0.0/8+key:k.", "key:a+b": "key:a+b.", "tls:Ns1.Example.": "tls:ns1.example",
		"10.0.0.0/8+key:k+tls:a": "10.0.0.0/8+key:k.+tls:a", "tls:a+key:k": "key:k.+tls:a", "tls:": "", "tls:a+tls:b": "", "10.0.0.0/8+::/0": "",
		"": "", "k": "", "10.0.0.1/8": "", "+key:a": "", "10.0.0.0/8+": "", "10.0.0.0/8+k": "", "key:": "", "key:a..b": "", "fe80::1%x": "",
	} {
		who, err := ParseWho(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken as %s, expected an error", text, who)
		case want != "" && (err != nil || who.String() != want):
			t.Errorf("%q is %s, %v; expected %s", text, who, err, want)
		}
	}
}

// TestTransfersTakeTurns has more clients than may have transfers at once, all
// of them too slow to read: the others wait, are sent theirs later, and who
// comes too late is told.
func TestTransfersTakeTurns(t *testing.T) {
	z := largeZone(t, 1, 100)
	ended := make(chan TransferReport, 10)
	s := serve(t, Options{Transfers: TransferOptions{
		Allow: allow(t, "0.0.0.0/0"), Most: 3, MostEach: 2, MostWaiting: 4, Ended: func(r TransferReport) { ended <- r },
	}}, z)
	read := make(chan struct{})
	begin := func(client string) []byte {
		q := transport.NewQuery(query(t, "example. AXFR"), netip.MustParseAddrPort(client), serverAddr, transport.TCP, func([]byte) error {
			<-read
			return nil
		})
		return s.NewWorker().Answer(nil, q)
	}
	for i, client := range []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:4", "10.0.0.4:1"} {
		if out := begin(client); len(out) > 0 {
			t.Fatalf("transfer %d is answered at once: %x", i, out)
		}
	}
	if got := s.Transfers(); got != (TransferCounts{Running: 3, Waiting: 4}) {
		t.Fatalf("%+v, expected 3 running and 4 waiting", got)
	}
	if m, err := dns.ParseMessage(begin("10.0.0.5:1")); err != nil || m.RCode != dns.RCodeServFail {
		t.Fatalf("%v, %v; expected SERVFAIL", m, err)
	}
	close(read)
	for range 7 {
		if r := <-ended; r.Err != nil || r.Records != z.Current().Stats().Records+1 {
			t.Errorf("%+v", r)
		}
	}
	for s.Transfers() != (TransferCounts{}) {
		time.Sleep(time.Millisecond) // the last one has ended, its goroutine not yet
	}
}

func TestClientsThatGoAreNoticed(t *testing.T) {
	gone := errors.New("gone")
	ended := make(chan TransferReport, 1)
	s := serve(t, Options{Transfers: TransferOptions{Allow: allow(t, "127.0.0.1"), Ended: func(r TransferReport) { ended <- r }}}, largeZone(t, 1, 1000))
	s.NewWorker().Answer(nil, transport.NewQuery(query(t, "example. AXFR"), clientAddr, serverAddr, transport.TCP, func([]byte) error { return gone }))
	if r := <-ended; !errors.Is(r.Err, gone) || r.Messages != 1 {
		t.Errorf("%+v, expected an end after the first message", r)
	}
}

func TestSignedQueries(t *testing.T) {
	s := serve(t, Options{Keys: keysOf(transferKey)}, soaOnly(t, "example."))
	now := time.Now()
	for _, c := range []struct {
		name    string
		change  func(k *dns.TSIGKey, when *time.Time)
		rcode   dns.RCode
		checked string // what the client finds
	}{
		{"good", func(*dns.TSIGKey, *time.Time) {}, dns.RCodeNoError, ""},
		{"other secret", func(k *dns.TSIGKey, _ *time.Time) { k.Secret = []byte("another") }, dns.RCodeNotAuth, "BADSIG"},
		{"other name", func(k *dns.TSIGKey, _ *time.Time) { k.Name = dns.MustName("no.") }, dns.RCodeNotAuth, "BADKEY"},
		{"other algorithm", func(k *dns.TSIGKey, _ *time.Time) { k.Algorithm = dns.HMACSHA512 }, dns.RCodeNotAuth, "BADKEY"},
		{"old", func(_ *dns.TSIGKey, when *time.Time) { *when = now.Add(-time.Hour) }, dns.RCodeNotAuth, "BADTIME"},
	} {
		key, when := transferKey, now
		c.change(&key, &when)
		msg, mac, err := dns.SignTSIG(query(t, "example. SOA edns"), key, when, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := transport.NewQuery(msg, clientAddr, serverAddr, transport.UDP, nil)
		q.Now = now.UnixNano()
		out := s.NewWorker().Answer(nil, q)
		stream, err := dns.NewTSIGStream(key, mac)
		if err != nil {
			t.Fatal(err)
		}
		m, err := dns.ParseMessage(out)
		if err != nil || m.RCode != c.rcode || (len(m.Answer) > 0) != (c.rcode == 0) {
			t.Errorf("%s: %v, %v; expected %s", c.name, m, err, c.rcode)
		}
		_, err = stream.Verify(out, when)
		if c.checked == "" && err != nil || c.checked != "" && (err == nil || !strings.Contains(err.Error(), c.checked)) {
			t.Errorf("%s: the client finds %v, expected %s", c.name, err, c.checked)
		}
	}
}
