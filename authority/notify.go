package authority

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Secondary is a server that is told by NOTIFY of new versions (RFC 1996).
type Secondary struct {
	Addr netip.AddrPort
	Key  dns.Name   // to sign with; the zero Name: none
	From netip.Addr // to send from; the zero Addr: as NotifyOptions have it
}

// String returns it as --notify has it.
func (s Secondary) String() string {
	if s.Key.IsZero() {
		return s.Addr.String()
	}
	return s.Addr.String() + "+key:" + s.Key.String()
}

// NotifyState is how far a secondary has been told of a zone.
type NotifyState struct {
	Zone      dns.Name
	Secondary Secondary
	Wanted    uint32 // serial number that it is to be told of
	Sent      uint32 // that it was told of last, 0 where it was not yet
	Acked     uint32 // that it has acknowledged last
	IsAcked   bool   // it has acknowledged Wanted
	Tries     int    // for Wanted
	GaveUp    bool   // no more will follow before the next version
	Err       string // of the last try, empty where it went well or is under way
	Changed   time.Time
}

// The times between tries. RFC 1996 §3.6 suggests 60 seconds and five tries, and
// wants them to be further apart each time.
const (
	firstWait   = 2 * time.Second
	longestWait = 60 * time.Second
	maxTries    = 9
	// answerTime is how long one of the places of a secondary is held for an answer.
	answerTime = 5 * time.Second
	// newsWait is how long an answer keeps a message about a newer version waiting.
	newsWait = 100 * time.Millisecond
	// maxFlying is how many notices to one secondary may wait for an answer.
	maxFlying = 64
	// maxLate is how many messages to one secondary are remembered, so that an ID
	// is found for one more.
	maxLate = 4096
)

// notices is the core of a Notifier: versions, answers and time come in, messages
// go out. It has no sockets, no clock and no goroutine. One caller at a time.
//
// Each secondary has a queue of its own, so that one that is down delays nobody.
type notices struct {
	keys   *Keys
	random func(n int64) int64 // 0 to n-1
	peers  map[Secondary]*peer
	order  []*peer // in which they came
	timers timers
	counts NotifyCounts
}

// peer is a secondary.
type peer struct {
	to     Secondary
	zones  map[dns.Name]*notice // by folded name
	ready  []*notice            // to be sent, the first one first
	flying int                  // that hold a place
	ids    map[uint16]*notice   // that may be answered
}

// notice is a zone, and what one secondary knows of it.
type notice struct {
	state  NotifyState
	zone   *zone.Zone
	peer   *peer
	phase  phase
	id     uint16
	mac    []byte // of the message that was sent
	due    time.Time
	sentAt time.Time
	again  time.Time // when the next try is due
	at     int       // in timers, -1: not there
}

type phase uint8

const (
	idle   phase = iota // nothing is to be done
	queued              // in ready
	flying              // was sent, holds a place until due
	rests               // was sent, the next try is at due
)

// packet is a message to send.
type packet struct {
	to  Secondary
	msg []byte
}

func newNotices(keys *Keys, random func(int64) int64) *notices {
	return &notices{keys: keys, random: random, peers: make(map[Secondary]*peer)}
}

// publish has to told of z's current version.
func (c *notices) publish(z *zone.Zone, to Secondary, now time.Time) {
	v := z.Current()
	if v == nil {
		return
	}
	p := c.peers[to]
	if p == nil {
		p = &peer{to: to, zones: make(map[dns.Name]*notice), ids: make(map[uint16]*notice)}
		c.peers[to] = p
		c.order = append(c.order, p)
	}
	name := z.Origin().Fold()
	n := p.zones[name]
	if n == nil {
		n = &notice{peer: p, at: -1, state: NotifyState{Zone: z.Origin(), Secondary: to}}
		p.zones[name] = n
	}
	n.zone = z
	n.state.Wanted, n.state.IsAcked, n.state.Tries, n.state.GaveUp, n.state.Changed = v.Serial(), false, 0, false, now
	switch n.phase {
	case idle:
		c.queue(n)
	case rests:
		c.stop(n)
		c.queue(n)
	case flying:
		// Once it is answered; and where it is not it was lost, perhaps, which is no
		// reason for the news to wait.
		n.again = now
		if late := n.sentAt.Add(newsWait); late.Before(n.due) {
			n.due = late
			heap.Fix(&c.timers, n.at)
		}
	}
}

