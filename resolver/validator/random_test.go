package validator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/validator"
	"onoma/signer/online"
	"onoma/zone/sign"
)

// randomZone has names of three labels out of four, and all that answers treat in
// their own way. cuts has the delegations.
func randomZone(r *rand.Rand) (text string, cuts []string) {
	owners := map[string]bool{}
	for range 1 + r.IntN(10) {
		owner := randomOwner(r)
		if owners[owner] {
			continue
		}
		owners[owner] = true
		kind := r.IntN(8)
		switch star := strings.Contains(owner, "*"); {
		case kind < 4:
			text += owner + " A 192.0.2.1\n"
		case kind < 5:
			text += owner + " MX 1 a\n"
		case kind < 6:
			text += fmt.Sprintf("%s CNAME %s\n", owner, randomOwner(r))
		case kind < 7 && !star:
			text += fmt.Sprintf("%s DNAME %s\n", owner, randomOwner(r))
		case !star:
			text += owner + " NS ns.invalid.\n"
			cuts = append(cuts, owner+".test.")
		}
	}
	return text, cuts
}

func randomOwner(r *rand.Rand) string {
	labels := []string{}
	for range 1 + r.IntN(3) {
		labels = append(labels, []string{"a", "b", "c", "*"}[r.IntN(4)])
	}
	return strings.Join(labels, ".")
}

// Whatever our own servers answer from zones at random, signed in any way, is
// secure: but for what leads to delegations that are not signed, and for spans
// that opt out.
func TestRandomZones(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	r := rand.New(rand.NewPCG(3, 4))
	ways := map[string]how{"compact": {denial: sign.Denial{Kind: sign.Compact}}}
	for name, h := range kinds {
		ways[name] = h
	}
	seen := map[validator.Status]int{}
	for range rounds {
		text, cuts := randomZone(r)
		for way, h := range ways {
			w := newWorld(t)
			s := w.add("test.", text, h)
			if h.denial.Kind == sign.Compact {
				z := online.New(online.Options{Clock: w.clock}).Zone(online.ZoneOptions{Origin: dns.MustName("test.")})
				z.SetKeys(s.keys)
				s.zone.SignOnline(z)
			}
			v := w.validator("test.", validator.Limits{})
			for range 15 {
				question := randomOwner(r) + ".test. " + []string{"A", "MX", "DS", "CNAME"}[r.IntN(4)]
				res := w.look(v, question)
				seen[res.Status]++
				mayBeInsecure := h.denial.OptOut || len(cuts) > 0 && slices.ContainsFunc(cuts, func(c string) bool { return leads(res, question, c) })
				switch {
				case res.Status == validator.Secure, res.Status == validator.Insecure && mayBeInsecure:
				case strings.Contains(res.Why, "aliases"), res.RCode == dns.RCodeYXDomain:
				default:
					t.Errorf("%s: %s: %v %v: %s\n%s", way, question, res.Status, res.RCode, res.Why, text)
				}
			}
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("verdicts: %v", seen)
	if seen[validator.Secure] < 100 || !testing.Short() && seen[validator.Insecure] < 20 {
		t.Errorf("verdicts: %v: the zones are not what they should be", seen)
	}
}

// leads reports whether a question, or the delegation that the verdict is about, is
// at or below a cut.
func leads(res validator.Result, question, cut string) bool {
	name, _, _ := strings.Cut(question, " ")
	if dns.MustName(name).IsSubdomainOf(dns.MustName(cut)) {
		return true
	}
	return slices.ContainsFunc(res.Chain, func(l validator.Link) bool { return l.Zone.Equal(dns.MustName(cut)) })
}
