//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCountSignatures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone")
	text := `a. 300 IN RRSIG A 13 1 300 20300101000000 20200101000000 1 a. AAAA
		300	RRSIG	NSEC 13 1 300 (
			20300101000000 20200101000000 1 a. AAAA )
a. NSEC b. A RRSIG NSEC
b. NSEC3 1 0 0 - AA A RRSIG
13.a. A 192.0.2.1
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := countSignatures(path); n != 2 || err != nil {
		t.Errorf("counted %d, %v, expected 2", n, err)
	}
}

func TestPageAndFile(t *testing.T) {
	dir := t.TempDir()
	o := options{out: filepath.Join(dir, "page.md"), json: filepath.Join(dir, "r.json")}
	page := "# Head\n" + pageBegin + "\nold\n" + pageEnd + "\ntail\n"
	if err := os.WriteFile(o.out, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.json, []byte(`{"profiles": [1]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &report{Tables: []*table{{Title: "A zone", Processors: 2, Rows: []*row{
		{Name: "onoma", Label: "ours", Signatures: 7, Runs: []cost{{CPU: 1, Wall: 1}, {CPU: 4, Wall: 2}}},
		{Name: "knot", Label: "theirs", Signatures: 7, Runs: []cost{{CPU: 2, Wall: 2}, {CPU: 8, Wall: 2}}},
	}, Inside: &inside{Records: 10, Octets: 600, Whole: []float64{10}, Bare: []float64{9}, WholeWall: []float64{5}, BareWall: []float64{4}}}},
		Changed: &changed{Changes: 10, CPU: 0.05, Wall: 0.1}}
	if err := r.publish(o); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(o.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Head\n", "\ntail\n", "| theirs | **5.00** | 2.00, 8.00 | **0.50** | 2.00 | 0.75 |", "**90 %**", "60.0 octets a record", "**5.00 ms**"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
	var all struct {
		Profiles []int
		Signing  report
	}
	if b, err := os.ReadFile(o.json); err != nil || json.Unmarshal(b, &all) != nil || len(all.Profiles) != 1 || len(all.Signing.Tables) != 1 {
		t.Errorf("the file holds %+v, %v", all, err)
	}
}

// TestQuick measures tiny zones with all that are installed: they make the same signatures.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts servers and signers")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed")
	}
	binary := filepath.Join(t.TempDir(), "onoma")
	if out, err := exec.Command("go", "build", "-o", binary, "onoma/cmd/onoma").CombinedOutput(); err != nil {
		t.Fatalf("building onoma: %v\n%s", err, out)
	}
	o, err := parseFlags([]string{"-quick", "-onoma", binary, "-cache", t.TempDir(), "-signers", "onoma,knot,bind"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	zones, err := r.zones()
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range zones {
		tab, err := r.contest(t.Context(), z, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range tab.Rows {
			if s.Signatures != tab.Rows[0].Signatures || s.Runs[0].CPU <= 0 || s.Runs[0].Memory <= 0 {
				t.Errorf("%s: %+v, expected %d signatures", z.title, s, tab.Rows[0].Signatures)
			}
		}
	}
	if c, err := r.changes(t.Context(), zones[0]); err != nil || c.CPU <= 0 {
		t.Errorf("changes: %+v, %v", c, err)
	}
}
