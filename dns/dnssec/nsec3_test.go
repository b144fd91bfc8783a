package dnssec

import (
	"strings"
	"testing"

	"onoma/dns"
)

// TestNSEC3HashVectors is RFC 5155 appendix A: salt AABBCCDD, 12 iterations.
func TestNSEC3HashVectors(t *testing.T) {
	salt := []byte{0xAA, 0xBB, 0xCC, 0xDD}
	for name, want := range map[string]string{
		"example":       "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
		"a.example":     "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example":    "gjeqe526plbf1g8mklp59enfd789njgi",
		"ns1.example":   "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
		"ns2.example":   "q04jkcevqvmu85r014c7dkba38o0ji5r",
		"w.example":     "k8udemvp1j2f7eg6jebps17vp3n8i58h",
		"*.w.example":   "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"x.w.example":   "b4um86eghhds6nea196smvmlo4ors995",
		"y.w.example":   "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
		"x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
		"xx.example":    "t644ebqk9bibcna874givr6joj62mlhv",
	} {
		hash := NSEC3Hash(nil, []byte(dns.MustName(name).Wire()), 12, salt)
		if got := strings.ToLower(string(dns.AppendBase32Hex(nil, hash))); got != want {
			t.Errorf("hash of %s: %s, expected %s", name, got, want)
		}
	}
}

func TestNSEC3HashDoesNotAllocate(t *testing.T) {
	name := []byte(dns.MustName("www.example.com").Wire())
	dst := make([]byte, 0, NSEC3HashLen)
	if n := testing.AllocsPerRun(100, func() { dst = NSEC3Hash(dst[:0], name, 3, name) }); n != 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

func BenchmarkNSEC3Hash(b *testing.B) {
	name := []byte(dns.MustName("www.example.com").Wire())
	dst := make([]byte, 0, NSEC3HashLen)
	for b.Loop() {
		dst = NSEC3Hash(dst[:0], name, 0, nil)
	}
}
