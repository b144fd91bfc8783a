package files

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// pipe is a pipeline in memory: it increments serials, and refuses what refuse says.
type pipe struct {
	mu      sync.Mutex
	zones   map[zone.ID]*served
	changes []zone.Change
	refuse  func(zone.Change) error
	came    chan zone.Change // if it is not nil
}

type served struct {
	number uint64
	v      *zone.Version
}

func (p *pipe) submit(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := changes[0]
	p.changes = append(p.changes, c)
	if p.came != nil {
		defer func() { p.came <- c }()
	}
	if p.refuse != nil {
		if err := p.refuse(c); err != nil {
			return nil, err
		}
	}
	return []zone.Receipt{p.publish(c.Zone, c.Replace)}, nil
}

func (p *pipe) publish(id zone.ID, v *zone.Version) zone.Receipt {
	s := p.zones[id]
	if s == nil {
		s = &served{}
		p.zones[id] = s
	}
	serial := v.Serial()
	if s.v != nil {
		if d := zone.Diff(s.v, v); d.IsEmpty() {
			return zone.Receipt{Zone: id, Version: s.number, Serial: s.v.Serial()}
		}
		if !zone.IsNewer(serial, s.v.Serial()) {
			e := v.Edit()
			soa := slices.Collect(v.Records())[0]
			soa.Data = bytes.Clone(soa.Data)
			serial = s.v.Serial() + 1
			dns.SetSOASerial(soa.Data, serial)
			_, _ = e.Add(soa)
			v, _ = e.Commit()
			if d := zone.Diff(s.v, v); len(d.Removed) == 1 && len(d.Added) == 1 { // nothing but the number, and that goes back
				return zone.Receipt{Zone: id, Version: s.number, Serial: s.v.Serial()}
			}
		}
	}
	s.number++
	s.v = v
	return zone.Receipt{Zone: id, Version: s.number, Serial: serial, Changed: true}
}

func (p *pipe) head(id zone.ID) (uint64, *zone.Version, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.zones[id]; s != nil {
		return s.number, s.v, true
	}
	return 0, nil, true
}

// fixture is a door on files in a directory, and what it needs.
type fixture struct {
	t      testing.TB
	dir    string
	pipe   *pipe
	stamps map[zone.ID][]byte
	log    lockedBuffer
	door   *Door
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), pipe: &pipe{zones: make(map[zone.ID]*served)}, stamps: make(map[zone.ID][]byte)}
	f.restart()
	return f
}

// restart makes another door, as after a restart: the zones and the stamps stay.
func (f *fixture) restart() {
	f.door = New(Options{
		Submit: f.pipe.submit, Head: f.pipe.head,
		Stamps: func(context.Context) (map[zone.ID][]byte, error) { return maps.Clone(f.stamps), nil },
		Keep: func(_ context.Context, stamps map[zone.ID][]byte) error {
			maps.Copy(f.stamps, stamps)
			return nil
		},
		Log:   slog.New(slog.NewTextHandler(&f.log, nil)),
		Quiet: 10 * time.Millisecond, Poll: 20 * time.Millisecond, WriteAfter: 10 * time.Millisecond,
	})
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

// write writes a file, which looks as if it were an hour older than it is: so that it
// is not within the grain of the file system's clock, and unlike the one before.
func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	age := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.path(name), age, age); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) configure(zones ...Zone) {
	f.t.Helper()
	if err := f.door.Configure(zones); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) changes() int {
	f.pipe.mu.Lock()
	defer f.pipe.mu.Unlock()
	return len(f.pipe.changes)
}

