package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// snapshotOf returns the snapshot of v as octets.
func snapshotOf(t testing.TB, v *Version) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := v.writeTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// loadOctets reads a snapshot.
func loadOctets(b []byte, origin dns.Name) (*Version, error) {
	s, err := readSnapshot(bytes.NewReader(b), "test", int64(len(b)), origin)
	if err != nil {
		return nil, err
	}
	return s.Load()
}

type failer interface {
	Helper()
	Fatal(...any)
}

// throughSnapshot returns v as it comes out of its snapshot.
func throughSnapshot(t failer, v *Version) *Version {
	t.Helper()
	var b bytes.Buffer
	if err := v.writeTo(&b); err != nil {
		t.Fatal(err)
	}
	w, err := loadOctets(b.Bytes(), v.origin)
	if err != nil {
		t.Fatal(err)
	}
	w.verify()
	return w
}

func recordTexts(v *Version) (out []string) {
	for r := range v.Records() {
		out = append(out, r.String())
	}
	return out
}

const snapshotText = "$TTL 300\n" + checkTop + `@ NSEC3PARAM 1 0 0 -
sub NS ns.sub
sub NS ns.other.
sub DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
sub RRSIG DS` + rrsigOf + `ns.sub A 192.0.2.1
ns.sub AAAA 2001:db8::1
gone NS ns.gone
Case.A.b.c A 192.0.2.1
a.b.c RRSIG A` + rrsigOf + "*.w TXT x\n" + hashed + nsec3

