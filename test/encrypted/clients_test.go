package encrypted

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/test/peers"
	"onoma/transport"
)

// run runs a client and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func port(a interface{ Port() uint16 }) string { return strconv.Itoa(int(a.Port())) }

func example(t *testing.T) *server {
	return start(t, map[string]string{"enc.example.": zoneFile(t, exampleZone)})
}

func TestKdig(t *testing.T) {
	peers.Need(t, "kdig")
	s := example(t)
	for _, args := range [][]string{
		{"+tls", "-p", port(s.tls)}, {"+tls-ca=" + s.ca, "+tls-hostname=ns.example", "-p", port(s.tls)},
		{"+quic", "-p", port(s.quic)}, {"+https", "-p", port(s.https)}, {"+https-get", "-p", port(s.https)},
	} {
		for query, want := range map[string]string{"www A": "192.0.2.80", "chain AAAA": "2001:db8::80", "x.wild TXT": `"anything"`} {
			name, typ, _ := strings.Cut(query, " ")
			out := run(t, "kdig", append(args, "+short", "+norec", "@"+s.ip.String(), name+".enc.example", typ)...)
			if !strings.HasSuffix(strings.TrimSpace(out), want) {
				t.Errorf("%v %s: %q, want %s", args, query, out, want)
			}
		}
		// Padding to blocks of 468 octets (RFC 8467 §4.1), where the query was padded.
		if out := run(t, "kdig", append(args, "+padding", "+norec", "@"+s.ip.String(), "www.enc.example")...); !strings.Contains(out, "Received 468 B") {
			t.Errorf("%v: the answer is not padded:\n%s", args, out)
		}
	}
	if out := run(t, "kdig", "+tls", "+keepopen", "+norec", "+short", "-p", port(s.tls), "@"+s.ip.String(), "www.enc.example", "www.enc.example", "A"); strings.Count(out, "192.0.2.80") != 2 {
		t.Errorf("two queries on one connection: %q", out)
	}
}

func TestDig(t *testing.T) {
	peers.Need(t, "dig")
	s := example(t)
	for _, args := range [][]string{
		{"+tls", "-p", port(s.tls)}, {"+tls-ca=" + s.ca, "+tls-hostname=ns.example", "-p", port(s.tls)},
		{"+https", "-p", port(s.https)}, {"+https-get", "-p", port(s.https)},
	} {
		out := run(t, "dig", append(args, "+short", "+norec", "@"+s.ip.String(), "large.enc.example", "TXT")...)
		if strings.Count(out, "0123456789") < 3*4*20 {
			t.Errorf("%v: %d octets of text", args, len(out))
		}
	}
}

// curl resolves by DoH the name of a web server that nobody else knows.
func TestCurl(t *testing.T) {
	peers.Need(t, "curl")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "found by DoH") }))
	defer web.Close()
	_, webPort, _ := net.SplitHostPort(web.Listener.Addr().String())
	s := example(t)
	for _, version := range []string{"--http1.1", "--http2"} {
		out := run(t, "curl", "--silent", "--show-error", version, "--max-time", "20", "--cacert", s.ca, "--noproxy", "*",
			"--doh-url", s.url(), "http://ns.enc.example:"+webPort+"/")
		if out != "found by DoH" {
			t.Errorf("%s: %q", version, out)
		}
	}
}

// Unbound forwards over TLS, with the certificate checked.
func TestUnbound(t *testing.T) {
	peers.Need(t, "unbound")
	s := example(t)
	at := peers.Addr(t)
	config := filepath.Join(t.TempDir(), "unbound.conf")
	text := fmt.Sprintf(`server:
  interface: %s@%d
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  num-threads: 1
  tls-cert-bundle: "%s"
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-tls-upstream: yes
  forward-addr: %s@%d#ns.example
`, at.Addr(), at.Port(), s.ca, s.ip, s.tls.Port())
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("unbound")
	if err != nil {
		path = "/usr/sbin/unbound"
	}
	var log strings.Builder
	cmd := exec.Command(path, "-d", "-c", config)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	msg, err := dns.NewQuery(7, dns.Question{Name: dns.MustName("chain.enc.example."), Type: dns.TypeA, Class: dns.ClassIN}, true).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := transport.Client{Timeout: time.Second}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		r, err := c.Exchange(t.Context(), transport.UDP, at, msg, nil)
		if err == nil {
			m, err := dns.ParseMessage(r.Msg)
			if err != nil || m.Flags.RCode() != dns.RCodeNoError || len(m.Answer) != 3 {
				t.Errorf("Unbound answers %v %v", m, err)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Unbound does not answer: %v", err)
		}
	}
}
