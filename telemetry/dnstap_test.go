package telemetry

import (
	"context"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// TestDnstapTellsOfAnswersNowAndLater has BIND's reader judge what a resolver's Hub wrote.
func TestDnstapTellsOfAnswersNowAndLater(t *testing.T) {
	reader, err := exec.LookPath("dnstap-read")
	if err != nil {
		t.Skip("dnstap-read is not installed")
	}
	file := filepath.Join(t.TempDir(), "tap")
	out := dnstap.New(dnstap.Config{
		Sink: dnstap.Sink{Network: "file", Address: file}, Queries: true, Responses: true, Sample: 1,
	})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := NewHub(Options{Taps: []*dnstap.Output{out}, Clock: func() time.Time { return now }})
	var pending []*transport.Pending
	w := h.Watch(dnstap.Resolver, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		if strings.Contains(string(q.Msg), "later") {
			pending = append(pending, q.Detach())
			return dst
		}
		dst = append(dst, q.Msg...)
		dst[2] |= 0x80
		return dst
	})).NewWorker()
	for _, p := range []transport.Proto{transport.UDP, transport.UDP, transport.UDP, transport.TCP} {
		w.Answer(nil, transport.NewQuery(query("now.example", dns.TypeA, ednsNone), client6, netip.MustParseAddrPort("[2001:db8::53]:853"), p, nil))
	}
	w.Answer(nil, transport.NewQuery(query("later.example", dns.TypeA, ednsNone), client4, local, transport.TCP, nil))
	now = now.Add(2 * time.Second)
	answer := append([]byte(nil), pending[0].Msg...)
	answer[2], answer[3] = 0x80, 2
	if err := pending[0].Reply(answer); err != nil {
		t.Fatal(err)
	}
	pending[0].Done()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { out.Run(ctx); close(ended) }()
	for out.Stats().Frames < 10 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	text, err := exec.Command(reader, "-y", file).CombinedOutput()
	if err != nil {
		t.Fatalf("dnstap-read: %v\n%s", err, text)
	}
	counts := map[string]int{
		"type: CLIENT_QUERY": 5, "type: CLIENT_RESPONSE": 5, "socket_protocol: UDP": 6, "socket_protocol: TCP": 4,
		"socket_family: INET6": 8, "query_address: \"192.0.2.33\"": 2, "query_time: !!timestamp 2026-01-02T03:04:05Z": 5,
		"response_time: !!timestamp 2026-01-02T03:04:07Z": 1, "opcode: QUERY, status: SERVFAIL": 1,
	}
	for line, want := range counts {
		if n := strings.Count(string(text), line); n != want {
			t.Errorf("dnstap-read sees %q %d times, expected %d:\n%s", line, n, want, text)
		}
	}
}
