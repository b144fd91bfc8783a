package catalog

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/authority/catalog"
	"onoma/dns"
	"onoma/pipeline"
	"onoma/store"
	"onoma/zone"
)

// members is 100,000 for the mark of DESIGN.md, and fewer where tests are to be quick.
var members = flag.Int("members", 5000, "zones in the catalog of TestManyMembers")

// node is what a server with a catalog is made of, without sockets.
type node struct {
	t       *testing.T
	store   *store.Store
	pipe    *pipeline.Pipeline
	server  *authority.Server
	manager *catalog.Manager
	stop    func()

	mu          sync.Mutex
	transferred int // zones that came from the primary
	calls       int // of the host
}

var catalogID = zone.IDOf("", dns.MustName(catz))

// startNode starts with what is on the disk, and returns when all of that is served.
func startNode(t *testing.T, dir string) *node {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{t: t, server: authority.New(authority.Options{})}
	var err error
	if n.store, err = store.Open(ctx, filepath.Join(dir, "db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	n.pipe = pipeline.New(pipeline.Options{Store: n.store, DataDir: dir})
	n.manager = catalog.NewManager(catalog.Options{Host: n, Keeper: n, Taken: func(id zone.ID) bool { return id == catalogID }})
	n.load(ctx, []zone.ID{catalogID})
	placed, err := n.manager.Load(ctx, []catalog.Settings{{Catalog: catalogID}})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]zone.ID, len(placed))
	for i, p := range placed {
		ids[i] = p.Zone
	}
	n.load(ctx, ids)
	n.pipe.Listen(func(r zone.Receipt) { n.manager.Update(r.Zone, n.pipe.Zone(r.Zone).Current()) })
	n.manager.Update(catalogID, n.pipe.Zone(catalogID).Current())
	var running sync.WaitGroup
	running.Go(func() { n.ran(n.pipe.Run(ctx)) })
	running.Go(func() { n.ran(n.manager.Run(ctx)) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) ran(err error) {
	if err != nil {
		n.t.Error(err)
	}
}

// load serves zones with what the database has of them.
func (n *node) load(ctx context.Context, ids []zone.ID) {
	specs := make([]pipeline.ZoneSpec, len(ids))
	for i, id := range ids {
		specs[i] = pipeline.ZoneSpec{ID: id}
	}
	if err := n.pipe.Load(ctx, specs); err != nil {
		n.t.Error(err)
	}
	for _, id := range ids {
		n.server.AddZone(n.pipe.Zone(id))
	}
}

// AddMany gets what is not there from a primary, which has made it beforehand.
func (n *node) AddMany(ctx context.Context, add []catalog.Placement) error {
	ids := make([]zone.ID, len(add))
	for i, p := range add {
		ids[i] = p.Zone
	}
	n.load(ctx, ids)
	var changes []zone.Change
	for _, id := range ids {
		if n.pipe.Zone(id).Current() == nil {
			changes = append(changes, zone.Change{Zone: id, By: zone.Author{Door: zone.DoorTransfer}, Replace: fiveRecords(n.t, id.Name), KeepSerial: true})
		}
	}
	n.mu.Lock()
	n.calls++
	n.transferred += len(changes)
	n.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	_, err := n.pipe.Submit(ctx, changes...)
	return err
}

func (n *node) RemoveMany(ctx context.Context, zones []zone.ID, forget bool) error {
	for _, id := range zones {
		n.server.RemoveZone(id.Name)
		if err := n.pipe.Remove(ctx, id, forget); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) LoadCatalogs(ctx context.Context) (map[zone.ID]map[uint8][]byte, error) {
	parts := make(map[uint8][]byte)
	row, _ := n.pipe.Row(catalogID)
	for p := range catalog.Parts {
		data, err := n.store.State(ctx, row, fmt.Sprintf("catalog/%02x", p))
		if err != nil {
			return nil, err
		}
		parts[uint8(p)] = data
	}
	return map[zone.ID]map[uint8][]byte{catalogID: parts}, nil
}

func (n *node) SaveCatalog(ctx context.Context, _ zone.ID, parts map[uint8][]byte) error {
	row, _ := n.pipe.Row(catalogID)
	var states []store.ZoneState
	for p, data := range parts {
		states = append(states, store.ZoneState{Zone: row, What: fmt.Sprintf("catalog/%02x", p), Data: data})
	}
	return n.store.SetState(ctx, states)
}

func fiveRecords(t *testing.T, origin dns.Name) *zone.Version {
	t.Helper()
	www, err := origin.Child("www")
	if err != nil {
		t.Fatal(err)
	}
	ns1, ns2 := dns.MustName("ns1.hoster.example."), dns.MustName("ns2.hoster.example.")
	b := zone.NewBuilder(origin)
	for _, r := range []dns.Record{
		{Name: origin, Type: dns.TypeSOA, Data: dns.SOA{MName: ns1, RName: ns2, Serial: 1, Refresh: 7200, Retry: 3600, Expire: 1209600, Minimum: 300}.RData()},
		{Name: origin, Type: dns.TypeNS, Data: dns.NewTarget(ns1)},
		{Name: origin, Type: dns.TypeNS, Data: dns.NewTarget(ns2)},
		{Name: origin, Type: dns.TypeA, Data: dns.RData{192, 0, 2, 1}},
		{Name: www, Type: dns.TypeA, Data: dns.RData{192, 0, 2, 1}},
	} {
		r.Class, r.TTL = dns.ClassIN, 3600
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := b.Build()
	return v
}

// served counts the zones that have a version.
func (n *node) served() (count int) {
	for z := range n.server.Zones() {
		if z.Current() != nil {
			count++
		}
	}
	return count
}

func (n *node) await(what string, want int) {
	n.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for n.served() != want {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: %d zones are served, expected %d", what, n.served(), want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestManyMembers: a catalog of many zones is followed at first, and a restart serves all of them out of the database at once,
// asks no primary for anything, and takes little memory for each.
func TestManyMembers(t *testing.T) {
	if testing.Short() && *members > 1000 {
		*members = 1000
	}
	const perZone = 3000
	dir := t.TempDir()
	producer := catalog.Producer{Catalog: catalogID}
	n := startNode(t, dir)
	wishes := make([]catalog.Wish, *members)
	for i := range wishes {
		wishes[i].Zone = dns.MustName(fmt.Sprintf("customer-%06d.example.", i))
	}
	submit := func(change zone.Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.pipe.Submit(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	submit(producer.Create(zone.Author{Name: "test"}))
	submit(producer.Sync(zone.Author{Name: "test"}, wishes))
	n.await("the first start", *members+1)
	t.Logf("%d members were added in %v, %d calls", *members, time.Since(began).Round(time.Millisecond), n.calls)
	n.stop()
	n = nil

	before := heap()
	began = time.Now()
	n = startNode(t, dir)
	took := time.Since(began)
	if got := n.served(); got != *members+1 {
		t.Fatalf("%d zones are served after a restart, expected %d", got, *members+1)
	}
	// The manager has looked at the catalog once one more member is there.
	submit(producer.Set(zone.Author{Name: "test"}, catalog.Wish{Zone: dns.MustName("one.more.")}))
	n.await("one more member", *members+2)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transferred != 1 || n.calls != 1 {
		t.Errorf("%d zones were transferred in %d calls after a restart, expected the new one alone", n.transferred, n.calls)
	}
	each := int(heap()-before) / *members
	t.Logf("a restart with %d members took %v; %d octets a zone", *members, took.Round(time.Millisecond), each)
	if each > perZone {
		t.Errorf("%d octets of memory a zone, expected at most %d", each, perZone)
	}
	if most := 10 * time.Second; took > most {
		t.Errorf("a restart took %v, expected at most %v", took, most)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
