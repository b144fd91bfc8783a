package signer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
	"onoma/zone/sign"
)

// Zone signs one zone.
type Zone struct {
	k      *Keeper
	id     zone.ID
	busy   sync.Mutex // held by who tends it
	making sync.Mutex // held by who goes on with the ring; never by one who waits for the pipeline

	mu          sync.Mutex
	settings    *Settings // shared, and not changed
	st          state
	saved       kept          // of st
	isPassive   bool          // its authors sign what is served
	coming      []bool        // whether they sign what is under way: of the newest content, and of that before
	wanted      keys.Wanted   // by the ring, of which this is the plan
	plan        *sign.Plan    // nil: not made yet
	due         []sign.Due    // for the change by DoorSigner that is under way
	head        *zone.Version // that was signed here last
	alarms      []alarm
	problem     error  // why it cannot be tended; nil: it can
	isWithdrawn bool   // by guard
	awaits      string // what a signed key response lacks that the ring wants
	ttl         struct {
		version uint64
		most    time.Duration
	}
	isAsked  bool // to do something: it does so, whoever else tends the zone (see shared.go)
	wasThere bool // the parent had the DS when the server was started
	failures int  // one after the other
	signed   uint64

	at   time.Time // when it is tended next; zero: it is being tended, or removed
	slot int       // in Keeper.times
}

// quickDue is how many sets may be signed anew where it has to be quick.
const quickDue = 64

// Owns reports whether records are the signer's alone.
func (z *Zone) Owns(owner dns.Name, t dns.Type) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.isAuthors() {
		return false
	}
	plan := z.plan
	if plan == nil {
		plan = &sign.Plan{ZONEMD: z.settings.ZONEMD}
	}
	return plan.Owns(z.id.Name, owner, t)
}

// Unsigned yields the records of v that are its authors'.
func (z *Zone) Unsigned(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for r := range v.Records() {
			if !z.Owns(r.Name, r.Type) && !yield(r) {
				return
			}
		}
	}
}

// Takes reports whether content that an author brings for the first time is to be signed here. With Settings.Auto that which
// is signed already is not.
func (z *Zone) Takes(v *zone.Version) bool {
	head := z.latest()
	z.mu.Lock()
	defer z.mu.Unlock()
	is := z.isAuthors()
	if z.settings.Auto && (is || len(z.st.Ring.Keys()) == 0 || head == nil && z.st.Served.Generation == 0) {
		is = isSigned(v) && !z.isOurs(v)
	}
	z.coming = append([]bool{is}, z.coming[:min(len(z.coming), 1)]...)
	return !is
}

// Took says what became of the content that Takes was asked about last. As long as it is not served, what is served stays
// its authors' to sign, or ours.
func (z *Zone) Took(served bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case len(z.coming) == 0:
	case served:
		z.isPassive, z.coming = z.coming[0], nil
	default:
		z.coming = z.coming[1:]
	}
}

// isAuthors reports whether the authors sign what is under way, or else what is served. The caller holds z.mu.
func (z *Zone) isAuthors() bool {
	if len(z.coming) > 0 {
		return z.coming[0]
	}
	return z.isPassive
}

// isOurs reports whether a key of the ring is in the DNSKEY set of v. The caller holds z.mu.
func (z *Zone) isOurs(v *zone.Version) bool {
	set, _ := v.Apex().RRset(dns.TypeDNSKEY)
	all := z.st.Ring.Keys()
	for data := range set.RData() {
		if slices.ContainsFunc(all, func(k keys.Key) bool { return k.Foreign == "" && bytes.Equal(k.RData, data) }) {
			return true
		}
	}
	return false
}

// isSigned reports whether a zone is signed by who has made it.
func isSigned(v *zone.Version) bool {
	set, ok := v.Apex().RRset(dns.TypeDNSKEY)
	if !ok {
		return false
	}
	_, ok = set.Sigs()
	return ok
}

