package pipeline

import (
	"errors"
	"fmt"
	"iter"

	"onoma/dns"
	"onoma/zone"
	"onoma/zone/sign"
)

// RuleSigning is the rule of a [zone.Refusal] where the result cannot be signed.
const RuleSigning = "signing"

// isDue reports whether there may be something to do though nobody changes anything:
// what the Signer does by itself.
func (m maker) isDue() bool { return m.spec.Signer != nil && m.c.By.Door == zone.DoorSigner }

// signed finishes what e has edited from head with the Signer: the serial number, so
// that the SOA record is signed once, and then the signatures.
func (m maker) signed(head *zone.Version, e *zone.Editor) (made, error) {
	own, others, err := m.disown(head, e)
	if err != nil {
		return made{}, err
	}
	taken, dropped, err := m.take(head, &others)
	if err != nil {
		return made{}, err
	}
	out := made{}
	byHand, err := m.number(head, e, &out)
	if err != nil {
		return made{}, err
	}
	m.mind(&out, dropped)
	if !m.isDue() && !taken && (own.IsEmpty() || !byHand && isOnlySerial(&own)) {
		return made{note: out.note}, nil
	}
	if err := m.sign(head, e); err != nil {
		return made{}, err
	}
	draft, err := e.Draft()
	if err != nil {
		return made{}, err
	}
	out.delta = zone.Diff(head, draft)
	if m.isDue() && followsSerial(&out.delta) {
		needed, err := m.isNeeded(head)
		if err != nil || !needed {
			return made{}, err
		}
	}
	own, _ = m.spec.authored(out.delta)
	return m.commit(head, e, draft, out, own)
}

// disown takes back what e has changed of the records that the Signer owns. It returns
// what e has changed of the authors', and what of these.
func (m maker) disown(head *zone.Version, e *zone.Editor) (own, others zone.Delta, err error) {
	own, others = m.spec.authored(zone.Diff(head, e.View()))
	for _, r := range others.Added {
		e.Remove(r)
	}
	for _, r := range others.Removed { // behind those, which may be the same with another TTL
		if _, err := e.Add(r); err != nil {
			return own, others, fmt.Errorf("changing %s: %w", m.spec.ID, err)
		}
	}
	return own, others, nil
}

// take hands what a client of UPDATE has written into the sets of keys to the Signer. It reports whether these will be others,
// and how many records are left out.
func (m maker) take(head *zone.Version, others *zone.Delta) (taken bool, dropped int, err error) {
	taker, ok := m.spec.Signer.(Taker)
	if !ok || m.c.By.Door != zone.DoorUpdate {
		return false, len(others.Added), nil
	}
	isKeys := func(r dns.Record) bool {
		return r.Name.Equal(head.Origin()) && (r.Type == dns.TypeDNSKEY || r.Type == dns.TypeCDS || r.Type == dns.TypeCDNSKEY)
	}
	removed, _ := split(others.Removed, isKeys)
	added, rest := split(others.Added, isKeys)
	if len(removed)+len(added) == 0 {
		return false, len(rest), nil
	}
	taken, err = taker.Take(m.ctx, head, removed, added)
	return taken, len(rest), m.signing(err)
}

func split(list []dns.Record, is func(dns.Record) bool) (those, rest []dns.Record) {
	for _, r := range list {
		if is(r) {
			those = append(those, r)
		} else {
			rest = append(rest, r)
		}
	}
	return those, rest
}

// mind notes that records have been left out, where their author does not know.
func (m maker) mind(out *made, dropped int) {
	if dropped == 0 || m.c.By.Door == zone.DoorTransfer || m.c.By.Door == zone.DoorRollback || m.isDue() {
		return
	}
	if out.note != "" {
		out.note += "; "
	}
	out.note += fmt.Sprintf("%d DNSSEC records were left out: this server signs the zone, and makes its own", dropped)
}

// sign has the Signer sign what e is.
func (m maker) sign(head *zone.Version, e *zone.Editor) error {
	s, origin := m.spec.Signer, head.Origin()
	if !s.Owns(origin, dns.TypeZONEMD) {
		e.RemoveRRset(origin, dns.TypeZONEMD) // RFC 8976 §3: it would be that of another zone
	}
	return m.signing(s.Sign(m.ctx, e, head, m.c.By, m.at, m.quick))
}

// signing turns the error of a Signer into what becomes of the change.
func (m maker) signing(err error) error {
	refusal := (*zone.Refusal)(nil)
	switch {
	case err == nil:
		return nil
	case m.quick && errors.Is(err, sign.ErrSlow):
		return errSlow
	case m.ctx.Err() != nil:
		return fmt.Errorf("signing %s: %w", m.spec.ID, err)
	case !errors.As(err, &refusal):
		refusal = &zone.Refusal{Rule: RuleSigning, Reason: "the zone cannot be signed: " + err.Error()}
	}
	refusal.Zone = m.spec.ID
	return m.refuse(refusal, nil)
}

