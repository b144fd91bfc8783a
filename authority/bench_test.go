package authority

import (
	"testing"

	"onoma/transport"
)

// BenchmarkAnswer measures the whole of an answer but for the sockets.
func BenchmarkAnswer(b *testing.B) {
	plain := load(b, "example.", mixed)
	nsec3 := loadSigned(b, "signed.", mixed, chainNSEC3)
	w := serve(b, Options{}, plain, nsec3).NewWorker()
	for name, words := range map[string]string{
		"Exact":         "www.example. A edns",
		"Alias":         "alias.example. A edns",
		"Referral":      "x.sub.example. A edns",
		"NXDOMAIN":      "nx.example. A edns",
		"Wildcard":      "x.wild.example. TXT edns",
		"Refused":       "www.elsewhere. A edns",
		"NXDOMAINNSEC3": "nx.signed. A do",
	} {
		b.Run(name, func(b *testing.B) {
			tq := transport.NewQuery(query(b, words), clientAddr, serverAddr, transport.UDP, nil)
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				w.Answer(buf, tq)
			}
		})
	}
}
