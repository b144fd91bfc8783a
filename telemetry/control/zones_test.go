package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

const exampleZone = `$TTL 300
@    SOA ns hostmaster 1 7200 900 1209600 60
@    NS  ns
ns   A   192.0.2.53
www  600 A   192.0.2.1
www  600 A   192.0.2.2
api  A   192.0.2.9
`

// pipe is a pipeline of one zone, without disk and gate.
type pipe struct {
	id       zone.ID
	versions []*zone.Version // the first one is number 1
	by       []zone.Author
}

func newPipe(t testing.TB, name string) *pipe {
	t.Helper()
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(exampleZone), zonefile.Options{Origin: dns.MustName(name)}), dns.MustName(name))
	if err != nil {
		t.Fatal(err)
	}
	return &pipe{id: zone.IDOf("", dns.MustName(name)), versions: []*zone.Version{v}, by: []zone.Author{{Door: zone.DoorFile}}}
}

func (p *pipe) last() *zone.Version { return p.versions[len(p.versions)-1] }

func (p *pipe) submit(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	c := changes[0]
	switch {
	case c.Zone != p.id:
		return nil, fmt.Errorf("changing %s: %w", c.Zone, zone.ErrUnknown)
	case c.Base != 0 && c.Base != uint64(len(p.versions)):
		return nil, fmt.Errorf("changing %s: %w", c.Zone, zone.ErrConflict)
	}
	for range 2 { // as one that was overtaken
		e := p.last().Edit()
		if err := c.Edit(e); err != nil {
			return nil, fmt.Errorf("changing %s: %w", c.Zone, err)
		}
		e.Discard()
	}
	e := p.last().Edit()
	if err := c.Edit(e); err != nil {
		return nil, err
	}
	v, err := e.Commit()
	if err != nil {
		return nil, fmt.Errorf("changing %s: %w", c.Zone, err)
	}
	d := zone.Diff(p.last(), v)
	p.versions, p.by = append(p.versions, v), append(p.by, c.By)
	return []zone.Receipt{{Zone: c.Zone, Version: uint64(len(p.versions)), Serial: v.Serial(), Changed: !d.IsEmpty(), Removed: len(d.Removed), Added: len(d.Added)}}, nil
}

func (p *pipe) at(_ context.Context, id zone.ID, n uint64) (*zone.Version, error) {
	switch {
	case id != p.id:
		return nil, zone.ErrUnknown
	case n == 0:
		return p.last(), nil
	case n > uint64(len(p.versions)):
		return nil, &Problem{Status: http.StatusNotFound, Code: "unknown-version", Message: "no such version"}
	}
	return p.versions[n-1], nil
}

func (p *pipe) delta(ctx context.Context, id zone.ID, from, to uint64) (zone.Delta, error) {
	a, err := p.at(ctx, id, from)
	if err != nil {
		return zone.Delta{}, err
	}
	b, err := p.at(ctx, id, to)
	if err != nil {
		return zone.Delta{}, err
	}
	return zone.Diff(a, b), nil
}

// managed starts a server of one zone, and returns the way to it.
func managed(t *testing.T, name string) (*pipe, *ZoneClient, *Client) {
	t.Helper()
	p := newPipe(t, name)
	path := socket(t)
	start(t, path, Desk{Manage: &ZoneDesk{
		List: func() iter.Seq[ZoneLine] {
			return slices.Values([]ZoneLine{{Name: "b.", State: Served}, {Name: "a.", View: "in", Loaded: true, Serial: 7}})
		},
		Submit: p.submit, At: p.at, Delta: p.delta,
		Propagation: func(id zone.ID) (Propagation, error) {
			if id != p.id {
				return Propagation{}, zone.ErrUnknown
			}
			return Propagation{Serial: 5, Secondaries: []Secondary{{Address: "192.0.2.1:53", Condition: "behind", Serial: 4}}}, nil
		},
		Wait: func(ctx context.Context, _ zone.ID, serial uint32) error {
			if serial <= 4 {
				return nil
			}
			<-ctx.Done()
			return fmt.Errorf("192.0.2.1:53 serves 4: %w", ctx.Err())
		},
		Detail: func(context.Context, zone.ID) (ZoneDetail, error) {
			return ZoneDetail{ZoneLine: ZoneLine{Name: name}}, nil
		},
		Notify:     func(_ context.Context, id zone.ID) (string, error) { return "told 1 secondary", nil },
		Backup:     func(_ context.Context, path string) (int64, error) { return int64(len(path)), nil },
		CheckStore: func(context.Context) ([]string, error) { return nil, nil },
	}})
	c := NewClient(path)
	return p, c.Zone(name, ""), c
}

