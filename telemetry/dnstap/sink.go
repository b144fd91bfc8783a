package dnstap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// Sink is where frames go.
type Sink struct {
	Network string // "unix", "tcp", "file" or Lines
	Address string // path, or host and port
}

// Lines is the network of a file of lines: no Frame Streams, and what is there already is added to.
const Lines = "lines"

// ParseSink reads unix:///path, tcp://host:port or file:///path.
func ParseSink(text string) (Sink, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Sink{}, fmt.Errorf("%q is not a place for dnstap: %w", text, err)
	}
	switch {
	case (u.Scheme == "unix" || u.Scheme == "file") && u.Host == "" && len(u.Path) > 1:
		return Sink{u.Scheme, u.Path}, nil
	case u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" && u.Path == "":
		return Sink{u.Scheme, u.Host}, nil
	}
	return Sink{}, fmt.Errorf("%q is not a place for dnstap, expected unix:///path, tcp://host:port or file:///path", text)
}

// String is ParseSink's reverse.
func (s Sink) String() string { return s.Network + "://" + s.Address }

const (
	dialTimeout  = 5 * time.Second // connecting and shaking hands
	writeTimeout = 5 * time.Second // for a reader to take what was written
	stopTimeout  = time.Second     // for FINISH, which some readers never send
)

// stream is an open sink.
type stream interface {
	io.Writer
	// finish ends the stream in order and closes it.
	finish() error
	// abort closes it as it is.
	abort()
	// hurry allows what is left of the stream, FINISH included, stopTimeout. It may be called by another goroutine.
	hurry()
}

// open connects, or creates the file, and begins the stream.
func (s Sink) open(now time.Time) (stream, error) {
	switch s.Network {
	case "file":
		return openFile(s.Address, now)
	case Lines:
		f, err := os.OpenFile(s.Address, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		return lines{f}, err
	}
	nc, err := net.DialTimeout(s.Network, s.Address, dialTimeout)
	if err != nil {
		return nil, err
	}
	return newConn(nc)
}

// conn is a stream in both directions.
type conn struct {
	net.Conn
	mu   sync.Mutex // guards what follows, and setting deadlines
	last bool       // the deadline is not moved any more
}

func newConn(nc net.Conn) (stream, error) {
	nc.SetDeadline(time.Now().Add(dialTimeout))
	if err := shake(nc); err != nil {
		nc.Close()
		return nil, err
	}
	return &conn{Conn: nc}, nil
}

func (c *conn) within(d time.Duration, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last {
		c.SetDeadline(time.Now().Add(d))
	}
	c.last = c.last || last
}

func (c *conn) Write(b []byte) (int, error) {
	c.within(writeTimeout, false)
	return c.Conn.Write(b)
}

func (c *conn) finish() error {
	c.within(stopTimeout, true)
	return errors.Join(farewell(c.Conn), c.Close())
}

func (c *conn) abort() { c.Close() }
func (c *conn) hurry() { c.within(stopTimeout, true) }

// file is a stream in one direction.
type file struct{ *os.File }

// openFile begins a new file. A stream cannot be continued once it has ended, so what is there already is moved aside, to a
// name with the time; it is never overwritten.
func openFile(name string, now time.Time) (stream, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		if err := moveAside(name, now); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(appendControl(nil, controlStart, true)); err != nil {
		f.Close()
		return nil, err
	}
	return file{f}, nil
}

const maxAside = 1000

func moveAside(name string, now time.Time) error {
	aside := name + "." + now.UTC().Format("20060102T150405Z")
	for i := range maxAside {
		to := aside
		if i > 0 {
			to = fmt.Sprintf("%s-%d", aside, i)
		}
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			return os.Rename(name, to)
		}
	}
	return fmt.Errorf("moving %s aside: %s and %d more names are taken", name, aside, maxAside-1)
}

func (f file) finish() error {
	_, err := f.Write(appendControl(nil, controlStop, false))
	return errors.Join(err, f.Close())
}

func (f file) abort() { f.Close() }

// lines is a file that has no beginning and no end.
type lines struct{ *os.File }

func (l lines) finish() error { return l.Close() }
func (l lines) abort()        { l.Close() }
func (l lines) hurry()        {}

// hurry has nothing to do: writing to a file cannot be given up.
func (f file) hurry() {}
