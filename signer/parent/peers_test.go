package parent

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

var (
	example = dns.MustName("example.")
	child   = zone.IDOf("", dns.MustName("child.example."))
)

// parentZone writes the zone above child, with these lines more, and signs it if keys is where keys are.
func parentZone(t *testing.T, file, keys string, serial int, server netip.Addr, lines ...string) {
	t.Helper()
	text := fmt.Sprintf("$TTL 300\n@ IN SOA ns.example. hostmaster.example. %d 3600 600 86400 60\n@ NS ns\nns A %s\nchild NS ns.child\nns.child A 192.0.2.1\n%s\n",
		serial, server, strings.Join(lines, "\n"))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if keys == "" {
		return
	}
	if out, err := exec.Command("dnssec-signzone", "-d", filepath.Dir(file), "-S", "-z", "-K", keys, "-o", "example.", "-N", "keep", "-f", file, file).CombinedOutput(); err != nil {
		t.Fatalf("dnssec-signzone: %v\n%s", err, out)
	}
}

// parentKeys makes a key for it.
func parentKeys(t *testing.T) string {
	t.Helper()
	peers.Need(t, "dnssec-keygen")
	dir := t.TempDir()
	if out, err := exec.Command("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", dir, "example.").CombinedOutput(); err != nil {
		t.Fatalf("dnssec-keygen: %v\n%s", err, out)
	}
	return dir
}

func dsLine(t testing.TB, n int) string {
	return "child 300 DS " + testDS(t, n).RData().Text(dns.TypeDS)
}

// follow runs a Watcher until the test ends, and returns it with what it sees.
func follow(t *testing.T, o Options) (*Watcher, func(what string, is func(View) bool) View) {
	t.Helper()
	seen := make(chan View, 1000)
	o.Changed = func(_ zone.ID, v View) { seen <- v }
	o.Spread = time.Millisecond
	w := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w, func(what string, is func(View) bool) View {
		t.Helper()
		timeout := time.After(20 * time.Second)
		var last View
		for {
			select {
			case last = <-seen:
				if is(last) {
					return last
				}
			case <-timeout:
				t.Fatalf("never seen: %s. At last: %+v", what, last)
			}
		}
	}
}

func is(c Condition) func(View) bool { return func(v View) bool { return v.Condition == c } }

var quick = Delays{Often: 50 * time.Millisecond}

// TestParents looks at the DS at two servers of a signed parent, one of which lags, and one has no such zone.
func TestParents(t *testing.T) {
	for _, p := range []*peers.Peer{peers.NSD, peers.Knot, peers.BIND} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			keys := parentKeys(t)
			var servers [2]*peers.Server
			var files [2]string
			for i := range servers {
				addr := p.Addr(t)
				files[i] = filepath.Join(t.TempDir(), "example.zone")
				parentZone(t, files[i], keys, 1, addr.Addr())
				servers[i] = p.Serve(t, addr, peers.Serving{Zones: peers.Zones{{Name: "example.", File: files[i]}}})
			}
			w, await := follow(t, Options{})
			w.Set(Zone{
				ID: child, Parents: []netip.AddrPort{servers[0].Addr, servers[1].Addr}, Delays: quick,
				Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}},
			})
			v := await("no DS", is(Waiting))
			if v.NegativeTTL != time.Minute || !v.Signed || v.Parent != example {
				t.Errorf("negative TTL %s, signed %t, parent %s; want 1m0s, true, example.", v.NegativeTTL, v.Signed, v.Parent)
			}
			for i, s := range servers {
				parentZone(t, files[i], keys, 2, s.Addr.Addr(), dsLine(t, 1))
				p.Reread(t, s, "example.")
				if i == 0 {
					v = await("DS at one server", func(v View) bool { return v.Presence(testKey(1)) == Some })
					if v.Condition != Waiting {
						t.Errorf("one of two servers has the DS, and that is %s", v.Condition)
					}
				}
			}
			if v = await("DS at both servers", is(Secure)); v.Presence(testKey(1)) != All || v.TTL != 5*time.Minute || v.Delay == 0 {
				t.Errorf("present at %s, TTL %s, delay %s", v.Presence(testKey(1)), v.TTL, v.Delay)
			}
		})
	}
}

