package multisigner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/validator"
	"onoma/transport"
)

// caches has every answer that the cache of some resolver may have now: of each question, from each server that may be asked,
// for as long as its TTL says. Whatever is taken of them together has to be secure.
type caches struct {
	s       *scene
	anchors []dns.Record
	client  transport.Client

	mu      sync.Mutex
	servers []netip.AddrPort // of the child
	must    bool             // it has to be secure from now on
	kept    map[string][]*kept
	judged  map[string]bool
	checked int
	bad     []string
}

type kept struct {
	text  string
	m     *dns.Message
	until time.Time
}

var asked = []struct {
	name string
	t    dns.Type
}{{"child.", dns.TypeSOA}, {"child.", dns.TypeNS}, {"www.child.", dns.TypeA}, {"nowhere.child.", dns.TypeA}, {"some.wild.child.", dns.TypeTXT}, {"empty.child.", dns.TypeA}}

// watch fills caches until the test ends, and judges them.
func (s *scene) watch(servers ...netip.AddrPort) *caches {
	s.Helper()
	anchors, err := zonefile.NewReader(strings.NewReader(s.anchor), zonefile.Options{Origin: dns.Root}).ReadAll()
	if err != nil {
		s.Fatal(err)
	}
	c := &caches{s: s, anchors: anchors, servers: servers, kept: map[string][]*kept{}, judged: map[string]bool{}, client: transport.Client{Reuse: 1}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			c.fill(ctx)
			c.judge(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(60 * time.Millisecond):
			}
		}
	}()
	s.Cleanup(func() {
		stop()
		<-done
		if len(c.bad) > 0 {
			s.Errorf("%d of %d combinations of what caches may have are bad, the first of them:\n%s", len(c.bad), c.checked, strings.Join(c.bad[:min(3, len(c.bad))], "\n"))
		}
		if s.Logf("%d combinations of what caches may have were judged", c.checked); c.checked < 50 {
			s.Errorf("only %d combinations were judged", c.checked)
		}
	})
	return c
}

// ask has these servers asked from now on; what others said stays for as long as its TTL says.
func (c *caches) ask(servers ...netip.AddrPort) {
	c.mu.Lock()
	c.servers = servers
	c.mu.Unlock()
}

// secure waits until no cache can have 'no DS' any more; from then on nothing may be insecure.
func (c *caches) secure() {
	c.s.Helper()
	c.s.await("no cache without the DS", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		all := c.kept[child+"DS"]
		c.must = len(all) > 0 && !slices.ContainsFunc(all, func(k *kept) bool { return len(k.m.Answer) == 0 })
		return c.must
	})
}

func (c *caches) fill(ctx context.Context) {
	c.mu.Lock()
	servers := slices.Clone(c.servers)
	c.mu.Unlock()
	c.fetch(ctx, c.s.root.Addr, child, dns.TypeDS)
	for _, at := range servers {
		c.fetch(ctx, at, child, dns.TypeDNSKEY)
		for _, q := range asked {
			c.fetch(ctx, at, q.name, q.t)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for q, all := range c.kept {
		c.kept[q] = slices.DeleteFunc(all, func(k *kept) bool { return k.until.Before(now) })
	}
}

func (c *caches) fetch(ctx context.Context, at netip.AddrPort, name string, t dns.Type) {
	began := time.Now()
	m, err := c.exchange(ctx, at, dns.Question{Name: dns.MustName(name), Type: t, Class: dns.ClassIN})
	if err != nil {
		return
	}
	k := &kept{m: m, until: began.Add(lifetime(m))}
	for _, r := range slices.Concat(m.Answer, m.Authority) {
		k.text += r.String() + "\n"
	}
	q := name + t.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.kept[q], func(o *kept) bool { return o.text == k.text }); i >= 0 {
		c.kept[q][i].until = k.until
		return
	}
	c.kept[q] = append(c.kept[q], k)
}

func (c *caches) exchange(ctx context.Context, at netip.AddrPort, q dns.Question) (*dns.Message, error) {
	m := dns.NewQuery(7, q, false)
	m.EDNS = &dns.EDNS{UDPSize: 4096, DO: true}
	query, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	r, err := c.client.Exchange(ctx, transport.TCP, at, query, nil)
	if err != nil {
		return nil, err
	}
	return dns.ParseMessage(r.Msg)
}

// lifetime is the shortest TTL of an answer; for a negative one that of the SOA and its minimum (RFC 2308 §5).
func lifetime(m *dns.Message) time.Duration {
	ttl := uint32(10)
	for _, r := range slices.Concat(m.Answer, m.Authority) {
		if ttl = min(ttl, r.TTL); r.Type == dns.TypeSOA {
			ttl = min(ttl, dns.SOAMinimum(r.Data))
		}
	}
	return time.Duration(ttl) * time.Second
}

// judge validates all combinations that are there and that were not validated before.
func (c *caches) judge(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ds := range c.kept[child+"DS"] {
		for _, keys := range c.kept[child+"DNSKEY"] {
			for _, q := range asked {
				for _, answer := range c.kept[q.name+q.t.String()] {
					id := fmt.Sprint(ds.text, "\x00", keys.text, "\x00", answer.text, c.must)
					if !c.judged[id] && ctx.Err() == nil {
						c.judged[id] = true
						c.validate(ctx, q.name, q.t, ds, keys, answer)
					}
				}
			}
		}
	}
}

// validate has a validator find just these in its cache.
func (c *caches) validate(ctx context.Context, name string, t dns.Type, ds, keys, answer *kept) {
	v := validator.New(validator.Options{Anchors: c.anchors, Fetch: func(ctx context.Context, q dns.Question) (*dns.Message, error) {
		switch {
		case q.Name.Equal(dns.MustName(child)) && q.Type == dns.TypeDS:
			return ds.m, nil
		case q.Name.Equal(dns.MustName(child)) && q.Type == dns.TypeDNSKEY:
			return keys.m, nil
		case q.Name.Equal(dns.MustName(name)) && q.Type == t:
			return answer.m, nil
		case q.Name.IsRoot():
			return c.exchange(ctx, c.s.root.Addr, q)
		}
		return nil, errors.New("the test has no answer to " + q.Name.String() + " " + q.Type.String())
	}})
	r, err := v.Look(ctx, dns.MustName(name), t)
	if ctx.Err() != nil || err != nil && r.Status != validator.Bogus && !c.must {
		return
	}
	c.checked++
	if r.Status == validator.Secure || r.Status == validator.Insecure && !c.must {
		return
	}
	c.bad = append(c.bad, fmt.Sprintf("%s: %s %s is %v: %s (%v)\nDS:\n%sDNSKEY:\n%sanswer:\n%s", time.Now().Format("05.000"), name, t, r.Status, r.Why, err, ds.text, keys.text, answer.text))
}

// TestLifetime keeps the judge honest: an answer lives no longer than its shortest TTL.
func TestLifetime(t *testing.T) {
	m := dns.NewQuery(1, dns.Question{Name: dns.Root, Type: dns.TypeA, Class: dns.ClassIN}, false)
	m.Answer = []dns.Record{{Name: dns.Root, Type: dns.TypeA, Class: dns.ClassIN, TTL: 7}, {Name: dns.Root, Type: dns.TypeA, Class: dns.ClassIN, TTL: 3}}
	if got := lifetime(m); got != 3*time.Second {
		t.Errorf("%v, want 3s", got)
	}
}
