package zone

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// smallTeam reads in pieces of a few lines.
func smallTeam(r *rand.Rand) Loader {
	return Loader{
		Workers: 2 + r.IntN(2), least: 1 + r.IntN(4),
		pieces: zonefile.Parallel{First: 1 + r.IntN(100), Size: 30 + r.IntN(300), Ahead: 100},
	}
}

func findingTexts(fs []Finding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Severity.String()+" "+f.Code+" "+f.String())
	}
	return out
}

// sameAsAlone loads text by l and by one goroutine and wants the same of both.
func sameAsAlone(t testing.TB, l Loader, text []byte) *Version {
	t.Helper()
	origin := dns.MustName("example")
	read := func(l Loader) (*Version, []Finding, error) {
		return l.Load(zonefile.NewReader(bytes.NewReader(text), zonefile.Options{Origin: origin, DefaultTTL: 300}), origin)
	}
	v, found, err := read(Loader{Workers: 1})
	w, foundToo, errToo := read(l)
	if d := cmp.Diff(fmt.Sprint(err), fmt.Sprint(errToo)); d != "" {
		t.Fatalf("errors (-alone +team):\n%s\ntext:\n%s", d, text)
	}
	if d := cmp.Diff(findingTexts(found), findingTexts(foundToo)); d != "" {
		t.Fatalf("findings (-alone +team):\n%s\ntext:\n%s", d, text)
	}
	if (v == nil) != (w == nil) {
		t.Fatalf("version %v, expected %v; text:\n%s", w, v, text)
	}
	if v == nil {
		return nil
	}
	if d := cmp.Diff(recordTexts(v), recordTexts(w)); d != "" {
		t.Fatalf("records (-alone +team):\n%s\ntext:\n%s", d, text)
	}
	if d := cmp.Diff(shape(v), shape(w)); d != "" {
		t.Fatalf("names (-alone +team):\n%s\ntext:\n%s", d, text)
	}
	w.verify()
	return w
}

// shape is what a version knows about its names besides their records.
func shape(v *Version) (out []string) {
	out = append(out, fmt.Sprint(v.Serial(), v.Class(), v.Denial(), v.Stats().Names, v.Stats().Records, v.nsec3.Len(), v.spare.Len()))
	var m Match
	for n := range v.Nodes() {
		s := fmt.Sprint(n.Name(), n.IsCut(), n.IsENT(), n.leaf.Flags&flagWild)
		if ns, ok := n.RRset(dns.TypeNS); ok {
			for g := range ns.Glue() {
				s += fmt.Sprint(" ", g.Index, g.Host.Name(), g.InDomain)
			}
		}
		v.Lookup(&m, n.AppendName(nil))
		proof, exact := v.NSEC3For(n)
		out = append(out, s+fmt.Sprint(" ", m.Cut.Name(), m.Encloser.Name(), " ", proof.Name(), exact))
	}
	return out
}

// teamLines is what random zones are made of. A %d becomes a number.
var teamLines = []string{
	"d%d NS ns.d%[1]d\nns.d%[1]d A 192.0.2.1", "d%d NS ns.d1\nd%[1]d NS ns.d2", "d%d NS ns.other.", "d%d" + digest, "ns.d%d AAAA 2001:db8::1",
	"h%d A 192.0.2.1\n A 192.0.2.2", "h%d TXT a\nh%[1]d 60 TXT b", "h%d CNAME h1", "a.b.c.h%d A 192.0.2.3", "*.w%d A 192.0.2.4", "*.h%d TXT x",
	"n%d DNAME other.", "x.n%d A 192.0.2.1", "h%d.outside. A 192.0.2.1", "H%d A 192.0.2.9", "@ NSEC3PARAM 1 0 0 -", hashed + nsec3, hashed + " RRSIG NSEC3" + rrsigOf,
	"h%d RRSIG A" + rrsigOf, "h%d MX 10 h%[1]d", "$TTL 60", "$TTL 300", "$ORIGIN sub.example.", "$ORIGIN example.", "@ 60 NS ns.d1", "bad%d A",
}

// TestTeam builds random zones of every kind, mistakes included, in all ways of
// cutting them.
func TestTeam(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	served := 0
	for range 600 {
		lines := []string{checkTop}
		kinds := 5 + r.IntN(len(teamLines)-4)
		for range r.IntN(80) {
			line := teamLines[r.IntN(kinds)]
			if strings.Contains(line, "%") {
				line = fmt.Sprintf(line, r.IntN(30))
			}
			lines = append(lines, line+"\n")
		}
		switch r.IntN(4) {
		case 0:
			slices.Sort(lines[1:])
		case 1:
			// In order section by section.
			for rest := lines[1:]; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				slices.Sort(rest[:n])
				rest = rest[n:]
			}
		case 2:
			r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		}
		if sameAsAlone(t, smallTeam(r), []byte(strings.Join(lines, ""))) != nil {
			served++
		}
	}
	if served < 200 {
		t.Errorf("%d of 600 zones could be served, expected more", served)
	}
}

// TestTeamOfTLD builds what it is for, in pieces of the usual size, and edits it.
func TestTeamOfTLD(t *testing.T) {
	tld, text := generated(t, 30_000)
	path := filepath.Join(t.TempDir(), "tld.zone")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	progress := int64(0)
	l := Loader{Workers: 3, least: 1000, pieces: zonefile.Parallel{Size: 64 << 10}, Progress: func(read, total int64) {
		if total != int64(len(text)) || read < progress {
			t.Errorf("progress %d of %d after %d", read, total, progress)
		}
		progress = read
	}}
	w, findings, err := l.LoadFile(path, tld.Origin)
	if err != nil || len(findings) > 0 {
		t.Fatal(err, findings)
	}
	if progress != int64(len(text)) {
		t.Errorf("progress ended at %d of %d", progress, len(text))
	}
	v := load(t, tld.Origin, text)
	if d := cmp.Diff(shape(v), shape(w)); d != "" {
		t.Fatalf("names (-alone +team):\n%s", d)
	}
	if d := Diff(v, w); len(d.Added)+len(d.Removed) > 0 {
		t.Fatalf("%d records more and %d fewer than alone", len(d.Added), len(d.Removed))
	}
	w.verify()
	e := w.Edit()
	old, _ := w.Find(append(append([]byte{}, byte(len(tld.AppendName(nil, 7)))), append(tld.AppendName(nil, 7), tld.Origin.Wire()...)...)).RRset(dns.TypeNS)
	for rd := range old.RData() {
		r := dns.Record{Name: dns.MustName("brand-new.tld"), Type: dns.TypeNS, Class: dns.ClassIN, TTL: old.TTL(), Data: slices.Clone(rd)}
		if _, err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	x, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	now, _ := x.Find(wire("brand-new.tld")).RRset(dns.TypeNS)
	if now.ID() != old.ID() || len(slices.Collect(now.Glue())) != len(slices.Collect(old.Glue())) {
		t.Errorf("a new delegation has NS set %d, expected to share %d", now.ID(), old.ID())
	}
}

// FuzzTeam: a team makes of a text what one goroutine makes of it.
func FuzzTeam(f *testing.F) {
	for _, z := range badZones {
		f.Add([]byte(z.text), uint8(3), uint8(90))
	}
	f.Fuzz(func(t *testing.T, text []byte, first, size uint8) {
		if bytes.Contains(text, []byte("GENERATE")) {
			return // it makes very many records
		}
		l := Loader{Workers: 2, least: 2, pieces: zonefile.Parallel{First: 1 + int(first), Size: 1 + int(size), Ahead: 64}}
		sameAsAlone(t, l, text)
	})
}
