package resolver

import (
	"fmt"
	"strings"
	"testing"

	"onoma/dns"
)

// explained returns the explanation of a question in a few lines.
func (w *world) explained(t *testing.T, name string, typ dns.Type) (*Explanation, string) {
	t.Helper()
	x, err := w.r.Explain(t.Context(), dns.Question{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN}, Options{DNSSEC: true})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range x.Proofs {
		fmt.Fprintf(&b, "%s:", p.Status)
		for _, z := range p.Zones {
			fmt.Fprintf(&b, " %s=%s", z.Zone, z.Status)
		}
		for _, s := range p.Sets {
			fmt.Fprintf(&b, " %s/%s=%s", s.Name, s.Type, s.Status)
		}
		b.WriteString("; ")
	}
	fmt.Fprintf(&b, "%s %v", x.RCode, x.IsSecure)
	return x, b.String()
}

func TestExplain(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{}, func(t *testing.T, w *world) {
		x, got := w.explained(t, "www.example.", dns.TypeA)
		expect(t, "the chain of trust", got, "secure: .=secure example.=secure www.example./A=secure; NOERROR true")
		if z := x.Proofs[0].Zones; !z[0].IsAnchor || len(z[1].DS) != 1 || len(z[1].Keys) != 1 || !strings.HasSuffix(z[1].Keys[0], "ECDSAP256SHA256 trusted signs") {
			t.Errorf("zones of the proof: %+v", z)
		}
		asked := 0
		for _, s := range x.Steps {
			if s.What == "reply" {
				asked++
			}
		}
		if used := x.Spent[0].Used; used != asked || used == 0 || x.Spent[4].Used == 0 {
			t.Errorf("%d questions and %d checks are paid, %d replies are told of", used, x.Spent[4].Used, asked)
		}
		// From the cache the same is said, and nobody is asked, neither for the answer nor for its proof.
		w.Sent()
		if _, again := w.explained(t, "www.example.", dns.TypeA); again != got {
			t.Errorf("the second time: %s", again)
		}
		if n := w.asked(); n != 0 {
			t.Errorf("%d questions were asked the second time", n)
		}
	})
}

func TestExplainBogus(t *testing.T) {
	inSignedWorld(t, Config{}, [2]change{forge, forge}, func(t *testing.T, w *world) {
		x, got := w.explained(t, "www.example.", dns.TypeA)
		if !strings.HasPrefix(got, "bogus: ") || !strings.HasSuffix(got, "SERVFAIL false") || len(x.Proofs) < 2 {
			t.Errorf("%s, expected an attempt with each server", got)
		}
		if set := x.Proofs[0].Sets; len(set) == 0 || set[0].Why == "" || len(x.Errors) == 0 {
			t.Errorf("nothing says why: %+v %q", set, x.Errors)
		}
	})
}
