package zone

import (
	"bytes"
	"testing"

	"onoma/dns"
)

// TestCompactIsToldByTheApex: signed keys without a chain, and nothing else.
func TestCompactIsToldByTheApex(t *testing.T) {
	const (
		plain = "@ 3600 SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n"
		key   = "@ 3600 DNSKEY 257 3 13 abcd\n"
		sig   = "@ 3600 RRSIG DNSKEY 13 1 3600 20300101000000 20200101000000 1 example. abcd\n"
		other = "@ 3600 RRSIG SOA 13 1 3600 20300101000000 20200101000000 1 example. abcd\n"
		nsec  = "@ 300 NSEC ns1 NS SOA RRSIG NSEC DNSKEY\n"
	)
	for _, c := range []struct {
		what, text string
		want       Denial
	}{
		{"unsigned", plain, DenialNone},
		{"keys without signatures", plain + key, DenialNone},
		{"keys beside other signatures", plain + key + other, DenialNone},
		{"signed keys", plain + key + sig, DenialCompact},
		{"a chain", plain + key + sig + nsec, DenialNSEC},
	} {
		if v := load(t, dns.MustName("example."), []byte("$ORIGIN example.\n"+c.text)); v.Denial() != c.want {
			t.Errorf("%s: %v, expected %v", c.what, v.Denial(), c.want)
		}
	}
}

// TestCompactFollowsEdits: a chain that goes leaves a zone that is signed when asked, and back.
func TestCompactFollowsEdits(t *testing.T) {
	v := load(t, dns.MustName("example."), []byte("$ORIGIN example.\n@ 3600 SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n@ 3600 DNSKEY 257 3 13 abcd\n"+
		"@ 3600 RRSIG DNSKEY 13 1 3600 20300101000000 20200101000000 1 example. abcd\n@ 300 NSEC ns1 NS SOA RRSIG NSEC DNSKEY\n"))
	set, _ := v.Apex().RRset(dns.TypeNSEC)
	nsec := dns.Record{Name: v.Origin(), Type: dns.TypeNSEC, Class: dns.ClassIN, TTL: set.TTL(), Data: set.First()}
	for _, step := range []struct {
		edit func(*Editor) (changed bool, err error)
		want Denial
	}{
		{func(e *Editor) (bool, error) { return e.Remove(nsec), nil }, DenialCompact},
		{func(e *Editor) (bool, error) { return e.Add(nsec) }, DenialNSEC},
	} {
		e := v.Edit()
		if changed, err := step.edit(e); err != nil || !changed {
			t.Fatal(changed, err)
		}
		next, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if v = next; v.Denial() != step.want {
			t.Errorf("%v, expected %v", v.Denial(), step.want)
		}
	}
}

// TestPack: canonical order, each record once, whatever order they come in.
func TestPack(t *testing.T) {
	mx := func(preference byte, host string) dns.RData {
		return append(dns.RData{0, preference}, dns.MustName(host).Wire()...)
	}
	want := Pack(nil, dns.TypeMX, []dns.RData{mx(1, "a."), mx(1, "B."), mx(2, "a.")})
	for _, set := range [][]dns.RData{
		{mx(2, "a."), mx(1, "B."), mx(1, "a.")},
		{mx(1, "a."), mx(1, "a."), mx(1, "B."), mx(2, "a.")},
		{mx(1, "B."), mx(2, "a."), mx(1, "a."), mx(2, "a.")},
	} {
		before := set[0]
		if got := Pack(nil, dns.TypeMX, set); !bytes.Equal(got, want) {
			t.Errorf("%x, expected %x", got, want)
		}
		if !bytes.Equal(before, set[0]) {
			t.Error("the caller's set is in another order")
		}
	}
}
