// Package control is how a server and its operator talk: HTTP and JSON over a unix socket that only the owner may open. It
// owns the socket, the standard routes (what `onoma ctl` asks for), and the client. More can be done by one more Route and
// whoever calls it.
//
// Requests run in goroutines of their own; what a route does while others do is its own business.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"
)

// Server listens on a socket. Make it with Listen, add Routes, then Serve.
type Server struct {
	Log *slog.Logger // nil: discard; set before Serve

	path     string
	listener net.Listener
	mux      *http.ServeMux
}

const (
	maxBody  = 1 << 20
	maxConns = 32 // at once; a terminal keeps one open
)

// Listen creates the socket, mode 0600. A socket that nobody listens on any more is replaced; one that is in use, and a file
// that is no socket, are errors.
func Listen(path string) (*Server, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	if err := clear(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("closing the control socket to others: %w", err)
	}
	return &Server{path: path, listener: l, mux: http.NewServeMux()}, nil
}

// clear removes what an earlier server has left behind.
func clear(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("opening the control socket: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("opening the control socket: %s is there and is not a socket", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("opening the control socket: another server listens on %s", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing an old control socket: %w", err)
	}
	return nil
}

// Path returns where the socket is.
func (s *Server) Path() string { return s.path }

// Route has f answer requests that match pattern, as http.ServeMux reads it. The value is sent as JSON, unless it is a Text or a
// Listing; a *Problem as what it is, and any other error as one of ours.
func (s *Server) Route(pattern string, f func(r *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		v, err := f(r)
		if err != nil {
			p := problemOf(err)
			reply(w, p.Status, p)
			return
		}
		reply(w, http.StatusOK, v)
	})
}

// Serve answers until ctx ends, and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	s.Route("/", func(r *http.Request) (any, error) {
		return nil, &Problem{
			Status: http.StatusNotFound, Code: "route", Message: "this server does not know " + r.Method + " " + r.URL.Path,
			Hint: "the program that asks may be newer than the server: restart the server",
		}
	})
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	h := http.Server{ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn), Handler: s.mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	err := h.Serve(netutil.LimitListener(callers{s.listener}, maxConns))
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serving the control socket: %w", err)
}

// Close removes the socket of a Server that does not Serve.
func (s *Server) Close() error { return s.listener.Close() }
