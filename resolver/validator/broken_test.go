package validator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/signer/online"
	"onoma/zone/sign"
)

// without drops records of an answer.
func without(m *dns.Message, drop func(dns.Record) bool) {
	m.Answer = slices.DeleteFunc(m.Answer, drop)
	m.Authority = slices.DeleteFunc(m.Authority, drop)
}

func isType(types ...dns.Type) func(dns.Record) bool {
	return func(r dns.Record) bool { return slices.Contains(types, r.Type) }
}

// only applies a change to the answer for one question.
func only(question string, change func(*dns.Message)) func(dns.Question, *dns.Message) {
	return func(q dns.Question, m *dns.Message) {
		if strings.EqualFold(q.Name.String()+" "+q.Type.String(), question) {
			change(m)
		}
	}
}

// edit changes the rdata of one type.
func edit(t dns.Type, change func(dns.RData) dns.RData) func(*dns.Message) {
	return func(m *dns.Message) {
		for i, r := range m.Answer {
			if r.Type == t {
				m.Answer[i].Data = change(slices.Clone(r.Data))
			}
		}
	}
}

func flip(rd dns.RData) dns.RData {
	rd[len(rd)-1] ^= 1
	return rd
}

func TestBrokenAnswers(t *testing.T) {
	signatures := isType(dns.TypeRRSIG)
	for _, c := range []struct {
		name     string
		question string
		tamper   func(dns.Question, *dns.Message)
		now      time.Duration
		code     dns.EDECode
	}{
		{name: "other data", question: "www.leaf.test. A", code: dns.EDEDNSSECBogus,
			tamper: only("www.leaf.test. A", edit(dns.TypeA, flip))},
		{name: "a record more", question: "www.leaf.test. A", code: dns.EDEDNSSECBogus,
			tamper: only("www.leaf.test. A", func(m *dns.Message) {
				r := m.Answer[0]
				r.Data = dns.RData{192, 0, 2, 66}
				m.Answer = append(m.Answer, r)
			})},
		{name: "no signatures", question: "www.leaf.test. A", code: dns.EDERRSIGsMissing,
			tamper: only("www.leaf.test. A", func(m *dns.Message) { without(m, signatures) })},
		{name: "no signatures at all", question: "www.leaf.test. A", code: dns.EDERRSIGsMissing,
			tamper: func(_ dns.Question, m *dns.Message) { without(m, signatures) }},
		{name: "expired", question: "www.leaf.test. A", now: 8 * 24 * time.Hour, code: dns.EDESignatureExpired},
		{name: "not yet", question: "www.leaf.test. A", now: -2 * time.Hour, code: dns.EDESignatureNotYetValid},
		{name: "data without a proof for the wildcard", question: "x.wild.leaf.test. TXT", code: dns.EDENSECMissing,
			tamper: only("x.wild.leaf.test. TXT", func(m *dns.Message) { m.Authority = nil })},
		{name: "no name without a proof", question: "no.leaf.test. A", code: dns.EDENSECMissing,
			tamper: only("no.leaf.test. A", func(m *dns.Message) { m.Authority = nil })},
		{name: "no name with half a proof", question: "no.leaf.test. A", code: dns.EDENSECMissing,
			tamper: only("no.leaf.test. A", func(m *dns.Message) {
				without(m, func(r dns.Record) bool { return r.Name.Equal(dns.MustName("leaf.test.")) && r.Type != dns.TypeSOA })
			})},
		{name: "no name, proof not signed", question: "no.leaf.test. A", code: dns.EDERRSIGsMissing,
			tamper: only("no.leaf.test. A", func(m *dns.Message) { without(m, signatures) })},
		{name: "a name that exists is denied", question: "www.leaf.test. A", code: dns.EDENSECMissing,
			tamper: only("www.leaf.test. A", func(m *dns.Message) { m.Answer, m.RCode = nil, dns.RCodeNXDomain })},
		{name: "a type that exists is denied by another name's record", question: "www.leaf.test. A", code: dns.EDENSECMissing,
			tamper: only("www.leaf.test. A", func(m *dns.Message) { m.Answer = nil })},
		{name: "no DS and no proof", question: "www.leaf.test. A", code: dns.EDENSECMissing,
			tamper: only("leaf.test. DS", func(m *dns.Message) { m.Answer, m.Authority = nil, nil })},
		{name: "other DS", question: "www.leaf.test. A", code: dns.EDEDNSSECBogus,
			tamper: only("leaf.test. DS", edit(dns.TypeDS, flip))},
		{name: "no DNSKEY", question: "www.leaf.test. A", code: dns.EDEDNSKEYMissing,
			tamper: only("leaf.test. DNSKEY", func(m *dns.Message) { without(m, isType(dns.TypeDNSKEY)) })},
		{name: "other DNSKEY", question: "www.leaf.test. A", code: dns.EDEDNSKEYMissing,
			tamper: only("leaf.test. DNSKEY", edit(dns.TypeDNSKEY, flip))},
		{name: "no zone key bit", question: "www.leaf.test. A", code: dns.EDEDNSKEYMissing,
			tamper: only("leaf.test. DNSKEY", edit(dns.TypeDNSKEY, func(rd dns.RData) dns.RData { rd[0] = 0; return rd }))},
		{name: "revoked", question: "www.leaf.test. A", code: dns.EDEDNSKEYMissing,
			tamper: only("leaf.test. DNSKEY", edit(dns.TypeDNSKEY, func(rd dns.RData) dns.RData { rd[1] |= dns.DNSKEYRevoke; return rd }))},
		{name: "anchor gone", question: "www.leaf.test. A", code: dns.EDEDNSKEYMissing,
			tamper: only(". DNSKEY", edit(dns.TypeDNSKEY, flip))},
		{name: "alias to broken data", question: "alias.leaf.test. A", code: dns.EDEDNSSECBogus,
			tamper: only("www.leaf.test. A", edit(dns.TypeA, flip))},
		{name: "alias without a signature", question: "away.leaf.test. A", code: dns.EDERRSIGsMissing,
			tamper: only("away.leaf.test. A", func(m *dns.Message) { without(m, signatures) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := usual(t, kinds["NSEC"])
			w.tamper, w.now = c.tamper, noon.Add(c.now)
			r := w.look(w.validator(".", validator.Limits{}), c.question)
			if r.Status != validator.Bogus || r.EDE.Code != c.code {
				t.Errorf("%v with %v, expected bogus with %v", r.Status, r.EDE, c.code)
			}
			for _, rec := range r.Answer {
				if rec.Type == dns.TypeA || rec.Type == dns.TypeTXT {
					t.Errorf("the answer has %v", rec)
				}
			}
		})
	}
}

// The record that denies types at a wildcard is no word on the names that it
// stands for: its signature holds for any owner.
func TestDenialThatAWildcardMade(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	wildcard, err := w.fetch(context.Background(), dns.Question{Name: dns.MustName("*.wild.leaf.test."), Type: dns.TypeA, Class: dns.ClassIN})
	if err != nil {
		t.Fatal(err)
	}
	w.tamper = only("x.wild.leaf.test. MX", func(m *dns.Message) {
		m.Answer, m.Authority = nil, slices.Clone(wildcard.Authority)
		for i, r := range m.Authority {
			if r.Name.IsWildcard() {
				m.Authority[i].Name = dns.MustName("x.wild.leaf.test.")
			}
		}
	})
	if r := w.look(w.validator(".", validator.Limits{}), "x.wild.leaf.test. MX"); r.Status != validator.Bogus {
		t.Errorf("%v: %s", r.Status, r.Why)
	}
}

// TestKeysThatMayNot: a key that is revoked leads nowhere, although it signs and a DS is of it (RFC 5011 §2.1); nor does one that
// is no key for zones (RFC 4034 §2.1.1).
func TestKeysThatMayNot(t *testing.T) {
	for name, c := range map[string]struct {
		flags uint16
		want  validator.Status
	}{"usual": {257, validator.Secure}, "revoked": {257 | dns.DNSKEYRevoke, validator.Bogus}, "not for zones": {1, validator.Bogus}} {
		w := newWorld(t)
		s := w.add("test.", "www A 192.0.2.1\n", how{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}, flags: []uint16{c.flags}})
		anchor := dns.Record{Name: dns.MustName("test."), Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: s.keys[0].RData()}
		v := validator.New(validator.Options{Anchors: []dns.Record{anchor}, Fetch: w.fetch, Clock: w.clock})
		if r := w.look(v, "www.test. A"); r.Status != c.want {
			t.Errorf("%s: %v, expected %v: %s", name, r.Status, c.want, r.Why)
		}
	}
}

