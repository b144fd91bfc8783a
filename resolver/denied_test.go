package resolver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/cache"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/zone/sign"
)

// The ways in which zones deny.
var denials = map[string]sign.Denial{
	"NSEC": {Kind: sign.NSEC}, "NSEC3": {Kind: sign.NSEC3}, "NSEC3 iterated": {Kind: sign.NSEC3, Iterations: 7, Salt: []byte("salt")},
	"NSEC3 with opt-out": {Kind: sign.NSEC3, OptOut: true}, "NSEC3 iterated often": {Kind: sign.NSEC3, Iterations: 50},
}

// inDenyingWorld has a signed root and the zone example. of that text at 192.0.2.3.
func inDenyingWorld(t *testing.T, text string, denial sign.Denial, test func(t *testing.T, w *world, leaf, root *signedZone)) {
	t.Helper()
	inWorld(t, Config{}, "", func(t *testing.T, w *world) {
		leaf := signZoneAs(t, "example.", "@ NS ns1\nns1 A 192.0.2.3\n"+text, 48*time.Hour, nil, denial)
		root := signZone(t, ".", "@ NS a.root-servers.net.\na.root-servers.net. A 192.0.2.1\nexample. NS ns1.example.\nns1.example. A 192.0.2.3\n",
			48*time.Hour, map[string]*signedZone{"example.": leaf})
		root.serve(w, "192.0.2.1", nil)
		leaf.serve(w, "192.0.2.3", nil)
		w.r.Trust([]dns.Record{{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: root.key.RData()}})
		test(t, w, leaf, root)
	})
}

// judge returns a validator that trusts the zone's key.
func (z *signedZone) judge(origin string) *validator.Validator {
	fetch := func(_ context.Context, q dns.Question) (*dns.Message, error) {
		m := dns.NewQuery(1, q, false)
		m.EDNS = &dns.EDNS{UDPSize: 65535, DO: true}
		return z.answer(m), nil
	}
	anchor := dns.Record{Name: dns.MustName(origin), Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: z.key.RData()}
	return validator.New(validator.Options{Anchors: []dns.Record{anchor}, Fetch: fetch})
}

// randomZone makes lines of a zone: names of few labels, so that they meet, empty
// ones, wildcards, aliases and delegations among them.
func randomZone(r *rand.Rand) string {
	var b strings.Builder
	seen := map[string]bool{}
	for range 4 + r.IntN(12) {
		name := randomName(r)
		if seen[name] || strings.Contains(name, "cut") {
			continue
		}
		seen[name] = true
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "%s 300 CNAME %s\n", name, randomName(r))
		case 1:
			fmt.Fprintf(&b, "%s 300 A 198.51.100.%d\n%s 300 TXT t%d\n", name, r.IntN(255), name, r.IntN(9))
		default:
			fmt.Fprintf(&b, "%s 300 A 198.51.100.%d\n", name, r.IntN(255))
		}
	}
	if r.IntN(2) == 0 {
		b.WriteString("cut NS ns.nowhere.invalid.\n")
	}
	return b.String()
}

func randomName(r *rand.Rand) string {
	labels := []string{"a", "b", "c", "*", "m\\000n", "zz", "cut"}
	name := labels[r.IntN(len(labels)-1)]
	for range r.IntN(3) {
		name += "." + labels[r.IntN(len(labels))]
	}
	return name
}

// TestSynthesisIsTheTruth: whatever was asked before, an answer says what the
// zone's own server says, and one that is made of what was proved of other names
// is proved by what goes with it.
func TestSynthesisIsTheTruth(t *testing.T) {
	rounds, questions := 12, 60
	if testing.Short() {
		rounds = 3
	}
	for kind, denial := range denials {
		made := 0
		for seed := range rounds {
			r := rand.New(rand.NewPCG(uint64(seed), 7))
			inDenyingWorld(t, randomZone(r), denial, func(t *testing.T, w *world, leaf, _ *signedZone) {
				judge, seen := leaf.judge("example."), map[dns.Name]bool{}
				for range questions {
					q := dns.Question{Name: dns.MustName(randomName(r) + ".example."), Class: dns.ClassIN}
					q.Type = []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeDS, dns.TypeNSEC, dns.TypeCNAME}[r.IntN(5)]
					if w.compare(q, leaf, judge, fmt.Sprintf("%s, seed %d", kind, seed)) && !seen[q.Name] {
						made++
					}
					seen[q.Name] = true
					time.Sleep(time.Duration(r.IntN(20)) * time.Second)
				}
			})
		}
		t.Logf("%s: %d of %d answers were made of what others proved", kind, made, rounds*questions)
		isUsed := denial.Iterations <= cache.MaxDenialIterations && !denial.OptOut
		if share := float64(made) / float64(rounds*questions); isUsed != (share > 0.2) || !isUsed && share > 0.05 { // 0.05: ends of aliases
			t.Errorf("%s: a share of %.3f of the answers was made of what others proved", kind, share)
		}
	}
}

