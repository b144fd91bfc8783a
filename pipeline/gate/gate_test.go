package gate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"

	"pgregory.net/rapid"
)

const top = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"

var id = zone.IDOf("", dns.MustName("example."))

func parse(t testing.TB, text string) *zone.Version {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: id.Name}), id.Name)
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	return v
}

// fast is Fast for the difference of two texts.
func fast(t testing.TB, r Rules, old, new string) *zone.Refusal {
	t.Helper()
	v, w := parse(t, old), parse(t, new)
	return r.Fast(id, v, w, zone.Diff(v, w), nil)
}

// hosts is n names with two records each.
func hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d A 192.0.2.1\nh%d TXT x\n", i, i)
	}
	return b.String()
}

func TestSemantics(t *testing.T) {
	const bad = top + "a CNAME b\na A 192.0.2.1\n"
	for _, c := range []struct {
		name     string
		rules    Rules
		old, new string
		want     string // in the refusal; empty: none
	}{
		{"a change that is good", Rules{}, top, top + "a A 192.0.2.1\n", ""},
		{"a change that brings an error", Rules{}, top, bad, "a.example. CNAME: an alias can have no other records"},
		{"an error that was there", Rules{}, bad, bad + "b TXT x\n", ""},
		{"checks are off", Rules{Checks: CheckOff}, top, bad, ""},
		{"a change that brings a warning", Rules{}, top, top + "a_b A 192.0.2.1\n", ""},
		{"warnings count", Rules{Checks: CheckWarnings}, top, top + "a_b A 192.0.2.1\n", "a_b.example. A: the owner is not the name of a host"},
	} {
		got := fast(t, c.rules, c.old, c.new)
		if (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.name, got, c.want)
		}
	}
	rules := Rules{}
	if got := rules.Fast(id, nil, parse(t, bad), zone.Delta{}, nil); got == nil || got.Rule != RuleSemantics || len(got.Findings) != 1 {
		t.Errorf("a first version with an error: %v, expected a refusal with one finding", got)
	}
	if got := rules.Fast(id, nil, parse(t, top), zone.Delta{}, nil); got != nil {
		t.Errorf("a good first version: %v", got)
	}
}

func TestLimits(t *testing.T) {
	const reverse = "1.2.3.4 PTR a.\n5.2.3.4 PTR b.\n6.7.8.9 PTR c.\n"
	twenty := Rules{RemoveNames: Limit{Share: 0.2}}
	for _, c := range []struct {
		name     string
		rules    Rules
		old, new string
		want     string
	}{
		{"none goes", twenty, top + hosts(8), top + hosts(9), ""},
		{"as many as may", twenty, top + hosts(8), top + hosts(6), ""},
		{"one more than may", twenty, top + hosts(8), top + hosts(5), "remove 3 of 10 names (30 %), allowed are 20 %"},
		{"records go and names stay", twenty, top + hosts(8), top + strings.ReplaceAll(hosts(8), "TXT x", "A 192.0.2.2"), ""},
		{"few are free", Rules{RemoveNames: Limit{Share: 0.2, Free: 3}}, top + hosts(8), top + hosts(5), ""},
		{"a number", Rules{RemoveNames: Limit{Count: 2}}, top + hosts(8), top + hosts(5), "allowed are 2"},
		{"both, the number hits", Rules{RemoveNames: Limit{Share: 0.5, Count: 2}}, top + hosts(8), top + hosts(5), "allowed are 50 %, and 2"},
		{"records", Rules{RemoveRecords: Limit{Share: 0.3}}, top + hosts(8), top + hosts(5), "remove 7 of 19 records"},
		{"growth", Rules{AddRecords: Limit{Share: 1}}, top + hosts(1), top + hosts(8), "add 15 of 5 records (300 %), allowed are 100 %"},
		{"growth that may be", Rules{AddRecords: Limit{Share: 1}}, top + hosts(5), top + hosts(8), ""},
		// example, ns, 4, 3.4, 2.3.4 and two PTR, 9, 8.9, 7.8.9 and one PTR
		{"empty non-terminals count", Rules{RemoveNames: Limit{Count: 1}}, top + reverse, top, "remove 9 of 11 names"},
		{"a subtree", Rules{RemoveNames: Limit{Count: 1}}, top + reverse, top + "1.2.3.4 PTR a.\n5.2.3.4 PTR b.\n", "remove 4 of 11 names"},
		{"a name becomes empty", Rules{RemoveNames: Limit{Share: 0.01}}, top + "a.b A 192.0.2.1\nb A 192.0.2.1\n", top + "a.b A 192.0.2.1\n", "remove 1 of 4 names"},
		{"names are few enough, records are not", Rules{RemoveNames: Limit{Share: 0.5}, RemoveRecords: Limit{Count: 6}}, top + hosts(8), top + hosts(5), "remove 7 of 19 records"},
		{"a rollback", Rules{RemoveNames: Limit{Share: 0.2}}.Unlimited(), top + hosts(8), top, ""},
	} {
		if strings.Contains(c.want, "records") || c.rules.AddRecords.isSet() {
			// The serial number moves, so that the SOA record is in both lists.
			c.new = strings.Replace(c.new, "h 1 2", "h 2 2", 1)
		}
		got := fast(t, c.rules, c.old, c.new)
		if (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.name, got, c.want)
		}
	}
}

