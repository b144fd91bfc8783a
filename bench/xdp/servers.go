//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const zoneName = "hosts.test"

// server is one way of answering.
type server struct {
	name    string
	command func(r *rig) (program string, args []string, debian bool)
}

// Each server has one thread for UDP.
var servers = []server{
	{"onoma, XDP", func(r *rig) (string, []string, bool) { return r.onomaArgs("xdp://" + serverDev + "?fallback=off") }},
	{"Knot, XDP", func(r *rig) (string, []string, bool) { return "knotd", []string{"-c", r.path("knot-xdp.conf")}, true }},
	{"onoma, sockets", func(r *rig) (string, []string, bool) { return r.onomaArgs(serverAddr + ":53") }},
	{"Knot, sockets", func(r *rig) (string, []string, bool) { return "knotd", []string{"-c", r.path("knot.conf")}, true }},
}

func (r *rig) onomaArgs(listen string) (string, []string, bool) {
	program, err := filepath.Abs(r.onoma)
	if err != nil {
		program = r.onoma
	}
	return program, []string{"authority", "--threads", "1", "--listen", listen, "--zone", zoneName + "=" + r.path("zone")}, false
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// knotConf is Knot without what costs: no log of queries, no journal, one thread of each kind.
const knotConf = `server:
    rundir: %[1]s
    listen: %[2]s@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
%[3]sdatabase:
    storage: %[1]s
template:
  - id: default
    storage: %[1]s
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: %[4]s
    file: zone
log:
  - target: stderr
    any: warning
`

// files writes the zone, the queries and Knot's configurations.
func (r *rig) files() error {
	var zone, queries strings.Builder
	fmt.Fprintf(&zone, "$ORIGIN %s.\n$TTL 3600\n@ SOA ns hostmaster 1 7200 3600 1209600 300\n@ NS ns\nns A %s\n", zoneName, serverAddr)
	for i := range r.hosts {
		fmt.Fprintf(&zone, "h%d A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
		fmt.Fprintf(&queries, "h%d.%s. A\n", i, zoneName)
	}
	xdp := "xdp:\n    listen: " + serverDev + "@53\n    route-check: off\n"
	var errs []error
	for name, text := range map[string]string{
		"zone": zone.String(), "queries": queries.String(),
		"knot.conf":     fmt.Sprintf(knotConf, r.dir, serverAddr, "", zoneName),
		"knot-xdp.conf": fmt.Sprintf(knotConf, r.dir, "127.0.0.1", xdp, zoneName),
	} {
		errs = append(errs, os.WriteFile(r.path(name), []byte(text), 0o644))
	}
	if r.newest != "" {
		errs = append(errs, os.MkdirAll(filepath.Join(r.newest, r.dir), 0o755))
	}
	return errors.Join(errs...)
}

// rates is a flag of several numbers.
type rates []int

func (r *rates) String() string { return strings.Trim(fmt.Sprint([]int(*r)), "[]") }

// Set reads numbers with commas between them.
func (r *rates) Set(text string) error {
	*r = nil
	for s := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: expected queries a second, as in 50000", s)
		}
		*r = append(*r, n)
	}
	return nil
}
