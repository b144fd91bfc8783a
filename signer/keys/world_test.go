package keys

import (
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

// The model of the world that the machine is judged by. It knows nothing of states: it has servers that lag, a zone that is
// signed set by set, a parent with servers of its own, and every value that any cache may hold. After each tick each mix of
// cached values is validated by the rules of RFC 4035.

const tick = 10 * time.Minute

// snapshot is what a server of the zone serves.
type snapshot struct {
	gen    uint64
	keys   string    // DNSKEY set with its signers, as text: "13/4711* 13/815"
	sets   [3]string // signers of the SOA and of two other sets
	cds    string    // ids of the keys whose DS is asked for, "delete", or ""
	signed bool      // every set by the wanted signers
}

// cache has each value that some resolver may hold, and until when.
type cache map[string]time.Time

func (c cache) fetch(value string, until time.Time) {
	if until.After(c[value]) {
		c[value] = until
	}
}

func (c cache) expire(now time.Time) {
	maps.DeleteFunc(c, func(_ string, until time.Time) bool { return !until.After(now) })
}

type world struct {
	t    *testing.T
	rand *rand.Rand
	ring *Ring
	p    Policy
	now  time.Time

	primary snapshot
	servers []struct {
		snapshot
		serial, due int
		at          time.Time
	}
	history []snapshot
	want    Wanted
	synced  time.Time
	signed  time.Time
	fresh   bool

	keyTTL, zoneTTL, negTTL, dsTTL, lag time.Duration

	parent       []string // DS sets of the parent's servers: ids
	parentWanted string
	parentDue    time.Time
	parentSleeps bool
	answered     int // parent servers that answer

	caches struct{ keys, ds, sets cache }
	made   int
	log    []string
	quiet  bool // no danger is reported: the harm was done from outside
}

func newWorld(t *testing.T, seed uint64, p Policy) *world {
	r := rand.New(rand.NewPCG(seed, 5))
	w := &world{t: t, rand: r, p: p, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ring: New(exampleZone()),
		keyTTL: p.DNSKEYTTL, zoneTTL: time.Duration(1+r.IntN(8)) * time.Hour, negTTL: time.Hour, dsTTL: time.Duration(1+r.IntN(6)) * time.Hour,
		lag: time.Hour, answered: 2}
	w.caches.keys, w.caches.ds, w.caches.sets = cache{}, cache{}, cache{}
	w.servers = make([]struct {
		snapshot
		serial, due int
		at          time.Time
	}, 3)
	w.parent = make([]string, 2)
	w.history = []snapshot{{}}
	return w
}

// run lets the world go on.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(tick) {
		w.zone()
		w.secondaries()
		w.parents()
		w.resolvers()
		if w.t.Failed() {
			return
		}
	}
}

