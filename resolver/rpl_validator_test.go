package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/validator"
)

// validatorSkips are scripts whose end the validator has nothing to do with, or judges otherwise, with the reason.
var validatorSkips = map[string]string{
	"val_adbit":              "has the signature over its answer in another section",
	"val_noadwhennodo":       "has the signature over its answer in another section",
	"val_spurious_ns":        "has the signature over its answer in another section",
	"val_any":                "asks for ANY, of which nothing can be proved",
	"val_nsec3_wcany":        "asks for ANY, of which nothing can be proved",
	"val_nsec3_wcany_nodeny": "asks for ANY, of which nothing can be proved",
	"val_rrsig":              "asks for RRSIG, which nothing signs",
	"val_dnameqtype":         "answers by what it has cached of a DNAME's target",
	"val_dnametopos":         "answers by what it has cached of a DNAME's target",
	"val_refer_unsignadd":    "answers by what it has cached of another question",
	"val_referd":             "answers by what it has cached of another question",
	"val_negcache_nxdomain":  "makes an answer of cached NSEC records (RFC 8198)",
	"val_negcache_ttl":       "makes an answer of cached NSEC records (RFC 8198)",
	"val_dnametoolong":       "finds YXDOMAIN insecure; here it follows from a DNAME that is secure",
	"val_faildnskey_ok":      "finds a zone insecure whose keys cannot be had (harden-dnssec-stripped: no)",
	"val_ta_algo_missing":    "wants signatures by all algorithms (harden-algo-downgrade: yes); here one is enough (RFC 6840 §5.11)",
}

// TestValidatorScenarios has the validator judge the answers of the scripts about validation.
func TestValidatorScenarios(t *testing.T) {
	ran, passed := 0, 0
	for _, file := range scenarioFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".rpl")
		if !strings.HasPrefix(name, "val_") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, err := readScenario(file)
			if err != nil {
				t.Fatal(err)
			}
			if why := validatorSkips[name]; why != "" {
				t.Skip(why)
			}
			if s.unknown != "" {
				t.Skip("needs " + s.unknown)
			}
			modernise(t, s)
			ran++
			if playValidation(t, s) {
				passed++
			}
		})
	}
	t.Logf("%d run, %d passed", ran, passed)
}

// judged is a script at work: the servers that it has, as seen by one who looks for answers on his own.
type judged struct {
	t    *testing.T
	s    *scenario
	now  time.Time
	step int
	cuts map[dns.Name][]netip.Addr // that referrals have told of, in lower case
	seen []seen                    // what servers have said
}

func playValidation(t *testing.T, s *scenario) bool {
	j := &judged{t: t, s: s, now: s.date(), cuts: map[dns.Name][]netip.Addr{}}
	v := validator.New(validator.Options{Anchors: s.anchorsOf(t), Fetch: j.fetch, Clock: func() time.Time { return j.now }})
	var asked *rplEntry
	for i := range s.steps {
		st := &s.steps[i]
		j.step = st.number
		switch st.kind {
		case "QUERY":
			asked = st.entry
		case "CHECK_ANSWER":
			j.judge(v, asked.msg, st.entry.msg)
		}
	}
	return !t.Failed()
}

// judge compares what the validator says with what the script's answer has.
func (j *judged) judge(v *validator.Validator, query, want dns.Message) {
	q := query.Question()
	if query.Flags.Has(dns.FlagCD) {
		return
	}
	got, err := v.Look(context.Background(), q.Name, q.Type)
	if errors.Is(err, validator.ErrType) {
		j.t.Skipf("asks for %s", q.Type)
	}
	isSeen := want.Flags.Has(dns.FlagAD) || query.Flags.Has(dns.FlagAD) || query.EDNS != nil // RFC 6840 §5.7: else AD is not shown
	said, expected := verdict(got.Status, isSeen, err), "insecure"
	switch {
	case want.RCode == dns.RCodeServFail:
		expected = "bogus"
	case want.Flags.Has(dns.FlagAD):
		expected = "secure"
	case !isSeen:
		expected = "good"
	}
	if said != expected {
		j.t.Errorf("step %d: %s %s is %s, expected %s: %s (%v)", j.step, q.Name, q.Type, said, expected, got.Why, err)
	}
	if expected != "bogus" && got.RCode != want.RCode {
		j.t.Errorf("step %d: %s %s has %s, expected %s", j.step, q.Name, q.Type, got.RCode, want.RCode)
	}
}

