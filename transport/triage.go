package transport

import (
	"net/netip"
	"sync/atomic"
)

// Triage keeps known clients answered when more comes in than can be answered.
//
// A socket that gets three times what its loop can do loses two packets of three when its receive buffer is full, whoever sent
// them. So each loop remembers, in calm times and from a sample of its packets, which sources ask regularly (sources). When
// the buffer overflows, a goroutine off the path (triageControl) gives the socket a filter that lets those sources
// pass and of all others only as large a share, drawn at random, as the loop has room for (pressure). The kernel runs the
// filter before it queues a packet, so that what is turned away costs the loop nothing. Where the kernel takes no filter, the
// loop turns packets away itself before it answers them, which saves the larger part of their cost.
//
// Whose query ends in a DNS cookie (RFC 7873 §5.2.3: a server cookie proves that the client is at its address) passes before
// others, and becomes a known source when the cookie proves to be right.

// Vouch says whether a query proves that its sender is at the address that it comes from, as a valid server cookie does. It is
// called from the loops.
type Vouch func(msg []byte, client netip.AddrPort, now int64) bool

// triage is what one loop and the control share. The loop owns what has no atomic type.
type triage struct {
	sources askers
	vouch   Vouch
	random  uint64 // state of the loop's own dice
	took    census

	// The loop reads these once a batch; they change a few times a second at most.
	guest  atomic.Pointer[guestList] // nil: no pressure
	wanted atomic.Bool               // the control would like to have the candidates
	door   atomic.Uint64             // thresholds for a loop that must turn packets away itself: cookie, other

	candidates chan []candidate // at most one, from the loop to the control
	spare      []candidate      // the memory for it, back and forth

	_      [64]byte
	public [nKinds]atomic.Uint64 // took, for the control
	_      [64]byte
}

// census counts packets by kind. Without pressure all are of the last kind.
type census [nKinds]uint64

const (
	kindKnown  = iota // from a known source
	kindCookie        // from another, with what looks like a server cookie
	kindOther
	nKinds
)

func newTriage(vouch Vouch, seed uint64) *triage {
	t := &triage{vouch: vouch, random: seed | 1, candidates: make(chan []candidate, 1)}
	t.sources.init(uint32(seed>>32) | 1)
	t.door.Store(open<<32 | open)
	t.spare = make([]candidate, 0, nSources)
	return t
}

// sampleEvery is how many packets on average go by until the next one whose source is remembered, a power of two: looking at
// all of them would cost some nanoseconds each, and who asks regularly is noticed soon enough.
const sampleEvery = 16

// stride is how far the next packet to be looked at is, drawn so that no client's rhythm can keep in step with it.
func (t *triage) stride() int { return 1 + int(t.dice()%(2*sampleEvery-1)) }

// calmly remembers the source of a packet.
func (t *triage) calmly(key uint32, msg []byte, client netip.AddrPort, now int64) {
	s := t.sources.note(key, second(now))
	if s != nil && !s.proven && t.vouch != nil && mayHoldCookie(msg) && t.vouch(msg, client, now) {
		s.proven = true
	}
}

// pressed sorts the packet into its kind, and says whether it may be answered.
func (t *triage) pressed(g *guestList, key uint32, msg []byte, client netip.AddrPort, now int64) bool {
	if i := g.find(key); i >= 0 {
		g.count[i].Add(1)
		t.took[kindKnown]++
		return true
	}
	if !mayHoldCookie(msg) {
		t.took[kindOther]++
		return t.admits(uint32(t.door.Load()))
	}
	t.took[kindCookie]++
	if t.vouch != nil && t.vouch(msg, client, now) {
		t.sources.prove(key, second(now))
		return true
	}
	return t.admits(uint32(t.door.Load() >> 32))
}

// open is the threshold that everything passes.
const open = 1<<32 - 1

// admits draws whether a packet passes.
func (t *triage) admits(threshold uint32) bool {
	if threshold == open {
		return true
	}
	return t.dice() <= threshold
}

func (t *triage) dice() uint32 {
	t.random ^= t.random << 13
	t.random ^= t.random >> 7
	t.random ^= t.random << 17
	return uint32(t.random >> 32)
}

// endBatch publishes what was counted, and hands out the candidates where they are wanted.
func (t *triage) endBatch(now int64) {
	for i, n := range t.took {
		if t.public[i].Load() != n { // a look costs far less than a store
			t.public[i].Store(n)
		}
	}
	if t.wanted.Load() {
		t.wanted.Store(false)
		t.candidates <- t.sources.list(t.spare[:0], second(now)) // one is asked for at a time, so there is room
	}
}

func second(now int64) uint32 { return uint32(now / 1e9) }

// A query that ends in a COOKIE option with both cookies in it (RFC 7873 §4, RFC 9018 §3: 8 bytes of client cookie, 16 of
// server cookie). Clients that send one send it last, behind all other options; the filter can look no closer, either.
const (
	cookieOption    = 10
	cookieLen       = 8 + 16
	cookieTail      = 4 + cookieLen
	shortestCookied = headerLen + 1 + 4 + 11 + cookieTail // a question for the root, and an OPT record
)

func mayHoldCookie(msg []byte) bool {
	if len(msg) < shortestCookied {
		return false
	}
	o := msg[len(msg)-cookieTail:]
	return o[0] == 0 && o[1] == cookieOption && o[2] == 0 && o[3] == cookieLen
}

// addrKey is what a source is known by: an IPv4 address, or a mixture of an IPv6 /64, of which one client has all addresses. It
// must be what the filter computes from a packet. Two /64 that share a key share their standing; who does cannot be chosen
// from outside, as the factors are drawn anew by each server.
type addrKey struct{ hi, lo uint32 }

func (k addrKey) of6(a *[16]byte) uint32 {
	return be32(a[0:])*k.hi + be32(a[4:])*k.lo
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
