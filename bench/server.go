package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// serverKind is one program that can be measured.
type serverKind struct {
	name   string
	binary string // looked for in the path; "" for onoma and the floor
	// args returns the command line and writes the configuration to dir.
	args func(p profile, addr string, port int, dir string) ([]string, error)
	// about are the arguments that make the binary print its version.
	about []string
}

var serverKinds = map[string]serverKind{
	"floor": {name: "floor", args: floorArgs},
	"onoma": {name: "onoma", args: onomaArgs, about: []string{"version"}},
	"nsd":   {name: "nsd", binary: "nsd", args: nsdArgs, about: []string{"-v"}},
	"knot":  {name: "knot", binary: "knotd", args: knotArgs, about: []string{"--version"}},
	"bind":  {name: "bind", binary: "named", args: bindArgs, about: []string{"-v"}},
	"pdns":  {name: "pdns", binary: "pdns_server", args: pdnsArgs, about: []string{"--version"}},
}

// buildFloor builds the program that only turns queries around: the least that
// any server with these sockets can cost.
func buildFloor(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "floor")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./bench/floor").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the floor: %w\n%s", err, out)
	}
	return bin, nil
}

func (k serverKind) find(onoma, floor string) (string, error) {
	switch k.name {
	case "floor":
		return floor, nil
	case "onoma":
		return filepath.Abs(onoma)
	}
	if path, err := exec.LookPath(k.binary); err == nil {
		return path, nil
	}
	path := "/usr/sbin/" + k.binary
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed", k.binary)
	}
	return path, nil
}

// version returns the name and the version for the table.
func (k serverKind) version(binary string) string {
	if len(k.about) == 0 {
		return k.name
	}
	out, _ := exec.Command(binary, k.about...).CombinedOutput()
	for _, f := range strings.Fields(string(out)) {
		if f = strings.Trim(f, ",()"); strings.Contains(f, ".") && f[0] >= '0' && f[0] <= '9' {
			f, _, _ = strings.Cut(f, "-")
			return k.name + " " + f
		}
	}
	return k.name
}

// server is one that runs.
type server struct {
	cmd  *exec.Cmd
	addr string
	port int
	log  string
}

func startServer(ctx context.Context, k serverKind, binary string, p profile, dir string) (*server, error) {
	// BIND listens on addresses that an interface has: of 127.0.0.0/8 that is one.
	s := &server{addr: "127.0.0.1", port: 15353, log: filepath.Join(dir, "log")}
	args, err := k.args(p, s.addr, s.port, dir)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, "taskset", append([]string{"-c", serverCPU, binary}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = log, log, dir
	return s, s.cmd.Start()
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
}

// waitReady asks for the zone's SOA until it is answered with authority.
func (s *server) waitReady(ctx context.Context, p profile) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	to := netip.AddrPortFrom(netip.MustParseAddr(s.addr), uint16(s.port))
	for ctx.Err() == nil {
		if s.answers(ctx, to, p) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	out, _ := os.ReadFile(s.log)
	return fmt.Errorf("it does not answer: %w\n%s", errors.Join(ctx.Err()), out)
}

func (s *server) answers(ctx context.Context, to netip.AddrPort, p profile) bool {
	q, err := dns.NewQuery(1, dns.Question{Name: p.origin, Type: dns.TypeSOA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		return false
	}
	reply, err := ask(ctx, to, q)
	if err != nil {
		return false
	}
	h, ok := dns.ParseHeader(reply)
	return ok && h.Flags.RCode() == dns.RCodeNoError && (h.Answers > 0 || s.isFloor())
}

func (s *server) isFloor() bool { return strings.HasSuffix(s.cmd.Args[3], "floor") }

func ask(ctx context.Context, to netip.AddrPort, q []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	var c transport.Client
	r, err := c.Exchange(ctx, transport.UDP, to, q, make([]byte, 0, 4096))
	return r.Msg, err
}

func floorArgs(_ profile, addr string, port int, _ string) ([]string, error) {
	return []string{"--listen", fmt.Sprintf("%s:%d", addr, port), "--threads", "1", "--pin"}, nil
}

func onomaArgs(p profile, addr string, port int, _ string) ([]string, error) {
	return []string{"authority", "--listen", fmt.Sprintf("%s:%d", addr, port),
		"--zone", p.origin.String() + "=" + p.zone, "--threads", "1"}, nil
}

func nsdArgs(p profile, addr string, port int, dir string) ([]string, error) {
	conf := fmt.Sprintf(`server:
  server-count: 1
  ip-address: %s@%d
  username: ""
  chroot: ""
  database: ""
  zonesdir: %q
  pidfile: %q
  xfrdfile: %q
  zonelistfile: %q
  xfrdir: %q
  reuseport: yes
  minimal-responses: yes
  rrl-ratelimit: 0
  verbosity: 0
remote-control:
  control-enable: no
zone:
  name: %q
  zonefile: %q
`, addr, port, dir, dir+"/pid", dir+"/xfrd.state", dir+"/zone.list", dir, p.origin, p.zone)
	return []string{"-d", "-c", dir + "/nsd.conf"}, os.WriteFile(dir+"/nsd.conf", []byte(conf), 0o644)
}

func knotArgs(p profile, addr string, port int, dir string) ([]string, error) {
	conf := fmt.Sprintf(`server:
  rundir: %q
  listen: %s@%d
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: %q
log:
  - target: stderr
    any: error
template:
  - id: default
    storage: %q
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
  - domain: %s
    file: %q
`, dir, addr, port, dir, dir, p.origin, p.zone)
	return []string{"-c", dir + "/knot.conf"}, os.WriteFile(dir+"/knot.conf", []byte(conf), 0o644)
}

func bindArgs(p profile, addr string, port int, dir string) ([]string, error) {
	conf := fmt.Sprintf(`options {
  directory %q;
  listen-on port %d { %s; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  recursion no;
  minimal-responses yes;
  minimal-any yes;
  dnssec-validation no;
  notify no;
  check-names master ignore;
};
controls { };
logging { category default { null; }; };
zone %q { type master; file %q; check-integrity no; };
`, dir, port, addr, p.origin, p.zone)
	return []string{"-f", "-n", "1", "-c", dir + "/named.conf"}, os.WriteFile(dir+"/named.conf", []byte(conf), 0o644)
}

func pdnsArgs(p profile, addr string, port int, dir string) ([]string, error) {
	zones := fmt.Sprintf("zone %q { type master; file %q; };\n", p.origin, p.zone)
	conf := fmt.Sprintf(`launch=bind
bind-config=%s/named.conf
local-address=%s
local-port=%d
socket-dir=%s
receiver-threads=1
distributor-threads=1
cache-ttl=60
daemon=no
guardian=no
loglevel=3
`, dir, addr, port, dir)
	if p.do {
		conf += "bind-hybrid=no\n"
	}
	if err := os.WriteFile(dir+"/named.conf", []byte(zones), 0o644); err != nil {
		return nil, err
	}
	return []string{"--config-dir=" + dir}, os.WriteFile(dir+"/pdns.conf", []byte(conf), 0o644)
}
