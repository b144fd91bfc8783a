package inspect

import (
	"slices"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// judgeHandover looks at what the zone asks of its parent: CDS and CDNSKEY (RFC
// 7344, RFC 8078) and CSYNC (RFC 7477).
func (s *survey) judgeHandover(v *verdicts, h *Health) {
	cds, cdnskey := s.union(s.own, dns.TypeCDS), s.union(s.own, dns.TypeCDNSKEY)
	s.judgeCSYNC(v)
	if len(cds)+len(cdnskey) == 0 {
		return
	}
	if slices.ContainsFunc(cds, dnssec.IsCDSDelete) || slices.ContainsFunc(cdnskey, dnssec.IsCDNSKEYDelete) {
		s.judgeDelete(v, cds, cdnskey)
		return
	}
	wanted := s.wantedDS(v, cds, cdnskey)
	if len(wanted) == 0 {
		return
	}
	s.judgeWanted(v, wanted)
	s.judgeRequest(v, dns.TypeCDS)
	s.judgeRequest(v, dns.TypeCDNSKEY)
	s.judgeTaken(v, wanted, h)
}

// judgeDelete: a request to drop all DS (RFC 8078 §4).
func (s *survey) judgeDelete(v *verdicts, cds, cdnskey []dns.RData) {
	if len(cds) > 1 || len(cdnskey) > 1 {
		v.fail("cds-delete-mixed", s.zone, dns.TypeCDS, "publish either", "a request to drop the DS stands beside records that ask for some (RFC 8078 §4)")
		return
	}
	if len(s.ds()) > 0 {
		v.warn("cds-delete", s.zone, dns.TypeCDS, "if that is not wanted, take the CDS and CDNSKEY out at once", "the zone asks its parent to drop the DS: it is about to become unsigned")
	}
}

// wantedDS returns the DS that the zone asks for, and says where CDS and CDNSKEY are not of the same keys.
func (s *survey) wantedDS(v *verdicts, cds, cdnskey []dns.RData) (wanted []dns.DS) {
	for _, d := range cds {
		if ds, err := dns.ParseDS(d); err == nil {
			wanted = append(wanted, ds)
		}
	}
	var keys []dns.DNSKEY
	for _, d := range cdnskey {
		if k, err := dns.ParseDNSKEY(d); err == nil {
			keys = append(keys, k)
		}
	}
	if len(cds) > 0 && len(cdnskey) > 0 {
		isOdd := slices.ContainsFunc(wanted, func(d dns.DS) bool {
			return !slices.ContainsFunc(keys, func(k dns.DNSKEY) bool { return dnssec.MatchDS(s.zone, k, d) })
		}) || slices.ContainsFunc(keys, func(k dns.DNSKEY) bool {
			return !slices.ContainsFunc(wanted, func(d dns.DS) bool { return dnssec.MatchDS(s.zone, k, d) })
		})
		if isOdd {
			v.fail("cds-cdnskey-disagree", s.zone, dns.TypeCDS, "publish both of the same keys, or one of them only",
				"CDS and CDNSKEY ask for different keys, so no parent may act (RFC 7344 §4)")
			return nil
		}
	}
	if len(cds) > 0 {
		return wanted
	}
	for _, k := range keys {
		if d, err := dnssec.MakeDS(s.zone, k, dnssec.DigestSHA256); err == nil {
			wanted = append(wanted, d)
		}
	}
	return wanted
}

// judgeWanted asks whether the zone would be secure by what it asks for (RFC 7344 §4.1).
func (s *survey) judgeWanted(v *verdicts, wanted []dns.DS) {
	keys := s.keys()
	for _, w := range s.own {
		set := w.answer(s, dns.TypeDNSKEY)
		if len(set.RData) == 0 {
			continue
		}
		leads := slices.ContainsFunc(wanted, func(d dns.DS) bool {
			return slices.ContainsFunc(keys, func(k dns.DNSKEY) bool {
				return dnssec.MatchDS(s.zone, k, d) && slices.ContainsFunc(set.sigs, func(sig dns.RRSIG) bool { return s.verify(set, &sig, k) == nil })
			})
		})
		if !leads {
			v.add(zone.Error, "cds-breaks", s.zone, dns.TypeCDS, w, "publish CDS of keys that sign the DNSKEY set",
				"the DS that the zone asks for lead to no key that signs its keys: a parent that took them would break it")
		}
	}
}

// judgeRequest: a parent that has DS takes new ones only by the word of a key that
// they are of (RFC 7344 §4.1).
func (s *survey) judgeRequest(v *verdicts, t dns.Type) {
	var known []dns.DNSKEY
	for _, k := range s.keys() {
		if slices.ContainsFunc(s.ds(), func(d dns.DS) bool { return dnssec.MatchDS(s.zone, k, d) }) {
			known = append(known, k)
		}
	}
	if len(known) == 0 {
		return
	}
	for _, w := range s.own {
		if set := w.answer(s, t); len(set.RData) > 0 && w.edns == nil && !s.isSignedBy(set, known) {
			v.add(zone.Error, "cds-signer", s.zone, t, w, "sign it by the key that the parent's DS is of, besides others",
				"it is not signed by a key that the parent's DS is of, so the parent must not act (RFC 7344 §4.1)")
		}
	}
}

// judgeTaken compares what is asked for with what the parent has.
func (s *survey) judgeTaken(v *verdicts, wanted []dns.DS, h *Health) {
	have := s.ds()
	same := func(a dns.DS) func(dns.DS) bool {
		return func(b dns.DS) bool {
			return a.KeyTag == b.KeyTag && a.Algorithm == b.Algorithm && a.DigestType == b.DigestType && string(a.Digest) == string(b.Digest)
		}
	}
	isSame := !slices.ContainsFunc(wanted, func(d dns.DS) bool { return !slices.ContainsFunc(have, same(d)) }) &&
		!slices.ContainsFunc(have, func(d dns.DS) bool { return !slices.ContainsFunc(wanted, same(d)) })
	if isSame || s.zone.IsRoot() {
		return
	}
	cure := "the parent names nobody who takes NOTIFY(CDS) (RFC 9859): unless it looks by itself, give it the DS by hand"
	if slices.ContainsFunc(h.DSYNC, func(e Endpoint) bool { return e.Type == dns.TypeCDS }) {
		cure = "the parent takes NOTIFY(CDS): it should follow soon, or tell why not"
	}
	wantedText, haveText := dsText(wanted), dsText(have)
	v.warn("cds-not-taken", s.zone, dns.TypeCDS, cure, "the zone asks for DS %s, and the parent has %s", wantedText, haveText)
}

func dsText(list []dns.DS) string {
	data := make([]dns.RData, len(list))
	for i, d := range list {
		data[i] = d.RData()
	}
	return contents(dns.TypeDS, data)
}

// The flags of CSYNC (RFC 7477 §2.1.1.2).
const (
	csyncImmediate  = 1
	csyncSOAMinimum = 2
)

// judgeCSYNC says where the parent waits for something that will not come.
func (s *survey) judgeCSYNC(v *verdicts) {
	data := s.union(s.own, dns.TypeCSYNC)
	if len(data) == 0 {
		return
	}
	c, err := dns.ParseCSYNC(data[0])
	if err != nil {
		return
	}
	if c.Flags&^(csyncImmediate|csyncSOAMinimum) != 0 {
		v.warn("csync-flags", s.zone, dns.TypeCSYNC, "set the flags to 1 or 3", "it has flags that nobody knows, so no parent acts (RFC 7477 §2.1.1.2)")
	}
	for _, w := range s.own {
		serial, ok := w.serial(s.zone)
		if ok && c.Flags&csyncSOAMinimum != 0 && int32(serial-c.Serial) < 0 {
			v.add(zone.Warning, "csync-serial", s.zone, dns.TypeCSYNC, w, "set it to a serial that the zone has reached",
				"the parent waits for serial %d, and the zone has %d", c.Serial, serial)
		}
	}
	var odd []string
	for t := range c.Types.All() {
		if t != dns.TypeNS && t != dns.TypeA && t != dns.TypeAAAA {
			odd = append(odd, t.String())
		}
	}
	if odd != nil {
		v.warn("csync-types", s.zone, dns.TypeCSYNC, "name NS, A and AAAA only", "parents do not copy %s (RFC 7477 §2.1.1.2.1)", strings.Join(odd, ", "))
	}
}
