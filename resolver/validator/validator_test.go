package validator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone/sign"
)

var kinds = map[string]how{
	"NSEC":               {denial: sign.Denial{Kind: sign.NSEC}},
	"NSEC3":              {denial: sign.Denial{Kind: sign.NSEC3, Salt: []byte{1}, Iterations: 2}},
	"NSEC3 with opt-out": {denial: sign.Denial{Kind: sign.NSEC3, OptOut: true}},
}

func TestAnswers(t *testing.T) {
	const secure, insecure = validator.Secure, validator.Insecure
	for kind, h := range kinds {
		t.Run(kind, func(t *testing.T) {
			w := usual(t, h)
			v := w.validator(".", validator.Limits{})
			// What an opt-out span covers may be a delegation (RFC 5155 §9.2).
			denied := secure
			if h.denial.OptOut {
				denied = insecure
			}
			for _, c := range []struct {
				question string
				status   validator.Status
				rcode    dns.RCode
				records  int
			}{
				{"www.leaf.test. A", secure, dns.RCodeNoError, 1},
				{"WWW.Leaf.Test. A", secure, dns.RCodeNoError, 1},
				{"leaf.test. SOA", secure, dns.RCodeNoError, 1},
				{"leaf.test. DNSKEY", secure, dns.RCodeNoError, 1},
				{"leaf.test. DS", secure, dns.RCodeNoError, 1},
				{"test. NS", secure, dns.RCodeNoError, 1},
				{". NS", secure, dns.RCodeNoError, 1},
				{". DS", secure, dns.RCodeNoError, 0},
				{"www.leaf.test. AAAA", secure, dns.RCodeNoError, 0},
				{"www.leaf.test. DS", secure, dns.RCodeNoError, 0},
				{"empty.leaf.test. A", secure, dns.RCodeNoError, 0},
				{"no.leaf.test. A", denied, dns.RCodeNXDomain, 0},
				{"a.b.c.no.leaf.test. A", denied, dns.RCodeNXDomain, 0},
				{"no.deep.empty.leaf.test. A", denied, dns.RCodeNXDomain, 0},
				{"x.wild.leaf.test. TXT", denied, dns.RCodeNoError, 1},
				{"x.y.wild.leaf.test. TXT", denied, dns.RCodeNoError, 1},
				{"*.wild.leaf.test. TXT", secure, dns.RCodeNoError, 1},
				{"x.wild.leaf.test. A", denied, dns.RCodeNoError, 0},
				{"alias.leaf.test. A", secure, dns.RCodeNoError, 2},
				{"alias.leaf.test. CNAME", secure, dns.RCodeNoError, 1},
				{"other.leaf.test. A", secure, dns.RCodeNoError, 2},
				{"away.leaf.test. A", insecure, dns.RCodeNoError, 2},
				{"nowhere.leaf.test. A", denied, dns.RCodeNXDomain, 1},
				{"x.star.leaf.test. A", denied, dns.RCodeNoError, 2},
				{"www.dname.leaf.test. A", secure, dns.RCodeNoError, 2},
				{"no.dname.leaf.test. A", secure, dns.RCodeNXDomain, 1},
				{"sub.leaf.test. DS", denied, dns.RCodeNoError, 0},
				{"www.unsigned.test. A", insecure, dns.RCodeNoError, 1},
				{"no.unsigned.test. A", insecure, dns.RCodeNXDomain, 0},
				{"www.under.alias.leaf.test. A", insecure, dns.RCodeNoError, 1},
				{"www.other.test. A", secure, dns.RCodeNoError, 1},
			} {
				r := w.look(v, c.question)
				if r.Status != c.status || r.RCode != c.rcode || len(r.Answer) != c.records {
					t.Errorf("%s: %v %v, %d records (%s); expected %v %v, %d", c.question, r.Status, r.RCode, len(r.Answer), r.Why, c.status, c.rcode, c.records)
				}
				if r.Why == "" {
					t.Errorf("%s: nobody says why", c.question)
				}
			}
		})
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for _, a := range []uint8{dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448} {
		w := newWorld(t)
		w.add("test.", "www A 192.0.2.1\n", how{algorithms: []uint8{a}, denial: sign.Denial{Kind: sign.NSEC}})
		if r := w.look(w.validator("test.", validator.Limits{}), "www.test. A"); r.Status != validator.Secure {
			t.Errorf("%s: %v, %s", dnssec.AlgorithmName(a), r.Status, r.Why)
		}
	}
}

// The chain has what a picture of it needs.
func TestChain(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	r := w.look(w.validator(".", validator.Limits{}), "away.leaf.test. A")
	var zones []string
	for _, l := range r.Chain {
		zones = append(zones, l.Zone.String()+" "+l.Status.String())
	}
	want := []string{". secure", "test. secure", "leaf.test. secure", "unsigned.test. insecure"}
	if !slices.Equal(zones, want) {
		t.Fatalf("zones %q, expected %q", zones, want)
	}
	root, leaf, unsigned := r.Chain[0], r.Chain[2], r.Chain[3]
	if !root.IsAnchor || len(root.Keys) != 1 || root.Keys[0].Algorithm != dnssec.ED448 {
		t.Errorf("root: %+v", root)
	}
	if leaf.IsAnchor || len(leaf.DS) != 1 || len(leaf.DSSigs) != 1 || !leaf.DSSigs[0].IsGood || !leaf.Keys[0].IsTrusted || !leaf.Keys[0].Signs {
		t.Errorf("leaf: %+v", leaf)
	}
	if e := leaf.KeySigs[0].Expiration; e.Before(noon.Add(24*time.Hour)) || e.After(noon.Add(8*24*time.Hour)) {
		t.Errorf("the signature over the keys ends %v", e)
	}
	if len(unsigned.DS) != 0 || len(unsigned.Denial) == 0 || !strings.Contains(unsigned.Why, "test. proves that unsigned.test. has no DS") {
		t.Errorf("unsigned: %+v", unsigned)
	}
	if r.EDE != (dns.EDE{}) {
		t.Errorf("a delegation that is not signed is an error: %v", r.EDE)
	}
}

// What was learned of zones is used again until its time is over.
func TestRemembers(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := w.validator(".", validator.Limits{})
	w.look(v, "www.leaf.test. A")
	first := w.asked
	w.look(v, "mail.leaf.test. MX")
	if again := w.asked - first; again != 1 {
		t.Errorf("%d questions for another name of a known zone, expected its own alone", again)
	}
	w.now = w.now.Add(2 * time.Hour) // the keys' TTL is one
	before := w.asked
	w.look(v, "mail.leaf.test. MX")
	if again := w.asked - before; again != first {
		t.Errorf("%d questions after the TTLs, expected %d as at first", again, first)
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	if r := w.look(v, "mail.leaf.test. MX"); r.Status != validator.Bogus || r.EDE.Code != dns.EDESignatureExpired {
		t.Errorf("after all signatures have expired: %v, %v", r.Status, r.EDE)
	}
}

// TTLs are bounded by the signature's original TTL and its life (RFC 4035 §5.3.3).
func TestTTLs(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := w.validator(".", validator.Limits{})
	w.tamper = func(_ dns.Question, m *dns.Message) {
		for i := range m.Answer {
			m.Answer[i].TTL = 86400
		}
	}
	if r := w.look(v, "www.leaf.test. A"); r.Answer[0].TTL != 300 {
		t.Errorf("TTL %d, expected the 300 that was signed", r.Answer[0].TTL)
	}
	w.now = w.now.Add(7*24*time.Hour - 10*time.Second)
	if r := w.look(v, "www.leaf.test. A"); r.Status != validator.Secure || r.Answer[0].TTL > 10 {
		t.Errorf("%v, TTL %d, with 10 seconds left to the signature", r.Status, r.Answer[0].TTL)
	}
}

func TestWithoutAnAnchor(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := w.validator("leaf.test.", validator.Limits{})
	if r := w.look(v, "www.leaf.test. A"); r.Status != validator.Secure || len(r.Chain) != 1 {
		t.Errorf("below the anchor: %v, %d zones", r.Status, len(r.Chain))
	}
	if r := w.look(v, "www.other.test. A"); r.Status != validator.Indeterminate || r.EDE.Code != dns.EDEDNSSECIndeterminate {
		t.Errorf("beside the anchor: %v, %v", r.Status, r.EDE)
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := w.validator(".", validator.Limits{})
	w.tamper = func(q dns.Question, m *dns.Message) {
		if q.Type == dns.TypeDNSKEY && q.Name.NumLabels() == 2 {
			m.RCode = dns.RCodeServFail
		}
	}
	r, err := v.Look(context.Background(), dns.MustName("www.leaf.test."), dns.TypeA)
	if !errors.Is(err, validator.ErrServer) || r.Status != validator.Indeterminate || len(r.Chain) != 2 {
		t.Errorf("%v, %v, %d zones", err, r.Status, len(r.Chain))
	}
	for _, q := range []dns.Type{dns.TypeANY, dns.TypeRRSIG, dns.TypeAXFR} {
		if _, err := v.Look(context.Background(), dns.Root, q); !errors.Is(err, validator.ErrType) {
			t.Errorf("%v: %v", q, err)
		}
	}
}

// Any goroutine may look, while places are remembered and forgotten.
func TestManyGoroutines(t *testing.T) {
	w := usual(t, kinds["NSEC3"])
	v := w.validator(".", validator.Limits{Zones: 2})
	var all sync.WaitGroup
	for _, question := range []string{"www.leaf.test. A", "no.leaf.test. A", "www.other.test. A", "x.wild.leaf.test. TXT"} {
		name, typ, _ := strings.Cut(question, " ")
		qt, _ := dns.ParseType(typ)
		for range 2 {
			all.Go(func() {
				for range 10 {
					if r, err := v.Look(context.Background(), dns.MustName(name), qt); err != nil || r.Status != validator.Secure {
						t.Errorf("%s: %v, %v", question, r.Status, err)
					}
				}
			})
		}
	}
	all.Wait()
}

// A validator with the root's own anchors takes nobody else's root.
func TestRootAnchors(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := validator.New(validator.Options{Anchors: validator.RootAnchors(), Fetch: w.fetch, Clock: w.clock})
	r := w.look(v, "www.leaf.test. A")
	if r.Status != validator.Bogus || len(r.Chain) != 1 || len(r.Chain[0].DS) != 2 || !strings.Contains(r.Why, "20326") || !strings.Contains(r.Why, "38696") {
		t.Errorf("%v: %s", r.Status, r.Why)
	}
}
