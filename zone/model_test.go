package zone

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is the slow and obvious zone: a set of records, and everything else by
// looking at all of them. Its names are in lower case.
type model struct {
	origin dns.Name
	sets   map[setKey]modelSet
}

// setKey is an RRset, or the RRSIG records that cover one.
type setKey struct {
	name dns.Name
	typ  dns.Type
	sigs bool
}

type modelSet struct {
	ttl  uint32
	data []string // in canonical order
}

func newModel(origin dns.Name) *model { return &model{origin, map[setKey]modelSet{}} }

func (m *model) clone() *model { return &model{m.origin, maps.Clone(m.sets)} }

func modelKey(r dns.Record) setKey {
	if r.Type == dns.TypeRRSIG {
		return setKey{r.Name, dns.SigCovers(r.Data), true}
	}
	return setKey{r.Name, r.Type, false}
}

func (m *model) add(r dns.Record) (changed bool) {
	k := modelKey(r)
	old := m.sets[k]
	s := modelSet{r.TTL, slices.Clone(old.data)}
	if !k.sigs && (k.typ == dns.TypeSOA || k.typ == dns.TypeCNAME || k.typ == dns.TypeDNAME) {
		s.data = nil
	}
	if !slices.Contains(s.data, string(r.Data)) {
		s.data = append(s.data, string(r.Data))
		slices.Sort(s.data) // what is drawn has no upper case
	}
	m.sets[k] = s
	return old.ttl != s.ttl || !slices.Equal(old.data, s.data)
}

func (m *model) remove(r dns.Record) bool {
	k := modelKey(r)
	s := m.sets[k]
	i := slices.Index(s.data, string(r.Data))
	if i < 0 {
		return false
	}
	s.data = slices.Delete(slices.Clone(s.data), i, i+1)
	m.sets[k] = s
	if len(s.data) == 0 {
		delete(m.sets, k)
	}
	return true
}

func (m *model) removeIf(f func(setKey) bool) bool {
	n := len(m.sets)
	maps.DeleteFunc(m.sets, func(k setKey, _ modelSet) bool { return f(k) })
	return len(m.sets) < n
}

// records returns all records in the order of Version.Records.
func (m *model) records() (rs []dns.Record) {
	keys := slices.Collect(maps.Keys(m.sets))
	order := func(k setKey) int {
		n := 2 * slotOrder(k.typ)
		if k.sigs {
			n++
		}
		return n
	}
	slices.SortFunc(keys, func(a, b setKey) int {
		if c := a.name.Compare(b.name); c != 0 {
			return c
		}
		// NSEC3 owners are nodes of their own, behind the others of that name.
		if x, y := a.typ == dns.TypeNSEC3, b.typ == dns.TypeNSEC3; x != y {
			if x {
				return 1
			}
			return -1
		}
		return order(a) - order(b)
	})
	for _, k := range keys {
		t := k.typ
		if k.sigs {
			t = dns.TypeRRSIG
		}
		for _, d := range m.sets[k].data {
			rs = append(rs, dns.Record{Name: k.name, Type: t, Class: dns.ClassIN, TTL: m.sets[k].ttl, Data: dns.RData(d)})
		}
	}
	return rs
}

// has reports whether name owns records of type t.
func (m *model) has(name dns.Name, t dns.Type) bool {
	return len(m.sets[setKey{name, t, false}].data) > 0
}

// exists reports whether name is there, be it as an empty non-terminal.
func (m *model) exists(name dns.Name) bool {
	for k := range m.sets {
		if k.typ != dns.TypeNSEC3 && k.name.IsSubdomainOf(name) {
			return true
		}
	}
	return name == m.origin
}

// above returns name and its ancestors from the apex down.
func (m *model) above(name dns.Name) (ns []dns.Name) {
	for ; name.IsSubdomainOf(m.origin); name = name.Parent() {
		ns = append(ns, name)
	}
	slices.Reverse(ns)
	return ns
}

// matched is the names of a Match.
type matched struct{ Node, Encloser, Cut, DName, Wildcard, NextCloser dns.Name }