// text is the served zone, a record a line.
func (f *fixture) text() string {
	_, v, _ := f.pipe.head(id)
	if v == nil {
		return ""
	}
	var b strings.Builder
	for r := range v.Records() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

var id = zone.IDOf("", dns.MustName("example."))

func good(serial int, more string) string {
	return fmt.Sprintf("$TTL 300\n@ SOA ns.x. h.x. %d 2 3 4 5\n@ NS ns.x.\n%s", serial, more)
}

func expect(t testing.TB, s State, status Status, version uint64, serial uint32, problems ...string) {
	t.Helper()
	if s.Status != status || s.Version != version || s.Serial != serial || len(s.Problems) != len(problems) {
		t.Fatalf("%+v, expected %s, version %d, serial %d, %d problems", s, status, version, serial, len(problems))
	}
	for i, p := range problems {
		if !strings.Contains(s.Problems[i], p) {
			t.Fatalf("problem %d is %q, expected %q in it", i, s.Problems[i], p)
		}
	}
}

// TestFileBecomesChanges goes through a file's life: read, unchanged, changed, wrong,
// right again.
func TestFileBecomesChanges(t *testing.T) {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z")})
	if s, _ := f.door.State(id); s.Status != Unread {
		t.Errorf("%+v, expected that it is unread", s)
	}
	f.write("z", good(7, "a A 192.0.2.1\n"))
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 7)
	c := f.pipe.changes[0]
	if c.By != (zone.Author{Door: zone.DoorFile, Name: "file:" + f.path("z")}) || c.KeepSerial || c.Base != 0 {
		t.Errorf("the change is %+v", c)
	}

	expect(t, f.door.Reload(t.Context())[0], Good, 1, 7)
	if n := f.changes(); n != 1 {
		t.Errorf("an unchanged file made %d changes", n-1)
	}

	f.write("z", good(7, "a A 192.0.2.2\nlonger TXT x\n"))
	s := f.door.Reload(t.Context())[0]
	expect(t, s, Good, 2, 8)
	if !s.Changed || len(s.Notes) != 0 {
		t.Errorf("%+v, expected a change, and no remark on a serial number that nobody has touched", s)
	}

	f.write("z", good(9, "a A 192.0.2.256\nb MX mail\n"))
	s = f.door.Reload(t.Context())[0]
	expect(t, s, Broken, 2, 8, f.path("z")+":4:5: ", f.path("z")+":5:6: ")
	if !strings.Contains(f.text(), "longer") {
		t.Error("the last good version is gone")
	}
	if log := f.log.String(); !strings.Contains(log, "version 2 with serial 8 stays in service") || !strings.Contains(log, "z:5:6") {
		t.Errorf("the log does not say what became of it:\n%s", log)
	}

	f.write("z", good(3, "b A 192.0.2.1\n"))
	s = f.door.Reload(t.Context())[0]
	expect(t, s, Good, 3, 9)
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "serial number 3 is not newer") {
		t.Errorf("notes %q, expected one about the serial number that was set back", s.Notes)
	}
	f.write("z", good(2, "b A 192.0.2.1\n\n"))
	s = f.door.Reload(t.Context())[0]
	expect(t, s, Good, 3, 9)
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "serial number 2 is not newer") {
		t.Errorf("notes %q, expected one about the serial number that was set back without anything else", s.Notes)
	}
}

func TestBrokenAtFirst(t *testing.T) {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z")})
	expect(t, f.door.Reload(t.Context())[0], Broken, 0, 0, "write it, or take it out of the configuration")
	if !strings.Contains(f.log.String(), "not served until its file is right") {
		t.Errorf("the log does not say so:\n%s", f.log.String())
	}
	f.write("z", "a A 192.0.2.1\n")
	expect(t, f.door.Reload(t.Context())[0], Broken, 0, 0, "z:1:3: no TTL")
	f.write("z", "$TTL 300\na A 192.0.2.1\n")
	expect(t, f.door.Reload(t.Context())[0], Broken, 0, 0, "no SOA record")
	f.write("z", good(1, "a CH TXT x\n"))
	expect(t, f.door.Reload(t.Context())[0], Broken, 0, 0, "class")
	f.write("z", good(1, ""))
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 1)
}

