package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/zone"
)

var author = zone.Author{Name: "test"}

// producer draws its lots from a seeded generator.
func producer(name string) *Producer {
	random := rand.New(rand.NewPCG(1, 2))
	return &Producer{Catalog: id(name), Random: func(b []byte) {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	}}
}

// make applies a change as the pipeline would.
func made(t testing.TB, v *zone.Version, c zone.Change, err error) *zone.Version {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if c.By.Door != zone.DoorCatalog {
		t.Fatalf("door %q, expected %q", c.By.Door, zone.DoorCatalog)
	}
	if c.Replace != nil {
		return c.Replace
	}
	e := v.Edit()
	if err := c.Edit(e); err != nil {
		t.Fatal(err)
	}
	next, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func names(ss ...string) (list []dns.Name) {
	for _, s := range ss {
		list = append(list, dns.MustName(s))
	}
	return list
}

// labels are those of the members by zone.
func labels(t testing.TB, v *zone.Version) map[string]string {
	t.Helper()
	members, odd, err := Read(v)
	if err != nil || len(odd) > 0 {
		t.Fatal(err, odd)
	}
	m := make(map[string]string)
	for _, e := range members {
		m[e.Zone.String()] = e.Label
	}
	return m
}

func TestProducer(t *testing.T) {
	p := producer("c.invalid.")
	change, err := p.Create(author)
	v := made(t, nil, change, err)
	if _, findings, err := Read(v); err != nil || len(findings) > 0 {
		t.Fatal(err, findings)
	}
	set := func(wishes ...Wish) {
		t.Helper()
		change, err := p.Set(author, wishes...)
		v = made(t, v, change, err)
	}
	a := Wish{Zone: dns.MustName("A.example."), Groups: []string{"g2", "g1"},
		Custom: []Property{{Name: dns.MustName("metrics.vendor."), Type: dns.TypeCNAME, Data: dns.NewTarget(dns.MustName("x."))}}}
	set(a, Wish{Zone: dns.MustName("b.example.")}, Wish{Zone: dns.Root})
	before, first := v, labels(t, v)
	if len(first) != 3 {
		t.Fatalf("members %v, expected 3", first)
	}
	t.Run("listing again changes nothing", func(t *testing.T) {
		set(a, Wish{Zone: dns.MustName("b.example.")})
		if d := zone.Diff(before, v); !d.IsEmpty() {
			t.Errorf("%+v", d)
		}
	})
	t.Run("one member is one small change", func(t *testing.T) {
		before := v
		set(Wish{Zone: dns.MustName("c.example."), Groups: []string{"g"}})
		if d := zone.Diff(before, v); len(d.Added) != 2 || len(d.Removed) != 0 {
			t.Errorf("%+v, expected a member and its group", d)
		}
	})
	t.Run("labels stay while the rest changes", func(t *testing.T) {
		a.Groups, a.NewOwner, a.Custom = []string{"g3"}, dns.MustName("other.invalid."), nil
		set(a)
		members, _, _ := Read(v)
		i := slices.IndexFunc(members, func(m Member) bool { return m.Zone.String() == "a.example." })
		want := Member{Zone: dns.MustName("a.example."), Label: first["a.example."], Groups: []string{"g3"}, NewOwner: dns.MustName("other.invalid.")}
		if diff := cmp.Diff(want, members[i], cmp.Comparer(dns.Name.Equal)); diff != "" {
			t.Error(diff)
		}
		was := dns.MustName("metrics.vendor.ext." + first["a.example."] + ".zones.c.invalid.")
		if before.Find([]byte(was.Wire())).IsZero() || !v.Find([]byte(was.Wire())).IsZero() {
			t.Errorf("%s: expected before, and not after", was)
		}
	})
	t.Run("reset and return are other labels", func(t *testing.T) {
		change, err := p.Reset(author, names("a.example.")...)
		v = made(t, v, change, err)
		now := labels(t, v)
		if now["a.example."] == first["a.example."] || now["b.example."] != first["b.example."] {
			t.Errorf("labels %v, before %v, expected another one for a.example. alone", now, first)
		}
		change, err = p.Remove(author, names("B.example.", "unknown.example.")...)
		v = made(t, v, change, err)
		if _, there := labels(t, v)["b.example."]; there {
			t.Error("b.example. is still there")
		}
		set(Wish{Zone: dns.MustName("b.example.")})
		if again := labels(t, v)["b.example."]; again == "" || again == first["b.example."] {
			t.Errorf("label %q, before %q, expected another one", again, first["b.example."])
		}
	})
	t.Run("what cannot be is refused", func(t *testing.T) {
		if _, err := p.Set(author, Wish{}); err == nil {
			t.Error("a member without a name is taken")
		}
		if _, err := p.Set(author, Wish{Zone: dns.Root, Groups: []string{strings.Repeat("g", 256)}}); err == nil {
			t.Error("a group of 256 octets is taken")
		}
		change, _ := p.Reset(author, names("unknown.")...)
		if err := change.Edit(v.Edit()); !errors.Is(err, zone.ErrUnknown) {
			t.Errorf("error %v, expected that the zone is unknown", err)
		}
		change, _ = p.Set(author, a)
		other := version(t, "c.invalid.", "$ORIGIN c.invalid.\n$TTL 0\n"+head)
		if err := change.Edit(other.Edit()); !errors.Is(err, ErrNoCatalog) {
			t.Errorf("error %v, expected that the zone is no catalog", err)
		}
	})
}

// TestSyncAdopts: a catalog that another program has made becomes ours.
func TestSyncAdopts(t *testing.T) {
	p := producer("c.")
	v := catz(t, "c.", "a.zones 0 PTR a.example.", `group.a.zones 0 TXT "g"`, "b.zones 0 PTR b.example.")
	wishes := []Wish{{Zone: dns.MustName("a.example."), Groups: []string{"g"}}, {Zone: dns.MustName("n.example.")}}
	change, err := p.Sync(author, wishes)
	v = made(t, v, change, err)
	if got := slices.Sorted(maps.Keys(labels(t, v))); !slices.Equal(got, []string{"a.example.", "n.example."}) {
		t.Errorf("members %v", got)
	}
	before := v
	change, err = p.Sync(author, wishes)
	if d := zone.Diff(before, made(t, v, change, err)); !d.IsEmpty() {
		t.Errorf("the second time: %+v", d)
	}
}

// TestProducerAndConsumer: whatever is done at the producer, the consumer's zones are the same, whether it sees every version,
// some, edited ones or new ones, and is restarted in between.
func TestProducerAndConsumer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := producer("c.")
		v, err := Empty(dns.MustName("c."))
		if err != nil {
			t.Fatal(err)
		}
		c := consumer(t, nil, "c.")
		want := make(map[string]string) // zone -> groups
		labelsOf := make(map[string]string)
		served := make(map[string]string) // as the actions have it
		pick := rapid.IntRange(0, 12)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			name := fmt.Sprintf("z%d.example.", pick.Draw(rt, "zone"))
			var change zone.Change
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1, 2:
				groups := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"g1", "g2", "g3"}), 0, 2, rapid.ID).Draw(rt, "groups")
				slices.Sort(groups)
				want[name] = strings.Join(groups, ",")
				change, err = p.Set(author, Wish{Zone: dns.MustName(name), Groups: groups})
			case 3:
				delete(want, name)
				change, err = p.Remove(author, dns.MustName(name))
			case 4:
				if _, there := want[name]; !there {
					continue
				}
				change, err = p.Reset(author, dns.MustName(name))
			case 5:
				var all []Wish
				for z, groups := range want {
					w := Wish{Zone: dns.MustName(z)}
					if groups != "" {
						w.Groups = strings.Split(groups, ",")
					}
					all = append(all, w)
				}
				change, err = p.Sync(author, all)
			}
			v = made(t, v, change, err)
			if rapid.Bool().Draw(rt, "restart") {
				c = restarted(t, c, "c.")
			}
			if !rapid.Bool().Draw(rt, "seen") {
				continue
			}
			actions, err := c.Update(id("c."), v)
			if err != nil {
				rt.Fatal(err)
			}
			follow(rt, served, labelsOf, actions)
			if diff := cmp.Diff(want, served); diff != "" {
				rt.Fatalf("zones (-producer +consumer):\n%s\nactions %v", diff, texts(actions))
			}
			if diff := cmp.Diff(labels(t, v), labelsOf); diff != "" {
				rt.Fatalf("labels (-catalog +told by actions):\n%s", diff)
			}
		}
	})
}

