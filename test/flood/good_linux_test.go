package flood

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a good client waits for an answer; it does not ask again.
const patience = time.Second

// crowd is good clients, each with an address of its own, that ask at a steady rate.
type crowd struct {
	clients []*client
	ignored int // the first ones, which do not count
	stop    chan struct{}
	wg      sync.WaitGroup
}

// client remembers when it sent which query, by the message's ID.
type client struct {
	conn  *net.UDPConn
	query []byte
	sent  [1 << 16]atomic.Int64 // Unix nanoseconds; 0: answered, or not asked

	mu       sync.Mutex
	asked    []int64 // when
	answered []answered
}

// answered is one answer that came in time.
type answered struct {
	asked int64
	took  time.Duration
}

// good starts n clients that ask `rate` queries a second each, until the test ends.
func (r *rig) good(t *testing.T, first, n, rate int, query []byte) *crowd {
	t.Helper()
	c := &crowd{stop: make(chan struct{})}
	err := r.outside.do(func() error {
		for i := range n {
			conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: goodAddr(first + i).AsSlice()}, &net.UDPAddr{IP: serverAddr.AsSlice(), Port: 53})
			if err != nil {
				return fmt.Errorf("good client %d: %w", i, err)
			}
			conn.SetReadBuffer(1 << 20)
			c.clients = append(c.clients, &client{conn: conn, query: slices.Clone(query)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, cl := range c.clients {
		c.wg.Go(cl.receive)
		c.wg.Go(func() {
			cl.ask(time.Second/time.Duration(rate), time.Duration(i)*time.Second/time.Duration(rate*n), c.stop)
		})
	}
	t.Cleanup(c.end)
	return c
}

// dialFrom dials from the address of another socket.
func dialFrom(a net.Addr) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.UDPAddr{IP: a.(*net.UDPAddr).IP}, Timeout: patience}
}

// goodAddr is an address of a network of its own each, as rate limits see it.
func goodAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(1 + i), 1}) }

func (c *client) ask(every, offset time.Duration, stop <-chan struct{}) {
	time.Sleep(offset)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for id := uint16(0); ; id++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		now := time.Now().UnixNano()
		c.sent[id].Store(now)
		c.mu.Lock()
		binary.BigEndian.PutUint16(c.query, id)
		c.asked = append(c.asked, now)
		c.conn.Write(c.query)
		c.mu.Unlock()
	}
}

func (c *client) receive() {
	buf := make([]byte, 4096)
	for {
		n, err := c.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if n < 12 {
			continue
		}
		at := c.sent[binary.BigEndian.Uint16(buf)].Swap(0)
		took := time.Duration(time.Now().UnixNano() - at)
		if at == 0 || took > patience {
			continue
		}
		c.mu.Lock()
		c.answered = append(c.answered, answered{at, took})
		c.mu.Unlock()
	}
}

// tally is what a crowd got of what it asked between two moments.
type tally struct {
	asked int
	took  []time.Duration // of answers, sorted
}

func (t tally) share() float64 { return float64(len(t.took)) / float64(max(t.asked, 1)) }

func (t tally) quantile(q float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[int(q*float64(len(t.took)-1))]
}

// during counts what is asked in a span and answered in time.
func (c *crowd) during(d time.Duration) tally {
	from := time.Now().UnixNano()
	time.Sleep(d)
	return c.since(from)
}

// since counts what was asked from a moment until now. It waits for answers on their way.
func (c *crowd) since(from int64) (t tally) {
	to := time.Now().UnixNano()
	time.Sleep(patience / 4)
	for _, cl := range c.clients[c.ignored:] {
		cl.mu.Lock()
		for _, at := range cl.asked {
			if at >= from && at < to {
				t.asked++
			}
		}
		for _, a := range cl.answered {
			if a.asked >= from && a.asked < to {
				t.took = append(t.took, a.took)
			}
		}
		cl.mu.Unlock()
	}
	slices.Sort(t.took)
	return t
}

func (c *crowd) end() {
	select {
	case <-c.stop:
		return
	default:
		close(c.stop)
	}
	for _, cl := range c.clients {
		cl.conn.Close()
	}
	c.wg.Wait()
}
