package iterator

import (
	"context"
	"time"

	"onoma/transport"
)

// Env is everything outside: the clock, randomness and the network. Its methods
// are called from many goroutines.
type Env interface {
	Now() time.Time

	// Uint64 returns bits that nobody outside can guess.
	Uint64() uint64

	// Exchange sends query and returns the reply with the query's ID and
	// question, ignoring all other packets (RFC 5452 §9.1). It honours ctx's
	// deadline. An error is a *transport.ExchangeError, or at least wraps
	// context.DeadlineExceeded where that is the reason.
	Exchange(ctx context.Context, to Target, query []byte) ([]byte, error)
}

// BeginFunc is Env.Exchange over UDP that waits no longer than until then. What is
// not over by then is waited for by rest, in whatever goroutine, until the context
// given to that ends; it is called once.
type BeginFunc = func(ctx context.Context, to Target, query []byte, until time.Time) (reply []byte, rest func(context.Context) ([]byte, error), err error)

// Target is whom a query is sent to, and how.
type Target = transport.Target