// forget ends what is about the zone of that name.
func (c *notices) forget(name dns.Name) {
	for _, p := range c.order {
		n := p.zones[name.Fold()]
		if n == nil {
			continue
		}
		delete(p.zones, name.Fold())
		c.land(n)
		c.stop(n) // in ready, it is passed over
	}
}

func (c *notices) queue(n *notice) {
	n.phase = queued
	n.peer.ready = append(n.peer.ready, n)
}

// stop takes n out of the timers.
func (c *notices) stop(n *notice) {
	if n.at >= 0 {
		heap.Remove(&c.timers, n.at)
	}
	n.phase = idle
}

// land ends the wait for an answer.
func (c *notices) land(n *notice) {
	if n.phase == flying {
		n.peer.flying--
	}
	if n.peer.ids[n.id] == n {
		delete(n.peer.ids, n.id)
	}
}

// next returns what is to be sent now, and when there will be more to do if
// nothing happens; the zero Time: never.
func (c *notices) next(now time.Time) (out []packet, wake time.Time) {
	for len(c.timers) > 0 && !c.timers[0].due.After(now) {
		c.ring(c.timers[0], now)
	}
	for _, p := range c.order {
		for len(p.ready) > 0 && p.flying < maxFlying {
			n := p.ready[0]
			p.ready[0] = nil
			p.ready = p.ready[1:]
			if n.phase != queued {
				continue
			}
			if msg, ok := c.send(n, now); ok {
				out = append(out, packet{p.to, msg})
			}
		}
	}
	if len(c.timers) > 0 {
		wake = c.timers[0].due
	}
	return out, wake
}

// ring does what is due for n.
func (c *notices) ring(n *notice, now time.Time) {
	wasFlying := n.phase == flying
	heap.Remove(&c.timers, n.at)
	if !wasFlying {
		c.queue(n)
		return
	}
	n.peer.flying--
	n.phase = rests
	if len(n.peer.ids) > maxLate { // else its answer still counts, if it comes before the next try
		c.land(n)
	}
	c.failed(n, errNoAnswer, now)
}

var (
	errNoAnswer = errors.New("no answer")
	errNoKey    = errors.New("the key is not known any more")
	errNoZone   = errors.New("the zone has no version any more")
)

// failed notes why a try was in vain, and when the next one is.
func (c *notices) failed(n *notice, why error, now time.Time) {
	n.state.Err, n.state.Changed = why.Error(), now
	if n.state.Tries >= maxTries {
		n.state.GaveUp = true
		c.counts.GaveUp++
		c.land(n)
		n.phase = idle
		return
	}
	n.phase, n.due = rests, n.again
	heap.Push(&c.timers, n)
}

// wait returns how long to wait behind a try, a quarter of it by chance: many
// zones that change at once are not to be told of at once for ever.
func (c *notices) wait(tries int) time.Duration {
	d := min(firstWait<<(tries-1), longestWait)
	return d - time.Duration(c.random(int64(d/4)))
}

// send makes the message for n and notes that it is under way.
func (c *notices) send(n *notice, now time.Time) (msg []byte, ok bool) {
	if n.peer.ids[n.id] == n {
		delete(n.peer.ids, n.id)
	}
	n.state.Tries++
	wait := c.wait(n.state.Tries)
	n.again = now.Add(wait)
	msg, err := c.message(n, now)
	if err != nil {
		c.failed(n, err, now)
		return nil, false
	}
	n.phase, n.sentAt, n.due = flying, now, now.Add(min(wait, answerTime))
	n.peer.ids[n.id] = n
	n.peer.flying++
	c.counts.Sent++
	heap.Push(&c.timers, n)
	return msg, true
}

