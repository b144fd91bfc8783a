package pipeline

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/pipeline/gate"
	"onoma/zone"
	"onoma/zone/sign"
)

// planSigner signs by a plan in memory.
type planSigner struct {
	plan  atomic.Pointer[sign.Plan]
	fails atomic.Pointer[error]
	mu    sync.Mutex
	slow  int // how often it was asked to be quick, and gave up
	calls int
	whole int
}

// keyOfTests is the same in all processes.
var keyOfTests = sync.OnceValue(func() *dnssec.Key {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte("the private half of all tests..."))
	if err != nil {
		panic(err)
	}
	public, err := dnssec.PublicKey(private.Public())
	if err != nil {
		panic(err)
	}
	k, err := dnssec.NewKey(dns.DNSKEY{Flags: dns.DNSKEYZone | dns.DNSKEYSEP, Protocol: 3, Algorithm: dnssec.ECDSAP256SHA256, PublicKey: public}, private)
	if err != nil {
		panic(err)
	}
	return k
})

// planOf returns a plan for example. with one key.
func planOf(d sign.Denial) *sign.Plan { return planFor("example.", d) }

func planFor(origin string, d sign.Denial) *sign.Plan {
	k := keyOfTests()
	return &sign.Plan{
		Keys:   []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}},
		Apex:   []dns.Record{{Name: dns.MustName(origin), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 300, Data: k.RData()}},
		Denial: d, Validity: 14 * 24 * time.Hour, Refresh: 4 * 24 * time.Hour, Skew: time.Hour,
	}
}

func newSigner(p *sign.Plan) *planSigner {
	s := &planSigner{}
	s.plan.Store(p)
	return s
}

func (s *planSigner) Owns(owner dns.Name, t dns.Type) bool {
	return s.plan.Load().Owns(exampleID.Name, owner, t)
}

func (s *planSigner) Unsigned(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for r := range v.Records() {
			if !s.Owns(r.Name, r.Type) && !yield(r) {
				return
			}
		}
	}
}

func (s *planSigner) Sign(ctx context.Context, e *zone.Editor, head *zone.Version, by zone.Author, at time.Time, quick bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if err := s.fails.Load(); err != nil {
		return *err
	}
	p := s.plan.Load()
	if by.Door == zone.DoorSigner && isSigned(head) {
		if _, err := p.Renew(ctx, e, p.Survey(ctx, head, at, 1000).Due, at); err != nil {
			return err
		}
	}
	_, err := p.Edit(ctx, e, head, at, quick)
	if errors.Is(err, sign.ErrSlow) {
		s.slow++
	}
	return err
}

func (s *planSigner) Whole(ctx context.Context, v, head *zone.Version, at time.Time) (*zone.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole++
	if err := s.fails.Load(); err != nil {
		return nil, *err
	}
	v, _, err := s.plan.Load().WholeFrom(ctx, v, head, at)
	return v, err
}

var signs = zone.Author{Door: zone.DoorSigner, Name: "signer"}

// resign is the change that changes nothing.
func resign() zone.Change {
	return zone.Change{Zone: exampleID, By: signs, Edit: func(*zone.Editor) error { return nil }}
}

// signedRig is a Pipeline that signs example.
func signedRig(t testing.TB, d sign.Denial) (*rig, *planSigner) {
	s := newSigner(planOf(d))
	return newRig(t, ZoneSpec{ID: exampleID, Signer: s}), s
}

// verified returns the version that is served, which is signed and right.
func (r *rig) verified(what string) *zone.Version {
	r.t.Helper()
	_, v, _ := r.Head(exampleID)
	if v == nil {
		r.t.Fatalf("%s: there is no version", what)
	}
	found := sign.Verify(v, sign.VerifyOptions{At: r.now()})
	for _, f := range found {
		if f.Severity == zone.Error {
			r.t.Errorf("%s: %s", what, f)
		}
	}
	if !isSigned(v) {
		r.t.Errorf("%s: version with serial %d is not signed", what, v.Serial())
	}
	return v
}

// sigs returns the signatures of a version by what they cover.
func sigs(v *zone.Version) map[string]bool {
	out := map[string]bool{}
	for r := range v.Records() {
		if r.Type == dns.TypeRRSIG {
			out[r.String()] = true
		}
	}
	return out
}

// kept counts the signatures of a that b has too.
func kept(a, b *zone.Version) (n int) {
	in := sigs(b)
	for s := range sigs(a) {
		if in[s] {
			n++
		}
	}
	return n
}

