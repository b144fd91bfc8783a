package mixed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/test/peers"
)

// few changes are enough to see that all works.
const few = 100

func changes(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ONOMA_MIXED"))
	if err != nil {
		return few
	}
	t.Logf("%d changes", n)
	return n
}

// lose and loseFew are the shares of packets that relays lose in a long and in a short run. Each time that one is lost costs seconds.
const lose, loseFew = 0.25, 0.15

// secondaries are the servers that get all zones from the node, by which way, and whether what they say and hear is signed.
var secondaries = []struct {
	peer          *peers.Peer // nil: onoma
	lossy, signed bool
}{
	{peer: peers.NSD, signed: true},
	{peer: peers.Knot, lossy: true, signed: true},
	{peer: peers.BIND, lossy: true},
	{peer: peers.PowerDNS},
	{lossy: true, signed: true},
}

// world is all servers of the test.
type world struct {
	t           *testing.T
	total       int // changes
	node        *node
	workers     []*worker
	sources     map[string]netip.AddrPort // where a zone is decided about, if not at the node
	secondaries map[string]netip.AddrPort
	restarts    []func(kill bool)
	relays      []*relay
	random      *rand.Rand
}

// TestMixedDoors changes zones through all doors at once and from primaries of four kinds. In the end all servers have what the
// changes say.
func TestMixedDoors(t *testing.T) {
	t.Parallel()
	w := &world{
		t: t, total: changes(t), sources: make(map[string]netip.AddrPort), secondaries: make(map[string]netip.AddrPort),
		random: rand.New(rand.NewPCG(4, uint64(time.Now().UnixNano()))),
	}
	w.node = newNode(t, "")
	w.build()
	w.agree() // a first time, so that there is something to have the difference to
	for _, r := range w.relays {
		r.isLossy.Store(true)
	}
	began := time.Now()
	const each = 20
	rounds := max(1, w.total/each)
	for i := range rounds {
		w.round(i, each)
		if t.Failed() {
			return
		}
	}
	took := time.Since(began)
	w.agree()
	w.report(took)
}

