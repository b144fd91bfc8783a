package telemetry

import (
	"testing"

	"onoma/dns"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

func tapped(t testing.TB, sample int) *dnstap.Output {
	sink, err := dnstap.ParseSink("unix:///nobody/listens")
	if err != nil {
		t.Fatal(err)
	}
	return dnstap.New(dnstap.Config{Sink: sink, Queries: true, Responses: true, Sample: sample})
}

func TestWatchingDoesNotAllocate(t *testing.T) {
	for name, o := range map[string]Options{
		"counters": {}, "top": {TopSample: 1}, "dnstap": {Taps: []*dnstap.Output{tapped(t, 1)}}, "all": {TopSample: 2, Taps: []*dnstap.Output{tapped(t, 2)}},
	} {
		for _, p := range []transport.Proto{transport.UDP, transport.TCP} {
			w := NewHub(o).Watch(dnstap.Authority, echo(noError)).NewWorker()
			q := transport.NewQuery(query("www.example.com", dns.TypeA, ednsDO), client4, local, p, nil)
			buf := make([]byte, 0, 512)
			w.Answer(buf, q) // takes its lane
			if n := testing.AllocsPerRun(1000, func() { w.Answer(buf, q) }); n != 0 {
				t.Errorf("%s over %v: %v allocations for each query, expected none", name, p, n)
			}
		}
	}
}

func benchmark(b *testing.B, h transport.Handler) {
	w := h.NewWorker()
	q := transport.NewQuery(query("www.example.com", dns.TypeA, ednsDO), client4, local, transport.UDP, nil)
	q.Now = 1
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		w.Answer(buf, q)
	}
}

// The difference between each and Bare is what an instrument costs a query.
func BenchmarkWatch(b *testing.B) {
	inner := echo(noError)
	b.Run("bare", func(b *testing.B) { benchmark(b, inner) })
	b.Run("counters", func(b *testing.B) { benchmark(b, NewHub(Options{}).Watch(dnstap.Authority, inner)) })
	b.Run("top16", func(b *testing.B) { benchmark(b, NewHub(Options{TopSample: 16}).Watch(dnstap.Authority, inner)) })
	b.Run("top1", func(b *testing.B) { benchmark(b, NewHub(Options{TopSample: 1}).Watch(dnstap.Authority, inner)) })
	b.Run("dnstap-full", func(b *testing.B) {
		benchmark(b, NewHub(Options{Taps: []*dnstap.Output{tapped(b, 1)}}).Watch(dnstap.Authority, inner))
	})
}