// TestFindsParent finds the servers by asking, here of a server that has both parent and child, which answers from the parent
// for DS (RFC 4035 §3.1.4.1).
func TestFindsParent(t *testing.T) {
	addr := peers.Knot.Addr(t)
	dir := t.TempDir()
	parentZone(t, filepath.Join(dir, "example"), "", 1, addr.Addr(), "deep.er NS ns", dsLine(t, 1))
	text := "$TTL 300\n@ SOA ns.child.example. a.example. 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n"
	if err := os.WriteFile(filepath.Join(dir, "child"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	peers.Knot.Start(t, peers.Zones{{Name: "example.", File: filepath.Join(dir, "example")}, {Name: "child.example.", File: filepath.Join(dir, "child")}}, addr)
	asker := New(Options{})
	w, await := follow(t, Options{Port: addr.Port(), Resolve: asker.direct([]netip.AddrPort{addr})})
	w.Set(Zone{ID: child, Delays: quick, Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}}})
	v := await("DS", is(Secure))
	if len(v.Servers) != 1 || v.Servers[0].Addr != addr || v.Servers[0].Name != dns.MustName("ns.example.") || v.Parent != example {
		t.Errorf("found %+v of %s", v.Servers, v.Parent)
	}
	deep := zone.IDOf("", dns.MustName("deep.er.example."))
	w.Set(Zone{ID: deep, Delays: quick})
	if v := await("a zone two labels below its parent", func(v View) bool { return v.Zone == deep && v.Condition == Insecure }); v.Parent != example {
		t.Errorf("the parent of %s is %s", deep, v.Parent)
	}
}

// TestChildServer refuses what a server says that has the zone itself and not its parent.
func TestChildServer(t *testing.T) {
	addr := peers.NSD.Addr(t)
	file := filepath.Join(t.TempDir(), "child")
	text := "$TTL 300\n@ SOA ns.child.example. a.example. 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	peers.NSD.Start(t, peers.Zones{{Name: "child.example.", File: file}}, addr)
	w := New(Options{})
	if s := w.lookAt(t.Context(), question{child: child.Name, server: addr}); !strings.Contains(s.err, "for the zone itself") {
		t.Errorf("the server of the child is taken for one of the parent: %+v", s)
	}
}

// TestPush puts DS records at BIND and Knot by signed UPDATE.
func TestPush(t *testing.T) {
	key := peers.Key{Name: "ds.", Secret: base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))}
	secret, _ := base64.StdEncoding.DecodeString(key.Secret)
	tsig := dns.TSIGKey{Name: dns.MustName(key.Name), Algorithm: dns.HMACSHA256, Secret: secret}
	starts := map[string]func(*testing.T, peers.Zones) *peers.Server{
		"BIND": func(t *testing.T, z peers.Zones) *peers.Server {
			return peers.StartUpdatableBIND(t, z, peers.BIND.Addr(t), map[string]string{"example.": "grant ds. subdomain example. DS;"}, key)
		},
		"Knot": func(t *testing.T, z peers.Zones) *peers.Server {
			return peers.StartUpdatableKnot(t, z, peers.Knot.Addr(t), key)
		},
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "example.zone")
			parentZone(t, file, "", 1, netip.MustParseAddr("192.0.2.53"), dsLine(t, 4))
			s := start(t, peers.Zones{{Name: "example.", File: file}})
			w, await := follow(t, Options{Keys: dns.Keys(tsig)})
			z := Zone{
				ID: child, Parents: []netip.AddrPort{s.Addr}, Delays: quick, Push: &Push{Server: s.Addr, Key: tsig.Name},
				Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}, Known: []dns.DNSKEY{testKey(1), testKey(2)}},
			}
			w.Set(z)
			w.Tell(child, dns.TypeCDS)
			// A stranger's DS is not overwritten.
			v := await("a push that stops", func(v View) bool { return v.Pushed != nil && v.Pushed.Error != "" })
			if !strings.Contains(v.Pushed.Error, "of no key of the zone") {
				t.Errorf("the push stopped because of: %s", v.Pushed.Error)
			}
			z.Push = &Push{Server: s.Addr, Key: tsig.Name, Strangers: true}
			w.Set(z)
			w.Tell(child, dns.TypeCDS)
			await("the first DS", is(Secure))
			w.Expect(child, Wanted{DS: []dns.DS{testDS(t, 1), testDS(t, 2)}, Keys: []dns.DNSKEY{testKey(1), testKey(2)}, Known: z.Wanted.Known})
			w.Tell(child, dns.TypeCDS)
			if v = await("two DS", is(Secure)); len(v.DS) != 2 || v.TTL != 5*time.Minute {
				t.Errorf("DS %v, TTL %s", v.DS, v.TTL)
			}
			w.Expect(child, Wanted{Known: z.Wanted.Known})
			w.Tell(child, dns.TypeCDS)
			await("no DS", is(Insecure))
		})
	}
}

