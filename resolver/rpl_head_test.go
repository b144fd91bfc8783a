package resolver

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
)

// rplHead makes a Config of a script's head.
type rplHead struct {
	t   *testing.T
	s   *scenario
	cfg *Config
}

// rplOptions are the options of "server:" that this resolver has, under whatever
// name, and what they set.
var rplOptions = map[string]func(h *rplHead, args []string){
	"qname-minimisation": func(h *rplHead, args []string) { h.cfg.NoMinimise = isNo(args) },
	"do-ip6":             func(h *rplHead, args []string) { h.cfg.NoIPv6 = isNo(args) },
	"do-ip4":             func(h *rplHead, args []string) { h.cfg.NoIPv4 = isNo(args) },
	"use-caps-for-id":    func(h *rplHead, args []string) { h.cfg.NoRandomCase = isNo(args) },
	"domain-insecure":    func(h *rplHead, args []string) { h.cfg.Insecure[dns.MustName(args[0])] = time.Time{} },
	"identity":           func(h *rplHead, args []string) { h.cfg.ID = strings.Join(args, " ") },
	"version":            func(h *rplHead, args []string) { h.cfg.Version = strings.Join(args, " ") },
	"serve-expired": func(h *rplHead, args []string) {
		h.cfg.NoStale, h.cfg.StaleRecheck = isNo(args), 5*time.Second // Unbound's NORR_TTL
	},
	"serve-expired-ttl": func(h *rplHead, args []string) {
		if h.cfg.StaleTTL = h.seconds(args); h.cfg.StaleTTL == 0 { // for ever
			h.cfg.StaleTTL = 10 * 365 * 24 * time.Hour
		}
	},
	"serve-expired-ttl-reset": func(h *rplHead, args []string) { h.cfg.StaleTTLReset = !isNo(args) },
	"serve-expired-reply-ttl": func(h *rplHead, args []string) { h.cfg.StaleReplyTTL = h.seconds(args) },
	"serve-expired-client-timeout": func(h *rplHead, args []string) {
		if h.cfg.StaleAfter = h.seconds(args) / 1000; h.cfg.StaleAfter == 0 { // at once
			h.cfg.StaleAfter = -1
		}
	},
	"prefetch":          func(h *rplHead, args []string) { h.cfg.NoPrefetch = isNo(args) },
	"hide-identity":     func(*rplHead, []string) {}, // read with identity
	"hide-version":      func(*rplHead, []string) {},
	"trust-anchor":      func(*rplHead, []string) {}, // read by anchorsOf
	"val-override-date": func(*rplHead, []string) {}, // read by date
	"do-not-query-localhost": func(h *rplHead, args []string) {
		h.cfg.AllowLoopbackServers = isNo(args)
	},
	"cache-max-ttl":          func(h *rplHead, args []string) { h.cfg.Limits.MaxTTL = h.seconds(args) },
	"cache-max-negative-ttl": func(h *rplHead, args []string) { h.cfg.Limits.MaxNegativeTTL = h.seconds(args) },
	"num-queries-per-thread": func(h *rplHead, args []string) { // half of them may be jostled out
		n, err := strconv.Atoi(args[0])
		if err != nil {
			h.t.Fatal(err)
		}
		h.cfg.MaxInFlight, h.cfg.JostleAfter = n, 200*time.Millisecond
	},
}

// rplSame are options that nothing depends on here, or that say what this
// resolver does anyway. An option with values in its list is such for these only.
var rplSame = map[string][]string{
	"target-fetch-policy": nil, "trust-anchor-signaling": nil, "rrset-roundrobin": nil, "log-time-ascii": nil, "verbosity": nil,
	"val-log-level": nil, "log-servfail": nil, "ede": nil, "fake-sha1": nil, "fake-dsa": nil, "iter-scrub-promiscuous": nil,
	"harden-glue": {"yes"}, "outbound-msg-retry": nil, "msg-cache-size": nil, "harden-referral-path": nil, "aggressive-nsec": nil,
	"minimal-responses": nil, "module-config": nil, "harden-unverified-glue": {"no"}, "harden-below-nxdomain": nil,
	"harden-unknown-additional": nil, "harden-algo-downgrade": {"no"}, "harden-dnssec-stripped": {"yes"}, "harden-large-queries": nil,
	"val-max-restart": nil, "val-bogus-ttl": nil, "log-queries": nil, "log-replies": nil, "num-threads": nil, "msg-cache-slabs": nil, "rrset-cache-size": nil,
	"infra-cache-slabs": nil, "so-reuseport": nil, "use-syslog": nil, "logfile": nil, "chroot": nil, "username": nil, "pidfile": nil, "directory": nil,
	"unwanted-reply-threshold": nil, "edns-buffer-size": nil, "do-udp": nil, "do-tcp": nil, "qname-minimisation-strict": nil, "harden-short-bufsize": nil,
	"ede-serve-expired": nil, "prefetch-key": nil, "discard-timeout": {"0", "86400", "86400000"}, // no answer comes that late
	"val-clean-additional": nil, "max-query-restarts": nil, "iter-scrub-cname": nil, "val-sig-skew-min": nil, "val-sig-skew-max": nil,
	"infra-keep-probing": nil, "infra-host-ttl": nil, "fast-server-permil": nil, "fast-server-num": nil,
}

