package interop

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"onoma/test/model"
	"onoma/test/peers"
)

// A peer may take our place, to learn what the peers think of each other.
var (
	reference = flag.String("reference", "onoma", "whose answers the others are compared with: onoma, model, nsd, knot, bind or powerdns")
	onlySet   = flag.String("set", "", "ask about one set of testdata only")
	shown     = flag.Int("shown", 60, "how many unexplained differences to print")
)

const minSets = 70

func TestDifferential(t *testing.T) {
	sets := loadSets(t)
	if len(sets) < minSets {
		t.Errorf("testdata has %d sets, expected %d at least", len(sets), minSets)
	}
	var zones peers.Zones
	var questions []question
	for _, set := range sets {
		if refusedBy(*reference, set.name) != nil {
			continue // see TestRefused
		}
		zones = append(zones, set.zones...)
		if *onlySet == "" || *onlySet == set.name {
			questions = append(questions, set.questions()...)
		}
	}
	servers := startAll(t, zones, peers.All...)
	t.Logf("%d sets, %d zones, %d questions, %d servers", len(sets), len(zones), len(questions), len(servers))
	c := newComparison(acceptedDifferences, modelOf(sets))
	c.findUnserved(t, servers, sets)
	c.run(t, servers, questions)
	c.report(t, servers)
}

// startAll starts the reference first, then every peer that is installed. Without any, onoma is compared with the model.
func startAll(t *testing.T, zones peers.Zones, others ...*peers.Peer) []*peers.Server {
	t.Helper()
	var servers []*peers.Server
	if *reference == "onoma" {
		servers = append(servers, peers.Onoma(t, zones, peers.Addr(t)))
	}
	for _, p := range others {
		if !p.Available() {
			t.Logf("not compared with %s, which is not installed (scripts/test-deps installs it)", p.Name)
			continue
		}
		s := p.Start(t, zones, p.Addr(t))
		if p.Name == *reference {
			servers = slices.Insert(servers, 0, s)
		} else {
			servers = append(servers, s)
		}
	}
	return servers
}

// comparison collects the differences between the first server and the others.
type comparison struct {
	rows     []*row
	model    *model.Server
	unserved map[string]bool // "peer set": not compared, since the peer does not load a zone of the set

	// judged are the peers that run in the version that the rows were made for. What another version does differently is
	// its own affair as long as a second peer gives our answer.
	judged map[string]bool

	sync.Mutex
	unexplained []*difference
	unjudged    int
	broken      []string // of our own rules
}

func newComparison(rows []*row, m *model.Server) *comparison {
	for _, r := range rows {
		r.excused.Store(0)
	}
	c := &comparison{rows: rows, model: m, unserved: make(map[string]bool), judged: make(map[string]bool)}
	for _, p := range peers.All {
		c.judged[p.Name] = isJudged(p.Name)
	}
	return c
}

// findUnserved learns which zones a peer refused to load. Each must be a row of refusedZones.
func (c *comparison) findUnserved(t *testing.T, servers []*peers.Server, sets []*zoneSet) {
	t.Helper()
	for _, s := range servers {
		for _, set := range sets {
			if refusedBy(*reference, set.name) != nil {
				continue
			}
			for _, zone := range set.zones {
				refusal := refusedBy(s.Name, set.name)
				switch served := s.Serves(zone.Name); {
				case served && (refusal == nil || !c.judged[s.Name]):
				case served:
					t.Errorf("a row is not needed any more, remove it: %s loads %s", s.Name, set.name)
				case refusal == nil && c.judged[s.Name]:
					t.Errorf("%s does not serve %s; its log may say why:\n%s", s.Name, zone.Name, s.Mentions(zone.Name))
					c.unserved[s.Name+" "+set.name] = true
				default:
					t.Logf("not compared: %s refuses %s: %v", s.Name, zone.Name, refusal)
					c.unserved[s.Name+" "+set.name] = true
				}
			}
		}
	}
}

// run asks all questions, from as many goroutines as keep the servers busy.
func (c *comparison) run(t *testing.T, servers []*peers.Server, questions []question) {
	t.Helper()
	const askers = 4
	var names []string
	if *reference == "model" {
		names = append(names, "model")
	}
	for _, s := range servers {
		names = append(names, s.Name)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range askers {
		wg.Go(func() {
			clients := make([]*client, len(servers))
			for i, s := range servers {
				clients[i] = &client{server: s}
				defer clients[i].close()
			}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(questions) {
					return
				}
				q := &questions[i]
				answers, err := ask(clients, q, uint16(i))
				if *reference == "model" {
					answers = slices.Insert(answers, 0, c.modelAnswer(q))
				}
				if err != nil {
					c.note(fmt.Sprintf("%s %s: %v", q.set, q.name, err))
					continue
				}
				c.judge(q, names, answers)
			}
		})
	}
	wg.Wait()
}

func (c *comparison) note(what string) {
	c.Lock()
	defer c.Unlock()
	c.broken = append(c.broken, what)
}

