package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"onoma/dns"
	"onoma/store"
)

// statePrefix is how the kinds of states begin that are private keys.
const statePrefix = "key "

// inStore keeps keys as states of their zones. They go when the zone is removed.
type inStore struct {
	st  *store.Store
	row func(dns.Name) (int64, bool)
}

// InStore is the database as a home of keys, for nodes that share one. row returns the
// number of a zone in it.
func InStore(st *store.Store, row func(zone dns.Name) (int64, bool)) Blobs { return &inStore{st, row} }

// find returns a key and the zone that it belongs to. One that is damaged is empty.
func (b *inStore) find(ctx context.Context, id string) (row int64, data []byte, err error) {
	all, err := b.st.States(ctx, statePrefix+id)
	for row, data := range all {
		return row, data, nil
	}
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return 0, nil, nil
	case err != nil:
		return 0, nil, err
	}
	return 0, nil, fs.ErrNotExist
}

func (b *inStore) Get(ctx context.Context, id string) ([]byte, error) {
	_, data, err := b.find(ctx, id)
	return data, err
}

func (b *inStore) Put(ctx context.Context, id string, data []byte, replace bool) error {
	f, err := decode(id, data)
	if err != nil {
		return err
	}
	row, _, err := b.find(ctx, id)
	switch {
	case err == nil && !replace:
		return fs.ErrExist
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		var known bool
		if row, known = b.row(f.zone); !known {
			return fmt.Errorf("zone %s: %w", f.zone, fs.ErrNotExist)
		}
	}
	if err := b.st.SetState(ctx, []store.ZoneState{{Zone: row, What: statePrefix + id, Data: data}}); err != nil {
		return err
	}
	// What is set for a zone that was removed meanwhile is dropped.
	if kept, err := b.Get(ctx, id); err != nil || string(kept) != string(data) {
		return fmt.Errorf("zone %s was removed meanwhile: %w", f.zone, errors.Join(err, fs.ErrNotExist))
	}
	return nil
}

func (b *inStore) List(ctx context.Context) ([]string, error) {
	names, err := b.st.StateNames(ctx, statePrefix)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, statePrefix)
	}
	return names, err
}

func (b *inStore) Delete(ctx context.Context, id string) error {
	row, _, err := b.find(ctx, id)
	if err != nil {
		return err
	}
	return b.st.SetState(ctx, []store.ZoneState{{Zone: row, What: statePrefix + id}})
}
