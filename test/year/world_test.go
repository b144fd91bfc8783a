package year

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/signer/online"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

var (
	parentName = dns.MustName("test.")
	childName  = dns.MustName("year.test.")
	newYear    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

const (
	tick        = 10 * time.Minute
	parentDelay = 3 * time.Hour // from CDS at all servers to DS
	parentLag   = time.Hour     // of the parent's second server
)

var lags = []time.Duration{0, 20 * time.Minute, 50 * time.Minute} // of the child's servers

const parentText = `@ 3600 SOA ns hostmaster 1 3600 900 604800 600
@ NS ns
ns A 192.0.2.53
year 3600 NS ns1.year
ns1.year A 192.0.2.1
`

const childText = `@ 7200 SOA ns1 hostmaster 1 3600 900 604800 900
@ 7200 NS ns1
ns1 7200 A 192.0.2.1
www 300 A 192.0.2.80
www 300 AAAA 2001:db8::80
mail 3600 A 192.0.2.25
@ 14400 MX 10 mail
*.wild 600 TXT "wild"
deep.empty 3600 TXT "below an empty name"
alias 600 CNAME www
insecure 3600 NS ns.insecure
ns.insecure 3600 A 192.0.2.99
`

// published is a version and since when the first server has it.
type published struct {
	at time.Time
	v  *zone.Version
}

// server answers for one zone from one version at a time.
type server struct {
	zone   *zone.Zone
	worker transport.Worker
}

func newServer(name dns.Name, v *zone.Version) *server {
	s := &server{zone: zone.New(name)}
	s.zone.Publish(v)
	a := authority.New(authority.Options{})
	a.AddZone(s.zone)
	s.worker = a.NewWorker()
	return s
}

func (s *server) ask(q dns.Question) (*dns.Message, error) {
	m := dns.NewQuery(1, q, false)
	m.EDNS = &dns.EDNS{UDPSize: 65535, DO: true}
	m.Flags |= dns.FlagCD
	msg, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	client := netip.MustParseAddrPort("127.0.0.1:1")
	return dns.ParseMessage(s.worker.Answer(nil, transport.NewQuery(msg, client, client, transport.TCP, nil)))
}

// world is a parent, a child that is kept signed, and their servers.
type world struct {
	testing.TB
	rand *rand.Rand

	mu  sync.Mutex
	now time.Time

	keeper  *signer.Keeper
	zone    *signer.Zone
	id      zone.ID
	primary *zone.Zone
	store   *keystore.Store
	saved   []byte
	door    *online.Zone

	history []published
	servers []*server
	next    time.Time // the keeper wants to be called

	policy keys.Policy

	parentKey  *dnssec.Key
	parentPlan *sign.Plan
	parents    []published
	parentAt   []*server
	ds         []dns.DS
	dsWanted   []dns.DS
	dsDue      time.Time
	resigned   time.Time
	versions   int
	asking     []*resolver
	hours      int
	optOut     time.Time // when the chain left out delegations last
	others     fakeClock
	live       *live
	questions  int       // to Unbound every hour
	delvEvery  int       // hours
	insecure   time.Time // when the parent had no DS last
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, rand: rand.New(rand.NewPCG(2026, 1)), now: newYear, id: zone.IDOf("", childName), primary: zone.New(childName)}
	var err error
	if w.store, err = keystore.Open(keystore.Options{Dir: filepath.Join(t.TempDir(), "keys")}); err != nil {
		t.Fatal(err)
	}
	w.beginParent()
	first := w.parse(childName, childText)
	w.primary.Publish(first)
	w.history = []published{{w.now.Add(-24 * time.Hour), first}}
	w.door = online.New(online.Options{Cache: 1 << 20, PerSecond: 1 << 20, Clock: w.clock}).Zone(online.ZoneOptions{Origin: childName})
	for range lags {
		w.servers = append(w.servers, newServer(childName, first))
	}
	began := w.now
	w.keeper = signer.New(signer.Options{
		Submit: w.submit, Zone: func(zone.ID) *zone.Zone { return w.primary }, Store: w.store,
		Load:    func(context.Context, zone.ID) ([]byte, error) { return w.saved, nil },
		Save:    func(_ context.Context, _ zone.ID, b []byte) error { w.saved = append([]byte(nil), b...); return nil },
		InSync:  func(zone.ID) (uint32, bool) { return w.version(w.clock().Add(-lags[len(lags)-1])).Serial(), true },
		Parents: w, Clock: signer.NewSteady(w.clock, func() time.Duration { return w.clock().Sub(began) }), Workers: 1,
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(now time.Time) {
	w.mu.Lock()
	w.now = now
	w.mu.Unlock()
	if err := w.others.set(now); err != nil {
		w.Error(err)
	}
}

func (w *world) parse(name dns.Name, text string) *zone.Version {
	w.Helper()
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: name, DefaultTTL: 3600}), name)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// keep has the zone signed by a policy from now on.
func (w *world) keep(p keys.Policy) {
	w.Helper()
	w.policy = p
	z, err := w.keeper.Add(context.Background(), w.id, signer.Settings{Policy: p})
	if err != nil {
		w.Fatal(err)
	}
	w.zone = z
	w.next = w.now
}

func (w *world) do(c signer.Command) {
	w.Helper()
	if _, err := w.keeper.Do(context.Background(), w.id, c); err != nil {
		w.Fatal(err)
	}
	w.next = w.now
}

// submit is the pipeline: edited, numbered, signed, served.
func (w *world) submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	for _, c := range changes {
		head := w.primary.Latest()
		e := head.Edit()
		if err := w.change(ctx, e, head, c); err != nil {
			e.Discard()
			return nil, err
		}
		v, err := e.Commit()
		if err != nil {
			return nil, err
		}
		w.primary.Publish(v)
		w.history = append(w.history, published{w.clock(), v})
		w.versions++
	}
	return make([]zone.Receipt, len(changes)), nil
}

