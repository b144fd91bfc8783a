package update

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"onoma/authority"
	"onoma/authority/update"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

// memory is a pipeline without a disk. A change makes the serial number one higher,
// unless it has made it another one itself.
type memory struct {
	mu    sync.Mutex
	zones map[zone.ID]*zone.Zone
}

var errUnchanged = errors.New("nothing has changed")

func (m *memory) Enqueue(changes []zone.Change, done func([]zone.Receipt, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		if err := m.change(c); err != nil && !errors.Is(err, errUnchanged) {
			done(nil, err)
			return
		}
	}
	done(nil, nil)
}

func (m *memory) change(c zone.Change) error {
	z := m.zones[c.Zone]
	if z == nil {
		return zone.ErrUnknown
	}
	before := z.Current().Serial()
	_, err := z.Update(func(e *zone.Editor) error {
		if err := c.Edit(e); err != nil {
			return err
		}
		if draft, err := e.Draft(); err != nil {
			return err
		} else if d := zone.Diff(z.Current(), draft); d.IsEmpty() {
			return errUnchanged
		}
		set, _ := e.Find(z.Origin()).RRset(dns.TypeSOA)
		soa, err := dns.ParseSOA(slices.Clone(dns.RData(set.First())))
		if err != nil || soa.Serial != before {
			return err
		}
		soa.Serial++
		_, err = e.Add(dns.Record{Name: z.Origin(), Type: dns.TypeSOA, Class: dns.ClassIN, TTL: set.TTL(), Data: soa.RData()})
		return err
	})
	return err
}

// server is ours: zones in memory that are changed by UPDATE.
type server struct {
	*update.Handler
	auth   *authority.Server
	memory *memory
	keys   *authority.Keys
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{memory: &memory{zones: make(map[zone.ID]*zone.Zone)}, keys: new(authority.Keys)}
	s.Handler = update.New(update.Options{Pipeline: s.memory})
	everybody := authority.ACL{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}
	s.auth = authority.New(authority.Options{Updates: s.Handler, Keys: s.keys, Transfers: authority.TransferOptions{Allow: everybody}})
	return s
}

// add adds the zone of a text with a policy.
func (s *server) add(t testing.TB, name, text, policy string) *zone.Zone {
	t.Helper()
	z := load(t, dns.MustName(name), text)
	rules, err := update.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	id := zone.IDOf("", z.Origin())
	s.memory.zones[id] = z
	s.Set(id, update.Settings{Policy: rules})
	all := make([]*zone.Zone, 0, len(s.memory.zones))
	for _, z := range s.memory.zones {
		all = append(all, z)
	}
	if err := s.auth.SetZones(all...); err != nil {
		t.Fatal(err)
	}
	return z
}

// listen serves over UDP and TCP until the test ends.
func (s *server) listen(t testing.TB) netip.AddrPort {
	t.Helper()
	srv, err := transport.Listen(transport.Config{Handler: s.auth, Addrs: []netip.AddrPort{netip.AddrPortFrom(peers.Addr(t).Addr(), 0)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return srv.Addrs()[0]
}

func load(t testing.TB, origin dns.Name, text string) *zone.Zone {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin}), origin)
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	z := zone.New(origin)
	z.Publish(v)
	return z
}

func zoneText(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/zone")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// content returns the records of a version as lines, with Z for the origin.
func content(v *zone.Version) (lines []string) {
	for r := range v.Records() {
		lines = append(lines, line(r, v.Origin()))
	}
	slices.Sort(lines)
	return lines
}

// line writes a record with Z in place of the zone's name.
func line(r dns.Record, origin dns.Name) string {
	text := strings.ReplaceAll(r.String(), "\t", " ")
	return strings.ReplaceAll(text, origin.String(), "Z.")
}