func (m *model) lookup(q dns.Name) (w matched) {
	above := m.above(q)
	for i, n := range above {
		if !m.exists(n) {
			w.NextCloser = n
			break
		}
		w.Encloser = n
		if n == q {
			w.Node = n
		}
		if n != m.origin && m.has(n, dns.TypeNS) {
			w.Cut = n
		} else if n != q && m.has(n, dns.TypeDNAME) {
			w.DName = n
		}
		if !w.Cut.IsZero() || !w.DName.IsZero() {
			if n != q {
				w.NextCloser = above[i+1]
			}
			return w
		}
	}
	if star, err := w.Encloser.Child("*"); err == nil && w.Node.IsZero() && m.exists(star) {
		w.Wildcard = star
	}
	return w
}

// glue returns the servers of an NS set that have addresses in the zone, those
// below the owner marked.
func (m *model) glue(owner dns.Name) (g []string) {
	for _, d := range m.sets[setKey{owner, dns.TypeNS, false}].data {
		host := dns.RData(d).Target(dns.TypeNS)
		if !host.IsSubdomainOf(m.origin) || !m.has(host, dns.TypeA) && !m.has(host, dns.TypeAAAA) {
			continue
		}
		mark := ""
		if host.IsSubdomainOf(owner) {
			mark = " in domain"
		}
		g = append(g, host.String()+mark)
	}
	return g
}

// --- what is drawn

const modelOrigin = "example."

func drawOwner(t *rapid.T, what string) dns.Name {
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "*", "ns", "x-y"}), 0, 4).Draw(t, what)
	return dns.MustName(strings.Join(append(labels, modelOrigin), "."))
}

func drawTarget(t *rapid.T) dns.Name {
	if rapid.IntRange(0, 3).Draw(t, "outside") == 0 {
		return dns.MustName("ns.elsewhere.")
	}
	return drawOwner(t, "target")
}

func drawRecord(t *rapid.T) dns.Record {
	r := dns.Record{Name: drawOwner(t, "owner"), Class: dns.ClassIN, TTL: rapid.SampledFrom([]uint32{60, 3600}).Draw(t, "ttl")}
	small := byte(rapid.IntRange(0, 5).Draw(t, "value"))
	r.Type = rapid.SampledFrom([]dns.Type{
		dns.TypeA, dns.TypeA, dns.TypeNS, dns.TypeNS, dns.TypeNS, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX,
		dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS, dns.TypeRRSIG, dns.TypeSOA,
	}).Draw(t, "type")
	switch r.Type {
	case dns.TypeA:
		r.Data = dns.RData{192, 0, 2, small}
	case dns.TypeAAAA:
		r.Data = append(dns.RData{0x20, 1}, make([]byte, 14)...)
	case dns.TypeTXT:
		r.Data = dns.NewTXT(strings.Repeat("x", 50*int(small)))
	case dns.TypeMX:
		r.Data = dns.MX{Preference: uint16(small), Exchange: drawTarget(t)}.RData()
	case dns.TypeDS:
		r.Data = dns.RData{0, small, 13, 2, 1, 2, 3, 4}
	case dns.TypeRRSIG:
		covered := rapid.SampledFrom([]dns.Type{dns.TypeA, dns.TypeNS, dns.TypeSOA, dns.TypeNSEC3}).Draw(t, "covered")
		r.Data = dns.RRSIG{TypeCovered: covered, Algorithm: 13, KeyTag: uint16(small), Signer: dns.MustName(modelOrigin), Signature: []byte{small}}.RData()
	case dns.TypeSOA:
		r.Name, r.Data = dns.MustName(modelOrigin), modelSOA(uint32(small))
	default:
		r.Data = dns.NewTarget(drawTarget(t))
	}
	return r
}

func modelSOA(serial uint32) dns.RData {
	return dns.SOA{MName: dns.MustName("ns.elsewhere."), RName: dns.MustName("h.elsewhere."), Serial: serial, Minimum: 300}.RData()
}

// --- the comparison

