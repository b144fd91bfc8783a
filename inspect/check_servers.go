package inspect

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/zone"
)

// judgeServers looks for servers that do not do their work.
func (s *survey) judgeServers(v *verdicts) {
	for _, w := range s.above {
		if w.err != nil {
			v.warn("parent-server", s.zone, dns.TypeDS, "whoever runs the parent zone should know",
				"%s, a server of %s, says nothing of the delegation: %v", w, s.parent, w.err)
		}
	}
	addrs := map[netip.Addr]bool{}
	for _, w := range s.own {
		addrs[w.addr.Addr()] = true
		if w.err != nil {
			v.fail("server-lame", s.zone, dns.TypeNS, "have it serve the zone, or take it out of the NS records here and at the parent",
				"%s does not serve the zone: %v", w, w.err)
			continue
		}
		s.judgeManners(v, w)
		if w.tcp != nil {
			v.warn("server-tcp", s.zone, dns.TypeNone, "open TCP port 53: signed answers need it (RFC 7766 §5)",
				"%s does not answer over TCP: %v", w, w.tcp)
		}
	}
	if len(addrs) == 1 {
		v.warn("server-single", s.zone, dns.TypeNS, "serve the zone at a second place (RFC 2182 §5)", "only one address is to serve the zone")
	}
	for _, host := range s.addressless {
		v.fail("server-no-address", s.zone, dns.TypeNS, "give it an address record, or take it out of the NS records",
			"the name server %s has no address that can be found", host)
	}
	for _, host := range s.aliased {
		v.fail("server-alias", s.zone, dns.TypeNS, "name the host itself in the NS records",
			"the name server %s is an alias, which many resolvers do not follow (RFC 2181 §10.3)", host)
	}
	s.judgeSerials(v)
}

// judgeManners looks at how a server answers that does answer.
func (s *survey) judgeManners(v *verdicts, w *witness) {
	if w.udp != nil {
		v.fail("server-udp", s.zone, dns.TypeNone, "open UDP port 53: resolvers try nothing else first", "%s answers over TCP only; over UDP: %v", w, w.udp)
	}
	if w.edns != nil {
		severity := zone.Warning
		if len(s.keys()) > 0 {
			severity = zone.Error // without EDNS there is no DO, and without DO no signature (RFC 3225 §3)
		}
		v.add(severity, "server-edns", s.zone, dns.TypeNone, nil, "replace the server, or what stands before it and drops EDNS",
			"%s does not do EDNS (RFC 6891): %v", w, w.edns)
	}
	for _, t := range ownTypes {
		err := w.mute[t]
		if err == nil {
			continue
		}
		what := t.String()
		if t == strangeType {
			what = "a type that it does not know"
		}
		v.add(zone.Error, "server-mute", s.zone, t, w, "have it answer for every type (RFC 8906): resolvers ask for more than web pages need",
			"asked for %s it gives no good answer: %v", what, err)
	}
}

// judgeSerials compares which version each server has.
func (s *survey) judgeSerials(v *verdicts) {
	at := map[uint32][]*witness{}
	for _, w := range s.own {
		if serial, ok := w.serial(s.zone); ok && w.err == nil {
			at[serial] = append(at[serial], w)
		}
	}
	if len(at) < 2 {
		return
	}
	serials := make([]uint32, 0, len(at))
	for n := range at {
		serials = append(serials, n)
	}
	slices.SortFunc(serials, func(a, b uint32) int { return int(int32(b - a)) }) // RFC 1982
	var parts []string
	for _, n := range serials {
		parts = append(parts, fmt.Sprintf("%d at %s", n, listed(at[n])))
	}
	v.warn("serial-differs", s.zone, dns.TypeSOA, "after a change this passes within seconds where NOTIFY works; otherwise look at the transfers of those that are behind",
		"the servers have different versions: %s", strings.Join(parts, "; "))
}

// judgeDelegation compares what the parent says with what the zone says.
func (s *survey) judgeDelegation(v *verdicts) {
	s.differ(v, s.above, dns.TypeDS, zone.Warning, "ds-differs", "the parent's servers", "wait until all of them have the parent's newest version, and ask again")
	for _, t := range []dns.Type{dns.TypeNS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeCSYNC} {
		severity := zone.Warning
		if t == dns.TypeDNSKEY {
			severity = zone.Error // whoever gets keys from one server and signatures from another finds them wrong
		}
		s.differ(v, s.own, t, severity, strings.ToLower(t.String())+"-differs", "the zone's servers", "have all servers serve the same version; with several providers, each must publish the keys of all (RFC 8901)")
	}
	if len(s.delegated) > 0 && len(s.apex) > 0 {
		s.compareNS(v)
	}
	s.judgeGlue(v)
}

