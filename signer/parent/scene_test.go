package parent

import (
	"bufio"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

var rewrite = flag.Bool("rewrite", false, "write what happened into the scripts of testdata")

// TestScenes runs scripts against the core: lines are events and the passing of time; what the core does and sees is
// written below each.
func TestScenes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newScene(t)
			lines := bufio.NewScanner(strings.NewReader(string(want)))
			for lines.Scan() {
				if line := lines.Text(); !strings.HasPrefix(line, "\t") {
					s.line(line)
				}
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(s.out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), s.out.String()); diff != "" {
				t.Errorf("another course of things (-script +now); -rewrite takes it over:\n%s", diff)
			}
		})
	}
}

// scene is a core with one zone, and servers of its parent that answer as the script says.
type scene struct {
	t       *testing.T
	core    *core
	begin   time.Time
	now     time.Time
	id      zone.ID
	out     strings.Builder
	servers map[netip.AddrPort]seen
	parent  found
	tell    func() ([]Telling, string)
	push    string
	quiet   bool
}

func newScene(t *testing.T) *scene {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &scene{
		t: t, begin: start, now: start, id: zone.IDOf("", dns.MustName("child.example.")), servers: map[netip.AddrPort]seen{},
		tell: func() ([]Telling, string) { return nil, "nobody is named" },
	}
	s.core = newCore(Options{Most: 8, MostEach: 4, Spread: time.Second, Timeout: 2 * time.Second}, func(n int64) int64 { return n / 2 })
	return s
}

// testKey is a key by a number.
func testKey(n int) dns.DNSKEY {
	return dns.DNSKEY{Flags: 257, Protocol: 3, Algorithm: 13, PublicKey: []byte(strings.Repeat(string(rune('a'+n)), 64))}
}

func testDS(t testing.TB, n int) dns.DS {
	d, err := dnssec.MakeDS(dns.MustName("child.example."), testKey(n), dnssec.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func addrOf(word string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(word), 53)
}

// keys reads "1,2" or "-".
func (s *scene) keys(word string) (keys []dns.DNSKEY, set []dns.DS) {
	for _, n := range strings.Split(word, ",") {
		if k, err := strconv.Atoi(n); err == nil {
			keys, set = append(keys, testKey(k)), append(set, testDS(s.t, k))
		}
	}
	return keys, set
}

func (s *scene) wanted(words []string) Wanted {
	w := Wanted{}
	w.Keys, w.DS = s.keys(words[0])
	if len(words) > 1 {
		w.Known, _ = s.keys(words[1])
	}
	w.Unmanaged = slices.Contains(words, "unmanaged")
	return w
}

func (s *scene) line(line string) {
	s.out.WriteString(line + "\n")
	w := strings.Fields(line)
	if len(w) == 0 || strings.HasPrefix(line, "#") {
		return
	}
	switch w[0] {
	case "zone", "zone-was": // WANTED KNOWN
		z := Zone{ID: s.id, Wanted: s.wanted(w[1:]), Notify: true, WasThere: w[0] == "zone-was"}
		if slices.Contains(w, "push") {
			z.Push = &Push{Server: addrOf("192.0.2.99")}
		}
		s.core.set(z, s.now)
	case "expect":
		s.core.expect(s.core.zones[s.id], s.wanted(w[1:]), s.now)
	case "wake":
		s.core.wake(s.core.zones[s.id], s.now)
	case "tell":
		s.core.tell(s.core.zones[s.id], dns.TypeCDS, s.now)
	case "parent": // NAME ADDR...
		s.setParent(w[1:])
	case "server": // ADDR DS|down|noroute [unsigned]
		s.setServer(w[1:])
	case "receiver": // answer|notauth|silent|none
		s.setReceiver(w[1:])
	case "push":
		s.push = strings.TrimSpace(strings.TrimPrefix(line, "push"))
	case "quiet":
		s.quiet = true
	case "loud":
		s.quiet = false
	case "for":
		d, err := time.ParseDuration(w[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass(d)
	case "state":
		s.state()
	default:
		s.t.Fatalf("unknown line %q", line)
	}
}

func (s *scene) setParent(w []string) {
	if len(w) == 1 {
		s.parent = found{err: w[0]}
		return
	}
	s.parent = found{parent: dns.MustName(w[0])}
	for i, a := range w[1:] {
		s.parent.servers = append(s.parent.servers, foundServer{dns.MustName(fmt.Sprintf("ns%d.example.", i/2)), addrOf(a)})
	}
}

func (s *scene) setServer(w []string) {
	x := seen{ttl: time.Hour, signed: !slices.Contains(w, "unsigned"), parent: dns.MustName("example.")}
	switch w[1] {
	case "down":
		x = seen{err: "no answer in time"}
	case "noroute":
		x = seen{err: "unreachable", unreachable: true}
	default:
		_, x.ds = s.keys(w[1])
	}
	s.servers[addrOf(w[0])] = x
}

func (s *scene) setReceiver(w []string) {
	s.tell = func() ([]Telling, string) {
		r := Telling{Type: dns.TypeCDS, Target: dns.MustName("scanner.example."), Port: 5359}
		switch w[0] {
		case "answer":
			r.Answered = s.now
		case "notauth":
			r.Answered, r.NotYet, r.Error = s.now, true, "NOTAUTH"
		case "silent":
			r.Error = "no answer in time"
		case "none":
			return nil, "nobody is named"
		}
		return []Telling{r}, ""
	}
}

// pass lets time go by, and has everything done that falls due.
func (s *scene) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		jobs, wake := s.core.next(s.now)
		for _, j := range jobs {
			s.do(j)
		}
		for {
			v, ok := s.core.nextChanged(s.now)
			if !ok {
				break
			}
			s.say("%s %d/%d%s", v.Condition, v.Answered, v.Counted, codes(v.Findings))
		}
		if len(jobs) > 0 {
			continue
		}
		if wake.IsZero() || wake.After(end) {
			s.now = end
			return
		}
		s.now = wake
	}
}

func (s *scene) do(j *job) {
	var what string
	take := func() {}
	switch j.kind {
	case finding:
		what, take = "find the parent", func() { s.core.found(j, s.parent, s.now) }
	case looking:
		what, take = "ask "+j.place.Addr().String(), func() { s.core.saw(j, s.servers[j.place], s.now) }
	case telling:
		receivers, err := s.tell()
		what, take = "tell", func() { s.core.told(j, receivers, err, s.now) }
	case pushing:
		what, take = "push", func() { s.core.pushedTo(j, s.push, s.now) }
	}
	if !s.quiet {
		s.say("%s", what)
	}
	if s.core.done(j) {
		take()
	}
}

func codes(fs []Finding) string {
	out := ""
	for _, f := range fs {
		out += " " + f.Level.String() + ":" + f.Code
	}
	return out
}

func (s *scene) say(format string, args ...any) {
	fmt.Fprintf(&s.out, "\t%s %s\n", s.now.Sub(s.begin).Round(time.Millisecond), fmt.Sprintf(format, args...))
}

func (s *scene) state() {
	v := s.core.zones[s.id].view(s.now)
	s.say("%s, parent %s, ttl %s, none %s, since %s, delay %s", v.Condition, v.Parent, v.TTL, v.NegativeTTL, v.Since.Sub(s.begin).Round(time.Millisecond), v.Delay.Round(time.Millisecond))
	for n := 1; n < 5; n++ {
		if p := v.Presence(testKey(n)); p > None {
			s.say("key %d: %s", n, p)
		}
	}
	for _, f := range v.Findings {
		s.say("%s %s: %s %s", f.Level, f.Code, f.Text, f.Fix)
	}
}
