package year

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"onoma/dns"
	"onoma/resolver/validator"
)

// questions are asked by turns: what is there, what is not, and what wildcards and aliases make of it.
var questions = []string{
	"year.test. SOA", "year.test. NS", "year.test. MX", "www.year.test. A", "www.year.test. AAAA", "www.year.test. TXT",
	"any.wild.year.test. TXT", "any.wild.year.test. A", "empty.year.test. A", "alias.year.test. A", "nowhere.year.test. A",
	"host3.year.test. A", "host4.year.test. A", "mail.year.test. A", "year.test. DNSKEY", "insecure.year.test. DS", "deep.empty.year.test. TXT",
}

// resolver caches answers for as long as their TTLs allow, each from whichever server it met.
type resolver struct {
	w     *world
	cache map[string]cached
	v     *validator.Validator
	rand  *rand.Rand
}

type cached struct {
	m     *dns.Message
	until time.Time
}

func (w *world) newResolver(seed uint64) *resolver {
	r := &resolver{w: w, cache: map[string]cached{}, rand: rand.New(rand.NewPCG(seed, 3))}
	r.v = validator.New(validator.Options{Anchors: []dns.Record{w.anchor()}, Fetch: r.fetch, Clock: w.clock})
	return r
}

func (r *resolver) fetch(_ context.Context, q dns.Question) (*dns.Message, error) {
	id, now := q.Name.Fold().String()+q.Type.String(), r.w.clock()
	if c, ok := r.cache[id]; ok && c.until.After(now) {
		return c.m, nil
	}
	servers := r.w.parentAt
	if q.Name.IsSubdomainOf(childName) && (q.Type != dns.TypeDS || !q.Name.Equal(childName)) {
		servers = r.w.servers
	}
	m, err := servers[r.rand.IntN(len(servers))].ask(q)
	if err != nil {
		return nil, err
	}
	r.cache[id] = cached{m, now.Add(lifetime(m))}
	return m, nil
}

// lifetime is the shortest TTL of an answer; for a negative one that of the SOA and its minimum (RFC 2308 §5).
func lifetime(m *dns.Message) time.Duration {
	ttl := uint32(86400)
	for _, r := range m.Answer {
		ttl = min(ttl, r.TTL)
	}
	for _, r := range m.Authority {
		if ttl = min(ttl, r.TTL); r.Type == dns.TypeSOA {
			ttl = min(ttl, dns.SOAMinimum(r.Data))
		}
	}
	return time.Duration(ttl) * time.Second
}

// look asks some of the questions; nothing may be bogus, and nothing insecure but what has to be.
func (r *resolver) look(mayBeInsecure bool, n int) string {
	for range n {
		question := questions[r.rand.IntN(len(questions))]
		name, typ, _ := strings.Cut(question, " ")
		t, _ := dns.ParseType(typ)
		got, err := r.v.Look(context.Background(), dns.MustName(name), t)
		switch {
		case err != nil:
			return fmt.Sprintf("%s: %v", question, err)
		case got.Status == validator.Secure:
		case got.Status == validator.Insecure && (mayBeInsecure || r.w.isOptOut() && isDenied(question)):
		default:
			return fmt.Sprintf("%s is %v: %s", question, got.Status, got.Why)
		}
	}
	return ""
}

// isDenied: the answer to a question has a proof that something does not exist.
func isDenied(question string) bool {
	for _, q := range []string{"wild", "nowhere", "insecure", "empty.year.test. A", "host"} {
		if strings.Contains(question, q) {
			return true
		}
	}
	return question == "www.year.test. TXT"
}

// isOptOut: some server or cache has a chain that leaves out delegations. What such a span denies is not secure (RFC 5155 §9.2).
func (w *world) isOptOut() bool {
	if w.policy.Denial.OptOut {
		w.optOut = w.clock()
	}
	return w.clock().Sub(w.optOut) < 4*time.Hour
}
