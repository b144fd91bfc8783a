package authority

import (
	"slices"
	"sync"
	"time"

	"onoma/dns"
)

// replies sends the answers that are given later. Who gives them is not kept
// waiting: by signatures, by system calls, or by a client over TCP that does not
// read. A few goroutines do that, and end when there is nothing left to send.
type replies struct {
	clock func() time.Time

	mu      sync.Mutex
	waiting []*UpdateReply // the one that came first, first
	running int
	idle    []*replier // memory of those that have ended
}

const (
	// mostRepliers bounds the goroutines: more than one, since one client that
	// does not read should not keep the others waiting.
	mostRepliers = 8
	// fewReplies are as many as one goroutine takes at a time.
	fewReplies = 32
)

func (o *replies) put(r *UpdateReply) {
	o.mu.Lock()
	o.waiting = append(o.waiting, r)
	var x *replier
	if o.running == 0 || o.running < mostRepliers && len(o.waiting) > fewReplies {
		o.running++
		x = o.replier()
	}
	o.mu.Unlock()
	if x != nil {
		go x.run()
	}
}

// replier returns one that is idle, or a new one.
func (o *replies) replier() *replier {
	last := len(o.idle) - 1
	if last < 0 {
		return &replier{replies: o}
	}
	x := o.idle[last]
	o.idle[last], o.idle = nil, o.idle[:last]
	return x
}

// take moves some of what waits into x's batch, and reports whether there is any.
// Where there is none x has ended.
func (o *replies) take(x *replier) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.waiting), fewReplies)
	x.batch = append(x.batch[:0], o.waiting[:n]...)
	o.waiting = slices.Delete(o.waiting, 0, n)
	if n == 0 {
		o.running--
		o.idle = append(o.idle, x)
	}
	return n > 0
}

// replier is one such goroutine with its memory.
type replier struct {
	*replies
	batch []*UpdateReply
	b     dns.Builder
	buf   []byte
	opts  []byte
}

func (x *replier) run() {
	for x.take(x) {
		for _, r := range x.batch {
			x.send(r)
		}
		clear(x.batch)
	}
}

func (x *replier) send(r *UpdateReply) {
	msg := r.relay
	if msg == nil {
		msg = x.message(r)
	}
	r.srv.workers.countReply(r)
	_ = r.pending.Reply(msg) // where it fails the client is gone, which changes nothing
	r.pending.Done()
}

// message makes the response. RFC 2136 §3.8: its sections may be empty; the zone
// section is there for clients that compare it.
func (x *replier) message(r *UpdateReply) []byte {
	q := &r.query
	flags := dns.FlagQR | q.Flags&dns.FlagRD
	x.b.Start(x.buf[:0], r.limit, q.ID, flags.WithOpcode(dns.OpcodeUpdate).WithRCode(r.rcode))
	x.b.Question(q.Name, q.Type, q.Class)
	if q.EDNS {
		x.opt(r)
	}
	x.buf = x.b.Finish()
	if r.sig == nil {
		return x.buf
	}
	signed, err := r.sig.Sign(x.buf, x.clock())
	if err != nil {
		return x.buf
	}
	x.buf = signed
	return signed
}

func (x *replier) opt(r *UpdateReply) {
	var flags uint16
	if r.query.DO {
		flags = dns.EDNSFlagDO // RFC 3225 §3: copied
	}
	free := r.limit - x.b.Len() - optLen
	x.opts = fitting(x.opts[:0], append(x.opts[:0], r.opts...), free)
	if r.ede != nil {
		x.opts = fitting(x.opts, r.ede.Append(x.opts), free)
	}
	if r.pad {
		x.opts = pad(x.opts, x.b.Len()+optLen, free)
	}
	x.b.OPT(uint16(r.srv.maxUDP), r.rcode, 0, flags, x.opts)
}

// countReply notes an answer that no worker has given.
func (s *workers) countReply(r *UpdateReply) {
	f := fateError
	if r.rcode == dns.RCodeNoError {
		f = fateAnswer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.types[typeSlot(r.query.Type)].add()
	s.past.kinds[r.kind].add()
	s.past.results[0][f][min(int(r.rcode), rcodeSlots-1)].add()
}