func build(t interface{ Fatalf(string, ...any) }, origin dns.Name, records []dns.Record) *Version {
	b := NewBuilder(origin)
	for _, r := range records {
		if err := b.Add(r); err != nil {
			t.Fatalf("adding %s: %v", r, err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatalf("no version: %v", findings)
	}
	return v
}

func texts(rs []dns.Record) (out []string) {
	for _, r := range rs {
		out = append(out, r.String())
	}
	return out
}

// sameZone compares a version with the model: its records, and what it says
// about names.
func sameZone(t *rapid.T, v *Version, m *model, queries []dns.Name) {
	readAhead(v, queries)
	records := slices.Collect(v.Records())
	if d := cmp.Diff(texts(m.records()), texts(records)); d != "" {
		t.Fatalf("records (-want +got):\n%s", d)
	}
	if n := v.Stats().Records; n != len(records) {
		t.Fatalf("Stats counts %d records, there are %d", n, len(records))
	}
	var match Match
	for _, q := range queries {
		v.Lookup(&match, []byte(q.Wire()))
		got := matched{match.Node.Name(), match.Encloser.Name(), match.Cut.Name(), match.DName.Name(), match.Wildcard.Name(), dns.Name{}}
		if match.NextCloserAt != match.EncloserAt {
			got.NextCloser, _ = dns.NameFromWire([]byte(q.Wire())[match.NextCloserAt:])
		}
		want := m.lookup(q)
		if got != want {
			t.Fatalf("Lookup(%s) = %v, expected %v", q, got, want)
		}
		if enc := q.Wire()[match.EncloserAt:]; enc != want.Encloser.Wire() {
			t.Fatalf("Lookup(%s): the encloser is at %d, expected %s there", q, match.EncloserAt, want.Encloser)
		}
		sameNode(t, v, m, q)
	}
}

// sameNode compares all that there is of one name.
// readAhead reads ahead for all queries that are in the zone.
func readAhead(v *Version, queries []dns.Name) {
	var names [][]byte
	for _, q := range queries {
		if q.IsSubdomainOf(v.Origin()) {
			names = append(names, q.Append(nil))
		}
	}
	new(Ahead).Read(v, names, true)
}

func sameNode(t *rapid.T, v *Version, m *model, name dns.Name) {
	n := v.Find([]byte(name.Wire()))
	if n.IsZero() == m.exists(name) {
		t.Fatalf("Find(%s): %v, in the model: %v", name, !n.IsZero(), m.exists(name))
	}
	if n.IsZero() {
		return
	}
	var want, got []string
	for _, r := range m.records() {
		if r.Name == name && !isHashed(r.Type, r.Data) {
			want = append(want, r.String())
		}
	}
	for r := range n.Records() {
		got = append(got, r.String())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s has %v, expected %v", name, got, want)
	}
	if n.IsENT() != (len(want) == 0) {
		t.Fatalf("%s: IsENT is %v with %d records", name, n.IsENT(), len(want))
	}
	ns, ok := n.RRset(dns.TypeNS)
	if ok != m.has(name, dns.TypeNS) {
		t.Fatalf("%s: RRset(NS) is there: %v", name, ok)
	}
	var glue []string
	for g := range ns.Glue() {
		mark := ""
		if g.InDomain {
			mark = " in domain"
		}
		glue = append(glue, g.Host.Name().String()+mark)
	}
	if want := m.glue(name); !slices.Equal(glue, want) {
		t.Fatalf("glue of %s: %v, expected %v", name, glue, want)
	}
}

func drawQueries(t *rapid.T) []dns.Name {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) dns.Name { return drawOwner(t, "query") }), 10, 10).Draw(t, "queries")
}

func TestBuilderAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(dns.MustName(modelOrigin))
		var records []dns.Record
		for _, r := range append(rapid.SliceOfN(rapid.Custom(drawRecord), 0, 60).Draw(t, "records"),
			dns.Record{Name: m.origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(7)}) {
			// The builder keeps the first TTL and several of what should be alone.
			if s, ok := m.sets[modelKey(r)]; ok {
				if r.Type == dns.TypeSOA || r.Type == dns.TypeCNAME || r.Type == dns.TypeDNAME {
					continue
				}
				r.TTL = s.ttl
			}
			m.add(r)
			records = append(records, r)
		}
		sameZone(t, build(t, m.origin, records), m, drawQueries(t))
	})
}

