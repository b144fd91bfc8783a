package iterator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/internal/fakenet"
)

// world is a small internet with an Iterator in it. Its root and the TLD com
// are made by every test that wants them; addresses are of 192.0.2.0/24.
type world struct {
	*fakenet.Net
	t   *testing.T
	it  *Iterator
	cfg Config
}

// The root's zone and com's: the fixed part of most tests.
const (
	rootZone = `
		@ 518400 NS a.root-servers.net.
		a.root-servers.net. 518400 A 192.0.2.1
		com. 172800 NS a.gtld-servers.net.
		a.gtld-servers.net. 172800 A 192.0.2.2`
	hintsText = ". 3600000 NS A.ROOT-SERVERS.NET.\nA.ROOT-SERVERS.NET. 3600000 A 192.0.2.1\n"
)

// inWorld runs test in a bubble with fake time, and exchanges that wait in the
// look-up's own goroutine, as the real network's do.
func inWorld(t *testing.T, cfg Config, test func(t *testing.T, w *world)) {
	t.Helper()
	inPlainWorld(t, cfg, func(t *testing.T, w *world) {
		w.it.Begin = w.begin
		test(t, w)
	})
}

// begin is a BeginFunc.
func (w *world) begin(ctx context.Context, to Target, query []byte, until time.Time) ([]byte, func(context.Context) ([]byte, error), error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	type end struct {
		reply []byte
		err   error
	}
	done := make(chan end, 1)
	go func() {
		reply, err := w.Exchange(own, to, query)
		done <- end{reply, err}
	}()
	wait := func(ctx context.Context) ([]byte, error) {
		defer cancel()
		select {
		case e := <-done:
			return e.reply, e.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	early, stop := context.WithDeadline(ctx, until)
	defer stop()
	select {
	case e := <-done:
		done <- e
	case <-early.Done():
	}
	if len(done) == 0 && ctx.Err() == nil {
		return nil, wait, nil
	}
	reply, err := wait(ctx)
	return reply, nil, err
}

// inPlainWorld is inWorld without that.
func inPlainWorld(t *testing.T, cfg Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Net: fakenet.New(1), t: t, cfg: cfg}
		hints, err := ParseHints(strings.NewReader(hintsText), "hints")
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Env, w.cfg.Hints = w.Net, hints
		if w.cfg.Cache == nil {
			w.cfg.Cache = cache.NewRecords(1 << 20)
		}
		w.it = New(w.cfg)
		defer w.it.Close()
		test(t, w)
	})
}

// standard sets up the root and com; more are lines for com's zone.
func (w *world) standard(more string) (root, com *fakenet.Zone) {
	root, com = fakenet.ParseZone(".", rootZone), fakenet.ParseZone("com.", "@ NS a.gtld-servers.net.\n"+more)
	w.Serve("192.0.2.1", root)
	w.Serve("192.0.2.2", com)
	return root, com
}

func question(name string, typ dns.Type) dns.Question {
	return dns.Question{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN}
}

// resolve looks name up and returns the answer as text: the rcode, the records
// of the answer and, behind a bar, those of the authority section.
func (w *world) resolve(name string, typ dns.Type) string {
	a, err := w.it.Resolve(context.Background(), question(name, typ), Options{})
	return describe(a, err)
}

func describe(a *Answer, err error) string {
	if err != nil {
		var f *Failure
		if !errors.As(err, &f) {
			return "error: " + err.Error()
		}
		return fmt.Sprintf("SERVFAIL %d %s", f.EDE[0].Code, f.Error())
	}
	parts := []string{a.RCode.String()}
	for _, r := range records(a.Chain, false) {
		parts = append(parts, recordText(r))
	}
	if len(a.Authority) > 0 {
		parts = append(parts, "|")
	}
	for _, r := range records(a.Authority, false) {
		parts = append(parts, recordText(r))
	}
	return strings.Join(parts, " ")
}

// recordText is short: owner/TTL/type=data.
func recordText(r dns.Record) string {
	data := fmt.Sprintf("%d octets", len(r.Data))
	switch r.Type {
	case dns.TypeA, dns.TypeAAAA:
		a, _ := netip.AddrFromSlice(r.Data)
		data = a.String()
	case dns.TypeCNAME, dns.TypeDNAME, dns.TypeNS:
		n, _ := nameOf(r.Data)
		data = n.String()
	case dns.TypeSOA:
		data = ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s/%d/%s=%s", r.Name, r.TTL, r.Type, data), "=")
}

// asked returns what was sent since it was last called, as "address name type".
func (w *world) asked() []string {
	var list []string
	for _, p := range w.Sent() {
		text := fmt.Sprintf("%s %s %s", p.To, p.Question.Name, p.Question.Type)
		if p.Proto.String() == "tcp" {
			text += " tcp"
		}
		list = append(list, text)
	}
	return list
}

// expect compares, and says all of it where that fails.
func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got: %v\nwant: %v", what, got, want)
	}
}

func expectList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	expect(t, what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
}

// expectFailure looks name up and wants SERVFAIL with a text that has part in it.
func (w *world) expectFailure(name string, part string) {
	w.t.Helper()
	w.expectQuestion(question(name, dns.TypeA), part)
}

func (w *world) expectQuestion(q dns.Question, part string) {
	w.t.Helper()
	a, err := w.it.Resolve(context.Background(), q, Options{})
	if got := describe(a, err); !strings.HasPrefix(got, "SERVFAIL") || !strings.Contains(got, part) {
		w.t.Errorf("%s\n got: %s\nwant: SERVFAIL with %q", q, got, part)
	}
}
