package soak

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"onoma/dns"
	"onoma/test/internet"
	"onoma/transport"
)

// failure is a question that got no answer, or one that says no more than that.
type failure struct {
	asked      internet.Asked
	proto      transport.Proto
	start, end time.Time
	what       string
}

// load is what clients ask, and what came of it.
type load struct {
	questions []internet.Asked // the usual ones
	zones     []*internet.Zone // that are healthy
	plain     netip.AddrPort
	encrypted netip.AddrPort

	mu       sync.Mutex
	counts   map[string]int    // answers by rcode
	protos   map[string]int    // questions
	first    map[string]string // what was answered first, by question
	changed  []string
	failures []failure
	took     []time.Duration // of one in 16
}

func newLoad(n *internet.Internet, plain, encrypted netip.AddrPort) *load {
	l := &load{plain: plain, encrypted: encrypted, counts: map[string]int{}, protos: map[string]int{}, first: map[string]string{}}
	for _, q := range n.Questions(1 << 20) {
		if q.Name.FirstLabel() != "ext" { // they depend on other zones, too
			l.questions = append(l.questions, q)
		}
	}
	for _, z := range n.Zones {
		if z.Fault == "" && !strings.HasPrefix(z.Name.FirstLabel(), "hoster") {
			l.zones = append(l.zones, z)
		}
	}
	return l
}

// next is a question: most are of the usual ones, a few of them much more often than others; the rest are names that nobody
// has asked for, half of them below a wildcard.
func (l *load) next() internet.Asked {
	z := l.zones[rand.IntN(len(l.zones))]
	made := func(format string, t dns.Type) internet.Asked {
		name := dns.MustName(fmt.Sprintf(format, rand.Uint32(), z.Name))
		return internet.Asked{Question: dns.Question{Name: name, Type: t, Class: dns.ClassIN}, Zone: z}
	}
	switch k := rand.IntN(100); {
	case k < 20:
		return made("n%x.wild.%s", dns.TypeA)
	case k < 35:
		return made("n%x.%s", dns.TypeAAAA)
	}
	r := rand.Float64()
	return l.questions[int(r*r*r*float64(len(l.questions)))]
}

// clients ask until ctx ends, rate questions a second in all: six of ten over UDP, two over TCP and two over TLS.
func (l *load) clients(ctx context.Context, rate int) {
	var wg sync.WaitGroup
	const each = 20 // a second: one of them that waits for an answer holds up no more than itself
	for i := range max(10, rate/each) {
		c := &client{load: l, proto: transport.UDP, at: l.plain}
		switch i % 10 {
		case 3, 7:
			c.proto = transport.TCP
		case 5, 9:
			c.proto, c.at = transport.TLS, l.encrypted
		}
		c.dns.TLS = &tls.Config{InsecureSkipVerify: true}
		c.dns.Reuse = 1
		wg.Go(func() {
			defer c.dns.CloseIdle()
			for ctx.Err() == nil {
				time.Sleep(time.Duration(rand.ExpFloat64() * float64(time.Second) / each))
				c.ask(l.next())
			}
		})
	}
	wg.Wait()
}

type client struct {
	load  *load
	dns   transport.Client
	proto transport.Proto
	at    netip.AddrPort
}

// ask asks once, for no longer than a stub resolver's second try would come.
func (c *client) ask(q internet.Asked) {
	m := dns.NewQuery(uint16(rand.Uint32()), q.Question, true)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: rand.IntN(4) == 0}
	query, err := m.Append(nil)
	if err != nil {
		panic(err) // a name of ours
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	start := time.Now()
	a, err := c.exchange(ctx, query)
	end := time.Now()
	l := c.load
	l.mu.Lock()
	defer l.mu.Unlock()
	l.protos[c.proto.String()]++
	if err != nil {
		l.counts["none"]++
		l.failures = append(l.failures, failure{q, c.proto, start, end, err.Error()})
		return
	}
	l.counts[a.RCode.String()]++
	if rand.IntN(16) == 0 {
		l.took = append(l.took, end.Sub(start))
	}
	if a.RCode != dns.RCodeNoError && a.RCode != dns.RCodeNXDomain {
		l.failures = append(l.failures, failure{q, c.proto, start, end, fmt.Sprint(a.RCode, " ", a.EDNS.EDE())})
		return
	}
	l.compare(q, a)
}

func (c *client) exchange(ctx context.Context, query []byte) (*dns.Message, error) {
	for _, proto := range []transport.Proto{c.proto, transport.TCP} {
		r, err := c.dns.Exchange(ctx, proto, c.at, query, nil)
		if err != nil {
			return nil, err
		}
		a, err := dns.ParseMessage(r.Msg)
		if err != nil || !a.Flags.Has(dns.FlagTC) {
			return a, err
		}
	}
	return nil, fmt.Errorf("truncated over TCP")
}

// compare holds an answer to the first one to the same question. Zones do not change.
func (l *load) compare(q internet.Asked, a *dns.Message) {
	if q.Zone.Fault != "" || len(l.first) > 100_000 {
		return
	}
	data := []string{a.RCode.String()}
	for _, r := range a.Answer {
		if r.Type != dns.TypeRRSIG {
			data = append(data, fmt.Sprint(r.Type, " ", r.Data.Text(r.Type)))
		}
	}
	slices.Sort(data[1:])
	key, text := q.String(), strings.Join(data, ", ")
	if old, ok := l.first[key]; !ok {
		l.first[key] = text
	} else if old != text {
		l.changed = append(l.changed, fmt.Sprintf("%s: first %s, then %s", key, old, text))
	}
}

// quantile is of the times that answers took.
func (l *load) quantile(p float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	sort.Slice(l.took, func(i, j int) bool { return l.took[i] < l.took[j] })
	return l.took[int(p*float64(len(l.took)-1))]
}
