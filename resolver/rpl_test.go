package resolver

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/iterator"
	"onoma/transport"
)

// TestScenarios runs the scripts that lie beside the project, or in the
// directory that ONOMA_SCENARIOS names. A script that asks for something that
// this resolver does not have is skipped, with the reason.
func TestScenarios(t *testing.T) {
	sum := score{lacking: map[string]string{}, differing: map[string]string{}}
	for _, file := range scenarioFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".rpl")
		s, err := readScenario(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		t.Run(name, func(t *testing.T) {
			if why := s.beyond(); why != "" {
				sum.lacking[name] = why
				t.Skip(why)
			}
			if why := scenarioSkips[name]; why != "" {
				sum.differing[name] = why
				t.Skip(why)
			}
			if sum.failed++; playScenario(t, s) {
				sum.failed--
				sum.passed++
			}
		})
	}
	t.Log(sum.String())
	if !testing.Short() && flag.Lookup("test.run").Value.String() == "" || os.Getenv("REWRITE") != "" {
		sum.checkPage(t)
	}
}

func scenarioFiles(t *testing.T) []string {
	dir := os.Getenv("ONOMA_SCENARIOS")
	if dir == "" {
		shared := os.Getenv("ONOMA_SHARED")
		if shared == "" {
			shared = filepath.Join("..", "..", "shared")
		}
		dir = filepath.Join(shared, "scenarios")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.rpl"))
	if err != nil || len(files) == 0 {
		t.Skipf("no scenarios in %s (%v): ONOMA_SCENARIOS or ONOMA_SHARED can name where they are", dir, err)
	}
	return files
}

// scripted is the Env of a scenario: its servers, and randomness from a seed.
// Questions that no range answers wait for a step that does, or for the end of
// their time.
type scripted struct {
	*fakenet.Net
	s *scenario
	t *testing.T

	mu     sync.Mutex
	ahead  time.Duration // of the bubble's time, so that the script's signatures are good
	next   *rplStep      // ranges are those of the step that comes next
	moving int           // replies on their way
	held   []*heldQuery  // the oldest first
}

// heldQuery is one that was sent and has no reply.
type heldQuery struct {
	to    netip.Addr
	tcp   bool
	q     *dns.Message
	reply chan heldReply
}

type heldReply struct {
	raw []byte
	err error
}

func (e *scripted) Now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Net.Now().Add(e.ahead)
}

// Exchange asks the script.
func (e *scripted) Exchange(ctx context.Context, to iterator.Target, query []byte) ([]byte, error) {
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, err
	}
	h := &heldQuery{to: to.Addr.Addr(), tcp: to.Proto != transport.UDP, q: q, reply: make(chan heldReply, 1)}
	e.mu.Lock()
	e.held = append(e.held, h)
	e.answerHeld()
	e.mu.Unlock()
	select {
	case r := <-h.reply:
		time.Sleep(time.Millisecond)
		e.mu.Lock()
		e.moving--
		e.mu.Unlock()
		return r.raw, r.err
	case <-ctx.Done():
		e.mu.Lock()
		e.held = slices.DeleteFunc(e.held, func(o *heldQuery) bool { return o == h })
		e.mu.Unlock()
		return nil, fmt.Errorf("exchange with %v: %w", to, ctx.Err())
	}
}

// answerHeld replies to those held queries that a range answers now, except for
// one that the next step wants to see. The caller holds mu.
func (e *scripted) answerHeld() {
	for _, h := range slices.Clone(e.held) {
		if e.next.kind == "CHECK_OUT_QUERY" && e.next.entry.matches(h.q, h.tcp) {
			continue
		}
		if entry := e.s.find(e.next.number, h.to, h.tcp, h.q); entry != nil {
			e.deliver(h, entry.wire)
		}
	}
}

// deliver ends the wait of a held query. The caller holds mu.
func (e *scripted) deliver(h *heldQuery, reply func(*dns.Message) ([]byte, error)) {
	raw, err := reply(h.q)
	e.held = slices.DeleteFunc(e.held, func(o *heldQuery) bool { return o == h })
	e.moving++
	h.reply <- heldReply{raw, err}
}

