package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

// version reads a zone.
func version(t testing.TB, origin, text string) *zone.Version {
	t.Helper()
	o := dns.MustName(origin)
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: o}), o)
	if err != nil || v == nil {
		t.Fatalf("zone %s: %v, %v", origin, findings, err)
	}
	return v
}

const head = "@ 0 SOA invalid. invalid. 1 3600 600 2147483646 0\n@ 0 NS invalid.\n"

// catz is a catalog zone with the lines below its head.
func catz(t testing.TB, origin string, lines ...string) *zone.Version {
	t.Helper()
	return version(t, origin, "$ORIGIN "+origin+"\n$TTL 0\n"+head+"version 0 TXT \"2\"\n"+strings.Join(lines, "\n")+"\n")
}

func id(name string) zone.ID { return zone.IDOf("", dns.MustName(name)) }

var clock = time.Unix(1_700_000_000, 0)

// consumer follows catalogs; taken are zones of the configuration.
func consumer(t testing.TB, taken map[zone.ID]bool, catalogs ...string) *Consumer {
	t.Helper()
	c := NewConsumer(func(id zone.ID) bool { return taken[id] }, func() time.Time { return clock })
	for _, name := range catalogs {
		c.AddCatalog(Settings{Catalog: id(name)})
	}
	return c
}

// update returns the actions as text.
func update(t testing.TB, c *Consumer, v *zone.Version) (lines []string) {
	t.Helper()
	actions, err := c.Update(zone.IDOf("", v.Origin()), v)
	if err != nil {
		t.Fatal(err)
	}
	return texts(actions)
}

func texts(actions []Action) (lines []string) {
	for _, a := range actions {
		lines = append(lines, a.String())
	}
	return lines
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions (-expected +got):\n%s", diff)
	}
}

