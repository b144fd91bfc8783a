package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/pipeline/gate"
	"onoma/store"
	"onoma/zone"
)

// What may take no longer is made by the goroutine that commits.
const (
	quickSteps   = 1000 // of an Editor: some milliseconds
	quickRecords = 1000 // of a zone that comes as a whole
)

// errSlow says that a change is to be prepared beforehand.
var errSlow = errors.New("change takes long")

// made is the version that a change leads to.
type made struct {
	st     *state
	number uint64        // of the version that it follows
	head   *zone.Version // that one; nil: none
	next   *zone.Version // nil: nothing changes
	delta  zone.Delta    // empty for a first version
	apart  bool          // next was not edited from head
	coded  []byte        // the delta for the database, or
	staged int64         // where it is there already

	serial         uint32
	removed, added int
	note           string
}

// maker makes the version of one change.
type maker struct {
	p     *Pipeline
	st    *state
	spec  *ZoneSpec // as it was when the making began
	c     *zone.Change
	at    time.Time
	quick bool // give up what takes long: errSlow
	ctx   context.Context
}

// make makes the version that follows head, which has the number.
func (m maker) make(head *zone.Version, number uint64) (made, error) {
	if m.quick && m.isSlow(head) {
		return made{}, errSlow
	}
	var out made
	var err error
	switch {
	case m.c.Base != 0 && m.c.Base != number:
		return made{}, fmt.Errorf("changing %s: %w: it was made for version %d, and there is version %d", m.spec.ID, zone.ErrConflict, m.c.Base, number)
	case m.c.First && number != 0:
		return made{}, fmt.Errorf("changing %s: %w: it was to be the first version, and there is version %d", m.spec.ID, zone.ErrConflict, number)
	case m.c.Replace == nil && head == nil:
		return made{}, fmt.Errorf("changing %s: %w", m.spec.ID, zone.ErrNoVersion)
	case m.c.Replace == nil && m.spec.Signer != nil && m.rules().NeedsWhole(m.c.By.Door):
		// What was left out when the zone was signed is in the digest, and signed.
		return made{}, fmt.Errorf("changing %s: a digest or signatures are to be checked, for which all of the zone is needed: %w", m.spec.ID, zone.ErrUnfit)
	case m.c.Replace == nil:
		out, err = m.edit(head, m.c.Edit)
	case !m.c.Replace.Origin().Equal(m.st.z.Origin()):
		return made{}, fmt.Errorf("changing %s: the new content is that of %s", m.spec.ID, m.c.Replace.Origin())
	case head == nil:
		out, err = m.first()
	default:
		out, err = m.replace(head)
	}
	out.st, out.head, out.number = m.st, head, number
	return out, err
}

// rules are those that the change must keep to. A rollback goes back to what was
// served before, however much that takes away.
func (m maker) rules() *gate.Rules {
	rules := m.spec.rules()
	if m.c.By.Door != zone.DoorRollback {
		return rules
	}
	free := rules.Unlimited()
	return &free
}

// isSlow reports whether it is known before the attempt that it takes long.
func (m maker) isSlow(head *zone.Version) bool {
	if m.rules().IsSlow(m.c.By.Door) {
		return true
	}
	if m.c.Replace == nil {
		return false
	}
	return m.c.Replace.Stats().Records > quickRecords || head != nil && head.Stats().Records > quickRecords
}

// edit makes a version from head. It is dropped before it is committed where it is
// not wanted, which costs nothing.
func (m maker) edit(head *zone.Version, change func(*zone.Editor) error) (made, error) {
	e := head.Edit()
	defer e.Discard() // does nothing once it is committed
	if m.quick {
		e.Bound(quickSteps)
	}
	err := change(e)
	switch {
	case e.IsOverlong():
		return made{}, errSlow
	case err != nil:
		return made{}, fmt.Errorf("changing %s: %w", m.spec.ID, err)
	case !e.IsTouched() && !m.isDue():
		return made{}, nil
	}
	e.Bound(0)
	if m.spec.Signer != nil {
		return m.signed(head, e)
	}
	return m.finish(head, e)
}

// number gives what e has made its serial number.
func (m maker) number(head *zone.Version, e *zone.Editor, out *made) (byHand bool, err error) {
	soa, ok := soaOf(e.Find(head.Origin()), head.Class())
	if !ok {
		return false, fmt.Errorf("changing %s: %w", m.spec.ID, zone.ErrNoSOA)
	}
	own := dns.SOASerial(soa.Data)
	out.serial, byHand, out.note = m.spec.serial(m.c, head.Serial(), own, m.at)
	if out.serial != own {
		soa.Data = withSerial(soa.Data, out.serial)
		if _, err := e.Add(soa); err != nil {
			return false, fmt.Errorf("changing %s: %w", m.spec.ID, err)
		}
	}
	return byHand, nil
}

// finish makes a version of what e has made.
func (m maker) finish(head *zone.Version, e *zone.Editor) (made, error) {
	out := made{}
	byHand, err := m.number(head, e, &out)
	if err != nil {
		return made{}, err
	}
	draft, err := e.Draft()
	if err != nil {
		return made{}, err
	}
	out.delta = zone.Diff(head, draft)
	if out.delta.IsEmpty() || !byHand && isOnlySerial(&out.delta) {
		return made{}, nil
	}
	return m.commit(head, e, draft, out, out.delta)
}

