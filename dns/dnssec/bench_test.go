package dnssec

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"onoma/dns"
)

// BenchmarkSign has what a signer does for a set, for each algorithm; bare is what
// Go alone takes for the signature of P-256.
func BenchmarkSign(b *testing.B) {
	set := setOf("www.example.", dns.TypeA, "192.0.2.1", "192.0.2.2")
	keys := generated(b)
	b.Run("bare", func(b *testing.B) {
		k := keys[0].Private().(*ecdsa.PrivateKey)
		for b.Loop() {
			sum := sha256.Sum256(nil)
			if _, err := ecdsa.SignASN1(rand.Reader, k, sum[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, k := range keys {
		b.Run(AlgorithmName(k.Algorithm()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := SignRRset(k, apex, set, 1, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	set := setOf("www.example.", dns.TypeA, "192.0.2.1", "192.0.2.2")
	for _, k := range generated(b) {
		s, err := SignRRset(k, apex, set, uint32(noon.Unix())-1, uint32(noon.Unix())+1)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(AlgorithmName(k.Algorithm()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := VerifyRRset(set, &s, k.DNSKEY(), noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
