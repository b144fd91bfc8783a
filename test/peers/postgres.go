package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL of our own: its data are in a directory of its own, it listens on a Unix socket there and
// nowhere else, and it syncs to the disk as in earnest. It runs as user postgres where we are root.
type Postgres struct {
	*Server
	binaries string
	account  *syscall.Credential // nil: as we are
	count    int
}

// postgresBinaries is where Debian has the newest PostgreSQL, "" where there is none.
func postgresBinaries() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is fine
	if len(found) == 0 {
		return ""
	}
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) }) // 9 before 15
	return filepath.Dir(found[len(found)-1])
}

// HasPostgres says whether StartPostgres would not skip the test.
func HasPostgres() bool { return postgresBinaries() != "" }

// StartPostgres starts a PostgreSQL for a test, or skips the test where there is none.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	if !HasPostgres() {
		t.Skip("no PostgreSQL here: apt install postgresql")
	}
	p, err := NewPostgres()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of postgres:\n%s", tail(p.log, 30))
		}
		p.Close()
	})
	return p
}

// NewPostgres starts a PostgreSQL that several tests share. Close ends it.
func NewPostgres() (*Postgres, error) {
	p := &Postgres{binaries: postgresBinaries()}
	if p.binaries == "" {
		return nil, fmt.Errorf("no PostgreSQL here")
	}
	dir, err := os.MkdirTemp("", "pg") // short, as the path of a socket must be
	if err != nil {
		return nil, err
	}
	p.Server = &Server{Name: "postgres", Dir: dir, log: filepath.Join(dir, "log")}
	if err = p.prepare(); err == nil {
		err = p.Start()
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, tail(p.log, 20))
		_ = os.RemoveAll(dir) // the first error says more
		return nil, err
	}
	return p, nil
}

// prepare makes the data directory.
func (p *Postgres) prepare() error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("the account postgres has no numbers: %v, %v", err1, err2)
		}
		p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(p.Dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	initdb := p.command("initdb", "--pgdata=data", "--username=onoma", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.binaries, name), args...)
	cmd.Dir = p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	return cmd
}

// Start starts it again after Kill or Stop, and waits until it takes connections.
func (p *Postgres) Start() error {
	for deadline := time.Now().Add(startDeadline); ; {
		err := p.startOnce()
		// Processes that Kill has ended may still be letting go of their memory.
		if err == nil || p.Alive() || !strings.Contains(tail(p.log, 2), "shared memory block") || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *Postgres) startOnce() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.done = make(chan struct{})
	p.cmd = p.command("postgres", "-D", "data", "-k", p.Dir, "-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=64MB")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.run(); err != nil {
		return err
	}
	return p.awaitConnection()
}

func (p *Postgres) awaitConnection() error {
	for deadline := time.Now().Add(startDeadline); ; {
		err := p.exec("SELECT 1")
		switch {
		case err == nil:
			return nil
		case !p.Alive():
			return fmt.Errorf("postgres has ended: %w", err)
		case time.Now().After(deadline):
			return fmt.Errorf("postgres takes no connections: %w", err)
		}
		select {
		case <-p.done:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exec runs a statement in the database that is always there.
func (p *Postgres) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	_ = c.Close(ctx) // it is done
	return err
}

// URL of a database.
func (p *Postgres) URL(database string) string {
	return "postgres://onoma@/" + database + "?host=" + p.Dir
}

// Database makes an empty database, and returns its URL.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	p.count++
	name := fmt.Sprintf("test%d", p.count)
	if err := p.exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return p.URL(name)
}

// Kill ends it and all its processes as kill -9 does: nothing is written any more. Start recovers it.
func (p *Postgres) Kill() {
	backends := children(p.PID())
	_ = p.cmd.Process.Kill() // fails only when it has ended already
	for _, pid := range backends {
		_ = syscall.Kill(pid, syscall.SIGKILL) // as above
	}
	<-p.done
}

// children returns the processes that a process has started. Where there is no /proc, none: they end by themselves.
func children(parent int) []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is fine
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ") // state and parent follow the name
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Close ends it, and deletes its data.
func (p *Postgres) Close() {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // without waiting for its clients
	p.Stop()
	_ = os.RemoveAll(p.Dir) // what is left is in the directory for temporary files
}
