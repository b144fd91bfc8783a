package update

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/authority"
	"onoma/dns"
	"onoma/test/peers"
	"onoma/zone"
)

const (
	clientZone = "clients.example."
	secret     = "c2l4dGVlbiBvY3RldHMgYW5kIHNpeHRlZW4gbW9yZQ=="
)

// client runs a program for updates on the machine, for a server of ours with one zone.
type client struct {
	program string
	*server
	zone *zone.Zone
	addr netip.AddrPort
	dir  string
}

func newClient(t *testing.T, program, policy string) *client {
	t.Helper()
	peers.Need(t, program)
	c := &client{program: program, server: newServer(t), dir: t.TempDir()}
	c.zone = c.add(t, clientZone, zoneText(t), policy)
	c.addr = c.listen(t)
	return c
}

// run gives the program a script, and returns what it says, and whether it was content.
func (c *client) run(t *testing.T, script string, args ...string) (string, bool) {
	t.Helper()
	script = fmt.Sprintf("server %s %d\nzone %s\n%s\n", c.addr.Addr(), c.addr.Port(), clientZone, script)
	cmd := exec.Command(c.program, args...)
	cmd.Dir = c.dir
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// step is a script, and what becomes of it.
type step struct {
	what, script string
	fails        string // part of what the program says; "": it succeeds
	want         []string
}

func (c *client) play(t *testing.T, steps []step, args ...string) {
	t.Helper()
	for _, s := range steps {
		before := content(c.zone.Current())
		out, ok := c.run(t, strings.ReplaceAll(s.script, "Z.", clientZone)+"\nsend", args...)
		if ok != (s.fails == "") || !strings.Contains(out, s.fails) {
			t.Errorf("%s: it says %q, expected %q", s.what, out, s.fails)
		}
		got := outcome("", before, content(c.zone.Current()))[1:]
		got = slices.DeleteFunc(got, func(l string) bool { return strings.Contains(l, "serial ") || strings.Contains(l, " SOA ") })
		if d := cmp.Diff(s.want, got); d != "" && len(s.want)+len(got) > 0 {
			t.Errorf("%s (-want +got):\n%s", s.what, d)
		}
	}
}

// everyForm has each form of prerequisite and of update that the clients know.
var everyForm = []step{
	{"add", "add a.Z. 60 A 192.0.2.10\nadd a.Z. 60 TXT \"some text\"", "", []string{"+a.Z. 60 IN A 192.0.2.10", "+a.Z. 60 IN TXT \"some text\""}},
	{"add with a class", "class IN\nadd a.Z. 60 IN A 192.0.2.11", "", []string{"+a.Z. 60 IN A 192.0.2.11"}},
	{"prereq nxdomain, met", "prereq nxdomain b.Z.\nadd b.Z. 60 A 192.0.2.12", "", []string{"+b.Z. 60 IN A 192.0.2.12"}},
	{"prereq nxdomain, not met", "prereq nxdomain b.Z.\nadd b.Z. 60 A 192.0.2.13", "YXDOMAIN", nil},
	{"prereq yxdomain, met", "prereq yxdomain b.Z.\nadd b.Z. 60 MX 1 b.Z.", "", []string{"+b.Z. 60 IN MX 1 b.Z."}},
	{"prereq yxdomain, not met", "prereq yxdomain none.Z.\nadd none.Z. 60 A 192.0.2.13", "NXDOMAIN", nil},
	{"prereq nxrrset, met", "prereq nxrrset b.Z. IN AAAA\nadd b.Z. 60 AAAA 2001:db8::1", "", []string{"+b.Z. 60 IN AAAA 2001:db8::1"}},
	{"prereq nxrrset, not met", "prereq nxrrset b.Z. IN AAAA\nadd b.Z. 60 AAAA 2001:db8::2", "YXRRSET", nil},
	{"prereq yxrrset, met", "prereq yxrrset b.Z. IN AAAA\nadd b.Z. 60 AAAA 2001:db8::3", "", []string{"+b.Z. 60 IN AAAA 2001:db8::3"}},
	{"prereq yxrrset, not met", "prereq yxrrset b.Z. IN SRV\nadd b.Z. 60 AAAA 2001:db8::4", "NXRRSET", nil},
	{"prereq yxrrset with values, met", "prereq yxrrset www.Z. IN A 192.0.2.5\nprereq yxrrset www.Z. IN A 192.0.2.4\ndelete www.Z. A",
		"", []string{"-www.Z. 300 IN A 192.0.2.4", "-www.Z. 300 IN A 192.0.2.5"}},
	{"prereq yxrrset with values, not met", "prereq yxrrset one.Z. IN A 192.0.2.9\ndelete one.Z. A", "NXRRSET", nil},
	{"delete a record", "delete a.Z. A 192.0.2.10", "", []string{"-a.Z. 60 IN A 192.0.2.10"}},
	{"delete an RRset", "delete a.Z. TXT", "", []string{"-a.Z. 60 IN TXT \"some text\""}},
	{"delete a name", "delete b.Z.", "", []string{
		"-b.Z. 60 IN A 192.0.2.12", "-b.Z. 60 IN AAAA 2001:db8::1", "-b.Z. 60 IN AAAA 2001:db8::3", "-b.Z. 60 IN MX 1 b.Z."}},
	{"replace", "delete one.Z. A\nadd one.Z. 60 A 192.0.2.66", "", []string{"-one.Z. 300 IN A 192.0.2.6", "+one.Z. 60 IN A 192.0.2.66"}},
	{"outside the zone", "add www.elsewhere. 60 A 192.0.2.10", "NOTZONE", nil},
}

func TestClients(t *testing.T) {
	for _, program := range []string{"nsupdate", "knsupdate"} {
		for name, args := range map[string][]string{"udp": nil, "tcp": {"-v"}} {
			t.Run(program+"/"+name, func(t *testing.T) {
				t.Parallel()
				newClient(t, program, "grant any zonesub").play(t, everyForm, args...)
			})
		}
	}
}

// TestClientsSign uses TSIG with every algorithm, from the command line and from files of keys.
func TestClientsSign(t *testing.T) {
	for _, program := range []string{"nsupdate", "knsupdate"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, program, "grant key:ddns.key. name a.clients.example. A")
			for i, algorithm := range []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
				text := fmt.Sprintf("key \"ddns.key\" {\n\talgorithm %s;\n\tsecret %q;\n};\n", algorithm, secret)
				keys, err := authority.ParseKeys(text)
				if err != nil {
					t.Fatal(err)
				}
				c.keys.Set(keys)
				file := filepath.Join(c.dir, "key")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				signed := []string{"-y", algorithm + ":ddns.key:" + secret}
				if i%2 == 1 && program == "nsupdate" { // knsupdate reads another form
					signed = []string{"-k", file}
				}
				c.play(t, []step{
					{algorithm, fmt.Sprintf("add a.Z. 60 A 192.0.2.%d", i), "", []string{fmt.Sprintf("+a.Z. 60 IN A 192.0.2.%d", i)}},
					{algorithm + " for another name", "add b.Z. 60 A 192.0.2.1", "REFUSED", nil},
					{algorithm + " for another type", "add a.Z. 60 TXT x", "REFUSED", nil},
				}, signed...)
			}
			c.play(t, []step{{"unsigned", "add a.Z. 60 A 192.0.2.99", "REFUSED", nil}})
			c.play(t, []step{{"another secret", "add a.Z. 60 A 192.0.2.99", "BADSIG", nil}}, "-y", "hmac-sha512:ddns.key:"+secret[:20]+"AAAA")
		})
	}
}