// commit makes draft, which is what e is, the next version. The rules are asked about
// own, which is what the authors have changed.
func (m maker) commit(head *zone.Version, e *zone.Editor, draft *zone.Version, out made, own zone.Delta) (made, error) {
	err := m.check(head, draft, &out, own)
	if err == nil {
		err = m.code(&out, draft)
	}
	if err == nil {
		out.next, err = e.Commit()
	}
	if err != nil {
		return made{}, err
	}
	return out, nil
}

// check asks the rules that are quick about what the authors have changed.
func (m maker) check(head, next *zone.Version, out *made, own zone.Delta) error {
	if head != nil && !zone.IsNewer(out.serial, head.Serial()) && !m.mayGoBack() {
		return m.refuse(m.spec.refuseSerial(head.Serial(), out.serial, m.at), &own)
	}
	var authored gate.Authored
	if m.spec.Signer != nil {
		authored = m.spec.isAuthored
	}
	if r := m.rules().Fast(m.spec.ID, head, next, own, authored); r != nil {
		return m.refuse(r, &own)
	}
	return nil
}

// mayGoBack reports whether the serial number may be an older one: the whole zone
// comes from elsewhere, knowing what is here.
func (m maker) mayGoBack() bool {
	return m.c.KeepSerial && m.c.Replace != nil && m.c.Base != 0 && m.spec.Signer == nil
}

// code brings the delta into the form for the database: within the version's row,
// or staged where it is large, which takes long.
func (m maker) code(out *made, next *zone.Version) error {
	out.removed, out.added = len(out.delta.Removed), len(out.delta.Added)
	out.coded = zone.AppendDelta(nil, next.Origin(), next.Class(), out.delta)
	if len(out.coded) <= store.MaxInline {
		return nil
	}
	if m.quick {
		return errSlow
	}
	coded := out.coded
	out.coded = nil
	return m.stage(out, func(w *store.Staging) error {
		_, err := w.Write(coded)
		return err
	})
}

func (m maker) stage(out *made, write func(*store.Staging) error) error {
	w, err := m.p.store.Stage(m.ctx)
	if err != nil {
		return err
	}
	if err = write(w); err == nil {
		out.staged, err = w.Close()
		return err
	}
	_ = w.Discard() // what stays is removed at a later start
	return err
}

// first makes the first version: its delta is all of it.
func (m maker) first() (made, error) {
	if m.spec.Signer != nil {
		return m.signedFirst()
	}
	next := m.c.Replace
	out := made{next: next, serial: next.Serial(), apart: true}
	return m.begin(out)
}

// begin brings a first version into the form for the database.
func (m maker) begin(out made) (made, error) {
	next := out.next
	if err := m.check(nil, next, &out, zone.Delta{}); err != nil {
		return made{}, err
	}
	if next.Stats().Records <= quickRecords {
		var b bytes.Buffer
		n, err := next.WriteContent(&b)
		if err != nil {
			return made{}, err
		}
		if out.added = n; b.Len() <= store.MaxInline {
			out.coded = b.Bytes()
			return out, nil
		}
	}
	if m.quick {
		return made{}, errSlow
	}
	err := m.stage(&out, func(w *store.Staging) (err error) {
		out.added, err = next.WriteContent(w)
		return err
	})
	return out, err
}

// replace makes the version that has the content of another: where little changes
// an edit of head, which shares memory with it and is cheap to publish.
func (m maker) replace(head *zone.Version) (made, error) {
	if m.spec.Signer != nil {
		return m.signedReplace(head)
	}
	next := m.c.Replace
	d := zone.Diff(head, next)
	if n := len(d.Removed) + len(d.Added); n <= quickRecords && n <= head.Stats().Records/4 {
		return m.edit(head, func(e *zone.Editor) error { return e.ApplyDelta(d) })
	}
	out := made{delta: d, apart: true}
	var byHand bool
	out.serial, byHand, out.note = m.spec.serial(m.c, head.Serial(), next.Serial(), m.at)
	if d.IsEmpty() || !byHand && isOnlySerial(&d) {
		return made{}, nil
	}
	if out.serial != next.Serial() {
		var err error
		if next, err = withNewSerial(next, out.serial); err != nil {
			return made{}, err
		}
		out.delta = withSOA(d, head, next)
	}
	if err := m.check(head, next, &out, out.delta); err != nil {
		return made{}, err
	}
	out.next = next
	return out, m.code(&out, next)
}

func withNewSerial(v *zone.Version, serial uint32) (*zone.Version, error) {
	soa, ok := soaOf(v.Apex(), v.Class())
	if !ok {
		return nil, fmt.Errorf("zone %s: %w", v.Origin(), zone.ErrNoSOA)
	}
	e := v.Edit()
	defer e.Discard()
	soa.Data = withSerial(soa.Data, serial)
	if _, err := e.Add(soa); err != nil {
		return nil, err
	}
	return e.Commit()
}

// withSOA returns d, in which the SOA records are those of from and to.
func withSOA(d zone.Delta, from, to *zone.Version) zone.Delta {
	put := func(list []dns.Record, v *zone.Version) []dns.Record {
		soa, _ := soaOf(v.Apex(), v.Class())
		out := append(make([]dns.Record, 0, len(list)+1), soa)
		for _, r := range list {
			if r.Type != dns.TypeSOA {
				out = append(out, r)
			}
		}
		return out
	}
	return zone.Delta{Removed: put(d.Removed, from), Added: put(d.Added, to)}
}
