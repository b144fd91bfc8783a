package iterator

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// What a fuzzed reply is made of.
var (
	fuzzNames = []string{
		"www.example.com.", "example.com.", "sub.example.com.", "a.sub.example.com.", "ns.sub.example.com.", "*.example.com.",
		"www.other.com.", "other.com.", "ns.other.com.", "com.", ".", "a.gtld-servers.net.", "a.root-servers.net.", "ns.evil.net.",
	}
	fuzzTypes = []dns.Type{
		dns.TypeA, dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeSOA, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC,
		dns.TypeAAAA, dns.TypeTXT, dns.TypeNSEC3, dns.TypeANY,
	}
	fuzzAddrs = []string{"192.0.2.66", "192.0.2.3", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.4", "10.0.0.1"}
	fuzzTTLs  = []uint32{0, 1, 300, 86400, dns.MaxTTL}
)

// fuzzReply makes a reply to q of octets: rcode, flags, then four for each record.
func fuzzReply(q *dns.Message, b []byte) *dns.Message {
	m := &dns.Message{ID: q.ID, Flags: dns.FlagQR, Questions: q.Questions, EDNS: q.EDNS}
	if len(b) < 2 {
		return nil
	}
	m.RCode = dns.RCode(b[0] & 0x1F)
	if b[0]&0x80 != 0 {
		m.RCode = 0
	}
	if m.RCode > 15 {
		m.RCode = dns.RCodeNXDomain
	}
	for i, f := range []dns.Flags{dns.FlagAA, dns.FlagRA, dns.FlagAD} {
		if b[1]&(1<<i) != 0 {
			m.Flags |= f
		}
	}
	if b[1]&0x30 == 0x30 {
		m.Flags |= dns.FlagTC
	}
	for b = b[2:]; len(b) >= 4; b = b[4:] {
		r := fuzzRecord(b)
		switch b[0] >> 6 {
		case 0, 1:
			m.Answer = append(m.Answer, r)
		case 2:
			m.Authority = append(m.Authority, r)
		case 3:
			m.Additional = append(m.Additional, r)
		}
	}
	return m
}

func fuzzRecord(b []byte) dns.Record {
	pick := func(list []string, c byte) string { return list[int(c)%len(list)] }
	r := dns.Record{
		Name: dns.MustName(pick(fuzzNames, b[1])), Class: dns.ClassIN,
		Type: fuzzTypes[int(b[0]&0x3F)%len(fuzzTypes)], TTL: fuzzTTLs[int(b[3])%len(fuzzTTLs)],
	}
	target := dns.MustName(pick(fuzzNames, b[2]))
	switch r.Type {
	case dns.TypeA:
		r.Data = netip.MustParseAddr(pick(fuzzAddrs, b[2])).AsSlice()
	case dns.TypeAAAA:
		r.Data = append(make(dns.RData, 15), b[2])
	case dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME:
		r.Data = dns.RData(target.Wire())
	case dns.TypeSOA:
		r.Data = append(dns.RData(target.Wire()+target.Wire()), make([]byte, 20)...)
		r.Data[len(r.Data)-2] = b[2]
	case dns.TypeRRSIG:
		r.Data = append(dns.RData{0, b[2], 13, b[3], 0, 0, 0, 9, 9, 9, 9, 9, 8, 8, 8, 8, 1, 1}, target.Wire()+"sig"...)
	case dns.TypeNSEC:
		r.Data = dns.RData(target.Wire() + "\x00\x01\x40")
	case dns.TypeNSEC3:
		r.Data = dns.RData("\x01\x00\x00\x00\x00\x04abcd\x00\x01\x40")
	case dns.TypeDS:
		r.Data = dns.RData("\x00\x01\x0d\x02" + strings.Repeat("d", 32))
	default:
		r.Data = dns.RData("\x01t")
	}
	return r
}

// FuzzReplies lets the server of one zone say anything, in records or in raw
// octets. Whatever it is, the look-up ends in time and within its budget, no
// packet goes where none may go, and nothing is learnt about other zones.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("\x80\x01\x00\x00\x00\x02"), false)
	f.Add([]byte("\x80\x00\x81\x07\x0d\x03\xc0\x0d\x00\x03\x81\x02\x04\x02\xc0\x04\x00\x02"), false)
	f.Add([]byte("\x80\x01\x02\x00\x06\x02\x00\x06\x00\x02\x81\x07\x0d\x03\x81\x09\x0d\x03"), false)
	f.Add([]byte("\x03\x01\x84\x07\x00\x02\x84\x01\x00\x02"), false)
	f.Add([]byte("\x80\x01\x03\x01\x07\x02\x02\x00\x06\x02"), false)
	f.Add([]byte(" B\x81,00"), false) // an alias to the other zone
	f.Add([]byte("\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x00\x00\x04\x01\x02\x03\x04"), true)
	f.Fuzz(func(t *testing.T, script []byte, raw bool) {
		if len(script) > 2000 {
			return
		}
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			w.twoZones("", "www 60 A 198.51.100.2")
			evil := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3"))
			if raw {
				evil.Raw = func(answer []byte) []byte { return append(answer[:2:2], script...) }
			} else {
				evil.Hook = func(q, _ *dns.Message, _ transport.Proto) *dns.Message { return fuzzReply(q, script) }
			}
			for _, q := range []dns.Question{
				question("www.example.com.", dns.TypeA), question("a.sub.example.com.", dns.TypeTXT),
				question("example.com.", dns.TypeDS), question("sub.example.com.", dns.TypeDS), question("x.y.example.com.", dns.TypeCNAME),
			} {
				w.checkOne(q)
			}
			w.checkCache()
		})
	})
}

