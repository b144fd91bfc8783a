package validator_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/test/peers"
	"onoma/zone/sign"
)

// serve gives each zone of the world a socket; answers are tampered with there as
// in fetch.
func (w *world) serve() map[string]netip.AddrPort {
	at := map[string]netip.AddrPort{}
	for name := range w.zones {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() { conn.Close() })
		at[name.String()] = conn.LocalAddr().(*net.UDPAddr).AddrPort()
		go w.answer(conn, name)
	}
	return at
}

func (w *world) answer(conn net.PacketConn, zone dns.Name) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		query, err := dns.ParseMessage(buf[:n])
		if err != nil {
			continue
		}
		m, err := w.ask(zone, query.Question())
		if err != nil {
			continue
		}
		m.ID = query.ID
		if out, err := m.Append(nil); err == nil {
			conn.WriteTo(out, from)
		}
	}
}

// broken are zones below test., each broken in its own way or good in its own way,
// and how they differ from a zone with NSEC and P-256.
var broken = map[string]struct {
	how    how
	ds     func([]string) []string // what the parent has instead
	past   time.Duration           // so long ago it was signed
	tamper func(q dns.Question, m *dns.Message)
}{
	"good":     {},
	"nsec3":    {how: kinds["NSEC3"]},
	"optout":   {how: kinds["NSEC3 with opt-out"]},
	"rsa":      {how: how{algorithms: []uint8{dnssec.RSASHA256}}},
	"ed448":    {how: how{algorithms: []uint8{dnssec.ED448}}},
	"two":      {how: how{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}}},
	"unsigned": {how: how{algorithms: []uint8{0}}},
	"expired":  {past: 30 * 24 * time.Hour},
	"future":   {past: -30 * 24 * time.Hour},
	"iterated": {how: how{denial: sign.Denial{Kind: sign.NSEC3, Iterations: 151}}},
	"island":   {ds: func([]string) []string { return nil }},
	"stranger": {ds: func(ds []string) []string { return []string{"12345" + ds[0][strings.Index(ds[0], " "):]} }},
	"unknown":  {ds: func(ds []string) []string { return []string{strings.Replace(ds[0], " 13 2 ", " 17 2 ", 1)} }},
	"digest":   {ds: func(ds []string) []string { return []string{strings.Replace(ds[0], " 13 2 ", " 13 200 ", 1)} }},
	"wrong":    {ds: func(ds []string) []string { return []string{ds[0][:len(ds[0])-4] + "0000"} }},
	"one":      {ds: func(ds []string) []string { return []string{strings.Replace(ds[0], " 13 2 ", " 17 2 ", 1), ds[0]} }},
	"nosigs":   {tamper: func(_ dns.Question, m *dns.Message) { without(m, isType(dns.TypeRRSIG)) }},
	"noproof":  {tamper: func(_ dns.Question, m *dns.Message) { without(m, isType(dns.TypeNSEC)) }},
	"data":     {tamper: func(q dns.Question, m *dns.Message) { edit(dns.TypeA, flip)(m) }},
	"keys":     {tamper: func(q dns.Question, m *dns.Message) { edit(dns.TypeDNSKEY, flip)(m) }},
	"revoked": {tamper: func(_ dns.Question, m *dns.Message) {
		edit(dns.TypeDNSKEY, func(rd dns.RData) dns.RData { rd[1] |= 128; return rd })(m)
	}},
	"denied":    {tamper: func(q dns.Question, m *dns.Message) { deny(q, m) }},
	"firstfail": {how: how{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}}, tamper: func(_ dns.Question, m *dns.Message) { edit(dns.TypeRRSIG, spoil(dnssec.ED25519))(m) }},
}

// deny says that data are not there, with the proof of a name beside them.
func deny(q dns.Question, m *dns.Message) {
	if q.Type == dns.TypeA && len(m.Answer) > 0 {
		m.Answer = nil
	}
}

func spoil(algorithm uint8) func(dns.RData) dns.RData {
	return func(rd dns.RData) dns.RData {
		if rd[2] == algorithm {
			return flip(rd)
		}
		return rd
	}
}