// rplLacking are options that this resolver does not have, with the reason.
var rplLacking = map[string]string{
	"harden-glue":            "glue is never taken from outside of the zone that refers",
	"harden-unverified-glue": "glue that came with a referral is used",
	"harden-algo-downgrade":  "signatures by one algorithm are enough (RFC 6840 §5.11)",
	"harden-dnssec-stripped": "a zone whose keys cannot be had is never insecure",
	"disable-edns-do":        "asking without DO for some zones",
	"edns-client-string":     "an option with a text of the operator's in questions to others",
	"answer-cookie":          "cookies of the server are the transport's work here",
	"cookie-secret":          "cookies of the server are the transport's work here",
	"nsid":                   "NSID is the transport's work here",
	"serve-original-ttl":     "an answer with the TTL that it came with",

	"iter-scrub-ns": "a limit that the script sets; here it is fixed",
	"cache-min-ttl": "",
}

func isNo(args []string) bool { return len(args) > 0 && args[0] == "no" }

func (h *rplHead) seconds(args []string) time.Duration {
	d, err := time.ParseDuration(args[0] + "s")
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func prefixIn(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Prefix(a.BitLen())
}

// beyond names what the script needs that is not here; "" if it can be run.
func (s *scenario) beyond() string {
	if s.unknown != "" {
		return "needs " + s.unknown
	}
	var missing []string
	for _, o := range s.head.options {
		if why := lacks(o); why != "" && !slices.Contains(missing, why) {
			missing = append(missing, why)
		}
	}
	for _, c := range s.clauses {
		if why := lacksClause(c); why != "" && !slices.Contains(missing, why) {
			missing = append(missing, why)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return "needs " + strings.Join(missing, "; ")
	}
	recurse := true
	for i := range s.steps {
		st := &s.steps[i]
		if why := st.beyond(); why != "" {
			return why
		}
		if st.kind == "QUERY" {
			recurse = st.entry.msg.Flags.Has(dns.FlagRD)
		}
		if st.kind == "CHECK_ANSWER" && !recurse && st.entry.isReferral() {
			return "needs referrals as answers to questions without RD (allow_snoop); here such are answered from the cache or refused"
		}
	}
	return ""
}

func lacks(o rplOption) string {
	if rplOptions[o.name] != nil || rplPolicy[o.name] != nil {
		return ""
	}
	values, isSame := rplSame[o.name]
	if isSame && (len(values) == 0 || slices.Contains(values, strings.Join(o.args, " "))) {
		return ""
	}
	if why := rplLacking[o.name]; why != "" {
		return fmt.Sprintf("the option %s: %s", o.name, why)
	}
	return "the option " + o.name
}

// rplClauseOptions are the options that the runner knows of a clause.
var rplClauseOptions = map[string][]string{
	"stub-zone":    {"name", "stub-addr", "stub-host", "stub-prime", "stub-first", "stub-no-cache", "stub-ssl-upstream", "stub-tls-upstream"},
	"forward-zone": {"name", "forward-addr", "forward-host", "forward-first", "forward-no-cache"},
}

func lacksClause(c *rplClause) string {
	if why, known := lacksPolicy(c); known {
		return why
	}
	if c.kind == "auth-zone" {
		return lacksZone(c)
	}
	known, ok := rplClauseOptions[c.kind]
	if !ok {
		return "the clause " + c.kind
	}
	for _, o := range c.options {
		if !slices.Contains(known, o.name) {
			return fmt.Sprintf("the option %s of %s", o.name, c.kind)
		}
	}
	return ""
}

// rplSteps are the steps that the runner knows.
var rplSteps = []string{
	"QUERY", "CHECK_ANSWER", "CHECK_OUT_QUERY", "REPLY", "TIMEOUT", "ERROR", "TRAFFIC", "NOTHING", "TIME_PASSES", "ASSIGN", "CHECK_AUTOTRUST",
}

func (s *rplStep) beyond() string {
	if !slices.Contains(rplSteps, s.kind) {
		return "needs the step " + s.kind
	}
	if s.kind == "QUERY" && s.entry.msg.Question().Type == dns.TypeANY {
		return "needs all records as the answer to ANY; here one is enough (RFC 8482)"
	}
	return ""
}

// isReferral reports whether an answer only tells which servers know more.
func (e *rplEntry) isReferral() bool {
	isNS := func(r dns.Record) bool { return r.Type == dns.TypeNS && !r.Name.Equal(e.msg.Question().Name) }
	isSOA := func(r dns.Record) bool { return r.Type == dns.TypeSOA }
	m := &e.msg
	if slices.ContainsFunc(m.Answer, isNS) {
		return true
	}
	return m.RCode == dns.RCodeNoError && len(m.Answer) == 0 && slices.ContainsFunc(m.Authority, isNS) && !slices.ContainsFunc(m.Authority, isSOA)
}

// config makes the Config of a script's head.
func (s *scenario) config(t *testing.T) Config {
	// As Unbound is by default: without 0x20, as replies are written in lower case, without stale answers, prefetch or a
	// client's deadline.
	cfg := Config{NoStale: true, NoPrefetch: true, ClientDeadline: -1, StaleRecheck: 5 * time.Second, NotSpecial: []dns.Name{dns.MustName("local.")}, Allow: PrivateNetworks(), Insecure: map[dns.Name]time.Time{}, NoRandomCase: true, CacheSize: 3 << 20}
	h := &rplHead{t: t, s: s, cfg: &cfg}
	for _, o := range s.head.options {
		if set := rplOptions[o.name]; set != nil {
			set(h, o.args)
		}
	}
	if s.head.last("hide-identity", "no") == "yes" {
		cfg.ID = ""
	}
	if s.head.last("hide-version", "no") == "yes" {
		cfg.Version = ""
	}
	for _, c := range s.clauses {
		if c.kind == "stub-zone" || c.kind == "forward-zone" {
			h.clause(c)
		}
	}
	cfg.Anchors = s.anchorsOf(t)
	dir := t.TempDir()
	for name, lines := range s.anchors {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.AnchorFiles = append(cfg.AnchorFiles, file)
	}
	cfg.NoAnchorSignal = s.head.last("trust-anchor-signaling", "yes") == "no"
	s.policyOf(t, &cfg)
	return cfg
}

// clause takes a clause that has a route. A stub zone at the root has the root
// servers.
func (h *rplHead) clause(c *rplClause) {
	name := dns.MustName(c.last("name", "."))
	if name.IsRoot() && c.kind == "stub-zone" && len(c.all("stub-host")) == 0 {
		for i, a := range c.all("stub-addr") {
			hint := dns.MustName(fmt.Sprintf("hint%d.invalid.", i))
			h.cfg.Hints = append(h.cfg.Hints, Hint{Name: hint, Addrs: []netip.Addr{netip.MustParseAddr(a)}})
		}
		return
	}
	r := Route{Zone: name, Kind: iterator.RouteStub, Fallback: isYes(c.last("stub-first", "no")), Prime: isYes(c.last("stub-prime", "no"))}
	kind := "stub"
	if c.kind == "forward-zone" {
		kind = "forward"
		r.Kind, r.Fallback = iterator.RouteForward, isYes(c.last("forward-first", "no"))
	}
	for _, text := range c.all(kind + "-addr") {
		r.Servers = append(r.Servers, iterator.RouteServer{Target: iterator.Target{Addr: addrPortIn(h.t, text)}})
	}
	for _, text := range c.all(kind + "-host") {
		r.Servers = append(r.Servers, iterator.RouteServer{Name: dns.MustName(text), Target: iterator.Target{Addr: netip.AddrPortFrom(netip.Addr{}, 53)}})
	}
	if len(r.Servers) == 0 { // as Unbound has it: looked up as ever
		r.Kind = iterator.RouteIterate
	}
	h.cfg.Routes = append(h.cfg.Routes, r)
}

func isYes(text string) bool { return text == "yes" }

// addrPortIn reads an address with @port and #name behind it.
func addrPortIn(t *testing.T, text string) netip.AddrPort {
	text, _, _ = strings.Cut(text, "#")
	addr, port, ok := strings.Cut(text, "@")
	n := 53
	var err error
	if ok {
		if n, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(a, uint16(n))
}

// anchorsOf are the static trust anchors of the head.
func (s *scenario) anchorsOf(t *testing.T) (anchors []dns.Record) {
	for _, text := range s.head.all("trust-anchor") {
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
	at, err := time.Parse("20060102150405", s.head.last("val-override-date", ""))
	if err != nil {
		return goodTime(s, time.Now())
	}
	return at
}
