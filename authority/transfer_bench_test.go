package authority

import (
	"testing"

	"onoma/transport"
)

// BenchmarkWholeZone sends a zone of 200,000 records to a client that is quick.
func BenchmarkWholeZone(b *testing.B) {
	z := largeZone(b, 1, 100_000)
	done := make(chan struct{})
	s := serve(b, Options{Transfers: TransferOptions{Allow: allow(b, "127.0.0.1"), Ended: func(TransferReport) { done <- struct{}{} }}}, z)
	w, msg := s.NewWorker(), query(b, "example. AXFR")
	octets := 0
	for b.Loop() {
		octets = 0
		w.Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, transport.TCP, func(m []byte) error {
			octets += len(m)
			return nil
		}))
		<-done
	}
	b.SetBytes(int64(octets))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*z.Current().Stats().Records), "ns/record")
}
