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
	"trust-anchor": true, "domain-insecure": true, "harden-unknown-additional": true, "harden-algo-downgrade": true, "harden-dnssec-stripped": true,
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
	s     *scenario
	step  atomic.Int32
	t     *testing.T
	ahead time.Duration // of the bubble's time, so that the script's signatures are good
}

func (e *scripted) Now() time.Time { return e.Net.Now().Add(e.ahead) }

func (e *scripted) Exchange(ctx context.Context, to Target, query []byte) ([]byte, error) {
	q, err := dns.ParseMessage(query)
	if err != nil {
		return nil, err
	}
	m := e.s.answer(int(e.step.Load()), to.Addr.Addr(), to.Proto == transport.TCP, q)
	if m == nil {
		<-ctx.Done()
		return nil, fmt.Errorf("exchange with %v: %w", to.Addr, ctx.Err())
	}
	time.Sleep(time.Millisecond)
	return m.Append(nil)
}

// playScenario runs the steps.
func playScenario(t *testing.T, s *scenario) (ok bool) {
	synctest.Test(t, func(t *testing.T) {
		env := &scripted{Net: fakenet.New(1), s: s, t: t}
		anchors := s.anchors(t)
		if len(anchors) > 0 {
			modernise(t, s)
			anchors = s.anchors(t)
			env.ahead = s.date().Sub(env.Net.Now())
		}
		var hints []Hint
		for i, a := range s.options["stub-zone.stub-addr"] {
			name := dns.MustName(fmt.Sprintf("hint%d.invalid.", i))
			hints = append(hints, Hint{Name: name, Addrs: []netip.Addr{netip.MustParseAddr(a)}})
		}
		cfg := Config{
			Env: env, Anchors: anchors, Hints: hints, NoMinimise: s.option("qname-minimisation", "yes") == "no", NoIPv6: s.option("do-ip6", "yes") == "no",
			MessageCacheSize: 1 << 20, RecordCacheSize: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}
		cfg.Insecure = map[dns.Name]time.Time{}
		for _, name := range s.options["domain-insecure"] {
			cfg.Insecure[dns.MustName(name)] = time.Time{}
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
		var open asked
		for i := range s.steps {
			st := &s.steps[i]
			env.step.Store(int32(st.number))
			switch st.kind {
			case "QUERY":
				m := st.entry.msg
				m.ID = uint16(st.number)
				open = append(open, outstanding{m.Question(), w.start(pack(t, &m))})
			case "CHECK_ANSWER":
				st.check(t, open.take(st.entry.msg.Question())())
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

// asked are the questions that no answer was checked of yet.
type asked []outstanding

type outstanding struct {
	q    dns.Question
	wait func() []byte
}

// take takes the first one that is the question, or else the last one.
func (a *asked) take(q dns.Question) func() []byte {
	i := slices.IndexFunc(*a, func(o outstanding) bool { return o.q.Type == q.Type && o.q.Name.Equal(q.Name) })
	if i < 0 { // the script only waits
		i = len(*a) - 1
	}
	wait := (*a)[i].wait
	*a = slices.Delete(*a, i, i+1)
	return wait
}

// anchors are those of the head.
func (s *scenario) anchors(t *testing.T) (anchors []dns.Record) {
	for _, text := range s.options["trust-anchor"] {
		r, err := anchorIn(text)
		if err != nil {
			t.Fatalf("anchor %q: %v", text, err)
		}
		anchors = append(anchors, r)
	}
	return anchors
}

// date is when the script plays.
func (s *scenario) date() time.Time {
	at, err := time.Parse("20060102150405", s.option("val-override-date", ""))
	if err != nil {
		return goodTime(s, time.Now())
	}
	return at
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
	const compared = dns.FlagQR | dns.FlagTC | dns.FlagRD | dns.FlagRA | dns.FlagCD | dns.FlagAD
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
			r.Name = r.Name.Fold()
			sig, err := dns.ParseRRSIG(r.Data)
			isSig := err == nil && r.Type == dns.TypeRRSIG
			if s == 1 && (r.Type == dns.TypeNS || isSig && sig.TypeCovered == dns.TypeNS) {
				continue
			}
			if isSig { // which may have been made anew
				lines = append(lines, fmt.Sprintf("%s RRSIG %s by %s", r.Name, sig.TypeCovered, sig.Signer.Fold()))
				continue
			}
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

const (
	anyMinimal = "asks for ANY, which is answered by RFC 8482"
	dnameReuse = "makes the alias for another name of a cached DNAME; here each name is asked for"
)

// scenarioSkips are scripts that could run and do not pass, with the reason.
var scenarioSkips = map[string]string{
	"acl":                               "wants several clients and actions in the access list",
	"fetch_glue":                        "asks the parent for glue that its referral left out; here such a delegation is broken",
	"iter_cycle_noh":                    "wants glue from outside of the zone that refers (harden-glue: no)",
	"iter_dname_insec":                  "answers a circle of aliases with NOERROR; here it is SERVFAIL with EDE",
	"iter_soamin":                       "keeps data longer than the parent granted; here a delegation is a lease",
	"iter_unverified_glue":              "asks for the address of a server whose glue came with the referral (harden-unverified-glue: yes)",
	"local_ds":                          "wants another name in the SOA of an empty zone than RFC 6303 has",
	"trust_cname_chain":                 "asks again for the end of an alias within one zone; here a zone is believed about itself",
	"ttl_max":                           "answers questions without RD with referrals; here they are refused",
	"black_prime_entry":                 "remembers for another name that the keys of a zone are bogus",
	"iter_dname_ttl":                    dnameReuse,
	"iter_dname_ttl0":                   dnameReuse,
	"net_signed_servfail":               "counts the TTL from the end of validation; here it is from when the data came",
	"root_key_sentinel":                 "asks which anchors there are (RFC 8509)",
	"val_any":                           anyMinimal,
	"val_nsec3_wcany":                   anyMinimal,
	"val_nsec3_wcany_nodeny":            anyMinimal,
	"val_cnametocnamewctoposwc":         "wants an answer cut short where it fits",
	"val_nsec3_cnametocnamewctoposwc":   "wants an answer cut short where it fits",
	"val_cnametonsec":                   "takes the proof that a zone is not signed from the answer about another zone",
	"val_cnametooptin":                  "takes the proof that a zone is not signed from the answer about another zone",
	"val_dnameqtype":                    dnameReuse,
	"val_dnametoolong":                  validatorSkips["val_dnametoolong"],
	"val_faildnskey_ok":                 validatorSkips["val_faildnskey_ok"],
	"val_ta_algo_missing":               validatorSkips["val_ta_algo_missing"],
	"val_failure_dnskey":                "wants the error Network Error where a server answered SERVFAIL",
	"val_negcache_dssoa":                "makes an answer of cached NSEC records (RFC 8198)",
	"val_nsec3_b1_nameerror_nowc":       "wants another error for a proof that lacks a record",
	"val_nsec3_entnodata_optout_badopt": "wants another error for a proof that lacks a record",
	"val_nsec3_cname_ds":                "has a wildcard's CNAME without its proof, below which it wants data",
	"val_refer_unsignadd":               "answers questions without RD with referrals; here they are refused",
	"val_referd":                        "answers questions without RD with referrals; here they are refused",
	"val_unsec_cname":                   "does not follow an alias for DS",
	"ttl_msg":                           "answers questions without RD with referrals, and lets one negative answer's SOA change another's",
}