// settle lets everything happen that needs no more time than replies take.
func (e *scripted) settle() {
	for {
		synctest.Wait()
		e.mu.Lock()
		moving := e.moving
		e.mu.Unlock()
		if moving == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// matching returns the newest held query that an entry matches, or the newest.
func (e *scripted) matching(entry *rplEntry, orElse bool) *heldQuery {
	for _, h := range slices.Backward(e.held) {
		if entry != nil && entry.matches(h.q, h.tcp) {
			return h
		}
	}
	if orElse && len(e.held) > 0 {
		return e.held[len(e.held)-1]
	}
	return nil
}

// player runs a script's steps.
type player struct {
	*scripted
	w      *world
	macros *rplMacros
	open   asked
	files  []string // of anchors that follow their zones
}

// playScenario runs the steps.
func playScenario(t *testing.T, s *scenario) (ok bool) {
	synctest.Test(t, func(t *testing.T) {
		modernise(t, s)
		env := &scripted{Net: fakenet.New(1), s: s, t: t, next: &rplStep{}}
		cfg := s.config(t)
		cfg.Env, cfg.Log = env, slog.New(slog.NewTextHandler(io.Discard, nil))
		if len(cfg.Anchors)+len(cfg.AnchorFiles) > 0 {
			env.ahead = s.date().Sub(env.Net.Now())
		}
		p := &player{scripted: env, files: cfg.AnchorFiles}
		p.macros = &rplMacros{t: t, vars: map[string]string{}, now: env.Now, timeout: p.untilProbe}
		s.steps = p.begin(s.steps)
		zones := s.zonesOf(t, &cfg)
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		p.w = &world{Net: env.Net, t: t, r: r, worker: r.NewWorker()}
		p.serveZones(zones)
		for i := range s.steps {
			next := &rplStep{number: s.steps[len(s.steps)-1].number + 1}
			if i+1 < len(s.steps) {
				next = &s.steps[i+1]
			}
			p.settle()
			p.play(&s.steps[i], next)
		}
		p.settle()
		ok = !t.Failed()
	})
	return ok
}

func (p *player) play(st, next *rplStep) {
	p.macros.step = st.number
	p.mu.Lock()
	p.scripted.next = next
	var h *heldQuery
	switch st.kind {
	case "CHECK_OUT_QUERY":
		if h = p.matching(st.entry, false); h == nil {
			p.t.Errorf("step %d: nobody was asked for %s", st.number, st.entry.msg.Question())
		} else if slices.Contains(st.entry.adjust, "copy_id") {
			p.deliver(h, st.entry.wire)
		}
	case "REPLY":
		if h = p.matching(st.entry, true); h != nil {
			p.deliver(h, st.entry.wire)
		}
	case "TIMEOUT", "ERROR":
		if h = p.matching(nil, true); h != nil {
			p.deliver(h, func(*dns.Message) ([]byte, error) { return nil, rplErrors[st.kind] })
		}
	}
	p.answerHeld()
	p.mu.Unlock()
	switch st.kind {
	case "QUERY":
		p.query(st)
	case "CHECK_ANSWER":
		p.checkAnswer(st)
	case "ASSIGN":
		p.macros.assign(st.args)
	case "TIME_PASSES":
		d, err := st.elapse(p.macros)
		if err != nil {
			p.t.Errorf("step %d: %v", st.number, err)
		}
		p.pass(d)
	case "CHECK_AUTOTRUST":
		p.checkAnchors(st)
	}
}

// rplErrors are what happens to questions by the steps of these names.
var rplErrors = map[string]error{
	"TIMEOUT": fmt.Errorf("the script: %w", context.DeadlineExceeded),
	"ERROR":   fmt.Errorf("the script: %w", io.ErrUnexpectedEOF),
}

// letRenewals waits for what is looked up behind an answer that was given: a script has its clients ask no sooner.
func (p *player) letRenewals() {
	for range 100 {
		js := &p.w.r.jobs
		js.mu.Lock()
		n := js.renewals
		js.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *player) query(st *rplStep) {
	p.letRenewals()
	m := st.entry.msg
	m.ID = uint16(st.number)
	p.w.client, p.w.proto = mustAddrPort("127.0.0.1"), transport.UDP
	if i := slices.Index(st.args, "ADDRESS"); i >= 0 && i+1 < len(st.args) {
		p.w.client = mustAddrPort(st.args[i+1])
	}
	if slices.Contains(st.entry.match, "TCP") {
		p.w.proto = transport.TCP
	}
	p.open = append(p.open, outstanding{m.Question(), p.w.start(pack(p.t, &m))})
}

func (p *player) checkAnswer(st *rplStep) {
	if len(p.open) == 0 {
		p.t.Errorf("step %d: an answer is to be checked, and no question is open", st.number)
		return
	}
	st.check(p.t, p.open.take(st.entry.msg.Question())(), p.w.r.cfg.NoStale && p.w.r.cfg.NoPrefetch)
}

// asked are the questions that no answer was checked of yet.
type asked []outstanding

type outstanding struct {
	q    dns.Question
	wait func() []byte
}

// take takes the first one that is the question, or else the last one.
func (a *asked) take(q dns.Question) func() []byte {
	i := slices.IndexFunc(*a, func(o outstanding) bool { return o.q.Type == q.Type && o.q.Name.Equal(q.Name) })
	if i < 0 { // the script only waits
		i = len(*a) - 1
	}
	wait := (*a)[i].wait
	*a = slices.Delete(*a, i, i+1)
	return wait
}