// follow does what actions say.
func follow(rt *rapid.T, served, labelsOf map[string]string, actions []Action) {
	for _, a := range actions {
		name := a.Zone.String()
		_, there := served[name]
		switch a.Kind {
		case Add:
			if there {
				rt.Fatalf("%v, which is there", a)
			}
		case Remove:
			delete(served, name)
			delete(labelsOf, name)
			fallthrough
		default:
			if !there {
				rt.Fatalf("%v, which is not there", a)
			}
		}
		if a.Kind != Remove {
			groups := slices.Clone(a.Groups)
			slices.Sort(groups)
			served[name], labelsOf[name] = strings.Join(groups, ","), a.Label
		}
	}
}

// large is a catalog with n members.
func large(t testing.TB, p *Producer, n int) *zone.Version {
	t.Helper()
	v, err := Empty(p.Catalog.Name)
	if err != nil {
		t.Fatal(err)
	}
	wishes := make([]Wish, n)
	for i := range wishes {
		wishes[i] = Wish{Zone: dns.MustName(fmt.Sprintf("z%d.example.", i))}
		if i%3 == 0 {
			wishes[i].Groups = []string{"g"}
		}
	}
	change, err := p.Sync(author, wishes)
	return made(t, v, change, err)
}

// BenchmarkLargeCatalog: what one more member costs among 100,000.
func BenchmarkLargeCatalog(b *testing.B) {
	p := producer("c.")
	v := large(b, p, 100_000)
	c := NewConsumer(func(zone.ID) bool { return false }, nil)
	c.AddCatalog(Settings{Catalog: id("c.")})
	if _, err := c.Update(id("c."), v); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		change, err := p.Set(author, Wish{Zone: dns.MustName(fmt.Sprintf("new%d.example.", i))})
		v = made(b, v, change, err)
		if actions, err := c.Update(id("c."), v); err != nil || len(actions) != 1 {
			b.Fatal(err, len(actions))
		}
	}
}

// BenchmarkFirstRead is the first version of 100,000 members after a start.
func BenchmarkFirstRead(b *testing.B) {
	v := large(b, producer("c."), 100_000)
	for b.Loop() {
		c := NewConsumer(func(zone.ID) bool { return false }, nil)
		c.AddCatalog(Settings{Catalog: id("c.")})
		if actions, err := c.Update(id("c."), v); err != nil || len(actions) != 100_000 {
			b.Fatal(err)
		}
		c.Dirty(id("c."))
	}
}
