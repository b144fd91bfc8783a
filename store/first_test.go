package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func TestFirst(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "a b%.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	z, err := s.AddZone(ctx, "", "example.com.")
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Commit(ctx, 0, func(missed []Version) ([]Version, error) {
		return []Version{{Zone: z.ID, Number: 1, Serial: 5, At: time.Now(), Delta: []byte("x")}, {Zone: z.ID, Number: 2, Serial: 6, At: time.Now(), Delta: []byte("x")}}, nil
	})
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	t.Log(s.Zones(ctx))
	for v, err := range s.Versions(ctx, z.ID, 2, 1) {
		t.Log(v, err)
	}
	for v, err := range s.Small(ctx) {
		t.Log(v, err)
	}
}
