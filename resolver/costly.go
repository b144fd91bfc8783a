package resolver

import (
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/resolver/limits"
	"onoma/resolver/policy"
	"onoma/transport"
)

// ClientLimits keep some clients from using up what all share. What a client costs is counted for its address and for the networks
// around it (see package limits), in questions to servers: a look-up costs one and those that it sends, and four signatures checked or
// 4096 octets received count as much as one more. Answers out of the cache cost nothing.
type ClientLimits struct {
	Off     bool           // nobody is limited
	Soft    int            // of cost per second: whoever is above goes last when many wait; 0: 1000
	Hard    int            // whoever is above gets no look-ups; 0: 10,000
	Action  policy.Action  // what they get instead: Refuse, TCPOnly (by TCP they do get them) or Drop; None: Refuse
	Waiting int            // queries of one network, an address or a /64, that wait at the same time; 0: 1000 [U 1000]
	Exempt  []netip.Prefix // nil: loopback

	// LateAfter is how late an answer by UDP may be that is larger than LateSize: after that it is TC. Whoever collects late answers to
	// have them come at once at somebody else gets no more out than he put in (DNSBomb, CVE-2024-33655). 0: 1.9 s [U drops it]; negative: never.
	LateAfter time.Duration
}

// LateSize is the largest answer by UDP that may be late.
const LateSize = 512

func (l ClientLimits) withDefaults() ClientLimits {
	orDefault(&l.Soft, 1000)
	orDefault(&l.Hard, 10_000)
	orDefault(&l.Waiting, 1000)
	orDefault(&l.LateAfter, 1900*time.Millisecond)
	if l.Action == policy.None {
		l.Action = policy.Refuse
	}
	if l.Exempt == nil {
		l.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return l
}

// clientCosts is what clients have cost, and how many wait.
type clientCosts struct {
	ClientLimits
	sketch  *limits.Sketch
	waiting limits.Waiting
}

func newClientCosts(l ClientLimits) *clientCosts {
	return &clientCosts{ClientLimits: l.withDefaults(), sketch: limits.NewSketch()}
}

// limits reports whether a client is limited at all.
func (c *clientCosts) limits(client netip.Addr) bool {
	if c.Off {
		return false
	}
	client = client.Unmap().WithZone("")
	for _, p := range c.Exempt {
		if p.Contains(client) {
			return false
		}
	}
	return client.IsValid()
}

// isOver reports whether a client costs too much to have one more question looked up.
func (c *clientCosts) isOver(client netip.Addr, now time.Time, isBusy bool) bool {
	if !c.limits(client) {
		return false
	}
	rate := c.sketch.Rate(client, now)
	return rate > float64(c.Hard) || isBusy && rate > float64(c.Soft)
}

// charge counts what a look-up for a client has cost.
func (c *clientCosts) charge(client netip.Addr, cost Cost, now time.Time) {
	if c.limits(client) {
		c.sketch.Add(client, float64(1+cost.Queries)+float64(cost.Checks)/4+float64(cost.Bytes)/4096, now)
	}
}

var (
	edeCostly  = dns.EDE{Code: dns.EDEProhibited, Text: "questions of this network have cost too much of late"}
	edeCrowded = dns.EDE{Code: dns.EDEProhibited, Text: "too many questions of this network wait for answers"}
)

// limited answers a client that costs too much.
func (w *worker) limited(dst []byte, tq *transport.Query) (out []byte, isOver bool) {
	r, c := w.r, w.r.costs
	isBusy := int(r.jobs.waiting.Load()) > r.cfg.MaxInFlight/4
	if !c.isOver(tq.Client.Addr(), r.cfg.Env.Now(), isBusy) {
		return dst, false
	}
	switch {
	case c.Action == policy.Drop:
		r.policing.counts.add("client-limits", policy.Drop)
		return dst, true
	case c.Action != policy.TCPOnly:
		r.policing.counts.add("client-limits", policy.Refuse)
		return w.fail(dst, tq, dns.RCodeRefused, edeCostly), true
	case tq.Proto == transport.UDP:
		r.policing.counts.add("client-limits", policy.TCPOnly)
		return r.truncated(dst, tq.Msg, &w.q), true
	}
	return dst, false
}

// mayWait has one more query of a client wait, if it may.
func (r *Resolver) mayWait(client netip.Addr) bool {
	return !r.costs.limits(client) || r.costs.waiting.Enter(client, r.costs.Waiting)
}

// waited ends what mayWait began.
func (r *Resolver) waited(client netip.Addr) {
	if r.costs.limits(client) {
		r.costs.waiting.Leave(client)
	}
}

// ifInTime returns the answer to a query that has waited, or, where that is late and large, TC in its place.
func (r *Resolver) ifInTime(p *transport.Pending, answer []byte) []byte {
	late := r.costs.LateAfter
	if r.costs.Off || late < 0 || p.Proto != transport.UDP || len(answer) <= LateSize || r.cfg.Env.Now().Sub(p.Since) <= late {
		return answer
	}
	var q dns.Query
	if q.Parse(p.Msg) != nil {
		return answer
	}
	return r.truncated(nil, p.Msg, &q)
}
