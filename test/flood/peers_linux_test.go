package flood

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// peer is another name server, on the same address and with one worker.
type peer struct {
	name, binary string
	args         func(dir, zone string) []string
	config       string // with the directory and the zone's file
}

var others = []peer{
	{"NSD", "nsd", func(dir, zone string) []string { return []string{"-d", "-c", dir + "/conf"} }, `
server:
  ip-address: 10.77.0.1@53
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "%[1]s"
  database: ""
  pidfile: "%[1]s/pid"
  xfrdfile: "%[1]s/xfrd"
  zonelistfile: "%[1]s/zonelist"
  xfrdir: "%[1]s"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: "%[2]s"
`},
	{"Knot", "knotd", func(dir, zone string) []string { return []string{"-c", dir + "/conf"} }, `
server:
  listen: 10.77.0.1@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  rundir: %[1]s
database:
  storage: %[1]s
template:
  - id: default
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: example.com
    file: %[2]s
`},
}

// Others under the same flood, as much of it as there is; nobody judges them.
func TestPeersUnderFlood(t *testing.T) {
	if testing.Short() || os.Getenv("ONOMA_FLOOD_SECONDS") == "" {
		t.Skip("for the table of docs/floods.md only: make flood")
	}
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) {
			peers.Need(t, o.binary)
			r := newRig(t)
			dir, zone := t.TempDir(), plainZone(t)
			conf := fmt.Sprintf(o.config, dir, zone)
			if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
				t.Fatal(err)
			}
			p := r.start(t, "", o.binary, o.args(dir, zone)...)
			defer p.stop(t)
			s := scenario{query: question(t, "www.example.com.", dns.TypeA, false), change: forged}
			good := r.good(t, 1, goodClients, goodRate, s.query)
			defer good.end()
			deadline := time.Now().Add(10 * time.Second)
			for good.during(time.Second).share() < 0.9 {
				if time.Now().After(deadline) {
					t.Fatalf("%s does not answer:\n%s", o.name, p.text())
				}
			}
			can, with := s.saturate(t, r, good, span())
			with.memory = p.memory()
			t.Logf("%s: capacity %.0f/s, flood %.1f times that: good clients keep %.1f %%", o.name, can, with.rate/can, 100*with.share())
			report(o.name+": forged sources, one name", can, with, -1)
		})
	}
}