// TestSIG0 signs with keys that dnssec-keygen has made, and with nsupdate.
func TestSIG0(t *testing.T) {
	peers.Need(t, "dnssec-keygen")
	for _, algorithm := range []string{"ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "RSASHA256", "RSASHA512"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, "nsupdate", "grant sig0:*.hosts.clients.example. self A\ngrant any name policy.clients.example. TXT")
			host := "h.hosts." + clientZone
			file, key := c.keygen(t, algorithm, host)
			other, _ := c.keygen(t, algorithm, host)
			c.publish(t, dns.MustName(host), key)
			c.play(t, []step{
				{"own address", "add h.hosts.Z. 60 A 192.0.2.10", "", []string{"+h.hosts.Z. 60 IN A 192.0.2.10"}},
				{"another's address", "add x.hosts.Z. 60 A 192.0.2.10", "REFUSED", nil},
			}, "-k", file)
			c.play(t, []step{{"over TCP", "delete h.hosts.Z. A", "", []string{"-h.hosts.Z. 60 IN A 192.0.2.10"}}}, "-v", "-k", file)
			c.play(t, []step{{"a key that is not published", "add h.hosts.Z. 60 A 192.0.2.10", "NOTAUTH", nil}}, "-k", other)
		})
	}
}

// keygen makes a key pair, and returns its file and the rdata of its KEY record.
func (c *client) keygen(t *testing.T, algorithm, name string) (file string, key dns.RData) {
	t.Helper()
	args := []string{"-q", "-K", c.dir, "-T", "KEY", "-n", "HOST", "-a", algorithm}
	if strings.HasPrefix(algorithm, "RSA") {
		args = append(args, "-b", "2048")
	}
	cmd := exec.Command("dnssec-keygen", append(args, name)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, said.String())
	}
	file = filepath.Join(c.dir, strings.TrimSpace(string(out))+".key")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(l, " KEY "); ok {
			if key, err = dns.ParseRDataString(dns.TypeKEY, strings.TrimSpace(rest), dns.Root); err != nil {
				t.Fatal(err)
			}
		}
	}
	return file, key
}

// publish adds a KEY record to the zone.
func (c *client) publish(t *testing.T, name dns.Name, key dns.RData) {
	t.Helper()
	_, err := c.zone.Update(func(e *zone.Editor) error {
		_, err := e.Add(dns.Record{Name: name, Type: dns.TypeKEY, Class: dns.ClassIN, TTL: 60, Data: key})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