func (w *world) change(ctx context.Context, e *zone.Editor, head *zone.Version, c zone.Change) error {
	if c.Edit != nil {
		if err := c.Edit(e); err != nil {
			return err
		}
	}
	soa := head.SOA()
	data := append(dns.RData(nil), soa.First()...)
	dns.SetSOASerial(data, head.Serial()+1)
	if _, err := e.Add(dns.Record{Name: childName, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: soa.TTL(), Data: data}); err != nil {
		return err
	}
	return w.zone.Sign(ctx, e, head, c.By, w.clock(), false)
}

// version is what the first server had at a time.
func (w *world) version(at time.Time) *zone.Version {
	for i := len(w.history) - 1; i > 0; i-- {
		if !w.history[i].at.After(at) {
			return w.history[i].v
		}
	}
	return w.history[0].v
}

// step is what happens in one tick before anybody asks.
func (w *world) step() {
	now := w.clock()
	w.keeper.Wake(w.id) // as news of secondaries and of the parent do
	w.next = now
	for range 20 {
		if w.next.IsZero() || w.next.After(now) {
			break
		}
		w.next = w.keeper.Tend(context.Background())
		if soon := now.Add(tick); !w.next.IsZero() && w.next.After(now) && w.next.Before(soon) {
			break
		}
	}
	for i, lag := range lags {
		v := w.version(now.Add(-lag))
		if now := w.primary.Latest(); now.Denial() == zone.DenialCompact || v.Denial() == zone.DenialCompact {
			v = now // those who sign answers have the keys: they are one server
		}
		w.follow(w.servers[i], v)
	}
	w.parent(now)
	for len(w.history) > 1 && w.history[1].at.Before(now.Add(-2*time.Hour)) {
		w.history = w.history[1:]
	}
}

func (w *world) follow(s *server, v *zone.Version) {
	if s.zone.Latest() == v {
		return
	}
	s.zone.SignOnline(nil)
	if ids, denial := w.keeper.SigningKeys(w.id); denial.Kind == keys.Compact && v.Denial() == zone.DenialCompact {
		var list []*dnssec.Key
		for _, id := range ids {
			k, err := w.store.Load(context.Background(), id)
			if err != nil {
				w.Fatal(err)
			}
			list = append(list, k)
		}
		w.door.SetKeys(list)
		s.zone.SignOnline(w.door)
	}
	s.zone.Publish(v)
}

// edit is the day's change by the zone's authors.
func (w *world) edit(day int) {
	w.Helper()
	r := dns.Record{Name: dns.MustName(fmt.Sprintf("host%d.year.test.", day%12)), Type: dns.TypeA, Class: dns.ClassIN, TTL: 1800, Data: dns.RData{192, 0, 2, byte(day)}}
	c := zone.Change{Zone: w.id, By: zone.Author{Door: zone.DoorAPI, Name: "user:test"}, Edit: func(e *zone.Editor) error {
		e.RemoveRRset(r.Name, dns.TypeA)
		if day%5 == 0 {
			return nil
		}
		_, err := e.Add(r)
		return err
	}}
	if _, err := w.submit(context.Background(), c); err != nil {
		w.Fatal(err)
	}
	w.next = w.now
}
