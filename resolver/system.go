package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"

	"onoma/transport"
)

// maxIgnored is how many replies that do not match end an exchange over UDP:
// somebody is guessing, and the question goes to TCP.
const maxIgnored = 2

// system is the Env of the real world: a fresh connected socket with a random
// port for each question.
type system struct{ ipv4, ipv6 transport.Client }

func newSystem(source4, source6 netip.Addr) *system {
	return &system{
		ipv4: transport.Client{Local: source4, MaxIgnored: maxIgnored},
		ipv6: transport.Client{Local: source6, MaxIgnored: maxIgnored},
	}
}

func (*system) Now() time.Time { return time.Now() }

func (*system) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // its documentation: never fails
	return binary.NativeEndian.Uint64(b[:])
}

func (s *system) Exchange(ctx context.Context, to Target, query []byte) ([]byte, error) {
	c := &s.ipv4
	if to.Addr.Addr().Is6() {
		c = &s.ipv6
	}
	r, err := c.Exchange(ctx, to.Proto, to.Addr, query, nil)
	return r.Msg, err
}
