package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/telemetry/control"
	"onoma/transport"
	"onoma/zone"
)

// rig is a daemon whose configuration can be changed.
type rig struct {
	*Daemon
	t   *testing.T
	dir string
}

// newRig starts a daemon; DIR in the configuration is a directory of its own, in
// which there is a zone file for each name.
func newRig(t *testing.T, text string, files ...string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	for i, name := range files {
		r.file(name, i+1)
	}
	return newRigIn(t, r.dir, text)
}

// newRigIn starts a daemon whose DIR is dir.
func newRigIn(t *testing.T, dir, text string) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir}
	r.write("root.hints", ". 3600 NS a.root.\na.root. 3600 A 127.0.0.1\n")
	r.configure(text)
	load := func() (*config.Config, error) {
		return config.Load(filepath.Join(r.dir, "onoma.yaml"), config.Options{})
	}
	conf, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Daemon, err = New(t.Context(), Options{Config: conf, Load: load, writeAfter: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	r.Start(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) configure(text string) {
	r.t.Helper()
	text = "data: DIR/data\nlisten: [\"127.0.0.1:5353\"]\n" + text
	if err := os.WriteFile(filepath.Join(r.dir, "onoma.yaml"), []byte(strings.ReplaceAll(text, "DIR", r.dir)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// file writes a zone file whose www has an address that ends with n.
func (r *rig) file(name string, n int) {
	r.t.Helper()
	text := fmt.Sprintf("$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.%d\n", n)
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) reload(text string) Reloaded {
	r.t.Helper()
	r.configure(text)
	done, err := r.Reload(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.files.Reload(r.t.Context())
	return done
}

// ask returns the addresses of a name as client sees them, or the response code.
func (r *rig) ask(name, client string) string {
	r.t.Helper()
	q, err := dns.NewQuery(1, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	from := netip.AddrPortFrom(netip.MustParseAddr(client), 4000)
	msg := r.NewWorker().Answer(nil, transport.NewQuery(q, from, netip.MustParseAddrPort("127.0.0.1:53"), transport.UDP, nil))
	m, err := dns.ParseMessage(msg)
	if err != nil {
		r.t.Fatal(err)
	}
	if m.RCode != dns.RCodeNoError {
		return m.RCode.String()
	}
	var texts []string
	for _, a := range m.Answer {
		addr, _ := a.Data.Addr(a.Type)
		texts = append(texts, addr.String())
	}
	return strings.Join(texts, " ")
}

func (r *rig) expect(name, want string) {
	r.t.Helper()
	if got := r.ask(name, "127.0.0.1"); got != want {
		r.t.Errorf("%s is %q, expected %q", name, got, want)
	}
}

func TestReloadAddsAndRemovesZones(t *testing.T) {
	r := newRig(t, "zones:\n  a.example: {file: DIR/a}\n  b.example: {file: DIR/b}\n", "a", "b", "c")
	r.expect("www.a.example.", "192.0.2.1")
	r.expect("www.c.example.", "REFUSED")
	done := r.reload("zones:\n  b.example: {file: DIR/b, serial: date}\n  c.example: {file: DIR/c}\n")
	r.expect("www.a.example.", "REFUSED")
	r.expect("www.b.example.", "192.0.2.2")
	r.expect("www.c.example.", "192.0.2.3")
	want := "zone a.example. is no longer served|zone b.example. has other settings|zone c.example. is new"
	if got := strings.Join(done.Changes, "|"); got != want {
		t.Errorf("it did %q, expected %q", got, want)
	}
	// It comes back with its history: what has been before is still known.
	r.file("a", 7)
	r.reload("zones:\n  a.example: {file: DIR/a}\n")
	r.expect("www.a.example.", "192.0.2.7")
	number, _, _ := r.pipe.Head(zone.IDOf("", dns.MustName("a.example.")))
	if number != 2 {
		t.Errorf("the zone has version %d, expected 2", number)
	}
}

func TestReloadOfAMistakeChangesNothing(t *testing.T) {
	const good = "zones:\n  a.example: {file: DIR/a}\n"
	r := newRig(t, good, "a")
	r.configure("zones:\n  a.example: {fil: DIR/a}\n")
	if _, err := r.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "onoma.yaml:4:") {
		t.Errorf("the error is %v, expected the place of the mistake", err)
	}
	r.expect("www.a.example.", "192.0.2.1")
	r.configure(good + "keys:\n  k.: {secret: \"env:NO_SUCH_SECRET\"}\n")
	if _, err := r.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "NO_SUCH_SECRET") {
		t.Errorf("the error is %v, expected the name of the variable", err)
	}
	r.expect("www.a.example.", "192.0.2.1")
}

func TestReloadChangesViews(t *testing.T) {
	const outside = "zones:\n  a.example: {file: DIR/a}\n  b.example: {file: DIR/b}\n"
	const inside = outside + "views:\n  inside: {match: [10.0.0.0/8], others: true, zones: {a.example: {file: DIR/c}}}\n"
	r := newRig(t, outside, "a", "b", "c")
	see := func(when, name, client, want string) {
		t.Helper()
		if got := r.ask(name, client); got != want {
			t.Errorf("%s: %s sees %q at %s, expected %q", when, client, got, name, want)
		}
	}
	see("before", "www.a.example.", "10.1.1.1", "192.0.2.1")
	r.reload(inside)
	see("with a view", "www.a.example.", "10.1.1.1", "192.0.2.3")
	see("with a view", "www.a.example.", "192.0.2.9", "192.0.2.1")
	see("with a view", "www.b.example.", "10.1.1.1", "192.0.2.2")
	r.reload(strings.Replace(inside, "others: true", "others: false", 1))
	see("without others", "www.b.example.", "10.1.1.1", "REFUSED")
	see("without others", "www.b.example.", "192.0.2.9", "192.0.2.2")
	for _, nobody := range []string{"[none]", "none", "[]"} {
		r.reload(strings.Replace(inside, "[10.0.0.0/8]", nobody, 1))
		see("with a view for nobody", "www.a.example.", "10.1.1.1", "192.0.2.1")
	}
	r.reload(outside)
	see("after", "www.a.example.", "10.1.1.1", "192.0.2.1")
	see("after", "www.b.example.", "10.1.1.1", "192.0.2.2")
}

func TestZonesBelongToTheirDoors(t *testing.T) {
	r := newRig(t, `zones:
  file.example: {file: DIR/a}
  open.example: {file: DIR/b, file-mode: initial}
  sec.example: {primaries: [192.0.2.1]}
  cat.example: {catalog: {produce: true}}
`, "a", "b")
	for name, open := range map[string]bool{"file": false, "open": true, "sec": false, "cat": false} {
		id := zone.IDOf("", dns.MustName(name+".example."))
		c := zone.Change{Zone: id, By: zone.Author{Door: zone.DoorAPI}, Edit: func(e *zone.Editor) error {
			_, err := e.Add(dns.MustRecord("new." + name + ".example. 60 IN A 192.0.2.9"))
			return err
		}}
		_, err := r.Submit(t.Context(), c)
		if open != (err == nil) || !open && !errors.Is(err, zone.ErrReadOnly) {
			t.Errorf("zone %s: %v", name, err)
		}
	}
	r.expect("new.open.example.", "192.0.2.9")
}

// TestRefusalIsOver has a zone whose refused version is followed by a good one.
func TestRefusalIsOver(t *testing.T) {
	r := newRig(t, "zones:\n  open.example: {file: DIR/a, file-mode: initial}\n", "a")
	id := zone.IDOf("", dns.MustName("open.example."))
	add := func(record string) error {
		_, err := r.Submit(t.Context(), zone.Change{Zone: id, By: zone.Author{Door: zone.DoorAPI}, Edit: func(e *zone.Editor) error {
			_, err := e.Add(dns.MustRecord(record))
			return err
		}})
		return err
	}
	expect := func(want control.State) {
		t.Helper()
		d, err := r.detail(t.Context(), id)
		if err != nil || d.State != want || (d.Refusal != nil) != (want == control.Refused) {
			t.Errorf("state %q, refusal %v, %v, expected %q", d.State, d.Refusal, err, want)
		}
	}
	if err := add("www.open.example. 60 IN CNAME ns.open.example."); err == nil {
		t.Fatal("an alias with other records was taken")
	}
	expect(control.Refused)
	if err := add("new.open.example. 60 IN A 192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	expect(control.Served)
	if _, err := r.refused(t.Context(), id); err != nil {
		t.Errorf("what was refused is gone: %v", err)
	}
}

func TestOwnCatalogFollowsTheConfiguration(t *testing.T) {
	const members = `zones:
  cat.example: {catalog: {produce: true}}
  a.example: {file: DIR/a, member-of: cat.example, group: gold}
`
	r := newRig(t, members, "a", "b")
	list := func() (names []string) {
		v := r.pipe.Zone(zone.IDOf("", dns.MustName("cat.example."))).Current()
		for rec := range v.Records() {
			if rec.Type == dns.TypePTR {
				target, _ := dns.NameFromWire(rec.Data)
				names = append(names, target.String())
			}
		}
		return names
	}
	if got := fmt.Sprint(list()); got != "[a.example.]" {
		t.Errorf("the catalog lists %s", got)
	}
	r.reload(strings.Replace(members, "a.example: {file: DIR/a", "b.example: {file: DIR/b", 1))
	if got := fmt.Sprint(list()); got != "[b.example.]" {
		t.Errorf("after the reload the catalog lists %s", got)
	}
	r.reload(strings.Replace(members, "group: gold", "new-owner: other.example", 1))
	if got := fmt.Sprint(list()); got != "[a.example. other.example.]" {
		t.Errorf("with a new owner the catalog has %s", got)
	}
}

func TestFileIsWrittenBack(t *testing.T) {
	r := newRig(t, "zones:\n  a.example: {file: DIR/a, file-mode: initial, write-back: true}\n", "a")
	c := zone.Change{Zone: zone.IDOf("", dns.MustName("a.example.")), By: zone.Author{Door: zone.DoorAPI}, Edit: func(e *zone.Editor) error {
		_, err := e.Add(dns.MustRecord("new.a.example. 60 IN A 192.0.2.9"))
		return err
	}}
	if _, err := r.Submit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	text := ""
	for range 1000 {
		b, err := os.ReadFile(filepath.Join(r.dir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if text = string(b); strings.Contains(text, "192.0.2.9") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the file still is\n%s", text)
}

// TestCatalogTellsWhatIsWrong: an operator sees clashes, and that a catalog is broken.
func TestCatalogTellsWhatIsWrong(t *testing.T) {
	r := newRig(t, `templates:
  member: {file: "DIR/{zone}", file-mode: initial}
zones:
  cat.example: {file: DIR/cat, catalog: {consume: {template: member}}}
  a.example: {file: DIR/a}
`, "a")
	write := func(text string) {
		t.Helper()
		text = "$TTL 60\n@ SOA invalid. invalid. 1 3600 600 86400 60\n@ NS invalid.\n" + text
		if err := os.WriteFile(filepath.Join(r.dir, "cat"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.files.Reload(t.Context())
	}
	expect := func(state control.State, reason string) {
		t.Helper()
		var d control.ZoneDetail
		for range 1000 {
			var err error
			if d, err = r.detail(t.Context(), zone.IDOf("", dns.MustName("cat.example."))); err != nil {
				t.Fatal(err)
			}
			if d.State == state && strings.Contains(d.Reason, reason) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("the state is %s (%s), expected %s with %q", d.State, d.Reason, state, reason)
	}
	write("version TXT \"2\"\nx.zones PTR a.example.\n")
	expect(control.Served, "served by others already: 1 of its members, such as a.example.")
	write("x.zones PTR a.example.\n")
	expect(control.Refused, "the catalog is broken")
}

// TestReloadConfigReadsNewFiles: a zone that is new is served when the command says so, and no other file is read for it.
func TestReloadConfigReadsNewFiles(t *testing.T) {
	r := newRig(t, "zones:\n  a.example: {file: DIR/a}\n", "a", "b", "c")
	r.file("a", 9)
	r.configure("zones:\n  a.example: {file: DIR/a}\n  b.example: {file: DIR/b}\n  d.example: {file: DIR/d}\n")
	done, err := r.reloadConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(done.Warnings, "|"); !strings.Contains(got, "zone d.example.: ") {
		t.Errorf("it warns of %q, expected that d.example has no file", got)
	}
	r.expect("www.a.example.", "192.0.2.1")
	r.expect("www.b.example.", "192.0.2.2")
	r.configure("zones:\n  a.example: {file: DIR/a}\n  b.example: {file: DIR/c}\n")
	if _, err := r.reloadConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect("www.b.example.", "192.0.2.3")
	r.expect("www.a.example.", "192.0.2.1")
}

// TestMembersFollowTemplates: zones that catalogs have brought have the settings that their template has now.
func TestMembersFollowTemplates(t *testing.T) {
	const text = by + `templates:
  member: {file: "DIR/{zone}", dnssec: SIGNED, new: true, transfer-to: [WHOM]}
zones:
  cat.example: {file: DIR/cat, dnssec: off, catalog: {consume: {template: member}}}
`
	as := func(dnssec, whom string) string {
		return strings.NewReplacer("SIGNED", dnssec, "WHOM", whom).Replace(text)
	}
	r := newRig(t, as("off", "none"), "m.example")
	r.write("cat", "$TTL 60\n@ SOA invalid. invalid. 1 3600 600 86400 60\n@ NS invalid.\nversion TXT \"2\"\nx.zones PTR m.example.\n")
	id := zone.IDOf("", dns.MustName("m.example."))
	r.files.Reload(t.Context())
	r.until("the member", func() error {
		if z := r.pipe.Zone(id); z == nil || z.Current() == nil {
			return fmt.Errorf("it is not served")
		}
		return nil
	})
	r.is(id, "")
	done := r.reload(as("nsec", "127.0.0.1"))
	if got := strings.Join(done.Changes, "|"); !strings.Contains(got, "template member changes members of catalogs: 1") {
		t.Errorf("it did %q", got)
	}
	r.is(id, "nsec")
	if n := len(r.zones.get(id).plan.settings.TransferTo); n != 1 {
		t.Errorf("%d may transfer it, expected 1", n)
	}
	if got := strings.Join(r.reload(as("nsec", "127.0.0.1")).Changes, "|"); got != "" {
		t.Errorf("nothing has changed, and it did %q", got)
	}
	r.reload(strings.Replace(as("nsec", "127.0.0.1"), "  nsec: {", "  nsec: {denial: nsec3, ", 1))
	r.is(id, "nsec3")
}