func TestChangesAreMade(t *testing.T) {
	p, z, _ := managed(t, "example.com.")
	got, err := z.Change(t.Context(), ChangeRequest{
		Add:     []string{"www A 192.0.2.7", "www A 192.0.2.8", "new.example.com. 60 IN TXT \"a  b\"", "other AAAA 2001:db8::1"},
		Remove:  []string{"www A", "ns A 192.0.2.53", "api"},
		Comment: "moved", Base: 1,
	})
	want := Receipt{Zone: "example.com.", Version: 2, Serial: 1, Changed: true, Removed: 4, Added: 4}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	d, err := z.Diff(t.Context(), 1, 2)
	if diff := cmp.Diff(Difference{From: 1, To: 2,
		Removed: []string{"api.example.com. 300 IN A 192.0.2.9", "ns.example.com. 300 IN A 192.0.2.53", "www.example.com. 600 IN A 192.0.2.1", "www.example.com. 600 IN A 192.0.2.2"},
		Added: []string{
			`new.example.com. 60 IN TXT "a  b"`, "other.example.com. 300 IN AAAA 2001:db8::1",
			"www.example.com. 600 IN A 192.0.2.7", "www.example.com. 600 IN A 192.0.2.8",
		},
	}, d); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	me, _ := user.Current()
	if diff := cmp.Diff(zone.Author{Door: zone.DoorAPI, Name: "user:" + me.Username, Comment: "moved"}, p.by[1]); diff != "" {
		t.Errorf("author (-want +got):\n%s", diff)
	}
	var text strings.Builder
	if err := z.Text(t.Context(), 1, &text); err != nil || !strings.Contains(text.String(), "192.0.2.9") {
		t.Errorf("version 1 (%v):\n%s", err, &text)
	}
	text.Reset()
	if err := z.Text(t.Context(), 0, &text); err != nil || strings.Contains(text.String(), "192.0.2.9") {
		t.Errorf("the version that is served (%v):\n%s", err, &text)
	}
}

