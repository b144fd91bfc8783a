package lab

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"onoma/dns"
	"onoma/inspect"
	"onoma/test/peers"
)

// apart is set in the process that runs in network and mount namespaces of its own.
const apart = "ONOMA_LAB_TEST_APART"

// runApart runs the calling test once more in new namespaces, where port 53 is
// free, nothing but loopback exists, and /etc/resolv.conf may say what the test
// likes. It returns false in the outer process, whose part is done.
func runApart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apart) != "" {
		return true
	}
	peers.Need(t, "ip")
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this machine gives no network namespace: %v", err)
	case err != nil:
		t.Errorf("in a network namespace:\n%s", out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in a network namespace:\n%s", out)
	default:
		t.Logf("in a network namespace:\n%s", out)
	}
	return false
}

// TestOthersWalkTheLab: BIND's and Unbound's resolvers, given the lab's root
// hints, find what ours finds; and dig +trace gets to the answer.
func TestOthersWalkTheLab(t *testing.T) {
	if !runApart(t) {
		return
	}
	prepareNamespaces(t)
	l, err := Start(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.port != 53 {
		t.Fatalf("the lab is on port %d, expected 53 where it may", l.port)
	}
	for _, peer := range peers.Resolvers {
		t.Run(peer.Name, func(t *testing.T) {
			s := peer.Start(t, l.State().RootHints, peer.Addr(t))
			compareWithPeer(t, l, s.Addr)
		})
	}
	t.Run("dig", func(t *testing.T) {
		peers.Need(t, "dig")
		out, err := exec.Command("dig", "+trace", "www.thedns.guru").CombinedOutput()
		for _, want := range []string{"a.nic.guru.", "ns1.example.com.", "203.0.113.42"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Fatalf("dig +trace: %v, expected %q in\n%s", err, want, out)
			}
		}
	})
}

func prepareNamespaces(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("no loopback in the namespace: %v: %s", err, out)
	}
	resolvConf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolvConf, []byte("nameserver 127.53.0.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("no mount namespace: %v", err)
	}
	if err := syscall.Mount(resolvConf, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("no resolv.conf of our own: %v", err)
	}
}

// compareWithPeer asks ours and the peer's resolver the same questions. Names whose
// servers do not listen are not among them: some peers wait for those for minutes.
func compareWithPeer(t *testing.T, l *Lab, peer netip.AddrPort) {
	t.Helper()
	for _, q := range [][2]string{
		{"www.thedns.guru", "A"}, {"thedns.guru", "MX"}, {"www.palettepalapp.com", "A"}, {"www.palettepalapp.com", "AAAA"},
		{"papyrus.org", "MX"}, {"post._domainkey.papyrus.org", "TXT"}, {"api.amphora.dev", "A"}, {"www.xn--hxajg2ck.com", "A"},
		{"bull.crete.labyrinth.guru", "TXT"}, {"nobody.labyrinth.guru", "TXT"}, {"cellar.labyrinth.guru", "TXT"},
		{"www.knossos.labyrinth.guru", "AAAA"}, {"c1.labyrinth.guru", "A"}, {"scroll.labyrinth.guru", "TXT"},
		{"thread.labyrinth.guru", "A"}, {"www.half-lame.org", "A"}, {"lame-duck.net", "A"},
		{"10.25.18.198.in-addr.arpa", "PTR"}, {"nobody.guru", "A"}, {"guru", "NS"}, {"m.root-servers.net", "A"},
	} {
		typ, _ := dns.ParseType(q[1])
		question := dns.Question{Name: dns.MustName(q[0]), Type: typ, Class: dns.ClassIN}
		ours, theirs := outcomeOf(t, l, l.State().Resolver, question), outcomeOf(t, l, peer, question)
		if ours != theirs {
			t.Errorf("%s: we say\n%s\nand the peer says\n%s", question, ours, theirs)
		}
	}
}

// outcomeOf is the response code and the answer section without TTLs, sorted.
func outcomeOf(t *testing.T, l *Lab, server netip.AddrPort, question dns.Question) string {
	t.Helper()
	q := l.query(&inspect.Network{}, server, question)
	q.Recurse, q.Timeout = true, q.Timeout*5
	r, err := q.Ask(context.WithoutCancel(t.Context()))
	if err != nil {
		return err.Error()
	}
	lines := []string{r.Message.RCode.String()}
	for _, rec := range r.Message.Answer {
		rec.TTL = 0
		lines = append(lines, rec.String())
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}
