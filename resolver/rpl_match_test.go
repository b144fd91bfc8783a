package resolver

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
)

// find returns the entry for a query to a server at that step, nil for none.
func (s *scenario) find(step int, to netip.Addr, tcp bool, q *dns.Message) *rplEntry {
	for _, g := range s.ranges {
		if step < g.from || step > g.to || len(g.addrs) > 0 && !slices.Contains(g.addrs, to) {
			continue
		}
		for _, e := range g.entries {
			if e.matches(q, tcp) {
				return e
			}
		}
	}
	return nil
}

// answer returns the reply to q of a server at that step, nil for none.
func (s *scenario) answer(step int, to netip.Addr, tcp bool, q *dns.Message) *dns.Message {
	if e := s.find(step, to, tcp, q); e != nil {
		return e.adjusted(q)
	}
	return nil
}

// matches compares a query with the entry as MATCH says; words that are not
// known agree with everything.
func (e *rplEntry) matches(q *dns.Message, tcp bool) bool {
	for _, m := range e.match {
		if !e.agrees(m, q, tcp) {
			return false
		}
	}
	return true
}

func (e *rplEntry) agrees(word string, q *dns.Message, tcp bool) bool {
	want, got := e.msg.Question(), q.Question()
	switch word {
	case "qname":
		return want.Name.Equal(got.Name)
	case "qtype":
		return want.Type == got.Type
	case "question":
		return want.Name.Equal(got.Name) && want.Type == got.Type
	case "subdomain":
		return got.Name.IsSubdomainOf(want.Name)
	case "opcode":
		return e.msg.Flags.Opcode() == q.Flags.Opcode()
	case "TCP":
		return tcp
	case "UDP":
		return !tcp
	case "DO":
		return q.EDNS != nil && q.EDNS.DO
	case "noedns":
		return q.EDNS == nil
	case "ednsdata":
		return bytes.Equal(wireOptions(e.msg.EDNS), wireOptions(q.EDNS))
	}
	return true
}

func wireOptions(e *dns.EDNS) (b []byte) {
	if e == nil {
		return nil
	}
	for _, o := range e.Options {
		b = dns.AppendOption(b, o.Code, o.Data)
	}
	return b
}

// adjusted is the entry's message as the answer to q.
func (e *rplEntry) adjusted(q *dns.Message) *dns.Message {
	m := e.msg
	m.ID = q.ID
	if slices.Contains(e.adjust, "copy_query") {
		m.Questions = q.Questions
	}
	return &m
}

// wire is the entry's answer to q in octets.
func (e *rplEntry) wire(q *dns.Message) ([]byte, error) {
	if len(e.raw) < 12 {
		return e.adjusted(q).Append(nil)
	}
	raw := bytes.Clone(e.raw)
	raw[0], raw[1] = byte(q.ID>>8), byte(q.ID)
	return raw, nil
}

// check compares the answer with the one in the script: rcode, flags and
// sections. Records are compared as sets. NS and address records beside an
// answer, which this resolver leaves out, are not missed. Where nothing is renewed,
// TTLs may be shorter than in the script.
func (s *rplStep) check(t *testing.T, raw []byte, mayBeShorter bool) {
	if raw == nil {
		t.Errorf("step %d: no answer", s.number)
		return
	}
	got, err := dns.ParseLoosely(raw)
	if err != nil {
		t.Fatalf("step %d: %v", s.number, err)
	}
	want := s.entry.msg
	all := slices.Contains(s.entry.match, "all")
	ttl := slices.Contains(s.entry.match, "ttl")
	compared := dns.FlagQR | dns.FlagTC | dns.FlagRD | dns.FlagRA | dns.FlagCD | dns.FlagAD
	if want.RCode == dns.RCodeRefused { // recursion is available here, though not to everybody
		compared &^= dns.FlagRA
	}
	switch {
	case want.Flags.Has(dns.FlagTC) && !got.Flags.Has(dns.FlagTC) && got.RCode == want.RCode: // without what is left out here, it fits
	case all || ttl:
		g, w := shape(got, ttl, compared), shape(&want, ttl, compared)
		if g != w && !(ttl && mayBeShorter && isShorter(got, &want) && shape(got, false, compared) == shape(&want, false, compared)) {
			t.Errorf("step %d, %s\n got: %s %v\nwant: %s", s.number, got.Question(), g, got.EDNS.EDE(), w)
		}
	case slices.Contains(s.entry.match, "rcode") && got.RCode != want.RCode:
		t.Errorf("step %d, %s: %s %v, expected %s", s.number, got.Question(), got.RCode, got.EDNS.EDE(), want.RCode)
	case slices.Contains(s.entry.match, "answer"):
		g, w := section(got.Answer, ttl, false), section(want.Answer, ttl, false)
		if !slices.Equal(g, w) {
			t.Errorf("step %d, %s\n got: %s %v\nwant: %s", s.number, got.Question(), g, got.EDNS.EDE(), w)
		}
	}
	for _, m := range s.entry.match {
		s.checkOption(t, m, got)
	}
}

