package walk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"onoma/test/peers"
)

// TestLabShell: a command in scripts/lab-shell finds the lab by the system's own means, its exit status comes back,
// and afterwards nothing is left: no file, no process in the namespace, and the machine's resolv.conf as it was.
func TestLabShell(t *testing.T) {
	for _, program := range []string{"bash", "unshare", "ip", "mount", "dig"} {
		peers.Need(t, program)
	}
	if out, err := exec.Command("unshare", "--net", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("namespaces cannot be made here: %v: %s", err, out)
	}
	resolvConf := read(t, "/etc/resolv.conf")
	files := t.TempDir()
	cmd := exec.Command(filepath.Join(peers.ModuleRoot(), "scripts", "lab-shell"), "sh", "-c",
		"dig +short www.thedns.guru; onoma query papyrus.org A --short; readlink /proc/self/ns/net; exit 7")
	cmd.Env = append(os.Environ(), "ONOMA="+peers.Binary(t), "TMPDIR="+files)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("the command ended with %v, expected its own exit status 7\n%s", err, out)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 4 || strings.Join(lines[:3], " ") != "thedns.guru. 203.0.113.42 198.18.2.20" {
		t.Fatalf("the command saw %q, expected the records of the zone files and its network", lines)
	}
	if left, err := os.ReadDir(files); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
	if after := read(t, "/etc/resolv.conf"); after != resolvConf {
		t.Errorf("the machine's resolv.conf has changed to\n%s", after)
	}
	if left := inNetwork(t, lines[3]); len(left) != 0 {
		t.Errorf("processes are left in the namespace: %v", left)
	}
}

// inNetwork are the processes in a network namespace, by their directories in /proc.
func inNetwork(t *testing.T, network string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil || len(links) == 0 {
		t.Fatalf("no process is in /proc: %v", err)
	}
	var found []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == network {
			found = append(found, link)
		}
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