// brokenWorld has all of them, for the real time.
func brokenWorld(t *testing.T) *world {
	w := newWorld(t)
	w.now = time.Now()
	text := ""
	for name, b := range broken {
		origin := dns.MustName(name + ".test.")
		now := w.now
		w.now = now.Add(-b.past)
		s := w.add(origin.String(), leafText, b.how)
		w.now = now
		text += fmt.Sprintf("%s NS ns.%s\n", name, name)
		if b.ds == nil {
			continue
		}
		var ds []string
		for _, k := range s.keys {
			d, err := dnssec.MakeDS(origin, k.DNSKEY(), dnssec.DigestSHA256)
			if err != nil {
				t.Fatal(err)
			}
			ds = append(ds, fmt.Sprintf("%d %d %d %x", d.KeyTag, d.Algorithm, d.DigestType, d.Digest))
		}
		s.keys = nil
		for _, d := range b.ds(ds) {
			text += fmt.Sprintf("%s DS %s\n", name, d)
		}
	}
	w.add("test.", text, kinds["NSEC"])
	w.tamper = func(q dns.Question, m *dns.Message) {
		for name, b := range broken {
			zone := dns.MustName(name + ".test.")
			if b.tamper != nil && q.Name.IsSubdomainOf(zone) && (q.Type != dns.TypeDS || !q.Name.Equal(zone)) {
				b.tamper(q, m)
			}
		}
	}
	return w
}

// Unbound and we have the same opinion of zones that are good and broken in all
// ways that come to mind, and of all kinds of answers from each.
func TestAgreesWithUnbound(t *testing.T) {
	if testing.Short() {
		t.Skip("Unbound is not started by -short")
	}
	w := brokenWorld(t)
	var anchor string
	for _, k := range w.zones[dns.MustName("test.")].keys {
		anchor += dns.Record{Name: dns.MustName("test."), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()}.String() + "\n"
	}
	unbound := peers.Validator(t, anchor, w.serve(), "aggressive-nsec: no", "val-nsec3-keysize-iterations: \"1024 150 2048 150 4096 150\"")
	v := w.validator("test.", validator.Limits{})
	seen := map[validator.Status]int{}
	for name := range broken {
		for _, question := range []string{"www A", "www AAAA", "no A", "a.b.no A", "x.wild TXT", "x.wild A", "empty A", "alias A", "x.star A", "www.dname A", "sub DS", "@ DS", "@ DNSKEY"} {
			label, typ, _ := strings.Cut(question, " ")
			full := strings.TrimPrefix(label+"."+name+".test.", "@.")
			qt, _ := dns.ParseType(typ)
			theirs, rcode := w.verdict(unbound.Addr, dns.MustName(full), qt)
			ours, err := v.Look(context.Background(), dns.MustName(full), qt)
			if err != nil {
				t.Errorf("%s %s: %v", full, typ, err)
				continue
			}
			seen[ours.Status]++
			if ours.Status != theirs {
				t.Errorf("%s %s: %v (%s), Unbound says %v", full, typ, ours.Status, ours.Why, theirs)
			} else if theirs > validator.Bogus && rcode != ours.RCode {
				t.Errorf("%s %s: %v, Unbound says %v", full, typ, ours.RCode, rcode)
			}
		}
	}
	t.Logf("verdicts: %v", seen)
	for _, status := range []validator.Status{validator.Bogus, validator.Insecure, validator.Secure} {
		if seen[status] < 20 {
			t.Errorf("%d answers are %v: the zones are not what they should be", seen[status], status)
		}
	}
}

// verdict asks Unbound.
func (w *world) verdict(at netip.AddrPort, name dns.Name, typ dns.Type) (validator.Status, dns.RCode) {
	w.Helper()
	q := dns.NewQuery(7, dns.Question{Name: name, Type: typ, Class: dns.ClassIN}, true)
	q.EDNS = &dns.EDNS{UDPSize: 4096, DO: true}
	msg, err := q.Append(nil)
	if err != nil {
		w.Fatal(err)
	}
	conn, err := net.Dial("udp", at.String())
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(msg); err != nil {
		w.Fatal(err)
	}
	buf := make([]byte, 65535)
	n, err := conn.Read(buf)
	if err != nil {
		w.Fatalf("%s %s: %v", name, typ, err)
	}
	m, err := dns.ParseMessage(slices.Clone(buf[:n]))
	if err != nil {
		w.Fatal(err)
	}
	switch {
	case m.RCode == dns.RCodeServFail:
		return validator.Bogus, m.RCode
	case m.Flags.Has(dns.FlagAD):
		return validator.Secure, m.RCode
	}
	return validator.Insecure, m.RCode
}
