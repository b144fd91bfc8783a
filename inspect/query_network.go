package inspect

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"onoma/transport"
)

// Network is the real clock, randomness and sockets: an iterator.Env. The zero
// Network reaches everybody.
type Network struct {
	Source netip.Addr     // of the packets, to servers of the same IP version; zero: the system's choice
	Only   []netip.Prefix // whom packets may go to; nil: anyone
}

// ErrOutside is the reason why a packet was not sent: see Network.Only.
var ErrOutside = errors.New("the server is outside of the network that may be asked")

// Now returns the system's time.
func (n *Network) Now() time.Time { return time.Now() }

// Uint64 returns bits that nobody can guess.
func (n *Network) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // its documentation: never fails
	return binary.NativeEndian.Uint64(b[:])
}

// Exchange sends one question over one socket of its own.
func (n *Network) Exchange(ctx context.Context, target transport.Target, query []byte) ([]byte, error) {
	to, proto := target.Addr, target.Proto
	if !n.Allows(to.Addr()) {
		return nil, &transport.ExchangeError{Kind: transport.Unreachable, Server: to, Proto: proto, Err: ErrOutside}
	}
	client := transport.Client{}
	if n.Source.Is4() == to.Addr().Is4() {
		client.Local = n.Source
	}
	r, err := client.Exchange(ctx, proto, to, query, nil)
	return r.Msg, err
}

// Allows reports whether packets may go to a.
func (n *Network) Allows(a netip.Addr) bool {
	if n.Only == nil {
		return true
	}
	for _, p := range n.Only {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
