package nodes

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// few kills are enough to see that all works.
const few = 6

func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ONOMA_NODES"))
	if err != nil {
		return few
	}
	t.Logf("%d kills", n)
	return n
}

const twoNodes = `
data: DIR/data
store: STORE
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], history: {keep: 1h}}
zones:
  u.example: {file: DIR/zone, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"]}
  a.example: {file: DIR/zone, file-mode: initial}
`

// pairOfNodes makes two nodes that share a database.
func pairOfNodes(t *testing.T, url, configuration string) [2]*node {
	var nodes [2]*node
	for i := range nodes {
		nodes[i] = newNode(t, strings.ReplaceAll(configuration, "STORE", strconv.Quote(url)))
		nodes[i].Write(t, "zone", zoneText)
	}
	return nodes
}

func TestTwoNodes(t *testing.T) {
	database := peers.StartPostgres(t)
	nodes := pairOfNodes(t, database.Database(t), twoNodes)
	accounts := []*account{newAccount("u.example."), newAccount("a.example.")}
	for _, n := range nodes {
		n.Run(t) // both at once, on an empty database
	}
	for _, n := range nodes {
		for _, a := range accounts {
			within(t, 20*time.Second, "first start", func() error { _, err := n.serial(a.zone); return err })
		}
	}
	l := newLoad()
	var acked [2]atomic.Int64
	for i, n := range nodes {
		for range 3 {
			l.change(accounts[0], byUpdate(n), &acked[i])
		}
		l.change(accounts[1], byControl(n), &acked[i])
		for _, a := range accounts {
			l.look(n, a.zone)
		}
	}
	random := rand.New(rand.NewPCG(4, uint64(time.Now().UnixNano())))
	began, slowest := time.Now(), time.Duration(0)
	for k := range kills(t) {
		time.Sleep(time.Duration(50+random.IntN(300)) * time.Millisecond)
		which := random.IntN(2)
		victim, others := nodes[which], &acked[1-which]
		victim.End(t, syscall.SIGKILL)
		before := others.Load()
		killed := time.Now()
		within(t, 5*time.Second, "changes at the node that lives", func() error {
			if n := others.Load(); n < before+20 {
				return fmt.Errorf("%d changes since", n-before)
			}
			return nil
		})
		slowest = max(slowest, time.Since(killed))
		victim.start(t, "u.example.")
		if t.Failed() {
			t.Fatalf("after kill %d", k+1)
		}
	}
	t.Logf("%d kills in %v; at the other node the next 20 changes took %v at most", nodes[0].Ends+nodes[1].Ends, time.Since(began).Round(time.Millisecond), slowest)
	for _, a := range accounts {
		var err error
		if a.earlier, a.earlierSerial, err = nodes[0].content(a.zone); err != nil {
			t.Fatal(err)
		}
	}
	databaseGoes(t, database, nodes, &acked)
	l.end()
	for _, err := range l.wrong {
		t.Error(err)
	}
	for i := range acked {
		if acked[i].Load() == 0 {
			t.Errorf("nothing was acknowledged by node %d: this proves nothing", i)
		}
	}
	for _, a := range accounts {
		agree(t, nodes, a)
	}
	t.Logf("acknowledged: %d by UPDATE, %d by the control socket; %d and %d by each node; refused: %v",
		accounts[0].acknowledged(), accounts[1].acknowledged(), acked[0].Load(), acked[1].Load(), l.counts)
}

