package upstream

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"onoma/transport"
)

// An exchange that is not over in time goes on elsewhere, with the same socket: the
// late reply is its reply.
func TestBegin(t *testing.T) {
	release := make(chan struct{}, 1)
	at := udpServer(t, "127.14.2.1:0", func(q []byte, _ netip.AddrPort) [][]byte {
		switch q[13] {
		case 'l':
			<-release
		case 'x':
			return nil
		}
		return [][]byte{answerTo(q, "")}
	})
	n := network(t, Config{})
	to := transport.Target{Addr: at}
	settled := func(what string, open int) {
		t.Helper()
		if d := &n.udp[0]; d.open != open || len(d.idle) != open {
			t.Errorf("%s: %d sockets, %d idle, expected %d", what, d.open, len(d.idle), open)
		}
	}
	reply, rest, err := n.Begin(within(t, time.Minute), to, query(t, "a.test."), time.Now().Add(time.Minute))
	if len(reply) == 0 || rest != nil || err != nil {
		t.Errorf("in time: %d octets, rest %v, error %v", len(reply), rest != nil, err)
	}
	settled("in time", 1)

	for _, early := range []bool{true, false} { // the reply is there before somebody waits on, or after
		begun, stop := context.WithCancel(t.Context())
		reply, rest, err = n.Begin(begun, to, query(t, "l.test."), time.Now().Add(20*time.Millisecond))
		if len(reply) > 0 || rest == nil || err != nil {
			t.Fatalf("late: %d octets, rest %v, error %v", len(reply), rest != nil, err)
		}
		stop() // says nothing to who waits on
		if release <- struct{}{}; early {
			time.Sleep(20 * time.Millisecond)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if reply, err := rest(within(t, time.Minute)); len(reply) == 0 || err != nil {
				t.Errorf("the late reply: %d octets, error %v", len(reply), err)
			}
		})
		wg.Wait()
		settled("late", 1)
	}

	_, rest, err = n.Begin(t.Context(), to, query(t, "x.test."), time.Now().Add(time.Millisecond))
	if rest == nil || err != nil {
		t.Fatalf("silence: rest %v, error %v", rest != nil, err)
	}
	if _, err := rest(within(t, 0)); kindOf(err) != transport.Timeout {
		t.Errorf("silence: %v", err)
	}
	settled("silence", 0)

	gone, stop := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, stop)
	if _, rest, err = n.Begin(gone, to, query(t, "x.test."), time.Now().Add(time.Minute)); rest != nil || kindOf(err) != transport.Canceled {
		t.Errorf("cancelled: rest %v, error %v", rest != nil, err)
	}
	settled("cancelled", 0)
}

// Who has not even a socket in time waits on for one.
func TestBeginWithoutSocket(t *testing.T) {
	at := udpServer(t, "127.14.2.2:0", func(q []byte, _ netip.AddrPort) [][]byte {
		if q[13] == 'x' {
			return nil
		}
		return [][]byte{answerTo(q, "")}
	})
	n := network(t, Config{Sockets: 1})
	to := transport.Target{Addr: at}
	_, first, err := n.Begin(t.Context(), to, query(t, "x.test."), time.Now())
	if first == nil || err != nil {
		t.Fatal(err)
	}
	_, second, err := n.Begin(t.Context(), to, query(t, "a.test."), time.Now().Add(time.Millisecond))
	if second == nil || err != nil {
		t.Fatal(err)
	}
	first(within(t, 0))
	if reply, err := second(within(t, time.Minute)); len(reply) == 0 || err != nil {
		t.Errorf("%d octets, error %v", len(reply), err)
	}
}

// Who has no time left gets the end, whatever it would wait for otherwise: the
// socket's clock and the context's must not leave a gap.
func TestBeginEndsWithItsContext(t *testing.T) {
	at := udpServer(t, "127.14.2.1:0", func([]byte, netip.AddrPort) [][]byte { return nil })
	n := network(t, Config{})
	for range 20 {
		_, rest, err := n.Begin(within(t, 5*time.Millisecond), transport.Target{Addr: at}, query(t, "a.test."), time.Now().Add(time.Minute))
		if rest != nil || err == nil {
			t.Fatalf("rest %v, error %v, expected the end", rest != nil, err)
		}
	}
}
