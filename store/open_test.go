package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openFails wants an error of a kind, with words in it for a person.
func openFails(t *testing.T, url string, o Options, want error, words ...string) {
	t.Helper()
	s, err := Open(t.Context(), url, o)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Fatalf("got error %v, and not %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestOpenAgain(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		populate(t, s)
		want := contents(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			s, err := Open(t.Context(), url, Options{ReadOnly: readOnly})
			if err != nil {
				t.Fatal(err)
			}
			if got := contents(t, s); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("read-only %v: it has another content", readOnly)
			}
			if _, err := s.AddZone(t.Context(), "", "new."); readOnly && !errors.Is(err, ErrStorage) {
				t.Errorf("read-only, and a zone was added: %v", err)
			}
			if err := s.RemoveZone(t.Context(), 21); !readOnly && err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		err := s.write(t.Context(), func(x tx) error {
			_, err := x.exec(t.Context(), "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (77, TRUE)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		openFails(t, url, Options{}, ErrNewer, "version 77", "knows 1", "hint: ")
		openFails(t, url, Options{ReadOnly: true}, ErrNewer)
	})
}

func TestWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE songs (name TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	openFails(t, text, Options{}, ErrForeign, text)
	openFails(t, other, Options{}, ErrForeign, "another program")
	openFails(t, dir, Options{}, ErrForeign, "directory", "hint: ")
	openFails(t, filepath.Join(dir, "none", "db"), Options{}, ErrStorage, "make the directory")
	openFails(t, filepath.Join(dir, "none"), Options{ReadOnly: true}, ErrGone)
	openFails(t, "", Options{}, nil, "no path")
	if after, err := os.ReadFile(other); err != nil || string(after) != string(before) {
		t.Errorf("the file of another program was changed: %v", err)
	}
}

// TestUnknownKindOfDatabase: it is no path of a file.
func TestUnknownKindOfDatabase(t *testing.T) {
	openFails(t, "mysql://u@h/d", Options{}, nil, `no kind of database called "mysql"`, "expected sqlite:PATH")
}

func TestForeignPostgres(t *testing.T) {
	postgresURL(t) // or it is skipped
	url := server.Database(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE SCHEMA onoma; CREATE TABLE onoma.zones (id INT)"); err != nil {
		t.Fatal(err)
	}
	openFails(t, url, Options{}, ErrForeign)
	openFails(t, strings.Replace(url, "/test", "/none", 1), Options{}, nil, "hint: ", "does not exist")
	if _, err := Open(t.Context(), strings.Replace(url, "/test", "/none", 1), Options{}); err == nil || strings.Count(err.Error(), "hint: ") != 1 {
		t.Errorf("%v, expected one hint", err)
	}
	openFails(t, "postgres://u:secret@127.0.0.1:1/d", Options{}, ErrUnavailable, "u:xxxxx@")
	_, err = Open(t.Context(), "postgres://u:secret@127.0.0.1:1/d?password=secret", Options{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
}

func TestOneProcessAFile(t *testing.T) {
	url := sqliteURL(t)
	s := open(t, url)
	openFails(t, url, Options{}, ErrInUse, "onoma ctl")
	r, err := Open(t.Context(), url, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, addZone(t, s, "a.").ID, 1, 1)
	if n, err := r.LastCommit(t.Context()); n != 1 || err != nil {
		t.Errorf("a reader sees commit %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the database: %v, %v", info.Mode(), err)
	}
}

// TestCommitsAreSynced: what is acknowledged survives a loss of power, which no test
// can cause, only with these settings of the connection that commits.
func TestCommitsAreSynced(t *testing.T) {
	s := open(t, sqliteURL(t))
	var mode string
	var sync int
	if err := s.writer.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	if err := s.writer.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&sync); err != nil {
		t.Fatal(err)
	}
	if mode != "wal" || sync != 2 {
		t.Errorf("journal_mode %s, synchronous %d, expected wal and 2 (FULL)", mode, sync)
	}
}

func TestEndOfContext(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "a.")
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error)
		_, err := s.Commit(t.Context(), 0, func([]Version) ([]Version, error) {
			go func() {
				_, err := s.Commit(ctx, 0, always(version(z.ID, 1)))
				waiting <- err
			}()
			cancel()
			if err := <-waiting; !errors.Is(err, context.Canceled) {
				t.Errorf("a commit that waits for its turn ends by %v", err)
			}
			return []Version{version(z.ID, 1)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		if _, err := s.Commit(ended, 1, func([]Version) ([]Version, error) {
			cancel()
			return []Version{version(z.ID, 2)}, nil
		}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := commitNext(t, s, z.ID); n > 3 {
			t.Errorf("the newest version is %d", n)
		}
	})
}

func commitNext(t *testing.T, s *Store, zone int64) uint64 {
	t.Helper()
	zones, err := s.Zones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, zone, zones[0].Head+1, zones[0].Head+1)
	return zones[0].Head + 1
}

// TestDamagedPageIsNoticed changes an octet of a delta in the file, which SQLite does not notice.
func TestDamagedPageIsNoticed(t *testing.T) {
	url := sqliteURL(t)
	s := open(t, url)
	a, b := addZone(t, s, "a.example."), addZone(t, s, "b.example.")
	commit(t, s, a.ID, 1, 3)
	commit(t, s, b.ID, 1, 3)
	err := s.WriteCheckpoint(t.Context(), b.ID, 1, func(w io.Writer) error { _, err := w.Write([]byte("the whole content")); return err })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(text), "delta 2 of zone 1", "delta 2 of zone 7", 1)
	if err := os.WriteFile(s.path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, url)
	_, err = s.Since(t.Context(), 0, 10)
	wantError(t, err, ErrCorrupt)
	if !strings.Contains(err.Error(), "version 2 of zone 1") {
		t.Errorf("%q does not say where", err)
	}
	loaded := 0
	for l, err := range s.Small(t.Context()) {
		switch {
		case l.Zone.ID == a.ID && errors.Is(err, ErrCorrupt):
			loaded++
		case l.Zone.ID == b.ID && err == nil && string(l.Content) == "the whole content" && len(l.Deltas) == 2:
			loaded++
		default:
			t.Errorf("zone %+v: %v", l, err)
		}
	}
	if loaded != 2 {
		t.Errorf("%d zones came", loaded)
	}
	if said, err := s.Check(t.Context()); len(said) != 1 || err != nil {
		t.Errorf("the check finds %q, %v", said, err)
	}
}
