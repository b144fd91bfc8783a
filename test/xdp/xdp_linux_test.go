package xdp

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
	"onoma/test/wire"
)

// socketPort is where the same process listens by sockets alone.
const socketPort = 5300

// log is a process's standard error.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve runs onoma on the wire, by XDP and beside it by sockets, until the test ends.
func serve(t *testing.T, w *wire.Wire, args ...string) {
	t.Helper()
	listen := fmt.Sprintf("xdp://%s?fallback=off,%s:%d,[%s]:%[3]d", wire.ServerDev, wire.Server4, socketPort, wire.Server6)
	var l log
	cmd := w.Command(w.Server, peers.Binary(t), append([]string{"authority", "--listen", listen}, args...)...)
	cmd.Stderr = &l
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("SIGTERM: %v:\n%s", err, l.String())
			}
		case <-time.After(20 * time.Second):
			t.Errorf("still there 20 s after SIGTERM:\n%s", l.String())
			_ = cmd.Process.Kill()
		}
		if out := w.IP(t, w.Server, "link show", wire.ServerDev); strings.Contains(out, "prog/xdp") {
			t.Errorf("the program is still on the interface:\n%s", out)
		}
	})
	for until := time.Now().Add(60 * time.Second); !strings.Contains(l.String(), "ready"); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- nil
			if strings.Contains(l.String(), "AF_XDP is not available") {
				t.Skipf("no AF_XDP here: %s", l.String())
			}
			t.Fatalf("onoma ended: %v:\n%s", err, l.String())
		default:
		}
		if time.Now().After(until) {
			t.Fatalf("onoma is not ready:\n%s", l.String())
		}
	}
}

// rootZone writes the signed root zone to a file.
func rootZone(t *testing.T) string {
	t.Helper()
	f, err := os.Open(filepath.Join(peers.ModuleRoot(), "lab/data/root.zone.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "root.zone")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// asker is a UDP socket at the client.
type asker struct{ net.Conn }

func dial(t *testing.T, w *wire.Wire, addr string, port uint16) asker {
	t.Helper()
	var a asker
	w.In(t, w.Client, func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), port)))
		a.Conn = conn
		return err
	})
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// ask returns the answer to msg; the machine may be busy, so it asks again.
func (a asker) ask(t *testing.T, msg []byte) []byte {
	t.Helper()
	buf := make([]byte, 65535)
	for range 5 {
		if _, err := a.Write(msg); err != nil {
			t.Fatal(err)
		}
		_ = a.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, err := a.Read(buf)
			if err != nil {
				break
			}
			if n >= 2 && bytes.Equal(buf[:2], msg[:2]) {
				return buf[:n:n]
			}
		}
	}
	t.Fatalf("no answer from %v to %x", a.RemoteAddr(), msg)
	return nil
}

// questions are about the root: what it has, what it has not, and what it delegates, in all dialects.
func questions(t *testing.T, n int) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	labels := []string{"com", "net", "org", "arpa", "guru", "de", "xn--p1ai", "zz", "nosuch", "www.example.com", "a.root-servers.net", "aaa", "zw", ""}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeANY, dns.TypeRRSIG, 65280}
	sizes := []uint16{0, 512, 1232, 1400, 4096, 65535}
	var out [][]byte
	for i := range n {
		m := new(dns.Msg)
		name := labels[r.IntN(len(labels))]
		if r.IntN(3) == 0 {
			name = string([]byte{byte('a' + r.IntN(26)), byte('a' + r.IntN(26))})
		}
		m.SetQuestion(dns.Fqdn(name), types[r.IntN(len(types))])
		m.Id, m.RecursionDesired = uint16(i), r.IntN(2) == 0
		if size := sizes[r.IntN(len(sizes))]; size > 0 {
			m.SetEdns0(size, r.IntN(2) == 0)
		}
		msg, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		switch r.IntN(20) {
		case 0:
			msg[2] |= byte(r.IntN(16)) << 3 // any opcode
		case 1:
			msg = msg[:12+r.IntN(len(msg)-12)]
		}
		out = append(out, msg)
	}
	return out
}

func TestNoBitDiffers(t *testing.T) {
	w := wire.New(t)
	serve(t, w, "--zone", ".="+rootZone(t))
	for _, addr := range []string{wire.Server4, wire.Server6} {
		byXDP, bySocket := dial(t, w, addr, 53), dial(t, w, addr, socketPort)
		tc := 0
		for _, msg := range questions(t, 600) {
			got, want := byXDP.ask(t, msg), bySocket.ask(t, msg)
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: query\n%s\nby XDP\n%s\nby socket\n%s", addr, hex.Dump(msg), hex.Dump(got), hex.Dump(want))
			}
			if got[2]&2 != 0 {
				tc++
			}
		}
		if tc == 0 {
			t.Errorf("%s: no answer was truncated; the questions are too tame", addr)
		}
	}
}

