package flood

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
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

const (
	goodClients = 100
	goodRate    = 20
	// goodShare is what good clients keep of their answers at three times what the server can do.
	goodShare = 0.9
	attempts  = 3
)

// span is how long a flood lasts: longer in `make flood`.
func span() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("ONOMA_FLOOD_SECONDS")); err == nil {
		return time.Duration(n) * time.Second
	}
	return 3 * time.Second
}

// scenario is a flood over UDP.
type scenario struct {
	name   string
	zone   func(t *testing.T) string // a file
	query  []byte                    // of the attack
	change func(f frame, rng *rand.Rand)
	flags  []string
}

// from0 is where the first label of a query's name begins, behind its length.
const firstLabel = atMessage + 12 + 1

// randomLabel writes hex digits over the first label, which has twelve octets.
func randomLabel(f frame, rng *rand.Rand) {
	const digits = "0123456789abcdef"
	x := rng.Uint64()
	for i := range 12 {
		f[firstLabel+i] = digits[x&15]
		x >>= 4
	}
}

func forged(f frame, rng *rand.Rand) { f.from(anyone(rng), uint16(1024+rng.IntN(60000))) }

func forgedSubdomain(f frame, rng *rand.Rand) {
	forged(f, rng)
	randomLabel(f, rng)
	binary.BigEndian.PutUint16(f[atMessage:], uint16(rng.Uint32()))
}

func question(t *testing.T, name string, kind uint16, do bool, options ...dns.EDNS0) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	m.RecursionDesired = false
	m.SetEdns0(1232, do)
	m.IsEdns0().Option = options
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const hosts = `$ORIGIN example.com.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ NS ns2
ns1 A 10.77.0.1
ns2 A 10.77.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "example.com.zone")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func plainZone(t *testing.T) string {
	var b strings.Builder
	b.WriteString(hosts)
	for i := range 1000 {
		fmt.Fprintf(&b, "host%d A 192.0.2.%d\n", i, i%250)
	}
	return write(t, b.String())
}

// signedZone has NSEC3 records with as many iterations as wanted.
func signedZone(iterations int) func(t *testing.T) string {
	return func(t *testing.T) string {
		peers.Need(t, "ldns-signzone")
		file := plainZone(t)
		sh := fmt.Sprintf(`cd %s && key=$(ldns-keygen -a ECDSAP256SHA256 example.com) &&
			ldns-signzone -n -t %d -s ab -f signed %s $key`, filepath.Dir(file), iterations, file)
		if out, err := exec.Command("sh", "-c", sh).CombinedOutput(); err != nil {
			t.Fatalf("signing: %v: %s", err, out)
		}
		return filepath.Join(filepath.Dir(file), "signed")
	}
}

func TestUDPFloods(t *testing.T) {
	wrongCookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef0100000065000000aabbccddeeff0011"}
	for _, s := range []scenario{
		{name: "forged sources, one name", zone: plainZone, query: question(t, "www.example.com.", dns.TypeA, false), change: forged},
		{name: "random subdomains", zone: plainZone, query: question(t, "aaaaaaaaaaaa.example.com.", dns.TypeA, false), change: forgedSubdomain},
		{name: "random subdomains, NSEC3", zone: signedZone(0), query: question(t, "aaaaaaaaaaaa.example.com.", dns.TypeA, true), change: forgedSubdomain},
		{name: "random subdomains, NSEC3 with 2500 iterations", zone: signedZone(2500), query: question(t, "aaaaaaaaaaaa.example.com.", dns.TypeA, true), change: forgedSubdomain},
		{name: "forged sources and cookies", zone: plainZone, query: question(t, "www.example.com.", dns.TypeA, false, wrongCookie), change: forged},
		{name: "one client that was good before", zone: plainZone, query: question(t, "www.example.com.", dns.TypeA, false),
			change: func(f frame, rng *rand.Rand) { f.from(goodAddr(0), uint16(1024+rng.IntN(60000))) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t)
			can, without := s.without(t, r)
			for try := 1; ; try++ {
				with := s.with(t, r, 3*can)
				t.Logf("capacity %.0f/s, flood %.1f times that: good clients keep %.1f %% of their answers (p99 %v), %.1f %% without triage",
					can, with.rate/can, 100*with.share(), with.quantile(0.99).Round(10*time.Microsecond), 100*without)
				if with.memory > memoryBound {
					t.Errorf("the server takes %d MB", with.memory>>20)
				}
				if with.share() >= goodShare {
					report(s.name, can, with, without)
					return
				}
				if try == attempts {
					t.Fatalf("good clients kept %.1f %%, expected %.0f %%", 100*with.share(), 100*goodShare)
				}
			}
		})
	}
}

// flooded is how a crowd fared under a flood.
type flooded struct {
	tally
	rate   float64 // packets a second of the flood
	memory int     // of the server, at its end
}

// serve starts our server on the scenario's zone.
func (s *scenario) serve(t *testing.T, r *rig, flags ...string) *process {
	args := []string{"authority", "--listen", serverAddr.String() + ":53", "--zone", "example.com=" + s.zone(t), "--threads", "1"}
	return r.start(t, "msg=ready", program(t), append(append(args, s.flags...), flags...)...)
}

// without measures what the server can do, and what good clients get then, with triage switched off.
func (s *scenario) without(t *testing.T, r *rig) (can, share float64) {
	p := s.serve(t, r, "--no-triage")
	defer p.stop(t)
	good := r.good(t, 1, goodClients, goodRate, question(t, "www.example.com.", dns.TypeA, false))
	defer good.end()
	can, got := s.saturate(t, r, good, time.Second)
	return can, got.share()
}

// saturate floods the server with all that there is for a while, and counts its answers.
func (s *scenario) saturate(t *testing.T, r *rig, good *crowd, d time.Duration) (can float64, f flooded) {
	a := r.begin(t, udpFrame(r.serverMAC, s.query), 0, s.change)
	time.Sleep(200 * time.Millisecond)
	before, _ := r.packets()
	began, sent := time.Now(), a.sent.Load()
	f.tally = good.during(d)
	after, _ := r.packets()
	sec := time.Since(began).Seconds()
	f.rate = float64(a.end()-sent) / sec
	return float64(after-before) / sec, f
}

func (s *scenario) with(t *testing.T, r *rig, rate float64) flooded {
	p := s.serve(t, r)
	defer p.stop(t)
	good := r.good(t, 0, goodClients+1, goodRate, question(t, "www.example.com.", dns.TypeA, false))
	defer good.end()
	if calm := good.during(3 * time.Second); calm.share() < 0.95 {
		t.Logf("in calm times only %.1f %% were answered", 100*calm.share())
	}
	good.ignored = 1 // client 0 may be the one that turns bad
	a := r.begin(t, udpFrame(r.serverMAC, s.query), int(rate), s.change)
	began := time.Now()
	got := good.during(span())
	sent := float64(a.end()) / time.Since(began).Seconds()
	return flooded{got, sent, p.memory()}
}

// memoryBound is what the server may take under any flood: its limits on connections and what each may hold come to less.
const memoryBound = 256 << 20