// databaseGoes kills the database under load: changes fail, answers go on, and
// changes come again by themselves when it is back.
func databaseGoes(t *testing.T, database *peers.Postgres, nodes [2]*node, acked *[2]atomic.Int64) {
	t.Helper()
	database.Kill()
	time.Sleep(100 * time.Millisecond) // what was committed before may still be acknowledged
	before := [2]int64{acked[0].Load(), acked[1].Load()}
	for _, n := range nodes {
		began := time.Now()
		if err := n.update(5*time.Second, "u.example.", "lost.u.example. 60 IN A 192.0.2.1"); err != rcode(dns.RcodeServerFailure) {
			t.Errorf("an update without a database is answered by %v, expected SERVFAIL", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("an update without a database is refused after %v", took)
		}
		if _, err := n.Ctl.Zone("a.example.", "").Change(t.Context(), control.ChangeRequest{Add: []string{"lost A 192.0.2.1"}}); err == nil {
			t.Error("the control socket takes a change without a database")
		} else {
			t.Logf("the control socket says: %v", err)
		}
		if _, err := n.serial("u.example."); err != nil {
			t.Errorf("without a database a query is answered by %v", err)
		}
	}
	for i := range acked {
		if now := acked[i].Load(); now != before[i] {
			t.Errorf("node %d acknowledged %d changes without a database", i, now-before[i])
		}
	}
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range acked {
		within(t, 10*time.Second, "changes after the database is back", func() error {
			if acked[i].Load() < before[i]+20 {
				return fmt.Errorf("node %d: %d changes", i, acked[i].Load()-before[i])
			}
			return nil
		})
	}
}

// agree waits until both nodes have all that was acknowledged, and compares what
// they know of the past.
func agree(t *testing.T, nodes [2]*node, a *account) {
	t.Helper()
	var content [2]map[string]bool
	var serial [2]uint32
	within(t, 5*time.Second, "zone "+a.zone+" at both nodes", func() error {
		for i, n := range nodes {
			var err error
			if content[i], serial[i], err = n.content(a.zone); err != nil {
				return err
			}
			if err := a.verify(content[i], serial[i]); err != nil {
				return fmt.Errorf("node %d: %w", i, err)
			}
		}
		if serial[0] != serial[1] || !maps.Equal(content[0], content[1]) {
			return fmt.Errorf("node 0 serves %d and node 1 %d", serial[0], serial[1])
		}
		return nil
	})
	var logs [2][]control.VersionLine
	for i, n := range nodes {
		logs[i] = history(t, n, a.zone)
		differences(t, n, a, serial[i], content[i])
	}
	if !slices.Equal(logs[0], logs[1]) {
		t.Errorf("zone %s: the nodes have %d and %d versions, or others", a.zone, len(logs[0]), len(logs[1]))
	}
	samples(t, nodes, a.zone, logs[0])
}

// history returns all versions of a zone, the newest first, each with a number and
// a serial number of its own.
func history(t *testing.T, n *node, zone string) (all []control.VersionLine) {
	t.Helper()
	for below := uint64(0); ; {
		some, err := n.Ctl.Zone(zone, "").Log(t.Context(), below, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range some {
			some[i].At = some[i].At.UTC()
		}
		if all = append(all, some...); len(some) == 0 || some[len(some)-1].Number == 1 {
			break
		}
		below = some[len(some)-1].Number
	}
	for i := 1; i < len(all); i++ {
		if a, b := &all[i], &all[i-1]; b.Number != a.Number+1 || int32(b.Serial-a.Serial) <= 0 {
			t.Errorf("zone %s: behind version %d with serial %d comes version %d with serial %d", zone, a.Number, a.Serial, b.Number, b.Serial)
		}
	}
	return all
}

// differences fetches what has changed since a.earlier, which leads to the content.
func differences(t *testing.T, n *node, a *account, serial uint32, content map[string]bool) {
	t.Helper()
	all, err := n.transfer(a.zone, a.earlierSerial)
	if err != nil {
		t.Errorf("IXFR of %s: %v", a.zone, err)
		return
	}
	if _, ok := all[1].(*dns.SOA); !ok {
		t.Errorf("IXFR of %s from %d to %d is answered by the whole zone", a.zone, a.earlierSerial, serial)
		return
	}
	got, removing := maps.Clone(a.earlier), false
	for _, r := range all[1 : len(all)-1] {
		if r.Header().Rrtype == dns.TypeSOA {
			removing = !removing
		}
		if removing {
			delete(got, r.String())
		} else {
			got[r.String()] = true
		}
	}
	if all[0].(*dns.SOA).Serial == serial && !maps.Equal(got, content) {
		t.Errorf("IXFR of %s leads to %d records, AXFR has %d", a.zone, len(got), len(content))
	}
}

// samples compares the content of some versions of the past.
func samples(t *testing.T, nodes [2]*node, zone string, log []control.VersionLine) {
	t.Helper()
	for range min(10, len(log)) {
		v := log[rand.IntN(len(log))]
		var text [2]strings.Builder
		for i, n := range nodes {
			if err := n.Ctl.Zone(zone, "").Text(t.Context(), v.Number, &text[i]); err != nil {
				t.Errorf("version %d of %s at node %d: %v", v.Number, zone, i, err)
			}
		}
		if text[0].String() != text[1].String() || !strings.Contains(text[0].String(), fmt.Sprint(v.Serial)) {
			t.Errorf("version %d of %s: the nodes have another content for it", v.Number, zone)
		}
	}
}
