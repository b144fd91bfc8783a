package zone

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
)

var deltaOrigin = dns.MustName("example.")

func deltaSOA(serial uint32) dns.Record {
	return dns.MustRecord(fmt.Sprintf("example. 300 IN SOA ns.example. root.example. %d 3600 600 86400 300", serial))
}

// deltaZone returns a zone with one SOA and these records.
func deltaZone(t testing.TB, records ...string) *Version {
	t.Helper()
	b := NewBuilder(deltaOrigin)
	for _, r := range append([]dns.Record{deltaSOA(1)}, mustRecords(records)...) {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := b.Build()
	return v
}

func mustRecords(texts []string) (out []dns.Record) {
	for _, s := range texts {
		out = append(out, dns.MustRecord(s))
	}
	return out
}

// contentText returns the records of v in order.
func contentText(v *Version) string {
	var b strings.Builder
	for r := range v.Records() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// deltaRecords are drawn from: few names, so that they meet.
func drawDeltaRecord(t *rapid.T) dns.Record {
	name := rapid.SampledFrom([]string{"a", "b", "A", "c.b", "*.c", "x.y.z"}).Draw(t, "name")
	ttl := rapid.SampledFrom([]int{60, 300}).Draw(t, "ttl")
	data := rapid.SampledFrom([]string{"A 192.0.2.1", "A 192.0.2.2", "TXT one", "NS ns.example.", "NS NS.example.", "CNAME a.example.", "MX 1 b.example."}).Draw(t, "data")
	typ, rdata, _ := strings.Cut(data, " ")
	return dns.MustRecord(fmt.Sprintf("%s.example. %d IN %s %s", name, ttl, typ, rdata))
}

// Random edits, written and read again, lead to the same version from the same
// one, and back.
func TestDeltaLeadsForwardAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := []*Version{deltaZoneOf(t)}
		var deltas [][]byte
		for serial := uint32(2); serial < 6; serial++ {
			last := versions[len(versions)-1]
			next := drawDeltaEdit(t, last, serial)
			versions = append(versions, next)
			deltas = append(deltas, AppendDelta(nil, deltaOrigin, dns.ClassIN, Diff(last, next)))
		}
		checkForward(t, versions, deltas)
		checkBack(t, versions, deltas)
		checkMerge(t, versions, deltas)
	})
}

func deltaZoneOf(t *rapid.T) *Version {
	b := NewBuilder(deltaOrigin)
	_ = b.Add(deltaSOA(1))
	v, _ := b.Build()
	return drawDeltaEdit(t, v, 1)
}

func drawDeltaEdit(t *rapid.T, last *Version, serial uint32) *Version {
	e := last.Edit()
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		if r := drawDeltaRecord(t); rapid.Bool().Draw(t, "add") {
			if _, err := e.Add(r); err != nil {
				t.Fatal(err)
			}
		} else {
			e.Remove(r)
		}
	}
	if _, err := e.Add(deltaSOA(serial)); err != nil {
		t.Fatal(err)
	}
	draft, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	seen := contentText(draft)
	next, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seen, contentText(next)); diff != "" {
		t.Fatalf("Draft is not what Commit returns:\n%s", diff)
	}
	return next
}

