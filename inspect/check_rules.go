package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/resolver/validator"
	"onoma/zone"
)

// verdicts gathers findings. What several servers have in common is said once.
type verdicts struct {
	list []verdict
}

type verdict struct {
	zone.Finding
	about []string   // the sets that it is so of
	at    []*witness // the servers where it is so; none: it is no server's
}

// mostVerdicts bounds what a bad zone can make us say about it.
const mostVerdicts = 200

// add tells of a set at a server. What is already said in the same words of another
// set, or at another server, is the same finding.
func (v *verdicts) add(s zone.Severity, code string, name dns.Name, t dns.Type, at *witness, cure, format string, args ...any) {
	f := zone.Finding{Severity: s, Code: code, Name: name, Type: t, Text: fmt.Sprintf(format, args...), Cure: cure}
	i := slices.IndexFunc(v.list, func(o verdict) bool { return o.Code == code && o.Severity == s && o.Text == f.Text })
	if i < 0 {
		if len(v.list) == mostVerdicts {
			return
		}
		i, v.list = len(v.list), append(v.list, verdict{Finding: f})
	}
	known := &v.list[i]
	if about := known.subject(name, t); !slices.Contains(known.about, about) {
		known.about = append(known.about, about)
	}
	if at != nil && !slices.Contains(known.at, at) {
		known.at = append(known.at, at)
	}
}

// subject names a set as short as may be.
func (v *verdict) subject(name dns.Name, t dns.Type) string {
	switch {
	case t == dns.TypeNone:
		return bare(name.String())
	case name.Equal(v.Name):
		return t.String()
	}
	return bare(name.String()) + " " + t.String()
}

// warn and fail are add for what is about the zone as a whole.
func (v *verdicts) warn(code string, name dns.Name, t dns.Type, cure, format string, args ...any) {
	v.add(zone.Warning, code, name, t, nil, cure, format, args...)
}

func (v *verdicts) fail(code string, name dns.Name, t dns.Type, cure, format string, args ...any) {
	v.add(zone.Error, code, name, t, nil, cure, format, args...)
}

// findings returns what was gathered, errors first. Servers are named where it is not all of them.
func (v *verdicts) findings(all int) []zone.Finding {
	out := make([]zone.Finding, len(v.list))
	for i, f := range v.list {
		if n := len(f.about); n > 1 {
			f.Type, f.Text = dns.TypeNone, enumerate(f.about)+": "+f.Text
		}
		if n := len(f.at); n > 0 && n < all {
			f.Text += ", at " + listed(f.at)
		} else if n > 1 {
			f.Text += ", at all servers"
		}
		out[i] = f.Finding
	}
	slices.SortStableFunc(out, func(a, b zone.Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return out
}

// enumerate writes some of many words.
func enumerate(words []string) string {
	const most = 4
	if n := len(words) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), n)
	}
	return strings.Join(words, ", ")
}

// judge applies all rules.
func (s *survey) judge(h *Health) []zone.Finding {
	v := &verdicts{}
	s.judgeServers(v)
	s.judgeDelegation(v)
	s.judgeDS(v)
	s.judgeKeys(v)
	s.judgeSignatures(v)
	s.judgeTimes(v)
	s.judgeDenial(v)
	s.judgeHandover(v, h)
	s.judgeChain(v, h)
	answering := 0
	for _, w := range s.own {
		if w.err == nil {
			answering++
		}
	}
	return v.findings(answering)
}

// judgeChain says what a resolver comes to that asks one server of the zone or another.
func (s *survey) judgeChain(v *verdicts, h *Health) {
	for _, w := range s.own {
		if w.err == nil {
			s.judgeTrust(v, h, w, w.trust)
		}
	}
}

func (s *survey) judgeTrust(v *verdicts, h *Health, w *witness, r validator.Result) {
	name := s.zone
	if n := len(r.Chain); n > 0 && r.Chain[n-1].Status != validator.Secure {
		name = r.Chain[n-1].Zone // where it ends
	}
	switch r.Status {
	case validator.Bogus:
		v.add(zone.Error, "chain-bogus", name, dns.TypeNone, w, "resolvers that validate answer SERVFAIL until this is mended; the findings beside this one tell where",
			"the chain of trust is broken: %s", r.Why)
	case validator.Insecure:
		s.judgeInsecure(v, h, name)
	case validator.Indeterminate:
		if r.EDE.Code != dns.EDEDNSSECIndeterminate { // else nothing is trusted, so there is no chain
			v.add(zone.Error, "chain-unknown", name, dns.TypeNone, w, "look at the zone that is named, and at the way to its servers",
				"the chain of trust cannot be followed: %s", r.Why)
		}
	}
}

// judgeInsecure: a zone that has keys is not signed for its own amusement.
func (s *survey) judgeInsecure(v *verdicts, h *Health, name dns.Name) {
	switch {
	case !h.Signed:
	case !name.Equal(s.zone):
		v.warn("chain-insecure", name, dns.TypeNone, "have that zone signed, or its DS published",
			"it is not secure, so nothing below it is, though %s is signed", s.zone)
	case len(s.ds()) > 0:
		v.warn("chain-insecure", name, dns.TypeDS, changeAlgorithm, "resolvers take the zone as unsigned: no DS of it has an algorithm and a digest that they know")
	}
}

// health is the part of the result that needs no judgement.
func (s *survey) health() *Health {
	h := &Health{Zone: s.zone, Parent: s.parent, At: s.at, Signed: len(s.keys()) > 0}
	for _, w := range s.above {
		h.Above = append(h.Above, w.state(s.parent))
	}
	for _, w := range s.own {
		h.Own = append(h.Own, w.state(s.zone))
	}
	return h
}

func (w *witness) state(name dns.Name) ServerState {
	st := ServerState{Name: w.name, Addr: w.addr, Trust: w.trust.Status}
	if w.err != nil {
		st.Error = w.err.Error()
	}
	st.Serial, _ = w.serial(name)
	return st
}

// serial is the serial of the zone's SOA, wherever the server gave it.
func (w *witness) serial(name dns.Name) (uint32, bool) {
	for _, t := range []dns.Type{dns.TypeSOA, dns.TypeDS} {
		m := w.said[t]
		if m == nil {
			continue
		}
		for _, r := range append(slices.Clone(m.Answer), m.Authority...) {
			if r.Type == dns.TypeSOA && r.Name.Equal(name) {
				return dns.SOASerial(r.Data), true
			}
		}
	}
	return 0, false
}
