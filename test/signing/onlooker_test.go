package signing

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// asked are the questions that an onlooker asks: of what is there, of what is not, of what wildcards and aliases make.
var asked = []struct {
	name  string
	typ   uint16
	rcode int
}{
	{"www.child.test.", dns.TypeA, dns.RcodeSuccess}, {"child.test.", dns.TypeSOA, dns.RcodeSuccess}, {"child.test.", dns.TypeDNSKEY, dns.RcodeSuccess},
	{"nowhere.child.test.", dns.TypeA, dns.RcodeNameError}, {"www.child.test.", dns.TypeMX, dns.RcodeSuccess}, {"some.wild.child.test.", dns.TypeTXT, dns.RcodeSuccess},
	{"some.wild.child.test.", dns.TypeA, dns.RcodeSuccess}, {"alias.child.test.", dns.TypeA, dns.RcodeSuccess}, {"empty.child.test.", dns.TypeA, dns.RcodeSuccess},
	{"sub.child.test.", dns.TypeDS, dns.RcodeSuccess}, {"child.test.", dns.TypeDS, dns.RcodeSuccess},
}

// onlooker asks Unbound about the child all the time.
type onlooker struct {
	t       *testing.T
	unbound *peers.Server
	anchors string

	asking sync.Mutex // held while a question is open

	mu       sync.Mutex
	asked    int
	isSecure bool      // what the last answer was
	turned   time.Time // when it last became so
	must     bool      // it has to be secure from now on
	bad      []string
	answered map[string]time.Time // when a question had its last answer
}

// look has an onlooker ask until the test ends; what it has seen then is judged.
func look(t *testing.T, parent, child netip.AddrPort) *onlooker {
	t.Helper()
	o := newOnlooker(t, parent, child)
	o.begin()
	return o
}

// newOnlooker is one that does not ask yet.
func newOnlooker(t *testing.T, parent, child netip.AddrPort) *onlooker {
	t.Helper()
	forBIND, forUnbound := anchors(t, parent)
	o := &onlooker{t: t, anchors: forBIND, answered: make(map[string]time.Time)}
	o.unbound = peers.Validator(t, forUnbound, map[string]netip.AddrPort{"test": parent, "child.test": child},
		"  cache-max-negative-ttl: 1", "  val-bogus-ttl: 1", "  infra-host-ttl: 1", "  infra-keep-probing: yes")
	return o
}

// begin has it ask.
func (o *onlooker) begin() {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			o.ask(i % len(asked))
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	o.t.Cleanup(func() {
		close(stop)
		<-done
		o.judge()
	})
}

// pause has it not ask while a server is down; caches go on.
func (o *onlooker) pause()  { o.asking.Lock() }
func (o *onlooker) resume() { o.asking.Unlock() }

func (o *onlooker) ask(i int) {
	o.asking.Lock()
	defer o.asking.Unlock()
	q := asked[i]
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.typ).SetEdns0(1232, true)
	client := dns.Client{Timeout: 4 * time.Second}
	r, _, err := client.Exchange(m, o.unbound.Addr.String())
	if err != nil {
		return // a machine with much else to do
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	what := fmt.Sprintf("%s %s", q.name, dns.TypeToString[q.typ])
	o.answered[what] = time.Now()
	// Unbound does not know RFC 9824: where a name does not exist, compact denial is NOERROR to it.
	if r.Rcode != q.rcode && !(q.rcode == dns.RcodeNameError && r.Rcode == dns.RcodeSuccess) {
		o.bad = append(o.bad, fmt.Sprintf("%s: %s\n%s", time.Now().Format("15:04:05.000"), what, r))
		return
	}
	if q.typ == dns.TypeDS && q.name == childName || isOptOut(r) {
		return // the parent's, secure in any case; and what an opt-out span denies never is (RFC 5155 §9.2)
	}
	if r.AuthenticatedData != o.isSecure {
		o.isSecure, o.turned = r.AuthenticatedData, time.Now()
	}
	if o.must && !o.isSecure {
		o.bad = append(o.bad, fmt.Sprintf("%s: %s is not secure\n%s", time.Now().Format("15:04:05.000"), what, r))
	}
}

func isOptOut(r *dns.Msg) bool {
	return slices.ContainsFunc(r.Ns, func(rr dns.RR) bool {
		n, ok := rr.(*dns.NSEC3)
		return ok && n.Flags&1 != 0
	})
}

// judge tells what was bogus, the first few of it.
func (o *onlooker) judge() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.bad) > 0 {
		o.t.Errorf("%d of %d answers were bad:\n%s", len(o.bad), o.asked, strings.Join(o.bad[:min(3, len(o.bad))], "\n"))
		o.t.Logf("the log of Unbound:\n%s", lastLines(o.unbound.Log(), 20))
	}
	if len(o.answered) != len(asked) {
		o.t.Errorf("of %d questions %d had answers", len(asked), len(o.answered))
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// hasSeenSecure: the last answer was secure.
func (o *onlooker) hasSeenSecure() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.isSecure
}

// secure waits until Unbound finds the child secure; from then on it has to.
func (o *onlooker) secure(explain ...func() string) time.Duration {
	o.t.Helper()
	took := await(o.t, "secure at Unbound", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		// In the moment of change some are still cached as insecure.
		return o.isSecure && time.Since(o.turned) > time.Duration(len(asked))*30*time.Millisecond
	}, explain...)
	o.mu.Lock()
	o.must = true
	o.mu.Unlock()
	o.delv()
	return took
}

// mayBeInsecure takes secure back.
func (o *onlooker) mayBeInsecure() {
	o.mu.Lock()
	o.must = false
	o.mu.Unlock()
}

// insecure waits until Unbound does not validate the child any more.
func (o *onlooker) insecure(explain ...func() string) {
	o.t.Helper()
	await(o.t, "insecure at Unbound", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return !o.isSecure && time.Since(o.turned) > 2*time.Second
	}, explain...)
}

// delv has BIND's validator look at the whole chain. It takes records from where Unbound has them, the oldest included.
func (o *onlooker) delv() {
	o.t.Helper()
	if _, err := exec.LookPath("delv"); err != nil {
		return
	}
	at := o.unbound.Addr
	for _, name := range []string{"www.child.test.", "nowhere.child.test."} {
		args := []string{"@" + at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "-a", o.anchors, "+root=test.", name, "A"}
		out, err := exec.Command("delv", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "fully validated") || strings.Contains(string(out), "unsigned answer") {
			o.t.Errorf("delv %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