// TestExample reads the catalog of Appendix A.
func TestExample(t *testing.T) {
	v := version(t, "catalog.invalid.", `
catalog.invalid.                   0 SOA invalid. invalid. 1625079950 3600 600 2147483646 0
catalog.invalid.                   0 NS invalid.
example.vendor.ext.catalog.invalid. 0 CNAME example.net.
version.catalog.invalid.           0 TXT "2"
nj2xg5b.zones.catalog.invalid.     0 PTR example.com.
nvxxezj.zones.catalog.invalid.     0 PTR example.net.
group.nvxxezj.zones.catalog.invalid. 0 TXT ( "operator-x-foo" )
nfwxa33.zones.catalog.invalid.     0 PTR example.org.
coo.nfwxa33.zones.catalog.invalid. 0 PTR newcatz.invalid.
group.nfwxa33.zones.catalog.invalid. 0 TXT "operator-y-bar"
metrics.vendor.ext.nfwxa33.zones.catalog.invalid. 0 CNAME collector.example.net.
`)
	got, odd, err := Read(v)
	if err != nil || len(odd) > 0 {
		t.Fatalf("Read: %v, %v", odd, err)
	}
	name := dns.MustName
	want := []Member{
		{Zone: name("example.org."), Label: "nfwxa33", Groups: []string{"operator-y-bar"}, NewOwner: name("newcatz.invalid.")},
		{Zone: name("example.com."), Label: "nj2xg5b"},
		{Zone: name("example.net."), Label: "nvxxezj", Groups: []string{"operator-x-foo"}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(dns.Name.Equal)); diff != "" {
		t.Errorf("members (-expected +got):\n%s", diff)
	}
}

// TestReadDetails: what RFC 9432 allows beside the example.
func TestReadDetails(t *testing.T) {
	long := strings.Repeat("g", 200)
	v := catz(t, "C.Invalid.",
		`A.Zones 0 PTR Example.COM.`,
		`a.zones 0 TXT "ignored"`,
		`GROUP.a.zones 0 TXT "operator-y" "bar"`, // §4.3.2: one value
		`group.a.zones 0 TXT "operator-x-foo"`,
		`b.zones 0 PTR .`,
		`group.b.zones 0 TXT "`+long+`" "`+long+`"`,
		`group.c.zones 0 TXT "of no member"`,
		`coo.c.zones 0 PTR of.no.member.`,
		`x.a.b.zones 0 PTR deeper.`,
	)
	got, odd, err := Read(v)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got[0].Groups)
	want := []Member{
		{Zone: dns.MustName("example.com."), Label: "a", Groups: []string{"operator-x-foo", "operator-ybar"}},
		{Zone: dns.Root, Label: "b"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(dns.Name.Equal)); diff != "" {
		t.Errorf("members (-expected +got):\n%s", diff)
	}
	if len(odd) != 1 || odd[0].Code != "long-group" {
		t.Errorf("findings %v, expected that one group is too long", odd)
	}
}

// TestBroken: catalogs that must not be processed, which leave the members as they were.
func TestBroken(t *testing.T) {
	good := []string{"a.zones 0 PTR a.example.", "b.zones 0 PTR b.example."}
	plain := func(lines ...string) *zone.Version {
		return version(t, "c.", "$ORIGIN c.\n$TTL 0\n"+head+strings.Join(append(lines, good...), "\n")+"\n")
	}
	for code, v := range map[string]*zone.Version{
		"no-version":       plain(),
		"several-versions": plain(`version TXT "2"`, `version TXT "1"`),
		"unknown-version":  plain(`version TXT "1"`),
		"several-targets":  catz(t, "c.", append(good, "a.zones 0 PTR other.example.")...),
		"several-owners":   catz(t, "c.", append(good, "coo.a.zones 0 PTR x.", "coo.a.zones 0 PTR y.")...),
		"duplicate-member": catz(t, "c.", append(good, "z.zones 0 PTR A.example.")...),
	} {
		t.Run(code, func(t *testing.T) {
			for _, edited := range []bool{false, true} {
				c := consumer(t, nil, "c.")
				first := catz(t, "c.", good...)
				expect(t, update(t, c, first), "add a.example. by c.", "add b.example. by c.")
				bad := v
				if edited {
					bad = editedTo(t, first, v)
				}
				_, err := c.Update(id("c."), bad)
				var broken *Broken
				if !errors.As(err, &broken) || broken.Findings[0].Code != code {
					t.Errorf("error %v, expected a catalog that is broken by %s", err, code)
				}
				if listed, owned := c.Members(id("c.")); listed != 2 || owned != 2 {
					t.Errorf("%d listed and %d owned, expected that both stay", listed, owned)
				}
				// Once it is mended, what has changed since the last good version counts.
				expect(t, update(t, c, editedTo(t, bad, catz(t, "c.", good[0], "n.zones 0 PTR n.example."))),
					"remove b.example. by c.", "add n.example. by c.")
			}
		})
	}
}

// TestMost: a catalog that grows beyond what is allowed is not followed until it shrinks again.
func TestMost(t *testing.T) {
	c := consumer(t, nil)
	c.AddCatalog(Settings{Catalog: id("c."), Most: 2})
	a, b, d := "a.zones 0 PTR a.example.", "b.zones 0 PTR b.example.", "d.zones 0 PTR d.example."
	expect(t, update(t, c, catz(t, "c.", a, b)), "add a.example. by c.", "add b.example. by c.")
	var broken *Broken
	if _, err := c.Update(id("c."), catz(t, "c.", a, b, d)); !errors.As(err, &broken) || broken.Findings[0].Code != "too-many-members" {
		t.Errorf("error %v, expected too many members", err)
	}
	expect(t, update(t, c, catz(t, "c.", a, d)), "remove b.example. by c.", "add d.example. by c.")
}

// editedTo returns a version with the records of to that is edited from from.
func editedTo(t testing.TB, from, to *zone.Version) *zone.Version {
	t.Helper()
	d := zone.Diff(from, to)
	e := from.Edit()
	for _, r := range d.Removed {
		if r.Type != dns.TypeSOA {
			e.Remove(r)
		}
	}
	for _, r := range d.Added {
		if _, err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestChanges: each kind of change of a member, made by an edit and by a whole new zone.
func TestChanges(t *testing.T) {
	first := []string{"a.zones 0 PTR a.example.", `group.a.zones 0 TXT "g1"`, "b.zones 0 PTR b.example."}
	cases := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing", first, nil},
		{"removed", first[:2], []string{"remove b.example. by c."}},
		{"added", append(slices.Clone(first), "c.zones 0 PTR c.example."), []string{"add c.example. by c."}},
		{"another label", []string{first[0], first[1], "b2.zones 0 PTR b.example."}, []string{"reset b.example. by c. fresh"}},
		{"labels swapped", []string{"b.zones 0 PTR a.example.", "a.zones 0 PTR b.example."}, []string{"reset a.example. by c. fresh", "reset b.example. by c. fresh"}},
		{"label of another zone", []string{"a.zones 0 PTR n.example.", first[2]}, []string{"remove a.example. by c.", "add n.example. by c."}},
		{"another group", []string{first[0], `group.a.zones 0 TXT "g2"`, first[2]}, []string{"regroup a.example. groups g2 by c."}},
		{"no group", []string{first[0], first[2]}, []string{"regroup a.example. by c."}},
		{"case", []string{"A.zones 0 PTR A.EXAMPLE.", first[1], first[2]}, nil},
		{"custom property", append(slices.Clone(first), "x.ext.a.zones 0 A 192.0.2.1"), nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for _, edited := range []bool{false, true} {
				c := consumer(t, nil, "c.")
				v := catz(t, "c.", first...)
				update(t, c, v)
				next := catz(t, "c.", tc.lines...)
				if edited {
					next = editedTo(t, v, next)
				}
				expect(t, update(t, c, next), tc.want...)
				expect(t, update(t, c, next))
			}
		})
	}
}

// TestOwnership: several catalogs and the configuration want the same zones.
func TestOwnership(t *testing.T) {
	const z = "m.zones 0 PTR m.example."
	t.Run("clash", func(t *testing.T) {
		c := consumer(t, nil, "c1.", "c2.")
		expect(t, update(t, c, catz(t, "c1.", z)), "add m.example. by c1.")
		expect(t, update(t, c, catz(t, "c2.", z))) // §5.2: ignored
		want := []Clash{{Zone: id("m.example."), Catalog: id("c2."), Owner: id("c1.")}}
		if diff := cmp.Diff(want, c.Clashes(id("c2.")), cmp.Comparer(dns.Name.Equal)); diff != "" {
			t.Error(diff)
		}
		expect(t, update(t, c, catz(t, "c2."))) // §5.3: c1's zone stays
		expect(t, update(t, c, catz(t, "c2.", z)))
		// Without coo the heir's zone is a new one (§5.5).
		expect(t, update(t, c, catz(t, "c1.")), "remove m.example. by c1.", "add m.example. by c2. fresh")
	})
	for _, tc := range []struct{ label, fresh string }{{"m", ""}, {"other", " fresh"}} {
		t.Run("change of ownership to label "+tc.label, func(t *testing.T) {
			heir := tc.label + ".zones 0 PTR m.example."
			c := consumer(t, nil, "c1.", "c2.")
			update(t, c, catz(t, "c1.", z))
			expect(t, update(t, c, catz(t, "c1.", z, "coo.m.zones 0 PTR C2."))) // nothing until c2 has it
			expect(t, update(t, c, catz(t, "c2.", heir)), "migrate m.example. from c1. by c2."+tc.fresh)
			if got := c.Clashes(id("c1.")); len(got) > 0 {
				t.Errorf("%v is reported, though it is as c1 wants it", got)
			}
			expect(t, update(t, c, catz(t, "c1.")))
			expect(t, update(t, c, catz(t, "c2.")), "remove m.example. by c2.")
		})
	}
	t.Run("change of ownership to a catalog that lists it already", func(t *testing.T) {
		c := consumer(t, nil, "c1.", "c2.")
		update(t, c, catz(t, "c1.", z))
		update(t, c, catz(t, "c2.", z))
		expect(t, update(t, c, catz(t, "c1.", z, "coo.m.zones 0 PTR c2.")), "migrate m.example. from c1. by c2.")
	})
	t.Run("change of ownership to a third", func(t *testing.T) {
		c := consumer(t, nil, "c1.", "c2.")
		update(t, c, catz(t, "c1.", z, "coo.m.zones 0 PTR c3."))
		expect(t, update(t, c, catz(t, "c2.", z)))
	})
	t.Run("configuration", func(t *testing.T) {
		taken := map[zone.ID]bool{id("m.example."): true}
		c := consumer(t, taken, "c1.")
		expect(t, update(t, c, catz(t, "c1.", z)))
		if got := c.Clashes(id("c1.")); len(got) != 1 || got[0].Owner != (zone.ID{}) {
			t.Errorf("clashes %v, expected the configuration's zone", got)
		}
		delete(taken, id("m.example."))
		expect(t, texts(c.Recheck()), "add m.example. by c1.")
		taken[id("m.example.")] = true
		expect(t, texts(c.Recheck()))
		expect(t, update(t, c, catz(t, "c1."))) // the configuration's zone stays
	})
	t.Run("catalog goes", func(t *testing.T) {
		c := consumer(t, nil, "c1.", "c2.")
		update(t, c, catz(t, "c1.", z, "n.zones 0 PTR n.example."))
		update(t, c, catz(t, "c2.", z))
		expect(t, texts(c.RemoveCatalog(id("c1."))), "remove m.example. by c1.", "add m.example. by c2. fresh", "remove n.example. by c1.")
	})
	t.Run("views", func(t *testing.T) {
		c := consumer(t, nil)
		for _, view := range []string{"inside", "outside"} {
			c.AddCatalog(Settings{Catalog: zone.IDOf(view, dns.MustName("c."))})
		}
		for _, view := range []string{"inside", "outside"} {
			actions, err := c.Update(zone.IDOf(view, dns.MustName("c.")), catz(t, "c.", z))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, texts(actions), fmt.Sprintf("add m.example.@%s by c.@%[1]s", view))
		}
	})
}