func TestSnapshotKeepsEverything(t *testing.T) {
	v, _ := parseZone(t, "example", snapshotText)
	w := throughSnapshot(t, v)
	if d := cmp.Diff(recordTexts(v), recordTexts(w)); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
	if v.Stats().Records != w.Stats().Records || v.Stats().Names != w.Stats().Names || v.Serial() != w.Serial() || v.Denial() != w.Denial() {
		t.Errorf("%+v serial %d denial %d, expected %+v serial %d denial %d", w.Stats(), w.Serial(), w.Denial(), v.Stats(), v.Serial(), v.Denial())
	}
	// An NS set that was there is still shared with the next name that has it.
	e := w.Edit()
	for _, target := range []string{"ns.sub.example", "ns.other"} {
		r := dns.Record{Name: dns.MustName("new.example"), Type: dns.TypeNS, Class: dns.ClassIN, TTL: 300, Data: dns.RData(wire(target))}
		if _, err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	x, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	old, _ := x.Find(wire("sub.example")).RRset(dns.TypeNS)
	now, _ := x.Find(wire("new.example")).RRset(dns.TypeNS)
	if old.ID() != now.ID() || len(slices.Collect(now.Glue())) != 1 {
		t.Errorf("NS sets are blocks %d and %d with %d glue hosts, expected one block with one", old.ID(), now.ID(), len(slices.Collect(now.Glue())))
	}
}

// TestSnapshotDamage flips every octet and cuts at every length.
func TestSnapshotDamage(t *testing.T) {
	v, _ := parseZone(t, "example", snapshotText)
	good := snapshotOf(t, v)
	refused := func(b []byte, what string) {
		t.Helper()
		_, err := loadOctets(b, v.origin)
		var se *SnapshotError
		if !errors.As(err, &se) || se.Want == "" || se.Offset < 0 || se.Offset > int64(len(b)) {
			t.Errorf("%s: error %v, expected one with place and expectation", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		refused(bad, fmt.Sprintf("octet %d flipped", i))
		refused(good[:i], fmt.Sprintf("cut at %d", i))
	}
	refused(append(bytes.Clone(good), 0), "an octet more")
	if _, err := loadOctets(good, dns.MustName("elsewhere")); err == nil || !strings.Contains(err.Error(), "another zone") {
		t.Errorf("snapshot of another zone: %v", err)
	}
}

// reseal makes all checksums of a snapshot right, as who means harm would.
func reseal(b []byte) {
	if len(b) < headLen {
		return
	}
	copy(b, snapshotMagic)
	le.PutUint32(b[8:], snapshotFormat)
	le.PutUint64(b[16:], uint64(len(b)))
	n := headLen + int(le.Uint32(b[24:]))
	if n > len(b) {
		return
	}
	var h snapshotHead
	p := &headReader{b: b[headLen:n]}
	p.head(&h)
	if !p.bad && h.size == int64(len(b)-n) && len(p.b) == 0 {
		at, sums := n, n-4*len(h.sums)
		for i, size := range sizesOf(&h) {
			le.PutUint32(b[sums+4*i:], crc32.Checksum(b[at:at+size], castagnoli))
			at += size
		}
	}
	le.PutUint32(b[28:], headSum(b[:28], b[headLen:n]))
}

func sizesOf(h *snapshotHead) (sizes []int) {
	for _, n := range h.cells {
		sizes = append(sizes, 12*n)
	}
	sizes = append(sizes, h.octets...)
	for _, n := range h.hosts {
		sizes = append(sizes, 4*n)
	}
	return sizes
}

// use does with a version what a server does. It must not panic, whatever the
// version is, so long as a snapshot gave it.
func use(t testing.TB, v *Version) {
	var m Match
	var names [][]byte
	for n := range v.Nodes() {
		names = append(names, n.AppendName(nil))
	}
	names = append(names, wire("nx."+v.origin.String()), wire("x.sub."+v.origin.String()), wire("*.w."+v.origin.String()))
	for _, name := range names {
		v.Lookup(&m, name)
		for _, n := range []Node{m.Node, m.Encloser, m.Cut, m.DName, m.Wildcard, v.NSECCover(name)} {
			useNode(v, n)
		}
		n, _ := v.NSEC3Name(name)
		useNode(v, n)
	}
	for range v.Records() {
	}
	if invariants {
		return // which would tell of all that is wrong with it
	}
	e := v.Edit()
	for _, name := range names {
		n, err := dns.NameFromWire(name)
		if err != nil {
			t.Fatal(err)
		}
		e.RemoveName(n)
	}
	if _, err := e.Commit(); err == nil {
		t.Fatal("committed without an apex")
	}
	v.compact()
}

func useNode(v *Version, n Node) {
	if n.IsZero() {
		return
	}
	n.Name()
	v.NSEC3For(n)
	for set := range n.RRsets() {
		set.First()
		set.Sigs()
		for g := range set.Glue() {
			g.Host.RRset(dns.TypeA)
		}
	}
	n.RRset(dns.TypeRRSIG)
}

// TestSnapshotForged changes octets at random and makes the checksums right:
// what is still taken must be harmless.
func TestSnapshotForged(t *testing.T) {
	v, _ := parseZone(t, "example", snapshotText)
	good := snapshotOf(t, v)
	r := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 5_000 {
		bad := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			bad[r.IntN(len(bad))] = byte(r.Uint32() >> r.IntN(25))
		}
		reseal(bad)
		if w, err := loadOctets(bad, v.origin); err == nil {
			taken++
			use(t, w)
		}
	}
	if taken == 0 || taken == 5_000 {
		t.Errorf("%d of 5000 forgeries were taken, expected some and not all", taken)
	}
}

func FuzzSnapshot(f *testing.F) {
	origin := dns.MustName("example")
	for _, text := range []string{snapshotText, "$TTL 1\n" + checkTop, "$TTL 1\n" + checkTop + "a.b DNAME x\nc CNAME d\n"} {
		v, _ := parseZone(f, "example", text)
		f.Add(snapshotOf(f, v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		reseal(b)
		if v, err := loadOctets(b, origin); err == nil {
			use(t, v)
		}
	})
}

// TestSnapshotFormat: whoever changes how a version lies in memory changes what
// old snapshots mean, and must raise snapshotFormat. Only how large new chunks
// are may change without, as a snapshot says the size of each.
func TestSnapshotFormat(t *testing.T) {
	v, _ := parseZone(t, "example", snapshotText)
	b := snapshotOf(t, v)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the sum is that of a little-endian machine")
	}
	const want = 0x8c99246d
	if sum := crc32.ChecksumIEEE(b); sum != want {
		t.Errorf("the snapshot of format %d has sum %#x, expected %#x: raise snapshotFormat and note the new sum", snapshotFormat, sum, want)
	}
}

func TestSnapshotFile(t *testing.T) {
	dir := t.TempDir()
	db, path := filepath.Join(dir, "db"), filepath.Join(dir, "example.snapshot")
	write := func(name, text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	write("db", "$TTL 300\n"+checkTop+"$INCLUDE more\n", time.Hour)
	write("more", "a A 192.0.2.1\n", time.Hour)
	origin := dns.MustName("example")
	v, _, err := LoadFile(db, origin)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.WriteSnapshot(path); err != nil {
		t.Fatal(err)
	}
	w, err := LoadSnapshot(path, origin)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(recordTexts(v), recordTexts(w)); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
	current := func(want bool, what string) {
		t.Helper()
		if got := w.Source().IsCurrent(db); got != want {
			t.Errorf("%s: current is %v, expected %v", what, got, want)
		}
	}
	current(true, "nothing happened")
	if w.Source().IsCurrent(filepath.Join(dir, "more")) {
		t.Error("another file is taken for the master file")
	}
	write("more", "a A 192.0.2.2\n", time.Minute)
	current(false, "an included file is newer")
	write("more", "a A 192.0.2.1\nb A 192.0.2.1\n", time.Hour)
	current(false, "an included file is longer")
	if v, _, err = LoadFile(db, origin); err != nil {
		t.Fatal(err)
	}
	w = v
	current(true, "loaded anew")
	write("db", "$TTL 300\n"+checkTop+"$INCLUDE more\n", -time.Hour)
	if w, _, err = LoadFile(db, origin); err != nil {
		t.Fatal(err)
	}
	current(false, "the file may have changed while it was read")
	if err := os.Remove(filepath.Join(dir, "more")); err != nil {
		t.Fatal(err)
	}
	current(false, "an included file is gone")
	if files, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	if err := v.WriteSnapshot(filepath.Join(dir, "no", "such")); err == nil {
		t.Error("written into a directory that is not there")
	}
}
