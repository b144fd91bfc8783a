package dnssec

import (
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"onoma/dns"
)

// oracleSets have names in rdata, many records, a wildcard and an unknown type.
var oracleSets = []RRset{
	setOf("WWW.example.", dns.TypeA, "192.0.2.2", "192.0.2.1"),
	setOf("example.", dns.TypeMX, "20 Mail.example.", "10 A.example."),
	setOf("*.wild.example.", dns.TypeTXT, `"b" "c"`, `"a"`, `""`),
	setOf("example.", dns.TypeSOA, "ns1.Example. host.example. 1 2 3 4 5"),
	setOf("_s._tcp.example.", dns.TypeSRV, "1 2 3 Host.example."),
	setOf("x.example.", dns.TypeNSEC, "Y.example. A RRSIG NSEC"),
	setOf("u.example.", dns.Type(65400), `\# 3 010203`),
}

func toMiekg(t testing.TB, owner dns.Name, typ dns.Type, ttl uint32, rd dns.RData) miekg.RR {
	t.Helper()
	r, err := miekg.NewRR(dns.Record{Name: owner, Type: typ, Class: dns.ClassIN, TTL: ttl, Data: rd}.String())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The oracle makes and takes the same signatures, for the algorithms that it knows.
func TestAgreesWithTheOracle(t *testing.T) {
	now := uint32(noon.Unix())
	for _, k := range generated(t) {
		if k.Algorithm() == ED448 {
			continue // the oracle does not know it; RFC 8080's own examples are elsewhere
		}
		t.Run(AlgorithmName(k.Algorithm()), func(t *testing.T) {
			theirs := toMiekg(t, apex, dns.TypeDNSKEY, 300, k.RData()).(*miekg.DNSKEY)
			if theirs.KeyTag() != k.Tag() {
				t.Errorf("tag %d, the oracle has %d", k.Tag(), theirs.KeyTag())
			}
			for _, set := range oracleSets {
				s, err := SignRRset(k, apex, set, now-60, now+60)
				if err != nil {
					t.Fatal(err)
				}
				var rrs []miekg.RR
				for _, rd := range set.RData {
					rrs = append(rrs, toMiekg(t, set.Owner, set.Type, set.TTL, rd))
				}
				if err := toMiekg(t, set.Owner, dns.TypeRRSIG, set.TTL, s.RData()).(*miekg.RRSIG).Verify(theirs, rrs); err != nil {
					t.Errorf("%s %s: the oracle does not take our signature: %v", set.Owner, set.Type, err)
				}
				back := theirSignature(t, k, rrs)
				if err := VerifyRRset(set, &back, k.DNSKEY(), noon); err != nil {
					t.Errorf("%s %s: we do not take the oracle's signature: %v", set.Owner, set.Type, err)
				}
			}
		})
	}
}

func theirSignature(t testing.TB, k *Key, rrs []miekg.RR) dns.RRSIG {
	t.Helper()
	now := uint32(noon.Unix())
	s := &miekg.RRSIG{Algorithm: k.Algorithm(), KeyTag: k.Tag(), SignerName: "example.", Inception: now - 60, Expiration: now + 60}
	if err := s.Sign(k.Private(), rrs); err != nil {
		t.Fatal(err)
	}
	out, err := dns.ParseRRSIG(dns.MustRecord(s.String()).Data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The oracle signs with SHA-1 still, and we verify it.
func TestOldSignaturesOfTheOracle(t *testing.T) {
	for _, algorithm := range []uint8{RSASHA1, RSASHA1NSEC3SHA1} {
		theirs := &miekg.DNSKEY{Hdr: miekg.RR_Header{Name: "example.", Rrtype: miekg.TypeDNSKEY, Class: 1, Ttl: 300}, Flags: 256, Protocol: 3, Algorithm: algorithm}
		private, err := theirs.Generate(1024)
		if err != nil {
			t.Fatal(err)
		}
		key, err := dns.ParseDNSKEY(dns.MustRecord(theirs.String()).Data)
		if err != nil {
			t.Fatal(err)
		}
		set, now := oracleSets[0], uint32(noon.Unix())
		s := &miekg.RRSIG{Algorithm: algorithm, KeyTag: theirs.KeyTag(), SignerName: "example.", Inception: now - 60, Expiration: now + 60}
		var rrs []miekg.RR
		for _, rd := range set.RData {
			rrs = append(rrs, toMiekg(t, set.Owner, set.Type, set.TTL, rd))
		}
		if err := s.Sign(private.(crypto.Signer), rrs); err != nil {
			t.Fatal(err)
		}
		back, err := dns.ParseRRSIG(dns.MustRecord(s.String()).Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyRRset(set, &back, key, noon); err != nil {
			t.Errorf("%s: %v", AlgorithmName(algorithm), err)
		}
	}
}

// BIND and ldns make the same DS of our keys.
func TestToolsMakeTheSameDS(t *testing.T) {
	tools := map[string]func(file, digest string) *exec.Cmd{
		"dnssec-dsfromkey": func(file, digest string) *exec.Cmd { return exec.Command("dnssec-dsfromkey", "-a", digest, file) },
		"ldns-key2ds": func(file, digest string) *exec.Cmd {
			option := map[string]string{"sha1": "-1", "sha256": "-2", "sha384": "-4"}[digest]
			return exec.Command("ldns-key2ds", "-n", "-f", option, file)
		},
	}
	for tool, command := range tools {
		t.Run(tool, func(t *testing.T) {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("%s is not installed", tool)
			}
			for _, k := range generated(t) {
				file := filepath.Join(t.TempDir(), fmt.Sprintf("Kexample.+%03d+%05d.key", k.Algorithm(), k.Tag()))
				key := dns.Record{Name: dns.MustName("example."), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 300, Data: k.RData()}
				if err := os.WriteFile(file, []byte(key.String()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				for digest, name := range map[uint8]string{DigestSHA1: "sha1", DigestSHA256: "sha256", DigestSHA384: "sha384"} {
					out, err := command(file, name).Output()
					if err != nil {
						t.Errorf("%s %s: %v", AlgorithmName(k.Algorithm()), name, err)
						continue
					}
					theirs := dns.MustRecord(strings.Join(strings.Fields(strings.TrimSpace(string(out))), " "))
					ours, err := MakeDS(apex, k.DNSKEY(), digest)
					if err != nil || theirs.Data.Text(dns.TypeDS) != ours.RData().Text(dns.TypeDS) {
						t.Errorf("%s %s: %s, ours is %s (%v)", AlgorithmName(k.Algorithm()), name, theirs.Data.Text(dns.TypeDS), ours.RData().Text(dns.TypeDS), err)
					}
				}
			}
		})
	}
}
