package update

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/transport"
	"onoma/zone"
)

// memory is a pipeline that keeps nothing on any disk. A change makes the serial
// number one higher, unless it has made it another one itself.
type memory struct {
	mu    sync.Mutex
	zones map[zone.ID]*zone.Zone
	held  []func() // not nil: changes wait until release
	hold  bool
}

var errUnchanged = errors.New("nothing has changed")

func (m *memory) Enqueue(changes []zone.Change, done func([]zone.Receipt, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	work := func() { done(m.make(changes)) }
	if m.hold {
		m.held = append(m.held, work)
		return
	}
	work()
}

func (m *memory) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, work := range m.held {
		work()
	}
	m.held, m.hold = nil, false
}

func (m *memory) make(changes []zone.Change) (receipts []zone.Receipt, err error) {
	for _, c := range changes {
		z := m.zones[c.Zone]
		if z == nil {
			return nil, zone.ErrUnknown
		}
		before := z.Current().Serial()
		v, err := z.Update(func(e *zone.Editor) error {
			if err := c.Edit(e); err != nil {
				return err
			}
			if !e.IsTouched() {
				return errUnchanged
			}
			return bump(e, z.Origin(), before)
		})
		if err != nil && !errors.Is(err, errUnchanged) {
			return nil, err
		}
		r := zone.Receipt{Zone: c.Zone, Changed: err == nil}
		if v != nil {
			r.Serial = v.Serial()
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

func bump(e *zone.Editor, origin dns.Name, before uint32) error {
	set, _ := e.Find(origin).RRset(dns.TypeSOA)
	if dns.SOASerial(set.First()) != before {
		return nil
	}
	soa, err := dns.ParseSOA(append(dns.RData(nil), set.First()...))
	if err != nil {
		return err
	}
	soa.Serial++
	_, err = e.Add(dns.Record{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: set.TTL(), Data: soa.RData()})
	return err
}

// fixture is a server of one zone in this process.
type fixture struct {
	*Handler
	server *authority.Server
	memory *memory
	zone   *zone.Zone
	keys   *authority.Keys
}

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.7:4000")
	serverAddr = netip.MustParseAddrPort("192.0.2.53:53")
	origin     = dns.MustName("example.")
)

const testZone = `
@ 300 SOA ns1 host 1 3600 600 86400 60
@ 300 NS ns1
@ 300 NS ns2
ns1 300 A 192.0.2.1
ns2 300 A 192.0.2.2
www 300 A 192.0.2.3
www 300 A 192.0.2.4
www 300 TXT "web"
alias 300 CNAME www
a.b 300 TXT "below an empty non-terminal"
`

func build(t testing.TB, origin dns.Name, text string) *zone.Zone {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin}), origin)
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	z := zone.New(origin)
	z.Publish(v)
	return z
}

func newFixture(t testing.TB, o Options, policy string) *fixture {
	t.Helper()
	f := &fixture{memory: &memory{zones: make(map[zone.ID]*zone.Zone)}, zone: build(t, origin, testZone), keys: new(authority.Keys)}
	f.memory.zones[zone.IDOf("", origin)] = f.zone
	o.Pipeline = f.memory
	f.Handler = New(o)
	rules, err := ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	f.Set(zone.IDOf("", origin), Settings{Policy: rules})
	f.server = authority.New(authority.Options{Updates: f.Handler, Keys: f.keys})
	if err := f.server.SetZones(f.zone); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends a message and returns the answer, nil where there is none within a while.
func (f *fixture) ask(t testing.TB, msg []byte, proto transport.Proto) []byte {
	t.Helper()
	answer := f.send(msg, proto)
	select {
	case a := <-answer:
		return a
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

// send sends a message; its answer comes by the channel.
func (f *fixture) send(msg []byte, proto transport.Proto) <-chan []byte {
	answer := make(chan []byte, 1)
	q := transport.NewQuery(slices.Clone(msg), clientAddr, serverAddr, proto, func(m []byte) error {
		answer <- slices.Clone(m)
		return nil
	})
	if out := f.server.NewWorker().Answer(nil, q); len(out) > 0 {
		answer <- slices.Clone(out)
	}
	return answer
}

// update sends a request and returns the response code.
func (f *fixture) update(t testing.TB, u *dns.Update) dns.RCode {
	t.Helper()
	msg, err := u.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return rcode(t, f.ask(t, msg, transport.UDP))
}

func rcode(t testing.TB, msg []byte) dns.RCode {
	t.Helper()
	m, err := dns.ParseMessage(msg)
	if err != nil {
		t.Fatalf("answer %x: %v", msg, err)
	}
	if !m.Flags.Has(dns.FlagQR) || m.Flags.Opcode() != dns.OpcodeUpdate {
		t.Errorf("flags %v of opcode %v, expected qr and UPDATE", m.Flags, m.Flags.Opcode())
	}
	return m.RCode
}

// lines returns the records of a name as they stand in a zone file.
func (f *fixture) lines(name string) string {
	var all []string
	n := dns.MustName(name)
	for r := range f.zone.Current().Records() {
		if r.Name.Equal(n) {
			all = append(all, strings.ReplaceAll(r.String(), "\t", " "))
		}
	}
	return strings.Join(all, "\n")
}

func rdata(t dns.Type, text string) dns.RData {
	rd, err := dns.ParseRDataString(t, text, origin)
	if err != nil {
		panic(err)
	}
	return rd
}

func name(s string) dns.Name {
	n, err := dns.ParseNameIn(s, origin)
	if err != nil {
		panic(err)
	}
	return n
}
