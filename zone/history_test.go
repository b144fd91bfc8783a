package zone

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
)

// textsOf returns all records of v in order, as a bag that a difference can be
// applied to.
func textsOf(v *Version) []string {
	out := texts(slices.Collect(v.Records()))
	slices.Sort(out)
	return out
}

// apply does what a secondary does with a difference, by text: what is removed
// must be there, what is added must not.
func apply(t *rapid.T, old []string, d Difference) []string {
	zone := slices.Clone(old)
	for r := range d.Removed() {
		i := slices.Index(zone, r.String())
		if i < 0 {
			t.Fatalf("from %d to %d: %s is removed, and is not there", d.From, d.To, r)
		}
		zone = slices.Delete(zone, i, i+1)
	}
	for r := range d.Added() {
		if slices.Contains(zone, r.String()) {
			t.Fatalf("from %d to %d: %s is added, and is there", d.From, d.To, r)
		}
		zone = append(zone, r.String())
	}
	slices.Sort(zone)
	return zone
}

// TestHistoryAgainstVersions: any difference that a history has, of one step or
// many, turns the old version into the new one, begins with SOA records, and has
// nothing in it that is in both versions or in neither.
func TestHistoryAgainstVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(dns.MustName(modelOrigin))
		start := rapid.SampledFrom([]uint32{1, math.MaxUint32 - 3}).Draw(t, "serial")
		soa := dns.Record{Name: m.origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(start)}
		m.add(soa)
		z := New(m.origin)
		limits := HistoryLimits{Steps: rapid.SampledFrom([]int{0, 3}).Draw(t, "steps")}
		z.Keep(NewHistory(limits))
		z.Publish(build(t, m.origin, []dns.Record{soa}))
		versions := [][]string{textsOf(z.Current())}
		n := rapid.IntRange(1, 8).Draw(t, "versions")
		for i := range n {
			_, err := z.Update(func(e *Editor) error {
				for range rapid.IntRange(0, 12).Draw(t, "edits") {
					drawEdit(t, e, m)
				}
				next := soa
				next.Data = modelSOA(start + uint32(i) + 1)
				m.add(next)
				_, err := e.Add(next)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "anew") == 0 { // as from a file
				z.Publish(build(t, m.origin, slices.Collect(z.Current().Records())))
			}
			versions = append(versions, textsOf(z.Current()))
		}
		for i := range versions {
			for j := i + 1; j < len(versions); j++ {
				sameStep(t, z, start, versions, i, j, limits.Steps)
			}
		}
	})
}

func sameStep(t *rapid.T, z *Zone, start uint32, versions [][]string, i, j, steps int) {
	from, to := start+uint32(i), start+uint32(j)
	d, ok := z.Since(from, to, math.MaxInt)
	if kept := steps == 0 || i >= len(versions)-1-steps; ok != kept {
		t.Fatalf("from %d to %d of %d versions, %d steps kept: there is a difference: %v", i, j, len(versions), steps, ok)
	}
	if !ok {
		return
	}
	if x := cmp.Diff(versions[j], apply(t, versions[i], d)); x != "" {
		t.Fatalf("from %d to %d (-version +old version and difference):\n%s", i, j, x)
	}
	count := 0
	for _, list := range [][]dns.Record{collect(d.Removed()), collect(d.Added())} {
		if len(list) == 0 || list[0].Type != dns.TypeSOA {
			t.Fatalf("from %d to %d: %v, expected a SOA record first", i, j, list)
		}
		for _, r := range list {
			if was, is := slices.Contains(versions[i], r.String()), slices.Contains(versions[j], r.String()); was == is {
				t.Fatalf("from %d to %d: %s is in the difference; it was there %v and is there %v", i, j, r, was, is)
			}
		}
		count += len(list)
	}
	if count != d.Count() {
		t.Fatalf("from %d to %d: %d records, Count says %d", i, j, count, d.Count())
	}
	if again, ok := z.Since(from, to, math.MaxInt); !ok || again != d {
		t.Fatalf("from %d to %d: another difference the second time", i, j)
	}
}

// collect copies records, whose rdata is good for a moment only.
func collect(records iter.Seq[dns.Record]) (out []dns.Record) {
	for r := range records {
		r.Data = slices.Clone(r.Data)
		out = append(out, r)
	}
	return out
}

func simpleZone(t testing.TB, serial uint32, n int) *Version {
	var b strings.Builder
	fmt.Fprintf(&b, "@ 60 SOA ns.elsewhere. h. %d 1 1 1 1\n@ 60 NS ns.elsewhere.\n", serial)
	for i := range n {
		fmt.Fprintf(&b, "h%d 60 TXT %d\n", i, serial)
	}
	v, findings := parseZone(t, "example.", b.String())
	if v == nil {
		t.Fatal(findings)
	}
	return v
}

// TestHistoryBreaks: what is no successor cannot be reached by differences, and
// what would take too much memory is forgotten.
func TestHistoryBreaks(t *testing.T) {
	reach := func(z *Zone, from, to uint32) bool {
		_, ok := z.Since(from, to, math.MaxInt)
		return ok
	}
	z := New(dns.MustName("example."))
	h := NewHistory(HistoryLimits{Octets: 1 << 10})
	z.Keep(h)
	for serial := range uint32(5) {
		z.Publish(simpleZone(t, serial+1, 5))
	}
	if steps, octets := h.Size(); steps == 0 || steps == 4 || octets > 1<<10 {
		t.Errorf("%d steps of %d octets are kept, expected some of 4 and at most 1024 octets", steps, octets)
	}
	if !reach(z, 4, 5) || reach(z, 1, 5) || reach(z, 5, 5) || reach(z, 5, 4) || reach(z, 4, 6) {
		t.Error("the history reaches where it should not, or not where it should")
	}
	if _, ok := z.Since(4, 5, 100); ok {
		t.Error("a difference is longer than was allowed")
	}
	z.Publish(simpleZone(t, 5, 5)) // the same again
	if !reach(z, 4, 5) {
		t.Error("a version without a change has made the history forget")
	}
	z.Publish(simpleZone(t, 6, 100)) // more than 1 KiB
	if reach(z, 5, 6) || reach(z, 4, 5) {
		t.Error("a difference is kept that is too large, or one before it")
	}
	z.Publish(simpleZone(t, 7, 100-2))
	if steps, _ := h.Size(); steps != 0 {
		t.Error("a difference is kept that is too large")
	}
	for _, next := range []uint32{6, 7 + 1<<31, 7} { // older, undefined, the same with other records
		z = New(dns.MustName("example."))
		z.Keep(NewHistory(HistoryLimits{}))
		z.Publish(simpleZone(t, 6, 1))
		z.Publish(simpleZone(t, 7, 1))
		z.Publish(simpleZone(t, next, 3))
		if reach(z, 6, 7) || reach(z, 7, next) {
			t.Errorf("a version with serial number %d behind 7 is reached by differences", next)
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	last, next := simpleZone(b, 1, 100_000), simpleZone(b, 2, 100_000)
	for b.Loop() {
		h := NewHistory(HistoryLimits{})
		h.add(last, next)
	}
}
