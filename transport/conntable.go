package transport

import (
	"net/netip"
	"sync"
)

// connTable knows the open TCP connections: how many there are, how many of each client, and which have been idle longest.
// Every operation takes constant time, also when a flood has filled it.
type connTable struct {
	mu        sync.Mutex
	max       int
	perClient int
	conns     map[*tcpConn]*client
	clients   map[netip.Addr]*client
	idle      idleList
	draining  bool
	empty     chan struct{} // closed when draining and the last connection is gone
}

// client is one address's share.
type client struct {
	key  netip.Addr
	n    int
	idle idleList
}

func newConnTable(max, perClient int) *connTable {
	return &connTable{
		max: max, perClient: perClient, conns: make(map[*tcpConn]*client), clients: make(map[netip.Addr]*client),
		idle: idleList{which: ofAll}, empty: make(chan struct{}),
	}
}

// clientKey is what limits are kept for: an IPv4 address, or an IPv6 /64, of which one customer has all addresses.
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

// admit takes c in. When that needs room, evicted is the connection to be closed for it: the client's longest idle one
// where the client has too many, else the longest idle of all. Without an idle one, ok is false.
func (t *connTable) admit(c *tcpConn) (evicted *tcpConn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return nil, false
	}
	key := clientKey(c.client.Addr())
	cl := t.clients[key]
	switch {
	case cl != nil && cl.n >= t.perClient && !c.proxied:
		evicted = cl.idle.first
	case len(t.conns) >= t.max:
		evicted = t.idle.first
	default:
		t.insert(c, key)
		return nil, true
	}
	if evicted == nil {
		return nil, false
	}
	t.removeLocked(evicted)
	t.insert(c, key)
	return evicted, true
}

// insert takes c in, idle from the start: it has said nothing yet.
func (t *connTable) insert(c *tcpConn, key netip.Addr) {
	cl := t.clients[key]
	if cl == nil {
		cl = &client{key: key, idle: idleList{which: ofClient}}
		t.clients[key] = cl
	}
	cl.n++
	t.conns[c] = cl
	t.setIdleLocked(c, true)
}

// introduce counts c as the connection of another client, a proxy's, which it has turned out to be for. When that client has
// too many, evicted is its longest idle one; without one, ok is false.
func (t *connTable) introduce(c *tcpConn, addr netip.Addr) (evicted *tcpConn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[c] == nil {
		return nil, false
	}
	key := clientKey(addr)
	if cl := t.clients[key]; cl != nil && cl.n >= t.perClient {
		if evicted = cl.idle.first; evicted == nil {
			return nil, false
		}
		t.removeLocked(evicted)
		if evicted == c {
			return nil, false
		}
	}
	t.takeOut(c)
	t.insert(c, key)
	return evicted, true
}

// oldestIdle takes the longest idle connection out, to be closed; nil if there is none.
func (t *connTable) oldestIdle() *tcpConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.idle.first
	if c != nil {
		t.removeLocked(c)
	}
	return c
}

// setIdle marks c as the one that became idle last, or as busy.
func (t *connTable) setIdle(c *tcpConn, idle bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setIdleLocked(c, idle)
}

func (t *connTable) setIdleLocked(c *tcpConn, idle bool) {
	cl := t.conns[c]
	if cl == nil || c.idle == idle {
		return
	}
	c.idle = idle
	if idle {
		t.idle.append(c)
		cl.idle.append(c)
	} else {
		t.idle.remove(c)
		cl.idle.remove(c)
	}
}

// remove takes c out, if it is in.
func (t *connTable) remove(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(c)
}

func (t *connTable) removeLocked(c *tcpConn) {
	if t.conns[c] != nil {
		t.takeOut(c)
		t.closeIfEmpty()
	}
}

func (t *connTable) takeOut(c *tcpConn) {
	cl := t.conns[c]
	t.setIdleLocked(c, false)
	delete(t.conns, c)
	if cl.n--; cl.n == 0 {
		delete(t.clients, cl.key)
	}
}

func (t *connTable) closeIfEmpty() {
	if t.draining && len(t.conns) == 0 {
		select {
		case <-t.empty:
		default:
			close(t.empty)
		}
	}
}

// drain refuses new connections from now on and returns those that there are.
func (t *connTable) drain() []*tcpConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	t.closeIfEmpty()
	return t.allLocked()
}

func (t *connTable) all() []*tcpConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.allLocked()
}

func (t *connTable) allLocked() []*tcpConn {
	all := make([]*tcpConn, 0, len(t.conns))
	for c := range t.conns {
		all = append(all, c)
	}
	return all
}

func (t *connTable) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// Each connection can be in two lists: that of all idle ones and that of its client's.
const (
	ofAll = iota
	ofClient
	nLists
)

// idleList is a list of idle connections, the longest idle first, linked through the connections themselves.
type idleList struct {
	which       int
	first, last *tcpConn
}

// links are a connection's neighbours in a list.
type links struct{ prev, next *tcpConn }

func (l *idleList) append(c *tcpConn) {
	c.links[l.which] = links{prev: l.last}
	if l.last == nil {
		l.first = c
	} else {
		l.last.links[l.which].next = c
	}
	l.last = c
}

func (l *idleList) remove(c *tcpConn) {
	at := c.links[l.which]
	if at.prev == nil {
		l.first = at.next
	} else {
		at.prev.links[l.which].next = at.next
	}
	if at.next == nil {
		l.last = at.prev
	} else {
		at.next.links[l.which].prev = at.prev
	}
	c.links[l.which] = links{}
}
