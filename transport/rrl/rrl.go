// Package rrl limits how many answers a network gets over UDP in a second, so
// that a server is a poor amplifier for whoever forges a victim's address. It
// decides; the authority does what it says.
//
// Like answers are counted together, for the client's network (IPv4 /24, IPv6
// /56) and for a wider one around it (/20, /48), so that an attack which is
// spread over neighbours is seen; and all answers to one network are. Counts
// are in a table of fixed size that all threads share without a lock: see
// table.go. No call allocates.
//
// A client that stays below its rate is limited because of others only where
// the table mistakes one key for another: the place and 22 more bits of a hash
// with a secret must agree, which happens to a key with a chance below 8 / 2^22.
package rrl

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Class is the kind of an answer. Answers are alike if class and name agree.
type Class uint8

// The classes, and whose name is theirs.
const (
	Positive Class = iota // the record's owner, the wildcard's where one was expanded
	NXDomain              // the zone
	NoData                // the zone
	Referral              // the delegation
	Failure               // none: all errors are alike
	Any                   // none: all answers to one network
	Stream                // none: all answers over connections to one network
	Classes               // how many there are
)

var classNames = [Classes]string{"positive", "nxdomain", "nodata", "referral", "error", "any", "stream"}

// String returns the name in lower case, as in "nxdomain".
func (c Class) String() string {
	if c < Classes {
		return classNames[c]
	}
	return fmt.Sprintf("class%d", uint8(c))
}

// Verdict is what to do with an answer.
type Verdict uint8

const (
	Send Verdict = iota
	Slip         // send it without records and with TC, so that a real client comes again over TCP
	Drop
)

// Options are the rates. Each is a number of answers in a second; a burst may
// be as long as one second's worth.
type Options struct {
	Rate   int // like answers to one network; 0: no limit on answers over UDP
	Total  int // answers to one network, whatever they are; 0: 32 times Rate
	Stream int // answers to one network over TCP, TLS, QUIC and HTTPS; 0: no limit
	// Slip says that each Slip-th answer too many becomes a truncated one, at
	// most 15: 1 all of them, 0 none.
	Slip int
	// Leak says that each Leak-th answer too many, on average, is sent after all:
	// to a real client that has neither TCP nor cookies. 0: none.
	Leak  int
	Allow []netip.Prefix // who is never limited
	Size  int            // entries of the table, eight octets each; 0: 524,288
	Log   func(Event)    // told about one limited answer a second at most; must not block
}

const (
	// MaxRate is the highest rate that can be told from no limit.
	MaxRate = 1e6
	// MaxSlip is the highest Slip.
	MaxSlip = 1<<slipBits - 1

	defaultSize = 1 << 19
	totalFactor = 32
	wideFactor  = 8 // what a wide network may get for one network's rate

	narrow4, wide4 = 24, 20
	narrow6, wide6 = 56, 48
)

// Event is an answer that was limited.
type Event struct {
	Network netip.Prefix
	Class   Class
	Wide    bool // the wider network had too many
}

// Limiter counts answers. It must be made by New, and serves any number of goroutines.
type Limiter struct {
	table  table
	allow  []netip.Prefix
	slip   uint64
	leak   uint64
	like   rate
	wide   rate
	total  rate
	stream rate

	seed   maphash.Seed
	secret [2]uint64
	notice notice
}

// New returns a Limiter, whose table is all the memory that it will ever use.
func New(o Options) (*Limiter, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Size == 0 {
		o.Size = defaultSize
	}
	if o.Total == 0 {
		o.Total = min(totalFactor*o.Rate, MaxRate)
	}
	l := &Limiter{
		table: newTable(o.Size), allow: o.Allow, slip: uint64(o.Slip), leak: uint64(o.Leak),
		like: rateOf(o.Rate), wide: rateOf(min(wideFactor*o.Rate, MaxRate)), total: rateOf(o.Total), stream: rateOf(o.Stream),
		seed:   maphash.MakeSeed(),
		secret: [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1},
	}
	l.notice.tell = o.Log
	return l, nil
}

