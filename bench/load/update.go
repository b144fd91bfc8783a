package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"onoma/dns"
)

// updateAsker adds a name with an address to the zone each time (RFC 2136), from a UDP socket of its own, and waits for the
// answer, as a DHCP server does that waits for its name server. What is asked for it does not look at.
type updateAsker struct {
	server netip.AddrPort
	zone   dns.Name
	prefix string // unlike that of all others
	conn   net.Conn
	n      int
	buf    [4096]byte
}

// patience is how long an answer is waited for; what was acknowledged later counts as lost.
const patience = 5 * time.Second

func (a *updateAsker) ask(ctx context.Context, _ []byte) ([]byte, error) {
	if a.conn == nil {
		var d net.Dialer
		var err error
		if a.conn, err = d.DialContext(ctx, "udp", a.server.String()); err != nil {
			return nil, err
		}
	}
	a.n++
	name, err := a.zone.Child(fmt.Sprintf("%s-%d", a.prefix, a.n))
	if err != nil {
		return nil, err
	}
	msg, err := dns.NewUpdate(uint16(a.n), a.zone).Add(name, 300, dns.TypeA, dns.RData{192, 0, 2, byte(a.n)}).Append(nil)
	if err != nil {
		return nil, err
	}
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := a.conn.Write(msg); err != nil {
		return nil, err
	}
	for {
		n, err := a.conn.Read(a.buf[:])
		if err != nil {
			return nil, err
		}
		h, ok := dns.ParseHeader(a.buf[:n])
		switch {
		case !ok || h.ID != uint16(a.n): // of one that was given up
		case h.Flags.RCode() != dns.RCodeNoError:
			return nil, fmt.Errorf("update refused: %s", h.Flags.RCode())
		default:
			return a.buf[:n], nil
		}
	}
}

func (a *updateAsker) close() {
	if a.conn != nil {
		a.conn.Close()
	}
}
