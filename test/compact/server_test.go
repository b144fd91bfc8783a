package compact

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/signer/online"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

// The zones: a parent and children, each signed in another way.
const (
	parentZone = `$ORIGIN test.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
ns1 A 192.0.2.1
compact NS ns1
plain NS ns1
ent.plain.deep NS ns1
`
	childZone = `$ORIGIN compact.test.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ MX 10 www
ns1 A 192.0.2.1
www A 192.0.2.80
www AAAA 2001:db8::80
alias CNAME www
dangling CNAME nx
a.b.c TXT "below empty non-terminals"
*.wild TXT "any"
*.wild A 192.0.2.81
*.calias CNAME www
*.cdangling CNAME nx.wild2
old DNAME wild
sub NS ns1.sub
ns1.sub A 192.0.2.53
`
	plainZone = `$ORIGIN plain.test.
$TTL 3600
@ SOA ns1.test. hostmaster.test. 1 7200 900 1209600 300
@ NS ns1.test.
www A 192.0.2.82
`
)

// rig is a server with the zones, and the key that is the anchor.
type rig struct {
	addr   netip.AddrPort
	auth   *authority.Server
	signer *online.Signer
	anchor string // DNSKEY record of test.
	child  *online.Zone
}

func newKey(t testing.TB, algorithm uint8) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, algorithm, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// compact is how most zones here deny.
var compact = sign.Denial{Kind: sign.Compact}

// signed returns a zone of that text, signed by key, and its door to the signer.
func signed(t testing.TB, s *online.Signer, origin, text string, key *dnssec.Key, denial sign.Denial) (*zone.Zone, *online.Zone) {
	t.Helper()
	name := dns.MustName(origin)
	apex := []dns.Record{{Name: name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: key.RData()}}
	plan := sign.Plan{
		Keys: []sign.Key{{Key: key, SignsKeys: true, SignsZone: true}}, Apex: apex,
		Denial: denial, Skew: time.Hour,
	}
	v, _, err := plan.Whole(context.Background(), read(t, origin, text), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if (v.Denial() == zone.DenialCompact) != (denial.Kind == sign.Compact) {
		t.Fatalf("%s: denial is %v", origin, v.Denial())
	}
	door := s.Zone(online.ZoneOptions{Origin: name})
	door.SetKeys([]*dnssec.Key{key})
	z := zone.New(name)
	z.SignOnline(door)
	z.Publish(v)
	return z, door
}

func read(t testing.TB, origin, text string) *zone.Version {
	t.Helper()
	name := dns.MustName(origin)
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: name}), name)
	if err != nil {
		t.Fatal(err, findings)
	}
	return v
}

// newRig serves the zones at a free address.
func newRig(t testing.TB, o online.Options, algorithm uint8) *rig {
	t.Helper()
	return newRigOf(t, o, algorithm, compact)
}

// newRigOf is newRig for zones that deny in another way.
func newRigOf(t testing.TB, o online.Options, algorithm uint8, denial sign.Denial) *rig {
	t.Helper()
	r := &rig{signer: online.New(o), auth: authority.New(authority.Options{})}
	parentKey, childKey := newKey(t, algorithm), newKey(t, algorithm)
	ds, err := dnssec.MakeDS(dns.MustName("compact.test."), childKey.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	parent, _ := signed(t, r.signer, "test.", parentZone+"compact DS "+ds.RData().Text(dns.TypeDS)+"\n", parentKey, denial)
	child, door := signed(t, r.signer, "compact.test.", childZone, childKey, denial)
	plain := zone.New(dns.MustName("plain.test."))
	plain.Publish(read(t, "plain.test.", plainZone))
	if err := r.auth.SetZones(parent, child, plain); err != nil {
		t.Fatal(err)
	}
	r.child = door
	r.anchor = "test. 3600 IN DNSKEY " + parentKey.RData().Text(dns.TypeDNSKEY)
	r.addr = serve(t, r.auth)
	return r
}

func serve(t testing.TB, h transport.Handler) netip.AddrPort {
	t.Helper()
	s, err := transport.Listen(transport.Config{Handler: h, Addrs: []netip.AddrPort{netip.AddrPortFrom(peers.Addr(t).Addr(), 0)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
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
