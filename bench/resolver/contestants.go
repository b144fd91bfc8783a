//go:build linux

package main

import (
	"fmt"
	"os"
)

// contestant is a resolver, and how it is set up: with one thread, room for all names, and without validation.
type contestant struct {
	name      string
	addr      string
	port      int
	configure func(r *rig, c contestant) (program string, args []string, err error)
}

var contestants = []contestant{
	{"onoma", "127.13.1.3", 5403, onomaConfig},
	{"Unbound", "127.13.1.2", 5402, unboundConfig},
	{"PowerDNS Recursor", "127.13.1.5", 5405, powerdnsConfig},
	{"Knot Resolver", "127.13.1.4", 5404, knotConfig},
}

func onomaConfig(r *rig, c contestant) (string, []string, error) {
	return r.o.onoma, []string{"resolver", "--listen", fmt.Sprintf("%s:%d", c.addr, c.port), "--root-hints", r.path("hints"), "--hosts", "off",
		"--upstream-port", fmt.Sprint(upstream), "--trust-anchor", "off"}, nil
}

func unboundConfig(r *rig, c contestant) (string, []string, error) {
	conf := fmt.Sprintf(`server:
  interface: %s@%d
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: %q
  num-threads: 1
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  outgoing-range: 4096
  num-queries-per-thread: 2048
  msg-cache-size: 200m
  rrset-cache-size: 400m
stub-zone:
  name: "bulk."
  stub-addr: %s@%d
remote-control:
  control-enable: no
`, c.addr, c.port, r.dir, authorityAt, upstream)
	return "unbound", []string{"-d", "-c", r.path("unbound.conf")}, os.WriteFile(r.path("unbound.conf"), []byte(conf), 0o644)
}

func powerdnsConfig(r *rig, c contestant) (string, []string, error) {
	conf := fmt.Sprintf(`local-address=%s
local-port=%d
allow-from=127.0.0.0/8
threads=1
forward-zones=bulk=%s:%d
dnssec=off
dont-query=
max-cache-entries=1000000
max-packetcache-entries=1000000
`, c.addr, c.port, authorityAt, upstream)
	err := os.WriteFile(r.path("recursor.conf"), []byte(conf), 0o644)
	return "pdns_recursor", []string{"--config-dir=" + r.dir, "--socket-dir=" + r.dir, "--daemon=no"}, err
}

func knotConfig(r *rig, c contestant) (string, []string, error) {
	conf := fmt.Sprintf(`net.listen('%s', %d)
net.ipv6 = false
option('ALLOW_LOCAL', true)
modules.unload('ta_signal_query')
modules.unload('ta_sentinel')
modules.unload('priming')
trust_anchors.remove('.')
policy.add(policy.suffix(policy.STUB('%s@%d'), {todname('bulk.')}))
cache.open(400 * MB, 'lmdb://%s/cache')
`, c.addr, c.port, authorityAt, upstream, r.dir)
	return "kresd", []string{"-n", "-c", r.path("kresd.conf"), r.dir}, os.WriteFile(r.path("kresd.conf"), []byte(conf), 0o644)
}
