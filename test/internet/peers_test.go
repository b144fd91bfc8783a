package internet_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver"
	"onoma/test/internet"
	"onoma/test/peers"
	"onoma/transport"
)

// contestant is a resolver in the differential.
type contestant struct {
	name      string
	binary    string // "": in this process
	validates bool
	at        string
	start     func(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server // nil: in this process
}

// contestants are all that are known; those that are not installed are skipped by name.
var contestants = []contestant{
	{name: "onoma", at: "127.0.0.1:5301", validates: true, start: startOnoma},
	{name: "unbound", at: "127.0.0.1:5302", binary: "unbound", validates: true, start: startUnbound},
	{name: "bind", at: "127.0.0.1:5303", binary: "named", validates: true, start: startBIND},
	{name: "knot", at: "127.0.0.1:5304", binary: "kresd", validates: true, start: startKnot},
	{name: "powerdns", at: "127.0.0.1:5305", binary: "pdns_recursor", validates: true, start: startPowerDNS},
}

// isAlone says that resolvers run one after the other, each with one processor.
var isAlone bool

// launch starts a resolver.
func launch(t *testing.T, name, dir string, at netip.AddrPort, binary string, args ...string) *peers.Server {
	if !isAlone {
		return peers.Run(t, name, dir, at, binary, args...)
	}
	path, err := exec.LookPath(binary)
	if err != nil {
		path = "/usr/sbin/" + binary // not in everybody's PATH
	}
	return peers.Run(t, name, dir, at, "taskset", append([]string{"-c", "0", path}, args...)...)
}

func startOnoma(t *testing.T, n *internet.Internet, _ string, validate bool) *peers.Server {
	at := peers.At(t, "127.0.0.1:5301")
	cfg := resolver.Config{AllowLoopbackServers: true, NoIPv6: true}
	for line := range strings.Lines(n.Anchor()) {
		if validate {
			cfg.Anchors = append(cfg.Anchors, dns.MustRecord(strings.TrimSpace(line)))
		}
	}
	for name, addr := range n.RootServers() {
		cfg.Hints = append(cfg.Hints, resolver.Hint{Name: name, Addrs: []netip.Addr{addr}})
	}
	r, err := resolver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := transport.Listen(transport.Config{Handler: r, Addrs: []netip.AddrPort{at}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(t.Context()) }()
	t.Cleanup(func() {
		s.Close()
		r.Close()
	})
	return nil
}

func startUnbound(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server {
	at := peers.At(t, "127.0.0.1:5302")
	conf := write(t, dir, "unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1@5302
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: %q
  num-threads: 1
  module-config: %q
  trust-anchor-file: %q
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  root-hints: %q
  outgoing-range: 4096
  num-queries-per-thread: 2048
remote-control:
  control-enable: no
`, dir, choose(validate, "validator iterator", "iterator"), write(t, dir, "anchor", n.Anchor()), write(t, dir, "hints", n.Hints())))
	return launch(t, "unbound", dir, at, "unbound", "-d", "-c", conf)
}

func startBIND(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server {
	at := peers.At(t, "127.0.0.1:5303")
	var anchors strings.Builder
	for line := range strings.Lines(n.Anchor()) {
		f := strings.Fields(line) // owner, TTL, class, DS, tag, algorithm, digest type, digest
		fmt.Fprintf(&anchors, "  . static-ds %s %s %s \"%s\";\n", f[4], f[5], f[6], strings.Join(f[7:], ""))
	}
	conf := write(t, dir, "named.conf", fmt.Sprintf(`options {
  directory %q;
  listen-on port 5303 { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion yes; allow-query { any; }; allow-recursion { any; };
  dnssec-validation %s; empty-zones-enable no;
  recursive-clients 10000;
  pid-file none; session-keyfile none;
};
controls { };
trust-anchors {
%s};
zone "." { type hint; file %q; };
`, dir, choose(validate, "yes", "no"), anchors.String(), write(t, dir, "hints", n.Hints())))
	return launch(t, "bind", dir, at, "named", "-g", "-4", "-n", "1", "-c", conf)
}

func startKnot(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server {
	at := peers.At(t, "127.0.0.1:5304")
	anchor := write(t, dir, "anchor", n.Anchor())
	conf := write(t, dir, "kresd.conf", fmt.Sprintf(`net.listen('127.0.0.1', 5304)
net.ipv6 = false
option('ALLOW_LOCAL', true)
modules.load('hints')
modules.unload('ta_signal_query')
modules.unload('ta_sentinel')
modules.unload('priming')
trust_anchors.remove('.')
%s
hints.root_file(%q)
cache.open(100 * MB, %q)
`, choose(validate, fmt.Sprintf("trust_anchors.add_file(%q, true)", anchor), ""), write(t, dir, "hints", n.Hints()), "lmdb://"+dir+"/cache"))
	return launch(t, "knot", dir, at, "kresd", "-n", "-c", conf, dir)
}

func startPowerDNS(t *testing.T, n *internet.Internet, dir string, validate bool) *peers.Server {
	at := peers.At(t, "127.0.0.1:5305")
	var anchors strings.Builder
	for line := range strings.Lines(n.Anchor()) {
		f := strings.Fields(line)
		fmt.Fprintf(&anchors, "addTA('.', '%s')\n", strings.Join(f[4:7], " ")+" "+strings.Join(f[7:], ""))
	}
	write(t, dir, "recursor.conf", fmt.Sprintf(`local-address=127.0.0.1
local-port=5305
socket-dir=%s
dont-query=
dnssec=%s
hint-file=%s
lua-config-file=%s
threads=1
security-poll-suffix=
export-etc-hosts=off
daemon=no
write-pid=no
disable-syslog=yes
loglevel=3
`, dir, choose(validate, "process", "off"), write(t, dir, "hints", n.Hints()), write(t, dir, "anchors.lua", "clearTA('.')\n"+anchors.String())))
	return launch(t, "powerdns", dir, at, "pdns_recursor", "--config-dir="+dir)
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
