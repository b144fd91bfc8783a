package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// Kind says why an exchange failed, as far as a caller acts on it.
type Kind uint8

const (
	Failed      Kind = iota // something else: see Err
	Timeout                 // no matching reply in time
	Refused                 // nobody listens there (ICMP port unreachable, or a reset connection attempt)
	Unreachable             // the network, the host or the protocol cannot be reached, or the source address not used
	Broken                  // the TCP connection ended before the reply was complete
	Spoofed                 // more replies did not match than Client.MaxIgnored
	Canceled                // the context was cancelled
)

var kindNames = [...]string{"failed", "timed out", "refused", "unreachable", "connection broken", "too many replies that do not match", "cancelled"}

// String describes the kind in words that continue a sentence.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ExchangeError says why a question got no reply.
type ExchangeError struct {
	Kind    Kind
	Server  netip.AddrPort
	Proto   Proto
	Ignored Ignored // what came and did not match
	Err     error   // the cause; nil for Spoofed
}

func (e *ExchangeError) Error() string {
	s := fmt.Sprintf("asking %v over %v: %v", e.Server, e.Proto, e.Kind)
	if e.Err != nil && e.Kind != Timeout && e.Kind != Canceled {
		s += fmt.Sprintf(": %v", rootCause(e.Err))
	}
	if n := e.Ignored.Total(); n > 0 {
		s += fmt.Sprintf(" (%d replies did not match)", n)
	}
	return s
}

// Unwrap returns the cause.
func (e *ExchangeError) Unwrap() error { return e.Err }

// Timeout makes it a net.Error's kind of time-out.
func (e *ExchangeError) Timeout() bool { return e.Kind == Timeout }

var errSpoofed = errors.New("too many replies that do not match")

// failed makes an ExchangeError of what went wrong.
func (x *exchange) failed(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errSpoofed):
		return x.fail(Spoofed, nil)
	case errors.Is(ctx.Err(), context.Canceled):
		return x.fail(Canceled, ctx.Err())
	}
	return x.fail(KindOf(err), err)
}

func (x *exchange) fail(k Kind, err error) error {
	return &ExchangeError{Kind: k, Server: x.server, Proto: x.proto, Ignored: x.reply.Ignored, Err: err}
}

// KindOf says of which kind an error of a socket is.
func KindOf(err error) Kind {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case oneOf(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.ENETDOWN, syscall.EACCES, syscall.EPERM, syscall.EINVAL):
		return Unreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), oneOf(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return Broken
	}
	return Failed
}

func oneOf(err error, targets ...syscall.Errno) bool {
	errno := syscall.Errno(0)
	if !errors.As(err, &errno) {
		return false
	}
	for _, t := range targets {
		if errno == t {
			return true
		}
	}
	return false
}
