package resolver

import (
	"sync/atomic"

	"onoma/dns"
	"onoma/resolver/iterator"
	"onoma/resolver/upstream"
)

// Stats are what a Resolver has counted since it was made. Answers from the cache
// of messages are not among them: whoever counts queries knows them as those that
// were answered at once.
type Stats struct {
	LookedUp map[string]uint64 // look-ups for clients by what came of them: secure, insecure, bogus, failed
	Clients  uint64            // that waited for these
	Failures map[string]uint64 // the first extended error (RFC 8914) of those that failed or were bogus
	Refused  uint64            // clients that may not ask
	Stale    uint64            // answers whose time was over that were made good once more
	Renewals uint64            // look-ups that began before the time of an answer was over
	Rules    []RuleCount       // what rules decided, and limits of clients
	InFlight int               // look-ups now
	Entries  int               // sets, negative answers, delegations and failures in the cache
	Upstream iterator.Counts
	Network  upstream.Stats // of the resolver's own; zero where it was given an Env
}

// The kinds of outcomes.
const (
	endSecure = iota
	endInsecure
	endBogus
	endFailed
	ends
)

var endNames = [ends]string{"secure", "insecure", "bogus", "failed"}

const edeCodes = 64 // that are counted each; the rest is "other"

// counters is what Stats reads.
type counters struct {
	ends     [ends]atomic.Uint64
	clients  atomic.Uint64
	refused  atomic.Uint64
	stale    atomic.Uint64
	renewals atomic.Uint64
	failures [edeCodes]atomic.Uint64
}

// ended counts a look-up that so many clients waited for.
func (c *counters) ended(out *outcome, clients int) {
	c.clients.Add(uint64(clients))
	switch {
	case out.isSecure:
		c.ends[endSecure].Add(1)
		return
	case out.rcode != dns.RCodeServFail:
		c.ends[endInsecure].Add(1)
		return
	}
	end, code := endFailed, dns.EDEOther
	for _, e := range out.ede {
		if e.Code == dns.EDECachedError {
			continue
		}
		if code = e.Code; isBogus(e.Code) {
			end = endBogus
		}
		break
	}
	c.ends[end].Add(1)
	if code >= edeCodes {
		code = dns.EDEOther
	}
	c.failures[code].Add(1)
}

// isBogus reports whether an extended error is one of validation.
func isBogus(c dns.EDECode) bool {
	return c >= dns.EDEDNSSECBogus && c <= dns.EDENSECMissing || c == dns.EDESignatureExpiredBefore
}

// Stats returns what was counted so far.
func (r *Resolver) Stats() Stats {
	c := &r.counters
	s := Stats{LookedUp: map[string]uint64{}, Failures: map[string]uint64{}, Clients: c.clients.Load(), Refused: c.refused.Load(), Stale: c.stale.Load(), Renewals: c.renewals.Load(), Rules: r.RuleCounts(), Upstream: r.iterator.Counts(), Entries: r.iterator.Cache.Len()}
	if r.network != nil {
		s.Network = r.network.Stats()
	}
	for i, name := range endNames {
		s.LookedUp[name] = c.ends[i].Load()
	}
	for code := range c.failures {
		if n := c.failures[code].Load(); n > 0 {
			s.Failures[dns.EDECode(code).String()] = n
		}
	}
	r.jobs.mu.Lock()
	s.InFlight = len(r.jobs.byKey)
	r.jobs.mu.Unlock()
	return s
}