// compare asks the resolver and the zone's server; isMade says that the answer was
// known without asking.
func (w *world) compare(q dns.Question, leaf *signedZone, judge *validator.Validator, what string) (isMade bool) {
	w.t.Helper()
	m := dns.NewQuery(1, q, false)
	m.EDNS = &dns.EDNS{UDPSize: 65535, DO: true}
	truth := leaf.answer(m)
	w.asked()
	res, err := w.r.Resolve(context.Background(), q, Options{DNSSEC: true})
	if err != nil {
		w.t.Fatal(err)
	}
	isMade = w.asked() == 0
	if refers(truth) {
		if res.RCode != dns.RCodeServFail {
			w.t.Errorf("%s: %s: %v, though it is delegated to nowhere", what, q, res.RCode)
		}
		return false
	}
	if res.RCode == dns.RCodeServFail { // an alias into the cut, or a circle
		return false
	}
	if got, want := data(res.Answer), data(truth.Answer); res.RCode != truth.RCode || got != want {
		w.t.Errorf("%s: %s\n got: %s %s\nwant: %s %s", what, q, res.RCode, got, truth.RCode, want)
	}
	if isMade {
		msg := &dns.Message{RCode: res.RCode, Answer: res.Answer, Authority: res.Authority}
		work := validator.Limits{}.Work()
		judged, err := judge.Judge(context.Background(), q, msg, dns.Name{}, &work)
		if err != nil || res.IsSecure && judged.Status != validator.Secure {
			w.t.Errorf("%s: %s: %v %v %s\n%v\n%v", what, q, err, judged.Status, judged.Why, res.Answer, res.Authority)
		}
		for _, r := range slices.Concat(res.Answer, res.Authority) {
			if r.TTL > 3600 || r.TTL > 300 && res.RCode == dns.RCodeNXDomain {
				w.t.Errorf("%s: %s: %s lives too long", what, q, r)
			}
		}
	}
	return isMade
}

// refers reports whether a message leads out of the zone, at once or by an alias.
func refers(m *dns.Message) bool {
	return slices.ContainsFunc(m.Authority, func(r dns.Record) bool { return r.Type == dns.TypeNS && !r.Name.Equal(dns.MustName("example.")) })
}

