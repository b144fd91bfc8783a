package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

// domain is a zone of the world.
type domain struct {
	name   dns.Name
	text   string // "owner TTL type data", a line each
	key    *dnssec.Key
	denial sign.Denial
	server *server
	more   []netip.Addr // addresses besides the server's
	served *zone.Zone
	ds     []dns.Record // instead of its own, where set
	cut    string       // its delegation in the root, instead of the usual one
}

// records reads lines of "owner TTL type data" with names relative to origin.
func records(origin dns.Name, text string) (list []dns.Record) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		list = append(list, record(origin, f[0], f[1], f[2], strings.Join(f[3:], " ")))
	}
	return list
}

func record(origin dns.Name, owner, ttl, typ, data string) dns.Record {
	name, err := dns.ParseNameIn(owner, origin)
	if owner == "@" {
		name, err = origin, nil
	}
	t, known := dns.ParseType(typ)
	if err != nil || !known {
		panic(fmt.Sprintf("%s %s: %v", owner, typ, err)) // a constant of this package
	}
	rdata, err := dns.ParseRDataString(t, data, origin)
	if err != nil {
		panic(fmt.Sprintf("%s %s %s: %v", owner, typ, data, err))
	}
	seconds, ok := dns.ParseTTL(ttl)
	if !ok {
		panic("TTL " + ttl)
	}
	return dns.Record{Name: name, Type: t, Class: dns.ClassIN, TTL: seconds, Data: rdata}
}

// rr is one record with absolute names.
func rr(format string, args ...any) dns.Record {
	return records(dns.Root, fmt.Sprintf(format, args...))[0]
}

func newKey(t testing.TB) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// at is a name below the zone's.
func (d *domain) at(format string, args ...any) dns.Name {
	return dns.MustName(strings.TrimPrefix(fmt.Sprintf(format, args...)+"."+strings.TrimPrefix(d.name.String(), "."), "."))
}

// publish builds the zone, signs it where it has a key, and serves it from now on.
func (d *domain) publish(t testing.TB, extra ...dns.Record) {
	t.Helper()
	b := zone.NewBuilder(d.name)
	list := append(records(d.name, "@ 3600 SOA ns hostmaster 1 3600 600 86400 60\n@ 3600 NS ns\nns 3600 A "+d.server.addr.Addr().String()+"\n"+d.text), extra...)
	for _, r := range list {
		if err := b.Add(r); err != nil {
			t.Fatalf("adding %s: %v", r, err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatalf("zone %s: %v", d.name, findings)
	}
	if d.key != nil {
		p := &sign.Plan{Keys: []sign.Key{{Key: d.key, SignsKeys: true, SignsZone: true}}, Denial: d.denial, Skew: time.Hour, Apex: []dns.Record{d.keyRecord(d.key.RData())}}
		var err error
		if v, _, err = p.Whole(t.Context(), v, time.Now()); err != nil {
			t.Fatalf("signing %s: %v", d.name, err)
		}
	}
	if d.served == nil {
		d.served = zone.New(d.name)
		d.served.Publish(v)
		d.server.auth.AddZone(d.served)
		return
	}
	d.served.Publish(v)
}

func (d *domain) keyRecord(rdata dns.RData) dns.Record {
	return dns.Record{Name: d.name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: rdata}
}

// delegation is what the root has of the zone.
func (d *domain) delegation(t testing.TB) []dns.Record {
	t.Helper()
	if d.cut != "" {
		return append(records(d.name, d.cut), d.ds...)
	}
	list := []dns.Record{rr("%s 3600 NS %s", d.name, d.at("ns"))}
	for _, a := range append([]netip.Addr{d.server.addr.Addr()}, d.more...) {
		list = append(list, rr("%s 3600 A %s", d.at("ns"), a))
	}
	if d.ds == nil && d.key != nil {
		d.ds = []dns.Record{dsOf(t, d.name, d.key)}
	}
	return append(list, d.ds...)
}

func dsOf(t testing.TB, name dns.Name, k *dnssec.Key) dns.Record {
	t.Helper()
	ds, err := dnssec.MakeDS(name, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return dns.Record{Name: name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: ds.RData()}
}

// signature signs records of one set as its zone would, and may then be spoilt: change gets the RRSIG before it is made.
func (d *domain) signature(set []dns.Record, change func(*dns.RRSIG)) dns.Record {
	now := time.Now()
	s := dns.RRSIG{
		TypeCovered: set[0].Type, Algorithm: d.key.Algorithm(), Labels: uint8(set[0].Name.NumLabels()), OriginalTTL: set[0].TTL,
		Expiration: uint32(now.Add(time.Hour).Unix()), Inception: uint32(now.Add(-time.Hour).Unix()), KeyTag: d.key.Tag(), Signer: d.name,
	}
	if set[0].Name.IsWildcard() {
		s.Labels--
	}
	if change != nil {
		change(&s)
	}
	of := dnssec.RRset{Owner: set[0].Name, Type: set[0].Type, Class: dns.ClassIN, TTL: set[0].TTL}
	for _, r := range set {
		of.RData = append(of.RData, r.Data)
	}
	var err error
	if s.Signature, err = d.key.Sign(nil, dnssec.AppendSignedData(nil, &s, of)); err != nil {
		panic(err) // a key in memory
	}
	return dns.Record{Name: set[0].Name, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: set[0].TTL, Data: s.RData()}
}

// signed is a set with its signature.
func (d *domain) signed(set ...dns.Record) []dns.Record {
	return append(slices.Clone(set), d.signature(set, nil))
}
