package importing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/test/peers"
)

const secret = "AAECAwQFBgcICQoLDA0ODw=="

// rival is another server with a configuration, in which PORT and DIR are to be replaced.
type rival struct {
	from, binary string
	files        map[string]string
	main         string
	args         []string
}

var rivals = []rival{
	{"bind", "named", map[string]string{"named.conf": `
key k { algorithm hmac-sha256; secret "` + secret + `"; };
acl inside { !127.0.0.8; key k; 127.0.0.9; };
options {
	directory "DIR"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none;
	recursion no; dnssec-validation no; minimal-responses yes; notify no; allow-transfer { none; };
};
controls { };
view inside { match-clients { inside; }; zone "ex.test" { type primary; file "inside.zone"; allow-transfer { key k; }; }; };
view outside { match-clients { any; }; zone "ex.test" { type primary; file "ex.zone"; allow-transfer { !127.0.0.8; 127.0.0.8/31; }; }; };
`}, "named.conf", []string{"-g", "-c", "DIR/named.conf"}},
	{"nsd", "nsd", map[string]string{"nsd.conf": `
server:
	ip-address: 127.0.0.1@PORT
	username: ""
	chroot: ""
	pidfile: ""
	zonelistfile: "DIR/zones.list"
	xfrdfile: "DIR/xfrd"
	xfrdir: "DIR"
	zonesdir: "DIR"
	minimal-responses: yes
remote-control:
	control-enable: no
key:
	name: k
	algorithm: hmac-sha256
	secret: "` + secret + `"
pattern:
	name: p
	zonefile: "ex.zone"
	provide-xfr: 127.0.0.0/8 k
	provide-xfr: 127.0.0.9 NOKEY
	provide-xfr: 127.0.0.8 BLOCKED
zone:
	name: ex.test
	include-pattern: p
`}, "nsd.conf", []string{"-d", "-c", "DIR/nsd.conf"}},
	{"knot", "knotd", map[string]string{"knot.conf": `
server:
    rundir: "DIR"
    listen: 127.0.0.1@PORT
database:
    storage: "DIR"
key:
  - id: k
    algorithm: hmac-sha256
    secret: ` + secret + `
acl:
  - id: no
    address: 127.0.0.8
    action: transfer
    deny: on
  - id: yes
    key: k
    action: transfer
  - id: nine
    address: 127.0.0.9
    action: transfer
template:
  - id: default
    storage: "DIR"
    acl: [no, yes, nine]
zone:
  - domain: ex.test
    file: "ex.zone"
    zonefile-sync: -1
`}, "knot.conf", []string{"-c", "DIR/knot.conf"}},
	{"powerdns", "pdns_server", map[string]string{
		"pdns.conf":  "launch=bind\nbind-config=DIR/named.conf\nlocal-address=127.0.0.1\nlocal-port=PORT\nsocket-dir=DIR\nallow-axfr-ips=127.0.0.9\nsecurity-poll-suffix=\nzone-cache-refresh-interval=0\n",
		"named.conf": "options { directory \"DIR\"; };\nzone \"ex.test\" { type native; file \"ex.zone\"; };\n",
	}, "pdns.conf", []string{"--config-dir=DIR", "--daemon=no", "--guardian=no"}},
}

const zoneText = `$TTL 60
@ SOA ns.ex.test. host.ex.test. 7 7200 900 1209600 300
@ NS ns.ex.test.
ns A 127.0.0.1
www A 192.0.2.80
alias CNAME www.ex.test.
*.wild TXT "any"
sub NS ns.sub.ex.test.
ns.sub A 192.0.2.53
`

