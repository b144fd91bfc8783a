package update

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// listen serves the fixture over UDP and TCP until the test ends.
func (f *fixture) listen(t *testing.T) netip.AddrPort {
	t.Helper()
	s, err := transport.Listen(transport.Config{Handler: f.server, Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0]
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	s, err := transport.Listen(transport.Config{Handler: authority.New(authority.Options{}), Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	return s.Addrs()[0]
}

func newForwarder(t *testing.T, f Forward) *fixture {
	t.Helper()
	s := newFixture(t, Options{}, "")
	s.Set(zone.IDOf("", origin), Settings{Forward: &f})
	return s
}

var everybody = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}

// A secondary passes a request on with its signature, whose key it does not know,
// and the client can check that of the answer.
func TestForward(t *testing.T) {
	primary := newFixture(t, Options{}, "grant key:ddns. zonesub")
	key := dns.TSIGKey{Name: dns.MustName("ddns."), Algorithm: dns.HMACSHA256, Secret: []byte("a secret of some length")}
	primary.keys.Set([]dns.TSIGKey{key})
	secondary := newForwarder(t, Forward{Allow: everybody, Primaries: []Primary{{Addr: closedPort(t)}, {Addr: primary.listen(t)}}})
	before := secondary.zone.Current()
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP} {
		msg, _ := newUpdate().Add(name("new"), 60, dns.TypeA, address("9")).Append(nil)
		signed, mac, err := dns.SignTSIG(msg, key, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := secondary.ask(t, signed, proto)
		if got := rcode(t, answer); got != dns.RCodeNoError {
			t.Errorf("%v over %v, expected NOERROR", got, proto)
		}
		stream, _ := dns.NewTSIGStream(key, mac)
		if _, err := stream.Verify(answer, time.Now()); err != nil {
			t.Errorf("the primary's signature: %v", err)
		}
	}
	if primary.lines("new.example.") == "" {
		t.Error("the primary has not made the change")
	}
	if secondary.zone.Current() != before {
		t.Error("the secondary has made a change of its own")
	}
	if got := secondary.update(t, newUpdate().DeleteName(name("www"))); got != dns.RCodeRefused {
		t.Errorf("%v for who does not sign, expected the primary's REFUSED", got)
	}
	if st := secondary.Stats(); st.Forwarded != 3 {
		t.Errorf("%d forwarded, expected 3", st.Forwarded)
	}
}

func TestForwardFails(t *testing.T) {
	for what, c := range map[string]struct {
		forward Forward
		want    dns.RCode
	}{
		"not for this client": {Forward{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Primaries: []Primary{{Addr: closedPort(t)}}}, dns.RCodeRefused},
		"no primary there":    {Forward{Allow: everybody, Primaries: []Primary{{Addr: closedPort(t)}}}, dns.RCodeServFail},
		"no primary at all":   {Forward{Allow: everybody}, dns.RCodeServFail},
	} {
		if got := newForwarder(t, c.forward).update(t, newUpdate()); got != c.want {
			t.Errorf("%s: %v, expected %v", what, got, c.want)
		}
	}
}
