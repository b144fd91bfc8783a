package telemetry

import (
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.33:4000")
	client6 = netip.MustParseAddrPort("[2001:db8:1:2345::1]:4000")
	local   = netip.MustParseAddrPort("198.51.100.1:53")
)

// query builds a question, with OPT if size is not 0.
func query(name string, typ dns.Type, edns edns) []byte {
	n := dns.MustName(name)
	msg := dns.Header{ID: 7, Questions: 1}.Append(nil)
	msg = append(msg, n.Wire()...)
	msg = append(msg, byte(typ>>8), byte(typ), 0, 1)
	switch edns {
	case ednsPlain:
		msg[11] = 1
		msg = append(msg, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
	case ednsDO:
		msg[11] = 1
		msg = append(msg, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0)
	}
	return msg
}

// echo answers with the question, QR set and the response code that rcode gives for the name.
func echo(rcode func(q *transport.Query) dns.RCode) transport.Handler {
	return transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		dst = append(dst, q.Msg...)
		dst[2] |= 0x80
		dst[3] = byte(rcode(q))
		return dst
	})
}

func noError(*transport.Query) dns.RCode { return dns.RCodeNoError }

func TestTrafficIsCounted(t *testing.T) {
	h := NewHub(Options{})
	handler := h.Watch(dnstap.Authority, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		if q.Client == client6 {
			return dst // unanswered
		}
		dst = append(dst, q.Msg...)
		dst[2] |= 0x82 // QR, TC
		dst[3] = 3
		return dst
	}))
	w1, w2 := handler.NewWorker(), handler.NewWorker()
	ask := func(w transport.Worker, msg []byte, from netip.AddrPort, p transport.Proto) {
		w.Answer(nil, transport.NewQuery(msg, from, local, p, nil))
	}
	ask(w1, query("a.example", dns.TypeA, ednsNone), client4, transport.UDP)
	ask(w1, query("a.example", dns.TypeA, ednsDO), client4, transport.UDP)
	ask(w2, query("a.example", dns.TypeA, ednsDO), client4, transport.UDP)
	ask(w2, query("a.example", dns.TypeANY, ednsPlain), client4, transport.HTTPS)
	ask(w2, query("a.example", dns.Type(999), ednsPlain), client6, transport.TCP)
	ask(w2, dns.Header{ID: 1}.Append(nil), client4, transport.UDP)

	got := h.Traffic()
	want := []Queries{
		{"udp", "ipv4", "in", "none", 1}, {"udp", "ipv4", "in", "do", 2}, {"udp", "ipv4", "other", "none", 1},
		{"tcp", "ipv6", "in", "edns", 1}, {"https", "ipv4", "in", "edns", 1},
	}
	if diff := cmp.Diff(want, got.Queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{"A": 3, "ANY": 1, "other": 2}, got.Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{"NXDOMAIN": 5}, got.RCodes); diff != "" {
		t.Errorf("response codes (-want +got):\n%s", diff)
	}
	if got.Truncated != 5 || got.Unanswered != 1 || got.Total() != 6 {
		t.Errorf("%d truncated, %d unanswered, %d in all; expected 5, 1, 6", got.Truncated, got.Unanswered, got.Total())
	}
	if got.Datagrams.Count != 4 || got.Datagrams.Counts[0] != 4 || got.Streams.Count != 1 || got.Datagrams.Sum != 12+27+38+38 {
		t.Errorf("sizes %+v and %+v", got.Datagrams, got.Streams)
	}
}

func TestExtendedResponseCodesAreRead(t *testing.T) {
	h := NewHub(Options{})
	w := h.Watch(dnstap.Authority, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		dst = append(dst, q.Msg...)
		dst[2] |= 0x80
		dst[3] = byte(dns.RCodeBadVers & 15)
		dst[len(dst)-6] = byte(dns.RCodeBadVers >> 4)
		return dst
	})).NewWorker()
	w.Answer(nil, transport.NewQuery(query("a.example", dns.TypeA, ednsPlain), client4, local, transport.UDP, nil))
	if diff := cmp.Diff(map[string]uint64{dns.RCodeBadVers.String(): 1}, h.Traffic().RCodes); diff != "" {
		t.Errorf("response codes (-want +got):\n%s", diff)
	}
}

