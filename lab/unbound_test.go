package lab

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/inspect"
	"onoma/test/peers"
)

// TestUnboundAndDelv have the lab at port 53 of a network of its own, and others than
// ourselves for judges: each zone is as it should be, and a domain that is registered
// under their eyes is secure in less than 5 s.
func TestUnboundAndDelv(t *testing.T) {
	if testing.Short() {
		t.Skip("a lab in a network of its own")
	}
	peers.Need(t, peers.Unbound.Binary)
	if !peers.InOwnNetwork(t) {
		return
	}
	dir := t.TempDir()
	began := time.Now()
	l, err := Start(t.Context(), Config{Dir: dir, Port: 53})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Logf("the lab was up after %v", time.Since(began))
	anchors, err := os.ReadFile(l.State().TrustAnchor)
	if err != nil {
		t.Fatal(err)
	}
	unbound := peers.Validator(t, string(anchors), map[string]netip.AddrPort{".": netip.AddrPortFrom(l.State().Roots["a"], 53)},
		"  qname-minimisation: no", `  local-zone: "198.in-addr.arpa." nodefault`)

	t.Run("zones", func(t *testing.T) {
		for name, want := range map[string]string{
			"www.thedns.guru.": "secure", "papyrus.org.": "secure", "crete.labyrinth.guru.": "secure", "25.18.198.in-addr.arpa.": "secure",
			"nobody.app.": "secure", "palettepalapp.com.": "secure", "www.palettepalapp.com.": "insecure",
			"amphora.dev.": "insecure", "root-servers.net.": "insecure", "dried-ink.org.": "SERVFAIL",
		} {
			if got := judged(t, unbound.Addr, name); got != want {
				t.Errorf("Unbound finds %s %s, expected %s", name, got, want)
			}
		}
	})
	t.Run("delv", func(t *testing.T) {
		peers.Need(t, "delv")
		for name, want := range map[string]string{
			"thedns.guru": "fully validated", "nobody.guru": "negative response, fully validated",
			"amphora.dev": "unsigned answer", "dried-ink.org": "resolution failed",
		} {
			cmd := exec.CommandContext(t.Context(), "delv", "@"+l.State().Resolver.Addr().String(), "-a", filepath.Join(dir, "bind.keys"), "+root", name, "A")
			if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), want) {
				t.Errorf("delv says of %s, expected %q:\n%s", name, want, out)
			}
		}
	})
	t.Run("registered", func(t *testing.T) {
		for _, r := range []Registration{
			{Name: "swift.guru", NS: []string{"ns1.acropolis-dns.net", "ns2.acropolis-dns.org"}},
			{Name: "swift.app", NS: []string{"ns1.meltemi-dns.com", "ns2.meltemi-dns.app"}},
		} {
			began := time.Now()
			must(t)(l.Register(t.Context(), r))
			awaitSecurity(t, l, r.Name, "known to the parent", func(s Security) bool { return len(s.DS) > 0 })
			told := time.Since(began)
			got := judged(t, unbound.Addr, r.Name+".")
			took := time.Since(began)
			t.Logf("%s: DS at the parent after %v, %s at Unbound after %v", r.Name, told, got, took)
			if got != "secure" || took > 5*time.Second {
				t.Errorf("Unbound finds %s %s after %v, expected secure in less than 5 s", r.Name, got, took)
			}
		}
	})
}

// judged asks a validating resolver, and tells its verdict: "secure" with AD, else
// "insecure", or the response code.
func judged(t *testing.T, resolver netip.AddrPort, name string) string {
	t.Helper()
	q := inspect.Query{
		Env: &inspect.Network{}, Servers: []netip.AddrPort{resolver}, Question: dns.Question{Name: dns.MustName(name), Type: dns.TypeNS, Class: dns.ClassIN},
		Recurse: true, AD: true, EDNS: &dns.EDNS{UDPSize: 1232, DO: true}, Timeout: 10 * time.Second, Tries: 1,
	}
	if strings.HasPrefix(name, "www.") {
		q.Question.Type = dns.TypeA
	}
	r, err := q.Ask(t.Context())
	switch {
	case err != nil:
		return err.Error()
	case r.Message.RCode != dns.RCodeNoError && r.Message.RCode != dns.RCodeNXDomain:
		return r.Message.RCode.String()
	case r.Message.Flags.Has(dns.FlagAD):
		return "secure"
	}
	return "insecure"
}
