package keystore

import (
	"path/filepath"
	"testing"

	"onoma/dns"
	"onoma/store"
)

func TestKeysInTheStore(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "onoma.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	row, err := st.AddZone(t.Context(), "", zone.String())
	if err != nil {
		t.Fatal(err)
	}
	home := InStore(st, func(z dns.Name) (int64, bool) { return row.ID, z.Equal(zone) })
	one, two := open(t, Options{Blobs: home, Seal: sealA}), open(t, Options{Blobs: home, Seal: sealA})
	id, k := generate(t, one)
	other, ko := generate(t, two)
	mustLoad(t, one, other, ko)
	mustLoad(t, two, id, k)
	if infos, err := two.List(t.Context(), zone); err != nil || len(infos) != 2 || infos[0].Err != nil {
		t.Errorf("listed %+v, %v; want both keys", infos, err)
	}
	if _, _, err := one.Generate(t.Context(), dns.MustName("unknown."), 13, 0, 257); err == nil {
		t.Error("a key of a zone that the database has not was kept")
	}
	if n, err := one.Reseal(t.Context(), sealB); err != nil || n != 2 {
		t.Errorf("%d keys were sealed anew, %v; want 2", n, err)
	}
	two = open(t, Options{Blobs: home, Seal: sealB})
	mustLoad(t, two, id, k)
	if err := two.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	one.Forget()
	_, err = one.Load(t.Context(), id)
	wantErr(t, err, ErrLost, id, "the database")
	mustLoad(t, one, other, ko)
}
