package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onoma/test/peers"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(crashURL); url != "" {
		commitForever(url)
	}
	code := m.Run()
	if server != nil {
		server.Close()
	}
	os.Exit(code)
}

// The PostgreSQL that the tests share. Each has a schema of its own in one database, as making a database takes long.
var (
	server     *peers.Postgres
	serverErr  error
	serverOnce sync.Once
	schemas    int
)

// postgresURL returns that of an empty schema, or skips the test.
func postgresURL(t testing.TB) string {
	t.Helper()
	if !peers.HasPostgres() {
		t.Skip("no PostgreSQL here: apt install postgresql")
	}
	serverOnce.Do(func() { server, serverErr = peers.NewPostgres() })
	if serverErr != nil {
		t.Fatal(serverErr)
	}
	schemas++
	return fmt.Sprintf("%s&search_path=test%d", server.URL("postgres"), schemas)
}

func sqliteURL(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "onoma.db") }

// databases are where every test runs.
var databases = []struct {
	name string
	url  func(testing.TB) string
}{{"sqlite", sqliteURL}, {"postgres", postgresURL}}

// onEach runs a test on every kind of database, with the URL of an empty one.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { test(t, d.url(t)) })
	}
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{Poll: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func addZone(t testing.TB, s *Store, name string) Zone {
	t.Helper()
	z, err := s.AddZone(t.Context(), "", name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// epoch is when the versions of tests are made.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// version makes a version whose delta tells which it is.
func version(zone int64, number uint64) Version {
	return Version{
		Zone: zone, Number: number, Serial: uint32(1000 + number), At: epoch.Add(time.Duration(number) * time.Second),
		Door: "update", Author: "key:a.", Comment: fmt.Sprint("change ", number), Removed: 1, Added: 2,
		Delta: fmt.Appendf(nil, "delta %d of zone %d", number, zone),
	}
}

// always commits versions whatever others have committed.
func always(vs ...Version) Prepare {
	return func([]Version) ([]Version, error) { return vs, nil }
}

// commit commits versions from a number to another of a zone, all in one.
func commit(t testing.TB, s *Store, zone int64, from, to uint64) uint64 {
	t.Helper()
	var vs []Version
	for n := from; n <= to; n++ {
		vs = append(vs, version(zone, n))
	}
	n, err := s.Commit(t.Context(), 1<<62, always(vs...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, and not %v", err, want)
	}
}
