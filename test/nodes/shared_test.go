package nodes

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"onoma/authority"
	onoma "onoma/dns"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

const sharedDoors = `
data: DIR/data
store: STORE
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], history: {keep: 1h}}
zones:
  f.example: {file: DIR/file, member-of: members.invalid}
  i.example: {file: DIR/zone, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"], member-of: members.invalid}
  t.example: {primaries: ["PRIMARY"], refresh-min: 1s, retry-min: 1s}
  members.invalid: {catalog: {produce: true}}
`

// primary gives a zone, from within the test.
type primary struct {
	zone      *zone.Zone
	notifier  *authority.Notifier
	transfers atomic.Int64 // that had something in them
	kind      atomic.Int64 // of the last one
}

// newPrimary serves a zone at addr and tells of its changes.
func newPrimary(t testing.TB, name string, addr netip.AddrPort, tell ...netip.AddrPort) *primary {
	t.Helper()
	return newPrimaryOf(t, zoneText, name, addr, tell...)
}

func newPrimaryOf(t testing.TB, text, name string, addr netip.AddrPort, tell ...netip.AddrPort) *primary {
	t.Helper()
	origin := onoma.MustName(name)
	p := &primary{zone: zone.New(origin)}
	p.zone.Keep(zone.NewHistory(zone.HistoryLimits{Steps: 1 << 20, Octets: 1 << 30}))
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin}), origin)
	if err != nil {
		t.Fatal(err)
	}
	p.zone.Publish(v)
	server := authority.New(authority.Options{Transfers: authority.TransferOptions{
		Allow: authority.ACL{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}},
		Ended: func(r authority.TransferReport) {
			if r.Kind != authority.UpToDate {
				p.transfers.Add(1)
				p.kind.Store(int64(r.Kind))
			}
		},
	}})
	server.AddZone(p.zone)
	s, err := transport.Listen(transport.Config{Handler: server, Addrs: []netip.AddrPort{addr}})
	if err != nil {
		t.Fatal(err)
	}
	var to []authority.Secondary
	for _, a := range tell {
		to = append(to, authority.Secondary{Addr: a})
	}
	p.notifier = authority.NewNotifier(authority.NotifyOptions{To: to, From: []netip.Addr{addr.Addr()}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx) }()
	go func() { ended <- p.notifier.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return p
}

