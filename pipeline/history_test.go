package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/pipeline/gate"
	"onoma/zone"
)

// historyOf makes five versions: a record comes with each, and one goes.
func historyOf(t *testing.T, r *rig) {
	t.Helper()
	r.must(replace(version(t, "example.", 1)))
	for i := range 3 {
		c := add(exampleID, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
		c.By.Name = fmt.Sprintf("user:%d", i)
		r.must(c)
	}
	r.must(remove(exampleID, "n0.example. 300 IN A 192.0.2.1"))
}

func TestHistory(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, ZoneSpec{ID: exampleID})
	historyOf(t, r)
	log, err := r.Log(ctx, exampleID, 0, 3)
	if err != nil || len(log) != 3 || log[0].Number != 5 || log[2].By.Name != "user:1" || log[2].By.Comment != "because" {
		t.Errorf("the log is %+v, %v", log, err)
	}
	d, err := r.Delta(ctx, exampleID, 1, 5)
	if err != nil || len(d.Added) != 3 || len(d.Removed) != 1 || d.Added[0].Type != dns.TypeSOA {
		t.Errorf("from 1 to 5: %v, %v: expected the SOA, n1 and n2", d, err)
	}
	if d, err = r.Delta(ctx, exampleID, 5, 4); err != nil || len(d.Added) != 2 || !d.Added[1].Name.Equal(dns.MustName("n0.example.")) {
		t.Errorf("from 5 back to 4: %v, %v", d, err)
	}
	v, err := r.At(ctx, exampleID, 2)
	if err != nil || v.Serial() != 2 || !strings.Contains(textOf(v), "n0") || strings.Contains(textOf(v), "n1") {
		t.Errorf("version 2 is %v, %v", v, err)
	}
	if blamed, err := r.Blame(ctx, exampleID, dns.MustName("nobody.example.")); len(blamed) > 0 || err != nil {
		t.Errorf("a name without records: %v, %v", blamed, err)
	}
	blamed, err := r.Blame(ctx, exampleID, dns.MustName("n2.example."))
	if err != nil || len(blamed) != 1 || !blamed[0].Known || blamed[0].Since.Number != 4 || blamed[0].Since.By.Name != "user:2" {
		t.Errorf("n2 is blamed on %+v, %v", blamed, err)
	}
	for _, number := range []uint64{0, 6} {
		if _, err := r.At(ctx, exampleID, number); err == nil {
			t.Errorf("there is a version %d", number)
		}
	}
}

func TestRollback(t *testing.T) {
	for _, policy := range []SerialPolicy{SerialIncrement, SerialKeep} {
		r := newRig(t, ZoneSpec{ID: exampleID})
		historyOf(t, r)
		if err := r.Configure(ZoneSpec{ID: exampleID, Serial: policy}); err != nil {
			t.Fatal(err)
		}
		before, err := r.At(context.Background(), exampleID, 3)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Rollback(context.Background(), exampleID, 3, author)
		if err != nil {
			t.Fatal(err)
		}
		got := r.must(c)
		if got.Version != 6 || got.Serial != 6 || got.By.Door != zone.DoorRollback || got.Note != "" {
			t.Errorf("%s: %+v", policy, got)
		}
		if text := r.text(exampleID); text != textOf(before) {
			t.Errorf("%s: rolled back to\n%s, expected\n%s", policy, text, textOf(before))
		}
	}
}

