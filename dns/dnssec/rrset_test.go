package dnssec

import (
	"errors"
	"testing"
	"time"

	"onoma/dns"
)

// generated has one key of each algorithm that signs; made once, as RSA is slow.
func generated(t testing.TB) []*Key {
	t.Helper()
	var keys []*Key
	for _, a := range []uint8{ECDSAP256SHA256, ECDSAP384SHA384, ED25519, ED448, RSASHA256, RSASHA512} {
		bits := 0
		if algorithms[a].bits == 0 {
			bits = 1024
		}
		k, err := GenerateKey(nil, a, bits, dns.DNSKEYZone)
		if err != nil {
			t.Fatalf("%s: %v", AlgorithmName(a), err)
		}
		keys = append(keys, k)
	}
	return keys
}

func setOf(owner string, t dns.Type, rdata ...string) RRset {
	set := RRset{Owner: dns.MustName(owner), Type: t, Class: dns.ClassIN, TTL: 300}
	for _, s := range rdata {
		rd, err := dns.ParseRDataString(t, s, dns.Root)
		if err != nil {
			panic(err)
		}
		set.RData = append(set.RData, rd)
	}
	return set
}

var apex = dns.MustName("Example.")

func TestEveryAlgorithmSigns(t *testing.T) {
	now := uint32(noon.Unix())
	for _, k := range generated(t) {
		t.Run(AlgorithmName(k.Algorithm()), func(t *testing.T) {
			set := setOf("WWW.example.", dns.TypeMX, "20 b.EXAMPLE.", "10 a.example.")
			s, err := SignRRset(k, apex, set, now-3600, now+3600)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyRRset(set, &s, k.DNSKEY(), noon); err != nil {
				t.Error(err)
			}
			again, _ := SignRRset(k, apex, set, now-3600, now+3600)
			if string(again.Signature) != string(s.Signature) {
				t.Error("the same set has two signatures: keys in this process are deterministic")
			}
			s.Signature[len(s.Signature)/2] ^= 1
			if err := VerifyRRset(set, &s, k.DNSKEY(), noon); !errors.Is(err, ErrSignature) {
				t.Errorf("a changed signature: %v", err)
			}
			s.Signature = s.Signature[:len(s.Signature)/2]
			if err := VerifyRRset(set, &s, k.DNSKEY(), noon); !errors.Is(err, ErrSignature) {
				t.Errorf("half a signature: %v", err)
			}
		})
	}
}

func TestSignaturesThatDoNotHold(t *testing.T) {
	k, err := GenerateKey(nil, ECDSAP256SHA256, 0, dns.DNSKEYZone)
	if err != nil {
		t.Fatal(err)
	}
	now := uint32(noon.Unix())
	set := setOf("x.evil.example.", dns.TypeA, "192.0.2.1")
	sign := func(zone string, change func(*dns.RRSIG)) dns.RRSIG {
		s, _ := SignRRset(k, dns.MustName("example."), set, now-3600, now+3600)
		s.Signer = dns.MustName(zone)
		change(&s)
		s.Signature, _ = k.Sign(nil, AppendSignedData(nil, &s, set))
		return s
	}
	keep := func(*dns.RRSIG) {}
	for _, c := range []struct {
		name string
		sig  dns.RRSIG
		key  func(*dns.DNSKEY)
		at   time.Time
		want error
	}{
		{name: "expired", sig: sign("example.", keep), at: noon.Add(time.Hour + time.Second), want: ErrExpired},
		{name: "last second", sig: sign("example.", keep), at: noon.Add(time.Hour)},
		{name: "not yet", sig: sign("example.", keep), at: noon.Add(-time.Hour - time.Second), want: ErrNotYetValid},
		{name: "backwards", sig: sign("example.", func(s *dns.RRSIG) { s.Inception, s.Expiration = now+10, now-10 }), want: ErrPeriod},
		{name: "other type", sig: sign("example.", func(s *dns.RRSIG) { s.TypeCovered = dns.TypeAAAA }), want: ErrCovers},
		{name: "signer elsewhere", sig: sign("test.", keep), want: ErrSigner},
		{name: "signer below", sig: sign("y.x.evil.example.", keep), want: ErrSigner},
		{name: "more labels than the owner", sig: sign("example.", func(s *dns.RRSIG) { s.Labels = 4 }), want: ErrLabels},
		// It would be a signature over *.example., which is not evil.example.'s to make.
		{name: "fewer labels than the signer", sig: sign("evil.example.", func(s *dns.RRSIG) { s.Labels = 1 }), want: ErrLabels},
		{name: "wildcard of the zone", sig: sign("evil.example.", func(s *dns.RRSIG) { s.Labels = 2 })},
		{name: "no key of a zone", sig: sign("example.", keep), key: func(k *dns.DNSKEY) { k.Flags = 0 }, want: ErrNotZoneKey},
		{name: "protocol", sig: sign("example.", keep), key: func(k *dns.DNSKEY) { k.Protocol = 2 }, want: ErrNotZoneKey},
		{name: "revoked", sig: sign("example.", keep), key: func(k *dns.DNSKEY) { k.Flags |= dns.DNSKEYRevoke }, want: ErrNotZoneKey},
		{name: "other key", sig: sign("example.", keep), key: func(k *dns.DNSKEY) { k.Flags |= dns.DNSKEYSEP }, want: ErrOtherKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, at := k.DNSKEY(), c.at
			if c.key != nil {
				c.key(&key)
			}
			if at.IsZero() {
				at = noon
			}
			if err := VerifyRRset(set, &c.sig, key, at); !errors.Is(err, c.want) {
				t.Errorf("verdict %v, expected %v", err, c.want)
			}
		})
	}
}

// Times are serial numbers: a signature made in 2105 is valid in 2107, after
// 2^32 seconds (RFC 4034 §3.1.5).
func TestTimesWrap(t *testing.T) {
	k, err := GenerateKey(nil, ED25519, 0, dns.DNSKEYZone)
	if err != nil {
		t.Fatal(err)
	}
	wrap := time.Unix(1<<32, 0)
	set := setOf("example.", dns.TypeA, "192.0.2.1")
	s, _ := SignRRset(k, apex, set, uint32(wrap.Add(-time.Hour).Unix()), uint32(wrap.Add(time.Hour).Unix()))
	if err := VerifyRRset(set, &s, k.DNSKEY(), wrap.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if err := VerifyRRset(set, &s, k.DNSKEY(), wrap.Add(2*time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("later: %v", err)
	}
}

// Doubles are signed once (RFC 4034 §6.3), order and case do not matter (§6.2).
func TestSignedDataIsCanonical(t *testing.T) {
	s := dns.RRSIG{TypeCovered: dns.TypeNS, Labels: 1, Signer: apex}
	want := string(AppendSignedData(nil, &s, setOf("example.", dns.TypeNS, "a.example.", "b.example.")))
	got := string(AppendSignedData(nil, &s, setOf("EXAMPLE.", dns.TypeNS, "B.example.", "a.example.", "A.example.")))
	if got != want {
		t.Errorf("signed data:\n%q\nexpected\n%q", got, want)
	}
}
