package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("onoma.yaml", []byte(text), Options{})
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return c
}

func TestSmallestFile(t *testing.T) {
	c := parse(t, `
listen: 127.0.0.1:5353
zones:
  example.com:
    file: example.com.zone
`)
	if len(c.Zones) != 1 {
		t.Fatalf("%d zones, want one", len(c.Zones))
	}
	z := c.Zones[0]
	if z.Name != dns.MustName("example.com") || z.File != "example.com.zone" || z.FileMode != FileReload ||
		z.Serial != SerialIncrement || z.History.Keep != 90*24*time.Hour || z.History.Size != 1<<30 || !z.IXFR {
		t.Errorf("zone is %+v", z)
	}
	if c.Data != "/var/lib/onoma" || c.Store != "sqlite:/var/lib/onoma/onoma.db" || len(c.Listen) != 1 || c.Server.MaxUDP != 1232 || !c.Server.Cookies.Enabled {
		t.Errorf("configuration is %+v", c)
	}
}

func TestWholeFile(t *testing.T) {
	c := parse(t, `
data: var
store: sqlite
listen: ["0.0.0.0:53", "[::]:53", "tls://0.0.0.0", "https://[::1]:8443/q"]
tls: {self-signed: true}
server: {nsid: ns1, rate-limit: {rate: 100, allow: [127.0.0.0/8]}}
keys:
  transfer.key.: {algorithm: hmac-sha512, secret: c2VjcmV0c2VjcmV0}
servers:
  ns2: {address: [192.0.2.1, "192.0.2.2:5353"], key: transfer.key., transport: tls, tls: {mode: strict, name: ns2.example}}
access:
  friends: [more, 192.0.2.0/24, "key:transfer.key."]
  more: [2001:db8::/32, "192.0.2.0/24+key:transfer.key"]
templates:
  default: {serial: date, notify: ns2, transfer-to: [friends], history: {keep: 30d}}
  edge: {template: default, history: {size: 1MiB}, file: "zones/{zone}"}
zones:
  Example.com: {file: example.com.zone}
  sub/dir.example: {template: edge, serial: keep}
  sec.example: {primaries: [ns2, "198.51.100.1+key:transfer.key."], update: "grant key:transfer.key zonesub", forward-updates: true}
  cat.example: {primaries: ns2, catalog: {consume: {template: edge, groups: {a: default}}}}
views:
  inside: {match: 10.0.0.0/8, others: true, zones: {example.com: {template: edge}}}
  lab: {to: 127.0.0.5}
`)
	var got []string
	for _, z := range append(append([]Zone(nil), c.Zones...), c.Views[0].Zones...) {
		got = append(got, strings.Join([]string{z.Name.String(), z.View, z.Template, z.File, string(z.Serial), z.History.Keep.String()}, " "))
	}
	want := []string{
		"Example.com.  default example.com.zone date 720h0m0s",
		`sub/dir.example.  edge zones/sub\047dir.example keep 720h0m0s`,
		"sec.example.  default  date 720h0m0s",
		"cat.example.  default  date 720h0m0s",
		"example.com. inside edge zones/example.com date 720h0m0s",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("zones (-want +got):\n%s", d)
	}
	ns2 := c.Zones[2].Primaries[0]
	if ns2 != &c.Servers[0] || ns2.Address[0].Port() != 853 || ns2.NotifyAddress(ns2.Address[0]).Port() != 53 {
		t.Errorf("server is %+v", ns2)
	}
	if got := len(c.Zones[0].TransferTo); got != 4 {
		t.Errorf("%d clients may transfer, want 4: %v", got, c.Zones[0].TransferTo)
	}
	if g := c.Zones[3].Catalog.Consume; g.MembersMax != 1000000 || g.Groups[0] != (Group{"a", "default"}) {
		t.Errorf("catalog is %+v", g)
	}
	if c.Views[1].To[0].String() != "127.0.0.5/32" || !c.Views[0].Others {
		t.Errorf("views are %+v", c.Views)
	}
}

func TestExample(t *testing.T) {
	c := parse(t, Example)
	if len(c.Zones) != 3 || c.Zones[0].File != "/etc/onoma/zones/example.com.zone" || len(c.Zones[2].Primaries) != 1 {
		t.Errorf("zones are %+v", c.Zones)
	}
}
