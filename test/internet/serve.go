package internet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"onoma/transport"
)

// serve binds all addresses.
func (n *Internet) serve() error {
	for _, op := range n.operators {
		h := transport.Handler(op.auth)
		if op.habit != nil {
			h = &habitual{next: h, habit: op.habit}
		}
		h = &far{next: h, delay: n.options.Delay, loss: n.options.Loss, down: &op.down, lost: &n.lost}
		addrs := make([]netip.AddrPort, len(op.addrs))
		for i, a := range op.addrs {
			addrs[i] = netip.AddrPortFrom(a, n.options.Port)
		}
		if op.deaf {
			if err := n.serveDeaf(h, addrs); err != nil {
				return err
			}
			continue
		}
		s, err := transport.Listen(transport.Config{Handler: h, Addrs: addrs, Grace: time.Second, NoTriage: true})
		if err != nil {
			return fmt.Errorf("serving an internet: %w", err)
		}
		n.servers = append(n.servers, s)
		go func() { _ = s.Serve(context.Background()) }() // ends with Close
	}
	return nil
}

// far is a Handler whose answers take a while to arrive, if they do.
type far struct {
	next  transport.Handler
	delay time.Duration
	loss  float64
	down  *atomic.Bool
	lost  *atomic.Uint64
}

func (f *far) NewWorker() transport.Worker {
	return &farWorker{far: f, next: f.next.NewWorker()}
}

type farWorker struct {
	*far
	next transport.Worker
}

// Answer has the answer at once and sends it later. What is sent later takes nothing from the processor meanwhile.
func (w *farWorker) Answer(dst []byte, q *transport.Query) []byte {
	if w.down.Load() {
		return dst
	}
	if q.Proto == transport.UDP && w.loss > 0 && rand.Float64() < w.loss {
		w.lost.Add(1)
		return dst
	}
	if w.delay == 0 {
		return w.next.Answer(dst, q)
	}
	out := slices.Clone(w.next.Answer(nil, q))
	if len(out) == 0 {
		return dst
	}
	p := q.Detach()
	time.AfterFunc(w.delay, func() {
		_ = p.Reply(out) // who asked may be gone
		p.Done()
	})
	return dst
}

// deaf is a server that nobody listens at over TCP.
type deaf struct {
	conn *net.UDPConn
	done chan struct{}
}

func (n *Internet) serveDeaf(h transport.Handler, addrs []netip.AddrPort) error {
	for _, a := range addrs {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
		if err != nil {
			return fmt.Errorf("serving an internet over UDP alone: %w", err)
		}
		d := &deaf{conn, make(chan struct{})}
		n.deaf = append(n.deaf, d)
		go d.loop(h.NewWorker(), a)
	}
	return nil
}

func (d *deaf) loop(w transport.Worker, local netip.AddrPort) {
	defer close(d.done)
	buf := make([]byte, transport.MaxMessage)
	for {
		size, client, err := d.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return // closed
		}
		if size < 12 {
			continue
		}
		reply := func(msg []byte) error { _, err := d.conn.WriteToUDPAddrPort(msg, client); return err }
		q := transport.NewQuery(buf[:size], client, local, transport.UDP, reply)
		if out := w.Answer(nil, q); len(out) > 0 {
			_ = reply(out)
		}
	}
}

func (d *deaf) close() {
	d.conn.Close()
	<-d.done
}
