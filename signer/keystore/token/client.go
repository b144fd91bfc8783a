package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options is what a Client works with.
type Options struct {
	Socket  string        // where the helper listens; "": in a folder of its own, where Helper is given
	Helper  *Helper       // starts it; nil: it runs already
	Timeout time.Duration // of one request; 0: 10 s
}

// Client asks one helper, which has one token.
type Client struct {
	o    Options
	idle chan net.Conn // connections that nobody uses at this moment
	late atomic.Int32  // requests in a row that were not answered in time

	mu   sync.Mutex
	path string // of the socket
	dir  string // that was made for it, or ""
}

// NewClient returns a client; it connects when it is first used.
func NewClient(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	return &Client{o: o, idle: make(chan net.Conn, 8)}
}

// Close ends the helper, if the client has started it, and the connections.
func (c *Client) Close() {
	for {
		select {
		case conn := <-c.idle:
			conn.Close()
			continue
		default:
		}
		break
	}
	if c.o.Helper != nil {
		c.o.Helper.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir != "" {
		os.RemoveAll(c.dir)
		c.dir, c.path = "", ""
	}
}

// socket returns where the helper listens. A folder for that has a short path, as
// sockets need.
func (c *Client) socket() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path == "" {
		c.path = c.o.Socket
	}
	if c.path == "" {
		dir, err := os.MkdirTemp("", "onoma-") // 0700
		if err != nil {
			return "", fmt.Errorf("making a folder for a socket: %w", err)
		}
		c.dir, c.path = dir, filepath.Join(dir, "token")
	}
	return c.path, nil
}

// ask sends a request and returns the answer. A connection that broke meanwhile is
// replaced, once, except where the request could then be done twice.
func (c *Client) ask(caller context.Context, kind byte, fields ...[]byte) (message, error) {
	limit := c.o.Timeout
	if kind == opGenerate {
		limit *= 6 // tokens take their time over RSA
	}
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	for try := 0; ; try++ {
		conn, fresh, err := c.connect(ctx)
		if err != nil {
			return message{}, fmt.Errorf("%w: %w", ErrGone, err)
		}
		answer, err := exchange(ctx, conn, message{kind, fields})
		if err == nil {
			c.keep(conn)
			c.late.Store(0)
			return answer, answer.answerError()
		}
		conn.Close()
		if caller.Err() != nil {
			return message{}, caller.Err()
		}
		if ctx.Err() != nil {
			c.isLate()
			return message{}, fmt.Errorf("%w: it did not answer within %v", ErrGone, limit)
		}
		mayRepeat := kind != opGenerate || !fresh && isUnsent(err)
		if try == 8 || fresh && try > 0 && c.o.Helper == nil || !mayRepeat {
			return message{}, fmt.Errorf("%w: onoma-pkcs11 broke off: %w", ErrGone, err)
		}
	}
}

// maxLate is how many requests in a row a helper may leave without an answer before
// another takes its place: libraries of tokens hang.
const maxLate = 3

func (c *Client) isLate() {
	if c.late.Add(1) >= maxLate && c.o.Helper != nil {
		c.late.Store(0)
		c.o.Helper.kill()
	}
}

// isUnsent says that the helper had closed before the request could reach it.
func isUnsent(err error) bool { return errors.Is(err, syscall.EPIPE) }

func (c *Client) keep(conn net.Conn) {
	select {
	case c.idle <- conn:
	default:
		conn.Close()
	}
}

// connect returns a connection that is free, or a fresh one.
func (c *Client) connect(ctx context.Context) (conn net.Conn, fresh bool, err error) {
	select {
	case conn := <-c.idle:
		return conn, false, nil
	default:
	}
	path, err := c.socket()
	if err != nil {
		return nil, false, err
	}
	for {
		var process *child
		if c.o.Helper != nil {
			if process, err = c.o.Helper.running(ctx, path); err != nil {
				return nil, false, err
			}
		}
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return conn, true, nil
		case process == nil:
			return nil, false, fmt.Errorf("onoma-pkcs11 is not reached: %w: is it running, and as the same user?", err)
		case !process.hasEnded(ctx):
			return nil, false, err
		}
	}
}

func exchange(ctx context.Context, conn net.Conn, m message) (message, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := write(conn, m)
	var answer message
	if err == nil {
		answer, err = read(conn)
	}
	if !stop() && err == nil {
		err = ctx.Err() // the deadline is set: the connection is of no more use
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return answer, err
}

// Ping says whether the token can be used.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.ask(ctx, opPing)
	return err
}

// maxList bounds the labels of a token that List returns.
const maxList = 100_000

// List returns the labels of all private keys.
func (c *Client) List(ctx context.Context) ([]string, error) {
	var labels []string
	for after := ""; len(labels) < maxList; {
		m, err := c.ask(ctx, opList, []byte(after))
		if err != nil {
			return nil, err
		}
		if len(m.fields) == 0 {
			return labels, nil
		}
		for _, f := range m.fields {
			labels = append(labels, string(f))
		}
		next := labels[len(labels)-1]
		if next <= after {
			return nil, errMessage // or it would never end
		}
		after = next
	}
	return labels, nil
}

// Generate makes a key in the token.
func (c *Client) Generate(ctx context.Context, label string, kind Kind, bits int) error {
	_, err := c.ask(ctx, opGenerate, []byte(label), []byte(kind), []byte(strconv.Itoa(bits)))
	return err
}
