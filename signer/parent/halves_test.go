package parent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/delegation"
	"onoma/dns"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

// signedChild makes a key for the child, and writes the zone signed by it, with CDS and CDNSKEY, by BIND's tools.
func signedChild(t *testing.T, file string, serial int) dns.DNSKEY {
	t.Helper()
	keys := t.TempDir()
	text := fmt.Sprintf("$TTL 60\n@ SOA ns.child.example. a.example. %d 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n", serial)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{"dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-P", "sync", "-1d", "-K", keys, "child.example."},
		{"dnssec-signzone", "-d", filepath.Dir(file), "-S", "-z", "-K", keys, "-o", "child.example.", "-N", "keep", "-f", file, file},
	} {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", words[0], err, out)
		}
	}
	v, _, err := zone.LoadFile(file, child.Name)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := v.Apex().RRset(dns.TypeDNSKEY)
	k, err := dns.ParseDNSKEY(set.First())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// theirHalf runs a parent of our own: a server with the zone, and a desk that follows CDS of children at childAddr.
func theirHalf(t *testing.T, ctx context.Context, childAddr netip.AddrPort) netip.AddrPort {
	t.Helper()
	addr := peers.Addr(t)
	z := zone.New(example)
	z.Publish(versionOf(t, "example.", fmt.Sprintf(
		"$TTL 60\n@ SOA ns a 1 3600 600 86400 60\n@ NS ns\nns A %s\n_dsync DSYNC CDS NOTIFY %d ns\nchild NS ns.child\nns.child A 127.0.0.1\n", addr.Addr(), addr.Port())))
	desk := delegation.New(delegation.Options{
		Zone: func(zone.ID) *zone.Version { return z.Current() },
		Submit: func(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
			for _, c := range changes {
				if _, err := z.Update(c.Edit); err != nil {
					return nil, err
				}
			}
			return make([]zone.Receipt, len(changes)), nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, childAddr.String())
		},
		Allowed: func(netip.Addr) bool { return true },
	})
	err := desk.Set(ctx, delegation.Parent{ID: zone.IDOf("", example), Policy: delegation.Policy{
		DS: true, MinInterval: 10 * time.Millisecond, TTL: 60, Bootstrap: delegation.Bootstrap{Own: names("ns.child.example.")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	answers := map[delegation.Answer]authority.NoticeVerdict{
		delegation.Taken: authority.NoticeTaken, delegation.Rejected: authority.NoticeRefused, delegation.NotOurs: authority.NoticeUnknown,
	}
	server := authority.New(authority.Options{ChildNotified: func(n authority.Notice) authority.NoticeVerdict {
		return answers[desk.Notified(n.View, n.Zone, n.Type, n.From.Addr())]
	}})
	if err := server.SetZones(z); err != nil {
		t.Fatal(err)
	}
	sockets, err := transport.Listen(transport.Config{Handler: server, Addrs: []netip.AddrPort{addr}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() { sockets.Serve(ctx) })
	wg.Go(func() { desk.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return addr
}

// TestBothHalves has a zone signed by BIND's tools and served by NSD reach a DS, and another one after a roll of its key, at a
// parent of our own: NOTIFY(CDS) goes there, the parent looks, and the new DS is seen.
func TestBothHalves(t *testing.T) {
	peers.Need(t, "dnssec-keygen")
	file := filepath.Join(t.TempDir(), "child.zone")
	first := signedChild(t, file, 1)
	childAddr := peers.NSD.Addr(t)
	nsd := peers.NSD.Serve(t, childAddr, peers.Serving{Zones: peers.Zones{{Name: "child.example.", File: file}}})
	addr := theirHalf(t, t.Context(), childAddr)
	w, await := follow(t, Options{Port: addr.Port(), Resolve: New(Options{}).direct([]netip.AddrPort{addr})})
	want := func(k dns.DNSKEY) Wanted {
		set, err := MakeDS(child.Name, []dns.DNSKEY{k}, []uint8{2})
		if err != nil {
			t.Fatal(err)
		}
		return Wanted{DS: set, Keys: []dns.DNSKEY{k}, Known: []dns.DNSKEY{first, k}}
	}
	w.Set(Zone{ID: child, Delays: quick, Notify: true, Wanted: want(first)})
	begun := time.Now()
	w.Tell(child, dns.TypeCDS)
	v := await("the first DS", is(Secure))
	t.Logf("from NOTIFY to the DS seen: %s", time.Since(begun).Round(time.Millisecond))
	if len(v.Told) != 1 || v.Told[0].Error != "" || v.Told[0].Answered.IsZero() {
		t.Errorf("told: %+v", v.Told)
	}
	// The parent refuses what its DS does not vouch for: a child whose key is another from one moment to the next.
	second := signedChild(t, file, 2)
	peers.NSD.Reread(t, nsd, "child.example.")
	w.Expect(child, want(second))
	w.Tell(child, dns.TypeCDS)
	v = await("that the parent was told", func(v View) bool {
		return len(v.Told) == 1 && v.Told[0].Answered.After(begun.Add(time.Millisecond)) && v.Condition == Waiting
	})
	if v.Presence(first) != All || v.Presence(second) != None {
		t.Errorf("DS of the first key: %s, of the second: %s; want all, none", v.Presence(first), v.Presence(second))
	}
}
