package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/resolver/iterator"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

// world is a small Internet in memory: zones, each at two machines of its own, and
// an iterator.Env that reaches them. Zones are added from below, so that parents
// have the DS sets of their children.
type world struct {
	testing.TB
	now      time.Time
	machines map[netip.Addr]*machine
	sites    map[dns.Name]*site

	everywhere *machine // is at each address where there is no other one

	mu     sync.Mutex
	random *rand.Rand
	seed   *rand.ChaCha8 // of keys
	asked  int
}

// machine is a server at an address, with the faults that it may have.
type machine struct {
	worker                       transport.Worker
	zones                        *authority.Server
	isDead, noUDP, noTCP, noEDNS bool
	tamper                       func(q dns.Question, m *dns.Message)
}

// site is a zone where it is served.
type site struct {
	name     dns.Name
	spec     spec
	keys     []sign.Key
	zones    []*zone.Zone // as each machine has it
	machines []*machine
	addrs    []netip.Addr
}

// spec says what is odd about a zone. The zero spec is a sound one.
type spec struct {
	text       string
	at         string  // the zone whose machines serve it and whose names they have; "": its own
	algorithms []uint8 // none: P-256; 0: not signed at all
	bits       int     // of RSA keys
	split      bool    // into KSK and ZSK
	cds        bool    // CDS of its keys
	denial     sign.Denial
	past       time.Duration                              // so long ago it was signed
	expire     int                                        // the SOA's; 0: a week
	serial     int                                        // 0: 1
	multi      bool                                       // two providers that sign, each by keys of its own and with those of both (RFC 8901 §2.1.2)
	prepare    func(apex []dns.Record) []dns.Record       // the records at the apex that the signer makes, before signing
	change     func(s *site, _ []dns.Record) []dns.Record // the whole zone, after signing
	second     *spec                                      // what its second machine has, by the same keys unless it has an algorithm of its own
	delegation func(s *site, _ []dns.Record) []dns.Record // what the parent has
	first      func(*machine)                             // how the machines behave
	other      func(*machine)
}

func newWorld(t testing.TB, now time.Time) *world {
	return &world{TB: t, now: now, machines: map[netip.Addr]*machine{}, sites: map[dns.Name]*site{}, random: rand.New(rand.NewPCG(1, 2)), seed: rand.NewChaCha8([32]byte{})}
}

// add makes a zone and the machines that serve it.
func (w *world) add(origin string, sp spec) *site {
	w.Helper()
	s := &site{name: dns.MustName(origin), spec: sp}
	w.sites[s.name] = s
	if sp.at != "" {
		host := w.sites[dns.MustName(sp.at)]
		s.addrs, s.machines = host.addrs, host.machines
	} else {
		w.machine(s)
	}
	s.keys = w.keys(sp)
	mine, others := s.keys, []sign.Key(nil)
	if sp.multi {
		others = w.keys(sp)
		s.keys = append(slices.Clone(mine), others...)
	}
	for i, m := range s.machines {
		this := sp
		if i == 1 && sp.second != nil {
			if this = *sp.second; len(this.algorithms) > 0 {
				mine = w.keys(this)
				s.keys = append(s.keys, mine...)
			}
		}
		z := zone.New(s.name)
		z.Publish(w.version(s, this, mine, others))
		if sp.multi {
			mine, others = others, mine
		}
		m.zones.AddZone(z)
		s.zones = append(s.zones, z)
	}
	if sp.first != nil {
		sp.first(s.machines[0])
	}
	if sp.other != nil {
		sp.other(s.machines[1])
	}
	return s
}

// machine makes two of them.
func (w *world) machine(s *site) {
	n := len(w.machines)
	s.addrs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n + 1)}), netip.AddrFrom4([4]byte{198, 51, 100, byte(n + 2)})}
	for _, a := range s.addrs {
		m := newMachine()
		w.machines[a] = m
		s.machines = append(s.machines, m)
	}
}

func newMachine() *machine {
	m := &machine{zones: authority.New(authority.Options{})}
	m.worker = m.zones.NewWorker()
	return m
}

// keys makes what a zone is signed by.
func (w *world) keys(sp spec) (keys []sign.Key) {
	algorithms := sp.algorithms
	if len(algorithms) == 0 {
		algorithms = []uint8{dnssec.ECDSAP256SHA256}
	}
	make := func(a uint8, flags uint16) *dnssec.Key {
		k, err := dnssec.GenerateKey(w.seed, a, sp.bits, flags)
		if err != nil {
			w.Fatal(err)
		}
		return k
	}
	for _, a := range algorithms {
		switch {
		case a == 0:
		case sp.split:
			keys = append(keys, sign.Key{Key: make(a, 257), SignsKeys: true}, sign.Key{Key: make(a, 256), SignsZone: true})
		default:
			keys = append(keys, sign.Key{Key: make(a, 257), SignsKeys: true, SignsZone: true})
		}
	}
	return keys
}

// version is the zone as a machine has it.
func (w *world) version(s *site, sp spec, keys, others []sign.Key) *zone.Version {
	w.Helper()
	text := fmt.Sprintf("@ 3600 SOA ns1 hostmaster %d 3600 900 %d 300\n", max(sp.serial, 1), cmp.Or(sp.expire, 604800)) +
		s.servers() + sp.text
	records := readZone(s.name, text)
	for name, child := range w.sites {
		if len(name.Wire()) > len(s.name.Wire()) && name.Parent().Equal(s.name) {
			records = append(records, child.delegation(w)...)
		}
	}
	v := w.build(s.name, records)
	if len(keys) > 0 {
		v = w.sign(s, sp, keys, others, v)
	}
	if sp.change != nil {
		v = w.build(s.name, sp.change(s, slices.Collect(v.Records())))
	}
	return v
}

