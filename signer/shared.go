package signer

import (
	"bytes"
	"context"

	"onoma/zone"
)

// catchUp reads the key ring again where the zone has a version that was not signed here: another server that shares the
// database has signed it, and may have gone on with the keys. What it has come to is kept before such a version.
func (z *Zone) catchUp(ctx context.Context, head *zone.Version) error {
	z.mu.Lock()
	isKnown := z.head == head && z.plan != nil
	z.mu.Unlock()
	if isKnown || head == nil {
		return nil
	}
	return z.reread(ctx, head)
}

func (z *Zone) reread(ctx context.Context, head *zone.Version) error {
	data, err := z.k.o.Load(ctx, z.id)
	if err != nil || data == nil {
		return err
	}
	z.mu.Lock()
	isSame := bytes.Equal(data, z.saved) && z.plan != nil
	z.mu.Unlock()
	if !isSame {
		var st state
		if err := st.decode(data); err != nil {
			return err
		}
		z.mu.Lock()
		z.st, z.saved = st, data
		z.isPassive = false
		z.mu.Unlock()
		if err := z.prepare(ctx, head); err != nil {
			return err
		}
	}
	z.mu.Lock()
	z.head = head
	z.mu.Unlock()
	return nil
}

// prepare makes the plan of what the ring has come to, without going on with it.
func (z *Zone) prepare(ctx context.Context, head *zone.Version) error {
	now, _ := z.k.o.Clock.Now()
	z.mu.Lock()
	if len(z.st.Ring.Keys()) == 0 {
		z.mu.Unlock()
		return nil
	}
	wanted := z.st.Ring.Wanted(now, &z.settings.Policy)
	z.mu.Unlock()
	plan, err := z.build(ctx, &wanted, head, now)
	if err != nil {
		return err
	}
	z.mu.Lock()
	z.plan, z.wanted = plan, wanted
	z.mu.Unlock()
	return nil
}
