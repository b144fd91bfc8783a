package sketch

import (
	"cmp"
	"slices"
)

// Entry is one key of a Summary. It came at most Count times, and at least Count - Excess times.
type Entry struct {
	Key    string
	Count  uint64
	Excess uint64
}

// Summary is what a Sketch has seen, or several.
type Summary struct {
	Seen    uint64  // keys counted
	Missing uint64  // no key that is not among Entries came more often
	Entries []Entry // the most frequent first
}

// Summary returns what the Sketch holds now.
func (s *Sketch) Summary() Summary {
	sum := Summary{Seen: s.n, Entries: make([]Entry, s.used)}
	for i := range sum.Entries {
		c := &s.slots[i]
		sum.Entries[i] = Entry{string(s.key(uint16(i))), c.count, c.excess}
	}
	if s.used == len(s.slots) {
		sum.Missing = s.slots[s.heap[0]].count
	}
	sum.sort()
	return sum
}

// sort puts the most frequent first, and those of one count in the order of their keys.
func (s *Summary) sort() {
	slices.SortFunc(s.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
}

// Merge returns the summary of all that any of parts has seen, with at most k entries. A key that a part does not have may
// have come as often there as that part's Missing says, which is added to its Count and to its Excess.
func Merge(k int, parts ...Summary) Summary {
	var all Summary
	type found struct{ count, excess, missing uint64 }
	keys := make(map[string]found)
	for _, p := range parts {
		all.Seen += p.Seen
		all.Missing += p.Missing
		for _, e := range p.Entries {
			f := keys[e.Key]
			keys[e.Key] = found{f.count + e.Count, f.excess + e.Excess, f.missing + p.Missing}
		}
	}
	all.Entries = make([]Entry, 0, len(keys))
	for key, f := range keys {
		absent := all.Missing - f.missing
		all.Entries = append(all.Entries, Entry{key, f.count + absent, f.excess + absent})
	}
	all.sort()
	if len(all.Entries) > k {
		all.Missing = max(all.Missing, all.Entries[k].Count)
		all.Entries = slices.Clip(all.Entries[:k])
	}
	return all
}
