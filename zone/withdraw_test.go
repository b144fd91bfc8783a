package zone_test

import (
	"testing"

	"onoma/dns"
	"onoma/zone"
)

// TestWithdraw: a withdrawn zone answers nothing, but keeps its version and its
// history: the next version follows the withdrawn one.
func TestWithdraw(t *testing.T) {
	origin := dns.MustName("withdrawn.example.")
	b := zone.NewBuilder(origin)
	for _, s := range []string{
		"withdrawn.example. 300 IN SOA ns.withdrawn.example. hostmaster.withdrawn.example. 1 2 3 4 5",
		"withdrawn.example. 300 IN NS ns.elsewhere.example.",
	} {
		if err := b.Add(dns.MustRecord(s)); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := b.Build()
	z := zone.New(origin)
	z.Keep(zone.NewHistory(zone.HistoryLimits{}))
	z.Publish(v)
	z.Withdraw()
	if z.Current() != nil {
		t.Fatal("a withdrawn zone is served")
	}
	z.Resume()
	if z.Current() != v {
		t.Fatal("a zone that is resumed is not what it was")
	}
	z.Withdraw()
	e := v.Edit()
	if _, err := e.Add(dns.MustRecord("withdrawn.example. 300 IN SOA ns.withdrawn.example. hostmaster.withdrawn.example. 2 2 3 4 5")); err != nil {
		t.Fatal(err)
	}
	next, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if !z.Advance(v, next) || z.Current().Serial() != 2 {
		t.Error("the next version does not follow the withdrawn one")
	}
	if _, ok := z.Since(1, 2, 1<<20); !ok {
		t.Error("the history has not outlived the withdrawal")
	}
}
