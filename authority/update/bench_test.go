package update

import (
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// nothing is a pipeline that does nothing, so that what is measured is the rest.
type nothing struct{}

func (nothing) Enqueue(_ []zone.Change, done func([]zone.Receipt, error)) { done(nil, nil) }

// BenchmarkUpdate is a request with a prerequisite and two updates, from its octets
// to those of the answer, the edit itself apart.
func BenchmarkUpdate(b *testing.B) {
	key := dns.TSIGKey{Name: dns.MustName("ddns."), Algorithm: dns.HMACSHA256, Secret: []byte("a secret of some length")}
	plain, err := newUpdate().IfRRset(name("www"), dns.TypeA).DeleteRRset(name("new"), dns.TypeA).
		Add(name("new"), 60, dns.TypeA, address("9")).Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	signed, _, err := dns.SignTSIG(plain[:len(plain):len(plain)], key, time.Now(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for what, msg := range map[string][]byte{"unsigned": plain, "tsig": signed} {
		b.Run(what, func(b *testing.B) {
			f := newFixture(b, Options{}, "grant any zonesub")
			f.keys.Set([]dns.TSIGKey{key})
			f.o.Pipeline = nothing{}
			w := f.server.NewWorker()
			answered := make(chan struct{}, 1024)
			q := transport.NewQuery(msg, clientAddr, serverAddr, transport.UDP, func([]byte) error {
				answered <- struct{}{}
				return nil
			})
			var buf [512]byte
			b.ReportAllocs()
			for range b.N {
				q.Now = time.Now().UnixNano()
				if out := w.Answer(buf[:0], q); len(out) > 0 {
					b.Fatalf("answer %x", out)
				}
				<-answered
			}
		})
	}
}
