package transport

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// Clients that send a part of a message and an octet more now and then, for ever, give way to one that asks.
func TestTCPSlowClientsGiveWay(t *testing.T) {
	const room = 6
	s := start(t, Config{Handler: flip, TCP: TCPLimits{MaxConns: room, MaxConnsPerClient: room, MessageTimeout: time.Minute}})
	var slow []net.Conn
	for range room {
		c := dialFrom(t, TCP, netip.MustParseAddr("127.0.0.3"), s.Addrs()[0])
		c.Write([]byte{0, 40, 1})
		slow = append(slow, c)
	}
	eventually(t, "all are in", func() bool { return s.Stats().Conns.Open == room })
	good := dial(t, TCP, s.Addrs()[0])
	ask(t, good)
	for range 3 * room {
		for _, c := range slow {
			c.Write([]byte{2}) // fails once the server has closed it
		}
		slow = append(slow, dialFrom(t, TCP, netip.MustParseAddr("127.0.0.3"), s.Addrs()[0]))
		slow[len(slow)-1].Write([]byte{0, 40, 1})
		ask(t, good)
	}
	if st := s.Stats().Conns; st.Refused != 0 || st.Open != room {
		t.Errorf("counters: %+v", st)
	}
}

func ask(t *testing.T, c net.Conn) {
	t.Helper()
	send(t, c, message(1, "now"))
	if textOf(receive(t, c)) != "now" {
		t.Error("a wrong answer")
	}
}

// Clients that ask and do not read give way when they have not done so for a while.
func TestTCPClientsThatDoNotReadGiveWay(t *testing.T) {
	big := WorkerFunc(func(dst []byte, q *Query) []byte { return append(append(dst, q.Msg...), make([]byte, 60000)...) })
	const room = 3
	s := start(t, Config{Handler: big, TCP: TCPLimits{MaxConns: room, WriteTimeout: time.Minute}})
	for range room {
		c := dialFrom(t, TCP, netip.MustParseAddr("127.0.0.3"), s.Addrs()[0]).(*net.TCPConn)
		c.SetReadBuffer(4096)
		go func() {
			c.SetWriteDeadline(time.Now().Add(5 * time.Second))
			for {
				if _, err := c.Write(frame(message(1, "now"))); err != nil {
					return
				}
			}
		}()
	}
	eventually(t, "a client that reads is answered", func() bool {
		c, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		c.Write(frame(message(2, "now")))
		n, _ := c.Read(make([]byte, 2))
		return n > 0
	})
}
