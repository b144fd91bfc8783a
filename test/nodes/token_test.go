package nodes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"onoma/test/peers"
)

const tokenNode = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
lookups: {root-hints: DIR/root.hints}
dnssec: {tokens: {hsm: {module: MODULE, label: zones, pin: "file:DIR/pin"}}}
policies:
  hard: {token: hsm, key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, ds: by-hand}
zones:
  u.example: {file: DIR/zone, file-mode: initial, new: true, update: ["grant 127.0.0.0/8 zonesub ANY"], transfer-to: [127.0.0.0/8], dnssec: hard}
`

// softHSM makes a token called zones in the directory of a node, and returns its maker's library and the words before the
// command of a server that may find it.
func softHSM(t *testing.T, dir string) (module string, prefix []string) {
	t.Helper()
	util, err := exec.LookPath("softhsm2-util")
	modules, _ := filepath.Glob("/usr/lib/softhsm/libsofthsm2.so") // the patterns are fine
	others, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	if modules = append(modules, others...); err != nil || len(modules) == 0 {
		t.Skip("softhsm2 is not installed")
	}
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler: onoma-pkcs11 is left out")
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "onoma-pkcs11"), "./cmd/onoma-pkcs11")
	build.Dir, build.Env = peers.ModuleRoot(), append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building onoma-pkcs11: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "softhsm.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	initialise := exec.Command(util, "--init-token", "--free", "--label", "zones", "--pin", "1234", "--so-pin", "5678")
	initialise.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return modules[0], []string{"env", "SOFTHSM2_CONF=" + conf, "PATH=" + dir + ":" + os.Getenv("PATH")}
}

// TestToken: keys are made in a token and sign from there, after a restart, too. Where the token is gone what is served stays,
// changes are refused, and people are told; when it is back all goes on.
func TestToken(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a token that was gone is looked for again")
	}
	t.Parallel()
	n := newNode(t, tokenNode)
	module, prefix := softHSM(t, n.Dir)
	n.Configure(t, strings.ReplaceAll(tokenNode, "MODULE", module))
	n.Write(t, "zone", quickText)
	n.Write(t, "pin", "1234\n")
	n.Write(t, "root.hints", ". 3600 NS a.root.\na.root. 3600 A 127.0.0.1\n")
	n.start(t, "u.example.", prefix...)
	signed := func(what, name string) {
		t.Helper()
		within(t, 20*time.Second, what, func() error {
			text, err := n.verified(t, "u.example.")
			if err == nil && !strings.Contains(text, name+".u.example.\t1\tIN\tRRSIG\tA") {
				err = fmt.Errorf("%s is not signed:\n%s", name, text)
			}
			return err
		})
	}
	add := func(name string) error {
		return n.update(10*time.Second, "u.example.", name+".u.example. 1 IN A 192.0.2.1")
	}
	signed("the first signatures", "ns")
	if err := add("first"); err != nil {
		t.Fatal(err)
	}
	signed("a change", "first")
	if files, _ := filepath.Glob(n.Path("data/keys/*/*")); len(files) > 0 {
		t.Errorf("keys of a token are files: %v", files)
	}
	n.End(t, syscall.SIGTERM)
	n.start(t, "u.example.", prefix...)
	if err := add("second"); err != nil {
		t.Fatal(err)
	}
	signed("a change after a restart", "second")
	n.End(t, syscall.SIGTERM)
	if err := os.Rename(n.Path("tokens"), n.Path("drawer")); err != nil {
		t.Fatal(err)
	}
	n.start(t, "u.example.", prefix...)
	if err := add("third"); err == nil {
		t.Error("without the token a change is taken")
	}
	signed("what is served without the token", "second")
	within(t, 20*time.Second, "an alarm", func() error {
		v, err := n.Ctl.Zone("u.example.", "").Keys(t.Context(), 0)
		if err == nil && len(v.Alarms) == 0 {
			err = fmt.Errorf("there is none: %+v", v)
		}
		return err
	})
	if err := os.Rename(n.Path("drawer"), n.Path("tokens")); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "the token is back", func() error { return add("fourth") })
	signed("a change with the token", "fourth")
}
