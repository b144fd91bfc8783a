package keys

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// pair is two providers of a zone that ask each other now and then, a parent, and all that caches may have: DNSKEY sets with who
// signed them, keys by which answers are signed, DS sets.
type pair struct {
	*testing.T
	rand   *rand.Rand
	now    time.Time
	sides  map[string]*side
	inNS   map[string]bool
	leaves map[string]time.Time // until when caches may have the NS set with one that has left
	caches struct{ keys, signers, ds cache }
	ds     string // at the parent: tags
	dsDue  time.Time
	dsNext string
	made   int
	log    []string
}

type side struct {
	ring *Ring
	p    Policy
	want Wanted
	at   time.Time // when it was published
}

const pairTTL = time.Hour

func newPair(t *testing.T, seed uint64) *pair {
	w := &pair{T: t, rand: rand.New(rand.NewPCG(seed, 8)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), sides: map[string]*side{},
		inNS: map[string]bool{}, leaves: map[string]time.Time{}}
	w.caches.keys, w.caches.signers, w.caches.ds = cache{}, cache{}, cache{}
	for i, name := range []string{"a", "b"} {
		p := Default()
		p.PublishSafety, p.RetireSafety, p.DNSKEYTTL, p.Split = 0, 0, pairTTL, (seed>>i)&1 == 1
		w.sides[name] = &side{ring: New(exampleZone()), p: p}
	}
	return w
}

func (w *pair) step(s *side) {
	for again := true; again; {
		again = false
		f := Facts{Generation: s.want.Generation, InSync: s.at, Signed: s.at, Fresh: true, DNSKEYTTL: pairTTL, MaxTTL: pairTTL, NegativeTTL: pairTTL, Parent: w.parent()}
		for _, e := range s.ring.Step(w.now, &s.p, f) {
			w.log = append(w.log, fmt.Sprintf("%s %s", e.At.Format("01-02 15:04"), e.Text))
			if e.What != NeedKey {
				continue
			}
			w.made++
			k := dns.DNSKEY{Flags: dns.DNSKEYZone, Protocol: 3, Algorithm: e.Algorithm, PublicKey: make([]byte, 64)}
			if e.Role&KSK != 0 {
				k.Flags |= dns.DNSKEYSEP
			}
			for i := range k.PublicKey {
				k.PublicKey[i] = byte(w.rand.Uint32())
			}
			if err := s.ring.AddKey(e, fmt.Sprintf("k%d", w.made), k, w.now); err != nil {
				w.Fatal(err)
			}
			again = true
		}
	}
	if next := s.ring.Wanted(w.now, &s.p); next.Generation != s.want.Generation {
		s.want, s.at = next, w.now
	}
}

// parent is what the parent says.
func (w *pair) parent() (p Parent) {
	p = Parent{At: w.now, Asked: 1, Answered: 1, TTL: pairTTL, NegativeTTL: pairTTL}
	for _, s := range w.sides {
		for _, k := range s.ring.keys {
			d, err := dnssec.MakeDS(s.ring.zone, k.DNSKEY(), dnssec.DigestSHA256)
			if err != nil {
				w.Fatal(err)
			}
			if slices.Contains(strings.Fields(w.ds), fmt.Sprint(k.Tag)) {
				p.DS = append(p.DS, SeenDS{DS: d, Servers: 1})
			}
		}
	}
	return p
}

// ask has one side look at the other.
func (w *pair) ask(from, to string) {
	s, o := w.sides[from], w.sides[to]
	seen := Seen{All: true, TTL: pairTTL}
	for _, d := range o.want.DNSKEYs {
		k := SeenKey{Key: d, Everywhere: true}
		for _, sg := range o.want.Signers {
			if own := o.ring.key(sg.ID); own.is(d) {
				k.SignsKeys, k.SignsZone = sg.SignsKeys, sg.SignsZone
			}
		}
		k.WantsDS = k.SignsKeys && d.IsSEP()
		if len(o.want.CDNSKEY) > 0 {
			k.WantsDS = slices.ContainsFunc(o.want.CDNSKEY, func(c dns.DNSKEY) bool { return string(c.RData()) == string(d.RData()) })
		}
		seen.Keys = append(seen.Keys, k)
	}
	news, err := s.ring.See(to, seen, w.now)
	if err != nil && !errors.Is(err, ErrRefused) {
		w.Fatal(err)
	}
	for _, n := range news {
		w.log = append(w.log, fmt.Sprintf("%s at %s: %s", w.now.Format("01-02 15:04"), from, n))
	}
}