// zone steps the machine and publishes what it wants.
func (w *world) zone() {
	for again := true; again; {
		again = false
		for _, e := range w.ring.Step(w.now, &w.p, w.facts()) {
			w.log = append(w.log, fmt.Sprintf("%s %s %s", e.At.Format("01-02 15:04"), e.Key, e.Text))
			switch e.What {
			case NeedKey:
				w.newKey(e)
				again = true
			case Purge:
				if err := w.ring.Forget(e.Key); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
	old := w.want
	w.want = w.ring.Wanted(w.now, &w.p)
	if w.want.Generation != old.Generation {
		w.synced, w.signed = time.Time{}, time.Time{}
		w.publish()
	} else if w.cds() != w.primary.cds && w.want.ZoneFrozen == "" {
		w.publish()
	} else if !w.primary.signed && w.want.ZoneFrozen == "" {
		w.primary.sets[1+w.rand.IntN(2)] = w.signers()
		w.publish()
	}
}

func (w *world) facts() Facts {
	return Facts{Generation: w.want.Generation, InSync: w.synced, Signed: w.signed, Fresh: w.fresh,
		DNSKEYTTL: w.keyTTL, MaxTTL: w.zoneTTL, NegativeTTL: w.negTTL, Parent: w.ask()}
}

func (w *world) newKey(e Event) {
	w.made++
	id := fmt.Sprintf("k%d", w.made)
	k := dns.DNSKEY{Flags: dns.DNSKEYZone, Protocol: 3, Algorithm: e.Algorithm, PublicKey: make([]byte, 32)}
	if e.Role&KSK != 0 {
		k.Flags |= dns.DNSKEYSEP
	}
	for i := range k.PublicKey {
		k.PublicKey[i] = byte(w.rand.Uint32())
	}
	if err := w.ring.AddKey(e, id, k, w.now); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) text(id string) string {
	k, _ := w.ring.Key(id)
	return fmt.Sprintf("%d/%s", k.Algorithm, id)
}

func (w *world) signers() string {
	var out []string
	for _, s := range w.want.Signers {
		if s.SignsZone {
			out = append(out, w.text(s.ID))
		}
	}
	return strings.Join(out, " ")
}

// publish makes the next version: the SOA is signed anew in each.
func (w *world) publish() {
	if w.want.ZoneFrozen != "" && w.primary.gen != w.want.Generation && w.primary.sets[0] != "" && w.want.Generation > 0 && !w.same() {
		w.t.Errorf("%v: generation %d is to be published, and the zone cannot be signed: %s", w.now, w.want.Generation, w.want.ZoneFrozen)
	}
	if w.want.ZoneFrozen != "" { // nothing but the DS that people are to see to is different
		w.primary.gen = w.want.Generation
		w.history[len(w.history)-1].gen = w.want.Generation
		for i := range w.servers {
			w.servers[i].gen = w.want.Generation
		}
		return
	}
	w.primary.gen = w.want.Generation
	w.primary.sets[0] = w.signers()
	if w.fresh && len(w.history) == 1 {
		w.primary.sets[1], w.primary.sets[2] = w.primary.sets[0], w.primary.sets[0]
	}
	w.primary.cds = w.cds()
	if w.want.KeysFrozen == "" {
		w.primary.keys = w.apex()
	} else if w.keyIDs(w.primary.keys) != w.wantedKeyIDs() {
		w.t.Errorf("%v: the DNSKEY set is to be other than it is, and cannot be signed", w.now)
	}
	w.primary.signed = w.primary.sets[1] == w.primary.sets[0] && w.primary.sets[2] == w.primary.sets[0]
	w.history = append(w.history, w.primary)
}

func (w *world) same() bool { return w.keyIDs(w.primary.keys) == w.wantedKeyIDs() }

func (w *world) keyIDs(text string) string { return strings.ReplaceAll(text, "*", "") }

func (w *world) wantedKeyIDs() string { return w.keyIDs(w.apex()) }

func (w *world) apex() string {
	var out []string
	for _, k := range w.ring.Keys() {
		if !slices.ContainsFunc(w.want.DNSKEYs, func(d dns.DNSKEY) bool { return string(d.RData()) == string(k.RData) }) {
			continue
		}
		text := w.text(k.ID)
		if slices.ContainsFunc(w.want.Signers, func(s Signer) bool { return s.ID == k.ID && s.SignsKeys }) {
			text += "*"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (w *world) cds() string {
	if len(w.want.CDS) == 1 && w.want.CDS[0].Algorithm == 0 {
		return "delete"
	}
	return w.ids(w.want.CDS)
}

func (w *world) ids(ds []dns.DS) string {
	var out []string
	for _, k := range w.ring.Keys() {
		if slices.ContainsFunc(ds, func(d dns.DS) bool { return dnssec.MatchDS(w.ring.Zone(), k.DNSKEY(), d) }) {
			out = append(out, w.text(k.ID))
		}
	}
	return strings.Join(out, " ")
}

// secondaries follow each at its own pace.
func (w *world) secondaries() {
	newest := len(w.history) - 1
	all, signed := true, true
	for i := range w.servers {
		s := &w.servers[i]
		if s.due <= s.serial && s.serial < newest {
			s.due, s.at = newest, w.now.Add(time.Duration(w.rand.Int64N(int64(w.lag))))
		}
		if s.due > s.serial && !w.now.Before(s.at) {
			s.serial, s.snapshot = s.due, w.history[s.due]
		}
		all = all && s.gen == w.want.Generation
		signed = signed && s.gen == w.want.Generation && s.signed
	}
	if all && w.synced.IsZero() {
		w.synced = w.now
	}
	if signed && w.signed.IsZero() {
		w.signed = w.now
	}
}

// parents read CDS at all servers of the child's and act when those agree, take their time, and lag behind each other.
func (w *world) parents() {
	cds := w.agreedCDS()
	if w.parentSleeps || cds == "" {
		return
	}
	cds = strings.TrimPrefix(cds, "delete")
	done := true
	for i := range w.parent {
		done = done && w.parent[i] == cds
	}
	switch {
	case done || cds != w.parentWanted:
		w.parentWanted, w.parentDue = cds, w.now.Add(time.Duration(w.rand.Int64N(int64(12*time.Hour))))
	case !w.now.Before(w.parentDue):
		if w.rand.IntN(20) == 0 {
			w.parent[w.rand.IntN(len(w.parent))] = cds
		}
	}
}

// agreedCDS is what the parent is told: by CDS, or by people where those cannot be.
func (w *world) agreedCDS() string {
	if w.want.KeysFrozen != "" || w.want.ZoneFrozen != "" || w.p.NoCDS {
		return ifelse(len(w.want.DS) == 0, "delete", w.ids(w.want.DS))
	}
	cds := w.servers[0].cds
	for _, s := range w.servers {
		if s.cds != cds {
			return ""
		}
	}
	return cds
}

// ask is what the machine gets to know of the parent.
func (w *world) ask() Parent {
	p := Parent{At: w.now, Asked: len(w.parent), Answered: min(w.answered, len(w.parent)), TTL: w.dsTTL, NegativeTTL: time.Hour}
	for _, k := range w.ring.Keys() {
		n := 0
		for _, ds := range w.parent[:p.Answered] {
			if slices.Contains(strings.Fields(ds), w.text(k.ID)) {
				n++
			}
		}
		if n > 0 {
			d, err := dnssec.MakeDS(w.ring.Zone(), k.DNSKEY(), 2)
			if err != nil {
				w.t.Fatal(err)
			}
			p.DS = append(p.DS, SeenDS{DS: d, Servers: n})
		}
	}
	return p
}

// resolvers fetch everything from every server at each moment; what any of them may hold is validated in every mix.
func (w *world) resolvers() {
	c := &w.caches
	for _, s := range w.servers {
		if s.serial == 0 && w.fresh {
			continue // it does not serve the zone yet
		}
		c.keys.fetch(s.keys, w.now.Add(ifelse(s.keys == "", w.negTTL, w.keyTTL)))
		for _, set := range s.sets {
			c.sets.fetch(set, w.now.Add(max(w.zoneTTL, w.negTTL)))
		}
	}
	for _, ds := range w.parent {
		c.ds.fetch(ds, w.now.Add(ifelse(ds == "", time.Hour, w.dsTTL)))
	}
	c.keys.expire(w.now)
	c.sets.expire(w.now)
	c.ds.expire(w.now)
	for ds := range c.ds {
		for keys := range c.keys {
			for set := range c.sets {
				if why := bogus(ds, keys, set); why != "" && !w.quiet {
					w.t.Errorf("%v: bogus: %s\nDS:     %s\nDNSKEY: %s\nset by: %s\n%s", w.now, why, ds, keys, set, w.tail(40))
					return
				}
			}
		}
	}
}

func (w *world) tail(n int) string {
	return strings.Join(w.log[max(0, len(w.log)-n):], "\n") + "\nwaits: " + w.waits()
}

func (w *world) waits() string {
	var out []string
	for _, x := range w.ring.Explain() {
		out = append(out, x.Text)
	}
	for _, k := range w.ring.Keys() {
		if k.Removed.IsZero() {
			out = append(out, fmt.Sprintf("%s goal %v lost %v standby %v %v at parent %+v", k.ID, k.Goal, k.Lost, k.Standby, k.Records, k.Parent))
		}
	}
	return strings.Join(out, "\n  ")
}

func ifelse[T any](c bool, a, b T) T {
	if c {
		return a
	}
	return b
}

// bogus validates as a strict validator does (RFC 4035 §2.2, §5.2, §5.3).
func bogus(ds, keys, set string) string {
	if ds == "" {
		return "" // insecure
	}
	in := strings.Fields(keys)
	for _, d := range strings.Fields(ds) {
		a := algorithmOf(d)
		if !slices.ContainsFunc(strings.Fields(ds), func(d string) bool { return algorithmOf(d) == a && slices.Contains(in, d+"*") }) {
			return "no key of the DS signs the DNSKEY set by algorithm " + a
		}
	}
	for _, k := range in {
		a := algorithmOf(k)
		if !slices.ContainsFunc(in, func(k string) bool { return algorithmOf(k) == a && strings.HasSuffix(k, "*") }) {
			return "the DNSKEY set is not signed by algorithm " + a
		}
		if !slices.ContainsFunc(strings.Fields(set), func(s string) bool {
			return algorithmOf(s) == a && (slices.Contains(in, s) || slices.Contains(in, s+"*"))
		}) {
			return "the set is not signed by algorithm " + a
		}
	}
	return ""
}

func algorithmOf(key string) string { a, _, _ := strings.Cut(key, "/"); return a }

// settled says why the machine is not where the policy wants it, "" if it is.
func (w *world) settled() string {
	for _, k := range w.ring.Keys() {
		want := [records]State{}
		if k.Goal == Omnipresent {
			want[DNSKEY] = Omnipresent
			if k.Role&ZSK != 0 && !k.Standby {
				want[ZRRSIG] = Omnipresent
			}
			if k.Role&KSK != 0 {
				want[DS] = Omnipresent
				want[KRRSIG] = Omnipresent
			}
		}
		for r, state := range want {
			if k.Records[r].State != state {
				return fmt.Sprintf("%s of %s %s is %v, not %v\n%s", Record(r), k.ID, k.label(), k.Records[r].State, state, w.tail(30))
			}
		}
	}
	return ""
}

func exampleZone() dns.Name {
	n, err := dns.ParseName("example.")
	if err != nil {
		panic(err)
	}
	return n
}