func verdict(s validator.Status, isSeen bool, err error) string {
	switch {
	case s == validator.Bogus:
		return "bogus"
	case s == validator.Indeterminate && err == nil: // RFC 4033 §5: no anchor
		return "insecure"
	case s == validator.Indeterminate:
		return "bogus"
	case !isSeen:
		return "good"
	}
	return s.String()
}

// fetch goes down from the servers that the head has, referral by referral.
func (j *judged) fetch(_ context.Context, q dns.Question) (*dns.Message, error) {
	m, err := j.walk(q, 0)
	if err == nil && q.Type == dns.TypeDS && len(m.Answer) == 0 && m.RCode == dns.RCodeNoError {
		return referredDS(m, q), nil
	}
	if err == nil {
		return m, nil
	}
	return j.recall(q)
}

// referredDS has the DS set of a referral as the answer.
func referredDS(m *dns.Message, q dns.Question) *dns.Message {
	out := &dns.Message{Authority: m.Authority}
	for _, r := range m.Authority {
		sig, err := dns.ParseRRSIG(r.Data)
		if r.Name.Equal(q.Name) && (r.Type == dns.TypeDS || r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == dns.TypeDS) {
			out.Answer = append(out.Answer, r)
		}
	}
	return out
}

// seen is a message, and whether it is a referral.
type seen struct {
	q   dns.Question
	m   *dns.Message
	cut dns.Name
}