// TestVanishedIsWhatIsMissing compares with the names of both versions, one by one.
func TestVanishedIsWhatIsMissing(t *testing.T) {
	labels := []string{"a", "b", "c.a", "d.c.a", "x.y.z", "y.z", "w.y.z", "B.a", "z"}
	draw := func(t *rapid.T, what string) string {
		text := top
		for _, l := range rapid.SliceOfDistinct(rapid.SampledFrom(labels), func(s string) string { return s }).Draw(t, what) {
			text += l + " TXT x\n"
		}
		return text
	}
	rapid.Check(t, func(rt *rapid.T) {
		old, now := parse(t, draw(rt, "old")), parse(t, draw(rt, "new"))
		want := 0
		for n := range old.Nodes() {
			m := now.Find(n.AppendName(nil))
			if m.IsZero() || m.IsENT() && !n.IsENT() {
				want++
			}
		}
		if got := vanished(old, now, zone.Diff(old, now).Removed); got != want {
			rt.Errorf("%d names vanished, expected %d", got, want)
		}
	})
}

func TestFastDoesNotAllocate(t *testing.T) {
	rules := Rules{RemoveNames: Limit{Share: 0.2}, RemoveRecords: Limit{Share: 0.2}, AddRecords: Limit{Share: 2}}
	old, now := parse(t, top+hosts(20)+"x A 192.0.2.9\n"), parse(t, top+hosts(20)+"y A 192.0.2.9\n")
	d := zone.Diff(old, now)
	if n := testing.AllocsPerRun(100, func() {
		if r := rules.Fast(id, old, now, d, nil); r != nil {
			t.Fatal(r)
		}
	}); n > 0 {
		t.Errorf("%v allocations, expected none", n)
	}
}

func TestZONEMD(t *testing.T) {
	digested := func(text string) string {
		v := parse(t, text)
		z := dnssec.DigestZone(v.Origin(), v.Serial(), v.Records(), dnssec.ZONEMDSHA384)[0]
		return fmt.Sprintf("%s@ ZONEMD \\# %d %x\n", text, len(z.Append(nil)), z.Append(nil))
	}
	const unknown = "@ ZONEMD 1 9 1 000000000000000000000000\n"
	for _, c := range []struct {
		name, text string
		rule       ZONEMD
		door       zone.Door
		want       string
	}{
		{"right", digested(top), ZONEMDRequire, zone.DoorTransfer, ""},
		{"wrong", digested(top) + "a A 192.0.2.1\n", ZONEMDVerify, zone.DoorTransfer, "is not that of its ZONEMD record"},
		{"wrong, from a file", digested(top) + "a A 192.0.2.1\n", ZONEMDVerify, zone.DoorFile, "is not that of its ZONEMD record"},
		{"wrong, but by update", digested(top) + "a A 192.0.2.1\n", ZONEMDRequire, zone.DoorUpdate, ""},
		{"wrong, but off", digested(top) + "a A 192.0.2.1\n", ZONEMDOff, zone.DoorTransfer, ""},
		{"another serial", strings.Replace(digested(top), "h 1 2", "h 2 2", 1), ZONEMDVerify, zone.DoorTransfer, "another serial number"},
		{"none", top, ZONEMDVerify, zone.DoorTransfer, ""},
		{"none, and required", top, ZONEMDRequire, zone.DoorTransfer, "has no ZONEMD record"},
		{"unknown", top + unknown, ZONEMDVerify, zone.DoorTransfer, ""},
		{"unknown, and required", top + unknown, ZONEMDRequire, zone.DoorTransfer, "a scheme and a hash algorithm that we know"},
		{"glue, hidden names and a signature", digested(top + "sub NS ns.sub\nns.sub A 192.0.2.1\nx.sub TXT x\n*.W MX 1 A.b\nw TYPE65280 \\# 1 00\n"), ZONEMDRequire, zone.DoorTransfer, ""},
	} {
		r := Rules{ZONEMD: c.rule}
		got := r.Slow(t.Context(), judged(id, nil, parse(t, c.text), c.door))
		if (got == nil) != (c.want == "") || got != nil && (!strings.Contains(got.Error(), c.want) || got.Rule != RuleZONEMD) {
			t.Errorf("%s: %v, expected %q", c.name, got, c.want)
		}
		if slow := r.IsSlow(c.door); slow != (c.rule != ZONEMDOff && c.door != zone.DoorUpdate) {
			t.Errorf("%s: IsSlow is %v", c.name, slow)
		}
	}
}

func judged(id zone.ID, old, now *zone.Version, door zone.Door) Judged {
	return Judged{ID: id, Old: old, New: now, Brought: now, Door: door, At: time.Unix(1800000000, 0)}
}