// TestPushIsGuarded shows that prerequisites hold: a DS set that is not the one that was seen stays.
func TestPushIsGuarded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "example.zone")
	parentZone(t, file, "", 1, netip.MustParseAddr("192.0.2.53"), dsLine(t, 2), "undelegated TXT x")
	s := peers.StartUpdatableBIND(t, peers.Zones{{Name: "example.", File: file}}, peers.BIND.Addr(t), nil)
	w := New(Options{Keys: func(dns.Name) (dns.TSIGKey, bool) { return dns.TSIGKey{}, false }})
	o := (&watched{Zone: Zone{ID: child, Push: &Push{Server: s.Addr}, Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1), testKey(2)}}}}).order()
	send := func(o order, now seen) dns.RCode {
		t.Helper()
		u, err := w.update(t.Context(), o, now)
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.send(t.Context(), transport.TCP, s.Addr, u.Message())
		if err != nil {
			t.Fatal(err)
		}
		return m.RCode
	}
	if r := send(o, seen{parent: example}); r != dns.RCodeYXRRSet {
		t.Errorf("a set appeared meanwhile, and the answer is %s, not YXRRSET", r)
	}
	if r := send(o, seen{parent: example, ds: []dns.DS{testDS(t, 1)}}); r != dns.RCodeNXRRSet {
		t.Errorf("another set appeared meanwhile, and the answer is %s, not NXRRSET", r)
	}
	o.zone.ID = zone.IDOf("", dns.MustName("undelegated.example."))
	if r := send(o, seen{parent: example}); r != dns.RCodeNXRRSet {
		t.Errorf("there is no delegation, and the answer is %s, not NXRRSET", r)
	}
	if err := w.put(t.Context(), o); !strings.Contains(err, "key") {
		t.Errorf("without a key nothing may be sent; the push says %q", err)
	}
}

// scanner takes NOTIFY over UDP and TCP as a parent's receiver would, and drops the first so many.
type scanner struct {
	addr netip.AddrPort
	drop int
	code dns.RCode

	mu   sync.Mutex
	came []*dns.Message
}

func newScanner(t *testing.T, drop int, code dns.RCode) *scanner {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	s := &scanner{addr: pc.LocalAddr().(*net.UDPAddr).AddrPort(), drop: drop, code: code}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := s.take(buf[:n]); reply != nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	return s
}

func (s *scanner) take(msg []byte) []byte {
	m, err := dns.ParseMessage(msg)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.drop > 0 {
		s.drop--
		return nil
	}
	s.came = append(s.came, m)
	reply := &dns.Message{ID: m.ID, Flags: m.Flags | dns.FlagQR, RCode: s.code, Questions: m.Questions}
	if s.code != dns.RCodeNoError {
		reply.EDNS = &dns.EDNS{UDPSize: 1232, Options: []dns.Option{dns.EDE{Code: dns.EDEOther, Text: "not\x1b today"}.Option()}}
	}
	out, _ := reply.Append(nil)
	return out
}

func (s *scanner) messages() []*dns.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*dns.Message(nil), s.came...)
}