func TestDetachedAnswersAreCountedWhenTheyCome(t *testing.T) {
	now := time.Unix(1000, 0)
	h := NewHub(Options{TopSample: 1, Clock: func() time.Time { return now }})
	var pending *transport.Pending
	w := h.Watch(dnstap.Authority, transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		pending = q.Detach()
		return dst
	})).NewWorker()
	var sent [][]byte
	w.Answer(nil, transport.NewQuery(query("x.gone.example", dns.TypeA, ednsNone), client4, local, transport.UDP, func(m []byte) error {
		sent = append(sent, m)
		return nil
	}))
	if got := h.Traffic(); got.Deferred != 1 || got.Unanswered != 0 || len(got.RCodes) != 0 {
		t.Errorf("before the answer: %+v", got)
	}
	now = now.Add(30 * time.Millisecond)
	answer := append([]byte(nil), pending.Msg...)
	answer[2], answer[3] = 0x80, 3
	if err := pending.Reply(answer); err != nil {
		t.Fatal(err)
	}
	pending.Done()
	got := h.Traffic()
	if got.RCodes["NXDOMAIN"] != 1 || got.Waits.Count != 1 || got.Waits.Sum != 0.03 || len(sent) != 1 {
		t.Errorf("after the answer: %+v", got)
	}
	if top := h.Top(Recent, 5); len(top.Denied.Hits) != 1 || top.Denied.Hits[0].Key != "gone.example." {
		t.Errorf("denied: %+v", top.Denied)
	}
}

func TestSuffixIsTheZoneAndALabel(t *testing.T) {
	soa := func(name string, skip int) []byte { // a denial by the zone whose name begins skip octets into the question's
		msg := query(name, dns.TypeA, ednsNone)
		msg[9] = 1
		return append(msg, 0xC0, byte(12+skip), 0, 6, 0, 1)
	}
	for _, c := range []struct {
		name, want string
		msg        []byte
	}{
		{"a.b.c.example.com.", "c.example.com.", soa("a.b.c.example.com", 6)},
		{"a.example.com.", "example.com.", soa("a.example.com", 2)},
		{"a.b.victim.com.", "victim.com.", soa("a.b.victim.com", 11)},
		{"a.b.c.", "b.c.", query("a.b.c", dns.TypeA, ednsNone)},
		{"a.b.c.", "c.", append(soa("a.b.c", 0)[:23], 0, 0, 6)},
	} {
		n := dns.MustName(c.name)
		wire := []byte(n.Wire())
		if got := nameText(string(suffix(wire, c.msg, 12+len(wire)+4))); got != c.want {
			t.Errorf("%s: %s, expected %s", c.name, got, c.want)
		}
	}
}

func TestTopWindowsMove(t *testing.T) {
	now := time.Unix(1000, 0)
	h := NewHub(Options{TopSample: 1, Clock: func() time.Time { return now }})
	w := h.Watch(dnstap.Authority, echo(noError)).NewWorker()
	ask := func(name string, from netip.AddrPort, times int) {
		for range times {
			w.Answer(nil, transport.NewQuery(query(name, dns.TypeA, ednsNone), from, local, transport.UDP, nil))
		}
	}
	ask("Old.example", client6, 400)
	for range 4 {
		now = now.Add(slice)
		h.turn()
	}
	ask("new.example", client4, 40)
	now = now.Add(time.Second)

	recent, minute := h.Top(Recent, 1), h.Top(Minute, 10)
	if diff := cmp.Diff([]Hit{{Key: "new.example.", Count: 40, Rate: 40. / 11}}, recent.Names.Hits); diff != "" {
		t.Errorf("recent names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Hit{
		{Key: "2001:db8:1:2300::/56", Count: 400, Rate: 400. / 21}, {Key: "192.0.2.0/24", Count: 40, Rate: 40. / 21},
	}, minute.Clients.Hits); diff != "" {
		t.Errorf("clients of a minute (-want +got):\n%s", diff)
	}
	for range sliceCount + 1 {
		now = now.Add(slice)
		h.turn()
	}
	if top := h.Top(Minute, 10); top.Looked != 0 || top.Seconds != 60 {
		t.Errorf("after a minute of silence %d queries of the last %v s are left", top.Looked, top.Seconds)
	}
}

