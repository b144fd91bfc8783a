// Package policies measures what a large policy zone does to a resolver and to the clients that it has meanwhile.
package policies

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"onoma/dns"
	"onoma/test/peers"
)

const (
	every    = time.Millisecond // between two queries of the client that is looked at
	patience = 4 * time.Minute
	// mark and markStall are what is promised for 2,000,000 rules.
	mark, markStall = 5 * time.Second, 50 * time.Millisecond
)

// rules is how many the large zone has: 2,000,000 for the mark, fewer in tests.
func rules(t *testing.T) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("ONOMA_RPZ_RULES"), "100000"))
	if err != nil || n < 1 {
		t.Fatal("ONOMA_RPZ_RULES is no number of rules")
	}
	return n
}

// writeZone writes a policy zone of n rules besides two by which it is told which one is in force, in a stroke.
func writeZone(t *testing.T, path string, n int, version byte) {
	t.Helper()
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "$TTL 60\n@ SOA ns. host. %d 3600 600 86400 60\n@ NS localhost.\nprobe.test A 192.0.2.99\n", version)
	for i := range n {
		fmt.Fprintf(w, "s%x.domain%d.net CNAME .\n", i*7919, i%100_000)
	}
	fmt.Fprintf(w, "marker.test A 192.0.2.%d\n", version)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// client asks a server for one name at a steady rate, and notes how long each answer took.
type client struct {
	conn  net.Conn
	sent  [1 << 16]atomic.Int64 // when, by ID
	stop  chan struct{}
	done  chan struct{}
	times []time.Duration
	lost  int
}

func probe(t *testing.T, addr netip.AddrPort) *client {
	t.Helper()
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{conn: conn, stop: make(chan struct{}), done: make(chan struct{})}
	go c.send(t)
	go c.receive()
	return c
}

func query(id uint16, name string) []byte {
	out, _ := dns.NewQuery(id, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, true).Append(nil)
	return out
}

func (c *client) send(t *testing.T) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	msg := query(0, "probe.test.")
	for id := uint16(0); ; id++ {
		select {
		case <-c.stop:
			time.Sleep(time.Second) // the last answers
			c.conn.Close()
			return
		case <-tick.C:
		}
		msg[0], msg[1] = byte(id>>8), byte(id)
		if c.sent[id].Swap(time.Now().UnixNano()) != 0 {
			c.lost++
		}
		if _, err := c.conn.Write(msg); err != nil {
			t.Errorf("sending: %v", err)
			return
		}
	}
}

func (c *client) receive() {
	defer close(c.done)
	buf := make([]byte, 512)
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			return
		}
		if n < 12 {
			continue
		}
		id := uint16(buf[0])<<8 | uint16(buf[1])
		if at := c.sent[id].Swap(0); at != 0 {
			c.times = append(c.times, time.Duration(time.Now().UnixNano()-at))
		}
	}
}

// end returns the times of the answers in order, and how many came not at all.
func (c *client) end() (times []time.Duration, lost int) {
	close(c.stop)
	<-c.done
	for i := range c.sent {
		if c.sent[i].Load() != 0 {
			c.lost++
		}
	}
	slices.Sort(c.times)
	return c.times, c.lost
}

// version asks which zone is in force; 0 where it cannot be told.
func version(addr netip.AddrPort) byte {
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write(query(1, "marker.test.")); err != nil {
		return 0
	}
	buf := make([]byte, 512)
	n, err := conn.Read(buf)
	if err != nil {
		return 0
	}
	m, err := dns.ParseMessage(buf[:n])
	if err != nil || len(m.Answer) != 1 || m.Answer[0].Type != dns.TypeA {
		return 0
	}
	return m.Answer[0].Data[3]
}

// server is one that is measured; reload has it look at its zone.
type server struct {
	name   string
	reload func(*peers.Server)
	start  func(t *testing.T, file string) *peers.Server
}

func hangUp(s *peers.Server) { _ = syscall.Kill(s.PID(), syscall.SIGHUP) }