// TestNotify tells the receiver that the parent names by DSYNC, in each way that RFC 9859 §4.1 has.
func TestNotify(t *testing.T) {
	for name, owner := range map[string]string{"child": "child._dsync", "wildcard": "*._dsync", "parent": "_dsync"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newScanner(t, 1, dns.RCodeNoError)
			addr := peers.BIND.Addr(t)
			file := filepath.Join(t.TempDir(), "example.zone")
			parentZone(t, file, "", 1, netip.MustParseAddr("127.0.0.1"), fmt.Sprintf("%s TYPE66 \\# 17 003b01%04x026e73076578616d706c6500", owner, r.addr.Port()))
			peers.BIND.Start(t, peers.Zones{{Name: "example.", File: file}}, addr)
			w, await := follow(t, Options{Timeout: 300 * time.Millisecond})
			w.Set(Zone{
				ID: child, Parents: []netip.AddrPort{addr}, Delays: quick, Notify: true, ReportTo: dns.MustName("reports.ns.example."),
				Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}},
			})
			w.Tell(child, dns.TypeCDS)
			v := await("an answer to NOTIFY", func(v View) bool { return len(v.Told) == 1 && !v.Told[0].Answered.IsZero() })
			if v.Told[0].Error != "" || v.Told[0].Tries != 2 {
				t.Errorf("told: %+v, want the second try without error", v.Told[0])
			}
			m := r.messages()[0]
			report, ok := m.EDNS.Option(dns.OptionReportChannel)
			if m.Flags.Opcode() != dns.OpcodeNotify || m.Question().Type != dns.TypeCDS || m.Question().Name != child.Name || !ok {
				t.Errorf("what came is %+v with %+v", m, report)
			}
		})
	}
}

// TestNotifyRefused shows what a receiver says, made harmless for terminals, and tells it no more.
func TestNotifyRefused(t *testing.T) {
	r := newScanner(t, 0, dns.RCodeRefused)
	addr := peers.BIND.Addr(t)
	file := filepath.Join(t.TempDir(), "example.zone")
	parentZone(t, file, "", 1, netip.MustParseAddr("127.0.0.1"), fmt.Sprintf("_dsync TYPE66 \\# 17 003b01%04x026e73076578616d706c6500", r.addr.Port()))
	peers.BIND.Start(t, peers.Zones{{Name: "example.", File: file}}, addr)
	w, await := follow(t, Options{Timeout: 300 * time.Millisecond})
	w.Set(Zone{ID: child, Parents: []netip.AddrPort{addr}, Delays: quick, Notify: true, Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}}})
	w.Tell(child, dns.TypeCDS)
	v := await("a refusal", func(v View) bool { return strings.Contains(codes(v.Findings), "notify-failed") })
	if e := v.Told[0].Error; !strings.HasPrefix(e, "REFUSED") || !strings.Contains(e, "not. today") {
		t.Errorf("the refusal reads %q", e)
	}
	w.Tell(child, dns.TypeCSYNC)
	await("nobody for CSYNC", func(v View) bool { return strings.Contains(codes(v.Findings), "notify-none") })
	if n := len(r.messages()); n != 1 {
		t.Errorf("it was told %d times, want once", n)
	}
}

// TestNotifyTooEarly tells a receiver again that knows no such delegation yet.
func TestNotifyTooEarly(t *testing.T) {
	r := newScanner(t, 0, dns.RCodeNotAuth)
	addr := peers.BIND.Addr(t)
	file := filepath.Join(t.TempDir(), "example.zone")
	parentZone(t, file, "", 1, netip.MustParseAddr("127.0.0.1"), fmt.Sprintf("_dsync TYPE66 \\# 17 003b01%04x026e73076578616d706c6500", r.addr.Port()))
	peers.BIND.Start(t, peers.Zones{{Name: "example.", File: file}}, addr)
	w, await := follow(t, Options{Timeout: 100 * time.Millisecond})
	w.Set(Zone{ID: child, Parents: []netip.AddrPort{addr}, Delays: quick, Notify: true, Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}, Keys: []dns.DNSKEY{testKey(1)}}})
	w.Tell(child, dns.TypeCDS)
	await("the third try", func(v View) bool {
		return len(v.Told) == 1 && v.Told[0].Tries == 3 && strings.HasPrefix(v.Told[0].Error, "NOTAUTH")
	})
}