var nsecKinds = map[string]sign.Denial{"nsec": {Kind: sign.NSEC}, "nsec3": {Kind: sign.NSEC3}, "opt-out": {Kind: sign.NSEC3, OptOut: true}}

// Every change ends signed, in the version that it makes, and does not sign more than
// it touches.
func TestEveryVersionIsSigned(t *testing.T) {
	for name, d := range nsecKinds {
		t.Run(name, func(t *testing.T) {
			r, _ := signedRig(t, d)
			first := r.must(replace(version(t, "example.", 7, "www.example. 300 IN A 192.0.2.1", "a.b.example. 300 IN TXT x", "sub.example. 300 IN NS ns.elsewhere.test.")))
			if first.Version != 1 || first.Serial != 7 {
				t.Errorf("the first version is %+v, expected the serial number of its author", first)
			}
			before := r.verified("first")
			got := r.must(add(exampleID, "mail.example. 300 IN A 192.0.2.2"))
			after := r.verified("add")
			if got.Version != 2 || got.Serial != 8 || got.Added <= 2 {
				t.Errorf("the second version is %+v: receipts count all records", got)
			}
			if n := kept(before, after); n < len(sigs(before))-4 {
				t.Errorf("%d of %d signatures are left: more were made than the change needs", n, len(sigs(before)))
			}
			same := r.must(add(exampleID, "mail.example. 300 IN A 192.0.2.2"))
			if same.Changed || same.Version != 2 {
				t.Errorf("a change that changes nothing gives %+v", same)
			}
			r.must(remove(exampleID, "mail.example. 300 IN A 192.0.2.2"))
			r.verified("remove")
			r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
				e.RemoveName(dns.MustName("www.example."))
				e.RemoveRRset(dns.MustName("a.b.example."), dns.TypeTXT)
				_, err := e.Add(dns.MustRecord("new.a.b.example. 300 IN TXT y"))
				return err
			}})
			r.verified("names that go with all they have")
			r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
				_, err := e.Add(dns.MustRecord("example. 300 IN SOA other.example. root.example. 8 1 2 3 900"))
				return err
			}})
			r.verified("another SOA record")
		})
	}
}

// What authors do to the signer's records does not count.
func TestAuthorsCannotTouchSignatures(t *testing.T) {
	for name, d := range nsecKinds {
		t.Run(name, func(t *testing.T) {
			r, _ := signedRig(t, d)
			r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1", "mail.example. 300 IN A 192.0.2.1")))
			before := r.verified("first")
			got := r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
				for v := range before.Records() {
					if v.Type == dns.TypeRRSIG || v.Type == dns.TypeNSEC || v.Type == dns.TypeNSEC3 || v.Type == dns.TypeDNSKEY || v.Type == dns.TypeNSEC3PARAM {
						e.Remove(v)
					}
				}
				_, err := e.Add(dns.MustRecord(`example. 300 IN DNSKEY 257 3 13 bWFyaw==`))
				return err
			}})
			if got.Changed || !strings.Contains(got.Note, "1 DNSSEC records were left out") {
				t.Errorf("%+v, expected no version and a note", got)
			}
			r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
				e.RemoveRRset(dns.MustName("www.example."), dns.TypeRRSIG)
				e.RemoveRRset(exampleID.Name, dns.TypeDNSKEY)
				_, err := e.Add(dns.MustRecord("new.example. 300 IN A 192.0.2.9"))
				return err
			}})
			r.verified("a change beside that")
		})
	}
}

