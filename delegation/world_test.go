package delegation

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/zone"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newKey makes a key; flags 257 for one that signs keys.
func newKey(t testing.TB, algorithm uint8, flags uint16) *dnssec.Key {
	t.Helper()
	bits := 0
	if algorithm == dnssec.RSASHA256 {
		bits = 2048
	}
	k, err := dnssec.GenerateKey(rand.Reader, algorithm, bits, flags)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// child is a zone as one server of it serves it: sets, and who signs which.
type child struct {
	t          testing.TB
	name       dns.Name
	sets       map[dns.Question][]dns.RData
	ksk, zsk   []*dnssec.Key // those that sign, DNSKEY, CDS and CDNSKEY the first, all else the others
	incept     time.Duration // before now, of signatures
	life       time.Duration // of signatures from now on
	denial     map[dns.Question]dns.Record
	noAA       bool
	overridden map[dns.Question]*dns.Message
}

// newChild is a child with one key of each sort, that asks for what it has.
func newChild(t testing.TB, name string) *child {
	c := &child{
		t: t, name: dns.MustName(name), sets: make(map[dns.Question][]dns.RData), incept: time.Hour, life: 14 * 24 * time.Hour,
		denial: make(map[dns.Question]dns.Record), overridden: make(map[dns.Question]*dns.Message),
	}
	c.ksk = []*dnssec.Key{newKey(t, dnssec.ECDSAP256SHA256, 257)}
	c.zsk = []*dnssec.Key{newKey(t, dnssec.ECDSAP256SHA256, 256)}
	c.publish(c.ksk...)
	c.set(c.name, dns.TypeSOA, "ns1."+c.name.String()+" hostmaster."+c.name.String()+" 10 1 1 1 1")
	return c
}

// publish has the child ask for DS of keys, and have all keys that sign in its DNSKEY set.
func (c *child) publish(keys ...*dnssec.Key) {
	var cds, cdnskey, dnskey []dns.RData
	for _, k := range keys {
		cds = append(cds, c.ds(k, dnssec.DigestSHA256).RData())
		cdnskey = append(cdnskey, k.RData())
	}
	for _, k := range slices.Concat(c.ksk, c.zsk) {
		dnskey = append(dnskey, k.RData())
	}
	c.sets[c.at(dns.TypeCDS)], c.sets[c.at(dns.TypeCDNSKEY)], c.sets[c.at(dns.TypeDNSKEY)] = cds, cdnskey, dnskey
}

func (c *child) at(t dns.Type) dns.Question {
	return dns.Question{Name: c.name, Type: t, Class: dns.ClassIN}
}

func (c *child) ds(k *dnssec.Key, digest uint8) dns.DS {
	ds, err := dnssec.MakeDS(c.name, k.DNSKEY(), digest)
	if err != nil {
		c.t.Fatal(err)
	}
	return ds
}

// set sets a set from text.
func (c *child) set(name dns.Name, typ dns.Type, list ...string) {
	q := dns.Question{Name: name.Fold(), Type: typ, Class: dns.ClassIN}
	c.sets[q] = nil
	for _, text := range list {
		data, err := dns.ParseRDataString(typ, text, dns.Root)
		if err != nil {
			c.t.Fatal(err)
		}
		c.sets[q] = append(c.sets[q], data)
	}
}

// clone is another server of the same zone, to be made different.
func (c *child) clone() *child {
	d := *c
	d.sets, d.denial, d.overridden = copyOf(c.sets), copyOf(c.denial), copyOf(c.overridden)
	return &d
}

func copyOf[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// answer is what the server says to a question.
func (c *child) answer(q dns.Question) *dns.Message {
	q.Name = q.Name.Fold()
	m := &dns.Message{Flags: dns.FlagQR | dns.FlagAA, Questions: []dns.Question{q}}
	if c.noAA {
		m.Flags = dns.FlagQR
	}
	if o := c.overridden[q]; o != nil {
		other := *o
		other.Questions = m.Questions
		return &other
	}
	set := c.sets[q]
	if len(set) == 0 {
		if d, ok := c.denial[q]; ok {
			m.Authority = append([]dns.Record{d}, c.sign(d.Name, d.Type, []dns.RData{d.Data}, c.zsk)...)
		}
		return m
	}
	for _, data := range set {
		m.Answer = append(m.Answer, dns.Record{Name: q.Name, Type: q.Type, Class: dns.ClassIN, TTL: 300, Data: data})
	}
	keys := c.zsk
	if q.Type == dns.TypeDNSKEY || q.Type == dns.TypeCDS || q.Type == dns.TypeCDNSKEY {
		keys = c.ksk
	}
	m.Answer = append(m.Answer, c.sign(q.Name, q.Type, set, keys)...)
	return m
}

func (c *child) sign(name dns.Name, typ dns.Type, set []dns.RData, keys []*dnssec.Key) []dns.Record {
	var out []dns.Record
	for _, k := range keys {
		sig, err := dnssec.SignRRset(k, c.name, dnssec.RRset{Owner: name, Type: typ, Class: dns.ClassIN, TTL: 300, RData: set},
			uint32(now.Add(-c.incept).Unix()), uint32(now.Add(c.life).Unix()))
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, dns.Record{Name: name, Type: dns.TypeRRSIG, Class: dns.ClassIN, TTL: 300, Data: sig.RData()})
	}
	return out
}

// seenAt is what is seen of a server, without any network.
func (c *child) seenAt(host, addr string, types ...dns.Type) seen {
	s := seen{host: dns.MustName(host), addr: netip.MustParseAddr(addr), apex: make(map[dns.Type]reply)}
	for _, typ := range types {
		r, err := readReply(c.answer(c.at(typ)), c.at(typ))
		if err != nil {
			s.err = err
			return s
		}
		s.apex[typ] = r
	}
	return s
}

// serveOn answers on a connection as c does now.
func (c *child) serveOn(conn net.Conn) {
	defer conn.Close()
	for {
		q, id, err := readQuery(conn)
		if err != nil {
			return
		}
		m := c.answer(q)
		m.ID = id
		if writeMessage(conn, m) != nil {
			return
		}
	}
}

func readQuery(conn net.Conn) (dns.Question, uint16, error) {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return dns.Question{}, 0, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return dns.Question{}, 0, err
	}
	m, err := dns.ParseMessage(msg)
	if err != nil || len(m.Questions) != 1 {
		return dns.Question{}, 0, errors.New("not a query")
	}
	return m.Questions[0], m.ID, nil
}