// change adds a record, and returns the serial number.
func (p *primary) change(t testing.TB, label string) uint32 {
	t.Helper()
	v, err := p.zone.Update(func(e *zone.Editor) error {
		soa := onoma.RData(append([]byte(nil), p.zone.Current().SOA().First()...))
		onoma.SetSOASerial(soa, onoma.SOASerial(soa)+1)
		name, err := p.zone.Origin().Child(label)
		if err != nil {
			return err
		}
		for _, r := range []onoma.Record{
			{Name: p.zone.Origin(), Type: onoma.TypeSOA, Class: onoma.ClassIN, TTL: 60, Data: soa},
			{Name: name, Type: onoma.TypeA, Class: onoma.ClassIN, TTL: 60, Data: onoma.RData{192, 0, 2, 1}},
		} {
			if _, err := e.Add(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.notifier.Publish(p.zone)
	return v.Serial()
}

// reach waits until nodes serve a serial number.
func reach(t *testing.T, d time.Duration, zone string, serial uint32, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		within(t, d, fmt.Sprintf("serial %d of %s at %s", serial, zone, n.Addr), func() error {
			got, err := n.serial(zone)
			if err == nil && got != serial {
				err = fmt.Errorf("it serves %d", got)
			}
			return err
		})
	}
}

// TestSharedDoors has doors that must not do things twice.
func TestSharedDoors(t *testing.T) {
	database := peers.StartPostgres(t)
	from := peers.Addr(t)
	nodes := pairOfNodes(t, database.Database(t), strings.ReplaceAll(sharedDoors, "PRIMARY", from.String()))
	for _, n := range nodes {
		n.Write(t, "file", zoneText)
	}
	p := newPrimary(t, "t.example.", from, nodes[0].Addr, nodes[1].Addr)
	start := func() {
		for _, n := range nodes {
			n.Run(t)
		}
		for _, n := range nodes {
			for _, z := range []string{"f.example.", "i.example.", "t.example.", "members.invalid."} {
				within(t, 20*time.Second, z+" served", func() error { _, err := n.serial(z); return err })
			}
		}
	}
	start()
	t.Run("primary", func(t *testing.T) { sharedPrimary(t, p, nodes) })
	t.Run("file", func(t *testing.T) { sharedFile(t, nodes) })
	if err := nodes[1].update(5*time.Second, "i.example.", "a.i.example. 60 IN A 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	before := served(t, nodes[1])
	for _, n := range nodes {
		began := time.Now()
		n.End(t, syscall.SIGTERM)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a node took %v to end", took)
		}
	}
	start()
	for _, n := range nodes {
		if now := served(t, n); !maps.Equal(now, before) {
			t.Errorf("after a restart there is another version: %v, before %v", now, before)
		}
	}
	members, _, err := nodes[0].content("members.invalid.")
	if err != nil || len(members) != 1+1+1+2 { // SOA, NS, version, members
		t.Errorf("the catalog has %v, %v", members, err)
	}
}

// served returns the number of each zone's version, and sees that nothing is wrong
// with any.
func served(t *testing.T, n *node) map[string]uint64 {
	t.Helper()
	lines, err := n.Ctl.ZoneLines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]uint64)
	for _, l := range lines {
		if out[l.Name] = l.Version; l.State != "served" {
			t.Errorf("zone %s is %s: %s", l.Name, l.State, l.Reason)
		}
	}
	return out
}

// sharedPrimary: both nodes are told of each change; one fetches it.
func sharedPrimary(t *testing.T, p *primary, nodes [2]*node) {
	const changes = 20
	begun := p.transfers.Load()
	for i := range changes {
		reach(t, 5*time.Second, "t.example.", p.change(t, fmt.Sprintf("a%d", i)), nodes[:]...)
	}
	// What is fetched when the other node is just done is fetched twice.
	if n := p.transfers.Load() - begun; n < changes || n > changes*3/2 {
		t.Errorf("%d changes came by %d transfers to two nodes", changes, n)
	}
	for i, victim := range nodes {
		other := nodes[1-i]
		serial := p.change(t, fmt.Sprintf("b%d", i))
		victim.End(t, syscall.SIGKILL) // while it fetches, or before, or behind
		reach(t, 10*time.Second, "t.example.", serial, other)
		reach(t, 5*time.Second, "t.example.", p.change(t, fmt.Sprintf("c%d", i)), other)
		victim.start(t, "t.example.")
		reach(t, 5*time.Second, "t.example.", p.zone.Current().Serial(), victim)
	}
	for _, n := range nodes {
		served(t, n)
	}
}

// sharedFile: a file that has changed counts, at whichever node it is; one that has
// not does not.
func sharedFile(t *testing.T, nodes [2]*node) {
	reload := func(n *node) {
		t.Helper()
		if _, err := n.Ctl.Reload(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	has := func(names ...string) {
		t.Helper()
		for _, n := range nodes {
			for _, name := range names {
				within(t, 5*time.Second, fmt.Sprintf("%s at %s", name, n.Addr), func() error { _, err := n.ask(name, 1); return err })
			}
		}
	}
	nodes[0].Write(t, "file", zoneText+"new A 192.0.2.1\n")
	reload(nodes[0])
	has("new.f.example.")
	reload(nodes[1]) // its file is as it was
	nodes[1].End(t, syscall.SIGKILL)
	nodes[1].start(t, "f.example.")
	reload(nodes[1])
	has("new.f.example.")
	nodes[1].Write(t, "file", zoneText+"new A 192.0.2.1\nnewer A 192.0.2.1\n")
	reload(nodes[1])
	has("new.f.example.", "newer.f.example.")
}