// differ finds servers that have not the same records of a type.
func (s *survey) differ(v *verdicts, list []*witness, t dns.Type, severity zone.Severity, code, whose, cure string) {
	groups := s.groups(list, t)
	if len(groups) < 2 {
		return
	}
	var parts []string
	for _, g := range groups {
		parts = append(parts, fmt.Sprintf("%s at %s", contents(t, g[0].answer(s, t).RData), listed(g)))
	}
	v.add(severity, code, s.zone, t, nil, cure, "%s have different %s records: %s", whose, t, strings.Join(parts, "; "))
}

// contents writes a set in few words.
func contents(t dns.Type, data []dns.RData) string {
	if len(data) == 0 {
		return "none"
	}
	var words []string
	for _, d := range data[:min(len(data), 8)] {
		switch t {
		case dns.TypeDNSKEY, dns.TypeCDNSKEY:
			words = append(words, fmt.Sprintf("key %d", dns.KeyTag(d)))
		case dns.TypeDS, dns.TypeCDS:
			if ds, err := dns.ParseDS(d); err == nil {
				words = append(words, fmt.Sprintf("%d/%d/%d", ds.KeyTag, ds.Algorithm, ds.DigestType))
			}
		case dns.TypeNS:
			words = append(words, bare(d.Target(t).String()))
		default:
			words = append(words, clip(d.Text(t), 60))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func (s *survey) compareNS(v *verdicts) {
	missing := func(a, b []dns.Name) (names []string) {
		for _, n := range a {
			if !slices.ContainsFunc(b, n.Equal) {
				names = append(names, bare(n.String()))
			}
		}
		return names
	}
	if list := missing(s.delegated, s.apex); list != nil {
		v.warn("ns-only-parent", s.zone, dns.TypeNS, "have the parent drop it, or add it to the zone's NS records",
			"the parent delegates to %s, which the zone does not name", strings.Join(list, ", "))
	}
	if list := missing(s.apex, s.delegated); list != nil {
		v.warn("ns-only-zone", s.zone, dns.TypeNS, "have the parent add it (CSYNC does that where the parent looks for it, RFC 7477), or take it out of the zone",
			"the zone names %s, which the parent does not delegate to", strings.Join(list, ", "))
	}
}

// judgeGlue looks at the addresses that the parent has to give (RFC 9471).
func (s *survey) judgeGlue(v *verdicts) {
	for _, h := range s.inside {
		if glue := s.glue(h.name); len(glue) > 0 && !sameAddrs(glue, h.addrs) {
			v.warn("glue-differs", h.name, dns.TypeNone, "have the registry set the addresses that the zone has, or mend the zone",
				"the parent says that it is at %s, the zone says %s", addrText(glue), addrText(h.addrs))
		}
	}
	for _, host := range s.delegated {
		if !host.IsSubdomainOf(s.zone) {
			continue
		}
		var without []string
		for _, w := range s.above {
			m := w.said[dns.TypeNS]
			if m == nil || w.err != nil || len(setIn(m.Authority, s.zone, dns.TypeNS).RData) == 0 {
				continue // a server that has the zone, too, answers by it
			}
			if len(addrsOf(m.Additional, host)) == 0 && !m.Flags.Has(dns.FlagTC) {
				without = append(without, w.String())
			}
		}
		if without != nil {
			v.fail("glue-missing", host, dns.TypeNone, "have the registry add the addresses of this name server",
				"it lies in the zone that it serves, and %s of %s give no address of it, so nobody gets there", strings.Join(without[:min(len(without), 3)], ", "), s.parent)
		}
	}
}

func sameAddrs(a, b []netip.Addr) bool {
	lacks := func(list []netip.Addr) func(netip.Addr) bool {
		return func(x netip.Addr) bool { return !slices.Contains(list, x) }
	}
	return !slices.ContainsFunc(a, lacks(b)) && !slices.ContainsFunc(b, lacks(a))
}

func addrText(list []netip.Addr) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	slices.Sort(texts)
	return cmp.Or(strings.Join(texts, ", "), "nothing")
}
