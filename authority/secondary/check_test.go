package secondary

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// streamsOnly refuses what comes by UDP, as Knot does for catalog zones.
type streamsOnly struct{ transport.Handler }

func (s streamsOnly) NewWorker() transport.Worker { return streamsOnlyWorker{s.Handler.NewWorker()} }

type streamsOnlyWorker struct{ transport.Worker }

func (w streamsOnlyWorker) Answer(dst []byte, q *transport.Query) []byte {
	if q.Proto != transport.UDP {
		return w.Worker.Answer(dst, q)
	}
	const answer, refused = 0x80, 5
	at := len(dst)
	dst = append(dst, q.Msg...)
	dst[at+2], dst[at+3] = dst[at+2]|answer, dst[at+3]&0xF0|refused
	return dst
}

// TestRefusedByUDP: a primary that refuses the question by UDP is asked by TCP.
func TestRefusedByUDP(t *testing.T) {
	p := startPrimary(t, authority.Options{}, build(t, 1, 3))
	s, err := transport.Listen(transport.Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: streamsOnly{p.auth}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	r := newRig(t, nil)
	r.zones.add(id, nil)
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: s.Addrs()[0], Proto: transport.TCP}}})
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 1)
	v := p.change(t, func(e *zone.Editor) error { e.RemoveName(dns.MustName("n1." + origin.String())); return nil })
	r.Refresh(id)
	awaitSerial(t, r.Secondary, id, v.Serial())
}
