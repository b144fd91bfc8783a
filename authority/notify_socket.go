package authority

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// NotifyOptions say whom a Notifier tells.
type NotifyOptions struct {
	// To are told of every zone.
	To []Secondary
	// Of, if it is there, returns who is told of the zone with that origin, besides
	// To. It must be quick.
	Of func(origin dns.Name) []Secondary
	// Servers, if it is there, returns the name servers of a version that are told
	// of it, too. It may take its time: a few goroutines call it.
	Servers func(context.Context, *zone.Version) []Secondary
	// From are the local addresses to send from, one of each family at most.
	From []netip.Addr
	// Keys are those that To and Of may name.
	Keys *Keys
	// Acked, if it is there, is told when a secondary has acknowledged the version
	// that it was told of. It must be quick.
	Acked func(NotifyState)
}

// Notifier tells secondaries of new versions, by NOTIFY over UDP (RFC 1996), until
// they have acknowledged them or the tries are over. It has one goroutine that
// sends, one that reads for each family of addresses, and where the name servers
// of zones are told, a few that look for their addresses: however many zones
// change. Its methods may be called by any number of goroutines.
type Notifier struct {
	options NotifyOptions
	wake    chan struct{}

	mu   sync.Mutex
	core *notices
	find []*zone.Zone // whose name servers are to be looked for
	want chan struct{}
}

// NewNotifier returns a Notifier that sends nothing before it runs.
func NewNotifier(o NotifyOptions) *Notifier {
	return &Notifier{
		options: o, wake: make(chan struct{}, 1), want: make(chan struct{}, finders),
		core: newNotices(o.Keys, rand.Int64N),
	}
}

// Publish has secondaries told of the zone's current version. It returns at once.
func (n *Notifier) Publish(z *zone.Zone) {
	n.mu.Lock()
	now := time.Now()
	for _, to := range n.known(z) {
		n.core.publish(z, to, now)
	}
	if n.options.Servers != nil {
		n.find = append(n.find, z)
	}
	n.mu.Unlock()
	poke(n.wake)
	poke(n.want)
}

// Forget ends what is about the zone of that name.
func (n *Notifier) Forget(name dns.Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.core.forget(name)
}

// NotifyCounts are since the Notifier was made.
type NotifyCounts struct {
	Sent   uint64 // messages
	Acked  uint64 // versions that a secondary has acknowledged
	GaveUp uint64 // versions that a secondary did not acknowledge
}

// Counts returns the counts.
func (n *Notifier) Counts() NotifyCounts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.counts
}

// States returns what is known of each zone and secondary, one secondary
// after the other.
func (n *Notifier) States() []NotifyState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.states()
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. Its error says why it could not begin.
func (n *Notifier) Run(ctx context.Context) error {
	four, six, err := n.open()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	s := sockets{four: four, six: six, by: make(map[netip.Addr]*net.UDPConn), read: func(c *net.UDPConn) { wg.Go(func() { n.read(c) }) }}
	for _, c := range []*net.UDPConn{four, six} {
		if c != nil {
			s.read(c)
		}
	}
	if n.options.Servers != nil {
		for range finders {
			wg.Go(func() { n.findServers(ctx) })
		}
	}
	n.write(ctx, &s)
	s.close()
	wg.Wait()
	return nil
}

// sockets are those that notices are sent by.
type sockets struct {
	four, six *net.UDPConn // a machine may lack one of them: nil
	by        map[netip.Addr]*net.UDPConn
	read      func(*net.UDPConn)
}

// to returns the socket for a secondary, nil where there is none.
func (s *sockets) to(p Secondary) *net.UDPConn {
	switch {
	case p.From.IsValid():
		return s.from(p.From)
	case p.Addr.Addr().Is6():
		return s.six
	}
	return s.four
}

// from returns the socket of a local address. One that cannot be had now, perhaps
// because its interface is down, is tried again with the next message.
func (s *sockets) from(a netip.Addr) *net.UDPConn {
	if c := s.by[a]; c != nil {
		return c
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return nil
	}
	s.by[a] = c
	s.read(c)
	return c
}

func (s *sockets) close() {
	for _, c := range s.by {
		c.Close()
	}
	for _, c := range []*net.UDPConn{s.four, s.six} {
		if c != nil {
			c.Close()
		}
	}
}

// open makes a socket for each family; a machine may lack one of them.
func (n *Notifier) open() (four, six *net.UDPConn, err error) {
	from4, from6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	for _, a := range n.options.From {
		if a.Is4() {
			from4 = a
		} else {
			from6 = a
		}
	}
	four, err4 := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from4, 0)))
	six, err6 := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from6, 0)))
	if err4 != nil && (err6 != nil || !from4.IsUnspecified()) {
		return nil, nil, fmt.Errorf("opening a socket for NOTIFY: %w", err4)
	}
	if err6 != nil && !from6.IsUnspecified() {
		four.Close()
		return nil, nil, fmt.Errorf("opening a socket for NOTIFY: %w", err6)
	}
	return four, six, nil
}

// write sends what is due, again and again.
func (n *Notifier) write(ctx context.Context, s *sockets) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		n.mu.Lock()
		packets, due := n.core.next(time.Now())
		n.mu.Unlock()
		for _, p := range packets {
			if c := s.to(p.to); c != nil {
				_, _ = c.WriteToUDPAddrPort(p.msg, p.to.Addr) // what is lost is sent again
			}
		}
		wait := time.Hour
		if !due.IsZero() {
			wait = time.Until(due)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-n.wake:
		case <-timer.C:
		}
	}
}

// read takes answers until the socket is closed.
func (n *Notifier) read(c *net.UDPConn) {
	buf := make([]byte, 4096)
	for {
		size, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of an earlier packet, by ICMP
		}
		n.mu.Lock()
		state, acked := n.core.answered(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:size], time.Now())
		n.mu.Unlock()
		if acked && n.options.Acked != nil {
			n.options.Acked(state)
		}
		poke(n.wake)
	}
}

// finders is how many goroutines look for addresses of name servers.
const finders = 4

// findServers has the name servers of versions told.
func (n *Notifier) findServers(ctx context.Context) {
	for {
		n.mu.Lock()
		var z *zone.Zone
		if len(n.find) > 0 {
			z, n.find = n.find[0], n.find[1:]
		}
		n.mu.Unlock()
		if z == nil {
			select {
			case <-ctx.Done():
				return
			case <-n.want:
			}
			continue
		}
		if v := z.Current(); v != nil {
			n.tell(z, n.options.Servers(ctx, v))
		}
	}
}

// tell has addresses told that are not known anyway.
func (n *Notifier) tell(z *zone.Zone, servers []Secondary) {
	n.mu.Lock()
	now, known := time.Now(), n.known(z)
	for _, s := range servers {
		if !slices.ContainsFunc(known, func(to Secondary) bool { return to.Addr == s.Addr }) {
			n.core.publish(z, s, now)
		}
	}
	n.mu.Unlock()
	poke(n.wake)
}

// known returns who is to be told of a zone whoever its name servers are.
func (n *Notifier) known(z *zone.Zone) []Secondary {
	to := n.options.To
	if n.options.Of != nil {
		to = append(slices.Clip(to), n.options.Of(z.Origin())...)
	}
	return to
}
