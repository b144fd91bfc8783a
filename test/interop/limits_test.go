package interop

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// TestLimitedFlood floods our server from one network with questions for large answers, over real sockets: less comes back than
// was sent, while a client of another network, one with cookies and one over TCP from the same network get all their answers.
func TestLimitedFlood(t *testing.T) {
	zone := filepath.Join(t.TempDir(), "zone")
	text := "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nbig TXT" + strings.Repeat(` "`+strings.Repeat("x", 200)+`"`, 5) + "\n"
	if err := os.WriteFile(zone, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := peers.Addr(t)
	s := peers.StartOnoma(t, addr, "authority", "--listen", addr.String(), "--zone", "example.="+zone, "--rate-limit", "10")
	const victim, neighbour, other = "127.20.30.40", "127.20.30.41", "127.200.1.1"

	attack := from(t, victim, addr)
	big := new(dns.Msg)
	big.SetQuestion("big.example.", dns.TypeTXT)
	big.SetEdns0(4096, true)
	msg, err := big.Pack()
	if err != nil {
		t.Fatal(err)
	}
	const queries = 3000
	received := make(chan int)
	go func() { received <- drain(attack) }()
	began := time.Now()
	good := 0
	for i := range queries {
		if _, err := attack.Write(msg); err != nil {
			t.Fatal(err)
		}
		if i%300 == 299 { // ten questions of another network meanwhile
			good += answered(t, other, addr)
			time.Sleep(50 * time.Millisecond)
		}
	}
	took := time.Since(began)
	got, sent := <-received, queries*len(msg)
	t.Logf("%d octets sent in %v, %d came back: amplified %.2f times; without the limit it would be %.1f times", sent, took, got, float64(got)/float64(sent), 1100/float64(len(msg)))
	if got == 0 || got > sent {
		t.Errorf("%d octets came back for %d", got, sent)
	}
	if good != 10 {
		t.Errorf("another network got %d of 10 answers", good)
	}

	peers.Need(t, "dig")
	at, port := "@"+addr.Addr().String(), strconv.Itoa(int(addr.Port()))
	for _, args := range [][]string{{"+tcp", "+nocookie"}, {"+cookie", "+tries=5"}, {"+nocookie", "+tries=5"}} {
		out, err := exec.Command("dig", append([]string{at, "-p", port, "-b", neighbour, "big.example", "TXT", "+time=1"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "ANSWER: 1") {
			t.Errorf("dig %v from the limited network: %v\n%s", args, err, out)
		}
	}
	if log := s.Log(); !strings.Contains(log, "answers are limited") || !strings.Contains(log, "127.20.30.0/24") || strings.Count(log, "limited") > int(took/time.Second)+6 {
		t.Errorf("the log does not tell once a second who is limited:\n%s", log)
	}
}

// from is a socket of this address that asks the server.
func from(t *testing.T, source string, server netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(source)}, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// drain counts octets until nothing has come for three seconds.
func drain(c *net.UDPConn) (octets int) {
	buf := make([]byte, 4096)
	for {
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			return octets
		}
		octets += n
	}
}

// answered asks one question and says how many full answers came: one or none.
func answered(t *testing.T, source string, server netip.AddrPort) int {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("ns.example.", dns.TypeA)
	c := &dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}}
	r, _, err := c.Exchange(m, server.String())
	if err != nil || len(r.Answer) != 1 {
		t.Logf("asking from %s: %v %v", source, r, err)
		return 0
	}
	return 1
}