func tagsText(all []dns.DNSKEY) string {
	var out []string
	for _, d := range all {
		out = append(out, fmt.Sprint(d.KeyTag()))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// run lets the world go on for a time; both ask each other where knows says so.
func (w *pair) run(d time.Duration, knows func(from string) bool) {
	for end := w.now.Add(d); w.now.Before(end) && !w.Failed(); w.now = w.now.Add(tick) {
		for _, name := range []string{"a", "b"} {
			if w.step(w.sides[name]); knows(name) && w.rand.IntN(3) > 0 {
				w.ask(name, map[string]string{"a": "b", "b": "a"}[name])
				w.step(w.sides[name])
			}
		}
		w.scan()
		w.resolve()
	}
}

// scan is the parent, which does what all name servers of the zone say, an hour later.
func (w *pair) scan() {
	var said []string
	for name := range w.inNS {
		if text := tagsText(w.sides[name].want.CDNSKEY); text != "" && !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	if len(said) == 1 && said[0] != w.ds && said[0] != w.dsNext {
		w.dsNext, w.dsDue = said[0], w.now.Add(time.Duration(w.rand.IntN(6))*tick)
	}
	if w.dsNext != "" && !w.now.Before(w.dsDue) {
		w.ds, w.dsNext = w.dsNext, ""
	}
}

// resolve fills the caches, and validates each combination.
func (w *pair) resolve() {
	until := w.now.Add(pairTTL)
	w.caches.ds.fetch(w.ds, until)
	for name, s := range w.sides {
		if !w.inNS[name] && !w.now.Before(w.leaves[name]) {
			continue
		}
		var signers, zone []string
		for _, sg := range s.want.Signers {
			if sg.SignsKeys {
				signers = append(signers, fmt.Sprint(s.ring.key(sg.ID).Tag))
			}
			if sg.SignsZone {
				zone = append(zone, fmt.Sprint(s.ring.key(sg.ID).Tag))
			}
		}
		w.caches.signers.fetch(strings.Join(zone, " "), until)
		w.caches.keys.fetch(tagsText(s.want.DNSKEYs)+"|"+strings.Join(signers, " "), until)
	}
	for _, c := range []cache{w.caches.ds, w.caches.keys, w.caches.signers} {
		c.expire(w.now)
	}
	for ds := range w.caches.ds {
		for keys := range w.caches.keys {
			set, by, _ := strings.Cut(keys, "|")
			if ds != "" && !slices.ContainsFunc(strings.Fields(ds), func(d string) bool {
				return slices.Contains(strings.Fields(set), d) && slices.Contains(strings.Fields(by), d)
			}) {
				w.bogus("DS %s, DNSKEY set %s signed by %s", ds, set, by)
			}
			for signer := range w.caches.signers {
				if !slices.ContainsFunc(strings.Fields(signer), func(k string) bool { return slices.Contains(strings.Fields(set), k) }) {
					w.bogus("an answer signed by %s, DNSKEY set %s", signer, set)
				}
			}
		}
	}
}

func (w *pair) bogus(format string, args ...any) {
	w.Errorf("%s: bogus: %s\n%s", w.now.Format("01-02 15:04"), fmt.Sprintf(format, args...), strings.Join(w.log[max(0, len(w.log)-25):], "\n"))
}

func (w *pair) mayServe(name string) bool {
	return slices.ContainsFunc(w.sides[name].ring.Explain(), func(x Wait) bool { return strings.Contains(x.Text, "both providers' name servers may") })
}

// TestPair: two providers join, roll at any time, part; each asks the other at odd times. Nobody's caches are ever wrong.
func TestPair(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newPair(t, seed)
			both, neither := func(string) bool { return true }, func(string) bool { return false }
			w.inNS["a"] = true
			w.run(12*time.Hour, neither)
			if w.ds == "" {
				t.Fatal("no DS")
			}
			for range 20 {
				if w.run(6*time.Hour, both); w.mayServe("a") && w.mayServe("b") {
					break
				}
			}
			if !w.mayServe("a") || !w.mayServe("b") || len(strings.Fields(w.ds)) != 2 {
				t.Fatalf("they never come together: DS %q\n%v\n%v", w.ds, w.sides["a"].ring.Explain(), w.sides["b"].ring.Explain())
			}
			w.inNS["b"] = true
			before := map[string]string{"a": tagsText(w.sides["a"].want.DNSKEYs), "b": w.ds}
			for range 6 {
				s := w.sides[[]string{"a", "b"}[w.rand.IntN(2)]]
				role := CSK
				if s.p.Split {
					role = []Role{KSK, ZSK}[w.rand.IntN(2)]
				}
				if err := s.ring.Roll(role, w.now, &s.p); err != nil && !errors.Is(err, ErrRolling) && !errors.Is(err, ErrNoKey) {
					t.Fatal(err)
				}
				w.run(time.Duration(w.rand.IntN(12))*time.Hour, both)
			}
			w.run(48*time.Hour, both)
			if now := tagsText(w.sides["a"].want.DNSKEYs); now == before["a"] || now != tagsText(w.sides["b"].want.DNSKEYs) {
				t.Errorf("after rollovers a has %s, b %s; it was %s", now, tagsText(w.sides["b"].want.DNSKEYs), before["a"])
			}
			// a leaves: the NS set first.
			delete(w.inNS, "a")
			w.leaves["a"] = w.now.Add(pairTTL)
			if err := w.sides["b"].ring.RemoveForeign("a", w.now); err != nil {
				t.Fatal(err)
			}
			w.run(24*time.Hour, neither)
			for _, k := range w.sides["b"].ring.Keys() {
				if !k.own() && k.Removed.IsZero() {
					t.Errorf("%s of a is there for ever", k.label())
				}
			}
			if len(strings.Fields(w.ds)) != 1 {
				t.Errorf("DS at the end: %s", w.ds)
			}
		})
	}
}