// TestUnchangedAcrossRestarts looks at what is read when the server starts again.
func TestUnchangedAcrossRestarts(t *testing.T) {
	f := newFixture(t)
	z := Zone{ID: id, Path: f.path("z")}
	f.configure(z)
	f.write("z", good(1, "$INCLUDE inc\n"))
	f.write("inc", "a A 192.0.2.1\n")
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 1)
	for _, step := range []struct {
		name  string
		do    func()
		reads bool
	}{
		{"nothing has changed", func() {}, false},
		{"an include has changed", func() { f.write("inc", "b A 192.0.2.10\n") }, true},
		{"the stamp is damaged", func() { f.stamps[id] = f.stamps[id][:5] }, true},
		{"the stamp is lost", func() { delete(f.stamps, id) }, true},
		{"it is all as before", func() {}, false},
		{"the zone is lost", func() { delete(f.pipe.zones, id) }, true},
		{"the zone has another file", func() { f.write("y", good(1, "a A 192.0.2.1\n")); z.Path = f.path("y") }, true},
	} {
		before := f.changes()
		step.do()
		f.restart()
		f.configure(z)
		if s := f.door.Reload(t.Context())[0]; s.Status != Good {
			t.Errorf("%s: %+v", step.name, s)
		}
		if reads := f.changes() > before; reads != step.reads {
			t.Errorf("%s: read: %v, expected %v", step.name, reads, step.reads)
		}
	}
}

func TestRefused(t *testing.T) {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z")})
	f.write("z", good(1, ""))
	f.door.Reload(t.Context())
	f.write("z", good(2, "a A 192.0.2.1\n"))
	f.pipe.refuse = func(c zone.Change) error {
		return &zone.Refusal{Zone: c.Zone, Rule: "removal-limit", Reason: "too much goes", Findings: []zone.Finding{{Severity: zone.Error, Name: id.Name, Text: "is bad"}}}
	}
	expect(t, f.door.Reload(t.Context())[0], Refused, 1, 1, "removal-limit: too much goes", "is bad")
	f.pipe.refuse = func(zone.Change) error { return zone.ErrBusy }
	expect(t, f.door.Reload(t.Context())[0], Refused, 1, 1, zone.ErrBusy.Error())
	f.pipe.refuse = nil
	expect(t, f.door.Reload(t.Context())[0], Good, 2, 2) // though the file has not changed since
}

// TestInitial is a file that is the first content of a zone that UPDATE changes.
func TestInitial(t *testing.T) {
	f := newFixture(t)
	z := Zone{ID: id, Path: f.path("z"), Mode: Initial}
	f.configure(z)
	f.write("z", good(1, "a A 192.0.2.1\n"))
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 1)
	f.update("b A 192.0.2.2\n")
	expect(t, f.door.Reload(t.Context())[0], Good, 1, 1)

	f.write("z", good(2, "c A 192.0.2.33\n"))
	s := f.door.Reload(t.Context())[0]
	expect(t, s, Conflict, 1, 1, "onoma ctl zone reload example. --take-file")
	f.restart()
	f.configure(z)
	f.door.Reload(t.Context())
	s, err := f.door.ReloadZone(t.Context(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, Conflict, 1, 1, "it is not read")
	if strings.Contains(f.text(), "192.0.2.33") || f.changes() != 1 {
		t.Errorf("the file was read in spite of the conflict:\n%s", f.text())
	}

	s, err = f.door.ReloadZone(t.Context(), id, true)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, Good, 3, 3)
	if text := f.text(); !strings.Contains(text, "192.0.2.33") || strings.Contains(text, "b.example") {
		t.Errorf("the zone is not what the file says:\n%s", text)
	}
	expect(t, f.door.Reload(t.Context())[0], Good, 3, 3)
	if err := os.Remove(f.path("z")); err != nil {
		t.Fatal(err)
	}
	expect(t, f.door.Reload(t.Context())[0], Good, 3, 3)
}