// What comes whole is compared by what its authors have, and keeps what is signed.
func TestWholeZonesKeepSignatures(t *testing.T) {
	for name, d := range nsecKinds {
		t.Run(name, func(t *testing.T) {
			r, s := signedRig(t, d)
			var hosts []string
			for i := range 50 {
				hosts = append(hosts, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
			}
			r.must(replace(version(t, "example.", 100, hosts...)))
			before := r.verified("first")
			if got := r.must(replace(version(t, "example.", 50, hosts...))); got.Changed {
				t.Errorf("the same with an older serial number: %+v", got)
			}
			if got := r.must(replace(before)); got.Changed {
				t.Errorf("the version itself: %+v", got)
			}
			got := r.must(replace(version(t, "example.", 50, append(hosts, "new.example. 300 IN A 192.0.2.2")...)))
			after := r.verified("one more name")
			if got.Serial != 101 || kept(before, after) < len(sigs(before))-4 {
				t.Errorf("%+v, %d of %d signatures are left", got, kept(before, after), len(sigs(before)))
			}
			s.fails.Store(&errNever)
			if _, err := r.submit(replace(version(t, "example.", 200, "x.example. 300 IN A 192.0.2.2"))); err == nil {
				t.Error("a zone that cannot be signed was taken")
			}
			s.fails.Store(nil)
			r.must(replace(version(t, "example.", 200, "x.example. 300 IN A 192.0.2.2")))
			if v := r.verified("another zone"); v.Serial() != 200 || strings.Contains(textOf(v), "n7.") {
				t.Errorf("serial %d:\n%s", v.Serial(), textOf(v))
			}
			keep := replace(version(t, "example.", 3, "y.example. 300 IN A 192.0.2.2"))
			keep.KeepSerial = true
			if got := r.must(keep); got.Serial != 201 {
				t.Errorf("%+v, expected the next number: its own is a wish", got)
			}
			r.verified("an older primary")
		})
	}
}

var errNever = errors.New("the key of the tests has been lost; restore it from a backup")

// The signer's own changes make a version where there is something to do, and only then.
func TestSignerChanges(t *testing.T) {
	r, s := signedRig(t, sign.Denial{Kind: sign.NSEC})
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := start
	var mu sync.Mutex
	r.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	wait := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1")))
	if got := r.must(resign()); got.Changed {
		t.Errorf("nothing is due, and there is %+v", got)
	}
	wait(11 * 24 * time.Hour)
	got := r.must(resign())
	if !got.Changed || got.Serial != 2 {
		t.Errorf("all is due, and there is %+v", got)
	}
	r.verified("refreshed")
	wait(10 * 24 * time.Hour)
	r.verified("the old signatures would have expired")
	wait(12 * time.Hour)
	for kind, d := range nsecKinds {
		s.plan.Store(planOf(d))
		if got := r.must(resign()); !got.Changed {
			t.Errorf("going to %s there is %+v", kind, got)
		}
		r.verified("going to " + kind)
	}
	s.plan.Store(&sign.Plan{})
	if got := r.must(resign()); !got.Changed {
		t.Errorf("without signatures there is %+v", got)
	}
	_, v, _ := r.Head(exampleID)
	if want := "example.\t300\tIN\tNS\tns.elsewhere.test.\nwww.example.\t300\tIN\tA\t192.0.2.1\n"; textOf(v) != want {
		t.Errorf("what is left is\n%s, expected\n%s", textOf(v), want)
	}
	s.plan.Store(planOf(sign.Denial{Kind: sign.NSEC}))
	r.must(resign())
	r.verified("signed again")
}

// A SOA record whose signature alone is due is signed, though a serial number alone is
// no reason for a version.
func TestOnlySOADue(t *testing.T) {
	r, s := signedRig(t, sign.Denial{Kind: sign.NSEC})
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	now := start
	r.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	set := func(d time.Duration) { mu.Lock(); now = start.Add(d); mu.Unlock() }
	long := *s.plan.Load()
	long.Validity = 30 * 24 * time.Hour
	s.plan.Store(&long)
	r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1")))
	short := long
	short.Validity = 10 * 24 * time.Hour
	s.plan.Store(&short)
	r.must(add(exampleID, "www.example. 300 IN A 192.0.2.2")) // has the SOA record signed for 10 days
	set(7 * 24 * time.Hour)
	_, before, _ := r.Head(exampleID)
	got := r.must(resign())
	if !got.Changed {
		t.Fatal("what was signed for 10 days is not due after 7")
	}
	after := r.verified("refreshed")
	if n := len(sigs(before)) - kept(before, after); n > 3 {
		t.Errorf("%d signatures were made anew", n)
	}
}

// Limits are about what authors have, not about what is made of it.
func TestGateOfSignedZones(t *testing.T) {
	s := newSigner(planOf(sign.Denial{Kind: sign.NSEC}))
	rules := &gate.Rules{RemoveRecords: gate.Limit{Share: 0.2, Free: 2}, AddRecords: gate.Limit{Share: 0.5, Free: 2}}
	r := newRig(t, ZoneSpec{ID: exampleID, Signer: s, Gate: rules})
	var hosts []string
	for i := range 30 {
		hosts = append(hosts, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
	}
	r.must(replace(version(t, "example.", 1, hosts...)))
	s.plan.Store(planOf(sign.Denial{Kind: sign.NSEC3}))
	r.must(resign())
	r.verified("another chain")
	refusal := (*zone.Refusal)(nil)
	_, err := r.submit(remove(exampleID, hosts[:9]...))
	if !errors.As(err, &refusal) || refusal.Rule != gate.RuleRemoval || !strings.Contains(err.Error(), "of 32 records") {
		t.Errorf("removing 9 of 30 names: %v, expected a refusal by the share of the authors' records", err)
	}
	r.verified("the refused change has changed nothing")
	r.must(remove(exampleID, hosts[:4]...))
	r.verified("4 of 30 may go")
}

// A signer that cannot sign refuses the change, and the last version stays.
func TestSignerFails(t *testing.T) {
	r, s := signedRig(t, sign.Denial{Kind: sign.NSEC})
	r.must(replace(version(t, "example.", 1)))
	s.fails.Store(&errNever)
	refusal := (*zone.Refusal)(nil)
	_, err := r.submit(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	if !errors.As(err, &refusal) || refusal.Rule != RuleSigning || !strings.Contains(refusal.Reason, "restore it from a backup") {
		t.Errorf("%v, expected a refusal that says what to do", err)
	}
	if _, ok := r.Refused(exampleID); !ok {
		t.Error("what was refused is not to be seen")
	}
	own := &zone.Refusal{Rule: "expired-plan", Reason: "so"}
	asError := error(own)
	s.fails.Store(&asError)
	if _, err := r.submit(add(exampleID, "www.example. 300 IN A 192.0.2.1")); !errors.As(err, &refusal) || refusal.Rule != "expired-plan" || refusal.Zone != exampleID {
		t.Errorf("%v, expected the signer's own refusal", err)
	}
	s.fails.Store(nil)
	if n, _, _ := r.Head(exampleID); n != 1 {
		t.Errorf("there is version %d", n)
	}
	r.must(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	r.verified("signing works again")
}

// What takes long is signed beside the other zones' changes.
func TestSignsSlowly(t *testing.T) {
	r, s := signedRig(t, sign.Denial{Kind: sign.NSEC})
	r.must(replace(version(t, "example.", 1)))
	r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
		for i := range 900 {
			if _, err := e.Add(dns.MustRecord(fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))); err != nil {
				return err
			}
		}
		return nil
	}})
	r.verified("900 names at once")
	if s.slow == 0 {
		t.Error("2000 signatures were made by the goroutine that commits")
	}
	s.plan.Store(planOf(sign.Denial{Kind: sign.NSEC3}))
	r.must(resign())
	r.verified("another chain of 900 names")
	r.must(replace(version(t, "example.", 9, "x.example. 300 IN A 192.0.2.1")))
	r.verified("all others go")
	if s.whole != 1 {
		t.Errorf("%d versions were signed as a whole, expected the first", s.whole)
	}
}