// TestSee: three providers. A key belongs to who signs by it, whoever was asked first; what one has dropped does not come back
// from another who is slower; a set that not all servers have shown removes nothing.
func TestSee(t *testing.T) {
	w := newPair(t, 0)
	s := w.sides["a"]
	w.inNS["a"] = true
	w.run(3*time.Hour, func(string) bool { return false })
	own := s.want.DNSKEYs[0]
	key := func(n byte, flags uint16) dns.DNSKEY {
		return dns.DNSKEY{Flags: flags, Protocol: 3, Algorithm: own.Algorithm, PublicKey: append(make([]byte, 63), n)}
	}
	b, c := key(1, 257), key(2, 257)
	see := func(provider string, all bool, keys ...SeenKey) []string {
		t.Helper()
		news, err := s.ring.See(provider, Seen{All: all, TTL: pairTTL, Keys: keys}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.step(s)
		return news
	}
	who := func() map[string]string {
		out := map[string]string{}
		for _, k := range s.ring.keys {
			if !k.own() {
				out[fmt.Sprint(k.Tag)] = fmt.Sprint(k.Foreign, " ", k.Goal)
			}
		}
		return out
	}
	want := func(what string, m map[string]string) {
		t.Helper()
		if got := who(); !maps.Equal(got, m) {
			t.Errorf("%s: %v, want %v", what, got, m)
		}
	}
	tb, tc := fmt.Sprint(b.KeyTag()), fmt.Sprint(c.KeyTag())
	bs := []SeenKey{{Key: b, Everywhere: true, SignsKeys: true, SignsZone: true, WantsDS: true}, {Key: c, Everywhere: true}, {Key: own, Everywhere: true}}
	cs := []SeenKey{{Key: c, Everywhere: true, SignsKeys: true, SignsZone: true, WantsDS: true}, {Key: b, Everywhere: true}}
	see("b", true, bs...)
	want("by the first that was asked", map[string]string{tb: "b omnipresent", tc: "b omnipresent"})
	see("c", true, cs...)
	want("by who signs", map[string]string{tb: "b omnipresent", tc: "c omnipresent"})
	if see("c", true, cs...) != nil {
		t.Error("what is known is news")
	}
	says := func(text string) bool {
		return slices.ContainsFunc(s.ring.Explain(), func(x Wait) bool { return strings.Contains(x.Text, text) })
	}
	w.run(6*time.Hour, func(string) bool { return false })
	if text := fmt.Sprintf("c has CSK %d (algorithm 13) not in its DNSKEY set yet", own.KeyTag()); !says(text) || says("c and this server have") {
		t.Errorf("c lacks our key, and may serve: %v", s.ring.Explain())
	}
	see("b", false, bs[1:]...)
	want("while a server is silent", map[string]string{tb: "b omnipresent", tc: "c omnipresent"})
	if err := s.ring.RemoveForeign("c", w.now); err != nil {
		t.Fatal(err)
	}
	w.run(12*time.Hour, func(string) bool { return false })
	see("b", true, bs...)
	want("b is slower than we are", map[string]string{tb: "b omnipresent", tc: "c hidden"})
	see("b", true, bs[0], bs[2])
	want("nobody has it any more", map[string]string{tb: "b omnipresent"})
	see("b", true, bs[2])
	want("b has dropped its key", map[string]string{tb: "b hidden"})
	see("b", true, bs...)
	want("and has it again", map[string]string{tb: "b omnipresent", tc: "b omnipresent"})

	other := key(3, 257)
	other.Algorithm = dnssec.ED25519
	if _, err := s.ring.See("b", Seen{All: true, Keys: append(bs, SeenKey{Key: other, SignsKeys: true})}, w.now); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("a key of another algorithm: %v", err)
	}
	for n := range byte(mostForeign) {
		_, _ = s.ring.See("b", Seen{Keys: []SeenKey{{Key: key(10+n, 256)}}}, w.now)
	}
	if n := len(who()); n != mostForeign {
		t.Errorf("%d keys of others, want %d at most", n, mostForeign)
	}
}