// update changes the zone by another door.
func (f *fixture) update(more string) {
	f.t.Helper()
	v, _, err := zone.LoadFile(f.tempFile(good(1, more)), id.Name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.pipe.mu.Lock()
	r := f.pipe.publish(id, v)
	f.pipe.mu.Unlock()
	f.door.Published(r)
}

func (f *fixture) tempFile(text string) string {
	path := filepath.Join(f.t.TempDir(), "update")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// TestInitialOfAZoneWithContent is a zone that gets a file when it has been there for
// long: nothing of it is overwritten.
func TestInitialOfAZoneWithContent(t *testing.T) {
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z"), Mode: Initial})
	f.update("b A 192.0.2.2\n")
	f.write("z", good(9, ""))
	s := f.door.Reload(t.Context())[0]
	if s.Status != Good || f.changes() > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "had content before") {
		t.Errorf("%+v", s)
	}
	f.write("z", good(10, ""))
	if s := f.door.Reload(t.Context())[0]; s.Status != Conflict {
		t.Errorf("%+v, expected a conflict", s)
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		door zone.Door
		want bool
	}{
		{Reload, zone.DoorUpdate, false}, {Watch, zone.DoorAPI, false}, {Reload, zone.DoorTransfer, false}, {Reload, zone.DoorFile, true},
		{Watch, zone.DoorRollback, true}, {Initial, zone.DoorUpdate, true}, {Initial, zone.DoorAPI, true},
	} {
		if got := c.mode.Allows(c.door); got != c.want {
			t.Errorf("mode %s allows %s: %v, expected %v", c.mode, c.door, got, c.want)
		}
	}
	f := newFixture(t)
	f.configure(Zone{ID: id, Path: f.path("z")})
	if f.door.Allows(id, zone.DoorUpdate) || !f.door.Allows(zone.IDOf("inside", id.Name), zone.DoorUpdate) {
		t.Error("a zone with a file is changed by UPDATE, or one without is not")
	}
}

func TestConfigure(t *testing.T) {
	f := newFixture(t)
	for _, zones := range [][]Zone{
		{{ID: id, Path: "a"}, {ID: id, Path: "b"}},
		{{ID: id}},
		{{ID: id, Path: "a", Mode: Watch, WriteBack: true}},
	} {
		if err := f.door.Configure(zones); err == nil {
			t.Errorf("%+v is accepted", zones)
		}
	}
	f.write("z", good(1, ""))
	f.configure(Zone{ID: id, Path: f.path("z")})
	f.door.Reload(t.Context())
	f.configure()
	if _, ok := f.door.State(id); ok || len(f.door.States()) > 0 {
		t.Error("a zone that is no longer configured is still known")
	}
	if _, err := f.door.ReloadZone(t.Context(), id, false); err == nil || f.text() == "" {
		t.Errorf("%v, expected that the zone has no file, and its version stays", err)
	}
}

// TestManyFiles reads a thousand zones and keeps all their stamps.
func TestManyFiles(t *testing.T) {
	f := newFixture(t)
	const n = 1500
	var zones []Zone
	for i := range n {
		name := fmt.Sprintf("z%d", i)
		f.write(name, good(i+1, ""))
		zones = append(zones, Zone{ID: zone.IDOf("", dns.MustName(name+".example.")), Path: f.path(name)})
	}
	f.configure(zones...)
	for i, s := range f.door.Reload(t.Context()) {
		expect(t, s, Good, 1, uint32(i+1))
	}
	if len(f.stamps) != n {
		t.Errorf("%d stamps are kept, expected %d", len(f.stamps), n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.restart()
	f.configure(zones...)
	if s := f.door.Reload(ctx); s[n-1].Status != Unread {
		t.Errorf("%+v, expected that nothing is read when the time is over", s[n-1])
	}
}

func FuzzStamp(f *testing.F) {
	full := stamp{version: 7, served: 8, serial: 9, source: &zone.Source{Read: -5, Files: []zone.SourceFile{{Path: "/a", Size: 3, ModTime: 1 << 60}, {Path: "", Size: 0, ModTime: -1}}}}
	f.Add(full.append(nil))
	f.Add([]byte{1, 1, 1, 2, 0})
	f.Add([]byte{1, 1, 1, 2, 0xFF, 0xFF, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStamp(b)
		if err != nil {
			return
		}
		again, err := parseStamp(s.append(nil))
		if err != nil || again.version != s.version || again.serial != s.serial || again.served != s.served || again.source.Read != s.source.Read || !slices.Equal(again.source.Files, s.source.Files) {
			t.Errorf("%+v is %+v when it is read again, %v", s, again, err)
		}
	})
}
