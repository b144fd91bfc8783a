package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/telemetry"
)

// socket is a path that is short enough.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onoma")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "control")
}

func start(t *testing.T, path string, d Desk) {
	t.Helper()
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Staff(d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
}

func desk() Desk {
	return Desk{
		Report: func() telemetry.Report {
			r := telemetry.NewReport(time.Unix(1000, 0).UTC())
			r.Role, r.Traffic.RCodes = "authority", map[string]uint64{"NOERROR": 1 << 60}
			r.Process = telemetry.Process{}
			return r
		},
		Zones: func() iter.Seq[telemetry.Zone] {
			return slices.Values([]telemetry.Zone{{Name: "b."}, {Name: "a.", Loaded: true, Serial: 7}})
		},
		Dump: func(zone string) (Text, error) {
			if zone == "" {
				return nil, &Problem{Status: http.StatusNotFound, Message: "no such zone"}
			}
			return func(w io.Writer) error {
				io.WriteString(w, strings.Repeat("a record of "+zone+"\n", 100000))
				if zone == "broken." {
					return errors.New("the rest is missing")
				}
				return nil
			}, nil
		},
		Reload: func(_ context.Context, zone string) ([]Reloaded, error) {
			switch zone {
			case "":
				return []Reloaded{{Zone: "a.", Serial: 8}, {Zone: "b.", Error: "line 1"}}, nil
			case "boom":
				return nil, errors.New("boom")
			}
			return nil, &Problem{Status: http.StatusNotFound, Message: "no such zone", Hint: "look"}
		},
	}
}

func TestAnswersComeThrough(t *testing.T) {
	path := socket(t)
	start(t, path, desk())
	c := NewClient(path)
	got, err := c.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desk().Report(), got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	zones, err := c.Zones(t.Context())
	if diff := cmp.Diff([]telemetry.Zone{{Name: "a.", Loaded: true, Serial: 7}, {Name: "b."}}, zones); diff != "" || err != nil {
		t.Errorf("zones, %v (-want +got):\n%s", err, diff)
	}
	done, err := c.Reload(t.Context(), "")
	if diff := cmp.Diff([]Reloaded{{Zone: "a.", Serial: 8}, {Zone: "b.", Error: "line 1"}}, done); diff != "" || err != nil {
		t.Errorf("reloaded, %v (-want +got):\n%s", err, diff)
	}
}

func TestTextComesThroughWholeOrNotAtAll(t *testing.T) {
	path := socket(t)
	start(t, path, desk())
	c := NewClient(path)
	var b strings.Builder
	if err := c.Dump(t.Context(), "a.", &b); err != nil || b.String() != strings.Repeat("a record of a.\n", 100000) {
		t.Errorf("%d octets, %v", b.Len(), err)
	}
	if err := c.Dump(t.Context(), "broken.", &b); err == nil {
		t.Error("half a text passes for a whole one")
	}
	var p *Problem
	if err := c.Dump(t.Context(), "", &b); !errors.As(err, &p) {
		t.Errorf("no such zone: %v", err)
	}
}

func TestManyZonesAreSentAsTheyCome(t *testing.T) {
	path := socket(t)
	d := desk()
	const many = 100000
	for _, n := range []int{0, 1, many} {
		d.Zones = func() iter.Seq[telemetry.Zone] {
			return func(yield func(telemetry.Zone) bool) {
				for i := range n {
					if !yield(telemetry.Zone{Name: fmt.Sprintf("z%06d.", n-i)}) {
						return
					}
				}
			}
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			start(t, path, d)
			zones, err := NewClient(path).Zones(t.Context())
			if err != nil || len(zones) != n || !slices.IsSortedFunc(zones, func(a, b telemetry.Zone) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("%d zones, expected %d in order (%v)", len(zones), n, err)
			}
		})
	}
}

func TestProblemsComeThrough(t *testing.T) {
	path := socket(t)
	start(t, path, desk())
	c := NewClient(path)
	_, err := c.Reload(t.Context(), "c.")
	var p *Problem
	if want := (&Problem{Status: http.StatusNotFound, Message: "no such zone", Hint: "look"}); !errors.As(err, &p) || !cmp.Equal(want, p) {
		t.Errorf("a zone that is not there: %#v", err)
	}
	if _, err := c.Reload(t.Context(), "boom"); err == nil || err.Error() != "boom" {
		t.Errorf("an error of the server: %v", err)
	}
	if _, err := c.Top(t.Context(), telemetry.Recent, 10); err == nil || !strings.Contains(err.Error(), "does not look for heavy hitters") {
		t.Errorf("what this server cannot do: %v", err)
	}
	if err := c.Call(t.Context(), "GET", "/v9/new", nil, nil, nil); !errors.As(err, &p) || p.Hint == "" {
		t.Errorf("a route of a newer server: %v, expected advice", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	path := socket(t)
	start(t, path, desk())
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, expected 0600 (%v)", info.Mode(), err)
	}
}

func TestSocketInUseIsNotTaken(t *testing.T) {
	path := socket(t)
	start(t, path, desk())
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("%v, expected another server to be named", err)
	}
	if _, err := NewClient(path).Report(t.Context()); err != nil {
		t.Errorf("the first server is cut off: %v", err)
	}
}

func TestDeadSocketIsReplacedAndFilesAreNot(t *testing.T) {
	path := socket(t)
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s.listener.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	s.Close() // as a crash leaves it
	if _, err := NewClient(path).Report(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("a socket without a server: %v", err)
	}
	start(t, path, desk())
	if _, err := NewClient(path).Report(t.Context()); err != nil {
		t.Errorf("after a crash: %v", err)
	}
	file := path + ".txt"
	if err := os.WriteFile(file, []byte("keep"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if _, err := NewClient(path + ".none").Report(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("no socket at all: %v", err)
	}
}