// TestSameAnswers asks both servers the same, as several clients.
func TestSameAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eight servers")
	}
	peers.Need(t, "dig")
	peers.Binary(t) // once for all
	for _, r := range rivals {
		t.Run(r.from, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, r.binary)
			dir := t.TempDir()
			theirs, ours := peers.Addr(t), peers.Addr(t)
			port := fmt.Sprint(theirs.Port())
			write(t, filepath.Join(dir, "ex.zone"), zoneText+"who TXT \"all\"\n")
			write(t, filepath.Join(dir, "inside.zone"), zoneText+"who TXT \"inside\"\n")
			fill := strings.NewReplacer("DIR", dir, "PORT", port)
			for name, text := range r.files {
				write(t, filepath.Join(dir, name), fill.Replace(text))
			}
			args := make([]string, len(r.args))
			for i, a := range r.args {
				args[i] = fill.Replace(a)
			}
			start(t, r.binary, args, port)
			peers.StartOnoma(t, ours, "serve", "--config", imported(t, r, dir, ours.String()))
			their, our := answers(port, "127.0.0.1"), answers(fmt.Sprint(ours.Port()), ours.Addr().String())
			whole := strings.Join(our, "\n")
			if r.from == "knot" {
				// Knot knows a key (RFC 8945 §5.2.1) only where an acl lets in who signs with it, and answers NOTAUTH to others; we
				// know every key that is configured.
				denied := func(a string) bool { return strings.HasPrefix(a, "-b 127.0.0.8 -y") && !strings.Contains(a, "AXFR") }
				their, our = slices.DeleteFunc(their, denied), slices.DeleteFunc(our, denied)
			}
			if d := cmp.Diff(their, our); d != "" {
				t.Errorf("answers (-%s +onoma):\n%s", r.from, d)
			}
			if !strings.Contains(whole, "who.ex.test.") || !strings.Contains(whole, "Transfer failed") {
				t.Errorf("nothing was answered, or everybody got the zone:\n%s", whole)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a server until the test ends, and returns when it answers.
func start(t *testing.T, binary string, args []string, port string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if cmd.Wait(); t.Failed() {
			t.Logf("log of %s:\n%s", binary, log.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !strings.Contains(dig(ctx, "127.0.0.1", port, "ex.test", "SOA", "+tries=1", "+time=1"), "NOERROR") {
		if ctx.Err() != nil {
			t.Fatalf("%s does not answer", binary)
		}
	}
}

// imported carries a configuration over, and gives it an address and places of its own.
func imported(t *testing.T, r rival, dir, addr string) string {
	t.Helper()
	out := filepath.Join(dir, "onoma.yaml")
	cmd := exec.Command(peers.Binary(t), "config", "import", "--from", r.from, filepath.Join(dir, r.main), "-o", out)
	if log, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, log)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "listen:") })
	write(t, out, fmt.Sprintf("data: %s\ncontrol: off\nlisten: %q\n%s", filepath.Join(dir, "data"), addr, strings.Join(lines, "\n")))
	return out
}

// dig asks, and returns what of the answer does not depend on time.
func dig(ctx context.Context, server, port string, args ...string) string {
	cmd := exec.CommandContext(ctx, "dig", append([]string{"@" + server, "-p", port, "+norecurse", "+nostats", "+nocmd", "+noedns", "+nomultiline"}, args...)...)
	out, _ := cmd.CombinedOutput() // what went wrong is in the text
	var lines []string
	for line := range strings.SplitSeq(string(out), "\n") {
		switch {
		case strings.Contains(line, "status:"):
			_, status, _ := strings.Cut(line, "status: ")
			status, _, _ = strings.Cut(status, ",")
			lines = append(lines, status)
		case strings.Contains(line, "TSIG"), strings.HasPrefix(line, ";") && !strings.Contains(line, "Transfer failed"):
		case line != "":
			lines = append(lines, strings.ToLower(strings.Join(strings.Fields(line), " ")))
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// answers are those to all questions of all clients.
func answers(port, server string) (all []string) {
	clients := [][]string{{"-b", "127.0.0.1"}, {"-b", "127.0.0.8"}, {"-b", "127.0.0.9"}, {"-y", "hmac-sha256:k:" + secret}, {"-b", "127.0.0.8", "-y", "hmac-sha256:k:" + secret}}
	questions := [][]string{{"who.ex.test", "TXT"}, {"nx.ex.test", "A"}, {"alias.ex.test", "A"}, {"x.wild.ex.test", "TXT"}, {"x.sub.ex.test", "A"}, {"ex.test", "AXFR"}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, c := range clients {
		for _, q := range questions {
			text := dig(ctx, server, port, slices.Concat(c, q)...)
			text = strings.ReplaceAll(text, "; transfer failed.", "; Transfer failed.")
			all = append(all, strings.Join(c, " ")+" "+strings.Join(q, " ")+"\n"+text)
		}
	}
	return all
}
