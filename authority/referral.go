package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// referral points to the zone below the cut (RFC 1034 §4.3.2 step 3b), also for
// the target of an alias.
func (w *worker) referral() {
	w.fate = fateReferral
	if w.b.Count(dns.SectionAnswer) == 0 {
		w.aa = false
	}
	cut := w.m.Cut
	set, ok := cut.RRset(dns.TypeNS)
	if !ok || !w.readyDelegation(cut, set) && !w.need(dns.SectionAuthority, w.here(w.m.EncloserAt), set) {
		return
	}
	w.hosts, w.cut = set, true
	if !w.q.DO || w.v.Denial() == zone.DenialNone {
		return
	}
	// RFC 4035 §3.1.4: the DS, or the proof that there is none.
	if ds, ok := cut.RRset(dns.TypeDS); ok {
		w.need(dns.SectionAuthority, w.here(w.m.EncloserAt), ds)
		return
	}
	w.owe(proofNoDS)
}

// addresses adds those of the name servers, which are all the additional data
// that we send. RFC 9471 §3.1: the glue of a referral without which the
// delegation cannot be followed must be there, or TC; siblings' (§3.2) and the
// addresses that a priming query is for (RFC 9609 §4.2) come as room allows.
func (w *worker) addresses() {
	if w.hosts.IsZero() || w.full {
		return
	}
	if w.glue != nil {
		w.again = !w.b.Fragment(dns.SectionAdditional, w.glue, 0, w.glueShift)
		return
	}
	if w.cut {
		for g := range w.hosts.Glue() {
			if g.InDomain && !w.hostAddresses(g.Host) {
				w.full = true
				return
			}
		}
	}
	for g := range w.hosts.Glue() {
		if !w.cut || !g.InDomain {
			w.hostAddresses(g.Host)
		}
	}
}

var addressTypes = [...]dns.Type{dns.TypeA, dns.TypeAAAA}

// hostAddresses adds the addresses of one host, and reports whether all fitted.
// Those that are no glue are signed; signatures that do not fit stay away
// without TC (RFC 4035 §3.1.1).
func (w *worker) hostAddresses(host zone.Node) bool {
	p := w.of(host)
	all := true
	for _, t := range addressTypes {
		if set, ok := host.RRset(t); ok {
			if w.putPlain(dns.SectionAdditional, &p, set, dns.MaxTTL) {
				w.putSigs(dns.SectionAdditional, &p, set, dns.MaxTTL)
			} else {
				all = false
			}
		}
	}
	return all
}
