package attack

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

// forged is the data that nobody may ever get.
const forged = "203.0.113.66"

// TestKaminsky: who cannot see a query has to guess its port and its ID (RFC 5452). Both are evenly spread, over all
// threads of the process, and a reply that is wrong in one of them, or comes from elsewhere, is not taken, however many come.
func TestKaminsky(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	elsewhere := w.listen()
	w.start()
	const names = 4000
	ask := func(i int) dns.Question {
		return dns.Question{Name: victim.at("p%d", i), Type: dns.TypeA, Class: dns.ClassIN}
	}
	c := w.spend(names, func() { w.flood(names, 16, ask) })
	var ports, ids, steps []int
	distinct := map[int]bool{}
	for _, s := range victim.server.sightings() {
		if !s.TCP {
			ports, ids = append(ports, int(s.From.Port())), append(ids, int(s.ID))
			distinct[int(s.From.Port())] = true
		}
	}
	low, high := ephemeral(t)
	if slices.Min(ports) < low || slices.Max(ports) > high {
		low, high = 1024, 65535
	}
	width := high - low + 1
	for i := range len(ports) - 1 {
		steps = append(steps, (ports[i+1]-ports[i]+width)%width)
	}
	// 64 classes: chance exceeds 63 + 6 standard deviations (11.2) less than once in ten million runs.
	const most = 63 + 6*11.3
	p, id, step := evenness(ports, low, width), evenness(ids, 0, 1<<16), evenness(steps, 0, width)
	if p > most || id > most || step > most {
		t.Errorf("chi-squared of 64 classes is %.0f for ports, %.0f for the steps between them, and %.0f for IDs; at most %.0f is chance", p, step, id, most)
	}
	// So many of these draws are distinct on average, give or take 15; a small pool has fewer.
	if expected := float64(width) * (1 - math.Exp(-float64(len(ports))/float64(width))); float64(len(distinct)) < 0.97*expected {
		t.Errorf("%d queries came from %d ports, %.0f expected: a small pool", len(ports), len(distinct), expected)
	}
	// RFC 5452 §4.5 wants as large a range as can be; Linux has 28,232 ports for who does not choose.
	if width < 16384 {
		t.Errorf("the ports are of %d", width)
	}
	victim.server.set(forging(elsewhere))
	w.spend(1, func() {
		for i := range 40 {
			w.expect(victim.at("f%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		}
	})
	w.row(row{attack: "Kaminsky 2008", defence: "random port and ID for every query, on a connected socket; mismatches lead to TCP",
		ceiling: ceiling{messages: 1.2, octets: 1000, cpu: 6}, cost: c, // a query, and a share of what is lost
		seen: fmt.Sprintf("chi² of 64 classes (63 is chance): ports %.0f of %d, steps %.0f, IDs %.0f; 240 forged replies, none taken", p, width, step, id)})
}

// evenness is chi-squared of 64 classes of values from lowest, which are of so many.
func evenness(values []int, lowest, width int) (sum float64) {
	var classes [64]float64
	for _, v := range values {
		classes[(v-lowest)*64/width]++
	}
	for i, n := range classes {
		// The classes are not quite of one size.
		size := (width*(i+1)+63)/64 - (width*i+63)/64
		expected := float64(len(values)) * float64(size) / float64(width)
		sum += math.Pow(n-expected, 2) / expected
	}
	return sum
}

// ephemeral are the ports that the kernel gives to who does not choose.
func ephemeral(t *testing.T) (low, high int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 1024, 65535
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		t.Fatal(err)
	}
	return low, high
}

// forging sends, before each true answer over UDP, what an attacker can send who knows the port: the right reply from
// another address, and replies with a wrong ID and with another question from the right one.
func forging(elsewhere *server) handler {
	return func(q *asked) *dns.Message {
		if q.isTCP {
			return honest(q)
		}
		lie := q.reply(dns.RCodeNoError, rr("%s 86400 A %s", q.Question().Name, forged))
		_, _ = elsewhere.udp.WriteToUDPAddrPort(q.pack(lie), q.client)
		other := *lie
		other.Questions = []dns.Question{{Name: dns.MustName("www.good."), Type: dns.TypeA, Class: dns.ClassIN}}
		q.send(q.pack(&other))
		for i := range 4 {
			lie.ID = q.ID + 1 + uint16(i)
			q.send(q.pack(lie))
		}
		return honest(q)
	}
}

// TestSADDNS: an attacker looks for the port of a query by what the kernel says of it: ICMP for closed ports, nothing for
// open ones (CVE-2020-25705). The socket is connected to the server, so that for others it is as closed as all.
func TestSADDNS(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	open, closed := make(chan string, 64), make(chan string, 64)
	attacker := netip.AddrFrom4([4]byte{127, 18, w.block, 252})
	victim.server.set(func(q *asked) *dns.Message {
		if strings.HasPrefix(q.Question().Name.Fold().FirstLabel(), "s") {
			open <- probe(attacker, q.client)
			closed <- probe(attacker, netip.AddrPortFrom(q.client.Addr(), 9)) // discard: nobody listens
		}
		return honest(q)
	})
	w.start()
	c := w.spend(20, func() {
		for i := range 20 {
			w.expect(victim.at("s%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		}
	})
	seen := 0
	for range len(open) {
		if o, c := <-open, <-closed; o != c {
			t.Errorf("a probe of the query's port: %s; of a closed port: %s; expected the same", o, c)
		}
		seen++
	}
	if seen == 0 {
		t.Error("no port was probed")
	}
	w.row(row{attack: "SAD DNS 2020", defence: "connected sockets: for all but the server the port is closed",
		ceiling: ceiling{messages: 1.2, octets: 1000, cpu: 6}, cost: c, // probes cost the resolver nothing
		seen: fmt.Sprintf("%d probes of open ports, none told from closed ones", seen)})
}

// probe says what an address learns of a port by a packet.
func probe(from netip.Addr, to netip.AddrPort) string {
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 40)); err != nil {
		return "refused"
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "refused") {
		return "refused"
	}
	return "silence"
}

// TestFragments: what does not come in fragments cannot be replaced in part. No more than 1232 octets are asked for, nor
// sent to clients (RFC 9715), and a longer answer goes over TCP.
func TestFragments(t *testing.T) {
	w := newWorld(t)
	evil := w.zone("evil.", bigTXT("big", 13))
	w.start()
	c := w.spend(1, func() { w.expectRecords(evil.at("big"), dns.TypeTXT, 13) })
	var overTCP bool
	largest := uint16(0)
	for _, s := range w.servers {
		for _, q := range s.sightings() {
			overTCP = overTCP || q.TCP
			if q.EDNS != nil {
				largest = max(largest, q.EDNS.UDPSize)
			}
		}
	}
	if largest > 1232 || !overTCP {
		t.Errorf("up to %d octets are asked for over UDP, TCP used: %v", largest, overTCP)
	}
	m := dns.NewQuery(1, dns.Question{Name: evil.at("big"), Type: dns.TypeTXT, Class: dns.ClassIN}, true)
	m.EDNS = &dns.EDNS{UDPSize: 65535}
	if n := len(w.raw(m)); n > 1232 {
		t.Errorf("an answer of %d octets was sent over UDP to a client that takes all", n)
	}
	w.row(row{attack: "fragmentation 2013, CVE-2025-59024", defence: "1232 octets asked for and sent at most, no path MTU discovery, TCP beyond",
		ceiling: ceiling{messages: 4, octets: 12_000, cpu: 20}, cost: c, // the root, the zone by UDP and by TCP
		seen: fmt.Sprintf("%d octets asked for", largest)})
}

// bigTXT are so many records of 250 octets.
func bigTXT(owner string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s 60 TXT %s%03d\n", owner, strings.Repeat("y", 247), i)
	}
	return b.String()
}

// TestTuDoor: a reply that cannot be read is no answer, and no reason to give up: the good one that comes after it is taken.
func TestTuDoor(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	victim.server.set(func(q *asked) *dns.Message {
		if !q.isTCP {
			empty := q.pack(q.reply(dns.RCodeNoError))
			q.send(empty[:5])
			q.send(append(empty[:12:12], 0xC0, 0x0C, 0xC0, 0x0C)) // a pointer to itself
			time.Sleep(20 * time.Millisecond)
		}
		return honest(q)
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(victim.at("t%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		}
	})
	w.row(row{attack: "TuDoor 2024", defence: "what cannot be read is ignored and waiting goes on",
		ceiling: ceiling{messages: 4, octets: 2000, cpu: 20}, cost: c, // by UDP, and again by TCP
		seen: "all answers found"})
}

// TestThrottling: junk in the name of an honest server does not make it look bad (CVE-2023-26437).
func TestThrottling(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	w.start()
	victim.server.set(func(q *asked) *dns.Message {
		if !q.isTCP {
			for i := range 20 {
				lie := q.reply(dns.RCodeServFail)
				lie.ID += 1 + uint16(i)
				q.send(q.pack(lie))
			}
		}
		return honest(q)
	})
	const names = 50
	c := w.spend(names, func() {
		for i := range names {
			w.expect(victim.at("a%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		}
	})
	victim.server.set(honest)
	start := time.Now()
	for i := range names {
		w.expect(victim.at("b%d", i), dns.TypeA, "NOERROR 192.0.2.7")
	}
	after := time.Since(start) / names
	if after > 100*time.Millisecond {
		t.Errorf("after the attack a name of the server takes %v", after)
	}
	w.row(row{attack: "throttling by junk, CVE-2023-26437", defence: "what does not match says nothing of the server",
		ceiling: ceiling{messages: 3, octets: 3000, cpu: 20}, cost: c, // by UDP, and by TCP
		seen: fmt.Sprintf("%v for a name afterwards", after.Round(100*time.Microsecond))})
}
