package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// setup is what a server is to be started with.
type setup struct {
	data      dataset
	over      string
	do        bool
	dir       string // the server's own, for its configuration and whatever it writes
	cpus      int    // threads to use
	addr      string
	port      int // of UDP and TCP
	crypt     int // of the encrypted transport, if over is one
	cert      string
	key       string
	patience  time.Duration // for it to load its zones
	snapshots string        // where ours keeps zones ready to be served; empty: nowhere
	root      string        // directory in which the peer's package is installed; empty: /
}

// encrypted says whether the profile's transport needs a certificate.
func (s setup) encrypted() bool { return s.over == overTLS || s.over == overQUIC || s.over == overHTTP }

// path returns a file name in the server's own directory.
func (s setup) path(name string) string { return filepath.Join(s.dir, name) }

// peer is one program that can be measured.
type peer struct {
	name    string
	title   string
	program string   // as Debian calls it; empty where bench builds it or is told where it is
	version []string // arguments that make it print its version
	over    []string // transports that it has
	// configure writes what the server reads into the setup's directory and returns its arguments.
	configure func(s setup) ([]string, error)
}

var plain = []string{overUDP, overTCP, overTCP1}

func with(transports ...string) []string { return append(slices.Clone(plain), transports...) }

// peers lists the programs in the order of the tables.
var peers = []peer{
	{name: "floor", title: "floor", over: plain, configure: floorArgs},
	{name: "onoma", title: "onoma", version: []string{"version"}, over: with(overTLS, overQUIC, overHTTP, changes), configure: onomaArgs},
	{name: "nsd", title: "NSD", program: "nsd", version: []string{"-v"}, over: with(overTLS), configure: nsdArgs},
	{name: "knot", title: "Knot", program: "knotd", version: []string{"--version"}, over: with(overTLS, overQUIC, changes), configure: knotArgs},
	{name: "bind", title: "BIND", program: "named", version: []string{"-v"}, over: with(overTLS, overHTTP, changes), configure: bindArgs},
	{name: "pdns", title: "PowerDNS", program: "pdns_server", version: []string{"--version"}, over: plain, configure: pdnsArgs},
	{name: "coredns", title: "CoreDNS", version: []string{"-version"}, over: with(overTLS, overQUIC, overHTTP), configure: corednsArgs},
}

func serverNames() []string {
	var names []string
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

func peerNamed(name string) peer {
	return peers[slices.IndexFunc(peers, func(p peer) bool { return p.name == name })]
}

var versionNumber = regexp.MustCompile(`\b\d+\.\d+\.\d+\b`)

// label is the name with the version, as the tables show it.
func (h *harness) label(ctx context.Context, p peer) string {
	if len(p.version) == 0 {
		return p.title
	}
	cmd, err := h.command(ctx, p, anyCPU, p.version...)
	if err != nil {
		return p.title
	}
	out, _ := cmd.CombinedOutput()
	if v := versionNumber.Find(out); v != nil {
		return p.title + " " + string(v)
	}
	return p.title
}

// locate says where the program of a peer is, as seen from the root directory that it runs in.
func (h *harness) locate(p peer) (string, error) {
	if built, ok := h.built[p.name]; ok {
		if built == "" {
			return "", fmt.Errorf("it could not be built (%w)", h.unbuilt[p.name])
		}
		return built, nil
	}
	return h.installed(p.program)
}

// installed finds a program of Debian's: in the newest root, if there is one, or on this machine.
func (h *harness) installed(program string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin"} {
		if _, err := os.Stat(filepath.Join(h.o.newest, dir, program)); err == nil {
			return filepath.Join(dir, program), nil
		}
	}
	if h.o.newest == "" {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}