// round has the workers share changes, while a server is restarted.
func (w *world) round(i, n int) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	ended := make(chan error, len(w.workers))
	for j, k := range w.workers {
		share := n / len(w.workers)
		if j < n%len(w.workers) {
			share++
		}
		go func() { ended <- k.work(ctx, share) }()
	}
	time.Sleep(time.Duration(w.random.IntN(60)) * time.Millisecond)
	kill := i%4 < 2
	if i%2 == 0 {
		signal := syscall.SIGTERM
		if kill {
			signal = syscall.SIGKILL
		}
		w.node.End(w.t, signal)
		time.Sleep(time.Duration(w.random.IntN(100)) * time.Millisecond)
		w.node.start(w.t)
	} else {
		w.restarts[i/2%len(w.restarts)](kill)
	}
	for range w.workers {
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// build starts everything.
func (w *world) build() {
	t, n := w.t, w.node
	var told, config strings.Builder
	all := w.local(&config)
	all = append(all, w.primaries(&config)...)
	for _, s := range secondaries {
		if s.peer != nil && !s.peer.Available() {
			t.Logf("%s is not installed and is no secondary", s.peer.Name)
			continue
		}
		addr, from := peers.Addr(t), n.Addr
		if s.peer != nil {
			addr = s.peer.Addr(t)
		}
		at, suffix := addr, ""
		if s.lossy {
			at = w.relay(addr)
			if s.peer != peers.BIND || w.total > few {
				from = w.relay(n.Addr)
			} // BIND waits 15 seconds before it asks for a SOA record again.
		}
		p := peers.Primary{Addr: from}
		if s.signed {
			p.Key, suffix = &key, "+key:"+key.Name
		}
		fmt.Fprintf(&told, "%q,", at.String()+suffix)
		w.secondary(s.peer, addr, all, p)
	}
	n.configure(t, fmt.Sprintf(`
keys: {%s: {secret: %s}}
templates:
  default: {dnssec: off, transfer-to: [127.0.0.0/8], notify: [%s], history: {keep: 1h}, refresh-min: 1s, retry-min: 1s}
zones:
%s`, key.Name, key.Secret, told.String(), config.String()))
	n.start(t)
}

// relay puts one before a server.
func (w *world) relay(to netip.AddrPort) netip.AddrPort {
	share := loseFew
	if w.total > few {
		share = lose
	}
	r := startRelay(w.t, to, share)
	w.relays = append(w.relays, r)
	return r.addr
}

// local are the zones that the node itself decides about.
func (w *world) local(config *strings.Builder) []string {
	n := w.node
	u, f := newWorker("update.example.", 1), newWorker("file.example.", 2)
	signed, unsigned := &updateDoor{zone: u.zone, addr: n.Addr, signer: &key}, &updateDoor{zone: u.zone, addr: n.Addr}
	u.door = &mixedDoor{
		node: n, zone: u.zone, random: u.random, versions: make(map[uint64]content),
		doors: []door{signed, unsigned, &apiDoor{node: n, zone: u.zone}},
	}
	f.door = &fileDoor{node: n, t: w.t, zone: f.zone}
	for _, k := range []*worker{u, f} {
		n.Write(w.t, k.zone+"zone", k.now.text(k.zone, 1))
	}
	fmt.Fprintf(config, "  %s: {file: DIR/%szone, file-mode: initial, update: [\"grant key:%s,127.0.0.0/8 zonesub ANY\"]}\n", u.zone, u.zone, key.Name)
	fmt.Fprintf(config, "  %s: {file: DIR/%szone}\n", f.zone, f.zone)
	w.workers = append(w.workers, u, f)
	return []string{u.zone, f.zone}
}

// primaries are other servers, whose zones the node passes on.
func (w *world) primaries(config *strings.Builder) (zones []string) {
	t, dir := w.t, w.t.TempDir()
	for i, p := range peers.All {
		if !p.Available() {
			t.Logf("%s is not installed and is no primary", p.Name)
			continue
		}
		k := newWorker(p.Name+".example.", uint64(10+i))
		file := filepath.Join(dir, k.zone)
		if err := os.WriteFile(file, []byte(k.now.text(k.zone, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		s := p.StartPrimary(t, peers.Zones{{Name: k.zone, File: file}}, p.Addr(t), w.node.Addr)
		switch p {
		case peers.NSD:
			k.door = &signalDoor{Server: s, zone: k.zone, file: file, serial: 1}
		case peers.Knot:
			k.door = &toolDoor{tool: "knsupdate", zone: k.zone, addr: s.Addr}
		case peers.BIND:
			k.door = &toolDoor{tool: "nsupdate", zone: k.zone, addr: s.Addr}
		default:
			k.door = &updateDoor{zone: k.zone, addr: s.Addr}
		}
		fmt.Fprintf(config, "  %s: {primaries: [\"%s\"], allow-notify: [127.0.0.0/8]}\n", k.zone, s.Addr)
		w.sources[k.zone] = s.Addr
		w.workers = append(w.workers, k)
		zones = append(zones, k.zone)
	}
	return zones
}

// secondary starts one at addr.
func (w *world) secondary(p *peers.Peer, addr netip.AddrPort, zones []string, from peers.Primary) {
	t := w.t
	if p != nil {
		s := p.StartSecondary(t, zones, addr, from)
		w.secondaries[p.Name] = addr
		// NSD's children would outlive a parent that is killed, and keep its ports.
		w.restarts = append(w.restarts, func(kill bool) { s.Restart(t, kill && p != peers.NSD) })
		return
	}
	var config strings.Builder
	fmt.Fprintf(&config, `
listen: ["%s"]
keys: {%s: {secret: %s}}
templates:
  default: {transfer-to: [127.0.0.0/8], primaries: ["%s+key:%s"], allow-notify: ["127.0.0.0/8+key:%s"], refresh-min: 1s, retry-min: 1s}
zones:
`, addr, key.Name, key.Secret, from.Addr, key.Name, key.Name)
	for _, z := range zones {
		fmt.Fprintf(&config, "  %s: {}\n", z)
	}
	n := startNode(t, config.String())
	w.secondaries["onoma"] = addr
	w.restarts = append(w.restarts, func(kill bool) {
		signal := syscall.SIGTERM
		if kill {
			signal = syscall.SIGKILL
		}
		n.End(t, signal)
		n.start(t)
	})
}

// agree waits until all servers have the newest version of each zone, and compares them, record by record.
func (w *world) agree() {
	w.t.Helper()
	for _, k := range w.workers {
		source := w.node.Addr
		if from, ok := w.sources[k.zone]; ok {
			source = from
			await(w.t, "the newest version of "+k.zone+" to come", func() bool {
				want, a := serial(source, k.zone)
				got, b := serial(w.node.Addr, k.zone)
				return a && b && want == got
			})
		}
		w.node.propagated(w.t, k.zone)
		want, err := k.now.records()
		if err != nil {
			w.t.Fatal(err)
		}
		soa, lines, err := transfer(source, k.zone, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			w.t.Errorf("zone %s (-changed to +where it is decided about):\n%s", k.zone, diff)
		}
		w.compare("the node", w.node.Addr, k.zone, soa, lines)
		for name, addr := range w.secondaries {
			w.compare(name, addr, k.zone, soa, lines)
		}
	}
}

func (w *world) compare(name string, addr netip.AddrPort, zone, soa string, lines []string) {
	w.t.Helper()
	gotSOA, got, err := transfer(addr, zone, nil)
	if err != nil {
		w.t.Errorf("zone %s from %s: %v", zone, name, err)
		return
	}
	if gotSOA != soa {
		w.t.Errorf("zone %s: %s has %q, expected %q", zone, name, gotSOA, soa)
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		w.t.Errorf("zone %s (-where it is decided about +%s):\n%s", zone, name, diff)
	}
}

// report tells what has been proven.
func (w *world) report(took time.Duration) {
	var lost, passed int64
	for _, r := range w.relays {
		lost += r.lost.Load()
		passed += r.passed.Load()
	}
	incremental, whole, instead := w.node.transfers()
	made := ""
	for _, k := range w.workers {
		made += fmt.Sprintf(" %s %d", k.zone, k.made)
		if d, ok := k.door.(*mixedDoor); ok {
			made += fmt.Sprintf(" (%d rollbacks)", d.rollback)
		}
	}
	w.t.Logf("changes in %v:%s; %d secondaries; %d packets lost, %d passed on; transfers out: %d ixfr, %d axfr, %d ixfr answered in full",
		took.Round(time.Millisecond), made, len(w.secondaries), lost, passed, incremental, whole, instead)
	if incremental == 0 {
		w.t.Error("there was no incremental transfer: this proves little")
	}
	if lost == 0 && len(w.relays) > 0 {
		w.t.Error("no packet was lost: this proves little")
	}
}
