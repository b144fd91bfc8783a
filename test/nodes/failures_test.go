package nodes

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	_ "modernc.org/sqlite"

	onoma "onoma/dns"
	"onoma/telemetry/control"
	"onoma/test/peers"
	"onoma/zone/zonegen"
)

const alone = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], history: {keep: 1h}, dnssec: off}
zones:
  u.example: {file: DIR/zone, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"]}
`

// TestFailures has a server meet what goes wrong with disks.
func TestFailures(t *testing.T) {
	peers.Binary(t) // once for all
	t.Run("full disk", fullDisk)
	t.Run("read-only disk", readOnlyDisk)
	t.Run("directory in use", directoryInUse)
	t.Run("newer database", newerDatabase)
	t.Run("damaged snapshot", damagedSnapshot)
	t.Run("damaged database", damagedDatabase)
	t.Run("cut log", cutLog)
}

// exitBad is the exit status of a server that cannot do what it is told.
const exitBad = 2

// refuses starts a server that is to end with an error that says all this.
func refuses(t *testing.T, n *node, says ...string) {
	t.Helper()
	status, said := n.fails(t)
	if status != exitBad {
		t.Errorf("exit status %d, expected %d", status, exitBad)
	}
	for _, s := range says {
		if !strings.Contains(said, s) {
			t.Errorf("it does not say %q, but:\n%s", s, said)
		}
	}
	if lines := strings.Count(strings.TrimSpace(said), "\n") + 1; lines > 5 {
		t.Errorf("it says so in %d lines:\n%s", lines, said)
	}
}

// onSmallDisk puts the node's data on a file system of its own.
func onSmallDisk(t *testing.T, n *node, size string) (remount func(flags uintptr)) {
	t.Helper()
	if err := os.Mkdir(n.Path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mountTmpfs(n.Path("data"), "size="+size); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		n.End(t, os.Kill)
		if err := unmount(n.Path("data")); err != nil {
			t.Error(err)
		}
	})
	return func(flags uintptr) {
		t.Helper()
		if err := remountFlags(n.Path("data"), flags); err != nil {
			t.Fatal(err)
		}
	}
}

func fullDisk(t *testing.T) {
	n := newNode(t, alone)
	n.Write(t, "zone", zoneText)
	onSmallDisk(t, n, "8m")
	n.start(t, "u.example.")
	a, l := newAccount("u.example."), newLoad()
	var acked atomic.Int64
	for range 3 {
		l.change(a, byUpdate(n), &acked)
	}
	l.look(n, "u.example.")
	for round := range 2 {
		before := acked.Load()
		within(t, 10*time.Second, "changes with room", func() error {
			if acked.Load() < before+20 {
				return fmt.Errorf("%d changes", acked.Load()-before)
			}
			return nil
		})
		ballast := fill(t, n.Path("data"))
		within(t, 20*time.Second, "a refusal", func() error {
			if err := n.update(5*time.Second, "u.example.", fmt.Sprintf("x%d.u.example. 60 IN TXT \"%s\"", rand.Int(), strings.Repeat("x", 250))); err != rcode(dns.RcodeServerFailure) {
				return fmt.Errorf("the answer is %v", err)
			}
			return nil
		})
		_, err := n.Ctl.Zone("u.example.", "").Change(t.Context(), control.ChangeRequest{Add: []string{"y TXT " + strings.Repeat("y", 250)}})
		if err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("round %d: the control socket says %v, expected that the disk is full", round, err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	before := acked.Load()
	within(t, 10*time.Second, "changes when there is room again", func() error {
		if acked.Load() < before+20 {
			return fmt.Errorf("%d changes", acked.Load()-before)
		}
		return nil
	})
	l.end()
	for _, err := range l.wrong {
		t.Error(err)
	}
	holds(t, n, a)
	n.End(t, syscall.SIGKILL)
	n.start(t, a.zone)
	holds(t, n, a)
	if c, err := n.Ctl.CheckStore(t.Context()); err != nil || len(c.Problems) > 0 {
		t.Errorf("the check of the database finds %v, %v", c.Problems, err)
	}
	t.Logf("%d acknowledged; refused: %v", a.acknowledged(), l.counts)
}

// holds sees that all is there that was acknowledged, and nothing half.
func holds(t *testing.T, n *node, a *account) {
	t.Helper()
	records, serial, err := n.content(a.zone)
	if err == nil {
		err = a.verify(records, serial)
	}
	if err != nil {
		t.Error(err)
	}
}

// fill fills a file system with one file.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size >= 1<<12; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return path
}

func readOnlyDisk(t *testing.T) {
	n := newNode(t, alone)
	n.Write(t, "zone", zoneText)
	remount := onSmallDisk(t, n, "4m")
	remount(readOnly)
	refuses(t, n, "data", "read-only")
	remount(0)
	n.start(t, "u.example.")
	n.End(t, syscall.SIGTERM)
	remount(readOnly)
	refuses(t, n, "data", "read-only", "hint")
}

// directoryInUse starts a second server in the data directory of another.
func directoryInUse(t *testing.T) {
	test := func(t *testing.T, store string) {
		n := newNode(t, strings.Replace(alone, "control:", "store: "+store+"\ncontrol:", 1))
		n.Write(t, "zone", zoneText)
		n.start(t, "u.example.")
		second := newNode(t, strings.Replace(alone, "data: DIR/data", "store: "+store+"\ndata: "+n.Path("data"), 1))
		second.Write(t, "zone", zoneText)
		refuses(t, second, "another process", "hint")
		if _, err := n.serial("u.example."); err != nil {
			t.Errorf("the first one: %v", err)
		}
		n.End(t, syscall.SIGKILL)
		second.start(t, "u.example.")
	}
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite") })
	t.Run("postgres", func(t *testing.T) { test(t, fmt.Sprintf("%q", peers.StartPostgres(t).Database(t))) })
}

func newerDatabase(t *testing.T) {
	n := newNode(t, alone)
	n.Write(t, "zone", zoneText)
	n.start(t, "u.example.")
	n.End(t, syscall.SIGTERM)
	db, err := sql.Open("sqlite", n.Path("data/onoma.db"))
	if err != nil {
		t.Fatal(err)
	}
	var table string
	err = db.QueryRow("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%version' AND sql LIKE '%is_applied%'").Scan(&table)
	if err == nil {
		_, err = db.Exec("INSERT INTO " + table + " (version_id, is_applied) VALUES (77, TRUE)")
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	refuses(t, n, "newer onoma", "version 77", "hint")
}

// damagedSnapshot overwrites a part of the snapshot of a large zone.
func damagedSnapshot(t *testing.T) {
	n := newNode(t, alone)
	var text bytes.Buffer
	if err := (zonegen.TLD{Origin: onoma.MustName("u.example."), Delegations: 50_000, Seed: 1}).WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	n.Write(t, "zone", text.String())
	n.start(t, "u.example.")
	if err := n.update(5*time.Second, "u.example.", "late.u.example. 60 IN A 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	before, _, err := n.content("u.example.")
	if err != nil {
		t.Fatal(err)
	}
	n.End(t, syscall.SIGTERM)
	files, err := filepath.Glob(n.Path("data/zones/*.snapshot"))
	if err != nil || len(files) != 1 {
		t.Fatalf("behind a clean stop there are the snapshots %v, %v", files, err)
	}
	damage(t, files[0], 4096, 1<<20)
	begun := len(n.Log())
	n.start(t, "u.example.")
	if said := n.Log()[begun:]; strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, "snapshot cannot be used") {
		t.Errorf("one warning of the snapshot was expected:\n%s", said)
	}
	after, _, err := n.content("u.example.")
	if err != nil || !maps.Equal(before, after) {
		t.Errorf("%d records of %d, %v", len(after), len(before), err)
	}
}

// damage overwrites octets of a file.
func damage(t *testing.T, path string, octets int, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, octets)
	for i := range b {
		b[i] = byte(rand.Int())
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// damagedDatabase overwrites pages of the database: what is served then is what
// was served before, or nothing.
func damagedDatabase(t *testing.T) {
	const zones = 100
	var config strings.Builder
	config.WriteString(alone)
	for i := range zones {
		fmt.Fprintf(&config, "  z%d.example: {file: DIR/z%d, file-mode: initial}\n", i, i)
	}
	n := newNode(t, config.String())
	n.Write(t, "zone", zoneText)
	for i := range zones {
		var text strings.Builder
		text.WriteString(zoneText)
		for j := range 30 {
			fmt.Fprintf(&text, "n%d TXT \"%d\"\n", j, rand.Int())
		}
		n.Write(t, fmt.Sprintf("z%d", i), text.String())
	}
	n.start(t, "u.example.")
	contents := make(map[string]map[string]bool)
	for i := range zones {
		name := fmt.Sprintf("z%d.example.", i)
		within(t, 10*time.Second, name, func() (err error) { contents[name], _, err = n.content(name); return err })
	}
	n.End(t, syscall.SIGTERM)
	whole, err := os.ReadFile(n.Path("data/onoma.db"))
	if err != nil {
		t.Fatal(err)
	}
	served, broken, refused := 0, 0, 0
	for _, octets := range []int{100, 4000, 4000, 4000, 16 << 10, len(whole) / 2} {
		for _, name := range []string{"onoma.db-wal", "onoma.db-shm"} {
			if err := os.Remove(n.Path("data/" + name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(n.Path("data/onoma.db"), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		damage(t, n.Path("data/onoma.db"), octets, rand.Int64N(int64(len(whole)-octets)))
		n.Run(t)
		if !lives(n) {
			refused++
			if status := n.Cmd.ProcessState.ExitCode(); status != exitBad || !strings.Contains(n.Tail(), "damaged") {
				t.Errorf("%d octets: exit status %d:\n%s", octets, status, n.Tail())
			}
			t.Logf("%d octets: %s", octets, n.Tail()[max(0, len(n.Tail())-300):])
			n.Cmd = nil
			continue
		}
		s, b := compare(t, n, contents)
		t.Logf("%d octets: %d zones served, %d not", octets, s, b)
		served, broken = served+s, broken+b
		n.End(t, syscall.SIGTERM)
	}
	t.Logf("%d zones served as before, %d not; %d times no start", served, broken, refused)
	if broken+refused == 0 {
		t.Error("no damage was noticed: this proves nothing")
	}
}

// lives waits until a server answers at all; false: it has ended.
func lives(n *node) bool {
	for {
		select {
		case <-n.Ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		var code rcode
		if _, err := n.serial("u.example."); err == nil || errors.As(err, &code) {
			return true
		}
	}
}

// compare holds the zones of a server to their contents before, and those that are
// not served to a reason.
func compare(t *testing.T, n *node, contents map[string]map[string]bool) (served, broken int) {
	t.Helper()
	for name, before := range contents {
		_, err := n.serial(name)
		if err == nil {
			now, _, err := n.content(name)
			if err != nil || !maps.Equal(now, before) {
				t.Errorf("%s is served, and not as before: %v", name, err)
			}
			served++
			continue
		}
		broken++
		if err != rcode(dns.RcodeServerFailure) {
			t.Errorf("%s is answered by %v, expected SERVFAIL", name, err)
		}
		d, err := n.Ctl.Zone(name, "").Detail(t.Context())
		if err != nil || d.State != control.Broken || !strings.Contains(d.Reason, "damaged") {
			t.Errorf("%s is %q: %q, %v", name, d.State, d.Reason, err)
		}
	}
	return served, broken
}

// cutLog cuts the end off the database's log, as a power failure may do to what
// was not synced.
func cutLog(t *testing.T) {
	n := newNode(t, alone)
	n.Write(t, "zone", zoneText)
	for range 3 {
		n.start(t, "u.example.")
		a, l := newAccount("u.example."), newLoad()
		var acked atomic.Int64
		l.change(a, byUpdate(n), &acked)
		l.change(a, byUpdate(n), &acked)
		within(t, 10*time.Second, "changes", func() error {
			if acked.Load() < 50 {
				return errors.New("few")
			}
			return nil
		})
		n.End(t, syscall.SIGKILL)
		l.end()
		wal := n.Path("data/onoma.db-wal")
		info, err := os.Stat(wal)
		if err != nil || info.Size() < 100_000 {
			t.Fatalf("the log is %v, %v", info, err)
		}
		if err := os.Truncate(wal, info.Size()-rand.Int64N(60_000)); err != nil {
			t.Fatal(err)
		}
		n.start(t, a.zone)
		clear(a.must) // what was acknowledged was synced, and is cut off here
		holds(t, n, a)
		if err := n.update(5*time.Second, "u.example.", "go.on.u.example. 60 IN A 192.0.2.1"); err != nil {
			t.Error(err)
		}
		if c, err := n.Ctl.CheckStore(t.Context()); err != nil || len(c.Problems) > 0 {
			t.Errorf("the check of the database finds %v, %v", c.Problems, err)
		}
		n.End(t, syscall.SIGKILL)
		for _, name := range []string{"onoma.db", "onoma.db-wal", "onoma.db-shm"} {
			if err := os.Remove(n.Path("data/" + name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}
