package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func floorArgs(s setup) ([]string, error) {
	return []string{"--listen", s.listen(), "--threads", strconv.Itoa(s.cpus), "--pin"}, nil
}

func (s setup) listen() string { return fmt.Sprintf("%s:%d", s.addr, s.port) }

// onomaArgs: one UDP loop for each processor, tied to it.
func onomaArgs(s setup) ([]string, error) {
	if s.over == changes {
		return s.onomaChanges()
	}
	listen := s.listen()
	args := []string{"authority", "--threads", strconv.Itoa(s.cpus)}
	if s.encrypted() {
		scheme := map[string]string{overTLS: "tls", overQUIC: "quic", overHTTP: "https"}[s.over]
		listen += fmt.Sprintf(",%s://%s:%d", scheme, s.addr, s.crypt)
		args = append(args, "--tls-cert", s.cert, "--tls-key", s.key)
	}
	if s.snapshots != "" {
		args = append(args, "--snapshots", s.snapshots)
	}
	args = append(args, "--listen", listen)
	if s.data.many() {
		return append(args, "--zones", s.data.list), nil
	}
	for _, z := range s.data.zones {
		args = append(args, "--zone", z.origin+"="+z.path)
	}
	return args, nil
}

// onomaChanges: everything that "onoma serve" does when a zone changes: a version of its own for each change, in the
// database, synced.
func (s setup) onomaChanges() ([]string, error) {
	return []string{"serve", "--config", s.path("onoma.yaml")}, write(s.path("onoma.yaml"), func(w *bufio.Writer) error {
		fmt.Fprintf(w, "data: %s\ncontrol: \"off\"\nlisten: [%q]\nthreads: %d\nzones:\n", s.dir, s.listen(), s.cpus)
		for _, z := range s.data.zones {
			fmt.Fprintf(w, "  %q: {file: %q, file-mode: initial, dnssec: \"off\", update: [\"grant 127.0.0.0/8 zonesub ANY\"]}\n", z.origin, z.path)
		}
		return nil
	})
}

// nsdArgs: one server process; no rate limit, no statistics, no control channel. Debian builds it without recvmmsg,
// which no setting changes. Releases before 4.8 would keep a database beside the zone files.
func nsdArgs(s setup) ([]string, error) {
	return []string{"-d", "-c", s.path("nsd.conf")}, write(s.path("nsd.conf"), func(w *bufio.Writer) error {
		fmt.Fprintf(w, `server:
  server-count: %d
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
  round-robin: no
  minimal-responses: yes
  refuse-any: yes
  rrl-ratelimit: 0
  tcp-count: 1000
  tcp-query-count: 0
  tcp-timeout: 60
  zonefiles-check: no
  zonefiles-write: 0
  hide-version: yes
  verbosity: 0
`, s.cpus, s.addr, s.port, s.dir, s.path("pid"), s.path("xfrd.state"), s.path("zone.list"), s.dir)
		if s.over == overTLS {
			fmt.Fprintf(w, "  ip-address: %s@%d\n  tls-port: %d\n  tls-service-key: %q\n  tls-service-pem: %q\n", s.addr, s.crypt, s.crypt, s.key, s.cert)
		}
		fmt.Fprint(w, "remote-control:\n  control-enable: no\n")
		for _, z := range s.data.zones {
			fmt.Fprintf(w, "zone:\n  name: %q\n  zonefile: %q\n", z.origin, z.path)
		}
		return nil
	})
}

