package scale

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"onoma/test/peers"
)

// rig is a primary with many zones and a catalog of them, and a consumer.
type rig struct {
	t        *testing.T
	dir      string
	n        int
	refresh  int // seconds, of the zones
	binary   string
	primary  *server
	consumer *server
	metrics  netip.AddrPort
	catalog  uint32          // its serial number
	listed   map[string]bool // in the catalog
	label    string          // begins those of the members
}

const catz = "catalog.invalid."

// fewZones is for every test run.
const fewZones = 300

// scaleOf returns how many zones there are to be.
func scaleOf(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ONOMA_SCALE")
	if text == "" {
		return fewZones
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 10 {
		t.Fatalf("ONOMA_SCALE=%s: expected a number of zones, 10 at least", text)
	}
	return n
}

// newRig writes the zone files and the configurations.
func newRig(t *testing.T, n, refresh int, notify bool) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{t: t, dir: dir, n: n, refresh: refresh, listed: make(map[string]bool), label: "m", binary: binary(t, dir), metrics: peers.Addr(t)}
	from, to := peers.Addr(t), peers.Addr(t)
	var list strings.Builder
	list.WriteString(catz + " catalog\n")
	for i := range n {
		r.write(fileOf(i), r.text(i, 1))
		list.WriteString(nameOf(i) + " " + fileOf(i) + "\n")
		r.listed[nameOf(i)] = true
	}
	r.write("list", list.String())
	r.list()
	args := []string{"authority", "--listen", from.String(), "--zones", filepath.Join(dir, "list"), "--transfer-to", "127.0.0.0/8",
		"--control", filepath.Join(dir, "primary.ctl")}
	if notify {
		args = append(args, "--notify", to.String())
	}
	r.primary = newServer(t, "primary", dir, r.binary, from, args...)
	r.configure("consumer.yaml", configuration, from.String(), to.String())
	r.consumer = newServer(t, "consumer", dir, r.binary, to, "serve", "--config", filepath.Join(dir, "consumer.yaml"))
	return r
}

const configuration = `
data: DIR/data
control: DIR/consumer.ctl
listen: ["TO"]
metrics: "METRICS"
log: {level: warn}
servers:
  primary: {address: "FROM"}
templates:
  edge: {primaries: primary, allow-notify: 127.0.0.0/8, refresh-min: 1s}
zones:
  catalog.invalid: {primaries: primary, allow-notify: 127.0.0.0/8, catalog: {consume: {template: edge}}}
`

func (r *rig) configure(name, text, from, to string) {
	r.t.Helper()
	r.write(name, strings.NewReplacer("DIR", r.dir, "FROM", from, "TO", to, "METRICS", r.metrics.String()).Replace(text))
}

// binary builds onoma as it is released where it is to be measured, and with invariants checked where not.
func binary(t *testing.T, dir string) string {
	t.Helper()
	if os.Getenv("ONOMA_SCALE") == "" {
		return peers.Binary(t)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "onoma"), "./cmd/onoma")
	cmd.Dir = peers.ModuleRoot()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return filepath.Join(dir, "onoma")
}

func nameOf(i int) string { return fmt.Sprintf("d%06d.example.", i) }

func fileOf(i int) string { return fmt.Sprintf("zones/%03d/d%06d", i/1000, i) }

// text is a zone of five records.
func (r *rig) text(i int, serial uint32) string {
	return fmt.Sprintf("$ORIGIN %s\n$TTL 300\n@ SOA ns1.example.net. host.example.net. %d %d 5 86400 300\n@ NS ns1.example.net.\n@ NS ns2.example.net.\n@ A 192.0.2.%d\nwww A 192.0.2.%d\n",
		nameOf(i), serial, r.refresh, serial%256, i%256)
}

// write writes a file as editors do: all of it at once.
func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
}

// list writes the next version of the catalog.
func (r *rig) list() {
	r.t.Helper()
	r.catalog++
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 0\n@ SOA invalid. invalid. %d %d 5 86400 0\n@ NS invalid.\nversion TXT \"2\"\n", catz, r.catalog, r.refresh)
	for i := range r.n {
		if name := nameOf(i); r.listed[name] {
			fmt.Fprintf(&b, "%s%06d.zones PTR %s\n", r.label, i, name)
		}
	}
	r.write("catalog", b.String())
}

// samples are up to most of the zones, evenly spread, the last one of them.
func (r *rig) samples(most int) (names []string) {
	step := max(1, r.n/most)
	for i := r.n - 1; i >= 0; i -= step {
		names = append(names, nameOf(i))
	}
	return names
}
