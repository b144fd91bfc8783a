package multisigner

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// front is the name servers of the child as a resolver meets them: each question goes to one of them, whichever.
type front struct {
	addr netip.AddrPort
	mu   sync.Mutex
	to   []netip.AddrPort
}

func (s *scene) newFront(to ...netip.AddrPort) *front {
	s.Helper()
	f := &front{addr: peers.Addr(s.T), to: to}
	udp, err := net.ListenPacket("udp", f.addr.String())
	if err != nil {
		s.Fatal(err)
	}
	tcp, err := net.Listen("tcp", f.addr.String())
	if err != nil {
		s.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: f}, {Listener: tcp, Handler: f}} {
		go func() { _ = server.ActivateAndServe() }()
		s.Cleanup(func() { _ = server.Shutdown() })
	}
	return f
}

func (f *front) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	f.mu.Lock()
	to := f.to[rand.IntN(len(f.to))]
	f.mu.Unlock()
	client := dns.Client{Net: w.LocalAddr().Network(), Timeout: time.Second}
	if r, _, err := client.Exchange(m, to.String()); err == nil {
		_ = w.WriteMsg(r)
	}
}

func (f *front) ask(to ...netip.AddrPort) {
	f.mu.Lock()
	f.to = to
	f.mu.Unlock()
}

// onlooker asks Unbound, which asks the front, all the time.
type onlooker struct {
	s       *scene
	unbound *peers.Server
	mu      sync.Mutex
	must    bool
	asked   int
	secure  int // one after the other
	bad     []string
}

func (s *scene) look(f *front) *onlooker {
	s.Helper()
	o := &onlooker{s: s}
	o.unbound = peers.Validator(s.T, s.anchor, map[string]netip.AddrPort{".": s.root.Addr, "child": f.addr},
		"  cache-max-negative-ttl: 1", "  val-bogus-ttl: 1", "  infra-cache-max-rtt: 500")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			o.ask(i)
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
			}
		}
	}()
	s.Cleanup(func() {
		close(stop)
		<-done
		for line := range strings.Lines(o.unbound.Log()) {
			if strings.Contains(line, "validation failure") {
				o.bad = append(o.bad, line)
			}
		}
		if len(o.bad) > 0 {
			s.Errorf("%d of %d answers of Unbound were bad:\n%s", len(o.bad), o.asked, strings.Join(o.bad[:min(3, len(o.bad))], "\n"))
		}
		s.Logf("%d answers of Unbound were judged", o.asked)
	})
	return o
}

func (o *onlooker) ask(i int) {
	q := asked[i%len(asked)]
	m := new(dns.Msg)
	m.SetQuestion(q.name, uint16(q.t)).SetEdns0(1232, true)
	client := dns.Client{Timeout: 4 * time.Second}
	r, _, err := client.Exchange(m, o.unbound.Addr.String())
	if err != nil {
		return // a machine with much else to do
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.secure++; !r.AuthenticatedData {
		o.secure = 0
	}
	if r.Rcode == dns.RcodeServerFailure {
		return // a machine with much else to do; if it is bogus the log says so
	}
	if o.must && !r.AuthenticatedData {
		o.bad = append(o.bad, fmt.Sprintf("%s: %s", time.Now().Format("05.000"), r))
	}
}

// isSecure: all questions had a secure answer, several times.
func (o *onlooker) isSecure() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.secure > 3*len(asked)
}

func (o *onlooker) mustBeSecure() {
	o.mu.Lock()
	o.must = true
	o.mu.Unlock()
}