// TestEditorAgainstModel makes many versions, from the last one or from an
// older one, and looks at all of them again at the end.
func TestEditorAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type state struct {
			v *Version
			m *model
		}
		m := newModel(dns.MustName(modelOrigin))
		soa := dns.Record{Name: m.origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(7)}
		m.add(soa)
		states := []state{{build(t, m.origin, []dns.Record{soa}), m}}
		for range rapid.IntRange(1, 8).Draw(t, "versions") {
			base := states[len(states)-1]
			if rapid.IntRange(0, 4).Draw(t, "older") == 0 {
				base = rapid.SampledFrom(states).Draw(t, "base")
			}
			e, m := base.v.Edit(), base.m.clone()
			for range rapid.IntRange(0, 25).Draw(t, "edits") {
				drawEdit(t, e, m)
			}
			if rapid.IntRange(0, 5).Draw(t, "discard") == 0 {
				e.Discard()
				continue
			}
			m.add(soa)
			if _, err := e.Add(soa); err != nil {
				t.Fatal(err)
			}
			v, err := e.Commit()
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "compact") == 0 {
				v = v.compact()
			}
			if rapid.IntRange(0, 3).Draw(t, "snapshot") == 0 {
				v = throughSnapshot(t, v)
			}
			states = append(states, state{v, m})
			sameDiff(t, base.v, v, base.m, m)
		}
		queries := drawQueries(t)
		for _, s := range states {
			sameZone(t, s.v, s.m, queries)
		}
	})
}

func drawEdit(t *rapid.T, e *Editor, m *model) {
	r := drawRecord(t)
	var got, want bool
	what := rapid.SampledFrom([]string{"add", "add", "add", "remove", "remove RRset", "remove name"}).Draw(t, "edit")
	switch what {
	case "add":
		got, _ = e.Add(r)
		want = m.add(r)
	case "remove":
		if all := m.records(); len(all) > 0 && rapid.Bool().Draw(t, "existing") {
			r = rapid.SampledFrom(all).Draw(t, "record")
		}
		got, want = e.Remove(r), m.remove(r)
	case "remove RRset":
		got = e.RemoveRRset(r.Name, r.Type)
		want = m.removeIf(func(k setKey) bool {
			covers := k.typ == r.Type || r.Type == dns.TypeRRSIG && k.sigs && k.typ != dns.TypeNSEC3
			return k.name == r.Name && covers
		})
	case "remove name":
		got = e.RemoveName(r.Name)
		want = m.removeIf(func(k setKey) bool { return k.name == r.Name })
	}
	if got != want {
		t.Fatalf("%s of %s: %v, expected %v", what, r, got, want)
	}
	if n := e.Find(r.Name); rapid.Bool().Draw(t, "look") && n.IsZero() == (m.exists(r.Name)) {
		t.Fatalf("after %s of %s: the name is there: %v", what, r, !n.IsZero())
	}
}

func sameDiff(t *rapid.T, from, to *Version, a, b *model) {
	old, now := texts(a.records()), texts(b.records())
	minus := func(x, y []string) (out []string) {
		for _, s := range x {
			if !slices.Contains(y, s) {
				out = append(out, s)
			}
		}
		return out
	}
	d := Diff(from, to)
	if x := cmp.Diff([][]string{minus(old, now), minus(now, old)}, [][]string{texts(d.Removed), texts(d.Added)}); x != "" {
		t.Fatalf("difference (-want +got):\n%s", x)
	}
}

// parseZone reads master-file text.
func parseZone(t testing.TB, origin, text string) (*Version, []Finding) {
	t.Helper()
	v, findings, err := Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: dns.MustName(origin)}), dns.MustName(origin))
	if err != nil {
		t.Fatal(err)
	}
	return v, findings
}
