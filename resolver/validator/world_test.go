package validator_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/zonefile"
	"onoma/resolver/validator"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a few zones with a server each, in memory. Zones are added from below,
// so that parents have the DS sets of their children.
type world struct {
	testing.TB
	zones  map[dns.Name]*served
	now    time.Time
	tamper func(q dns.Question, m *dns.Message) // changes answers on their way
	mu     sync.Mutex
	asked  int
}

type served struct {
	worker  transport.Worker
	zone    *zone.Zone
	version *zone.Version
	keys    []*dnssec.Key
}

func newWorld(t testing.TB) *world {
	return &world{TB: t, zones: map[dns.Name]*served{}, now: noon}
}

// how a zone is signed.
type how struct {
	algorithms []uint8  // none: P-256; 0: not signed at all
	flags      []uint16 // of the keys; none: those of a KSK
	denial     sign.Denial
	change     func([]dns.Record) []dns.Record // after signing
}

const soa = "@ 3600 SOA ns hostmaster 1 3600 900 604800 300\n@ 3600 NS ns.invalid.\n"

// add makes a zone of the text behind a SOA and an NS.
func (w *world) add(origin, text string, h how) *served {
	w.Helper()
	name := dns.MustName(origin)
	s := &served{}
	records := w.read(name, soa+text)
	if len(h.algorithms) == 0 {
		h.algorithms = []uint8{dnssec.ECDSAP256SHA256}
	}
	s.version = w.build(name, append(records, w.children(records)...))
	if h.algorithms[0] != 0 {
		s.sign(w, h)
	}
	if h.change != nil {
		var list []dns.Record
		for r := range s.version.Records() {
			list = append(list, r)
		}
		s.version = w.build(name, h.change(list))
	}
	s.zone = zone.New(name)
	s.zone.Publish(s.version)
	server := authority.New(authority.Options{})
	server.AddZone(s.zone)
	s.worker = server.NewWorker()
	w.zones[name] = s
	return s
}

func (w *world) read(origin dns.Name, text string) (records []dns.Record) {
	w.Helper()
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin, DefaultTTL: 3600})
	for {
		rec, err := r.Next()
		if err != nil {
			if err.Error() != "EOF" {
				w.Fatalf("zone %s: %v", origin, err)
			}
			return records
		}
		rec.Name, rec.Data = dns.MustName(rec.Name.String()), append(dns.RData(nil), rec.Data...)
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

// children returns the DS sets of delegations to zones of the world.
func (w *world) children(records []dns.Record) (ds []dns.Record) {
	seen := map[dns.Name]bool{}
	for _, r := range records {
		child := w.zones[r.Name]
		if r.Type != dns.TypeNS || child == nil || seen[r.Name] {
			continue
		}
		seen[r.Name] = true
		for _, k := range child.keys {
			d, err := dnssec.MakeDS(r.Name, k.DNSKEY(), dnssec.DigestSHA256)
			if err != nil {
				w.Fatal(err)
			}
			ds = append(ds, dns.Record{Name: r.Name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: d.RData()})
		}
	}
	return ds
}

func (s *served) sign(w *world, h how) {
	plan := sign.Plan{Denial: h.denial, Validity: 7 * 24 * time.Hour, Skew: time.Hour}
	if plan.Denial.Kind == sign.None {
		plan.Denial.Kind = sign.NSEC
	}
	for i, a := range h.algorithms {
		flags := uint16(dns.DNSKEYZone | dns.DNSKEYSEP)
		if i < len(h.flags) {
			flags = h.flags[i]
		}
		k, err := dnssec.GenerateKey(nil, a, 0, flags)
		if err != nil {
			w.Fatal(err)
		}
		s.keys = append(s.keys, k)
		plan.Keys = append(plan.Keys, sign.Key{Key: k, SignsKeys: true, SignsZone: true})
		plan.Apex = append(plan.Apex, dns.Record{Name: s.version.Origin(), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()})
	}
	v, _, err := plan.Whole(context.Background(), s.version, w.now)
	if err != nil {
		w.Fatal(err)
	}
	s.version = v
}

// fetch asks the server of the zone that is to answer: for DS the parent's.
func (w *world) fetch(_ context.Context, q dns.Question) (*dns.Message, error) {
	at := q.Name.Fold()
	if q.Type == dns.TypeDS && !at.IsRoot() {
		at = at.Parent()
	}
	for w.zones[at] == nil && !at.IsRoot() {
		at = at.Parent()
	}
	return w.ask(at, q)
}

// ask asks the server of a zone.
func (w *world) ask(at dns.Name, q dns.Question) (*dns.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	m := dns.NewQuery(1, q, false)
	m.EDNS = &dns.EDNS{UDPSize: 65535, DO: true}
	m.Flags |= dns.FlagCD
	msg, err := m.Append(nil)
	if err != nil {
		return nil, err
	}
	client := netip.MustParseAddrPort("127.0.0.1:1")
	out := w.zones[at].worker.Answer(nil, transport.NewQuery(msg, client, client, transport.TCP, nil))
	answer, err := dns.ParseMessage(out)
	if err == nil && w.tamper != nil {
		w.tamper(q, answer)
	}
	return answer, err
}

func (w *world) clock() time.Time { return w.now }

// validator trusts the keys of a zone.
func (w *world) validator(anchor string, limits validator.Limits) *validator.Validator {
	name := dns.MustName(anchor)
	var anchors []dns.Record
	for _, k := range w.zones[name].keys {
		anchors = append(anchors, dns.Record{Name: name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: k.RData()})
	}
	return validator.New(validator.Options{Anchors: anchors, Fetch: w.fetch, Clock: w.clock, Limits: limits})
}

func (w *world) look(v *validator.Validator, question string) validator.Result {
	w.Helper()
	name, typ, _ := strings.Cut(question, " ")
	t, ok := dns.ParseType(typ)
	if !ok {
		w.Fatal(question)
	}
	r, err := v.Look(context.Background(), dns.MustName(name), t)
	if err != nil {
		w.Fatalf("%s: %v", question, err)
	}
	return r
}

const leafText = `
www 300 A 192.0.2.1
mail MX 10 www
*.wild TXT "wild"
deep.empty TXT "below an empty name"
alias CNAME www
away CNAME www.unsigned.test.
other CNAME www.other.test.
nowhere CNAME no.such
*.star CNAME www
dname DNAME other.test.
sub NS ns.sub
ns.sub A 192.0.2.2
under.alias NS ns.under.alias
`

// usual is a root, a TLD, and below it zones of all kinds.
func usual(t testing.TB, h how) *world {
	w := newWorld(t)
	w.add("unsigned.test.", "www A 192.0.2.9\n", how{algorithms: []uint8{0}})
	w.add("under.alias.leaf.test.", "www A 192.0.2.9\n", how{algorithms: []uint8{0}})
	w.add("leaf.test.", leafText, h)
	w.add("other.test.", "www A 192.0.2.3\n", how{algorithms: []uint8{dnssec.ED25519}})
	w.add("n3.test.", "www A 192.0.2.1\n*.w TXT \"w\"\n", kinds["NSEC3"])
	w.add("test.", "leaf NS ns.leaf\nother NS ns.other\nunsigned NS ns.unsigned\nn3 NS ns.n3\n", h)
	w.add(".", "test. NS ns.test.\n", how{algorithms: []uint8{dnssec.ED448}})
	return w
}