// data is the records without signatures.
func data(records []dns.Record) string {
	var lines []string
	for _, r := range records {
		if r.Type != dns.TypeRRSIG {
			lines = append(lines, fmt.Sprintf("%s %s %s", r.Name.Fold(), r.Type, r.Data.Text(r.Type)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// TestWaterTorture: random names of a signed zone are denied without asking, once
// a few answers have shown the zone's spans; where the zone opts out, or hashes
// often, that may not be.
func TestWaterTorture(t *testing.T) {
	const names = 2000
	for kind, most := range map[string]int{"NSEC": 40, "NSEC3": 120, "NSEC3 iterated": 120} {
		var text strings.Builder
		for i := range 20 {
			fmt.Fprintf(&text, "host%d A 192.0.2.%d\n", i, i)
		}
		inDenyingWorld(t, text.String(), denials[kind], func(t *testing.T, w *world, _, _ *signedZone) {
			r := rand.New(rand.NewPCG(1, 2))
			w.asked()
			for range names {
				m := query(fmt.Sprintf("%x.example.", r.Uint64()), dns.TypeA, 1232, r.IntN(2) == 0)
				m.Flags |= dns.FlagAD
				if a := w.ask(m); a.RCode != dns.RCodeNXDomain || !a.Flags.Has(dns.FlagAD) {
					t.Fatal(text, a)
				}
			}
			n := w.asked()
			t.Logf("%s: %d packets for %d names", kind, n, names)
			if n > most {
				t.Errorf("%s: %d packets for %d names, expected at most %d", kind, n, names, most)
			}
		})
	}
}

// TestRoutesAreNotDenied: a zone that is looked up another way is none of those
// above it, whatever they prove (CVE-2026-44687).
func TestRoutesAreNotDenied(t *testing.T) {
	inDenyingWorld(t, "www A 192.0.2.9\n", denials["NSEC"], func(t *testing.T, w *world, _, _ *signedZone) {
		w.Serve("192.0.2.5", fakenet.ParseZone("corp.example.", "@ NS ns\nns A 192.0.2.5\nwww 60 A 198.51.100.5"))
		expect(t, "before", w.verdict("nobody.example.", dns.TypeA, withAD), "NXDOMAIN AD")
		w.asked()
		expect(t, "in the same span", w.verdict("www.corp.example.", dns.TypeA, withAD), "NXDOMAIN AD")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets, expected that the span is known", n)
		}
		route := Route{Zone: dns.MustName("corp.example."), Kind: iterator.RouteStub, Servers: serverAt("192.0.2.5"), Insecure: true}
		if err := w.r.SetRoutes([]Route{route}); err != nil {
			t.Fatal(err)
		}
		expect(t, "the span, learnt again", w.verdict("nobody.example.", dns.TypeA, withAD), "NXDOMAIN AD")
		expect(t, "by its route", w.verdict("www.corp.example.", dns.TypeA, withAD), "NOERROR A Negative Trust Anchor")
		expect(t, "its DS is the parent's", w.verdict("corp.example.", dns.TypeDS, withAD), "NXDOMAIN AD")
	})
}

// TestDNAMEServesOtherNames: one that is Secure, for as long as it may be kept; one
// that is not signed serves the names that it was seen with (CVE-2025-40778).
func TestDNAMEServesOtherNames(t *testing.T) {
	inDenyingWorld(t, "old 300 DNAME new\nshort 300 DNAME very.much.longer.new\nx.new 300 A 192.0.2.7\ny.new 300 A 192.0.2.8\n", denials["NSEC3"], func(t *testing.T, w *world, _, _ *signedZone) {
		expect(t, "one name", w.verdict("x.old.example.", dns.TypeA, withAD), "NOERROR AD DNAME CNAME A")
		expect(t, "the other end", w.verdict("y.new.example.", dns.TypeA, withAD), "NOERROR AD A")
		time.Sleep(100 * time.Second)
		w.asked()
		a := w.ask(query("y.old.example.", dns.TypeA, 1232, true))
		expect(t, "another name", data(a.Answer), "old.example. DNAME new.example.; y.new.example. A 192.0.2.8; y.old.example. CNAME y.new.example.")
		if n := w.asked(); n != 0 || !a.Flags.Has(dns.FlagAD) || a.Answer[0].TTL != 200 {
			t.Errorf("%d packets: %v", n, a)
		}
		long := strings.Repeat(strings.Repeat("a", 61)+".", 3) + strings.Repeat("b", 48) + ".short.example."
		expect(t, "a third one", w.verdict("x.short.example.", dns.TypeA, withAD), "NXDOMAIN AD DNAME CNAME")
		w.asked()
		expect(t, "one that becomes too long", w.verdict(long, dns.TypeA, withAD), "YXDOMAIN AD DNAME")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets for a name that is too long", n)
		}
		time.Sleep(201 * time.Second)
		w.asked()
		w.verdict("z.old.example.", dns.TypeA, withAD)
		if w.asked() == 0 {
			t.Error("a DNAME outlived its TTL")
		}
	})
	inWorld(t, Config{}, "old 300 DNAME new\nx.new 300 A 192.0.2.7\n", func(t *testing.T, w *world) {
		for _, name := range []string{"x.old.example.com.", "x.y.old.example.com."} {
			w.asked()
			w.ask(query(name, dns.TypeA, 1232, true))
			if w.asked() == 0 {
				t.Errorf("%s: nobody was asked", name)
			}
		}
	})
}

// compact makes the answers of a zone that denies by records made for the name that
// is asked for (RFC 9824 §3.1).
func compact(z *signedZone) change {
	return func(q dns.Question, a *dns.Message) {
		if a.RCode != dns.RCodeNXDomain {
			return
		}
		a.RCode, a.Flags = dns.RCodeNoError, a.Flags.WithRCode(dns.RCodeNoError)
		a.Authority = slices.DeleteFunc(a.Authority, func(r dns.Record) bool {
			sig, err := dns.ParseRRSIG(r.Data)
			return r.Type == dns.TypeNSEC || r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == dns.TypeNSEC
		})
		nsec := dns.MustRecord(fmt.Sprintf(`%s 300 NSEC \000.%s RRSIG NSEC TYPE128`, q.Name, q.Name))
		set := dnssec.RRset{Owner: q.Name, Type: dns.TypeNSEC, Class: dns.ClassIN, TTL: 300, RData: []dns.RData{nsec.Data}}
		now := uint32(time.Now().Unix())
		sig, err := dnssec.SignRRset(z.key, dns.MustName("example."), set, now-60, now+3600)
		if err != nil {
			panic(err)
		}
		a.Authority = append(a.Authority, nsec, dns.Record{Name: q.Name, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: 300, Data: sig.RData()})
	}
}

// TestCompactDenial: a record that says that its name does not exist says so for
// all types, and of no other name; clients that do not see it are told NXDOMAIN
// (RFC 9824 §5).
func TestCompactDenial(t *testing.T) {
	inDenyingWorld(t, "www A 192.0.2.9\n", denials["NSEC"], func(t *testing.T, w *world, leaf, _ *signedZone) {
		leaf.serve(w, "192.0.2.3", compact(leaf))
		expect(t, "with DO", w.verdict("no.example.", dns.TypeA, withDO), "NOERROR AD")
		expect(t, "without DO", w.verdict("no.example.", dns.TypeA, withAD), "NXDOMAIN AD")
		w.asked()
		expect(t, "another type", w.verdict("no.example.", dns.TypeAAAA, withDO), "NOERROR AD")
		expect(t, "another type, without DO", w.verdict("no.example.", dns.TypeAAAA, withAD), "NXDOMAIN AD")
		if n := w.asked(); n != 0 {
			t.Errorf("%d packets for another type of a name that does not exist", n)
		}
		for _, name := range []string{"below.no.example.", "np.example.", "nn.example."} {
			w.asked()
			expect(t, name, w.verdict(name, dns.TypeA, withAD), "NXDOMAIN AD")
			if w.asked() == 0 {
				t.Errorf("%s is denied by a record that was made for another name", name)
			}
		}
		expect(t, "what exists", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
	})
}

// TestPaddedDenials: what a zone adds to its proofs costs no more than a few checks.
func TestPaddedDenials(t *testing.T) {
	var names []dns.Record
	pad := func(_ dns.Question, a *dns.Message) {
		for _, r := range a.Authority {
			sig, err := dns.ParseRRSIG(r.Data)
			if r.Type == dns.TypeNSEC3 || r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == dns.TypeNSEC3 {
				names = append(names, r)
			}
		}
		if len(a.Answer) == 0 {
			a.Authority = append(slices.Clone(a.Authority), names...)
		}
	}
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "host%d A 192.0.2.%d\n", i, i)
	}
	inDenyingWorld(t, text.String(), denials["NSEC3"], func(t *testing.T, w *world, leaf, _ *signedZone) {
		leaf.serve(w, "192.0.2.3", pad)
		most := Cost{}
		for i := range 150 {
			name := strings.Repeat("x.", 1+i%50) + fmt.Sprintf("n%d.example.", i)
			res, err := w.r.Resolve(context.Background(), dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, Options{})
			if err != nil || res.RCode != dns.RCodeNXDomain && res.RCode != dns.RCodeServFail {
				t.Fatal(res, err)
			}
			most.Checks, most.Rounds = max(most.Checks, res.Cost.Checks), max(most.Rounds, res.Cost.Rounds)
		}
		t.Logf("at most %d signatures and %d hashes for a name; %d records of padding", most.Checks, most.Rounds, len(names))
		if len(names) < 40 || most.Checks > 20 || most.Rounds > 400 {
			t.Errorf("%d signatures and %d hashes for a name, with %d records of padding", most.Checks, most.Rounds, len(names))
		}
	})
}

// TestWildcardsAreNotReplayed: an answer from a wildcard is no answer to who asks
// for another name, not even where its proof is at hand (CVE-2026-46582).
func TestWildcardsAreNotReplayed(t *testing.T) {
	replay := func(q dns.Question, a *dns.Message) {
		for i := range a.Answer {
			if q.Name.FirstLabel() == "x" {
				a.Answer[i].Name = dns.MustName("www.example.")
			}
		}
	}
	inDenyingWorld(t, "www A 192.0.2.9\nwww TXT own\n*.wild 300 TXT w\n", denials["NSEC"], func(t *testing.T, w *world, leaf, _ *signedZone) {
		expect(t, "from the wildcard", w.verdict("a.wild.example.", dns.TypeTXT, withAD), "NOERROR AD TXT")
		leaf.serve(w, "192.0.2.3", replay)
		w.ask(query("x.wild.example.", dns.TypeTXT, 1232, true))
		a := w.ask(query("www.example.", dns.TypeTXT, 1232, true))
		expect(t, "a name of its own", data(a.Answer), `www.example. TXT "own"`)
		if _, ok := w.r.iterator.Cache.RRset(dns.MustName("*.wild.example."), dns.TypeTXT, w.r.now()); ok {
			t.Error("the wildcard is answered as data, though nobody asked for it")
		}
	})
}
