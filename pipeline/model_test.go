package pipeline

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/zone"
)

// modelZone is what a zone should be: its records without SOA, as they were in each version.
type modelZone struct {
	id       zone.ID
	now      map[string]bool
	versions map[uint64]map[string]bool
	serials  map[uint64]uint32
}

func (m *modelZone) lines(n uint64) []string { return slices.Sorted(maps.Keys(m.versions[n])) }

// note takes over the receipt of a change that was made to the model.
func (m *modelZone) note(t *rapid.T, r zone.Receipt, changed bool) {
	last := uint64(len(m.versions))
	if r.Changed != changed {
		t.Fatalf("%s: changed is %v, expected %v", m.id, r.Changed, changed)
	}
	if !changed {
		return
	}
	if r.Version != last+1 {
		t.Fatalf("%s: version %d follows %d", m.id, r.Version, last)
	}
	if before := m.serials[last]; last > 0 && !zone.IsNewer(r.Serial, before) {
		t.Fatalf("%s: serial %d follows %d", m.id, r.Serial, before)
	}
	m.versions[r.Version], m.serials[r.Version] = maps.Clone(m.now), r.Serial
}

// modelRun is a run of random changes against a Pipeline and a model of it.
type modelRun struct {
	r     *rig
	specs []ZoneSpec
	zones []*modelZone
}

func newModelRun(t *rapid.T, r *rig) *modelRun {
	m := &modelRun{r: r}
	for i := range 3 {
		origin := fmt.Sprintf("z%d.example.", i)
		id := zone.IDOf("", dns.MustName(origin))
		policy := SerialPolicy(i % 3)
		m.specs = append(m.specs, ZoneSpec{ID: id, Serial: policy})
		m.zones = append(m.zones, &modelZone{id: id, versions: map[uint64]map[string]bool{}, serials: map[uint64]uint32{}})
	}
	r.start(m.specs...)
	for i, z := range m.zones {
		z.now = map[string]bool{fmt.Sprintf("%s\t300\tIN\tNS\tns.elsewhere.test.", z.id.Name): true}
		z.note(t, m.must(t, replace(version(r.t, z.id.Name.String(), uint32(i))))[0], true)
	}
	return m
}

func (m *modelRun) must(t *rapid.T, changes ...zone.Change) []zone.Receipt {
	got, err := m.r.submit(changes...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// edit draws an edit of z, makes it in the model too, and reports whether it changes anything.
func (m *modelRun) edit(t *rapid.T, z *modelZone) (zone.Change, bool) {
	before := maps.Clone(z.now)
	var steps []func(*zone.Editor) error
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		line := fmt.Sprintf("n%d.%s\t300\tIN\tA\t192.0.2.%d", rapid.IntRange(0, 5).Draw(t, "name"), z.id.Name, rapid.IntRange(1, 3).Draw(t, "address"))
		rec := dns.MustRecord(line)
		if rapid.Bool().Draw(t, "add") {
			z.now[line] = true
			steps = append(steps, func(e *zone.Editor) error { _, err := e.Add(rec); return err })
		} else {
			delete(z.now, line)
			steps = append(steps, func(e *zone.Editor) error { e.Remove(rec); return nil })
		}
	}
	return zone.Change{Zone: z.id, By: author, Edit: func(e *zone.Editor) error {
		for _, s := range steps {
			if err := s(e); err != nil {
				return err
			}
		}
		return nil
	}}, !maps.Equal(before, z.now)
}

// Together changes several zones at once, each of them by its own goroutine.
func (m *modelRun) Together(t *rapid.T) {
	var wg sync.WaitGroup
	type result struct {
		z        *modelZone
		changed  []bool
		models   []map[string]bool
		receipts []zone.Receipt
		err      error
	}
	results := make([]result, len(m.zones))
	for i, z := range m.zones {
		res := &results[i]
		res.z = z
		var changes []zone.Change
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			c, changed := m.edit(t, z)
			changes = append(changes, c)
			res.changed, res.models = append(res.changed, changed), append(res.models, maps.Clone(z.now))
		}
		wg.Go(func() {
			for _, c := range changes { // one after the other, so that the model knows the order
				got, err := m.r.submit(c)
				if res.err = err; err != nil {
					return
				}
				res.receipts = append(res.receipts, got...)
			}
		})
	}
	wg.Wait()
	for _, res := range results {
		if res.err != nil {
			t.Fatal(res.err)
		}
		for i := range res.receipts {
			res.z.now = res.models[i]
			res.z.note(t, res.receipts[i], res.changed[i])
		}
	}
}

// AllOrNone changes all zones in one go, or fails to.
func (m *modelRun) AllOrNone(t *rapid.T) {
	var before []map[string]bool
	var changes []zone.Change
	var changed []bool
	for _, z := range m.zones {
		before = append(before, maps.Clone(z.now))
		c, is := m.edit(t, z)
		changes, changed = append(changes, c), append(changed, is)
	}
	if rapid.Bool().Draw(t, "fail") {
		changes[rapid.IntRange(0, 2).Draw(t, "which")].Base = 1 << 40
		if _, err := m.r.submit(changes...); err == nil {
			t.Fatal("a change for a version that is not there was made")
		}
		for i, z := range m.zones {
			z.now = before[i]
		}
		return
	}
	for i, r := range m.must(t, changes...) {
		m.zones[i].note(t, r, changed[i])
	}
}

