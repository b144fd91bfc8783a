// Package fakenet is an internet in memory for the resolver's tests: servers
// with zones written as text, each with its delay and its faults, that answer
// through the iterator's Env. Inside a synctest bubble its time is fake, and a
// look-up that waits for seconds takes none. All methods are safe for
// concurrent use; nothing here runs in the product.
package fakenet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// Net is the network and all servers on it.
type Net struct {
	mu      sync.Mutex
	servers map[netip.Addr]*Server
	log     []Packet
	rand    *rand.Rand
}

// Packet is a query that was sent.
type Packet struct {
	At       time.Time
	To       netip.Addr
	Proto    transport.Proto
	Question dns.Question // in lower case
	Name     dns.Name     // as sent
	EDNS     *dns.EDNS    // nil: none
}

// Server is a name server at one address. Its fields are set before it is used,
// or through Net.Change.
type Server struct {
	Addr  netip.Addr
	RTT   time.Duration
	Down  bool  // does not answer
	Err   error // cannot be reached
	NoTCP bool
	Zones []*Zone

	// Hook may change the answer or make another; nil means no answer. It is
	// called without any lock.
	Hook func(q, answer *dns.Message, proto transport.Proto) *dns.Message
	// Raw may change the octets of the answer.
	Raw func(answer []byte) []byte
}

// New returns an empty network whose randomness follows from seed.
func New(seed uint64) *Net {
	return &Net{servers: map[netip.Addr]*Server{}, rand: rand.New(rand.NewPCG(seed, 0))}
}

// Serve adds a server with zones at addr, 10 ms away.
func (n *Net) Serve(addr string, zones ...*Zone) *Server {
	s := &Server{Addr: netip.MustParseAddr(addr), RTT: 10 * time.Millisecond, Zones: zones}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[s.Addr] = s
	return s
}

// At returns the server at addr, to be changed within Change.
func (n *Net) At(addr string) *Server { return n.servers[netip.MustParseAddr(addr)] }

// Change runs f while nobody uses the servers.
func (n *Net) Change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// Sent returns the queries sent since the last call.
func (n *Net) Sent() []Packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	log := n.log
	n.log = nil
	return log
}

// Now returns the time.
func (n *Net) Now() time.Time { return time.Now() }

// Uint64 returns the next number of the seed's sequence.
func (n *Net) Uint64() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rand.Uint64()
}

// Exchange sends query to a server and waits for the answer as long as ctx lets it.
func (n *Net) Exchange(ctx context.Context, target transport.Target, query []byte) ([]byte, error) {
	to, proto := target.Addr, target.Proto
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, fmt.Errorf("query to %v: %w", to, err)
	}
	s := n.arrive(to.Addr(), proto, q)
	if s.Err != nil {
		return nil, fmt.Errorf("exchange with %v: %w", to, s.Err)
	}
	var answer []byte
	if !s.Down && (proto == transport.UDP || !s.NoTCP) {
		answer = s.respond(q, proto)
	}
	if answer == nil {
		<-ctx.Done()
		return nil, fmt.Errorf("exchange with %v: %w", to, ctx.Err())
	}
	rtt := s.RTT
	if proto == transport.TCP {
		rtt *= 2
	}
	select {
	case <-time.After(rtt):
		return answer, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("exchange with %v: %w", to, ctx.Err())
	}
}

// arrive notes the packet and returns a copy of the server, or one that is down.
func (n *Net) arrive(to netip.Addr, proto transport.Proto, q *dns.Message) Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	ask := q.Question()
	ask.Name = ask.Name.Fold()
	n.log = append(n.log, Packet{time.Now(), to, proto, ask, q.Question().Name, q.EDNS})
	if s := n.servers[to]; s != nil {
		return *s
	}
	return Server{Down: true}
}

func (s *Server) respond(q *dns.Message, proto transport.Proto) []byte {
	a := s.answer(q)
	if s.Hook != nil {
		if a = s.Hook(q, a, proto); a == nil {
			return nil
		}
	}
	limit := dns.MaxMessageLen
	if proto == transport.UDP {
		limit = 512
		if q.EDNS != nil {
			limit = max(512, int(q.EDNS.UDPSize))
		}
	}
	out, fits := a.AppendLimit(nil, limit)
	if !fits {
		cut := *a
		cut.Answer, cut.Authority, cut.Additional = nil, nil, nil
		cut.Flags |= dns.FlagTC
		out, _ = cut.AppendLimit(nil, limit)
	}
	if s.Raw != nil {
		out = s.Raw(out)
	}
	return out
}
