package sketch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// check compares a summary with exact counts. slack is how much too high a count may be.
func check(t rapid.TB, s Summary, exact map[string]uint64, slack uint64) {
	t.Helper()
	var n uint64
	for _, c := range exact {
		n += c
	}
	if s.Seen != n {
		t.Fatalf("%d keys seen, expected %d", s.Seen, n)
	}
	if s.Missing > slack {
		t.Fatalf("keys that came %d times may be missing, expected at most %d", s.Missing, slack)
	}
	told := make(map[string]bool)
	for i, e := range s.Entries {
		told[e.Key] = true
		c := exact[e.Key]
		if c > e.Count || c+e.Excess < e.Count || e.Excess > slack {
			t.Fatalf("%q came %d times, the summary says %d with an excess of up to %d (bound %d)", e.Key, c, e.Count, e.Excess, slack)
		}
		if i > 0 && s.Entries[i-1].Count < e.Count {
			t.Fatalf("entry %d comes more often than the one before", i)
		}
	}
	for key, c := range exact {
		if c > s.Missing && !told[key] {
			t.Fatalf("%q came %d times, more than %d, and is missing", key, c, s.Missing)
		}
	}
}

func stream(r *rand.Rand, n, keys int) []string {
	zipf := rand.NewZipf(r, 1.1, 1, uint64(keys))
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("name%d", zipf.Uint64())
	}
	return s
}

func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := 1 << rapid.IntRange(1, 6).Draw(t, "log k")
		s := New(k, 16)
		exact := make(map[string]uint64)
		keys := rapid.SliceOfN(rapid.StringN(0, 2, 4), 0, 400).Draw(t, "keys")
		for _, key := range keys {
			s.Add([]byte(key))
			exact[key]++
		}
		check(t, s.Summary(), exact, uint64(len(keys)/k))
	})
}

func TestBoundsHoldForTrafficAndAfterReset(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := New(256, 32)
	for round := range 3 {
		s.Reset()
		exact := make(map[string]uint64)
		for _, key := range stream(r, 20000*(round+1), 1<<20) {
			s.Add([]byte(key))
			exact[key]++
		}
		check(t, s.Summary(), exact, s.n/256)
	}
}

func TestMergedBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		exact := make(map[string]uint64)
		var parts []Summary
		var slack uint64
		for range rapid.IntRange(0, 8).Draw(t, "parts") {
			s := New(32, 16)
			n := rapid.IntRange(0, 500).Draw(t, "n")
			for _, key := range stream(r, n, 200) {
				s.Add([]byte(key))
				exact[key]++
			}
			parts = append(parts, s.Summary())
			slack += uint64(n / 32)
		}
		merged := Merge(1<<20, parts...)
		check(t, merged, exact, slack)
		cut := Merge(8, merged, Summary{})
		if len(cut.Entries) > 8 {
			t.Fatalf("%d entries, expected at most 8", len(cut.Entries))
		}
		if len(merged.Entries) > 8 {
			slack = max(slack, merged.Entries[8].Count)
		}
		check(t, cut, exact, slack)
	})
}

func TestLongKeysKeepTheirEnd(t *testing.T) {
	s := New(2, 4)
	s.Add([]byte("random-1.zone"))
	s.Add([]byte("random-2.zone"))
	if got := s.Summary().Entries; len(got) != 1 || got[0].Key != "zone" || got[0].Count != 2 {
		t.Errorf("%v, expected zone twice", got)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	s := New(64, 32)
	key := bytes.Repeat([]byte{'a'}, 20)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		key[i%20]++
		i++
		s.Add(key)
	}); n != 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	keys := stream(rand.New(rand.NewPCG(1, 2)), 1<<16, 1<<20)
	wire := make([][]byte, len(keys))
	for i, k := range keys {
		wire[i] = []byte(k)
	}
	s := New(256, 255)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(wire[i&(1<<16-1)])
	}
}