// A zone whose parent has nothing but DS of unknown algorithms or digests is not
// signed for us (RFC 4035 §5.2, RFC 6840 §5.2); any known one is enough.
func TestUnknownAlgorithms(t *testing.T) {
	for _, c := range []struct {
		name   string
		ds     []string // %s is the real one's digest
		status validator.Status
		code   dns.EDECode
	}{
		{"unknown algorithm", []string{"%d 17 2 %s"}, validator.Insecure, dns.EDEUnsupportedDNSKEYAlg},
		{"unknown digest", []string{"%d 13 3 %s"}, validator.Insecure, dns.EDEUnsupportedDSDigest},
		{"one that is known", []string{"%d 17 2 %s", "%d 13 2 %s"}, validator.Secure, 0},
		{"known, but of no key", []string{"%d 17 2 %s", "%d 15 2 %s"}, validator.Bogus, dns.EDEDNSKEYMissing},
		{"SHA-1 beside a wrong SHA-256", []string{"%d 13 1 SHA1", "%d 13 2 0000000000000000000000000000000000000000000000000000000000000000"}, validator.Bogus, dns.EDEDNSKEYMissing},
		{"SHA-1 alone", []string{"%d 13 1 SHA1"}, validator.Secure, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			leaf := w.add("leaf.test.", leafText, kinds["NSEC"])
			key := leaf.keys[0]
			leaf.keys = nil // its parent gets the DS below
			text := "leaf NS ns.leaf\n"
			for _, ds := range c.ds {
				text += "leaf DS " + dsText(t, ds, key) + "\n"
			}
			w.add("test.", text, kinds["NSEC"])
			r := w.look(w.validator("test.", validator.Limits{}), "www.leaf.test. A")
			if r.Status != c.status || r.EDE.Code != c.code {
				t.Errorf("%v with %v (%s), expected %v with %v", r.Status, r.EDE, r.Why, c.status, c.code)
			}
		})
	}
}

