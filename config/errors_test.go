package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMistakes has texts, and behind --- all that is said of them.
func TestMistakes(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(data), "---\n")
			_, err = Parse("f.yaml", []byte(text), Options{CheckRule: checkRule})
			if err == nil {
				t.Fatal("no mistake was found")
			}
			got := err.Error() + "\n"
			if os.Getenv("REWRITE") != "" {
				if err := os.WriteFile(path, []byte(text+"---\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("errors (-want +got):\n%s", d)
			}
		})
	}
}

func checkRule(text string) error {
	if !strings.HasPrefix(text, "grant ") {
		return errors.New("expected grant")
	}
	return nil
}

func TestAliasesAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"laughs": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nlisten: *c\n",
		"merges": "x: &a {k: 1}\ny: &b {<<: [*a,*a,*a,*a,*a,*a,*a,*a]}\nz: &c {<<: [*b,*b,*b,*b,*b,*b,*b,*b]}\nu: &d {<<: [*c,*c,*c,*c,*c,*c,*c,*c]}\n" +
			"v: &e {<<: [*d,*d,*d,*d,*d,*d,*d,*d]}\nw: &f {<<: [*e,*e,*e,*e,*e,*e,*e,*e]}\ntls: {<<: [*f,*f,*f,*f,*f,*f,*f,*f]}\n",
		"self":  "tls: &a {<<: *a}\n",
		"lists": "access: {a: &a [a1,a1], a1: [b,b,b,b,b,b,b,b], b: [c,c,c,c,c,c,c,c], c: [d,d,d,d,d,d,d,d], d: [e,e,e,e,e,e,e,e], e: [f,f,f,f,f,f,f,f], f: [g,g,g,g,g,g,g,g], g: [h,h,h,h,h,h,h], h: [any,any,any,any]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if _, err := Parse("f.yaml", []byte(text), Options{}); err == nil {
				t.Error("no mistake was found")
			} else if len(err.Error()) > 1<<16 {
				t.Errorf("the error has %d octets", len(err.Error()))
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c := parse(t, `
zones:
  a.example: &common {notify: [192.0.2.1], serial: date}
  b.example: {<<: *common, serial: keep}
  c.example: *common
`)
	var got []Serial
	for _, z := range c.Zones {
		if len(z.Notify) != 1 {
			t.Errorf("%s notifies %d servers", z.Name, len(z.Notify))
		}
		got = append(got, z.Serial)
	}
	if d := cmp.Diff([]Serial{SerialDate, SerialKeep, SerialDate}, got); d != "" {
		t.Errorf("serials (-want +got):\n%s", d)
	}
}

func TestSecretsAreNotTold(t *testing.T) {
	_, err := Parse("f.yaml", []byte("keys: {a.: {secret: 'hunter2!'}}\n"), Options{})
	if err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error is %v", err)
	}
	c := parse(t, "keys: {a.: {secret: c2VjcmV0}, b.: {secret: 'env:B'}}\n")
	if s := c.Keys[0].Secret.String(); s != "(secret)" {
		t.Errorf("it prints as %s", s)
	}
	b, err := c.Keys[1].Secret.Octets(func(name string) string { return map[string]string{"B": "AAEC"}[name] })
	if err != nil || string(b) != "\x00\x01\x02" {
		t.Errorf("secret of the environment is %q, %v", b, err)
	}
}

func TestIncludes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := write("onoma.yaml", "include: [zones/*.yaml, keys.yaml]\nzones: {a.example: {file: a, template: t}}\n")
	write("keys.yaml", "keys: {k.: {secret: AAEC}}\ntemplates: {t: {transfer-to: 'key:k.'}}\n")
	write("zones/b.yaml", "zones: {b.example: {file: b, template: t}}\ninclude: ../onoma.yaml\n")
	c, err := Load(main, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Zones[0].File, c.Zones[1].File, c.Zones[1].Name.String()}
	if d := cmp.Diff([]string{filepath.Join(dir, "a"), filepath.Join(dir, "zones/b"), "b.example."}, got); d != "" || len(c.Files) != 3 {
		t.Errorf("zones of %v (-want +got):\n%s", c.Files, d)
	}
	write("zones/c.yaml", "zones: {a.example: {file: c}}\ndata: /x\nserver: {}\n")
	write("zones/d.yaml", "server: {}\ninclude: absent.yaml\nzones: [\n")
	_, err = Load(main, Options{})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	want := strings.Join([]string{
		"DIR/zones/c.yaml:1:9: zone a.example. is given twice, expected it once; it is at DIR/onoma.yaml:2:9 already",
		"DIR/zones/d.yaml:4:1: not YAML: did not find expected node content",
	}, "\n")
	if d := cmp.Diff(want, strings.ReplaceAll(err.Error(), dir, "DIR")); d != "" {
		t.Errorf("errors (-want +got):\n%s", d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("zones: {a.example: {file: a}}")
	f.Add("access: {a: [b, 10.0.0.0/8], b: [a]}\ntemplates: {t: {template: t, gate: {remove-most: 20%}}}")
	f.Add("x: &x {<<: *x}\nviews: {v: {match: any, zones: {a: {catalog: {consume: {template: t}}}}}}")
	f.Add("keys: {k: {secret: env:X}}\nservers: {s: {address: '::1', key: k}}\nlisten: [xdp://e, https://::1/x]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.yaml", []byte(text), Options{})
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v and error %v", c, err)
		}
		if d := Diff(c, c); c != nil && !d.IsEmpty() {
			t.Fatalf("differs from itself: %+v", d)
		}
	})
}
