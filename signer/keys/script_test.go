package keys

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

var rewrite = flag.Bool("rewrite", false, "write the expected output of scripts anew")

// TestScripts runs testdata/*.txt: lines of commands, and below each what followed, at the times from the beginning. In this
// world all is even: all servers have a version after 30 minutes, the parent has the DS 2 hours after that. What Timeline
// foretold at the beginning of each run must be what came.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(string(text), got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func runScript(t *testing.T, text string) string {
	s := newSim(t)
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "\t") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, l := range s.do(strings.Fields(line)) {
			fmt.Fprintf(&out, "\t%s\n", l)
		}
	}
	return out.String()
}

// sim is a zone in an even world.
type sim struct {
	t      *testing.T
	r      *Ring
	p      Policy
	now    time.Time
	n      int
	gen    uint64
	synced time.Time
	ds     []dns.DS
	dsAt   time.Time
	fresh  bool
	parent bool // does its part
	begin  time.Time
}

func newSim(t *testing.T) *sim {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &sim{t: t, r: New(exampleZone()), p: Default(), now: begin, begin: begin, parent: true}
}

func (s *sim) do(words []string) []string {
	var err error
	switch words[0] {
	case "policy":
		s.policy(words[1:])
	case "run":
		return s.run(s.duration(words[1]))
	case "roll":
		err = s.r.Roll(role(words[1]), s.now, &s.p)
	case "emergency":
		err = s.r.RollEmergency(role(words[1]), s.now)
	case "unsigned":
		s.r.GoUnsigned()
	case "signed":
		s.r.GoSigned()
	case "lose":
		err = s.r.Lose(words[1])
	case "restore":
		err = s.r.Restore(words[1], s.now)
	case "parent":
		s.parent = words[1] == "awake"
	case "remove-ds":
		s.ds, s.dsAt = nil, s.now.Add(24*time.Hour)
	case "foreign":
		k, _ := s.key(Event{Role: role(words[2]), Algorithm: s.p.Algorithm}, 200)
		err = s.r.AddForeign(words[1], words[1]+"-"+words[2], k, role(words[2]), s.now)
	case "foreign-gone":
		err = s.r.RemoveForeign(words[1], s.now)
	case "elsewhere":
		err = s.r.SeenElsewhere(words[1], s.now)
	case "waits":
		return s.waits()
	case "keys":
		return s.keyList()
	default:
		s.t.Fatalf("unknown command %q", words)
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}

func role(word string) Role { return map[string]Role{"KSK": KSK, "ZSK": ZSK, "CSK": CSK}[word] }

func (s *sim) policy(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "split":
			s.p.Split = true
		case "csk":
			s.p.Split = false
		case "fresh":
			s.fresh = true
		case "algorithm":
			s.p.Algorithm = uint8(n)
		case "standby":
			s.p.Standby = n
		case "double-signature":
			s.p.ZSKRoll = DoubleSignature
		case "double-ds":
			s.p.KSKRoll = DoubleDS
		case "by-hand":
			s.p.Parent = ByHand
		case "zsk-life":
			s.p.ZSKLife = s.duration(value)
		case "ksk-life":
			s.p.KSKLife = s.duration(value)
		default:
			s.t.Fatalf("unknown setting %q", w)
		}
	}
	if err := s.p.Check(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) duration(word string) time.Duration {
	if d, ok := strings.CutSuffix(word, "d"); ok {
		n, err := strconv.Atoi(d)
		if err != nil {
			s.t.Fatal(err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(word)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// run goes on for a time and returns what happened; it was foretold, unless the parent sleeps.
func (s *sim) run(d time.Duration) (out []string) {
	until := s.now.Add(d)
	foretold := s.lines(s.r.Timeline(s.now, &s.p, s.facts(), until.Add(-tick)), "")
	var came []Event
	for s.now.Before(until) {
		came = append(came, s.step()...)
		next := s.now.Truncate(tick).Add(tick)
		for _, at := range []time.Time{s.r.Next(), s.synced, s.dsAt} {
			if at.After(s.now) && at.Before(next) {
				next = at
			}
		}
		s.now = next
	}
	if s.parent {
		if d := cmp.Diff(foretold, s.lines(came, "")); d != "" {
			s.t.Errorf("at %s: -foretold +came:\n%s", s.at(s.now), d)
		}
	}
	s.r = s.throughJSON()
	return s.lines(came, "key")
}

// throughJSON: a ring must be the same after a restart.
func (s *sim) throughJSON() *Ring {
	data, err := s.r.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	back := new(Ring)
	if err := back.UnmarshalJSON(data); err != nil {
		s.t.Fatal(err)
	}
	again, err := back.MarshalJSON()
	if err != nil || string(again) != string(data) {
		s.t.Fatalf("another ring comes back (%v):\n%s\n%s", err, data, again)
	}
	back.waits = s.r.waits
	return back
}

func (s *sim) step() (events []Event) {
	for again := true; again; {
		again = false
		if s.parent && reached(s.dsAt, s.now) {
			s.ds, s.dsAt = s.r.wantedDS(&s.p), time.Time{}
		}
		for _, e := range s.r.Step(s.now, &s.p, s.facts()) {
			events = append(events, e)
			switch e.What {
			case NeedKey:
				s.n++
				k, id := s.key(e, s.n)
				if err := s.r.AddKey(e, id, k, s.now); err != nil {
					s.t.Fatal(err)
				}
				again = true
			case Purge:
				if err := s.r.Forget(e.Key); err != nil {
					s.t.Fatal(err)
				}
			}
		}
		if g := s.r.current().Generation; g != s.gen {
			s.gen, s.synced, again = g, s.now.Add(30*time.Minute), true
			s.dsAt = time.Time{}
			if !sameDS(s.ds, s.r.wantedDS(&s.p)) {
				s.dsAt = s.synced.Add(2 * time.Hour)
			}
		}
	}
	return events
}

func (s *sim) key(e Event, n int) (dns.DNSKEY, string) {
	k := dns.DNSKEY{Flags: dns.DNSKEYZone, Protocol: 3, Algorithm: e.Algorithm, PublicKey: []byte(fmt.Sprintf("a public key number %d", n))}
	if e.Role&KSK != 0 {
		k.Flags |= dns.DNSKEYSEP
	}
	return k, fmt.Sprintf("%v%d", e.Role, n)
}

func (s *sim) facts() Facts {
	f := Facts{Generation: s.gen, Fresh: s.fresh, DNSKEYTTL: time.Hour, MaxTTL: 4 * time.Hour, NegativeTTL: time.Hour,
		Propagation: 30 * time.Minute}
	if reached(s.synced, s.now) {
		f.InSync, f.Signed = s.synced, s.synced
	}
	if s.p.Parent == Checked {
		f.Parent = Parent{At: s.now, Asked: 2, Answered: 2, TTL: 2 * time.Hour, NegativeTTL: time.Hour, Delay: 2 * time.Hour}
		for _, d := range s.ds {
			f.Parent.DS = append(f.Parent.DS, SeenDS{DS: d, Servers: 2})
		}
	}
	return f
}

func (s *sim) at(t time.Time) string {
	d := t.Sub(s.begin)
	return fmt.Sprintf("%dd%02d:%02d", d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60)
}

// lines are events as text; without key, only what a prediction can know.
func (s *sim) lines(events []Event, key string) (out []string) {
	for _, e := range events {
		if e.What == Others {
			continue
		}
		what := fmt.Sprintf("%v %s -> %s", e.Record, e.From, e.To)
		if e.What != Came {
			what = fmt.Sprintf("%s %s -> %s", e.What, e.From, e.To)
		}
		switch {
		case e.What == NeedKey || e.What == Alarm:
			what = e.Text
		case key != "":
			what = fmt.Sprintf("%-5s %s", e.Key, what)
		default:
			what = fmt.Sprintf("%v %d %s", e.Role, e.Algorithm, what)
		}
		out = append(out, s.at(e.At)+" "+what)
	}
	return out
}

func (s *sim) waits() (out []string) {
	for _, w := range s.r.Explain() {
		text := w.Text
		if w.Alarm {
			text = "ALARM " + text
		}
		out = append(out, text)
	}
	return out
}

func (s *sim) keyList() (out []string) {
	for _, k := range s.r.Keys() {
		out = append(out, fmt.Sprintf("%s %s", k.ID, k.Phase()))
	}
	return out
}