func dsText(t *testing.T, pattern string, key *dnssec.Key) string {
	t.Helper()
	name := dns.MustName("leaf.test.")
	sha1, err1 := dnssec.MakeDS(name, key.DNSKEY(), dnssec.DigestSHA1)
	sha256, err2 := dnssec.MakeDS(name, key.DNSKEY(), dnssec.DigestSHA256)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	text := strings.Replace(pattern, "SHA1", fmt.Sprintf("%x", sha1.Digest), 1)
	text = strings.Replace(text, "%d", fmt.Sprint(key.Tag()), 1)
	return strings.Replace(text, "%s", fmt.Sprintf("%x", sha256.Digest), 1)
}

// A zone with two algorithms of which one is broken is good by the other (RFC 6840
// §5.11).
func TestAnyAlgorithmIsEnough(t *testing.T) {
	w := newWorld(t)
	w.add("test.", "www A 192.0.2.1\n", how{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}})
	for _, broken := range []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519} {
		w.tamper = func(_ dns.Question, m *dns.Message) {
			edit(dns.TypeRRSIG, func(rd dns.RData) dns.RData {
				if rd[2] == broken {
					rd = flip(rd)
				}
				return rd
			})(m)
		}
		if r := w.look(w.validator("test.", validator.Limits{}), "www.test. A"); r.Status != validator.Secure {
			t.Errorf("%s broken: %v, %s", dnssec.AlgorithmName(broken), r.Status, r.Why)
		}
	}
}

// RFC 9276 §3.2: too many iterations make a zone insecure, not bogus.
func TestTooManyIterations(t *testing.T) {
	w := newWorld(t)
	w.add("test.", "www A 192.0.2.1\n", how{denial: sign.Denial{Kind: sign.NSEC3, Iterations: 151}})
	v := w.validator("test.", validator.Limits{})
	if r := w.look(v, "no.test. A"); r.Status != validator.Insecure || r.EDE.Code != dns.EDEUnsupportedNSEC3Iters {
		t.Errorf("no such name: %v with %v", r.Status, r.EDE)
	}
	if r := w.look(v, "www.test. A"); r.Status != validator.Secure {
		t.Errorf("a name that is there: %v, %s", r.Status, r.Why)
	}
}