// A rollback brings back what the authors had, signed as of now.
func TestRollbackIsSignedAnew(t *testing.T) {
	r, s := signedRig(t, sign.Denial{Kind: sign.NSEC})
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	now := start
	r.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1")))
	r.must(remove(exampleID, "www.example. 300 IN A 192.0.2.1"))
	mu.Lock()
	now = now.Add(100 * 24 * time.Hour)
	mu.Unlock()
	s.plan.Store(planOf(sign.Denial{Kind: sign.NSEC3}))
	r.must(resign())
	c, err := r.Rollback(t.Context(), exampleID, 1, author)
	if err != nil {
		t.Fatal(err)
	}
	got := r.must(c)
	v := r.verified("rolled back")
	if got.Note != "" || got.Version != 4 || v.Find([]byte(dns.MustName("www.example.").Wire())).IsZero() {
		t.Errorf("%+v:\n%s", got, textOf(v))
	}
	if v.Apex().Has(dns.TypeNSEC) {
		t.Error("the chain of the past came back")
	}
	blamed, err := r.Blame(t.Context(), exampleID, dns.MustName("www.example."))
	if err != nil || len(blamed) != 2 || !blamed[0].Known || blamed[0].Since.Number != 4 {
		t.Errorf("%+v, %v, expected the address and its signature since version 4", blamed, err)
	}
}