// TestRestart: after the state is written and read nothing is to be done again, and what was to be done is still.
func TestRestart(t *testing.T) {
	c := consumer(t, nil, "c1.", "c2.")
	c.AddCatalog(Settings{Catalog: id("c1."), Keep: time.Hour})
	v1 := catz(t, "c1.", "a.zones 0 PTR a.example.", `group.a.zones 0 TXT "g"`, "b.zones 0 PTR b.example.", "coo.b.zones 0 PTR x.", "r.zones 0 PTR r.example.", "g.zones 0 PTR g.example.")
	v2 := catz(t, "c2.", "a.zones 0 PTR a.example.", "c.zones 0 PTR c.example.")
	update(t, c, v1)
	update(t, c, v2)
	v1 = catz(t, "c1.", "a.zones 0 PTR a.example.", `group.a.zones 0 TXT "g"`, "b.zones 0 PTR b.example.", "coo.b.zones 0 PTR x.", "r2.zones 0 PTR r.example.")
	update(t, c, v1) // r is to be reset, g to be removed

	now := restarted(t, c, "c1.", "c2.")
	expect(t, update(t, now, v1))
	expect(t, update(t, now, v2))
	for _, zoneName := range []string{"a.example.", "b.example.", "c.example.", "r.example.", "g.example.", "other."} {
		was, ok := c.Next(id(zoneName))
		is, still := now.Next(id(zoneName))
		was.reset, is.reset = 0, 0
		if ok != still || fmt.Sprint(was) != fmt.Sprint(is) {
			t.Errorf("%s: %v %+v, expected %v %+v", zoneName, still, is, ok, was)
		}
	}
	if got := now.Clashes(id("c2.")); len(got) != 1 {
		t.Errorf("clashes %v, expected that of a.example.", got)
	}
	expect(t, update(t, now, catz(t, "c1.", "b.zones 0 PTR b.example.", "g.zones 0 PTR g.example.")),
		"remove a.example. by c1.", "add a.example. by c2. fresh", "remove r.example. by c1.", "add g.example. by c1.") // g has its data still
}

