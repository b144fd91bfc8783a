package resolver

import (
	"context"
	"testing"
	"time"

	"onoma/dns"
)

// checks returns what was found of a question, and how many signatures that took.
func (w *world) checks(name string, typ dns.Type) (isSecure bool, checks, packets int) {
	w.t.Helper()
	w.asked()
	res, err := w.r.Resolve(context.Background(), dns.Question{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN}, Options{DNSSEC: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return res.IsSecure, res.Cost.Checks, w.asked()
}

// TestNothingIsCheckedTwice: what was found good is remembered as such, for as long
// as it may be kept.
func TestNothingIsCheckedTwice(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		for _, q := range []struct {
			name     string
			typ      dns.Type
			isSecure bool
		}{
			{"www.example.", dns.TypeA, true}, {"alias.example.", dns.TypeA, true}, {"x.wild.example.", dns.TypeTXT, true},
			{"no.example.", dns.TypeA, true}, {"www.example.", dns.TypeMX, true}, {"alias.example.", dns.TypeMX, true},
			{"www.plain.", dns.TypeA, false}, {"no.plain.", dns.TypeA, false}, {"home.example.", dns.TypeA, false},
		} {
			first, checks, packets := w.checks(q.name, q.typ)
			again, checksAgain, packetsAgain := w.checks(q.name, q.typ)
			if first != q.isSecure || again != q.isSecure {
				t.Errorf("%s %s: secure %v, then %v, expected %v", q.name, q.typ, first, again, q.isSecure)
			}
			if checksAgain != 0 || packetsAgain != 0 {
				t.Errorf("%s %s: %d checks and %d packets at first, then %d and %d, expected none", q.name, q.typ, checks, packets, checksAgain, packetsAgain)
			}
		}
	})
}

// TestVerdictsAreOfTheirAnchors: other anchors have all judged anew, from what is
// cached.
func TestVerdictsAreOfTheirAnchors(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		w.checks("www.example.", dns.TypeA)
		w.r.Except(dns.MustName("example."), time.Time{})
		if isSecure, _, _ := w.checks("www.example.", dns.TypeA); isSecure {
			t.Error("secure below a negative trust anchor")
		}
		w.r.Except(dns.MustName("example."), time.Now())
		isSecure, checks, packets := w.checks("www.example.", dns.TypeA)
		if !isSecure || checks != 1 || packets != 0 {
			t.Errorf("secure %v after %d checks and %d packets, expected one check", isSecure, checks, packets)
		}
		other := signZone(t, ".", "@ NS a.root-servers.net.\n", time.Hour, nil)
		w.r.Trust([]dns.Record{{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: other.key.RData()}})
		if isSecure, _, _ := w.checks("www.example.", dns.TypeA); isSecure {
			t.Error("secure by an anchor that signed nothing")
		}
	})
}

// TestVerdictsAreOfTheirData: what was asked for with CD is not good because
// something else at its name was.
func TestVerdictsAreOfTheirData(t *testing.T) {
	isBad := false
	turn := func(q dns.Question, a *dns.Message) {
		if isBad {
			forge(q, a)
		}
	}
	inSignedWorld(t, Config{NoStale: true}, [2]change{turn, turn}, func(t *testing.T, w *world) {
		expect(t, "good", w.verdict("www.example.", dns.TypeA, withAD), "NOERROR AD A")
		w.Change(func() { isBad = true })
		time.Sleep(301 * time.Second)
		expect(t, "forged", w.verdict("www.example.", dns.TypeA, withCD), "NOERROR A RRSIG")
		expect(t, "without RD", w.verdict("www.example.", dns.TypeA, func(m *dns.Message) { m.Flags &^= dns.FlagRD }), "REFUSED Not Authoritative")
		expect(t, "checked", w.verdict("www.example.", dns.TypeA, withAD), "SERVFAIL DNSSEC Bogus")
	})
}

// TestCheckedIsKnown: parts of answers that were found good are told without RD.
func TestCheckedIsKnown(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		noRD := func(m *dns.Message) { m.Flags = m.Flags&^dns.FlagRD | dns.FlagAD }
		w.verdict("alias.example.", dns.TypeA, withAD)
		w.verdict("www.plain.", dns.TypeA, withAD)
		w.r.messages.FlushAll()
		expect(t, "the alias's target", w.verdict("www.example.", dns.TypeA, noRD), "NOERROR AD A")
		expect(t, "not signed", w.verdict("www.plain.", dns.TypeA, noRD), "NOERROR A")
		expect(t, "not asked for", w.verdict("ns1.example.", dns.TypeA, noRD), "REFUSED Not Authoritative")
	})
}