// Sign signs what e has edited from head.
func (z *Zone) Sign(ctx context.Context, e *zone.Editor, head *zone.Version, by zone.Author, _ time.Time, quick bool) error {
	plan, due, err := z.current(ctx, head, by.Door == zone.DoorSigner)
	if err != nil || plan == nil {
		return err
	}
	plan, now := z.timed(plan)
	if len(due) > 0 {
		if quick && len(due) > quickDue {
			return sign.ErrSlow
		}
		r, err := plan.Renew(ctx, e, due, now)
		if err != nil {
			return z.refuse(err)
		}
		z.note(r)
	}
	r, err := plan.Edit(ctx, e, head, now, quick)
	if err != nil {
		return z.refuse(err)
	}
	z.note(r)
	z.noteTTL(mostTTL(come(head, e)))
	return nil
}

// Whole returns v signed.
func (z *Zone) Whole(ctx context.Context, v, head *zone.Version, _ time.Time) (*zone.Version, error) {
	plan, _, err := z.current(ctx, head, false)
	if err != nil || plan == nil {
		return v, err
	}
	plan, now := z.timed(plan)
	out, r, err := plan.WholeFrom(ctx, v, head, now)
	if err != nil {
		return nil, z.refuse(err)
	}
	z.note(r)
	z.noteTTL(mostTTL(out.Nodes()))
	return out, nil
}

// current returns the plan of the moment, nil where the zone is not signed here.
func (z *Zone) current(ctx context.Context, head *zone.Version, byUs bool) (*sign.Plan, []sign.Due, error) {
	if z.k.o.IsShared {
		if err := z.catchUp(ctx, head); err != nil {
			return nil, nil, z.refuse(err)
		}
	}
	if z.isUnprepared() {
		if err := z.ready(ctx, head); err != nil {
			return nil, nil, z.refuse(err)
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case z.isAuthors():
		return nil, nil, nil
	case z.wanted.ZoneFrozen != "":
		return nil, nil, z.refuse(errors.New(z.wanted.ZoneFrozen))
	case z.plan == nil && z.problem != nil:
		return nil, nil, z.refuse(z.problem)
	case z.plan == nil:
		return nil, nil, z.refuse(errors.New("its keys are not there yet: try again in a moment"))
	case byUs:
		return z.plan, z.due, nil
	}
	return z.plan, nil, nil
}

// isUnprepared reports whether there is no plan, though there are keys: the server has been started since.
func (z *Zone) isUnprepared() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.plan == nil && !z.isAuthors()
}

// ready makes a plan where there is none, and keys where there are none.
func (z *Zone) ready(ctx context.Context, head *zone.Version) error {
	z.mu.Lock()
	hasKeys := len(z.st.Ring.Keys()) > 0
	z.mu.Unlock()
	if hasKeys {
		z.making.Lock()
		defer z.making.Unlock()
		if err := z.save(ctx); err != nil { // nothing is served by what memory alone knows
			return err
		}
		return z.prepare(ctx, head)
	}
	return z.begin(ctx)
}

// refuse makes err the reason of a refusal, unless it says something else.
func (z *Zone) refuse(err error) error {
	var refusal *zone.Refusal
	if errors.Is(err, sign.ErrSlow) || errors.As(err, &refusal) || errors.Is(err, context.Canceled) {
		return err
	}
	return &zone.Refusal{Zone: z.id, Rule: "signing", Reason: fmt.Sprintf("the zone cannot be signed: %v; what was served stays", err)}
}

// note takes notice of what has been signed.
func (z *Zone) note(r sign.Report) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.signed += uint64(r.Signatures)
	z.k.signatures.Add(uint64(r.Signatures))
	if !r.Earliest.IsZero() && (z.st.First.IsZero() || r.Earliest.Before(z.st.First)) {
		z.st.First = r.Earliest
	}
	if !r.Next.IsZero() && (z.st.Next.IsZero() || r.Next.Before(z.st.Next)) {
		z.st.Next = r.Next
	}
}

// isSecured reports whether somebody may hold the zone to its signatures: the parent has a DS, or may have one.
func (z *Zone) isSecured() bool {
	var seen keys.Parent
	if z.k.o.Parents != nil {
		seen = z.k.o.Parents.Seen(z.id)
	}
	hasNone := seen.Asked > 0 && seen.Answered == seen.Asked && len(seen.DS) == 0
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.ContainsFunc(z.st.Ring.Keys(), func(k keys.Key) bool {
		state := k.Records[keys.DS].State
		return state != keys.Hidden && (state != keys.Rumoured || !hasNone)
	})
}