// A rollback may take away more than a change may: it leads to what was served.
func TestRollbackIsNotLimited(t *testing.T) {
	r := newRig(t, ZoneSpec{ID: exampleID, Gate: &gate.Rules{RemoveNames: gate.Limit{Count: 1}}})
	historyOf(t, r)
	before := r.text(exampleID)
	number, _, _ := r.Head(exampleID)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("new%d.example.", i))
		r.must(add(exampleID, names[i]+" 300 IN A 192.0.2.1"))
	}
	_, err := r.Submit(context.Background(), zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
		for _, name := range names {
			e.RemoveName(dns.MustName(name))
		}
		return nil
	}})
	if refusal := new(zone.Refusal); !errors.As(err, &refusal) || refusal.Rule != gate.RuleRemoval {
		t.Errorf("a change that removes five names: %v, expected a refusal", err)
	}
	c, err := r.Rollback(context.Background(), exampleID, number, author)
	if err != nil {
		t.Fatal(err)
	}
	r.must(c)
	if got := zoneWithoutSerial(r.text(exampleID)); got != zoneWithoutSerial(before) {
		t.Errorf("rolled back to\n%s, expected\n%s", got, before)
	}
}

// zoneWithoutSerial returns all lines of a zone but that of the SOA record.
func zoneWithoutSerial(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "SOA") }), "\n")
}

func TestRetention(t *testing.T) {
	ctx := context.Background()
	for name, keep := range map[string]Retention{"by age": {Age: time.Hour}, "by size": {Octets: 1}} {
		t.Run(name, func(t *testing.T) {
			spec := ZoneSpec{ID: exampleID, History: keep}
			r := newRig(t, spec)
			start := time.Now()
			now := start
			r.turn.Lock()
			r.now = func() time.Time { return now }
			r.turn.Unlock()
			historyOf(t, r)
			r.turn.Lock()
			now = start.Add(2 * time.Hour)
			r.turn.Unlock()
			r.must(add(exampleID, "late.example. 300 IN A 192.0.2.1"))
			r.Tidy(ctx)
			_, err := r.At(ctx, exampleID, 2)
			if want := "version 2 of example. is no longer kept: the oldest is 5"; err == nil || err.Error() != want {
				t.Errorf("%v, expected %q", err, want)
			}
			if _, newer := r.At(ctx, exampleID, 1000); !errors.Is(err, zone.ErrNoVersion) || !errors.Is(newer, zone.ErrNoVersion) {
				t.Errorf("a program cannot tell that there is no such version: %v, %v", err, newer)
			}
			want := r.text(exampleID)
			r.restart(spec)
			if got := r.text(exampleID); got != want {
				t.Errorf("after a restart there is\n%s, expected\n%s", got, want)
			}
			if _, err := r.At(ctx, exampleID, 5); err != nil {
				t.Errorf("the version before the newest: %v", err)
			}
			blamed, err := r.Blame(ctx, exampleID, dns.MustName("n1.example."))
			if err != nil || len(blamed) != 1 || blamed[0].Known {
				t.Errorf("a record of the forgotten past: %+v, %v", blamed, err)
			}
		})
	}
}

func TestRefusedVersionsAreKept(t *testing.T) {
	r := newRig(t, ZoneSpec{ID: exampleID})
	r.must(replace(version(t, "example.", 1, "www.example. 300 IN A 192.0.2.1")))
	_, err := r.submit(add(exampleID, "www.example. 300 IN CNAME else.test."))
	var refusal *zone.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("a CNAME beside other records: %v, expected the gate to refuse it", err)
	}
	kept, ok := r.Refused(exampleID)
	if !ok || kept.Refusal != refusal || kept.File == "" {
		t.Fatalf("%+v, %v", kept, ok)
	}
	text := readFile(t, kept.File)
	for _, want := range []string{"; refused ", "user:test", ";+ www.example.\t300\tIN\tCNAME\telse.test."} {
		if !strings.Contains(text, want) {
			t.Errorf("the file does not say %q:\n%s", want, text)
		}
	}
	if s := r.Stats(); s.Changes[Counted{zone.DoorAPI, Rejected}] != 1 || s.Refused[refusal.Rule] != 1 {
		t.Errorf("counted: %+v", s)
	}
	if got := r.must(add(exampleID, "b.example. 300 IN A 192.0.2.1")); got.Version != 2 {
		t.Errorf("the next version is %+v", got)
	}
}