func checkForward(t *rapid.T, versions []*Version, deltas [][]byte) {
	var content bytes.Buffer
	if _, err := versions[0].WriteContent(&content); err != nil {
		t.Fatal(err)
	}
	v, _, err := ReadContent(&content, deltaOrigin)
	if err != nil {
		t.Fatal(err)
	}
	e := v.Edit()
	for _, d := range deltas {
		if err := e.Apply(NewDeltaReader(bytes.NewReader(d), deltaOrigin)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contentText(versions[len(versions)-1]), contentText(got)); diff != "" {
		t.Fatalf("forward:\n%s", diff)
	}
}

func checkBack(t *rapid.T, versions []*Version, deltas [][]byte) {
	e := versions[len(versions)-1].Edit()
	for _, d := range slices.Backward(deltas) {
		err := e.Revert(func() (*DeltaReader, error) { return NewDeltaReader(bytes.NewReader(d), deltaOrigin), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contentText(versions[0]), contentText(got)); diff != "" {
		t.Fatalf("back:\n%s", diff)
	}
}

func checkMerge(t *rapid.T, versions []*Version, deltas [][]byte) {
	var m Merge
	for _, d := range deltas {
		if err := m.Step(NewDeltaReader(bytes.NewReader(d), deltaOrigin)); err != nil {
			t.Fatal(err)
		}
	}
	got, want := m.Delta(), Diff(versions[0], versions[len(versions)-1])
	if diff := cmp.Diff(deltaTexts(want), deltaTexts(got)); diff != "" {
		t.Fatalf("merged:\n%s", diff)
	}
}

func deltaTexts(d Delta) (out []string) {
	for _, r := range d.Removed {
		out = append(out, "-"+r.String())
	}
	for _, r := range d.Added {
		out = append(out, "+"+r.String())
	}
	slices.Sort(out)
	return out
}

// A name with as many types as it may have changes one for another.
func TestDeltaOfAFullName(t *testing.T) {
	b := NewBuilder(deltaOrigin)
	_ = b.Add(deltaSOA(1))
	for i := range maxTypes - 1 {
		_ = b.Add(dns.Record{Name: deltaOrigin, Type: dns.Type(1000 + i), Class: dns.ClassIN, TTL: 1, Data: dns.RData{1}})
	}
	from, _ := b.Build()
	e := from.Edit()
	e.RemoveRRset(deltaOrigin, 1000)
	e.Find(deltaOrigin)
	if _, err := e.Add(dns.Record{Name: deltaOrigin, Type: 5000, Class: dns.ClassIN, TTL: 1, Data: dns.RData{1}}); err != nil {
		t.Fatal(err)
	}
	to, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	d := AppendDelta(nil, deltaOrigin, dns.ClassIN, Diff(from, to))
	e = from.Edit()
	if err := e.Apply(NewDeltaReader(bytes.NewReader(d), deltaOrigin)); err != nil {
		t.Fatal(err)
	}
}

func TestDeltaThatDoesNotFit(t *testing.T) {
	v := deltaZone(t, "a.example. 300 IN A 192.0.2.1")
	for name, d := range map[string]Delta{
		"removes what is not there": {Removed: mustRecords([]string{"b.example. 300 IN A 192.0.2.1"})},
		"adds what is there":        {Added: mustRecords([]string{"a.example. 300 IN A 192.0.2.1"})},
	} {
		e := v.Edit()
		b := AppendDelta(nil, deltaOrigin, dns.ClassIN, d)
		if err := e.Apply(NewDeltaReader(bytes.NewReader(b), deltaOrigin)); !errors.Is(err, ErrUnfit) {
			t.Errorf("%s: %v, expected ErrUnfit", name, err)
		}
		e.Discard()
	}
}

func TestEditorIsTouched(t *testing.T) {
	v := deltaZone(t, "a.example. 300 IN A 192.0.2.1")
	e := v.Edit()
	e.Remove(dns.MustRecord("b.example. 300 IN A 192.0.2.1"))
	_, _ = e.Add(dns.MustRecord("a.example. 300 IN A 192.0.2.1"))
	if e.IsTouched() {
		t.Error("nothing was changed, and the Editor says that something was")
	}
	e.Remove(dns.MustRecord("a.example. 300 IN A 192.0.2.1"))
	if !e.IsTouched() {
		t.Error("the Editor does not notice a removal")
	}
	e.Discard()
}

// Any flipped bit of a delta is noticed, by its end at the latest.
func TestDeltaDamage(t *testing.T) {
	d := Delta{Removed: mustRecords([]string{"a.example. 300 IN A 192.0.2.1"}), Added: mustRecords([]string{"a.example. 300 IN TXT text", "b.example. 1 IN MX 1 a.example."})}
	good := AppendDelta(nil, deltaOrigin, dns.ClassIN, d)
	if got, err := ReadDelta(good, deltaOrigin); err != nil || cmp.Diff(deltaTexts(d), deltaTexts(got)) != "" {
		t.Fatalf("%v, %v", deltaTexts(got), err)
	}
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := ReadDelta(bad, deltaOrigin); err == nil {
			t.Errorf("bit %d flipped, and nobody notices: %s", bit, hex.EncodeToString(bad))
		}
	}
	for n := range good {
		if _, err := ReadDelta(good[:n], deltaOrigin); !errors.Is(err, ErrDelta) {
			t.Errorf("the first %d octets: %v, expected ErrDelta", n, err)
		}
	}
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{deltaFormat, 1, 0, opEnd, 0, 0, 0, 0})
	f.Add(AppendDelta(nil, deltaOrigin, dns.ClassIN, Delta{Removed: []dns.Record{deltaSOA(1)}, Added: []dns.Record{deltaSOA(2)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ReadDelta(b, deltaOrigin)
		if err != nil {
			return
		}
		class := dns.ClassIN
		for _, r := range append(slices.Clone(d.Removed), d.Added...) {
			class = r.Class
		}
		again, err := ReadDelta(AppendDelta(nil, deltaOrigin, class, d), deltaOrigin)
		if err != nil || cmp.Diff(deltaTexts(d), deltaTexts(again)) != "" {
			t.Fatalf("%v became %v, %v", deltaTexts(d), deltaTexts(again), err)
		}
		_, _, _ = ReadContent(bytes.NewReader(b), deltaOrigin)
	})
}

func TestWriteContentFails(t *testing.T) {
	v := deltaZone(t, "a.example. 300 IN A 192.0.2.1")
	r, w := io.Pipe()
	_ = r.Close()
	if _, err := v.WriteContent(w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v, expected that the pipe is closed", err)
	}
}

// A history that was read again gives the same differences as one that was kept.
func TestRecall(t *testing.T) {
	kept, z := New(deltaOrigin), New(deltaOrigin)
	kept.Keep(NewHistory(HistoryLimits{}))
	z.Keep(NewHistory(HistoryLimits{}))
	last := deltaZone(t)
	kept.Publish(last)
	var steps []Difference
	for serial := uint32(2); serial < 6; serial++ {
		next, err := kept.Update(func(e *Editor) error {
			_, _ = e.Add(dns.MustRecord(fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", serial)))
			_, err := e.Add(deltaSOA(serial))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b := AppendDelta(nil, deltaOrigin, dns.ClassIN, Diff(last, next))
		if serial == 5 { // published while the others were being read, and read, too
			z.Publish(last)
			z.Publish(next)
		}
		d, err := ReadDifference(serial-1, serial, NewDeltaReader(bytes.NewReader(b), deltaOrigin), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, d)
		last = next
	}
	if z.Recall(steps[:2]) {
		t.Error("steps with a gap behind them were taken")
	}
	if !z.Recall(steps) {
		t.Fatal("the steps were not taken")
	}
	want, _ := kept.Since(1, 5, 1<<20)
	got, ok := z.Since(1, 5, 1<<20)
	if !ok || slices.Compare(differenceTexts(want), differenceTexts(got)) != 0 {
		t.Errorf("%v, expected %v", differenceTexts(got), differenceTexts(want))
	}
}

func differenceTexts(d Difference) (out []string) {
	for r := range d.Removed() {
		out = append(out, "-"+r.String())
	}
	for r := range d.Added() {
		out = append(out, "+"+r.String())
	}
	return out
}

func TestEditorBound(t *testing.T) {
	e := deltaZone(t).Edit()
	defer e.Discard()
	e.Bound(2)
	for i := range 4 {
		_, err := e.Add(dns.MustRecord(fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i)))
		if over := i >= 2; over != errors.Is(err, ErrLong) {
			t.Errorf("step %d: %v", i+1, err)
		}
	}
	if !e.IsOverlong() {
		t.Error("four steps of two, and the Editor is content")
	}
}

// A version made beside the zone's own does not disturb its Editors.
func TestForkLeavesTheLineage(t *testing.T) {
	v := deltaZone(t, "a.example. 300 IN A 192.0.2.1")
	e := v.Fork()
	e.RemoveName(dns.MustName("a.example."))
	apart, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	next, err := v.Edit().Commit()
	if err != nil {
		t.Fatal(err)
	}
	if next.line != v.line || apart.line == v.line {
		t.Error("the fork has taken the lineage")
	}
}