// TestSampleIsFair has two names come in turns, which a sample of each 16th would see one of.
func TestSampleIsFair(t *testing.T) {
	h := NewHub(Options{TopSample: 16})
	w := h.Watch(dnstap.Authority, echo(noError)).NewWorker()
	const each = 100000
	for range each {
		for _, name := range []string{"even.example", "odd.example"} {
			w.Answer(nil, transport.NewQuery(query(name, dns.TypeA, ednsNone), client4, local, transport.UDP, nil))
		}
	}
	top := h.Top(Minute, 3)
	if len(top.Names.Hits) != 2 {
		t.Fatalf("%+v, expected two names", top.Names)
	}
	for _, hit := range top.Names.Hits {
		if hit.Count < each*9/10 || hit.Count > each*11/10 { // six standard deviations are 7 %
			t.Errorf("%s: %d, expected about %d", hit.Key, hit.Count, each)
		}
	}
}

func TestLanesAreUsedAgain(t *testing.T) {
	h := NewHub(Options{})
	handler := h.Watch(dnstap.Authority, echo(noError))
	msg := query("a.example", dns.TypeA, ednsNone)
	for range 100 {
		handler.NewWorker().Answer(nil, transport.NewQuery(msg, client4, local, transport.UDP, nil))
		runtime.GC() // gives the lane of the Worker that is gone back, sooner or later
	}
	if n := len(h.lanes); n > 50 {
		t.Errorf("%d lanes for one Worker at a time", n)
	}
	if n := h.Traffic().Total(); n != 100 {
		t.Errorf("%d queries counted, expected 100", n)
	}
}

func TestReadingDisturbsNobody(t *testing.T) {
	h := NewHub(Options{TopSample: 1})
	handler := h.Watch(dnstap.Authority, echo(noError))
	const each = 20000
	var wg sync.WaitGroup
	for _, p := range []transport.Proto{transport.UDP, transport.UDP, transport.TCP, transport.TCP} {
		wg.Go(func() {
			w := handler.NewWorker()
			q := transport.NewQuery(query("a.example", dns.TypeA, ednsNone), client4, local, p, nil)
			buf := make([]byte, 0, 512)
			for range each {
				w.Answer(buf, q)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for turns := 0; ; {
		select {
		case <-done:
			if n := h.Traffic().Total(); n != 4*each {
				t.Errorf("%d queries counted, expected %d", n, 4*each)
			}
			top := h.Top(Minute, 1)
			if sampled := top.Looked + top.Skipped; sampled != 4*each {
				t.Errorf("%d queries looked at or skipped, expected %d", sampled, 4*each)
			}
			return
		default:
			h.Traffic()
			h.Top(Recent, 3)
			if turns++; turns < sliceCount { // no slice may leave the last minute
				h.turn()
			}
		}
	}
}

func FuzzGlance(f *testing.F) {
	f.Add(query("www.example.com", dns.TypeA, ednsDO), query("example.com", dns.TypeA, ednsNone))
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\xc0\x0c\x00\x01\x00\x01"), []byte{})
	f.Fuzz(func(t *testing.T, q, answer []byte) {
		h := NewHub(Options{TopSample: 1})
		w := h.Watch(dnstap.Authority, transport.WorkerFunc(func(dst []byte, _ *transport.Query) []byte { return append(dst, answer...) })).NewWorker()
		w.Answer(nil, transport.NewQuery(q, client4, local, transport.UDP, nil))
		if n := h.Traffic().Total(); n != 1 {
			t.Errorf("%d queries counted, expected 1", n)
		}
		h.Top(Recent, 10)
		var g glance
		g.read(q)
		var full dns.Query
		if err := full.Parse(q); err == nil && (string(full.Name) != string(g.name) || full.Type != g.typ || full.End != g.end) {
			t.Errorf("read %q %v %d, the parser says %q %v %d", g.name, g.typ, g.end, full.Name, full.Type, full.End)
		}
	})
}
