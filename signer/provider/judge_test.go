package provider

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/transport"
	"onoma/zone"
)

var (
	origin = dns.MustName("example.")
	now    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func newKey(t testing.TB, flags uint16) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, dnssec.ED25519, 0, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// set is a set of the apex, signed at a time.
func set(t testing.TB, typ dns.Type, at time.Time, signers []*dnssec.Key, data ...dns.RData) Set {
	t.Helper()
	s := Set{RRset: dnssec.RRset{Owner: origin, Type: typ, Class: dns.ClassIN, TTL: 60, RData: data}}
	for _, k := range signers {
		sig, err := dnssec.SignRRset(k, origin, s.RRset, uint32(at.Add(-time.Hour).Unix()), uint32(at.Add(24*time.Hour).Unix()))
		if err != nil {
			t.Fatal(err)
		}
		s.Sigs = append(s.Sigs, sig)
	}
	return s
}

func ds(t testing.TB, k *dnssec.Key) dns.DS {
	t.Helper()
	d, err := dnssec.MakeDS(origin, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestJudge: what is believed, and what not, whoever sends it.
func TestJudge(t *testing.T) {
	ksk, zsk, ours, forger, third := newKey(t, 257), newKey(t, 256), newKey(t, 257), newKey(t, 257), newKey(t, 257)
	list := func(k ...*dnssec.Key) (out []dns.DNSKEY) {
		for _, k := range k {
			out = append(out, k.DNSKEY())
		}
		return out
	}
	parent := func(k ...*dnssec.Key) func() ([]dns.DS, error) {
		return func() (out []dns.DS, err error) {
			for _, k := range k {
				out = append(out, ds(t, k))
			}
			return out, nil
		}
	}
	said := func(at time.Time, signer *dnssec.Key, in ...*dnssec.Key) *Said {
		s := &Said{SOA: set(t, dns.TypeSOA, at, []*dnssec.Key{zsk}, dns.SOA{MName: origin, RName: origin}.RData())}
		var data []dns.RData
		for _, k := range in {
			data = append(data, k.RData())
		}
		s.Keys = set(t, dns.TypeDNSKEY, at, []*dnssec.Key{signer}, data...)
		return s
	}
	usual := func() *Said { return said(now, ksk, ksk, zsk, ours) }
	sure := func(s *Said) *Said { s.IsSure = true; return s }
	for _, test := range []struct {
		name  string
		known Known
		said  *Said
		want  error
		proof string
	}{
		{"a stranger", Known{}, usual(), ErrUnknown, ""},
		{"a key that is known", Known{Keys: list(ksk)}, usual(), nil, "which is known"},
		{"the parent's DS", Known{DS: parent(ours, ksk)}, usual(), nil, "whose DS the parent has"},
		{"a DS that is not secure", Known{DS: func() ([]dns.DS, error) { return nil, errors.New("insecure") }}, usual(), ErrUnknown, ""},
		{"a channel that is sure", Known{}, sure(usual()), nil, "channel"},
		{"a forger who has put in his key", Known{Keys: list(ksk), DS: parent(ours, ksk)}, said(now, forger, ksk, zsk, ours, forger), ErrUnknown, ""},
		{"what is known is not signed by it", Known{Keys: list(ksk)}, said(now, ours, ksk, zsk, ours, forger), ErrForged, ""},
		{"our own set, played back", Known{DS: parent(ours, ksk)}, said(now, ours, ours, ksk), ErrForged, ""},
		{"a third provider's set, with a DS", Known{Others: list(third), DS: parent(ours, ksk, third)}, said(now, third, third, ours, ksk), ErrUnknown, ""},
		{"expired", Known{Keys: list(ksk)}, said(now.AddDate(0, 0, -2), ksk, ksk, zsk), ErrForged, ""},
		{"of tomorrow", Known{Keys: list(ksk)}, said(now.AddDate(0, 0, 2), ksk, ksk, zsk), ErrForged, ""},
		{"older than seen before", Known{Keys: list(ksk), After: now.Add(-30 * time.Minute)}, said(now, ksk, ksk, zsk), ErrOld, ""},
		{"older than seen before, through a sure channel", Known{After: now.Add(-30 * time.Minute)}, sure(said(now, ksk, ksk, zsk)), ErrOld, ""},
		{"unsigned", Known{Keys: list(ksk)}, &Said{Keys: set(t, dns.TypeDNSKEY, now, nil, ksk.RData())}, ErrForged, ""},
		{"unsigned, through a sure channel", Known{}, &Said{IsSure: true, Keys: set(t, dns.TypeDNSKEY, now, nil, ksk.RData())}, ErrForged, ""},
		{"nothing", Known{}, &Said{IsSure: true}, ErrNoKeys, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.known.Zone = origin
			if test.known.Own == nil {
				test.known.Own = list(ours)
			}
			a, err := test.known.Judge(test.said, now)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil && !strings.Contains(a.Proof, test.proof) {
				t.Errorf("proof: %s, want %s", a.Proof, test.proof)
			}
		})
	}
}

// TestMeaning: which key does what, and which is to have a DS.
func TestMeaning(t *testing.T) {
	ksk, next, zsk, ours := newKey(t, 257), newKey(t, 257), newKey(t, 256), newKey(t, 257)
	revoked := newKey(t, 257|128)
	s := &Said{
		Keys: set(t, dns.TypeDNSKEY, now, []*dnssec.Key{ksk, next, revoked}, ksk.RData(), next.RData(), zsk.RData(), ours.RData(), revoked.RData()),
		SOA:  set(t, dns.TypeSOA, now, []*dnssec.Key{zsk}, dns.SOA{MName: origin, RName: origin}.RData()),
	}
	known := Known{Zone: origin, Own: []dns.DNSKEY{ours.DNSKEY()}, Keys: []dns.DNSKEY{ksk.DNSKEY()}}
	look := func(what string, want map[uint16]string) *Answer {
		t.Helper()
		a, err := known.Judge(s, now)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uint16]string{}
		for _, k := range a.Keys {
			text := ""
			for _, f := range []struct {
				is   bool
				text string
			}{{k.SignsKeys, "keys "}, {k.SignsZone, "zone "}, {k.WantsDS, "DS"}} {
				if f.is {
					text += f.text
				}
			}
			got[k.Key.KeyTag()] = text
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
		return a
	}
	look("without CDS", map[uint16]string{ksk.Tag(): "keys DS", next.Tag(): "keys DS", zsk.Tag(): "zone ", ours.Tag(): "", revoked.Tag(): ""})
	s.CDS = set(t, dns.TypeCDS, now, []*dnssec.Key{ksk}, ds(t, next).RData(), ds(t, ours).RData())
	look("by CDS", map[uint16]string{ksk.Tag(): "keys ", next.Tag(): "keys DS", zsk.Tag(): "zone ", ours.Tag(): "DS", revoked.Tag(): ""})
	s.CDS.Sigs = nil
	look("by a CDS that nobody has signed", map[uint16]string{ksk.Tag(): "keys DS", next.Tag(): "keys DS", zsk.Tag(): "zone ", ours.Tag(): "", revoked.Tag(): ""})
	s.CDS = set(t, dns.TypeCDS, now, []*dnssec.Key{ksk}, dnssec.DeleteCDS())
	if a := look("by a CDS that asks for none", map[uint16]string{ksk.Tag(): "keys DS", next.Tag(): "keys DS", zsk.Tag(): "zone ", ours.Tag(): "", revoked.Tag(): ""}); !a.WantsNone {
		t.Error("nobody is told that the provider wants no DS")
	}
}

// TestMerge: of several servers, what all have is everywhere; while one is silent nothing is known to be missing.
func TestMerge(t *testing.T) {
	a, b := newKey(t, 257).DNSKEY(), newKey(t, 256).DNSKEY()
	first := &Answer{TTL: time.Minute, Keys: []keys.SeenKey{{Key: a, SignsKeys: true}, {Key: b}}}
	second := &Answer{TTL: time.Hour, Keys: []keys.SeenKey{{Key: a, WantsDS: true}}}
	want := keys.Seen{All: true, TTL: time.Hour, Keys: []keys.SeenKey{{Key: a, Everywhere: true, SignsKeys: true, WantsDS: true}, {Key: b}}}
	if d := cmp.Diff(want, Merge([]*Answer{first, second}, 2)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if Merge([]*Answer{first, second}, 3).All || Merge(nil, 0).All {
		t.Error("a server that is silent counts as one that has answered")
	}
}

// TestAsk: a server of ours is asked, with and without TSIG; who has another key, or none, is not believed.
func TestAsk(t *testing.T) {
	z := zone.New(origin)
	b := zone.NewBuilder(origin)
	for _, r := range []dns.Record{
		{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: dns.SOA{MName: origin, RName: origin}.RData()},
		{Name: origin, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 60, Data: dns.NewTarget(dns.MustName("ns.test."))},
		{Name: origin, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 60, Data: newKey(t, 257).RData()},
	} {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatal(findings)
	}
	z.Publish(v)
	key := dns.TSIGKey{Name: dns.MustName("pair."), Algorithm: dns.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}
	held := new(authority.Keys)
	held.Set([]dns.TSIGKey{key})
	auth := authority.New(authority.Options{Keys: held})
	auth.AddZone(z)
	srv, err := transport.Listen(transport.Config{Handler: auth, Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	other := key
	other.Secret = []byte("another secret of thirty-two octs")
	for _, test := range []struct {
		name string
		key  dns.Name
		has  dns.TSIGKey
		sure bool
		fail string
	}{
		{"unsigned", dns.Name{}, key, false, ""},
		{"signed", key.Name, key, true, ""},
		{"with another secret", key.Name, other, false, "not signed by the key"},
		{"with a key that is not there", dns.MustName("none."), key, false, "is not known"},
	} {
		a := Asker{Clock: time.Now, Keys: func(n dns.Name) (dns.TSIGKey, bool) { return test.has, n.Equal(test.has.Name) }}
		s := &Server{Addr: srv.Addrs()[0], Proto: transport.TCP, Client: &transport.Client{Reuse: 1}, Key: test.key}
		said, err := a.Ask(t.Context(), s, origin)
		switch {
		case test.fail != "" && (err == nil || !strings.Contains(err.Error(), test.fail)):
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.fail)
		case test.fail == "" && (err != nil || said.IsSure != test.sure || len(said.Keys.RData) != 1 || len(said.CDS.RData) != 0):
			t.Errorf("%s: %+v, %v", test.name, said, err)
		}
	}
	a := Asker{Clock: time.Now}
	if _, err := a.Ask(t.Context(), &Server{Addr: srv.Addrs()[0], Proto: transport.TCP, Client: new(transport.Client)}, dns.MustName("elsewhere.")); err == nil {
		t.Error("a server that does not serve the zone is believed")
	}
}

// FuzzJudge: whatever a server says is judged within bounds, and no key comes of it that nobody proves.
func FuzzJudge(f *testing.F) {
	ksk := newKey(f, 257)
	good := set(f, dns.TypeDNSKEY, now, []*dnssec.Key{ksk}, ksk.RData())
	m := dns.NewQuery(1, dns.Question{Name: origin, Type: dns.TypeDNSKEY, Class: dns.ClassIN}, false)
	m.Flags |= dns.FlagQR | dns.FlagAA
	m.Answer = []dns.Record{{Name: origin, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 60, Data: ksk.RData()},
		{Name: origin, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: 60, Data: good.Sigs[0].RData()}}
	seed, err := m.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := dns.ParseMessage(msg)
		if err != nil {
			return
		}
		var said Said
		for _, to := range []*Set{&said.Keys, &said.CDS, &said.CDNSKEY, &said.SOA} {
			if *to, err = read(m, origin, dns.TypeDNSKEY); err != nil {
				return
			}
		}
		stranger := Known{Zone: origin, Own: []dns.DNSKEY{ksk.DNSKEY()}}
		if a, err := stranger.Judge(&said, now); err == nil {
			t.Errorf("believed: %+v", a)
		}
	})
}
