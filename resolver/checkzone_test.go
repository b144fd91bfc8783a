package resolver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/iterator"
	"onoma/zone"
)

// edited returns a version with records taken away and added.
func edited(t *testing.T, v *zone.Version, add, without dns.Type) *zone.Version {
	t.Helper()
	b := zone.NewBuilder(v.Origin())
	for r := range v.Records() {
		sig, err := dns.ParseRRSIG(r.Data)
		if r.Type == without || r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == without {
			continue
		}
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if add != 0 {
		if err := b.Add(dns.Record{Name: dns.MustName("evil." + v.Origin().String()), Type: add, Class: dns.ClassIN, TTL: 60, Data: dns.RData{192, 0, 2, 66}}); err != nil {
			t.Fatal(err)
		}
	}
	next, findings := b.Build()
	if next == nil {
		t.Fatal(findings)
	}
	return next
}

// silence has servers that do not answer at the addresses.
func (w *world) silence(addrs ...string) {
	for _, a := range addrs {
		s := w.Serve(a)
		w.Change(func() { s.Down = true })
	}
}

// TestCheckZone: a copy is as good as its digest, and the digest as its signature.
func TestCheckZone(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		plain, _, err := zone.Load(zonefile.NewReader(strings.NewReader("@ SOA ns host 1 3600 900 604800 300\n@ NS ns\nns A 192.0.2.5\n"),
			zonefile.Options{Origin: dns.MustName("plain."), DefaultTTL: 60}), dns.MustName("plain."))
		if err != nil {
			t.Fatal(err)
		}
		leaf := w.leaf.version
		for _, c := range []struct {
			what     string
			v        *zone.Version
			required bool
			why      string // "": good
		}{
			{"the root", w.root.version, true, ""},
			{"one below", leaf, true, ""},
			{"with a record more", edited(t, leaf, dns.TypeA, 0), false, "the digest of the zone is not"},
			{"without the digest", edited(t, leaf, 0, dns.TypeZONEMD), false, "ZONEMD"},
			{"without signatures", edited(t, leaf, 0, dns.TypeRRSIG), false, "DNSKEY"},
			{"not signed", plain, false, ""},
			{"not signed, and it ought to have a digest", plain, true, "no ZONEMD record"},
		} {
			switch err := w.r.CheckZone(t.Context(), c.v, c.required); {
			case c.why == "" && err != nil:
				t.Errorf("%s: %v", c.what, err)
			case c.why != "" && (!errors.Is(err, ErrZone) || !strings.Contains(err.Error(), c.why)):
				t.Errorf("%s: %v, expected %q", c.what, err, c.why)
			}
		}
		w.silence("192.0.2.1")
		w.r.FlushAll()
		if err := w.r.CheckZone(t.Context(), w.root.version, true); err != nil {
			t.Errorf("the root, without anybody to ask: %v", err)
		}
		if err := w.r.CheckZone(t.Context(), leaf, false); !errors.Is(err, ErrZone) || !strings.Contains(err.Error(), "cannot be judged") {
			t.Errorf("one below, without anybody to ask: %v", err)
		}
		time.Sleep(25 * time.Hour)
		if err := w.r.CheckZone(t.Context(), w.root.version, true); !errors.Is(err, ErrZone) {
			t.Errorf("the root, whose signatures have expired: %v", err)
		}
	})
}

// TestLocalZoneIsValidated: what a copy has that is wrong is not answered; with a
// fallback the servers are asked.
func TestLocalZoneIsValidated(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		z := zone.New(dns.MustName("example."))
		bad := edited(t, w.leaf.version, 0, dns.TypeRRSIG)
		w.setRoutes(Route{Zone: z.Origin(), Kind: iterator.RouteLocal, Local: z})
		w.r.PublishLocal(z, bad)
		if got := w.verdict("www.example.", dns.TypeA, withAD); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("without signatures: %s", got)
		}
		w.setRoutes(Route{Zone: z.Origin(), Kind: iterator.RouteLocal, Local: z, Fallback: true})
		expect(t, "with a fallback", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
		w.r.PublishLocal(z, w.leaf.version)
		w.silence("192.0.2.3", "192.0.2.4")
		expect(t, "the good copy", w.verdict("alias.example.", dns.TypeA, withAD), "NOERROR AD CNAME A")
		expect(t, "what it denies", w.verdict("no.example.", dns.TypeA, withAD), "NXDOMAIN AD")
		expect(t, "what its wildcard has", w.verdict("x.wild.example.", dns.TypeTXT, withAD), "NOERROR AD TXT")
	})
}