// TestRefusedChanges: what is wrong with a change is told, with a code for programs, and nothing of it happens.
func TestRefusedChanges(t *testing.T) {
	p, z, c := managed(t, "example.com.")
	for _, x := range []struct {
		name   string
		req    ChangeRequest
		status int
		code   string
		text   string
	}{
		{"nothing", ChangeRequest{}, 400, "bad-request", "the change is empty"},
		{"a mistake", ChangeRequest{Add: []string{"a A 192.0.2.1", "www AA 192.0.2.1"}}, 400, "bad-request", `add[2]:1:5: unknown type "AA"`},
		{"a comment only", ChangeRequest{Add: []string{"; nothing"}}, 400, "bad-request", "there is no record"},
		{"a file", ChangeRequest{Add: []string{"$INCLUDE /etc/passwd"}}, 400, "bad-request", "add[1]:1:"},
		{"a name that is none", ChangeRequest{Remove: []string{"a..b"}}, 400, "bad-request", `"a..b" is not a name`},
		{"a type that is none", ChangeRequest{Remove: []string{"www AA"}}, 400, "bad-request", `"AA" is not a type`},
		{"not there", ChangeRequest{Remove: []string{"www A 192.0.2.3"}}, 422, "not-there", `there is no "www A 192.0.2.3" to remove`},
		{"half there", ChangeRequest{Remove: []string{"www A", "www AAAA"}}, 422, "not-there", `there is no "www AAAA"`},
		{"elsewhere", ChangeRequest{Add: []string{"www.example.net. A 192.0.2.1"}}, 422, "out-of-zone", "name is not in the zone"},
		{"no SOA", ChangeRequest{Remove: []string{"@ SOA"}}, 422, "no-soa", "zone has no SOA record"},
		{"overtaken", ChangeRequest{Add: []string{"a A 192.0.2.1"}, Base: 7}, 409, "conflict", "changed meanwhile"},
	} {
		_, err := z.Change(t.Context(), x.req)
		var got *Problem
		if !errors.As(err, &got) || got.Status != x.status || got.Code != x.code || !strings.Contains(got.Message, x.text) {
			t.Errorf("%s: %#v, expected %d %s: %s", x.name, err, x.status, x.code, x.text)
		}
	}
	var got *Problem
	if _, err := c.Zone("example.net", "").Change(t.Context(), ChangeRequest{Remove: []string{"www"}}); !errors.As(err, &got) || got.Code != "unknown-zone" || got.Hint == "" {
		t.Errorf("a zone that is not here: %#v", got)
	}
	if len(p.versions) != 1 {
		t.Errorf("%d versions, expected no change", len(p.versions))
	}
	if _, err := z.Change(t.Context(), ChangeRequest{Comment: strings.Repeat("x", maxBody)}); !errors.As(err, &got) || got.Code != "too-large" {
		t.Errorf("a request that is too long: %#v", err)
	}
	if err := c.Call(t.Context(), "POST", "/v1/zones/example.com/changes", nil, map[string]any{"ad": 1}, nil); !errors.As(err, &got) || !strings.Contains(got.Message, `unknown field "ad"`) {
		t.Errorf("a key that is not known: %#v", err)
	}
}

func TestRefusalComesThrough(t *testing.T) {
	p := problemOf(fmt.Errorf("x: %w", &zone.Refusal{
		Zone: zone.IDOf("", dns.MustName("a.")), Rule: "semantics", Reason: "it has errors",
		Findings: []zone.Finding{{Name: dns.MustName("b.a."), Text: "two CNAMEs"}},
	}))
	if p.Status != 422 || p.Code != "refused" || !p.Refused() || !strings.Contains(p.Message, "it has errors") || len(p.Findings) != 1 {
		t.Errorf("%#v", p)
	}
	if p := problemOf(errors.New("disk")); p.Status != 500 || p.Refused() {
		t.Errorf("%#v", p)
	}
}

