package transport

import (
	"net/netip"
	"sync"
	"time"
)

// connTable knows the open TCP connections: how many there are, how many of each client, and in which order they give way to
// others. Every operation takes constant time, also when a flood has filled it.
type connTable struct {
	mu        sync.Mutex
	max       int
	perClient int
	now       func() time.Time
	conns     map[*tcpConn]*client
	clients   map[netip.Addr]*client
	queue     queue
	draining  bool
	empty     chan struct{} // closed when draining and the last connection is gone
}

// client is one address's share.
type client struct {
	key   netip.Addr
	n     int
	queue queue
}

func newConnTable(max, perClient int, now func() time.Time) *connTable {
	return &connTable{
		max: max, perClient: perClient, now: now, conns: make(map[*tcpConn]*client), clients: make(map[netip.Addr]*client),
		queue: newQueue(ofAll), empty: make(chan struct{}),
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

// admit takes c in. When that needs room, evicted is the connection to be closed for it: one of the client's own where that has
// too many, else one of all. Where none can give way, ok is false.
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
		evicted = t.first(&cl.queue)
	case len(t.conns) >= t.max:
		evicted = t.first(&t.queue)
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

// insert takes c in, as one that has said nothing yet.
func (t *connTable) insert(c *tcpConn, key netip.Addr) {
	cl := t.clients[key]
	if cl == nil {
		cl = &client{key: key, queue: newQueue(ofClient)}
		t.clients[key] = cl
	}
	cl.n++
	t.conns[c] = cl
	t.enqueue(c, waitingFirst)
}

// introduce counts c as the connection of another client, a proxy's, which it has turned out to be for. When that client has
// too many, evicted is one of its others; where none can give way, ok is false.
func (t *connTable) introduce(c *tcpConn, addr netip.Addr) (evicted *tcpConn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[c] == nil {
		return nil, false
	}
	key := clientKey(addr)
	if cl := t.clients[key]; cl != nil && cl.n >= t.perClient {
		if evicted = t.first(&cl.queue); evicted == nil {
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

// giveWay takes out the connection that is to be closed next for want of room; nil if there is none.
func (t *connTable) giveWay() *tcpConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.first(&t.queue)
	if c != nil {
		t.removeLocked(c)
	}
	return c
}

// first is who gives way first: of those that have not asked anything yet the oldest, then of those that have, whichever has
// been waiting for the longest since it was answered. As a last resort it is the one that has been busy for the longest, if
// that is so long that its client seems not to read the answers.
func (t *connTable) first(q *queue) *tcpConn {
	for _, which := range []rank{waitingFirst, waitingNext} {
		if c := q[which].first; c != nil {
			return c
		}
	}
	if c := q[busy].first; c != nil && t.now().Sub(c.since) >= stuckAfter {
		return c
	}
	return nil
}

// stuckAfter is far longer than an answer takes to be made and to be taken by a client that reads.
const stuckAfter = time.Second

// setWaiting says that c waits for its client to send a message, or the rest of one; or that it has one to answer. How much
// of a message has come makes no difference: else an octet now and then would keep a connection from giving way.
func (t *connTable) setWaiting(c *tcpConn, waiting bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.conns[c] == nil || (c.at != busy) == waiting:
	case waiting:
		t.requeue(c, waitingNext)
	default:
		t.requeue(c, busy)
		c.since = t.now()
	}
}

func (t *connTable) requeue(c *tcpConn, to rank) {
	t.dequeue(c)
	t.enqueue(c, to)
}

func (t *connTable) enqueue(c *tcpConn, to rank) {
	c.at = to
	t.queue[to].append(c)
	t.conns[c].queue[to].append(c)
}

func (t *connTable) dequeue(c *tcpConn) {
	t.queue[c.at].remove(c)
	t.conns[c].queue[c.at].remove(c)
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
	t.dequeue(c)
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

// rank is where a connection stands in a queue.
type rank uint8

const (
	waitingFirst rank = iota // for the first message
	waitingNext              // for another
	busy
	nRanks
)

// queue is connections in the order in which they give way, by rank.
type queue [nRanks]connList

func newQueue(which int) (q queue) {
	for i := range q {
		q[i].which = which
	}
	return q
}

// Each connection is in two lists: one of all and one of its client's.
const (
	ofAll = iota
	ofClient
	nLists
)

// connList is a list of connections, the one that came first in front, linked through the connections themselves.
type connList struct {
	which       int
	first, last *tcpConn
}

// links are a connection's neighbours in a list.
type links struct{ prev, next *tcpConn }

func (l *connList) append(c *tcpConn) {
	c.links[l.which] = links{prev: l.last}
	if l.last == nil {
		l.first = c
	} else {
		l.last.links[l.which].next = c
	}
	l.last = c
}

func (l *connList) remove(c *tcpConn) {
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
