package fakenet

import (
	"net/netip"
	"slices"

	"onoma/dns"
)

// What Mutate puts in.
var (
	mutantTTLs  = []uint32{0, 1, 300, 86400, 604800, dns.MaxTTL}
	mutantAddrs = []string{"192.0.2.66", "192.0.2.1", "192.0.2.4", "127.0.0.1", "0.0.0.0", "224.0.0.1", "10.0.0.1"}
	mutantTypes = []dns.Type{dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME}
	mutantFlags = []dns.Flags{dns.FlagAA, dns.FlagTC, dns.FlagRA, dns.FlagAD, dns.FlagQR, dns.FlagCD}
	mutantCodes = []dns.RCode{dns.RCodeNoError, dns.RCodeFormErr, dns.RCodeServFail, dns.RCodeNXDomain, dns.RCodeNotImp, dns.RCodeRefused, dns.RCodeBadVers}
)

// Mutate changes an answer as a hostile server, or a forger with a true answer at hand, might: each three octets of the
// script are one step, what is done to which record and how. Owners and targets are taken from names.
func Mutate(a *dns.Message, script []byte, names []dns.Name) *dns.Message {
	m := *a
	m.Questions = slices.Clone(a.Questions)
	s := &sheet{m: &m, names: names}
	for i, list := range [][]dns.Record{a.Answer, a.Authority, a.Additional} {
		s.sections[i] = slices.Clone(list)
	}
	for ; len(script) >= 3; script = script[3:] {
		s.step(script[0], script[1], script[2])
	}
	m.Answer, m.Authority, m.Additional = s.sections[0], s.sections[1], s.sections[2]
	return &m
}

// sheet is an answer that is being changed.
type sheet struct {
	m        *dns.Message
	sections [3][]dns.Record
	names    []dns.Name
}

func (s *sheet) name(c byte) dns.Name { return s.names[int(c)%len(s.names)] }

func (s *sheet) step(what, which, how byte) {
	if what%16 >= 8 {
		s.whole(what%16, which, how)
		return
	}
	section := &s.sections[which>>6%3]
	if len(*section) == 0 {
		return
	}
	i := int(which&0x3F) % len(*section)
	r := &(*section)[i]
	switch what % 16 {
	case 0:
		*section = slices.Delete(*section, i, i+1)
	case 1:
		*section = append(*section, *r)
	case 2:
		moved := *r
		*section = slices.Delete(*section, i, i+1)
		s.add(int(how), moved)
	case 3:
		r.Name = s.name(how)
	case 4:
		r.TTL = mutantTTLs[int(how)%len(mutantTTLs)]
	case 5:
		if slices.Contains(mutantTypes, r.Type) {
			r.Type = mutantTypes[int(how)%len(mutantTypes)]
		}
	case 6:
		if slices.Contains(mutantTypes, r.Type) {
			r.Data = dns.NewTarget(s.name(how))
		}
	case 7:
		if r.Type == dns.TypeA {
			r.Data = address(how).Data
		}
	}
}

// whole changes what is not one record.
func (s *sheet) whole(what, which, how byte) {
	switch what {
	case 8:
		s.m.Flags ^= mutantFlags[int(how)%len(mutantFlags)]
	case 9:
		s.m.RCode = mutantCodes[int(how)%len(mutantCodes)]
	case 10: // a referral, with glue
		ns := s.name(how)
		s.add(1, dns.Record{Name: s.name(which), Type: dns.TypeNS, Class: dns.ClassIN, TTL: 86400, Data: dns.NewTarget(ns)})
		glue := address(which)
		glue.Name = ns
		s.add(2, glue)
	case 11:
		r := address(how)
		r.Name = s.name(which)
		s.add(int(how>>6), r)
	case 12: // an absence
		s.sections[0] = nil
		soa := ParseRecord("@ 86400 SOA ns.invalid. host.invalid. 1 3600 600 86400 86400", s.name(which))
		s.sections[1] = []dns.Record{soa}
		s.m.RCode = []dns.RCode{dns.RCodeNXDomain, dns.RCodeNoError}[how%2]
	case 13:
		if len(s.m.Questions) > 0 {
			s.m.Questions[0].Name = s.name(how)
		}
	case 14:
		slices.Reverse(s.sections[how%3])
	case 15: // an alias, of this name or of a tree
		r := dns.Record{Name: s.name(which), Type: mutantTypes[1+how%2], Class: dns.ClassIN, TTL: 86400, Data: dns.NewTarget(s.name(how >> 1))}
		s.add(int(how>>7), r)
	}
}

// add puts a record into a section, unless that is long enough already.
func (s *sheet) add(section int, r dns.Record) {
	if list := &s.sections[section%3]; len(*list) < 200 {
		*list = append(*list, r)
	}
}

func address(how byte) dns.Record {
	t, data := dns.NewAddr(netip.MustParseAddr(mutantAddrs[int(how)%len(mutantAddrs)]))
	return dns.Record{Type: t, Class: dns.ClassIN, TTL: 86400, Data: data}
}