// knotArgs: one worker for UDP and one for TCP, a background worker for each processor to load with; zones are read
// as they are, without checks, and without a journal where they do not change. Where they do, the journal is synced, as
// it is by default.
func knotArgs(s setup) ([]string, error) {
	return []string{"-c", s.path("knot.conf")}, write(s.path("knot.conf"), func(w *bufio.Writer) error {
		fmt.Fprintf(w, "server:\n  rundir: %q\n  listen: %s@%d\n  udp-workers: %d\n  tcp-workers: %d\n  background-workers: %d\n"+
			"  tcp-max-clients: 1000\n  tcp-reuseport: on\n  tcp-idle-timeout: 60\n  tcp-remote-io-timeout: 0\n",
			s.dir, s.addr, s.port, s.cpus, s.cpus, s.cpus)
		if listen := map[string]string{overTLS: "listen-tls", overQUIC: "listen-quic"}[s.over]; listen != "" {
			fmt.Fprintf(w, "  %s: %s@%d\n  cert-file: %q\n  key-file: %q\n", listen, s.addr, s.crypt, s.cert, s.key)
		}
		fmt.Fprintf(w, "database:\n  storage: %q\nlog:\n  - target: stderr\n    any: error\n", s.dir)
		keep := "    zonefile-load: whole\n    journal-content: none\n"
		if s.over == changes {
			fmt.Fprint(w, "acl:\n  - id: all\n    action: update\n    address: 127.0.0.0/8\n")
			keep = "    zonefile-load: difference-no-serial\n    journal-content: all\n    journal-max-usage: 1G\n    acl: all\n"
		}
		fmt.Fprintf(w, "template:\n  - id: default\n    storage: %q\n    zonefile-sync: -1\n%s    semantic-checks: off\nzone:\n", s.dir, keep)
		for _, z := range s.data.zones {
			fmt.Fprintf(w, "  - domain: %s\n    file: %q\n", z.origin, z.path)
		}
		return nil
	})
}

// bindArgs: one loop; no recursion, no checks of what is loaded, nothing logged, no query is counted by zone.
func bindArgs(s setup) ([]string, error) {
	args := []string{"-f", "-n", strconv.Itoa(s.cpus), "-c", s.path("named.conf")}
	return args, write(s.path("named.conf"), func(w *bufio.Writer) error {
		extra := ""
		if s.encrypted() {
			fmt.Fprintf(w, "tls onoma-bench { cert-file %q; key-file %q; };\nhttp onoma-bench { endpoints { \"/dns-query\"; }; };\n", s.cert, s.key)
			extra = fmt.Sprintf("  listen-on port %d tls onoma-bench { %s; };\n", s.crypt, s.addr)
			if s.over == overHTTP {
				extra = fmt.Sprintf("  listen-on port %d tls onoma-bench http onoma-bench { %s; };\n", s.crypt, s.addr)
			}
		}
		fmt.Fprintf(w, `options {
  directory %q;
  listen-on port %d { %s; };
%s  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  recursion no;
  minimal-responses yes;
  minimal-any yes;
  dnssec-validation no;
  notify no;
  zone-statistics none;
  querylog no;
  tcp-clients 1000;
  check-names primary ignore;
  check-integrity no;
  masterfile-format text;
};
controls { };
logging { category default { null; }; };
`, s.dir, s.port, s.addr, extra)
		if s.over == changes {
			return writeBindChanges(w, s)
		}
		return writeBindZones(w, s, "primary")
	})
}

// writeBindChanges: the journal is written and synced for each change, as by default. Its zone files are copies, for
// BIND writes them back.
func writeBindChanges(w *bufio.Writer, s setup) error {
	for i, z := range s.data.zones {
		text, err := os.ReadFile(z.path)
		if err != nil {
			return err
		}
		file := s.path(fmt.Sprintf("zone%d", i))
		if err := os.WriteFile(file, text, 0o666); err != nil {
			return err
		}
		fmt.Fprintf(w, "zone %q { type primary; file %q; allow-update { any; }; };\n", z.origin, file)
	}
	return nil
}

// writeBindZones writes a clause for each zone, in the form that BIND and PowerDNS's bind backend read.
func writeBindZones(w *bufio.Writer, s setup, kind string) error {
	for _, z := range s.data.zones {
		fmt.Fprintf(w, "zone %q { type %s; file %q; };\n", z.origin, kind, z.path)
	}
	return nil
}

