package authority

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/rrl"
)

func TestStats(t *testing.T) {
	s := serve(t, Options{}, load(t, "example.", mixed))
	w := s.NewWorker()
	for _, q := range []string{
		"www.example. A", "www.example. AAAA do", "www.example. MX edns", "nx.example. A", "x.sub.example. A",
		"far.example. A", "other. A", "www.example. ANY", "www.example. TYPE999", "example. CAA", "big.example. TXT", "www.example. A vers=1",
	} {
		w.Answer(nil, transport.NewQuery(query(t, q), clientAddr, serverAddr, transport.UDP, nil))
	}
	w.Answer(nil, transport.NewQuery(query(t, "www.example. A"), clientAddr, serverAddr, transport.TCP, nil))
	w.Answer(nil, transport.NewQuery(make([]byte, 12), clientAddr, serverAddr, transport.TCP, nil))
	w.Answer(nil, transport.NewQuery(make([]byte, 3), clientAddr, serverAddr, transport.UDP, nil))
	want := Stats{
		Queries: 14, Dropped: 1, TCP: 2, EDNS: 3, DO: 1,
		Types: map[dns.Type]uint64{
			dns.TypeA: 7, dns.TypeAAAA: 1, dns.TypeMX: 1, dns.TypeANY: 1, dns.TypeCAA: 1, dns.TypeTXT: 1, dns.TypeNone: 2,
		},
		RCodes: map[dns.RCode]uint64{
			dns.RCodeNoError: 10, dns.RCodeNXDomain: 1, dns.RCodeRefused: 1, dns.RCodeFormErr: 1, dns.RCodeBadVers: 1,
		},
		Answers: 5, Aliases: 1, NoData: 3, NXDomain: 1, Referrals: 1, Truncated: 1,
		Limited: map[rrl.Class]uint64{},
	}
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Error(diff)
	}
}

// TestStatsOutliveWorkers: TCP connections come with a worker and go.
func TestStatsOutliveWorkers(t *testing.T) {
	s := serve(t, Options{}, load(t, "example.", mixed))
	for range 10 {
		s.NewWorker().Answer(nil, transport.NewQuery(query(t, "www.example. A"), clientAddr, serverAddr, transport.TCP, nil))
	}
	for range 100 {
		runtime.GC()
		s.workers.mu.Lock()
		live := len(s.workers.live)
		s.workers.mu.Unlock()
		if live == 0 {
			break
		}
		runtime.Gosched()
	}
	if got := s.Stats(); got.Queries != 10 || got.TCP != 10 {
		t.Errorf("%d queries, %d over TCP, expected 10 of each", got.Queries, got.TCP)
	}
	s.workers.mu.Lock()
	defer s.workers.mu.Unlock()
	if len(s.workers.live) == 10 {
		t.Error("the counters of all ten workers are kept, though no worker is left")
	}
}