// restarted returns another Consumer with all state of c.
func restarted(t testing.TB, c *Consumer, catalogs ...string) *Consumer {
	t.Helper()
	now := consumer(t, nil, catalogs...)
	for _, name := range catalogs {
		c.Spoil(id(name))
		for _, data := range c.Dirty(id(name)) {
			if err := now.Restore(id(name), data); err != nil {
				t.Fatal(err)
			}
		}
	}
	return now
}

// TestStateIsDivided: one member's change writes one part.
func TestStateIsDivided(t *testing.T) {
	c := consumer(t, nil, "c.")
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("l%d.zones 0 PTR z%d.example.", i, i))
	}
	update(t, c, catz(t, "c.", lines...))
	all := c.Dirty(id("c."))
	sum := 0
	for _, part := range all {
		sum += len(part)
	}
	if len(all) < Parts*9/10 || c.Dirty(id("c.")) != nil {
		t.Errorf("%d parts, expected nearly %d, once", len(all), Parts)
	}
	update(t, c, catz(t, "c.", lines[1:]...))
	for _, part := range c.Dirty(id("c.")) {
		if len(part) > sum/50 {
			t.Errorf("one member's change writes %d of %d octets", len(part), sum)
		}
	}
}

// FuzzRestore: any octets are read or refused.
func FuzzRestore(f *testing.F) {
	c := consumer(f, nil, "c.")
	update(f, c, catz(f, "c.", "a.zones 0 PTR a.example.", `group.a.zones 0 TXT "g"`, "coo.a.zones 0 PTR x."))
	for _, data := range c.Dirty(id("c.")) {
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte{1, 1, 1, 0, 0, 0, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := consumer(t, nil, "c.")
		if err := c.Restore(id("c."), data); err != nil {
			return
		}
		c.Spoil(id("c."))
		again := restarted(t, c, "c.")
		if a, b := slices.Collect(c.Owned()), slices.Collect(again.Owned()); !slices.Equal(a, b) {
			t.Errorf("%v are owned, and after another restart %v", a, b)
		}
	})
}

func TestTemplates(t *testing.T) {
	known := map[string]string{"g1": "t1", "g2": "t2"}
	for _, tc := range []struct {
		t      Templates
		groups []string
		want   string
		ok     bool
	}{
		{Templates{Groups: known, Default: "d", Unknown: "u"}, nil, "d", true},
		{Templates{Groups: known, Default: "d", Unknown: "u"}, []string{"x", "g2", "g1"}, "t2", true},
		{Templates{Groups: known, Default: "d", Unknown: "u"}, []string{"x"}, "u", true},
		{Templates{Groups: known, Default: "d"}, []string{"x"}, "d", true},
		{Templates{Groups: known, Default: "d", Strict: true}, []string{"x"}, "", false},
		{Templates{Groups: known, Default: "d", Strict: true}, nil, "d", true},
	} {
		if got, ok := tc.t.For(tc.groups); got != tc.want || ok != tc.ok {
			t.Errorf("%+v of %v: %q %v, expected %q %v", tc.t, tc.groups, got, ok, tc.want, tc.ok)
		}
	}
}