// script returns a command that runs text in a shell.
func script(text string) []string { return []string{"/bin/sh", "-c", text} }

func TestCommand(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no /bin/sh")
	}
	dir := t.TempDir()
	old, now := parse(t, top), parse(t, strings.Replace(top, "h 1 2", "h 2 2", 1))
	for _, c := range []struct {
		name    string
		command []string
		want    []string // in the refusal; none: it passes
	}{
		{"accepts", script("cat >/dev/null"), nil},
		{"accepts without reading", script("exit 0"), nil},
		{"sees the zone", script("grep -q '^ns.example.[[:space:]].*A[[:space:]]192.0.2.1$'"), nil},
		{"refuses", script("echo no mail servers; echo please add >&2; exit 3"), []string{"ended with status 3", "no mail servers\nplease add"}},
		{"prints much", script("yes | head -c 1000000; echo the end; exit 1"), []string{"...", "the end"}},
		{"prints controls", script(`printf '\033[31mred\377'; exit 1`), []string{"[31mred?"}},
		{"dies of a signal", script("kill -9 $$"), []string{"signal: killed"}},
		{"does not exist", []string{"/nowhere/at-all"}, []string{"/nowhere/at-all failed", "no such file"}},
		{"knows its environment", script(`echo "$ONOMA_ZONE $ONOMA_VIEW $ONOMA_DOOR $ONOMA_OLD_SERIAL $ONOMA_SERIAL $(pwd)"; exit 1`), []string{"example. inside api 1 2 " + dir}},
	} {
		r := Rules{Command: c.command, Dir: dir}
		got := r.Slow(t.Context(), judged(zone.IDOf("inside", id.Name), old, now, zone.DoorAPI))
		if (got == nil) != (c.want == nil) {
			t.Errorf("%s: %v, expected %q", c.name, got, c.want)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(got.Reason, w) || got.Rule != RuleCommand || len(got.Reason) > 2*maxOutput {
				t.Errorf("%s: %v, expected %q in it", c.name, got, w)
			}
		}
	}
}

// TestCommandIsEnded sees to it that the command's children end with it.
func TestCommandIsEnded(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no /bin/sh")
	}
	dir := t.TempDir()
	r := Rules{Command: script("sleep 600 & echo $! >child; echo waiting; wait"), Dir: dir, Timeout: 300 * time.Millisecond}
	begun := time.Now()
	got := r.Slow(t.Context(), judged(id, nil, parse(t, top), zone.DoorAPI))
	if got == nil || !strings.Contains(got.Reason, "was ended after 300ms") || !strings.Contains(got.Reason, "waiting") {
		t.Errorf("%v, expected that its time was over and what it printed", got)
	}
	if took := time.Since(begun); took > afterDeath {
		t.Errorf("it took %v", took)
	}
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	if isRunning(t, strings.TrimSpace(string(child))) {
		t.Errorf("the child %s of the command lives on", child)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := r.Slow(ctx, judged(id, nil, parse(t, top), zone.DoorAPI)); got == nil || !strings.Contains(got.Reason, "context canceled") {
		t.Errorf("%v, expected that there was no time for it", got)
	}
}

// isRunning reports whether a process is there and no zombie; killing is not
// instant, so it gives it a while.
func isRunning(t *testing.T, pid string) bool {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc to look for processes in")
	}
	for range 100 {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

func TestValidate(t *testing.T) {
	for _, r := range []Rules{
		{RemoveNames: Limit{Share: 20}}, {RemoveNames: Limit{Share: -1}}, {AddRecords: Limit{Count: -1}},
		{Checks: 9}, {ZONEMD: 9}, {Command: []string{""}}, {Timeout: -1},
	} {
		if r.Validate() == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	good := Rules{RemoveNames: Limit{Share: 1, Count: 10, Free: 3}, AddRecords: Limit{Share: 9}, Command: []string{"x"}, Timeout: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	var c Checks
	var z ZONEMD
	if err := c.UnmarshalText([]byte("warnings")); err != nil || c != CheckWarnings || c.String() != "warnings" {
		t.Errorf("%v, %v", c, err)
	}
	if err := z.UnmarshalText([]byte("require")); err != nil || z != ZONEMDRequire || z.String() != "require" {
		t.Errorf("%v, %v", z, err)
	}
	if err := z.UnmarshalText([]byte("maybe")); err == nil || !strings.Contains(err.Error(), `expected one of ["off" "verify" "require"]`) {
		t.Errorf("maybe: %v", err)
	}
}

// BenchmarkDigest verifies a zone of a hundred thousand names.
func BenchmarkDigest(b *testing.B) {
	v := parse(b, top+hosts(100_000))
	for b.Loop() {
		dnssec.DigestZone(v.Origin(), 1, v.Records(), dnssec.ZONEMDSHA384)
	}
	b.ReportMetric(float64(v.Stats().Records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