// A zone begins to be signed by being configured, and stays as it is without a signer.
func TestSigningBeginsAndEnds(t *testing.T) {
	r := newRig(t, ZoneSpec{ID: exampleID})
	r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1", "example. 300 IN ZONEMD 1 1 1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")))
	if got := r.must(resign()); got.Changed {
		t.Errorf("nobody signs, and there is %+v", got)
	}
	s := newSigner(planOf(sign.Denial{Kind: sign.NSEC3}))
	must(t, r.Configure(ZoneSpec{ID: exampleID, Signer: s}))
	if got := r.must(add(exampleID, "www.example. 300 IN A 192.0.2.1")); got.Changed {
		t.Errorf("a change that changes nothing: %+v", got)
	}
	r.must(resign())
	if v := r.verified("configured"); v.Apex().Has(dns.TypeZONEMD) {
		t.Error("the digest of the unsigned zone is still there")
	}
	r.restart(ZoneSpec{ID: exampleID, Signer: s})
	r.verified("restarted")
	r.must(add(exampleID, "mail.example. 300 IN A 192.0.2.1"))
	before := r.verified("changed after a restart")
	must(t, r.Configure(ZoneSpec{ID: exampleID}))
	got := r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
		e.RemoveRRset(dns.MustName("mail.example."), dns.TypeRRSIG)
		return nil
	}})
	if _, v, _ := r.Head(exampleID); !got.Changed || len(sigs(v)) != len(sigs(before))-1 {
		t.Error("without a signer signatures are as any record")
	}
	var authored []string
	must(t, r.Configure(ZoneSpec{ID: exampleID, Signer: s}))
	_, v, _ := r.Head(exampleID)
	for rec := range r.Authored(exampleID, v) {
		authored = append(authored, rec.Type.String())
	}
	if got := strings.Join(authored, " "); got != "SOA NS A A" {
		t.Errorf("the authors' records are %s", got)
	}
}

// alone is a Signer that leaves zones alone that come signed.
type alone struct {
	*planSigner
	passive, before atomic.Bool
}

func (a *alone) Owns(owner dns.Name, t dns.Type) bool {
	return !a.passive.Load() && a.planSigner.Owns(owner, t)
}

func (a *alone) Takes(v *zone.Version) bool {
	a.before.Store(a.passive.Load())
	a.passive.Store(isSigned(v))
	return !a.passive.Load()
}

func (a *alone) Took(served bool) {
	if !served {
		a.passive.Store(a.before.Load())
	}
	a.before.Store(a.passive.Load())
}

// TestRefusedContentTakesNothingOver: where content that is not signed is refused, what is served stays its authors' to sign.
func TestRefusedContentTakesNothingOver(t *testing.T) {
	p := planOf(sign.Denial{Kind: sign.NSEC})
	var hosts []string
	for i := range 30 {
		hosts = append(hosts, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
	}
	signed, _, err := p.Whole(t.Context(), version(t, "example.", 5, hosts...), time.Now())
	must(t, err)
	a := &alone{planSigner: newSigner(planOf(sign.Denial{Kind: sign.NSEC3}))}
	rules := &gate.Rules{RemoveRecords: gate.Limit{Share: 0.2, Free: 2}}
	r := newRig(t, ZoneSpec{ID: exampleID, Signer: a, Gate: rules})
	r.must(replace(signed))
	refusal := (*zone.Refusal)(nil)
	if _, err := r.submit(replace(version(t, "example.", 6))); !errors.As(err, &refusal) {
		t.Fatalf("a zone without its names: %v, expected a refusal", err)
	}
	calls := a.calls
	r.must(add(exampleID, "www.example. 300 IN A 192.0.2.2"))
	if a.calls > calls {
		t.Error("the next change was signed here, by other keys than the zone's")
	}
	r.must(replace(version(t, "example.", 7, hosts...)))
	if v := r.verified("what came unsigned"); v.Denial() != zone.DenialNSEC3 {
		t.Error("it was not signed here")
	}
}

func TestSignerLeavesZoneAlone(t *testing.T) {
	p := planOf(sign.Denial{Kind: sign.NSEC})
	signed, _, err := p.Whole(t.Context(), version(t, "example.", 5, "www.example. 300 IN A 192.0.2.1"), time.Now())
	must(t, err)
	a := &alone{planSigner: newSigner(planOf(sign.Denial{Kind: sign.NSEC3}))}
	r := newRig(t, ZoneSpec{ID: exampleID, Signer: a})
	r.must(replace(signed))
	_, v, _ := r.Head(exampleID)
	if d := zone.Diff(signed, v); !d.IsEmpty() || a.calls+a.whole > 0 {
		t.Errorf("what came signed was changed: %v", d)
	}
	r.must(replace(version(t, "example.", 6, "www.example. 300 IN A 192.0.2.1")))
	if v := r.verified("what came unsigned"); v.Denial() != zone.DenialNSEC3 {
		t.Error("it was not signed here")
	}
}
