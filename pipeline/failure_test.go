package pipeline

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"onoma/dns"
	"onoma/pipeline/gate"
	"onoma/store"
	"onoma/zone"
)

var otherID = zone.IDOf("", dns.MustName("other."))

// A snapshot that is damaged, of another version, or gone makes a start slower, and
// nothing else.
func TestBadSnapshots(t *testing.T) {
	tld, v := tldVersion(t, 10_000)
	spec := ZoneSpec{ID: zone.IDOf("", tld.Origin)}
	r := newRig(t, spec)
	r.must(replace(v))
	r.must(add(spec.ID, "new.bench. 300 IN A 192.0.2.1"))
	want := r.text(spec.ID)
	for name, spoil := range map[string]func(path string){
		"none":      func(string) {},
		"damaged":   func(path string) { flip(t, path) },
		"truncated": func(path string) { must(t, os.Truncate(path, 1000)) },
		"gone":      func(path string) { must(t, os.Remove(path)) },
		"of the future": func(path string) {
			must(t, os.Rename(path, strings.Replace(path, "-2-", "-7-", 1)))
		},
		"of another past": func(path string) {
			must(t, os.Rename(path, path[:strings.LastIndex(path, "-")]+"-12345.snapshot"))
		},
	} {
		r.stop()
		paths, err := filepath.Glob(filepath.Join(r.dir, "zones", "*-2-*.snapshot"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: the snapshots are %v, %v", name, paths, err)
		}
		spoil(paths[0])
		r.start(spec)
		if r.text(spec.ID) != want {
			t.Errorf("%s: the zone is another one than before", name)
		}
		st, _ := r.lookup(spec.ID)
		if used := st.snapshot != 0; used != (name == "none") {
			t.Errorf("%s: the snapshot was used: %v", name, used)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip damages one octet in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

// A zone whose history is damaged is not served; others are. It can be removed and
// added anew.
func TestDamagedHistory(t *testing.T) {
	specs := []ZoneSpec{{ID: exampleID}, {ID: otherID}}
	r := newRig(t, specs...)
	r.must(replace(version(t, "example.", 1)))
	r.must(replace(version(t, "other.", 1)))
	r.must(add(exampleID, "a.example. 300 IN A 192.0.2.1"))
	row, _ := r.Row(exampleID)
	r.stop()
	db, err := sql.Open("sqlite", filepath.Join(r.dir, "onoma.db"))
	must(t, err)
	_, err = db.Exec("UPDATE versions SET delta = ? WHERE zone = ? AND number = 2", bytes.Repeat([]byte{1}, 40), row)
	must(t, err)
	must(t, db.Close())

	r.start(specs...)
	if r.Zone(exampleID).Current() != nil || r.Broken(exampleID) == nil {
		t.Error("a zone with a damaged history is served")
	}
	if r.Zone(otherID).Current() == nil {
		t.Error("the other zone is not served")
	}
	if _, err := r.submit(add(exampleID, "b.example. 300 IN A 192.0.2.1")); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a change of the damaged zone: %v, expected ErrCorrupt", err)
	}
	must(t, r.Remove(context.Background(), exampleID, true))
	_, err = r.Add(context.Background(), ZoneSpec{ID: exampleID})
	must(t, err)
	if got := r.must(replace(version(t, "example.", 9))); got.Version != 1 || got.Serial != 9 {
		t.Errorf("the zone that was added anew has %+v", got)
	}
}

// Without a checkpoint that can be read a zone is made from all of its history.
func TestDamagedCheckpoint(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	historyOf(t, r)
	st, _ := r.lookup(exampleID)
	must(t, r.writeCheckpoint(context.Background(), st))
	r.must(add(exampleID, "late.example. 300 IN A 192.0.2.1"))
	want := r.text(exampleID)
	r.stop()
	db, err := sql.Open("sqlite", filepath.Join(r.dir, "onoma.db"))
	must(t, err)
	res, err := db.Exec("UPDATE parts SET data = ?", []byte("nonsense"))
	must(t, err)
	if n, _ := res.RowsAffected(); n != 1 {
		t.Fatalf("%d parts were damaged, expected 1", n)
	}
	must(t, db.Close())
	r.start(spec)
	if got := r.text(exampleID); got != want {
		t.Errorf("there is\n%s, expected\n%s", got, want)
	}
}

// Without room on the disk changes are refused, and service goes on; with room they
// go on too.
func TestDiskFull(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	r.must(replace(version(t, "example.", 1)))
	r.stop()
	dir := filepath.Join(r.dir, "small")
	must(t, os.Mkdir(dir, 0o700))
	unmount := smallDisk(t, dir)
	defer unmount()
	r.dir, r.url = dir, "sqlite:"+filepath.Join(dir, "onoma.db")
	r.start(spec)
	defer func() { r.stop() }()
	r.must(replace(version(t, "example.", 1)))
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	failed, acknowledged := 0, 0
	for i := range 200 {
		_, err := r.submit(add(exampleID, fmt.Sprintf("n%d.example. 300 IN TXT %s", i, strings.Repeat("x", 200))))
		switch {
		case err == nil:
			acknowledged++
		case errors.Is(err, store.ErrStorage):
			failed++
		default:
			t.Fatal(err)
		}
	}
	if failed == 0 {
		t.Error("200 changes have found room on a full disk")
	}
	if got := strings.Count(r.text(exampleID), "TXT"); got != acknowledged {
		t.Errorf("%d records are served, and %d changes were acknowledged", got, acknowledged)
	}
	must(t, os.Remove(filler))
	r.must(add(exampleID, "after.example. 300 IN TXT x"))
	r.restart(spec)
	if got := strings.Count(r.text(exampleID), "TXT"); got != acknowledged+1 {
		t.Errorf("after a restart there are %d records, expected %d", got, acknowledged+1)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 16, 1 << 9} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
}

// A zone of thousands of records, and a command that takes its time, hold up the
// changes of their own zone only.
func TestLongChangesHoldUpNobodyElse(t *testing.T) {
	hurdle := filepath.Join(t.TempDir(), "go")
	slow := &gate.Rules{Command: []string{"/bin/sh", "-c", "while ! test -e " + hurdle + "; do sleep 0.01; done"}, Timeout: 20 * time.Second}
	r := newRig(t, ZoneSpec{ID: exampleID}, ZoneSpec{ID: otherID})
	r.must(replace(version(t, "example.", 1)))
	r.must(replace(version(t, "other.", 1)))
	must(t, r.Configure(ZoneSpec{ID: exampleID, Gate: slow}))

	type result struct {
		r   []zone.Receipt
		err error
	}
	first, second := make(chan result, 1), make(chan result, 1)
	r.Enqueue([]zone.Change{add(exampleID, "a.example. 300 IN A 192.0.2.1")}, func(rs []zone.Receipt, err error) { first <- result{rs, err} })
	r.Enqueue([]zone.Change{add(exampleID, "b.example. 300 IN A 192.0.2.1")}, func(rs []zone.Receipt, err error) { second <- result{rs, err} })
	r.must(add(otherID, "a.other. 300 IN A 192.0.2.1"))
	select {
	case got := <-first:
		t.Fatalf("the command had no say: %+v", got)
	default:
	}
	must(t, os.WriteFile(hurdle, nil, 0o600))
	a, b := <-first, <-second
	if a.err != nil || b.err != nil || a.r[0].Version != 2 || b.r[0].Version != 3 {
		t.Errorf("%+v, %+v", a, b)
	}
}

// An edit of thousands of records, and one of large ones, are prepared beside, and
// staged, and come out as any other.
func TestLongEdits(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	r.must(replace(version(t, "example.", 1)))
	var many, large []string
	for i := range 3 * quickSteps {
		many = append(many, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
	}
	for i := range 20 {
		large = append(large, fmt.Sprintf("l%d.example. 300 IN TXT%s", i, strings.Repeat(" "+strings.Repeat("x", 250), 80)))
	}
	if got := r.must(add(exampleID, many...)); got.Added != len(many)+1 {
		t.Errorf("%+v", got)
	}
	if got := r.must(add(exampleID, large...)); got.Version != 3 || got.Added != len(large)+1 {
		t.Errorf("%+v", got)
	}
	want := r.text(exampleID)
	r.restart(spec)
	if r.text(exampleID) != want {
		t.Error("after a restart the zone is another one")
	}
	v, err := r.At(context.Background(), exampleID, 2)
	if err != nil || strings.Contains(textOf(v), "TXT") || !strings.Contains(textOf(v), "n2999") {
		t.Errorf("version 2 is wrong: %v", err)
	}
}

// A zone that is replaced by quite another one, large and small.
func TestReplacedByAnother(t *testing.T) {
	for _, n := range []int{3, 2000} {
		spec := ZoneSpec{ID: exampleID}
		r := newRig(t, spec)
		lines := func(address string) (out []string) {
			for i := range n {
				out = append(out, fmt.Sprintf("n%d.example. 300 IN A %s", i, address))
			}
			return out
		}
		r.must(replace(version(t, "example.", 5, lines("192.0.2.1")...)))
		serial := r.Zone(exampleID).Current().Serial()
		got := r.must(replace(version(t, "example.", 3, lines("192.0.2.2")...)))
		if got.Version != 2 || got.Serial != 6 || got.Added != n+1 || !strings.Contains(got.Note, "not newer than 5") {
			t.Errorf("%d records: %+v", n, got)
		}
		if d, ok := r.Zone(exampleID).Since(serial, 6, 1<<30); n < 10 && (!ok || d.Count() != 2*n+2) {
			t.Errorf("%d records: there is no difference for IXFR: %v", n, ok)
		}
		c := replace(version(t, "example.", 6, lines("192.0.2.3")...))
		c.KeepSerial = true
		var refusal *zone.Refusal
		if _, err := r.submit(c); !errors.As(err, &refusal) || refusal.Rule != "serial" {
			t.Errorf("a transfer with the same serial number: %v, expected a refusal", err)
		}
		want := r.text(exampleID)
		r.restart(spec)
		if r.text(exampleID) != want {
			t.Errorf("%d records: after a restart the zone is another one", n)
		}
	}
}

// After a restart the differences for IXFR reach back to before it.
func TestDifferencesAreRecalled(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	historyOf(t, r)
	want, ok := r.Zone(exampleID).Since(1, 5, 1<<20)
	if !ok {
		t.Fatal("there are no differences")
	}
	r.restart(spec)
	r.must(add(exampleID, "late.example. 300 IN A 192.0.2.1"))
	r.Recall(context.Background(), exampleID)
	got, ok := r.Zone(exampleID).Since(1, 5, 1<<20)
	if !ok || got.Count() != want.Count() {
		t.Errorf("%d records, expected %d", got.Count(), want.Count())
	}
	if got, ok = r.Zone(exampleID).Since(1, 6, 1<<20); !ok || got.Count() != want.Count()+1 {
		t.Errorf("to the newest: %d records, expected %d", got.Count(), want.Count()+1)
	}
}

// TestChangeOfWithdrawn: a zone that has expired can be changed, and is served then.
func TestChangeOfWithdrawn(t *testing.T) {
	r := newRig(t, ZoneSpec{ID: exampleID})
	r.must(replace(version(t, "example.", 1)))
	r.Zone(exampleID).Withdraw()
	if got := r.must(add(exampleID, "a.example. 300 IN A 192.0.2.1")); got.Version != 2 {
		t.Errorf("a change while the zone is withdrawn gives %+v", got)
	}
	if v := r.Zone(exampleID).Current(); v == nil || v.Serial() != 2 {
		t.Errorf("the next version does not end it: %v", v)
	}
}

func TestRemovedZonesComeBack(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, ZoneSpec{ID: exampleID})
	historyOf(t, r)
	z := r.Zone(exampleID)
	must(t, r.Remove(ctx, exampleID, false))
	if z.Current() != nil || r.Zone(exampleID) != nil {
		t.Error("a removed zone is served")
	}
	_, err := r.Add(ctx, ZoneSpec{ID: exampleID})
	must(t, err)
	if n, v, _ := r.Head(exampleID); n != 5 || v == nil {
		t.Errorf("it comes back with version %d", n)
	}
	must(t, r.Remove(ctx, exampleID, true))
	_, err = r.Add(ctx, ZoneSpec{ID: exampleID})
	must(t, err)
	if n, v, _ := r.Head(exampleID); n != 0 || v != nil {
		t.Errorf("what was forgotten comes back with version %d", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	p := New(Options{Queue: 2}) // not running
	refused := 0
	for range 5 {
		p.Enqueue([]zone.Change{add(exampleID)}, func(_ []zone.Receipt, err error) {
			if errors.Is(err, zone.ErrBusy) {
				refused++
			}
		})
	}
	if refused != 3 || p.Stats().Queue != 2 {
		t.Errorf("%d were refused and %d wait, expected 3 and 2", refused, p.Stats().Queue)
	}
}