// servers is the zone's NS records, and their addresses where they are its own.
func (s *site) servers() string {
	if s.spec.at != "" {
		return fmt.Sprintf("@ NS ns1.%s\n@ NS ns2.%s\n", s.spec.at, s.spec.at)
	}
	return fmt.Sprintf("@ NS ns1\n@ NS ns2\nns1 A %s\nns2 A %s\n", s.addrs[0], s.addrs[1])
}

// sign signs as the signer does.
func (w *world) sign(s *site, sp spec, keys, others []sign.Key, v *zone.Version) *zone.Version {
	w.Helper()
	plan := sign.Plan{Denial: sp.denial, Keys: keys, Validity: 14 * 24 * time.Hour, Skew: time.Hour}
	if plan.Denial.Kind == sign.None {
		plan.Denial.Kind = sign.NSEC
	}
	add := func(t dns.Type, data dns.RData) {
		plan.Apex = append(plan.Apex, dns.Record{Name: s.name, Type: t, Class: dns.ClassIN, TTL: 3600, Data: data})
	}
	for _, k := range keys {
		add(dns.TypeDNSKEY, k.RData())
		if sp.cds && k.SignsKeys {
			d, err := dnssec.MakeDS(s.name, k.DNSKEY(), dnssec.DigestSHA256)
			if err != nil {
				w.Fatal(err)
			}
			add(dns.TypeCDS, d.RData())
		}
	}
	for _, k := range others {
		add(dns.TypeDNSKEY, k.RData())
	}
	if sp.prepare != nil {
		plan.Apex = sp.prepare(plan.Apex)
	}
	v, _, err := plan.Whole(context.Background(), v, w.now.Add(-sp.past))
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// delegation is what the parent has of a zone: NS, glue and DS.
func (s *site) delegation(w *world) []dns.Record {
	w.Helper()
	records := readZone(s.name, s.servers())
	for _, k := range s.keys {
		if k.SignsKeys {
			d, err := dnssec.MakeDS(s.name, k.DNSKEY(), dnssec.DigestSHA256)
			if err != nil {
				w.Fatal(err)
			}
			records = append(records, dns.Record{Name: s.name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: d.RData()})
		}
	}
	if s.spec.delegation != nil {
		return s.spec.delegation(s, records)
	}
	return records
}

func readZone(origin dns.Name, text string) (records []dns.Record) {
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin, DefaultTTL: 3600})
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			panic(fmt.Sprintf("zone %s: %v", origin, err))
		}
		rec.Name, rec.Data = dns.MustName(rec.Name.String()), slices.Clone(rec.Data)
		records = append(records, rec)
	}
}

func (w *world) build(origin dns.Name, records []dns.Record) *zone.Version {
	w.Helper()
	b := zone.NewBuilder(origin)
	for _, r := range records {
		if err := b.Add(r); err != nil {
			w.Fatal(err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		w.Fatalf("zone %s: %v", origin, findings)
	}
	return v
}

// Now, Uint64 and Exchange make it an iterator.Env.

func (w *world) Now() time.Time { return w.now }

func (w *world) Uint64() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Uint64()
}

func (w *world) Exchange(_ context.Context, target transport.Target, query []byte) ([]byte, error) {
	to, proto := target.Addr, target.Proto
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	m := w.machines[to.Addr()]
	if m == nil {
		m = w.everywhere
	}
	if m == nil || m.isDead || m.noTCP && proto == transport.TCP || m.noUDP && proto == transport.UDP {
		return nil, context.DeadlineExceeded
	}
	return m.answer(query, proto)
}

// answer is what a machine says, faults included. world.mu is held.
func (m *machine) answer(query []byte, proto transport.Proto) ([]byte, error) {
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, err
	}
	if m.noEDNS && q.EDNS != nil {
		q.Flags |= dns.FlagQR
		q.EDNS, q.RCode = nil, dns.RCodeFormErr
		return q.Append(nil)
	}
	client := netip.MustParseAddrPort("127.0.0.1:1")
	out := m.worker.Answer(nil, transport.NewQuery(query, client, client, proto, nil))
	if m.tamper == nil {
		return out, nil
	}
	reply, err := dns.ParseMessage(out)
	if err != nil {
		return nil, err
	}
	m.tamper(q.Question(), reply)
	return reply.Append(nil)
}

// options are those of a check of this world.
func (w *world) options() CheckOptions {
	root := w.sites[dns.Root]
	o := CheckOptions{Env: w}
	for i, a := range root.addrs {
		o.Hints = append(o.Hints, iterator.Hint{Name: dns.MustName(fmt.Sprintf("ns%d.", i+1)), Addrs: []netip.Addr{a}})
	}
	for _, k := range root.keys {
		if !k.SignsKeys {
			continue
		}
		o.Anchors = append(o.Anchors, dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()})
	}
	return o
}

func (w *world) check(t testing.TB, name string) *Health {
	t.Helper()
	h, err := CheckZone(context.Background(), dns.MustName(name), w.options())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return h
}

// serve gives each zone's first machine a socket.
func (w *world) serve(t testing.TB) map[string]netip.AddrPort {
	at := map[string]netip.AddrPort{}
	for name, s := range w.sites {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		at[name.String()] = conn.LocalAddr().(*net.UDPAddr).AddrPort()
		go w.listen(conn, s.machines[0])
	}
	return at
}

func (w *world) listen(conn net.PacketConn, m *machine) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		out, err := m.answer(slices.Clone(buf[:n]), transport.TCP) // as long as it is
		w.mu.Unlock()
		if err == nil {
			conn.WriteTo(out, from)
		}
	}
}
