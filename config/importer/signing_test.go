package importer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/dns/dnssec/keyfile"
)

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = filepath.Join("/usr/sbin", program); !exists(path) {
			t.Skipf("%s is not installed", program)
		}
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// follow does what the notes say, to the letter.
func follow(t *testing.T, r *Result) {
	t.Helper()
	done := false
	for _, n := range r.Notes {
		if _, command, ok := strings.Cut(n.Text, "let the server read that directory: "); ok {
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			done = true
		}
	}
	if !done {
		t.Fatalf("no note says how to bring keys: %v", r.Notes)
	}
}

// found looks for the keys of a zone as the server would.
func found(t *testing.T, r *Result, name string) ([]keyfile.Found, *config.Zone, *config.Policy, error) {
	t.Helper()
	c, err := config.Parse("onoma.yaml", r.YAML, config.Options{})
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, r.YAML)
	}
	for i := range c.Zones {
		if z := &c.Zones[i]; z.Name.Equal(dns.MustName(name)) {
			p, _ := c.FindPolicy(z.DNSSEC)
			if z.KeysFrom == "" {
				return nil, z, p, nil
			}
			keys, err := keyfile.Find(config.ExpandFile(z.KeysFrom, z.Name, ""), z.Name, time.Now().Add(time.Minute))
			return keys, z, p, err
		}
	}
	t.Fatalf("there is no zone %s in\n%s", name, r.YAML)
	return nil, nil, nil, nil
}

// TestKnotKeys: what Knot signs is not served until its keys are there, and those that its notes bring are all that sign.
func TestKnotKeys(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "knot.conf")
	write(t, conf, fmt.Sprintf("database:\n  storage: %s\npolicy:\n  - id: p\n    algorithm: ed25519\nzone:\n  - domain: a.example\n    file: a\n    dnssec-signing: on\n    dnssec-policy: p\n  - domain: b.example\n    file: b\n", dir))
	ids := make(map[string]bool)
	for _, how := range [][]string{{"ksk=yes"}, {"ksk=no"}, {"ksk=no", "publish=+10d", "active=+11d"}} {
		out := run(t, "keymgr", append([]string{"-c", conf, "a.example", "generate", "algorithm=ed25519"}, how...)...)
		ids[strings.TrimSpace(out)] = true
	}
	r := checked(t, "knot", conf)
	if _, z, p, err := found(t, r, "a.example."); err == nil || p == nil || p.Keys != "split" || p.Algorithm != "ed25519" {
		t.Errorf("without keys zone %s would be served: %v, by policy %+v", z.Name, err, p)
	}
	if _, z, _, _ := found(t, r, "b.example."); z.DNSSEC != config.PolicyOff || z.KeysFrom != "" {
		t.Errorf("a zone that Knot does not sign has dnssec: %s, keys-from: %s", z.DNSSEC, z.KeysFrom)
	}
	follow(t, r)
	keys, _, _, err := found(t, r, "a.example.")
	if err != nil || len(keys) != 2 || keys[0].Key.DNSKEY().IsSEP() == keys[1].Key.DNSKEY().IsSEP() {
		t.Fatalf("%d keys, %v: expected the KSK and the ZSK in use of %v", len(keys), err, ids)
	}
	for _, k := range keys {
		if id := strings.TrimSuffix(filepath.Base(k.Path), ".pem"); !ids[id] {
			t.Errorf("key %s is none of Knot's", id)
		}
	}
}

// TestPowerDNSKeys is the same for the zones of PowerDNS's bind backend.
func TestPowerDNSKeys(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "keys.db")
	zones := "options { directory \"" + dir + "\"; };\n"
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		zones += "zone \"" + name + "\" { type master; file \"" + name + "\"; };\n"
		write(t, filepath.Join(dir, name), "@ 60 IN SOA ns h 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n")
	}
	write(t, filepath.Join(dir, "named.conf"), zones)
	conf := filepath.Join(dir, "pdns.conf")
	write(t, conf, "launch=bind\nbind-config="+filepath.Join(dir, "named.conf")+"\nbind-dnssec-db="+db+"\n")
	pdns := func(args ...string) string {
		return run(t, "pdnsutil", append([]string{"--config-dir=" + dir}, args...)...)
	}
	r := checked(t, "powerdns", conf)
	for _, name := range []string{"a.example.", "b.example."} {
		if _, z, _, err := found(t, r, name); err == nil {
			t.Errorf("the database cannot be read, and zone %s would be served, signed or not: %v", name, z.DNSSEC)
		}
	}
	pdns("create-bind-db", db)
	pdns("secure-zone", "a.example")
	pdns("add-zone-key", "b.example", "ksk", "2048", "active", "rsasha256")
	pdns("add-zone-key", "b.example", "zsk", "1024", "active", "rsasha256")
	pdns("add-zone-key", "b.example", "zsk", "1024", "inactive", "rsasha256")
	pdns("set-nsec3", "b.example", "1 0 2 aabb")
	r = checked(t, "powerdns", conf)
	if _, z, _, err := found(t, r, "a.example."); err == nil {
		t.Errorf("without keys zone %s would be served", z.Name)
	}
	if _, z, _, _ := found(t, r, "c.example."); z.DNSSEC != config.PolicyOff || z.KeysFrom != "" {
		t.Errorf("a zone that PowerDNS does not sign has dnssec: %s, keys-from: %s", z.DNSSEC, z.KeysFrom)
	}
	follow(t, r)
	a, _, p, err := found(t, r, "a.example.")
	if err != nil || len(a) != 1 || !strings.Contains(pdns("show-zone", "a.example"), fmt.Sprintf("tag = %d,", a[0].Key.Tag())) || p.Keys != "csk" {
		t.Errorf("%d keys, %v: expected PowerDNS's CSK, by policy %+v", len(a), err, p)
	}
	b, _, p, err := found(t, r, "b.example.")
	if err != nil || len(b) != 2 || p.Keys != "split" || p.Algorithm != "rsasha256" || p.Denial != "nsec3" || p.Iterations != 2 || p.Salt != 2 {
		t.Errorf("%d keys, %v: expected a KSK and a ZSK, by policy %+v", len(b), err, p)
	}
}

// TestKnotTypes: a type that is not known here is granted to nobody, and does not lift what is denied.
func TestKnotTypes(t *testing.T) {
	for acl, want := range map[string]string{
		"update-type: [A, NONSENSE]\n":               `update: ["grant any zonesub A"]`,
		"update-type: [NONSENSE]\n":                  "",
		"update-type: [A, NONSENSE]\n    deny: on\n": `update: ["deny any zonesub ANY"]`,
	} {
		text := "acl:\n  - id: x\n    action: update\n    " + acl + "zone:\n  - domain: a.example\n    acl: x\n"
		r, err := Import("knot", "f", inMemory(map[string]string{"f": text}))
		if err != nil {
			t.Fatal(err)
		}
		mustParse(t, r.YAML)
		if got := string(r.YAML); !strings.Contains(got, want) || want == "" && strings.Contains(got, "update:") {
			t.Errorf("%s\nwant %s in\n%s", acl, want, got)
		}
	}
}