// TestCookies has a client that insists on its cookies, which the transport knows nothing of.
func TestCookies(t *testing.T) {
	w := wire.New(t)
	serve(t, w, "--zone", ".="+rootZone(t))
	a := dial(t, w, wire.Server4, 53)
	m := new(dns.Msg)
	m.SetQuestion("com.", dns.TypeNS)
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"})
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var r dns.Msg
	if err := r.Unpack(a.ask(t, msg)); err != nil {
		t.Fatal(err)
	}
	for _, o := range r.IsEdns0().Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok && len(c.Cookie) == 48 && strings.HasPrefix(c.Cookie, "0123456789abcdef") {
			return
		}
	}
	t.Errorf("no server cookie (RFC 9018) in the answer:\n%v", &r)
}

// TestRateLimit asks the same thing over and over: most of it must go unanswered or be truncated, as over sockets.
func TestRateLimit(t *testing.T) {
	w := wire.New(t)
	serve(t, w, "--zone", ".="+rootZone(t), "--rate-limit", "5", "--rate-limit-slip", "2")
	a := dial(t, w, wire.Server4, 53)
	m := new(dns.Msg)
	m.SetQuestion("com.", dns.TypeNS)
	whole, cut := 0, 0
	const asked = 60
	for i := range asked {
		m.Id = uint16(i)
		msg, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 4096)
	_ = a.SetReadDeadline(time.Now().Add(time.Second))
	for {
		n, err := a.Read(buf)
		if err != nil {
			break
		}
		if n > 2 && buf[2]&2 != 0 {
			cut++
		} else {
			whole++
		}
	}
	// The limit may have been refilled while a busy machine took its time.
	if whole == 0 || whole > asked/2 || cut == 0 || whole+cut == asked {
		t.Errorf("of %d questions %d were answered and %d got a truncated answer", asked, whole, cut)
	}
}

// TestDnstap finds what was asked by XDP in the file that dnstap is written to.
func TestDnstap(t *testing.T) {
	w := wire.New(t)
	file := filepath.Join(t.TempDir(), "tap")
	serve(t, w, "--zone", ".="+rootZone(t), "--dnstap", "file://"+file)
	m := new(dns.Msg)
	m.SetQuestion("tapped-by-xdp.", dns.TypeA)
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	dial(t, w, wire.Server4, 53).ask(t, msg)
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := os.ReadFile(file)
		if bytes.Count(got, []byte("\x0dtapped-by-xdp\x00")) >= 2 {
			return // the query and the answer
		}
		if time.Now().After(until) {
			t.Fatalf("the question is not in dnstap's %d bytes (%v)", len(got), err)
		}
	}
}

// TestRights shows what somebody reads who may not use AF_XDP, that the server serves all the same, and which rights are enough.
func TestRights(t *testing.T) {
	for _, program := range []string{"setpriv", "prlimit"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s: Debian package util-linux is not installed", program)
		}
	}
	zone := rootZone(t)
	const enough = "+net_bind_service,+net_admin,+net_raw,+bpf"
	for _, c := range []struct {
		name, rights, memory string
		want                 []string
	}{
		{"none", "+net_bind_service", "8388608", []string{"served over ordinary sockets", "lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF", "AmbientCapabilities="}},
		{"some", "+net_bind_service,+net_admin,+bpf", "8388608", []string{"served over ordinary sockets", "lacks CAP_NET_RAW;"}},
		{"enough", enough, "8388608", []string{"AF_XDP attached"}},
		{"no memory to lock", enough, "1000000", []string{"served over ordinary sockets", "LimitMEMLOCK"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wire.New(t)
			var l log
			cmd := w.Command(w.Server, "prlimit", "--memlock="+c.memory, "setpriv", "--bounding-set", "-all,"+c.rights, "--inh-caps", "-all",
				peers.Binary(t), "authority", "--listen", "xdp://"+wire.ServerDev, "--zone", ".="+zone)
			cmd.Stderr = &l
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
			for until := time.Now().Add(60 * time.Second); !strings.Contains(l.String(), "ready"); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("onoma is not ready:\n%s", l.String())
				}
			}
			for _, want := range c.want {
				if !strings.Contains(l.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, l.String())
				}
			}
			m := new(dns.Msg)
			m.SetQuestion(".", dns.TypeSOA)
			msg, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			dial(t, w, wire.Server4, 53).ask(t, msg)
		})
	}
}