// judge compares one question's answers.
func (c *comparison) judge(q *question, names []string, answers []answer) {
	mine := &answers[0]
	if names[0] == "onoma" {
		names = append(slices.Clone(names), "model")
		answers = append(answers, c.modelAnswer(q))
		switch {
		case mine.failure != "":
			c.note(fmt.Sprintf("%s: %s %d: %s", q.set, q.name, q.typ, mine.failure))
		case mine.repeats:
			c.note(fmt.Sprintf("%s: %s %d (%s): a record is repeated (RFC 2181 §5)", q.set, q.name, q.typ, q.mode))
		case mine.surplus && !primes(q):
			c.note(fmt.Sprintf("%s: %s %d (%s): additional records outside of a referral", q.set, q.name, q.typ, q.mode))
		}
	}
	compared, disagreeing := 0, make(map[string]int) // by kind: how many peers differ from us
	var open []*difference
	for i := range answers[1:] {
		peer := names[i+1]
		if c.unserved[peer+" "+q.set] {
			continue
		}
		compared++
		if names[0] == "model" {
			mine.tc, mine.edns = answers[i+1].tc, answers[i+1].edns
		} else if peer == "model" {
			answers[i+1].tc, answers[i+1].edns = mine.tc, mine.edns
		}
		for _, d := range compare(q, peer, mine, &answers[i+1]) {
			disagreeing[d.kind]++
			if !c.excuse(d) {
				open = append(open, d)
			}
		}
	}
	c.Lock()
	defer c.Unlock()
	for _, d := range open {
		d.alone = disagreeing[d.kind] == compared
		if d.peer != "model" && !c.judged[d.peer] && !d.alone {
			c.unjudged++
			continue
		}
		c.unexplained = append(c.unexplained, d)
	}
}

// primes says whether a question is the one that resolvers prime with: its answer has
// the addresses of the root servers (RFC 9609 §4.2).
func primes(q *question) bool { return q.name == "." && q.typ == dns.TypeNS }

// modelAnswer is what the model answers; it knows neither EDNS nor sizes.
func (c *comparison) modelAnswer(q *question) answer {
	m := c.model.Answer(dns.Question{Name: q.name, Qtype: q.typ, Qclass: dns.ClassINET}, q.mode == do)
	return contents(m)
}

// modelOf gives the model all zones.
func modelOf(sets []*zoneSet) *model.Server {
	zones := make(map[string][]dns.RR)
	for _, set := range sets {
		maps.Copy(zones, set.records)
	}
	return model.New(zones)
}

func (c *comparison) excuse(d *difference) bool {
	for _, r := range c.rows {
		if r.matches(d) {
			r.excused.Add(1)
			return true
		}
	}
	return false
}

// report prints what each row excused, and fails on everything else.
func (c *comparison) report(t *testing.T, servers []*peers.Server) {
	t.Helper()
	for _, r := range c.rows {
		n := r.excused.Load()
		t.Logf("%6d excused: %s", n, r)
		if n == 0 && *onlySet == "" && c.judged[r.peer] && r.runs(servers) {
			t.Errorf("a row excuses nothing any more, remove it: %s", r)
		}
	}
	if c.unjudged > 0 {
		t.Logf("%6d differences with versions that nobody has judged, where another peer agrees with us", c.unjudged)
	}
	for _, what := range c.broken[:min(len(c.broken), *shown)] {
		t.Error(what)
	}
	slices.SortFunc(c.unexplained, func(a, b *difference) int {
		return strings.Compare(a.q.set+a.peer+a.q.name, b.q.set+b.peer+b.q.name)
	})
	for _, d := range samples(c.unexplained, *shown) {
		t.Error(d)
	}
	if n := len(c.unexplained); n > 0 {
		t.Errorf("%d unexplained differences\n%s", n, summary(c.unexplained))
	}
}

// TestRefused: a zone that we refuse is refused in words, before anything is served.
func TestRefused(t *testing.T) {
	refused := 0
	for _, set := range loadSets(t) {
		if refusedBy("onoma", set.name) == nil {
			continue
		}
		refused++
		args := []string{"authority", "--listen", peers.Addr(t).String()}
		for _, z := range set.zones {
			args = append(args, "--zone", z.Name+"="+z.File)
		}
		out, err := exec.Command(peers.Binary(t), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%s: %v, expected exit status 2", set.name, err)
		}
		if !strings.Contains(string(out), "error: ") || !strings.Contains(string(out), "RFC ") {
			t.Errorf("%s: expected the error and its RFC section in\n%s", set.name, out)
		}
	}
	if refused == 0 {
		t.Error("no set of testdata is refused by onoma any more: remove this test")
	}
}

// samples are at most n differences, and at most two of one kind for each set and peer.
func samples(list []*difference, n int) []*difference {
	taken := make(map[string]int)
	var chosen []*difference
	for _, d := range list {
		key := d.q.set + " " + d.peer + " " + d.kind
		if taken[key]++; taken[key] <= 2 && len(chosen) < n {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

// summary counts the differences by set, peer and kind.
func summary(list []*difference) string {
	counts := make(map[string]int)
	for _, d := range list {
		counts[fmt.Sprintf("%-24s %-9s %s", d.q.set, d.peer, d.kind)]++
	}
	lines := make([]string, 0, len(counts))
	for what, n := range counts {
		lines = append(lines, fmt.Sprintf("  %s: %d", what, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