// recall answers from what was said before, as a cache does: a script has each thing said once.
func (j *judged) recall(q dns.Question) (*dns.Message, error) {
	if q.Type == dns.TypeDS {
		return j.recallDS(q), nil
	}
	for _, s := range j.seen {
		if m := s.about(q); m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s %s: nobody answers", q.Name, q.Type)
}

// recallDS has the DS set of a referral, or else all that was said about names that are not there.
func (j *judged) recallDS(q dns.Question) *dns.Message {
	all := &dns.Message{}
	for _, s := range j.seen {
		if m := referredDS(s.m, q); len(m.Answer) > 0 {
			return m
		}
		for _, r := range s.m.Authority {
			isSame := func(o dns.Record) bool {
				return o.Name.Equal(r.Name) && o.Type == r.Type && string(o.Data) == string(r.Data)
			}
			if r.Type != dns.TypeNS && r.Type != dns.TypeSOA && !slices.ContainsFunc(all.Authority, isSame) {
				all.Authority = append(all.Authority, r)
			}
		}
	}
	return all
}

// about returns what a message has of a name behind an alias, or of another one below the same DNAME.
func (s *seen) about(q dns.Question) *dns.Message {
	m := &dns.Message{RCode: s.m.RCode, Authority: s.m.Authority}
	last := s.q.Name
	for _, r := range s.m.Answer {
		t := r.Type
		if sig, err := dns.ParseRRSIG(r.Data); t == dns.TypeRRSIG && err == nil {
			t = sig.TypeCovered
		}
		if r.Type == dns.TypeCNAME {
			last = r.Data.Target(dns.TypeCNAME)
		}
		if r.Name.Equal(q.Name) && (t == q.Type || t == dns.TypeCNAME) || t == dns.TypeDNAME && q.Name.IsSubdomainOf(r.Name) && !q.Name.Equal(r.Name) {
			m.Answer = append(m.Answer, r)
		}
	}
	isEnd := last.Equal(q.Name) && s.q.Type == q.Type && !last.Equal(s.q.Name)
	if len(m.Answer) > 0 || isEnd {
		return m
	}
	return nil
}

// goodTime returns one at which the first signature of a script is good.
func goodTime(s *scenario, now time.Time) time.Time {
	for _, g := range s.ranges {
		for _, e := range g.entries {
			for _, r := range e.msg.Answer {
				if sig, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeRRSIG && err == nil {
					return time.Unix(int64(sig.Inception)/2+int64(sig.Expiration)/2, 0)
				}
			}
		}
	}
	return now
}

func (j *judged) walk(q dns.Question, depth int) (*dns.Message, error) {
	addrs, zone, isForwarder := j.start(q)
	for name := q.Name; name.NumLabels() > zone.NumLabels() && !isForwarder; name = name.Parent() {
		if known := j.cuts[name.Fold()]; known != nil && (q.Type != dns.TypeDS || !name.Equal(q.Name)) {
			addrs, zone = known, name
			break
		}
	}
	for range 20 {
		m := j.ask(addrs, q)
		if m == nil {
			return nil, fmt.Errorf("%s %s: nobody of %v answers", q.Name, q.Type, addrs)
		}
		cut, next := referral(m, q, zone)
		j.seen = append(j.seen, seen{q, m, cut})
		if isForwarder || cut.IsZero() {
			return m, nil
		}
		zone = cut
		addrs = j.addrsOf(m, next, depth)
		j.cuts[zone.Fold()] = addrs
	}
	return nil, fmt.Errorf("%s %s: too many referrals", q.Name, q.Type)
}

// start returns where to begin: the nearest stub or forward zone that has the answer. DS are the parent's.
func (j *judged) start(q dns.Question) (addrs []netip.Addr, zone dns.Name, isForwarder bool) {
	best := -1
	for _, kind := range []string{"stub", "forward"} {
		for _, c := range j.s.clauses {
			name, list := dns.MustName(c.last("name", ".")), c.all(kind+"-addr")
			if c.kind != kind+"-zone" || len(list) == 0 || !q.Name.IsSubdomainOf(name) || name.NumLabels() <= best || q.Type == dns.TypeDS && q.Name.Equal(name) && !name.IsRoot() {
				continue
			}
			best, zone, isForwarder = name.NumLabels(), name, kind == "forward"
			addrs = []netip.Addr{netip.MustParseAddr(strings.Fields(list[0])[0])}
		}
	}
	return addrs, zone, isForwarder
}

func (j *judged) ask(addrs []netip.Addr, q dns.Question) *dns.Message {
	query := &dns.Message{Questions: []dns.Question{q}, EDNS: &dns.EDNS{UDPSize: 4096, DO: true}}
	for _, a := range addrs {
		m := j.s.answer(j.step, a, false, query)
		if m != nil && m.Flags.Has(dns.FlagTC) {
			m = j.s.answer(j.step, a, true, query)
		}
		if m != nil && m.RCode != dns.RCodeServFail && m.RCode != dns.RCodeRefused {
			return m
		}
	}
	return nil
}

// referral returns the cut that m refers to, below zone, and the names of its servers.
func referral(m *dns.Message, q dns.Question, zone dns.Name) (cut dns.Name, servers []dns.Name) {
	if len(m.Answer) > 0 || m.RCode != dns.RCodeNoError {
		return cut, nil
	}
	for _, r := range m.Authority {
		switch {
		case r.Type == dns.TypeSOA:
			return dns.Name{}, nil
		case r.Type != dns.TypeNS || !q.Name.IsSubdomainOf(r.Name) || r.Name.Equal(zone) || !r.Name.IsSubdomainOf(zone):
		case q.Type == dns.TypeDS && r.Name.Equal(q.Name):
		default:
			cut, servers = r.Name, append(servers, r.Data.Target(dns.TypeNS))
		}
	}
	return cut, servers
}

func (j *judged) addrsOf(m *dns.Message, names []dns.Name, depth int) (out []netip.Addr) {
	add := func(list []dns.Record, name dns.Name) {
		for _, r := range list {
			if r.Type == dns.TypeA && r.Name.Equal(name) {
				a, _ := netip.AddrFromSlice(r.Data)
				out = append(out, a)
			}
		}
	}
	for _, name := range names {
		if add(m.Additional, name); len(out) == 0 && depth < 5 {
			if a, err := j.walk(dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassIN}, depth+1); err == nil {
				add(a.Answer, name)
			}
		}
	}
	return out
}

// anchorIn reads an anchor as it stands in the head of a script.
func anchorIn(text string) (dns.Record, error) {
	opts := zonefile.Options{Origin: dns.Root, DefaultTTL: 3600}
	return zonefile.NewReader(strings.NewReader(text+"\n"), opts).Next()
}