func (w *world) checkOne(q dns.Question) {
	start := time.Now()
	a, err := w.it.Resolve(w.t.Context(), q, Options{})
	if took := time.Since(start); took > w.it.Limits.Time {
		w.t.Errorf("%s took %v", q, took)
	}
	if a != nil && (a.Cost.Queries > w.it.Limits.Queries || len(a.Chain) > 2*w.it.Limits.Aliases+2) {
		w.t.Errorf("%s cost %+v, %d sets", q, a.Cost, len(a.Chain))
	}
	sent := w.Sent()
	if len(sent) > w.it.Limits.Queries {
		w.t.Errorf("%s: %d packets (%v)", q, len(sent), err)
	}
	for _, p := range sent {
		if !w.it.usable(p.To) {
			w.t.Errorf("%s: a packet to %v", q, p.To)
		}
	}
}

// checkCache wants the truth about all zones but example.com.
func (w *world) checkCache() {
	now := w.it.now()
	for _, n := range fuzzNames {
		name := dns.MustName(n)
		if name.IsSubdomainOf(dns.MustName("example.com.")) {
			continue
		}
		for _, typ := range fuzzTypes {
			if e, ok := w.it.Cache.RRset(name, typ, now); ok && e.Zone.IsSubdomainOf(dns.MustName("example.com.")) {
				w.t.Errorf("%s %s was learnt from %s", name, typ, e.Zone)
			}
			if e, ok := w.it.Cache.NoData(name, typ, now); ok && e.Zone.IsSubdomainOf(dns.MustName("example.com.")) {
				w.t.Errorf("no %s %s was learnt from %s", name, typ, e.Zone)
			}
		}
		if e, ok := w.it.Cache.NXDomain(name, now); ok && e.Zone.IsSubdomainOf(dns.MustName("example.com.")) {
			w.t.Errorf("that %s does not exist was learnt from %s", name, e.Zone)
		}
		if d, ok := w.it.Cache.Delegation(name, now); ok && d.Parent.IsSubdomainOf(dns.MustName("example.com.")) {
			w.t.Errorf("the delegation of %s was learnt from %s", name, d.Parent)
		}
	}
	if d, ok := w.it.Cache.Delegation(dns.MustName("example.com."), now); ok && !d.Parent.Equal(dns.MustName("com.")) {
		w.t.Errorf("example.com delegated by %s", d.Parent)
	}
	if got := w.resolve("www.other.com.", dns.TypeA); !strings.HasPrefix(got, "NOERROR www.other.com./") || !strings.HasSuffix(got, "/A=198.51.100.2") {
		w.t.Errorf("another zone: %s", got)
	}
}
