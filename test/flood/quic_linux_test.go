package flood

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// doq is how the clients of these tests speak QUIC.
var doq = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}, MinVersion: tls.VersionTLS13}

// initials records the first packets of n connections that nobody answers: each is as good as the first packet of any
// client, from whatever address it seems to come.
func initials(t *testing.T, n int) [][]byte {
	t.Helper()
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	sink.SetReadBuffer(8 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if c, err := quic.DialAddr(ctx, sink.LocalAddr().String(), doq, nil); err == nil {
				c.CloseWithError(0, "")
			}
		})
	}
	seen := make(map[string]bool)
	var first [][]byte
	buf := make([]byte, 2048)
	sink.SetReadDeadline(time.Now().Add(10 * time.Second))
	for len(first) < n {
		k, err := sink.Read(buf)
		if err != nil {
			break
		}
		// A long header of type Initial, and a destination that was not seen yet (RFC 9000 §17.2.2).
		if k < 1200 || buf[0]&0xf0 != 0xc0 || seen[string(buf[6:14])] {
			continue
		}
		seen[string(buf[6:14])] = true
		first = append(first, append([]byte(nil), buf[:k]...))
	}
	cancel()
	wg.Wait()
	if len(first) < n/2 {
		t.Fatalf("only %d first packets were recorded", len(first))
	}
	return first
}

// stormRate is connection attempts a second: several times what a CPU can give a handshake each.
const stormRate = 20_000

// storm sends first packets from forged addresses.
func (r *rig) storm(t *testing.T, rate int) *attack {
	pool := initials(t, 400)
	size := len(pool[0])
	return r.begin(t, udpFrame(r.serverMAC, make([]byte, size)), rate, func(f frame, rng *rand.Rand) {
		copy(f[atMessage:], pool[rng.IntN(len(pool))][:size])
		f.from(anyone(rng), uint16(1024+rng.IntN(60000)))
		binary.BigEndian.PutUint16(f[atUDP+2:], 853)
	})
}

// askOverQUIC opens a connection, asks once, and closes it.
func (r *rig) askOverQUIC(from net.IP, framed []byte) error {
	var pc *net.UDPConn
	err := r.outside.do(func() (err error) {
		pc, err = net.ListenUDP("udp4", &net.UDPAddr{IP: from})
		return err
	})
	if err != nil {
		return err
	}
	tr := &quic.Transport{Conn: pc}
	defer pc.Close()
	defer tr.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	c, err := tr.Dial(ctx, &net.UDPAddr{IP: serverAddr.AsSlice(), Port: 853}, doq, nil)
	if err != nil {
		return err
	}
	defer c.CloseWithError(0, "")
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	s.Write(framed)
	s.Close()
	s.SetReadDeadline(time.Now().Add(3 * patience))
	_, err = io.ReadFull(s, make([]byte, 14))
	return err
}

// A storm of QUIC connections from forged addresses: clients that exist come in by Retry, and UDP does not notice.
func TestQUICStorm(t *testing.T) {
	r := newRig(t)
	p := r.start(t, "msg=ready", program(t), "authority", "--listen", serverAddr.String()+":53,quic://"+serverAddr.String()+":853",
		"--zone", "example.com="+plainZone(t), "--threads", "1", "--tls-self-signed")
	query := question(t, "www.example.com.", dns.TypeA, false)
	binary.BigEndian.PutUint16(query, 0) // RFC 9250 §4.2.1
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	udp := r.good(t, 0, goodClients, goodRate, query)
	udp.during(2 * time.Second)
	a := r.storm(t, stormRate)
	time.Sleep(500 * time.Millisecond)
	var asked, answered atomic.Int64
	var wg sync.WaitGroup
	from, until := time.Now().UnixNano(), time.Now().Add(span())
	for i := range 5 {
		wg.Go(func() {
			for time.Now().Before(until) {
				asked.Add(1)
				if err := r.askOverQUIC(goodAddr(120+i).AsSlice(), framed); err == nil {
					answered.Add(1)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	got := udp.since(from)
	sent := a.end()
	share := float64(answered.Load()) / float64(asked.Load())
	t.Logf("%d first packets: good clients over QUIC keep %.1f %% of %d answers, over UDP %.1f %% (p99 %v); memory %d MB",
		sent, 100*share, asked.Load(), 100*got.share(), got.quantile(0.99), p.memory()>>20)
	if got.share() < goodShare {
		t.Errorf("expected %.0f %% at least over UDP", 100*goodShare)
	}
	if share < goodShare {
		t.Errorf("expected %.0f %% at least over QUIC", 100*goodShare)
	}
	if p.memory() > memoryBound {
		t.Errorf("the server takes %d MB", p.memory()>>20)
	}
}
