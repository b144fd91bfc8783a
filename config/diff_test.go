package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const before = `
log: {level: info}
server: {nsid: a}
keys: {k.: {secret: AAEC}}
servers: {ns2: {address: 192.0.2.2}}
templates: {t: {serial: date, notify: ns2}, u: {}}
zones:
  a.example: {file: a, template: t}
  b.example: {file: b}
  c.example: {update: "grant key:k. zonesub"}
views:
  v: {match: 10.0.0.0/8, zones: {a.example: {file: va}}}
`

// names tells what a difference is about.
func (d Difference) names() map[string][]string {
	out := make(map[string][]string)
	for what, zones := range map[string][]Zone{"added": d.Added, "changed": d.Changed, "removed": d.Removed} {
		for _, z := range zones {
			out[what] = append(out[what], z.Name.String()+"@"+z.View)
		}
	}
	for _, t := range d.Catalog {
		out["templates"] = append(out["templates"], t.Name)
	}
	if d.Keys {
		out["keys"] = []string{"changed"}
	}
	if d.Views {
		out["views"] = []string{"changed"}
	}
	if len(d.Restart) > 0 {
		out["restart"] = d.Restart
	}
	return out
}

func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		what, text string
		want       map[string][]string
	}{
		{"nothing", "# a remark\n" + before, map[string][]string{}},
		{"everything", `
data: /x
threads: 2
server: {nsid: b, triage: false, cookies: {required: true}}
log: {level: debug}
keys: {k.: {secret: AAED}}
servers: {ns2: {address: 192.0.2.3}}
templates: {t: {serial: date, notify: ns2}, u: {}, w: {}}
zones:
  d.example: {file: d}
  A.example: {file: a, template: t}
  c.example: {update: "grant key:k. name c.example."}
views:
  v: {match: 10.0.0.0/9}
`, map[string][]string{
			"added": {"d.example.@"}, "changed": {"A.example.@", "c.example.@"}, "removed": {"b.example.@", "a.example.@v"},
			"keys": {"changed"}, "views": {"changed"}, "templates": {"t", "w"},
			"restart": {"data", "store", "threads", "server.nsid", "server.cookies.required", "server.triage", "tls.acme.dir", "log.level"},
		}},
	} {
		got := Diff(parse(t, before), parse(t, c.text)).names()
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, d)
		}
	}
}
