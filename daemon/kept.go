package daemon

import (
	"context"
	"fmt"

	"onoma/store"
	"onoma/zone"
)

// kept is one kind of state of zones, in the database.
type kept struct {
	d    *Daemon
	what string
}

func (d *Daemon) kept(what string) kept { return kept{d, what} }

func (k kept) row(id zone.ID) (int64, error) {
	row, ok := k.d.pipe.Row(id)
	if !ok {
		return 0, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	}
	return row, nil
}

// load returns what is kept of a zone, nil for nothing.
func (k kept) load(ctx context.Context, id zone.ID) ([]byte, error) {
	row, err := k.row(id)
	if err != nil {
		return nil, err
	}
	return k.d.store.State(ctx, row, k.what)
}

// save has data on the disk when it returns.
func (k kept) save(ctx context.Context, id zone.ID, data []byte) error {
	row, err := k.row(id)
	if err != nil {
		return err
	}
	return k.d.store.SetState(ctx, []store.ZoneState{{Zone: row, What: k.what, Data: data}})
}

// swap is save where had is still what is kept, and says whether it is.
func (k kept) swap(ctx context.Context, id zone.ID, had, data []byte) (bool, error) {
	row, err := k.row(id)
	if err != nil {
		return false, err
	}
	return k.d.store.SwapState(ctx, store.ZoneState{Zone: row, What: k.what, Data: data}, had)
}
