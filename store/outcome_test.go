package store

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// cutter stands between the program and PostgreSQL, and cuts a connection when it is asked to commit.
type cutter struct {
	server string       // the path of its socket
	cut    atomic.Int32 // what is done at the next COMMIT
}

const (
	never = iota
	before
	after
)

// proxied returns a URL of the same database by way of a cutter.
func proxied(t *testing.T, url string) (*cutter, string) {
	t.Helper()
	address, rest, _ := strings.Cut(url, "?host=")
	server, more, _ := strings.Cut(rest, "&")
	dir, err := os.MkdirTemp("", "cut") // short, as the path of a socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := &cutter{server: filepath.Join(server, ".s.PGSQL.5432")}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c, address + "?host=" + dir + "&" + more
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool
	go func() {
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if err != nil || mute.Load() {
				return
			}
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if bytes.HasPrefix(b[:n], []byte("Q\x00\x00\x00\x0bCOMMIT")) {
			switch c.cut.Swap(never) {
			case before:
				return
			case after:
				mute.Store(true)
			}
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
		if mute.Load() {
			_, _ = io.Copy(io.Discard, client) // until the other side has read the answer, and closed
			return
		}
	}
}

// TestUnknownOutcome cuts the connection at COMMIT, before and after PostgreSQL hears of it. The program cannot tell
// which it was, and finds out at the next commit.
func TestUnknownOutcome(t *testing.T) {
	url := postgresURL(t)
	c, through := proxied(t, url)
	s := open(t, through)
	z := addZone(t, s, "a.").ID
	last := uint64(commit(t, s, z, 1, 1))
	for round, cut := range []int32{before, after, before, after} {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			head := uint64(len(collect(t, s, z, 1, 1<<40)))
			c.cut.Store(cut)
			_, err := s.Commit(t.Context(), last, always(version(z, head+1)))
			wantError(t, err, ErrUnknownOutcome)
			var missed []Version
			last, err = s.Commit(t.Context(), last, func(m []Version) ([]Version, error) {
				missed = m
				return []Version{version(z, head+uint64(len(m))+1)}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if happened := len(missed) == 1 && missed[0].Number == head+1; happened != (cut == after) || len(missed) > 1 {
				t.Errorf("cut %d: the next commit is told of %+v", cut, missed)
			}
		})
	}
}
