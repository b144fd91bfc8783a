package resolver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
)

// forger changes answers at random: data, signatures, sections, response codes,
// and records of other answers that it has seen.
type forger struct {
	*rand.Rand
	seen []dns.Record
}

func (f *forger) change(_ dns.Question, a *dns.Message) {
	f.seen = append(f.seen, slices.Concat(a.Answer, a.Authority)...)
	for range f.IntN(3) {
		section := []*[]dns.Record{&a.Answer, &a.Authority}[f.IntN(2)]
		f.section(section)
		if f.IntN(8) == 0 {
			a.RCode = []dns.RCode{dns.RCodeNoError, dns.RCodeNXDomain}[f.IntN(2)]
			a.Flags = a.Flags.WithRCode(a.RCode)
		}
	}
}

func (f *forger) section(list *[]dns.Record) {
	if f.IntN(4) == 0 && len(f.seen) > 0 {
		*list = append(slices.Clone(*list), f.seen[f.IntN(len(f.seen))])
	}
	if len(*list) == 0 {
		return
	}
	i := f.IntN(len(*list))
	r := (*list)[i]
	r.Data = slices.Clone(r.Data)
	switch f.IntN(4) {
	case 0:
		r.Data[f.IntN(len(r.Data))] ^= 1 << f.IntN(8)
	case 1:
		r.TTL = f.Uint32() >> 1
	case 2:
		*list = slices.Delete(slices.Clone(*list), i, i+1)
		return
	case 3:
		if len(f.seen) > 0 {
			r.Name = f.seen[f.IntN(len(f.seen))].Name
		}
	}
	*list = slices.Clone(*list)
	(*list)[i] = r
}

// TestForgers: whatever the servers of a signed zone, or those between, make of
// its answers, clients get the truth or SERVFAIL, and no more work than one
// question may cause is done for it.
func TestForgers(t *testing.T) {
	questions := []struct {
		name  string
		typ   dns.Type
		truth []string // of which both may be told where both are proved
	}{
		{"www.example.", dns.TypeA, []string{"NOERROR 198.51.100.1"}},
		{"alias.example.", dns.TypeA, []string{"NOERROR www.example. 198.51.100.1"}},
		{"x.wild.example.", dns.TypeTXT, []string{`NOERROR "w"`}},
		{"www.example.", dns.TypeMX, []string{"NOERROR"}},
		{"no.example.", dns.TypeA, []string{"NXDOMAIN", "NOERROR"}},
	}
	served, failed := 0, 0
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		f := &forger{Rand: rand.New(rand.NewPCG(uint64(seed), 1))}
		inSignedWorld(t, Config{}, [2]change{f.change, f.change}, func(t *testing.T, w *world) {
			for _, q := range questions {
				w.asked()
				a := w.ask(query(q.name, q.typ, 4096, true))
				if n := w.asked(); n > 200 {
					t.Errorf("seed %d: %s %s: %d packets", seed, q.name, q.typ, n)
				}
				if a.RCode == dns.RCodeServFail {
					failed++
					continue
				}
				served++
				got := a.RCode.String()
				for _, r := range a.Answer {
					if r.Type != dns.TypeRRSIG {
						got += fmt.Sprintf(" %s", r.Data.Text(r.Type))
					}
				}
				isTrue := slices.ContainsFunc(q.truth, func(truth string) bool { return strings.EqualFold(truth, got) }) // case is not signed
				if !isTrue || !a.Flags.Has(dns.FlagAD) {
					t.Errorf("seed %d: %s %s: %s %v, expected AD and %q", seed, q.name, q.typ, got, a.Flags, q.truth)
				}
			}
		})
	}
	if served < failed/4 || failed < served/20 {
		t.Errorf("%d answers and %d failures: the test tests nothing", served, failed)
	}
}
