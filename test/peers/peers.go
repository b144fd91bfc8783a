// Package peers runs other name servers (NSD, Knot, BIND, PowerDNS, Unbound) and our own binary as children of a test.
// Each child has its own temporary directory with a generated configuration, runs in the foreground on a loopback
// address, is waited for until it answers, and is ended by its process id when the test ends; its log is shown when the
// test failed. Minimal answers are configured wherever a peer has an option for them: see each configuration.
// Tests only; every function may be called from the test's goroutine alone.
package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Zone is one zone to serve: its origin as a fully qualified domain name and its master file.
type Zone struct {
	Name string
	File string
}

// Zones are the zones that a server gets.
type Zones []Zone

// Peer is a name server of this distribution that serves zone files.
type Peer struct {
	Name    string // as people call it, in lower case
	Package string // the Debian package that brings it
	Binary  string
	version []string // arguments that make it print its version
	// onInterface is set for a server that listens only on addresses which an interface lists.
	onInterface bool
	// configure writes what the server needs into dir and returns its arguments.
	configure func(dir string, zones Zones, addr netip.AddrPort) ([]string, error)
}

// All are the peers that we compare ourselves with.
var All = []*Peer{NSD, Knot, BIND, PowerDNS}

// Need skips the test, by name, when a binary is not installed.
func Need(t testing.TB, binary string) {
	t.Helper()
	if _, err := find(binary); err != nil {
		t.Skipf("%s is not installed (scripts/test-deps installs it)", binary)
	}
}

// Available says whether the peer is installed.
func (p *Peer) Available() bool {
	_, err := find(p.Binary)
	return err == nil
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// Version is the number that the peer gives of itself, such as 9.18.28, or "" where it is absent.
func (p *Peer) Version() string {
	binary, err := find(p.Binary)
	if err != nil {
		return ""
	}
	out, _ := exec.Command(binary, p.version...).CombinedOutput() // some print it and exit 1
	return versionNumber.FindString(string(out))
}

// Addr finds a free loopback address on which this peer can listen.
func (p *Peer) Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	if p.onInterface {
		return localhost(t)
	}
	return Addr(t)
}

// Start runs the peer with zones at addr (see [Peer.Addr]) until the test ends. It skips the test when the peer is not installed.
func (p *Peer) Start(t testing.TB, zones Zones, addr netip.AddrPort) *Server {
	t.Helper()
	Need(t, p.Binary)
	dir := tempDir(t, p.Name)
	args, err := p.configure(dir, zones, addr)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	return p.run(t, dir, addr, args, zones)
}

// run runs the peer with its configuration in dir until the test ends, and returns when it serves the zones.
func (p *Peer) run(t testing.TB, dir string, addr netip.AddrPort, args []string, zones Zones) *Server {
	t.Helper()
	binary, err := find(p.Binary)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, p.Name, dir, addr, binary, args)
	s.awaitZones(t, zones)
	return s
}

// find looks a binary up on PATH and where Debian keeps servers, which a user's PATH may lack.
func find(binary string) (string, error) {
	if p, err := exec.LookPath(binary); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, binary)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w", binary, exec.ErrNotFound)
}

// tempDir makes a directory with a short name: control sockets live in it, and their paths are limited to 107 bytes.
func tempDir(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onoma-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the directory of %s: %v", name, err)
		}
	})
	return dir
}

// writeFile writes a configuration file of lines into dir and returns its path.
func writeFile(dir, name string, lines ...string) (string, error) {
	p := filepath.Join(dir, name)
	return p, os.WriteFile(p, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