// Keys and signatures that all have one tag (CVE-2023-50387) cost no more than the
// limits say.
func TestKeyTagsThatCollide(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	w.tamper = only("www.leaf.test. A", func(m *dns.Message) {
		good := m.Answer[1]
		m.Answer = m.Answer[:1]
		for i := range 500 {
			bad := good
			bad.Data = slices.Clone(good.Data)
			bad.Data[len(bad.Data)-1-i%60] ^= byte(1 + i/60)
			m.Answer = append(m.Answer, bad)
		}
		m.Answer = append(m.Answer, good)
	})
	r := w.look(w.validator(".", validator.Limits{}), "www.leaf.test. A")
	if r.Status != validator.Bogus {
		t.Errorf("%v, though the good signature comes after the limit", r.Status)
	}
	tried := 0
	for _, s := range r.Sets[len(r.Sets)-1].Sigs {
		if s.Why == dnssec.ErrSignature.Error() {
			tried++
		}
	}
	if tried != 8 {
		t.Errorf("%d signatures were checked, expected 8", tried)
	}
	all := w.look(w.validator(".", validator.Limits{Signatures: 7, PerSet: 1000}), "www.leaf.test. A")
	if all.Status != validator.Bogus || !strings.Contains(all.Why, "too much work") {
		t.Errorf("%v, %s", all.Status, all.Why)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.add("test.", "a CNAME b\nb CNAME a\n", kinds["NSEC3"])
	for name, c := range map[string]struct {
		limits   validator.Limits
		question string
	}{
		"aliases":   {validator.Limits{}, "a.test. A"},
		"questions": {validator.Limits{Questions: 1}, "no.test. A"},
		"rounds":    {validator.Limits{Rounds: 2}, "no.test. A"},
	} {
		if r := w.look(w.validator("test.", c.limits), c.question); r.Status != validator.Bogus || !strings.Contains(r.Why, "too much work") {
			t.Errorf("%s: %v, %s", name, r.Status, r.Why)
		}
	}
}

// What is remembered has a bound; without room, questions are asked again.
func TestRemembersNoMoreThanItMay(t *testing.T) {
	w := usual(t, kinds["NSEC"])
	v := w.validator(".", validator.Limits{Zones: 1})
	w.look(v, "www.leaf.test. A")
	before := w.asked
	if r := w.look(v, "www.leaf.test. A"); r.Status != validator.Secure || w.asked-before < 3 {
		t.Errorf("%v, %d questions the second time, though one zone of three is remembered", r.Status, w.asked-before)
	}
}

// With the rounds of NSEC3 used up, nothing becomes insecure that is signed.
func TestWorkThatIsUsedUpIsNoProof(t *testing.T) {
	w := usual(t, kinds["NSEC3"])
	w.tamper = func(_ dns.Question, m *dns.Message) {
		without(m, func(r dns.Record) bool {
			return r.Type == dns.TypeDS || r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == dns.TypeDS
		})
	}
	for rounds := 1; rounds < 30; rounds++ {
		r, err := w.validator(".", validator.Limits{Rounds: rounds}).Look(context.Background(), dns.MustName("www.leaf.test."), dns.TypeA)
		if err == nil && r.Status > validator.Bogus {
			t.Fatalf("%d rounds: %v, %s", rounds, r.Status, r.Why)
		}
	}
}

// Compact answers (RFC 9824) are those of our own servers that sign on request.
func TestCompactAnswers(t *testing.T) {
	w := newWorld(t)
	s := w.add("test.", "www A 192.0.2.1\nx.empty A 192.0.2.2\nsub NS ns.invalid.\n", how{denial: sign.Denial{Kind: sign.Compact}})
	z := online.New(online.Options{Clock: func() time.Time { return w.now }}).Zone(online.ZoneOptions{Origin: dns.MustName("test.")})
	z.SetKeys(s.keys)
	s.zone.SignOnline(z)
	v := w.validator("test.", validator.Limits{})
	for question, rcode := range map[string]dns.RCode{
		"no.test. A": dns.RCodeNXDomain, "www.test. AAAA": dns.RCodeNoError, "empty.test. A": dns.RCodeNoError,
		"a.b.no.test. MX": dns.RCodeNXDomain, "www.test. A": dns.RCodeNoError, "sub.test. DS": dns.RCodeNoError,
	} {
		if r := w.look(v, question); r.Status != validator.Secure || r.RCode != rcode {
			t.Errorf("%s: %v %v (%s), expected %v", question, r.Status, r.RCode, r.Why, rcode)
		}
	}
	if r := w.look(v, "x.sub.test. A"); r.Status != validator.Insecure {
		t.Errorf("below a delegation: %v, %s", r.Status, r.Why)
	}
}
