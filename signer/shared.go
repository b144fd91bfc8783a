package signer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onoma/signer/keystore"
	"onoma/zone"
)

// Several servers that share a database sign the same zones. One of them, which has the lease, goes on with the rings; all sign
// changes, and any may have to make the first keys, or do what an operator asks of it. So a ring is written only over the one
// that was read (Options.Swap), and who comes second reads again and goes on from there.

// errElsewhere says that another server has gone on with the ring.
var errElsewhere = errors.New("another server has gone on with the keys of the zone")

// catchUp reads the key ring again where the zone has a version that was not signed here: another server that shares the
// database has signed it, and may have gone on with the keys. What it has come to is kept before such a version.
func (z *Zone) catchUp(ctx context.Context, head *zone.Version) error {
	z.mu.Lock()
	isKnown := z.head == head && z.plan != nil
	z.mu.Unlock()
	if isKnown || head == nil {
		return nil
	}
	z.making.Lock()
	defer z.making.Unlock()
	return z.reread(ctx, head)
}

// reread takes over what the ring has come to elsewhere. The caller holds z.making.
func (z *Zone) reread(ctx context.Context, head *zone.Version) error {
	data, err := z.k.o.Load(ctx, z.id)
	if err != nil || data == nil {
		return err
	}
	z.mu.Lock()
	isSame := z.saved.all.isOf(data) && z.plan != nil
	z.mu.Unlock()
	if !isSame {
		var st state
		if err := st.decode(data); err != nil {
			return err
		}
		z.mu.Lock()
		had := z.st
		z.st, z.saved = st, keptOf(data, &st)
		z.isPassive = z.settings.Auto && head != nil && isSigned(head) && !z.isOurs(head)
		z.mu.Unlock()
		z.dropMade(ctx, &had)
		if err := z.prepare(ctx, head); err != nil {
			return err
		}
	}
	z.mu.Lock()
	z.head = head
	z.mu.Unlock()
	return nil
}

// dropMade removes keys that were made here for a ring that came second.
func (z *Zone) dropMade(ctx context.Context, had *state) {
	for _, k := range had.Ring.Keys() {
		if _, isKept := z.st.Ring.Key(k.ID); isKept || k.Foreign != "" || !k.Active.IsZero() {
			continue
		}
		if err := z.k.o.Store.Remove(ctx, k.ID); err != nil {
			z.k.o.Log.Debug("a key that nobody needs stays in the store", "zone", z.id.String(), "key", k.ID, "error", err)
		}
	}
}

// isTurn reports whether this server goes on with the ring: it has the lease, or an operator has asked it to do something.
func (z *Zone) isTurn(ctx context.Context) bool {
	z.mu.Lock()
	isOurs := z.isAsked
	z.mu.Unlock()
	return isOurs || z.k.o.Lease == nil || z.k.o.Lease(ctx)
}

// refresh takes over what other servers have come to.
func (z *Zone) refresh(ctx context.Context) error {
	if !z.k.o.IsShared {
		return nil
	}
	z.making.Lock()
	defer z.making.Unlock()
	return z.reread(ctx, z.latest())
}

// watch is what a server does for a zone while another one tends it: it serves no signatures that expire.
func (z *Zone) watch(ctx context.Context, now time.Time) time.Time {
	z.mu.Lock()
	first, refresh := z.st.First, z.settings.Policy.Refresh
	z.mu.Unlock()
	if !first.IsZero() && first.Sub(now) <= refresh/2 { // as far as is known here
		if err := z.refresh(ctx); err != nil {
			z.k.o.Log.Warn("it is not known how the signing of a zone stands elsewhere", "zone", z.id.String(), "error", err)
		}
	}
	z.guard(now)
	return now.Add(leaseTime)
}

// swap writes the state over the one that was read.
func (z *Zone) swap(ctx context.Context, data []byte) error {
	if z.k.o.Swap == nil {
		return z.k.o.Save(ctx, z.id, data)
	}
	had, err := z.k.o.Load(ctx, z.id)
	if err != nil {
		return err
	}
	z.mu.Lock()
	ok := z.saved.all.isOf(had)
	z.mu.Unlock()
	if ok {
		ok, err = z.k.o.Swap(ctx, z.id, had, data)
	}
	if err == nil && !ok {
		err = fmt.Errorf("zone %s: %w", z.id, errElsewhere)
	}
	return err
}

// prepare makes the plan of what the ring has come to, without going on with it.
func (z *Zone) prepare(ctx context.Context, head *zone.Version) error {
	now := z.time()
	z.mu.Lock()
	if len(z.st.Ring.Keys()) == 0 {
		z.mu.Unlock()
		return nil
	}
	wanted := z.st.Ring.Wanted(now, &z.settings.Policy)
	z.mu.Unlock()
	plan, err := z.build(ctx, &wanted, head, now)
	if err != nil {
		if errors.Is(err, keystore.ErrLost) {
			z.k.Wake(z.id) // to go on without that key, and tell of it
		}
		return err
	}
	z.mu.Lock()
	z.plan, z.wanted = plan, wanted
	z.mu.Unlock()
	return nil
}
