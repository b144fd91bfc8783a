package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ExitPIN is the helper's exit status when the token refused the PIN. It must not
// be tried again by itself: tokens lock themselves after a few wrong ones.
const ExitPIN = 3

// Helper starts onoma-pkcs11 for a token, and again when it has ended.
type Helper struct {
	Program string // "": onoma-pkcs11 beside this program, or on PATH
	Module  string // the PKCS #11 library of the token's maker
	Token   string // the token's label
	PIN     string // file:PATH, env:NAME or credential:NAME
	Env     []string

	mu     sync.Mutex
	child  *child
	failed error // a refusal that no other try would change
}

// child is a process that was started.
type child struct {
	stdin io.Closer // the helper ends when this closes: also if we are killed
	done  chan struct{}
	err   error // when done is closed
	said  tail
	cmd   *exec.Cmd
}

// tail keeps what a process said last.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-2048):]
	return len(p), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(t.b)), "\n")
	return lines[len(lines)-1]
}

// running returns the helper's process when it listens; it starts one if there is
// none.
func (h *Helper) running(ctx context.Context, socket string) (*child, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != nil {
		return nil, h.failed
	}
	if h.child != nil {
		select {
		case <-h.child.done:
		default:
			return h.child, nil
		}
	}
	c, err := h.start(socket)
	if err != nil {
		return nil, fmt.Errorf("starting onoma-pkcs11: %w", err)
	}
	h.child = c
	return c, h.wait(ctx, c, socket)
}

func (h *Helper) start(socket string) (*child, error) {
	program, err := h.program()
	if err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	c := &child{done: make(chan struct{})}
	c.cmd = exec.Command(program, "-module", h.Module, "-token", h.Token, "-pin", h.PIN, "-socket", socket, "-child")
	c.cmd.Env, c.cmd.Stderr = append(os.Environ(), h.Env...), &c.said
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// program finds onoma-pkcs11.
func (h *Helper) program() (string, error) {
	if h.Program != "" {
		return h.Program, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "onoma-pkcs11")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("onoma-pkcs11")
	if err != nil {
		return "", fmt.Errorf("%w: it comes with onoma where a C compiler was at hand (make build)", err)
	}
	return path, nil
}

// wait returns when the helper takes connections.
func (h *Helper) wait(ctx context.Context, c *child, socket string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("onoma-pkcs11 does not listen yet: %w", ctx.Err())
		case <-c.done:
			err := fmt.Errorf("onoma-pkcs11 ended: %s (%w)", c.said.lastLine(), c.err)
			var exit *exec.ExitError
			if errors.As(c.err, &exit) && exit.ExitCode() == ExitPIN {
				h.failed = fmt.Errorf("%w: %w; it is not tried again, since tokens lock themselves: correct the PIN and restart", ErrPIN, err)
				return h.failed
			}
			return err
		}
	}
}

// hasEnded waits a moment for the end of a process that took no connection, and
// reports whether another may be started, or has been by somebody else.
func (c *child) hasEnded(ctx context.Context) bool {
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
	case <-time.After(grace):
	}
	return false
}

// PID is that of the helper while one runs, or 0.
func (h *Helper) PID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child == nil {
		return 0
	}
	return h.child.cmd.Process.Pid
}

// kill ends a helper that hangs.
func (h *Helper) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child != nil {
		h.child.cmd.Process.Kill()
		<-h.child.done
	}
}

// grace is how long a helper may take to end.
const grace = 3 * time.Second

// Close ends the helper.
func (h *Helper) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child == nil {
		return
	}
	h.child.stdin.Close()
	select {
	case <-h.child.done:
	case <-time.After(grace):
		h.child.cmd.Process.Kill()
		<-h.child.done
	}
	h.child = nil
}