func writeMessage(conn net.Conn, m *dns.Message) error {
	b, err := m.Append(nil)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// network is servers by their addresses.
type network struct {
	mu      sync.Mutex
	servers map[string]func(net.Conn)
	dialled int
}

func (n *network) set(addr string, serve func(net.Conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.servers == nil {
		n.servers = make(map[string]func(net.Conn))
	}
	n.servers[addr] = serve
}

func (n *network) dial(_ context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" {
		return nil, errors.New("not TCP")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "53" {
		return nil, errors.New("not port 53")
	}
	n.mu.Lock()
	serve := n.servers[host]
	n.dialled++
	n.mu.Unlock()
	if serve == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := buffered()
	go serve(theirs)
	return ours, nil
}

// buffered is a pipe whose writes do not wait, as TCP's do not for small messages.
func buffered() (net.Conn, net.Conn) {
	a, b := net.Pipe()
	ours := &eager{Conn: a, queue: make(chan []byte, 64)}
	go func() {
		for p := range ours.queue {
			if _, err := a.Write(p); err != nil {
				return
			}
		}
	}()
	return ours, b
}

type eager struct {
	net.Conn
	queue chan []byte
	once  sync.Once
}

func (e *eager) Write(p []byte) (int, error) { e.queue <- bytes.Clone(p); return len(p), nil }
func (e *eager) Close() error                { e.once.Do(func() { close(e.queue) }); return e.Conn.Close() }

// house is a parent zone with a Desk.
type house struct {
	t    testing.TB
	net  network
	zone *zone.Zone
	desk *Desk
	id   zone.ID

	mu      sync.Mutex
	changes []zone.Change
	saved   []byte
}

func parseZone(t testing.TB, origin, text string) *zone.Version {
	t.Helper()
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: dns.MustName(origin)}), dns.MustName(origin))
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	return v
}

// newHouse serves text as the zone tld., below a SOA and NS.
func newHouse(t testing.TB, text string, p Policy, change func(*Options)) *house {
	t.Helper()
	h := &house{t: t, zone: zone.New(dns.MustName("tld.")), id: zone.IDOf("", dns.MustName("tld."))}
	h.zone.Publish(parseZone(t, "tld.", "$TTL 3600\n@ SOA a. b. 1 2 3 4 5\n@ NS ns.example.\n"+text))
	o := Options{
		Submit: h.submit, Dial: h.net.dial, Clock: func() time.Time { return now },
		Zone: func(id zone.ID) *zone.Version {
			if id != h.id {
				return nil
			}
			return h.zone.Current()
		},
		Load: func(context.Context, zone.ID) ([]byte, error) { return h.saved, nil },
		Save: func(_ context.Context, _ zone.ID, b []byte) error { h.saved = b; return nil },
	}
	if change != nil {
		change(&o)
	}
	h.desk = New(o)
	if err := h.desk.Set(t.Context(), Parent{ID: h.id, Policy: p}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) submit(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []zone.Receipt
	for _, c := range changes {
		v, err := h.zone.Update(c.Edit)
		if err != nil {
			return nil, err
		}
		h.changes = append(h.changes, c)
		out = append(out, zone.Receipt{Zone: c.Zone, Version: uint64(len(h.changes)), Serial: v.Serial(), Changed: true, By: c.By})
	}
	return out, nil
}

// look looks at a child, and returns the outcomes.
func (h *house) look(name string) Report {
	h.t.Helper()
	r, err := h.desk.Look(h.t.Context(), h.id, dns.MustName(name), false)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// has returns the zone's records of a name and type, as text without owner, TTL and class.
func (h *house) has(name string, typ dns.Type) []string {
	var out []string
	for _, r := range recordsOf(h.zone.Current().Find([]byte(dns.MustName(name).Wire())), typ) {
		out = append(out, string(dns.AppendRDataText(nil, r.Type, r.Data)))
	}
	return out
}

// dsText is DS as has returns it.
func (c *child) dsText(keys ...*dnssec.Key) []string {
	var list []dns.DS
	for _, k := range keys {
		list = append(list, c.ds(k, dnssec.DigestSHA256))
	}
	slices.SortFunc(list, compareDS)
	var out []string
	for _, ds := range list {
		out = append(out, string(dns.AppendRDataText(nil, dns.TypeDS, ds.RData())))
	}
	return out
}
