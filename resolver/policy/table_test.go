package policy_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"onoma/resolver/policy"
)

// A walk over all prefixes is the judge.
func TestTableFindsTheLongestPrefix(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{byte(r.IntN(2)), byte(r.IntN(2)) << 7, byte(r.IntN(4)), byte(r.IntN(8))})
		}
		return netip.AddrFrom16([16]byte{0: byte(r.IntN(2)), 7: byte(r.IntN(4)), 8: byte(r.IntN(2)) << 7, 15: byte(r.IntN(8))})
	}
	for range 50 {
		var entries []policy.Entry[int]
		seen := map[netip.Prefix]bool{}
		for i := range 1 + r.IntN(100) {
			a := addr()
			p := netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked()
			if !seen[p] {
				seen[p] = true
				entries = append(entries, policy.Entry[int]{Prefix: p, Value: i})
			}
		}
		table, err := policy.NewTable(entries)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			a := addr()
			best, want := -1, 0
			for _, e := range entries {
				if e.Prefix.Contains(a) && e.Prefix.Bits() > best {
					best, want = e.Prefix.Bits(), e.Value
				}
			}
			got, ok := table.Find(a)
			if ok != (best >= 0) || got != want {
				t.Fatalf("%v in %v: got %d, %v; want %d", a, entries, got, ok, want)
			}
		}
	}
}

func TestTable(t *testing.T) {
	table, err := policy.NewTable([]policy.Entry[policy.Access]{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Value: policy.Refused},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Value: policy.Allowed},
		{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Value: policy.Denied},
	})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{
		"192.0.2.1": "allow", "192.0.2.200": "deny", "::ffff:192.0.2.1": "allow", "198.51.100.1": "refuse", "2001:db8::1": "", "fe80::1%eth0": "",
	} {
		addr := netip.MustParseAddr(a)
		got := ""
		if v, ok := table.Find(addr); ok {
			got = v.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", a, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { table.Find(addr) }); n != 0 && addr.Zone() == "" {
			t.Errorf("%s: %v allocations, want none", a, n)
		}
	}
	twice := policy.Entry[int]{Prefix: netip.MustParsePrefix("192.0.2.1/24")}
	if _, err := policy.NewTable([]policy.Entry[int]{twice, {Prefix: netip.MustParsePrefix("192.0.2.0/24")}}); err == nil {
		t.Error("one prefix was taken twice")
	}
	if _, err := policy.NewTable([]policy.Entry[int]{{}}); err == nil {
		t.Error("an entry without a prefix was taken")
	}
}
