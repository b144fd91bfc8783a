package authority

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// TestNameServers: the notify set is the NS set without the primary, with glue and
// addresses out of other zones of this server; others are asked for once.
func TestNameServers(t *testing.T) {
	z := load(t, "example.", `@ 60 SOA Ns1 h 1 1 1 1 1
@ 60 NS ns1
@ 60 NS ns2
@ 60 NS a.other.
@ 60 NS ns.far.
@ 60 NS ns.sub
ns1 60 A 192.0.2.1
ns2 60 A 192.0.2.2
ns2 60 AAAA 2001:db8::2
sub 60 NS ns.sub
ns.sub 60 A 192.0.2.3
`)
	other := load(t, "other.", "@ 60 SOA a h 1 1 1 1 1\n@ 60 NS a\na 60 A 192.0.2.4\na 60 A 192.0.2.2\n")
	asked := 0
	find := serve(t, Options{}, z, other).NameServers(func(_ context.Context, name dns.Name) []netip.Addr {
		if asked++; !name.Equal(dns.MustName("ns.far.")) {
			t.Errorf("%s is asked for, expected ns.far. alone", name)
		}
		return []netip.Addr{netip.MustParseAddr("198.51.100.1")}
	})
	want := map[string]bool{
		"192.0.2.2:53": true, "[2001:db8::2]:53": true, "192.0.2.3:53": true, "192.0.2.4:53": true, "198.51.100.1:53": true,
	}
	for range 2 {
		got := make(map[string]bool)
		for _, addr := range find(t.Context(), z.Current()) {
			got[addr.String()] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, expected once", asked)
	}
}

// TestNotifyComesFromWhereItShould: a secondary tells its primary by the address.
func TestNotifyComesFromWhereItShould(t *testing.T) {
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	to := Secondary{Addr: sink.LocalAddr().(*net.UDPAddr).AddrPort(), From: netip.MustParseAddr("127.77.1.2")}
	n := NewNotifier(NotifyOptions{Of: func(dns.Name) []Secondary { return []Secondary{to} }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.Publish(largeZone(t, 1, 1))
	_, from, err := sink.ReadFromUDPAddrPort(make([]byte, 4096))
	if err != nil || from.Addr() != to.From {
		t.Errorf("the message comes from %s (%v), expected %s", from, err, to.From)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
