// Package walk proves the lab with Debian's tools as judges: dig, kdig and host find their way from its roots to the
// records of the zone files, and BIND's and Unbound's resolvers find the same answers as ours for every name in the
// customers' zones, and see what a registrar's and a hosting panel change. All of it happens on port 53 in network and
// mount namespaces of the test's own. What is not installed is skipped by name.
package walk

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"onoma/test/peers"
)

// labResolver is where the lab's resolver listens.
const labResolver = "127.53.0.53"

// world is a running lab, as those see it who only have its binary and its lab.json.
type world struct {
	binary    string
	dir       string
	resolver  netip.AddrPort
	rootHints string
}

// TestWalk is one test, so that one lab serves all its parts.
func TestWalk(t *testing.T) {
	if !peers.InOwnNetwork(t) {
		return
	}
	peers.AskResolver(t, netip.MustParseAddr(labResolver))
	w := startLab(t)
	t.Run("dig", w.dig)
	t.Run("dig+trace", w.digTrace)
	t.Run("kdig", w.kdig)
	t.Run("host", w.host)
	t.Run("onoma", w.trace)

	servers := map[string]netip.AddrPort{"onoma": w.resolver}
	for _, peer := range peers.Resolvers {
		var s *peers.Server
		t.Run("start-"+peer.Name, func(part *testing.T) {
			peers.Need(part, peer.Binary)
			s = peer.Start(t, w.rootHints, peer.Addr(t)) // until the whole test ends
		})
		if s == nil {
			continue
		}
		servers[peer.Name] = s.Addr
		t.Run("agree-"+peer.Name, func(t *testing.T) { w.agree(t, s.Addr) })
	}
	t.Run("change", func(t *testing.T) { w.change(t, servers) })
}

// startLab runs `onoma lab` and reads where it put everything.
func startLab(t *testing.T) *world {
	t.Helper()
	w := &world{binary: peers.Binary(t), dir: filepath.Join(t.TempDir(), "lab")}
	peers.StartOnoma(t, netip.MustParseAddrPort(labResolver+":53"), "lab", "--dir", w.dir)
	text, err := os.ReadFile(filepath.Join(w.dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Port      uint16         `json:"port"`
		Resolver  netip.AddrPort `json:"resolver"`
		RootHints string         `json:"root_hints"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatalf("reading lab.json: %v", err)
	}
	if state.Port != 53 || state.Resolver.String() != labResolver+":53" {
		t.Fatalf("lab.json tells of port %d and resolver %v, expected 53 at %s", state.Port, state.Resolver, labResolver)
	}
	w.resolver, w.rootHints = state.Resolver, state.RootHints
	return w
}

// onoma runs a verb of our binary and returns what it prints.
func (w *world) onoma(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, w.binary, args...)
}

// run runs a program that has to succeed, and returns what it prints.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	peers.Need(t, program)
	cmd := exec.Command(program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}
