package inspect

import (
	"cmp"
	"fmt"
	"slices"

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
	at []*witness // the servers where it is so; none: it is no server's
}

// mostVerdicts bounds what a bad zone can make us say about it.
const mostVerdicts = 200

func (v *verdicts) add(s zone.Severity, code string, name dns.Name, t dns.Type, at *witness, cure, format string, args ...any) {
	f := zone.Finding{Severity: s, Code: code, Name: name, Type: t, Text: fmt.Sprintf(format, args...), Cure: cure}
	i := slices.IndexFunc(v.list, func(o verdict) bool {
		return o.Code == code && o.Type == t && o.Text == f.Text && o.Name.Equal(name)
	})
	if i < 0 {
		if len(v.list) == mostVerdicts {
			return
		}
		i, v.list = len(v.list), append(v.list, verdict{Finding: f})
	}
	if at != nil && !slices.Contains(v.list[i].at, at) {
		v.list[i].at = append(v.list[i].at, at)
	}
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

// judgeChain says what a resolver would come to.
func (s *survey) judgeChain(v *verdicts, h *Health) {
	switch {
	case h.Trust.Status == validator.Bogus:
		v.fail("chain-bogus", s.zone, dns.TypeNone, "resolvers that validate answer SERVFAIL until this is mended; the findings beside this one tell where",
			"the chain of trust is broken: %s", h.Trust.Why)
	case h.Trust.Status == validator.Indeterminate && h.Trust.EDE.Code == dns.EDENoReachableAuthority:
		v.fail("chain-unknown", s.zone, dns.TypeNone, "look at the zone that is named, and at the way to its servers",
			"the chain of trust cannot be followed: %s", h.Trust.Why)
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
	st := ServerState{Name: w.name, Addr: w.addr}
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