func (o *Options) check() error {
	for _, r := range [...]struct {
		name string
		n    int
	}{{"rate", o.Rate}, {"total rate", o.Total}, {"stream rate", o.Stream}} {
		if r.n < 0 || r.n > MaxRate {
			return fmt.Errorf("rate limit: %s %d, expected 0 to %d answers a second", r.name, r.n, int(MaxRate))
		}
	}
	switch {
	case o.Rate == 0 && o.Stream == 0:
		return errors.New("rate limit: no rate is given, expected one over UDP or over connections")
	case o.Rate == 0 && o.Total > 0:
		return errors.New("rate limit: a total without a rate")
	case o.Slip < 0 || o.Slip > MaxSlip:
		return fmt.Errorf("rate limit: slip %d, expected 0 to %d", o.Slip, MaxSlip)
	case o.Leak < 0:
		return fmt.Errorf("rate limit: leak %d, expected 0 or more", o.Leak)
	case o.Size < 0 || o.Size > 1<<28:
		return fmt.Errorf("rate limit: a table of %d entries, expected at most %d", o.Size, 1<<28)
	}
	return nil
}

// Check judges an answer over UDP of class and name (folded, in wire form) at
// now, in Unix nanoseconds, and counts it if it is to be sent.
func (l *Limiter) Check(client netip.Addr, class Class, name []byte, now int64) Verdict {
	if l.like.interval == 0 || l.allowed(client) {
		return Send
	}
	narrow, wide := networks(client)
	key := maphash.Bytes(l.seed, name) + uint64(class)
	like, around, all := l.hash(key, narrow), l.hash(key, wide), l.hash(uint64(Any), narrow)
	l.table.fetch(like, around, all)
	at := tick(now)
	if v := l.table.take(like, l.like, at, l.slip); v != Send {
		return l.limited(v, Event{Class: class}, client, like, now)
	}
	if v := l.table.take(around, l.wide, at, l.slip); v != Send {
		return l.limited(v, Event{Class: class, Wide: true}, client, around, now)
	}
	if v := l.table.take(all, l.total, at, l.slip); v != Send {
		return l.limited(v, Event{Class: Any}, client, all, now)
	}
	return Send
}

// limited tells of an answer too many, and lets some of them leak: which ones,
// nobody can foresee.
func (l *Limiter) limited(v Verdict, e Event, client netip.Addr, key uint64, now int64) Verdict {
	if l.leak > 0 && l.hash(key, uint64(now))%l.leak == 0 {
		return Send
	}
	l.notice.tellOf(e, client, now)
	return v
}

// CheckStream judges an answer over a connection: Send or Drop. These go to
// nobody but who asked, so that their limit is one on work, not on amplification.
func (l *Limiter) CheckStream(client netip.Addr, now int64) Verdict {
	if l.stream.interval == 0 || l.allowed(client) {
		return Send
	}
	narrow, _ := networks(client)
	v := l.table.take(l.hash(uint64(Stream), narrow), l.stream, tick(now), 0)
	if v != Send {
		l.notice.tellOf(Event{Class: Stream}, client, now)
	}
	return v
}

func (l *Limiter) allowed(client netip.Addr) bool {
	for i := range l.allow {
		if l.allow[i].Contains(client.Unmap()) {
			return true
		}
	}
	return false
}

// hash mixes both with secrets, so that nobody can aim at places of the table.
func (l *Limiter) hash(key, network uint64) uint64 {
	hi, lo := bits.Mul64(key^l.secret[0], network^l.secret[1])
	hi, lo = bits.Mul64(hi^lo^l.secret[1], l.secret[0])
	return hi ^ lo
}

// networks returns the client's networks as numbers, the families kept apart.
func networks(client netip.Addr) (narrow, wide uint64) {
	const family4, family6, wideMark = 4, 6, 1 // in the last octet, which no network needs
	if client = client.Unmap(); client.Is4() {
		a := client.As4()
		n := uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])
		return n>>(32-narrow4)<<(64-narrow4) | family4, n>>(32-wide4)<<(64-wide4) | family4 | wideMark
	}
	a := client.As16()
	n := uint64(0)
	for _, b := range a[:8] {
		n = n<<8 | uint64(b)
	}
	return n>>(64-narrow6)<<(64-narrow6) | family6, n>>(64-wide6)<<(64-wide6) | family6 | wideMark
}

// network is the prefix for people.
func network(client netip.Addr, wide bool) netip.Prefix {
	client = client.Unmap().WithZone("")
	n := narrow6
	switch {
	case client.Is4() && wide:
		n = wide4
	case client.Is4():
		n = narrow4
	case wide:
		n = wide6
	}
	p, _ := client.Prefix(n)
	return p
}

// tick is a time as the table has it.
func tick(now int64) uint64 { return uint64(now >> tickShift) }

// rate is a rate in ticks.
type rate struct{ interval, burst uint64 }

func rateOf(perSecond int) rate {
	if perSecond == 0 {
		return rate{}
	}
	i := uint64(time.Second>>tickShift) / uint64(perSecond)
	return rate{interval: i, burst: i * uint64(perSecond)}
}
