// Package internet makes an internet: a root, top-level domains and thousands of zones below them, signed in every way,
// unsigned, and broken in every way of Faults. What there is follows from a seed alone; keys and signatures are new each time.
//
// All servers live in this process, each at an address of its own in 127.B.0.0/16 with one port for all, UDP and TCP. Healthy zones
// and most broken ones are answered by package authority; a server that is broken itself has a habit between the authority and
// the wire (see habits.go). Answers can be delayed and lost: in user space, so that no privileges are needed.
//
// The differential test asks onoma, Unbound, BIND, Knot Resolver and PowerDNS Recursor the same questions about it.
//
// Concurrency: an Internet does not change once it is made; any number of goroutines may read it.
package internet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// Options say how large an internet is, and how it travels.
type Options struct {
	Seed  uint64
	TLDs  int
	Zones int // below the TLDs, those with faults included
	// Broken is how many of 100 zones have a fault; each fault comes at least once where there is room.
	Broken int
	// Quick leaves out faults that resolvers need seconds to see.
	Quick bool

	Block uint8         // the second octet of all addresses; 0: 80
	Port  uint16        // 0: 53
	Delay time.Duration // before each answer
	Loss  float64       // share of answers over UDP that are lost
}

// Internet is a running internet.
type Internet struct {
	Zones []*Zone // in the order in which they were made; the root and the TLDs are not among them

	root      *Zone
	tlds      []*Zone
	deeper    []*Zone // below zones
	operators []*operator
	options   Options
	servers   []*transport.Server
	deaf      []*deaf
	keys      keys
	hints     []nameServer
	hosts     int
	lost      atomic.Uint64
}

// nameServer is a name in an NS set, and where it is.
type nameServer struct {
	name dns.Name
	addr netip.Addr
}

// New makes an internet and serves it until Close.
func New(ctx context.Context, o Options) (*Internet, error) {
	if o.Block == 0 {
		o.Block = 80
	}
	if o.Port == 0 {
		o.Port = 53
	}
	n := &Internet{options: o}
	random := rand.New(rand.NewPCG(o.Seed, 6))
	n.plan(random)
	if err := n.build(ctx); err != nil {
		return nil, err
	}
	if err := n.serve(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Close ends all servers.
func (n *Internet) Close() {
	for _, s := range n.servers {
		s.Close()
	}
	for _, d := range n.deaf {
		d.close()
	}
}

// Queries is how many have been answered so far, those to servers without TCP left out.
func (n *Internet) Queries() (count uint64) {
	for _, s := range n.servers {
		st := s.Stats()
		count += st.UDP.Queries + st.TCP.Queries
	}
	return count
}

// Lost is how many answers were lost on purpose so far.
func (n *Internet) Lost() uint64 { return n.lost.Load() }

// Hints is the file that resolvers begin with.
func (n *Internet) Hints() string {
	var b strings.Builder
	for _, s := range n.hints {
		fmt.Fprintf(&b, ".\t3600000\tIN\tNS\t%s\n%s\t3600000\tIN\tA\t%s\n", s.name, s.name, s.addr)
	}
	return b.String()
}

// RootServers are the servers of the hints.
func (n *Internet) RootServers() map[dns.Name]netip.Addr {
	list := map[dns.Name]netip.Addr{}
	for _, s := range n.hints {
		list[s.name] = s.addr
	}
	return list
}

// Anchor is the DS set of the root, in the form of a zone file.
func (n *Internet) Anchor() string {
	var b strings.Builder
	for _, r := range n.root.ds {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// address gives the next address that no server has.
func (n *Internet) address() netip.Addr {
	n.hosts++
	return netip.AddrFrom4([4]byte{127, n.options.Block, byte(n.hosts >> 8), byte(n.hosts)})
}