// message makes a NOTIFY (RFC 1996 §3): with AA, and with the SOA record that the
// secondary is to look for, which is a hint (§3.7).
func (c *notices) message(n *notice, now time.Time) (msg []byte, err error) {
	v := n.zone.Current()
	if v == nil {
		return nil, errNoZone
	}
	n.id = uint16(c.random(1 << 16))
	for n.peer.ids[n.id] != nil {
		n.id++
	}
	m := dns.NewQuery(n.id, dns.Question{Name: v.Origin(), Type: dns.TypeSOA, Class: v.Class()}, false)
	m.Flags = (m.Flags | dns.FlagAA).WithOpcode(dns.OpcodeNotify)
	m.Answer = []dns.Record{soaOf(v)}
	if msg, err = m.Append(nil); err != nil {
		return nil, fmt.Errorf("making the message: %w", err)
	}
	n.mac, n.state.Sent, n.state.Wanted = nil, v.Serial(), v.Serial()
	if n.peer.to.Key.IsZero() {
		return msg, nil
	}
	key, ok := c.keys.Find(n.peer.to.Key)
	if !ok {
		return nil, errNoKey
	}
	msg, n.mac, err = dns.SignTSIG(msg, key, now, nil)
	return msg, err
}

// answered takes a message that came from an address, and reports which notice
// it acknowledges, if any. What is no answer to a notice is ignored.
func (c *notices) answered(from netip.AddrPort, msg []byte, now time.Time) (state NotifyState, acked bool) {
	h, ok := dns.ParseHeader(msg)
	if !ok || !h.Flags.Has(dns.FlagQR) || h.Flags.Opcode() != dns.OpcodeNotify {
		return state, false
	}
	for _, p := range c.order {
		if n := p.ids[h.ID]; n != nil && p.to.Addr == from {
			acked = c.answer(n, msg, h, now)
			return n.state, acked
		}
	}
	return state, false
}

func (c *notices) answer(n *notice, msg []byte, h dns.Header, now time.Time) (acked bool) {
	var q dns.Query
	if q.Parse(msg) != nil || !dns.EqualNames(q.Name, []byte(n.state.Zone.Wire())) {
		return false // RFC 1996 §3.8: the question is in the answer, too
	}
	why := c.verify(n, msg, now)
	if code := h.Flags.RCode(); code != dns.RCodeNoError {
		why = errors.New(code.String())
	} else if why != nil {
		return false // whoever sent it: the true answer may still come
	}
	sent := n.state.Sent
	c.land(n)
	c.stop(n)
	if why != nil {
		c.failed(n, why, now)
		return false
	}
	n.state.Acked, n.state.Err, n.state.Changed = sent, "", now
	c.counts.Acked++
	if n.state.Wanted != sent {
		c.queue(n)
		return true
	}
	n.state.IsAcked = true
	return true
}

// verify checks the signature of an answer.
func (c *notices) verify(n *notice, msg []byte, now time.Time) error {
	if n.mac == nil {
		return nil
	}
	key, ok := c.keys.Find(n.peer.to.Key)
	if !ok {
		return errNoKey
	}
	s, err := dns.NewTSIGStream(key, n.mac)
	if err != nil {
		return err
	}
	_, err = s.Verify(slices.Clone(msg), now)
	return err
}

// states returns what is known, one secondary after the other.
func (c *notices) states() []NotifyState {
	var out []NotifyState
	for _, p := range c.order {
		for _, n := range p.zones {
			out = append(out, n.state)
		}
	}
	return out
}

// timers is a heap of notices, the one that is due first on top.
type timers []*notice

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

// Push is heap.Push's.
func (t *timers) Push(x any) {
	n := x.(*notice)
	n.at = len(*t)
	*t = append(*t, n)
}

// Pop is heap.Pop's.
func (t *timers) Pop() any {
	last := len(*t) - 1
	n := (*t)[last]
	n.at = -1
	(*t)[last] = nil
	*t = (*t)[:last]
	return n
}
