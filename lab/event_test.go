package lab

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/console"
)

// events takes events until one is the resolver's answer to name.
func events(t *testing.T, ch <-chan Event, name string) []Event {
	t.Helper()
	var all []Event
	timeout := time.After(10 * time.Second)
	for {
		select {
		case e := <-ch:
			all = append(all, e)
			if e.To.Role == console.RoleResolver && e.Name == name {
				return all
			}
		case <-timeout:
			t.Fatalf("no answer of the resolver for %s within 10 s, only %+v", name, all)
		}
	}
}

func TestEventsTellTheWalk(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	l.resolver.FlushAll()
	ch := l.Subscribe(t.Context())
	l.resolve(t, "www.example.com", "A")
	got := []string{}
	var last uint64
	for _, e := range events(t, ch, "www.example.com.") {
		if e.Seq <= last || e.Time.IsZero() || e.Size == 0 || e.From.Address == "" {
			t.Errorf("event %+v after number %d", e, last)
		}
		last = e.Seq
		if e.Type == "DNSKEY" || e.Type == "DS" {
			continue // validation's
		}
		got = append(got, fmt.Sprintf("%s to %s: %s %s", e.From.Role, e.To.Role, e.Type, e.Outcome))
	}
	// Root servers may be asked for their own names first (RFC 8109); the walk is at the end.
	want := []string{
		"resolver to root: A referral",
		"resolver to tld: A referral",
		"resolver to authority: A alias",
		"client to resolver: A answer",
	}
	if len(got) >= 4 {
		got = got[len(got)-4:]
		got[2] = replaceAnswer(got[2])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// replaceAnswer: the provider may send the alias with or without what it leads to.
func replaceAnswer(s string) string {
	if s == "resolver to authority: A answer" {
		return "resolver to authority: A alias"
	}
	return s
}

func TestEventOfAnError(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	ch := l.Subscribe(t.Context())
	l.resolve(t, "lame-duck.net", "A")
	all := events(t, ch, "lame-duck.net.")
	e := all[len(all)-1]
	if e.Outcome != console.OutcomeError || e.RCode != "SERVFAIL" || len(e.Records) == 0 {
		t.Errorf("%+v, expected an error with its reason", e)
	}
	refusals := 0
	for _, e := range all {
		if e.To.Role == console.RoleAuthority && e.RCode == "REFUSED" && e.Outcome == console.OutcomeError {
			refusals++
		}
	}
	if refusals == 0 {
		t.Error("no event tells that the providers refused")
	}
}

// TestSlowWatcherHoldsUpNobody: one who never reads misses events, and others do not.
func TestSlowWatcherHoldsUpNobody(t *testing.T) {
	h := newHub()
	ctx, cancel := context.WithCancel(t.Context())
	slow, quick := h.subscribe(ctx), h.subscribe(ctx)
	const n = 3 * subscriberBuffer
	seen := 0
	for range n {
		h.publish(Event{})
		if e := <-quick; e.Seq != uint64(seen+1) {
			t.Fatalf("event %d after %d", e.Seq, seen)
		}
		seen++
	}
	cancel()
	kept := 0
	for range slow {
		kept++
	}
	for range quick { // until it has left too
	}
	if seen != n || kept != subscriberBuffer {
		t.Errorf("the quick one saw %d of %d, the slow one %d: expected all, and what its buffer holds (%d)", seen, n, kept, subscriberBuffer)
	}
	if h.watched() {
		t.Error("the hub thinks that somebody still watches")
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	l := shared(t)
	a, err := l.Ask(t.Context(), "www.αγορά.com", "A")
	if err != nil || a.RCode != "NOERROR" || len(a.Records) != 2 {
		t.Errorf("%+v, %v: expected an alias and an address", a, err)
	}
	a, err = l.Ask(t.Context(), "lame-duck.net", "A")
	if err != nil || a.RCode != "SERVFAIL" || len(a.Errors) == 0 {
		t.Errorf("%+v, %v: expected SERVFAIL and why", a, err)
	}
	for _, bad := range [][2]string{{"a..b", "A"}, {"a.b", "NOSUCH"}, {"a.b", "AXFR"}, {"", "A"}} {
		if _, err := l.Ask(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("%q %q was asked", bad[0], bad[1])
		}
	}
}