// pdnsArgs: the bind backend, which is its fastest for zones in files, with the packet cache kept for the whole run.
// A signed zone is served as signed only with a database of metadata beside it.
func pdnsArgs(s setup) ([]string, error) {
	if err := write(s.path("named.conf"), func(w *bufio.Writer) error { return writeBindZones(w, s, "master") }); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`launch=bind
bind-config=%s
local-address=%s
local-port=%d
reuseport=yes
socket-dir=%s
receiver-threads=%d
distributor-threads=1
cache-ttl=3600
negquery-cache-ttl=3600
query-cache-ttl=3600
zone-cache-refresh-interval=3600
max-cache-entries=2000000
max-packet-cache-entries=2000000
max-tcp-connections=1000
tcp-idle-timeout=60
daemon=no
guardian=no
loglevel=3
version-string=anonymous
`, s.path("named.conf"), s.addr, s.port, s.dir, s.cpus)
	args := []string{"--config-dir=" + s.dir}
	if !s.do {
		return args, os.WriteFile(s.path("pdns.conf"), []byte(conf), 0o644)
	}
	conf += fmt.Sprintf("bind-dnssec-db=%s\n", s.path("dnssec.db"))
	if err := os.WriteFile(s.path("pdns.conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return args, s.presigned()
}

// presigned makes PowerDNS's database of metadata, which says that the zones have been signed elsewhere. Its own
// tool for that does not start in some releases, so sqlite3 does it, with the schema that the package brings.
func (s setup) presigned() error {
	script, err := os.ReadFile(filepath.Join(s.root, "/usr/share/pdns-backend-bind/schema/bind-dnssec.schema.sqlite3.sql"))
	if err != nil {
		return err
	}
	for _, z := range s.data.zones {
		name := z.origin
		if name != "." {
			name = strings.TrimSuffix(name, ".")
		}
		script = fmt.Appendf(script, "\nINSERT INTO domainmetadata(domain, kind, content) VALUES('%s', 'PRESIGNED', '1');", name)
		if s.data.nsec3 {
			script = fmt.Appendf(script, "\nINSERT INTO domainmetadata(domain, kind, content) VALUES('%s', 'NSEC3PARAM', '1 1 0 -');", name)
		}
	}
	cmd := exec.Command("sqlite3", s.path("dnssec.db"))
	cmd.Stdin = bytes.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sqlite3: %w: %s", err, lastLines(out))
	}
	return nil
}

// corednsArgs: the plugin file for each zone, or auto for a directory of them; minimal answers; no log, no metrics, no
// reloading. Its scheduler has as many processors as it may run on.
func corednsArgs(s setup) ([]string, error) {
	return []string{"-quiet", "-conf", s.path("Corefile")}, write(s.path("Corefile"), func(w *bufio.Writer) error {
		s.corednsBlocks(w, fmt.Sprintf("dns://%%s:%d", s.port), "")
		if s.encrypted() {
			scheme := map[string]string{overTLS: "tls", overQUIC: "quic", overHTTP: "https"}[s.over]
			s.corednsBlocks(w, fmt.Sprintf("%s://%%s:%d", scheme, s.crypt), fmt.Sprintf("  tls %s %s\n", s.cert, s.key))
		}
		return nil
	})
}

// corednsBlocks writes the server blocks of one listener, address being a pattern for the zone's name.
func (s setup) corednsBlocks(w *bufio.Writer, address, extra string) {
	if s.data.many() {
		fmt.Fprintf(w, "%s {\n  bind %s\n  auto {\n    directory %s db\\.(.*) {1}\n    reload 0\n  }\n  minimal\n%s}\n",
			fmt.Sprintf(address, "."), s.addr, filepath.Dir(filepath.Dir(s.data.zones[0].path)), extra)
		return
	}
	for _, z := range s.data.zones {
		origin := strings.TrimSuffix(z.origin, ".")
		if origin == "" {
			origin = "."
		}
		fmt.Fprintf(w, "%s {\n  bind %s\n  file %s {\n    reload 0\n  }\n  minimal\n%s}\n", fmt.Sprintf(address, origin), s.addr, z.path, extra)
	}
}