// upstream answers that names do not exist: BIND asks it before it obeys a rule.
func upstream(t *testing.T) netip.AddrPort {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := dns.ParseMessage(buf[:n])
			if err != nil {
				continue
			}
			m.Flags |= dns.FlagQR | dns.FlagRA
			m.RCode, m.EDNS, m.Additional = dns.RCodeNXDomain, nil, nil
			m.Authority = []dns.Record{dns.MustRecord(". 60 IN SOA . . 1 1 1 1 60")}
			if out, err := m.Append(nil); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func servers(t *testing.T) []server {
	upstream := upstream(t)
	text := "$TTL 60\n@ SOA ns. host. 1 3600 600 86400 60\n@ NS localhost.\nprobe.test A 192.0.2.99\nmarker.test A 192.0.2.1\n"
	peer := func(r *peers.Resolver) server {
		return server{name: r.Name, reload: hangUp, start: func(t *testing.T, _ string) *peers.Server {
			return peers.PolicyResolver(t, r, upstream, []peers.PolicyZone{{Name: "big.rpz.", Text: text}})
		}}
	}
	return []server{{name: "onoma", reload: func(*peers.Server) {}, start: startOnoma}, peer(peers.Unbound), peer(peers.BINDResolver)}
}

func startOnoma(t *testing.T, file string) *peers.Server {
	sockets, err := os.MkdirTemp("", "p") // their paths must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	addr := peers.Addr(t)
	dir := filepath.Dir(file)
	writeZone(t, file, 0, 1)
	hints := filepath.Join(dir, "root.hints")
	if err := os.WriteFile(hints, []byte(". 3600 NS a.root.\na.root. 3600 A 127.17.0.250\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("data: %s/data\ncontrol: %s/c\nresolver:\n  listen: [%q]\n  root-hints: %s\n  policy: {rpz: {big.rpz: {file: %s}}}\n", dir, sockets, addr, hints, file)
	path := filepath.Join(dir, "onoma.yaml")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	if binary := os.Getenv("ONOMA_BINARY"); binary != "" { // one without checks of invariants
		return peers.Run(t, "onoma", dir, addr, binary, "serve", "--config", path)
	}
	return peers.StartOnoma(t, addr, "serve", "--config", path)
}

// status reads a line of the kernel's about a process, in KiB.
func status(pid int, key string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

// cpu returns what a process has used of the CPUs.
func cpu(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestLoad gives a resolver with a small policy zone a large one in its place, and looks at a client that asks 1000 times a second.
func TestLoad(t *testing.T) {
	n := rules(t)
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			if s.name != "onoma" && os.Getenv("ONOMA_RPZ_RULES") == "" {
				t.Skip("others are compared with by make rpz")
			}
			file := filepath.Join(t.TempDir(), "zone0")
			server := s.start(t, file)
			if s.name != "onoma" {
				file = filepath.Join(server.Dir, "zone0")
			}
			await(t, server, 1)
			calm, _ := func() ([]time.Duration, int) { c := probe(t, server.Addr); time.Sleep(time.Second); return c.end() }()
			writeZone(t, file+".large", n, 2)
			before := cpu(server.PID())
			c := probe(t, server.Addr)
			if err := os.Rename(file+".large", file); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			s.reload(server)
			await(t, server, 2)
			took := time.Since(start)
			time.Sleep(time.Second) // what it does afterwards counts, too
			times, lost := c.end()
			work := cpu(server.PID()) - before
			worst := times[len(times)-1]
			t.Logf("%d rules in force after %.2f s, %.2f s of CPU; %d answers meanwhile, half within %v, 99.9 %% within %v, the slowest %v (before: %v), %d not answered; %d MiB",
				n, took.Seconds(), work.Seconds(), len(times), times[len(times)/2], times[len(times)*999/1000], worst, calm[len(calm)-1], lost, status(server.PID(), "VmRSS")/1024)
			if s.name == "onoma" {
				held(t, server, n, worst, lost)
			}
		})
	}
}

// await waits until a zone is in force.
func await(t *testing.T, s *peers.Server, want byte) {
	t.Helper()
	for end := time.Now().Add(patience); version(s.Addr) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("zone %d does not come into force within %v", want, patience)
		}
	}
}

// held holds onoma to the mark: what it says of the load itself, since a file is looked at every few seconds only.
func held(t *testing.T, s *peers.Server, n int, worst time.Duration, lost int) {
	var took []time.Duration
	for line := range strings.Lines(s.Log()) {
		if _, text, ok := strings.Cut(line, "policy in force"); ok {
			_, text, _ = strings.Cut(strings.TrimSpace(text), "took=")
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, d)
		}
	}
	if len(took) != 2 {
		t.Fatalf("its log says %d times that a policy is in force, expected twice", len(took))
	}
	t.Logf("reading, compiling and swapping took %v", took[1])
	if lost > 0 {
		t.Errorf("%d queries were not answered", lost)
	}
	factor := time.Duration(20) // where other tests run
	if os.Getenv("ONOMA_RPZ_RULES") != "" {
		factor = 1
	}
	if worst > factor*markStall || took[1] > factor*mark {
		t.Errorf("%d rules took %v, and the slowest answer meanwhile %v; expected %v and %v at most", n, took[1], worst, factor*mark, factor*markStall)
	}
}
