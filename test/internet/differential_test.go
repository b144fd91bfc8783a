package internet_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"onoma/test/internet"
	"onoma/test/peers"
)

// TestDifferential asks all resolvers that are installed the same questions, once with CD, where what they find is compared,
// and once without, where what they think of it is. ONOMA_INTERNET_ZONES and ONOMA_INTERNET_NAMES make it larger.
func TestDifferential(t *testing.T) {
	if !peers.InOwnNetwork(t) {
		return
	}
	options := internet.Options{Seed: 1, TLDs: 8, Zones: 120, Broken: 30, Quick: true}
	names := 400
	if zones := number("ONOMA_INTERNET_ZONES"); zones > 0 {
		options = internet.Options{Seed: 1, TLDs: 50, Zones: zones, Broken: 20}
		names = number("ONOMA_INTERNET_NAMES")
	}
	start := time.Now()
	n, err := internet.New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	questions := n.Questions(names)
	t.Logf("an internet of %d zones and %d questions, made in %v", len(n.Zones), len(questions), time.Since(start).Round(time.Millisecond))
	var answers, verdicts map[int]int
	t.Run("answers", func(t *testing.T) { answers = differ(t, n, questions, false) })
	t.Run("verdicts", func(t *testing.T) { verdicts = differ(t, n, questions, true) })
	if path := os.Getenv("ONOMA_INTERNET_REPORT"); path != "" {
		report(t, path, len(n.Zones), len(questions), answers, verdicts)
	}
}

// differ starts resolvers that know nothing yet, asks them and compares. It returns how often each explanation was needed.
func differ(t *testing.T, n *internet.Internet, questions []internet.Asked, checking bool) map[int]int {
	found := map[string][]verdict{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range contestants {
		if checking && !c.validates {
			continue
		}
		if !t.Run("start="+c.name, func(sub *testing.T) {
			if c.binary != "" {
				peers.Need(sub, c.binary)
			}
			c.start(t, n, t.TempDir(), true)
			found[c.name] = nil
		}) {
			return nil
		}
	}
	for _, c := range contestants {
		if _, ok := found[c.name]; ok {
			wg.Go(func() {
				list := askAll(t, c, questions, checking)
				mu.Lock()
				defer mu.Unlock()
				found[c.name] = list
			})
		}
	}
	wg.Wait()
	return compare(t, questions, found, checking)
}

func number(variable string) int {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		return 0
	}
	return n
}

// verdict is what a resolver says.
type verdict struct {
	rcode string
	ad    bool
	data  string
}

func (v verdict) String() string {
	s := v.rcode
	if v.ad {
		s += " AD"
	}
	if v.data != "" {
		s += " [" + v.data + "]"
	}
	return s
}

// askAll asks a resolver everything, 40 questions at a time, and logs for which faults it takes long.
func askAll(t *testing.T, c contestant, questions []internet.Asked, checking bool) []verdict {
	list, at := make([]verdict, len(questions)), peers.At(t, c.at)
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	slow, start := map[string]time.Duration{}, time.Now()
	for range 40 {
		wg.Go(func() {
			for i := range next {
				start := time.Now()
				list[i] = ask(at, questions[i], checking)
				mu.Lock()
				slow[questions[i].Zone.Fault] = max(slow[questions[i].Zone.Fault], time.Since(start))
				mu.Unlock()
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Logf("%s took %v", c.name, time.Since(start).Round(time.Millisecond))
	for _, fault := range slices.Sorted(maps.Keys(slow)) {
		if took := slow[fault]; took > 3*time.Second {
			t.Logf("%s: up to %v for fault %q", c.name, took.Round(time.Second), fault)
		}
	}
	return list
}

// ask is a client that tries four times, and goes to TCP for what is truncated.
func ask(at netip.AddrPort, q internet.Asked, checking bool) verdict {
	m := new(mdns.Msg)
	m.SetQuestion(q.Name.String(), uint16(q.Type)).SetEdns0(1232, false)
	m.AuthenticatedData, m.CheckingDisabled = checking, !checking
	for range 4 {
		c := mdns.Client{Timeout: 4 * time.Second}
		reply, _, err := c.Exchange(m, at.String())
		if err == nil && reply.Truncated {
			c.Net = "tcp"
			reply, _, err = c.Exchange(m, at.String())
		}
		if err == nil {
			return judge(reply)
		}
	}
	return verdict{rcode: "silence"}
}

func judge(reply *mdns.Msg) verdict {
	v := verdict{rcode: mdns.RcodeToString[reply.Rcode], ad: reply.AuthenticatedData}
	if reply.Rcode == mdns.RcodeServerFailure {
		return v // some copy what they have found so far, most do not
	}
	var lines []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == mdns.TypeRRSIG {
			continue
		}
		rr.Header().Ttl = 0
		lines = append(lines, strings.ToLower(strings.Join(strings.Fields(rr.String()), " ")))
	}
	slices.Sort(lines)
	v.data = strings.Join(lines, "; ")
	return v
}

// class is disagreements that look alike.
type class struct {
	fault, name, got, most string
}

// compare looks for resolvers that do not say what most say. Each such disagreement is to be explained, and nobody may believe a lie.
func compare(t *testing.T, questions []internet.Asked, found map[string][]verdict, checking bool) map[int]int {
	unexplained, examples, explained := map[class]int{}, map[class]string{}, map[int]int{}
	for i, q := range questions {
		most := majority(found, i)
		for _, c := range contestants {
			if found[c.name] != nil && strings.Contains(found[c.name][i].data, internet.Forged) {
				t.Errorf("%s believes a lie about %s %s: %s", c.name, q.Name, q.Type, short(found[c.name][i]))
			}
			if found[c.name] == nil || found[c.name][i] == most {
				continue
			}
			got := found[c.name][i]
			if e := explain(q, c.name, got, most); e >= 0 {
				explained[e]++
				continue
			}
			k := class{q.Zone.Fault, c.name, got.outline(), most.outline()}
			unexplained[k]++
			examples[k] = fmt.Sprintf("%s %s: %s, not %s", q.Name, q.Type, short(got), short(most))
		}
	}
	for k, n := range unexplained {
		t.Errorf("fault %q: %s says %s where most say %s, %d times, as %s", k.fault, k.name, k.got, k.most, n, examples[k])
	}
	t.Logf("checking %t: %d questions, %d classes of disagreement without an explanation", checking, len(questions), len(unexplained))
	return explained
}

// outline is a verdict without its data.
func (v verdict) outline() string {
	data := strings.Count(v.data, ";") + 1
	if v.data == "" {
		data = 0
	}
	v.data = ""
	return fmt.Sprintf("%s with %d records", v, data)
}

func short(v verdict) string {
	s := v.String()
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}

// majority is what most say; where as many say something else, what the first of contestants says.
func majority(found map[string][]verdict, i int) (most verdict) {
	count, best := map[verdict]int{}, 0
	for _, list := range found {
		count[list[i]]++
	}
	for _, c := range contestants {
		if list := found[c.name]; list != nil && count[list[i]] > best {
			most, best = list[i], count[list[i]]
		}
	}
	return most
}