// isNeeded reports whether head has to be signed anew though its serial number stays.
func (m maker) isNeeded(head *zone.Version) (bool, error) {
	e := head.Fork()
	defer e.Discard()
	if err := m.sign(head, e); err != nil {
		return false, err
	}
	d := zone.Diff(head, e.View())
	return !d.IsEmpty(), nil
}

// followsSerial reports whether nothing changes but what another serial number does:
// the SOA record, digests, and their signatures.
func followsSerial(d *zone.Delta) bool {
	for _, list := range [][]dns.Record{d.Removed, d.Added} {
		for i := range list {
			t := list[i].Type
			if t == dns.TypeRRSIG {
				t = dns.SigCovers(list[i].Data)
			}
			if t != dns.TypeSOA && t != dns.TypeZONEMD {
				return false
			}
		}
	}
	return true
}

// isAuthored reports whether r is an author's. Digests never are: they would be those
// of another zone than the one that is signed here.
func (s *ZoneSpec) isAuthored(r *dns.Record) bool {
	return !s.Signer.Owns(r.Name, r.Type) && (r.Type != dns.TypeZONEMD || !r.Name.Equal(s.ID.Name))
}

// authoredOf yields the authors' records of v, in the order of [zone.Version.Records].
func (s *ZoneSpec) authoredOf(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for r := range s.Signer.Unsigned(v) {
			if s.isAuthored(&r) && !yield(r) {
				return
			}
		}
	}
}

// authored parts a delta into what is the authors' and what is not.
func (s *ZoneSpec) authored(d zone.Delta) (own, others zone.Delta) {
	own.Removed, others.Removed = s.part(d.Removed)
	own.Added, others.Added = s.part(d.Added)
	return own, others
}

func (s *ZoneSpec) part(list []dns.Record) (own, others []dns.Record) {
	for i := range list {
		if s.isAuthored(&list[i]) {
			own = append(own, list[i])
		} else {
			others = append(others, list[i])
		}
	}
	return own, others
}

// signedFirst makes the first version of a zone with a Signer, which takes long.
func (m maker) signedFirst() (made, error) {
	if m.quick {
		return made{}, errSlow
	}
	out := made{apart: true}
	next, dropped, err := m.bare(m.c.Replace)
	if err == nil {
		next, err = m.whole(next, nil)
	}
	if err != nil {
		return made{}, err
	}
	m.mind(&out, dropped)
	out.next, out.serial = next, next.Serial()
	return m.begin(out)
}

func (m maker) whole(v, head *zone.Version) (*zone.Version, error) {
	next, err := m.spec.Signer.Whole(m.ctx, v, head, m.at)
	return next, m.signing(err)
}

// bare returns v without what is not its author's, and how many records that were.
func (m maker) bare(v *zone.Version) (*zone.Version, int, error) {
	b := zone.NewBuilder(v.Origin())
	left := v.Stats().Records
	for r := range m.spec.authoredOf(v) {
		if err := b.Add(r); err != nil {
			return nil, 0, err
		}
		left--
	}
	if left == 0 {
		return v, 0, nil
	}
	next, _ := b.Build()
	if next == nil {
		return nil, 0, fmt.Errorf("changing %s: %w", m.spec.ID, zone.ErrNoSOA)
	}
	return next, left, nil
}

// signedReplace makes the version whose authors' records are those of another. It is
// an edit of head, so that signatures stay that are good; but where there are hardly
// any of these, and most is new, it is signed as a whole.
func (m maker) signedReplace(head *zone.Version) (made, error) {
	d, dropped := m.difference(head, m.c.Replace)
	if len(d.Removed)+len(d.Added) > max(quickRecords, head.Stats().Records/2) && !isSigned(head) {
		return m.signedAnew(head, d)
	}
	out, err := m.edit(head, func(e *zone.Editor) error { return e.ApplyDelta(d) })
	m.mind(&out, dropped)
	return out, err
}

// isSigned reports whether a version has signatures.
func isSigned(v *zone.Version) bool {
	_, ok := v.SOA().Sigs()
	return ok
}

// signedAnew makes a version that has little to do with head.
func (m maker) signedAnew(head *zone.Version, own zone.Delta) (made, error) {
	if m.quick {
		return made{}, errSlow
	}
	next, dropped, err := m.bare(m.c.Replace)
	if err != nil {
		return made{}, err
	}
	out := made{apart: true}
	out.serial, _, out.note = m.spec.serial(m.c, head.Serial(), next.Serial(), m.at)
	m.mind(&out, dropped)
	if out.serial != next.Serial() {
		if next, err = withNewSerial(next, out.serial); err != nil {
			return made{}, err
		}
	}
	if out.next, err = m.whole(next, head); err != nil {
		return made{}, err
	}
	out.delta = zone.Diff(head, out.next)
	if err := m.check(head, out.next, &out, withSOA(own, head, out.next)); err != nil {
		return made{}, err
	}
	return out, m.code(&out, out.next)
}
