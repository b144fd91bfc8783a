package propagation

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var example = zone.IDOf("", dns.MustName("Example."))

// peer is a fake secondary.
type peer struct {
	mu      sync.Mutex
	serial  uint32
	isDown  bool
	deaf    bool // to UDP
	rcode   dns.RCode
	lame    bool
	cut     bool // over UDP
	key     *dns.TSIGKey
	rtt     time.Duration
	queries []time.Duration // when they came
}

func (p *peer) set(what func(*peer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what(p)
}

func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queries)
}

// fakeNet is the network between a Follower and its peers.
type fakeNet struct {
	t     *testing.T
	begun time.Time
	mu    sync.Mutex
	peers map[netip.AddrPort]*peer
	now   int // exchanges under way
	most  int
}

func (n *fakeNet) enter(d int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now += d
	n.most = max(n.most, n.now)
}

func (n *fakeNet) exchange(ctx context.Context, proto transport.Proto, to netip.AddrPort, query, _ []byte) (transport.Reply, error) {
	n.enter(1)
	defer n.enter(-1)
	p := n.peers[to]
	p.set(func(p *peer) { p.queries = append(p.queries, time.Since(n.begun)) })
	timeout := func() (transport.Reply, error) {
		<-ctx.Done()
		return transport.Reply{}, &transport.ExchangeError{Kind: transport.Timeout, Server: to, Err: ctx.Err()}
	}
	select {
	case <-time.After(p.rtt):
	case <-ctx.Done():
		return timeout()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isDown || p.deaf && proto == transport.UDP {
		p.mu.Unlock()
		defer p.mu.Lock()
		return timeout()
	}
	return transport.Reply{Msg: p.answer(n.t, proto, query)}, nil
}

func (p *peer) answer(t *testing.T, proto transport.Proto, query []byte) []byte {
	m, err := dns.ParseMessage(query)
	if err != nil || m.Question().Type != dns.TypeSOA || m.Flags.Has(dns.FlagRD) {
		t.Errorf("%v, %v: expected a question for an SOA record", m, err)
	}
	r := &dns.Message{ID: m.ID, Flags: dns.FlagQR, RCode: p.rcode, Questions: m.Questions}
	if !p.lame {
		r.Flags |= dns.FlagAA
	}
	if p.cut && proto == transport.UDP {
		r.Flags |= dns.FlagTC
	} else if p.rcode == dns.RCodeNoError {
		data := dns.SOA{MName: dns.MustName("ns."), RName: dns.MustName("h."), Serial: p.serial}.RData()
		r.Answer = []dns.Record{{Name: dns.MustName("eXample."), Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 1, Data: data}}
		r.Answer[0].Name = m.Question().Name
	}
	out, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.key == nil {
		return out
	}
	v, err := dns.VerifyTSIG(slices.Clone(query), dns.Keys(*p.key), time.Now())
	if err != nil {
		t.Errorf("the question is not signed: %v", err)
		return out
	}
	if out, _, err = dns.SignTSIG(out, *p.key, time.Now(), v.MAC); err != nil {
		t.Fatal(err)
	}
	return out
}

func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 53)
}

// scene is a Follower among fake secondaries, in a bubble of synctest.
type scene struct {
	*Follower
	net    *fakeNet
	peers  []*peer
	events []Event // All may read it while nothing runs
}

func newScene(t *testing.T, peers int, o Options) *scene {
	s := &scene{net: &fakeNet{t: t, begun: time.Now(), peers: make(map[netip.AddrPort]*peer)}}
	var targets []Target
	for i := range peers {
		p := &peer{rtt: time.Millisecond, serial: 1}
		s.peers = append(s.peers, p)
		s.net.peers[addr(i+1)] = p
		targets = append(targets, Target{Addr: addr(i + 1)})
	}
	if o.Targets == nil {
		o.Targets = func(context.Context, zone.ID) ([]Target, error) { return targets, nil }
	}
	s.Follower = New(o)
	s.exchange = s.net.exchange
	s.Listen(func(e Event) { s.events = append(s.events, e) })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scene) wait(t *testing.T, serial uint32, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return s.Wait(ctx, example, serial)
}

// bubble runs a test in which time passes at once.
func bubble(t *testing.T, what func(*testing.T)) {
	t.Helper()
	synctest.Test(t, what)
}