// isShorter reports whether got is kept for no longer than want: a TTL is the most
// (RFC 2181 §8), and data below a cut here never outlives the delegation.
func isShorter(got, want *dns.Message) bool {
	most := map[string]uint32{}
	for _, r := range slices.Concat(want.Answer, want.Authority) {
		most[r.Name.Fold().String()+r.Type.String()] = r.TTL
	}
	for _, r := range slices.Concat(got.Answer, got.Authority) {
		if w, ok := most[r.Name.Fold().String()+r.Type.String()]; ok && (r.TTL > w || r.TTL == 0 && w > 1) {
			return false
		}
	}
	return true
}

// checkOption compares what MATCH names of the answer's OPT.
func (s *rplStep) checkOption(t *testing.T, match string, got *dns.Message) {
	errors := got.EDNS.EDE()
	var code uint16
	n, _ := fmt.Sscanf(match, "ede=%d", &code)
	switch {
	case match == "ede=any":
		if len(errors) == 0 {
			t.Errorf("step %d: no EDE, expected one", s.number)
		}
	case n == 1 && dns.EDECode(code) == dns.EDEOther: // says nothing but a text of the resolver's own
	case n == 1 && !slices.ContainsFunc(errors, func(e dns.EDE) bool { return isSameError(e.Code, dns.EDECode(code)) }):
		t.Errorf("step %d: EDE %v, expected %d", s.number, errors, code)
	case match == "ednsdata" && !bytes.Equal(wireOptions(got.EDNS), wireOptions(s.entry.msg.EDNS)):
		t.Errorf("step %d: options %x, expected %x", s.number, wireOptions(got.EDNS), wireOptions(s.entry.msg.EDNS))
	case match == "server_cookie":
		if c, ok := got.EDNS.Option(dns.OptionCookie); !ok || len(c.Data) != 24 {
			t.Errorf("step %d: cookie %x, expected one of 24 octets", s.number, c.Data)
		}
	}
}

// isSameError compares error codes. Which of the codes for a failed validation
// fits where several things are amiss, RFC 8914 §4 does not say, nor whether a
// server that gives no good answer is unreachable or a network's error.
func isSameError(a, b dns.EDECode) bool {
	isProof := func(c dns.EDECode) bool { return c >= dns.EDEDNSSECIndeterminate && c <= dns.EDENSECMissing }
	isServer := func(c dns.EDECode) bool { return c == dns.EDENoReachableAuthority || c == dns.EDENetworkError }
	return a == b || isProof(a) && isProof(b) || isServer(a) && isServer(b)
}

// shape is what of a message is compared, as text.
func shape(m *dns.Message, ttl bool, compared dns.Flags) string {
	parts := []string{m.RCode.String(), (m.Flags & compared).String()}
	for i, list := range [][]dns.Record{m.Answer, m.Authority} {
		parts = append(parts, "|", strings.Join(section(list, ttl, i == 1), "; "))
	}
	return strings.ToLower(strings.ReplaceAll(strings.Join(parts, " "), "\t", " "))
}

func section(list []dns.Record, ttl, isAuthority bool) (lines []string) {
	for _, r := range list {
		r.Name = r.Name.Fold()
		sig, err := dns.ParseRRSIG(r.Data)
		isSig := err == nil && r.Type == dns.TypeRRSIG
		if isAuthority && (r.Type == dns.TypeNS || isSig && sig.TypeCovered == dns.TypeNS) {
			continue
		}
		if isSig { // which may have been made anew
			lines = append(lines, fmt.Sprintf("%s RRSIG %s by %s", r.Name, sig.TypeCovered, sig.Signer.Fold()))
			continue
		}
		if !ttl {
			r.TTL = 0
		}
		if soa, err := dns.ParseSOA(r.Data); err == nil && r.Type == dns.TypeSOA && soa.RName.Equal(dns.MustName("nobody.invalid.")) {
			lines = append(lines, r.Name.String()+" SOA of a zone that is local") // RFC 6303 §3 has another primary than Unbound
			continue
		}
		lines = append(lines, r.String())
	}
	slices.Sort(lines)
	return lines
}
