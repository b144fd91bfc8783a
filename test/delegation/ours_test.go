package delegation

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/authority"
	"onoma/delegation"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

// signed is a child of ours: signed by one key, which it asks the parent for.
func signed(t testing.TB, name dns.Name, key *dnssec.Key, text string) *zone.Version {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader("$TTL 1\n"+text), zonefile.Options{Origin: name}), name)
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	ds, err := dnssec.MakeDS(name, key.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	apex := func(typ dns.Type, data dns.RData) dns.Record {
		return dns.Record{Name: name, Type: typ, Class: dns.ClassIN, TTL: 1, Data: data}
	}
	plan := &sign.Plan{
		Keys: []sign.Key{{Key: key, SignsKeys: true, SignsZone: true}}, Denial: sign.Denial{Kind: sign.NSEC}, Skew: time.Hour,
		Apex: []dns.Record{apex(dns.TypeDNSKEY, key.RData()), apex(dns.TypeCDNSKEY, key.RData()), apex(dns.TypeCDS, ds.RData())},
	}
	if v, _, err = plan.Whole(t.Context(), v, time.Now()); err != nil {
		t.Fatal(err)
	}
	return v
}

// serve serves zones of ours until the test ends.
func serve(t testing.TB, versions ...*zone.Version) netip.AddrPort {
	t.Helper()
	auth := authority.New(authority.Options{})
	for _, v := range versions {
		z := zone.New(v.Origin())
		z.Publish(v)
		auth.AddZone(z)
	}
	srv, err := transport.Listen(transport.Config{Handler: auth, Addrs: []netip.AddrPort{netip.AddrPortFrom(peers.Addr(t).Addr(), 0)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return srv.Addrs()[0]
}

// TestOursMoves: a child of ours gets its first DS, then moves to another server by CSYNC; both by NOTIFY, both at once.
func TestOursMoves(t *testing.T) {
	t.Parallel()
	key, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	text := "@ SOA ns1 hostmaster 7 1 1 1 1\n@ CSYNC 7 3 NS A AAAA\n"
	z := zone.New(child)
	z.Publish(signed(t, child, key, text+"@ NS ns1\nns1 A 192.0.2.1\n"))
	first := serve(t, z.Current())
	policy := own(0)
	policy.CSYNC = true
	h := newParent(t, policy, "", nil, first)
	h.notify(dns.TypeCDS)
	h.await("the DS", func() bool { return len(h.ds()) == 1 })

	// The next version says what both servers serve from now on.
	second := peers.Addr(t)
	next := signed(t, child, key, text+"@ NS ns2\nns1 A "+first.Addr().String()+"\nns2 A "+second.Addr().String()+"\n")
	h.move(first, serve(t, next))
	h.move(second, serve(t, next))
	h.notify(dns.TypeCSYNC)
	h.await("the new server", func() bool { return slices.Equal(h.records(child, dns.TypeNS), []string{"ns2.child.tld."}) })
	if got := h.records(dns.MustName("ns2.child.tld."), dns.TypeA); !slices.Equal(got, []string{second.Addr().String()}) {
		t.Errorf("glue: %v", got)
	}
	if got := h.records(dns.MustName("ns1.child.tld."), dns.TypeA); got != nil {
		t.Errorf("glue of the server that has gone: %v", got)
	}
}

// move has an address of a server lead to another one.
func (h *parent) move(from, to netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports[netip.AddrPortFrom(from.Addr(), 53).String()] = to.String()
}

func (h *parent) records(name dns.Name, typ dns.Type) []string {
	set, ok := h.zone.Current().Find([]byte(name.Wire())).RRset(typ)
	var out []string
	if ok {
		for data := range set.RData() {
			out = append(out, string(dns.AppendRDataText(nil, typ, data)))
		}
	}
	return out
}

// TestManyChildren: children that all ask at once all get their DS, soon.
func TestManyChildren(t *testing.T) {
	t.Parallel()
	const children = 300
	key, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		t.Fatal(err)
	}
	var versions []*zone.Version
	delegations := "ns.host A 192.0.2.53\n"
	for i := range children {
		name := dns.MustName(fmt.Sprintf("c%d.tld.", i))
		versions = append(versions, signed(t, name, key, "@ SOA ns hostmaster 7 1 1 1 1\n@ NS ns.host.tld.\n"))
		delegations += fmt.Sprintf("c%d NS ns.host\n", i)
	}
	addr := serve(t, versions...)
	policy := own(0)
	policy.Bootstrap.Own = []dns.Name{dns.MustName("ns.host.tld.")}
	h := newParent(t, policy, delegations, nil)
	h.move(netip.MustParseAddrPort("192.0.2.53:53"), addr)
	began := time.Now()
	for _, v := range versions {
		if a := h.desk.Notified("", v.Origin(), dns.TypeCDS, netip.MustParseAddr("192.0.2.99")); a != delegation.Taken {
			t.Fatalf("%s: %d", v.Origin(), a)
		}
	}
	h.await("all DS", func() bool { return h.desk.Counts().Changed == children })
	t.Logf("%d children have their first DS after %v", children, time.Since(began))
	for _, v := range versions {
		if len(h.records(v.Origin(), dns.TypeDS)) != 1 {
			t.Errorf("%s: %v", v.Origin(), h.records(v.Origin(), dns.TypeDS))
		}
	}
}