// TestZonesOfAllNames: the root, and names that mean something in a URL.
func TestZonesOfAllNames(t *testing.T) {
	for _, name := range []string{".", "0/25.2.0.192.in-addr.arpa.", `a\.b.example.`, `\000\255%.`, "..example."} {
		if name == "..example." {
			_, z, _ := managed(t, "a.")
			z = z.client.Zone(name, "")
			var p *Problem
			if err := z.Text(t.Context(), 0, &strings.Builder{}); !errors.As(err, &p) || p.Code != "bad-request" {
				t.Errorf("%q: %v, expected that it is not a name", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, z, _ := managed(t, name)
			var text strings.Builder
			if err := z.Text(t.Context(), 0, &text); err != nil || !strings.Contains(text.String(), "192.0.2.9") {
				t.Errorf("%v\n%s", err, &text)
			}
			if d, err := z.Do(t.Context(), "notify"); err != nil || d.Zone != dns.MustName(name).String() {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// TestZoneAsPeopleWriteIt: a name outside of ASCII is that of its A-labels, as in the configuration.
func TestZoneAsPeopleWriteIt(t *testing.T) {
	_, _, c := managed(t, "xn--mnchen-3ya.example.")
	var text strings.Builder
	if err := c.Zone("MÜNCHEN.example", "").Text(t.Context(), 0, &text); err != nil || !strings.Contains(text.String(), "192.0.2.9") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestWaitingEnds(t *testing.T) {
	_, z, c := managed(t, "example.com.")
	four := uint32(4)
	got, err := z.Wait(t.Context(), &four, time.Minute)
	if err != nil || !got.InSync || got.Serial != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = z.Wait(t.Context(), nil, 20*time.Millisecond)
	if err != nil || got.InSync || got.Serial != 5 || got.Seconds < 0.02 || !strings.Contains(got.Reason, "serves 4") || len(got.Propagation.Secondaries) != 1 || got.Propagation.Serial != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	var p *Problem
	if _, err := c.Zone("example.net", "").Wait(t.Context(), nil, time.Second); !errors.As(err, &p) || p.Code != "unknown-zone" {
		t.Errorf("%v", err)
	}
	if _, err := z.Wait(t.Context(), nil, time.Hour); !errors.As(err, &p) || p.Code != "bad-request" {
		t.Errorf("an hour: %v", err)
	}
}

func TestRestOfTheDesk(t *testing.T) {
	_, z, c := managed(t, "example.com.")
	lines, err := c.ZoneLines(t.Context())
	if diff := cmp.Diff([]ZoneLine{{Name: "a.", View: "in", Loaded: true, Serial: 7}, {Name: "b.", State: Served}}, lines); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if short, err := c.Zones(t.Context()); err != nil || len(short) != 2 || short[0].Serial != 7 {
		t.Errorf("an older program asks for zones: %+v, %v", short, err)
	}
	if d, err := z.Detail(t.Context()); err != nil || d.Name != "example.com." || d.Propagation == nil || d.Propagation.Serial != 5 {
		t.Errorf("%+v, %v", d, err)
	}
	if r, err := c.Backup(t.Context(), "/b"); err != nil || r != (BackupResult{"/b", 2}) {
		t.Errorf("%+v, %v", r, err)
	}
	var p *Problem
	if _, err := c.Backup(t.Context(), "b"); !errors.As(err, &p) || p.Code != "bad-request" {
		t.Errorf("a relative path: %v", err)
	}
	if r, err := c.CheckStore(t.Context()); err != nil || !r.Sound || r.Problems == nil {
		t.Errorf("%+v, %v", r, err)
	}
	for _, err := range []error{
		func() error { _, err := z.Log(t.Context(), 0, 1); return err }(),
		func() error { _, err := z.Blame(t.Context(), "a"); return err }(),
		func() error { _, err := z.Rollback(t.Context(), RollbackRequest{Version: 1}); return err }(),
		func() error { _, err := z.Do(t.Context(), "refresh"); return err }(),
		func() error { _, err := c.ReloadConfig(t.Context()); return err }(),
		z.RefusedText(t.Context(), &strings.Builder{}),
	} {
		if !errors.As(err, &p) || p.Status != http.StatusNotImplemented || !strings.HasPrefix(p.Message, "this server ") {
			t.Errorf("what this server cannot do: %v", err)
		}
	}
}

func FuzzEdit(f *testing.F) {
	for _, s := range []string{"www A", "www", "www 300 IN A 192.0.2.1", "@ SOA", "a..b", "$GENERATE 1-9 a$ A 192.0.2.$", `"`, "w (", "@ TXT \"\t\""} {
		f.Add(s, s)
	}
	p := newPipe(f, "example.com.")
	f.Fuzz(func(t *testing.T, add, remove string) {
		e, err := parseEdit(p.id.Name, &ChangeRequest{Add: []string{add}, Remove: []string{remove}})
		if err != nil {
			return
		}
		to := p.versions[0].Edit()
		defer to.Discard()
		_ = e.apply(to)
		for _, r := range lines(e.add, 10) {
			if strings.Contains(r, "\n") {
				t.Errorf("%q is not a line", r)
			}
		}
	})
}