// TestOtherAlgorithm: while others sign, too, no other algorithm comes, and people are told what to do.
func TestOtherAlgorithm(t *testing.T) {
	w := newPair(t, 0)
	both := func(string) bool { return true }
	w.inNS["a"] = true
	w.run(12*time.Hour, both)
	w.inNS["b"] = true
	s := w.sides["a"]
	s.p.Algorithm = dnssec.ED25519
	w.run(48*time.Hour, both)
	for _, d := range s.want.DNSKEYs {
		if d.Algorithm != dnssec.ECDSAP256SHA256 {
			t.Errorf("key %d has algorithm %d", d.KeyTag(), d.Algorithm)
		}
	}
	if !slices.ContainsFunc(s.ring.Explain(), func(x Wait) bool {
		return x.Alarm && strings.Contains(x.Text, "the policy wants ED25519, but b signs by ECDSAP256SHA256")
	}) {
		t.Errorf("nobody is told: %v", s.ring.Explain())
	}
	// b leaves, and the new algorithm comes.
	delete(w.inNS, "b")
	w.leaves["b"] = w.now.Add(pairTTL)
	if err := s.ring.RemoveForeign("b", w.now); err != nil {
		t.Fatal(err)
	}
	w.run(72*time.Hour, func(string) bool { return false })
	for _, d := range s.want.DNSKEYs {
		if d.Algorithm != dnssec.ED25519 {
			t.Errorf("alone, key %d has algorithm %d", d.KeyTag(), d.Algorithm)
		}
	}
}
