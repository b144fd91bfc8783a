package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestZoneList(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	read := func(text string) (out []string, err error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := readZoneList(path)
		for _, f := range files {
			out = append(out, f.name.String()+" "+strings.ReplaceAll(f.file, dir, "DIR"))
		}
		return out, err
	}
	got, err := read("# all zones\n\nexample.com example.com.zone\r\n  Example.ORG \t/zones/example.org # ours\nb\u00fccher.example sub/a b.zone  \n. root#1")
	want := []string{
		"example.com. DIR/example.com.zone", "Example.ORG. /zones/example.org",
		"xn--bcher-kva.example. DIR/sub/a b.zone", ". DIR/root#1",
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v, zones (-want +got):\n%s", err, d)
	}
	_, err = read("a.example\n\n b..example x\na.example f\nA.example g\n")
	wrong := strings.Join([]string{
		"DIR/list:1:10: no file for zone a.example., expected NAME FILE",
		`DIR/list:3:2: "b..example": empty label, expected the name of a zone`,
		"DIR/list:5:1: zone A.example. once more, expected it in line 4 only",
	}, "\n")
	if err == nil {
		t.Fatal("no error")
	}
	if d := cmp.Diff(wrong, strings.ReplaceAll(err.Error(), dir, "DIR")); d != "" {
		t.Errorf("errors (-want +got):\n%s", d)
	}
	if _, err := readZoneList(filepath.Join(dir, "absent")); err == nil {
		t.Error("no error where there is no list")
	}
}