// Whole replaces a zone by one like it with some other records.
func (m *modelRun) Whole(t *rapid.T) {
	z := rapid.SampledFrom(m.zones).Draw(t, "zone")
	before := maps.Clone(z.now)
	_, _ = m.edit(t, z)
	var lines []string
	for line := range z.now {
		if !strings.Contains(line, "\tNS\t") {
			lines = append(lines, line)
		}
	}
	_, now, _ := m.r.Head(z.id)
	v := version(m.r.t, z.id.Name.String(), now.Serial(), lines...)
	z.note(t, m.must(t, replace(v))[0], !maps.Equal(before, z.now))
}

// Back rolls a zone back to an earlier version.
func (m *modelRun) Back(t *rapid.T) {
	z := rapid.SampledFrom(m.zones).Draw(t, "zone")
	n := uint64(rapid.IntRange(1, len(z.versions)).Draw(t, "version"))
	c, err := m.r.Rollback(context.Background(), z.id, n, author)
	if err != nil {
		t.Fatal(err)
	}
	changed := !maps.Equal(z.now, z.versions[n])
	z.now = maps.Clone(z.versions[n])
	z.note(t, m.must(t, c)[0], changed)
}

// Restart stops the Pipeline, now and then with a checkpoint before, and starts another one.
func (m *modelRun) Restart(t *rapid.T) {
	if rapid.Bool().Draw(t, "checkpoint") {
		st, err := m.r.lookup(rapid.SampledFrom(m.zones).Draw(t, "zone").id)
		if err == nil {
			err = m.r.writeCheckpoint(context.Background(), st)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m.r.restart(m.specs...)
}

// check compares everything with the model.
func (m *modelRun) check(t *rapid.T) {
	for _, z := range m.zones {
		n, v, _ := m.r.Head(z.id)
		if n != uint64(len(z.versions)) || v.Serial() != z.serials[n] {
			t.Fatalf("%s: version %d, serial %d, expected %d, %d", z.id, n, v.Serial(), len(z.versions), z.serials[n])
		}
		if diff := cmp.Diff(z.lines(n), linesOf(v)); diff != "" {
			t.Fatalf("%s:\n%s", z.id, diff)
		}
	}
}

func linesOf(v *zone.Version) []string {
	lines := strings.Split(strings.TrimSpace(textOf(v)), "\n")
	slices.Sort(lines)
	return lines
}

// Random changes through all that a Pipeline offers, and restarts between them,
// give what a map of records says; and the history is what was.
func TestModel(t *testing.T) {
	fewChecks(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := &rig{t: t, dir: t.TempDir(), now: time.Now}
		r.url = "sqlite:" + r.dir + "/onoma.db"
		m := newModelRun(rt, r)
		defer func() { r.stop() }()
		steps := map[string]func(*rapid.T){"": m.check, "together": m.Together, "all": m.AllOrNone, "whole": m.Whole, "back": m.Back, "restart": m.Restart}
		rt.Repeat(steps)
		for _, z := range m.zones {
			m.checkHistory(rt, z)
		}
	})
}

func (m *modelRun) checkHistory(t *rapid.T, z *modelZone) {
	ctx := context.Background()
	log, err := m.r.Log(ctx, z.id, 0, 1000)
	if err != nil || len(log) != len(z.versions) {
		t.Fatalf("%s: %d versions in the log, expected %d, %v", z.id, len(log), len(z.versions), err)
	}
	for _, e := range log {
		if e.Serial != z.serials[e.Number] {
			t.Fatalf("%s: version %d has serial %d in the log, and %d in its receipt", z.id, e.Number, e.Serial, z.serials[e.Number])
		}
		v, err := m.r.At(ctx, z.id, e.Number)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(z.lines(e.Number), linesOf(v)); diff != "" {
			t.Fatalf("%s version %d:\n%s", z.id, e.Number, diff)
		}
		d, err := m.r.Delta(ctx, z.id, log[0].Number, e.Number)
		if err != nil || !isSame(d, z.versions[log[0].Number], z.versions[e.Number]) {
			t.Fatalf("%s: from version %d to %d: %v, %v", z.id, log[0].Number, e.Number, d, err)
		}
	}
}

// isSame reports whether d, the SOA apart, leads from one set of records to another.
func isSame(d zone.Delta, from, to map[string]bool) bool {
	now := maps.Clone(from)
	for _, r := range d.Removed {
		delete(now, r.String())
	}
	for _, r := range d.Added {
		if r.Type != dns.TypeSOA {
			now[r.String()] = true
		}
	}
	return maps.Equal(now, to)
}

// fewChecks has rapid make few runs, as each opens databases, unless the command
// line says how many.
func fewChecks(t *testing.T) {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	n := "15"
	if testing.Short() {
		n = "3"
	}
	if said {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
}
