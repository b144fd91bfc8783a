package multisigner

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
)

// TestMove moves a zone from one onoma to another while it is signed: the other one joins, both roll their keys, the first one
// leaves and is ended.
func TestMove(t *testing.T) {
	t.Parallel()
	first, second := place(t)
	s := newScene(t, first, second)
	// The first one knows the second by TSIG; the second one believes the chain of trust.
	servers := fmt.Sprintf(`{first: {address: %s}, second: {address: %s, key: pair.}}`, s.first, s.second)
	a := s.provider(s.first, "keys: split", servers, "[]")
	f := s.newFront(s.first)
	c, o := s.watch(s.first), s.look(f)
	s.await("secure at Unbound", o.isSecure, a)
	own := s.ds()
	c.secure()
	o.mustBeSecure()

	// Onboarding.
	b := s.provider(s.second, "keys: csk", servers, "[first]")
	a.follow("[second]")
	s.await("both say that both may serve", func() bool { return a.mayServe() && b.mayServe() }, a, b)
	if all := s.ds(); len(own) != 1 || len(all) != 2 || !slices.Contains(all, own[0]) {
		t.Errorf("the parent had the DS of %v and has those of %v, want one more", own, all)
	}
	// What it knows of the other survives its end.
	b.End(t, os.Interrupt)
	b.Start(t, "serve the child again", func() bool { return len(lookup(b.Addr, child, dns.TypeDNSKEY)) == 3 })
	s.await("both say so again", func() bool { return a.mayServe() && b.mayServe() }, a, b)
	ns := []string{"child. 1 NS ns2.hosts."}
	a.change(ns, nil)
	b.change(ns, nil)
	s.change(s.root, ".", ns, nil)
	f.ask(s.first, s.second)
	c.ask(s.first, s.second)

	// They roll all their keys, both at once, and follow each other.
	before := s.ds()
	for p, roles := range map[*provider][]string{a: {"ksk", "zsk"}, b: {"csk"}} {
		for _, role := range roles {
			if err := p.do(control.KeyRequest{Do: "roll", Role: role}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.await("new keys", func() bool { // of those that have gone nobody has anything any more
		now := s.ds()
		return len(now) == 2 && !slices.ContainsFunc(now, func(tag uint16) bool { return slices.Contains(before, tag) }) &&
			a.isSettled() && b.isSettled() && a.mayServe() && b.mayServe() && a.foreign() == 1 && b.foreign() == 2
	}, a, b)

	// Offboarding: the NS set first, at the child and at the parent.
	gone := []string{"child. 1 NS ns1.hosts."}
	b.change(nil, gone)
	a.change(nil, gone)
	s.change(s.root, ".", nil, gone)
	b.follow("[]")
	time.Sleep(900 * time.Millisecond) // the TTL of the NS set, in which the first one is still asked
	f.ask(s.second)
	c.ask(s.second)
	s.await("the keys of the first are gone", func() bool { return b.foreign() == 0 && len(s.ds()) == 1 }, b)
	time.Sleep(time.Second) // what caches have of the last moment
	if v := b.keys(); len(v.Alarms) > 0 {
		t.Errorf("alarms: %q", v.Alarms)
	}
}
