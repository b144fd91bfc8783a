package keyfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// need returns the path of a program, or skips the test.
func need(t *testing.T, program string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed", program)
	return ""
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

var judged = map[uint8]string{dnssec.RSASHA256: "RSASHA256", dnssec.RSASHA512: "RSASHA512", dnssec.ECDSAP256SHA256: "ECDSAP256SHA256", dnssec.ECDSAP384SHA384: "ECDSAP384SHA384", dnssec.ED25519: "ED25519", dnssec.ED448: "ED448"}

func TestReadBIND(t *testing.T) {
	keygen, settime, dsfromkey := need(t, "dnssec-keygen"), need(t, "dnssec-settime"), need(t, "dnssec-dsfromkey")
	for algorithm, word := range judged {
		dir := t.TempDir()
		args := []string{"-q", "-K", dir, "-a", word, "-f", "KSK", "-L", "300", "-P", "20260131120000", "-A", "20260201120000", "-I", "20260301120000", "-D", "20260401120000", "-P", "sync", "20260202120000"}
		if algorithm <= dnssec.RSASHA512 {
			args = append(args, "-b", "1024")
		}
		stem := filepath.Join(dir, strings.TrimSpace(run(t, keygen, append(args, "a\\.b.Example.com")...)))
		run(t, settime, "-s", "-g", "OMNIPRESENT", "-k", "RUMOURED", "20260131120000", "-d", "HIDDEN", "20260131120000", stem)
		name, k, meta, err := Read(stem)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, FileName(name, algorithm, k.Tag())); want != stem {
			t.Errorf("BIND's name of the file is %s, ours %s", stem, want)
		}
		if !meta.Publish.Equal(day) || !meta.Activate.Equal(day.AddDate(0, 0, 1)) || !meta.SyncPublish.Equal(day.AddDate(0, 0, 2)) || meta.Inactive.IsZero() || meta.Delete.IsZero() || meta.TTL != 300 {
			t.Errorf("times of %+v", meta)
		}
		if s := meta.State; s == nil || s.Goal != Omnipresent || s.DNSKEY != Rumoured || s.DS != Hidden || !s.DNSKEYChange.Equal(day) {
			t.Errorf("state %+v", meta.State)
		}
		ds, err := dnssec.MakeDS(name, k.DNSKEY(), dnssec.DigestSHA256)
		if err != nil {
			t.Fatal(err)
		}
		if out := run(t, dsfromkey, "-2", stem+".key"); !strings.Contains(strings.ReplaceAll(out, " ", ""), strings.ReplaceAll(ds.RData().Text(dns.TypeDS), " ", "")) {
			t.Errorf("BIND's DS is %s, ours %s", out, ds.RData().Text(dns.TypeDS))
		}
	}
}

// BIND signs a zone with keys that were written here, and finds it good.
func TestBINDSignsWithOurKeys(t *testing.T) {
	settime, signzone, verify := need(t, "dnssec-settime"), need(t, "dnssec-signzone"), need(t, "dnssec-verify")
	for algorithm := range judged {
		dir, name := t.TempDir(), dns.MustName("example.")
		meta := Meta{Times: Times{Created: day, Publish: day, Activate: day}, State: fullMeta().State}
		stem, err := Write(dir, name, newKey(t, algorithm, 257), meta)
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, settime, "-p", "all", "-u", stem)
		for _, want := range []string{"Created: 1769860800", "Publish: 1769860800", "Activate: 1769860800"} {
			if !strings.Contains(out, want) {
				t.Errorf("dnssec-settime reads %s, want %s", out, want)
			}
		}
		zone := filepath.Join(dir, "zone")
		if err := os.WriteFile(zone, []byte("@ 60 IN SOA ns.example. h.example. 1 2 3 4 5\n@ 60 IN NS ns.example.\nns 60 IN A 192.0.2.1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, signzone, "-z", "-S", "-K", dir, "-d", dir, "-s", "20260210000000", "-e", "20270210000000", "-o", "example", "-f", zone+".signed", zone)
		run(t, verify, "-z", "-o", "example", zone+".signed")
	}
}

func TestKnot(t *testing.T) {
	keymgr := need(t, "keymgr")
	for algorithm, word := range judged {
		db, dir, name := t.TempDir(), t.TempDir(), dns.MustName("example.")
		ours := newKey(t, algorithm, 257)
		stem, err := Write(dir, name, ours, Meta{Times: Times{Created: day, Publish: day, Activate: day}})
		if err != nil {
			t.Fatal(err)
		}
		id := knotID.FindString(run(t, keymgr, "-D", db, "example.", "import-bind", stem))
		if out := run(t, keymgr, "-D", db, "example.", "list"); !strings.Contains(out, " "+strconv.Itoa(int(ours.Tag()))+" ") {
			t.Errorf("imported with another tag than %d: %s", ours.Tag(), out)
		}
		got, _, err := ReadPEM(filepath.Join(db, "keys", id+".pem"), algorithm, 257)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, ours)
		text, err := AppendPEM(nil, newKey(t, algorithm, 256).Private())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "k.pem")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, keymgr, "-D", db, "example.", "import-pem", path, "algorithm="+word, "ksk=no")
		args := []string{"-D", db, "example.", "generate", "algorithm=" + word, "ksk=yes"}
		if algorithm <= dnssec.RSASHA512 {
			args = append(args, "size=2048")
		}
		dnskey := run(t, keymgr, "-D", db, "example.", "dnskey", knotID.FindString(run(t, keymgr, args...)))
		checkKnotList(t, db, run(t, keymgr, "-D", db, "-j", "example.", "list"), dnskey)
	}
}

func lastWord(s string) string { f := strings.Fields(s); return f[len(f)-1] }

var knotID = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

// checkKnotList reads all keys that Knot lists, and finds one DNSKEY among them.
func checkKnotList(t *testing.T, db, list, dnskey string) {
	t.Helper()
	keys, err := ParseKnotList("list", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 {
		t.Errorf("%d keys are read of\n%s", len(keys), list)
	}
	found := false
	for _, listed := range keys {
		k, meta, err := listed.Read(filepath.Join(db, "keys"))
		if err != nil {
			t.Fatal(err)
		}
		if meta.Publish.IsZero() || k.Tag() != listed.Tag {
			t.Errorf("key %d of %+v, published %v", k.Tag(), listed, meta.Publish)
		}
		found = found || strings.Contains(dnskey, " DNSKEY "+k.RData().Text(dns.TypeDNSKEY))
	}
	if !found {
		t.Errorf("none of the keys is %s", dnskey)
	}
}

func TestPowerDNS(t *testing.T) {
	pdnsutil, sqlite := need(t, "pdnsutil"), need(t, "sqlite3")
	schema := "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
	if _, err := os.Stat(schema); err != nil {
		t.Skip("pdns-backend-sqlite3 is not installed")
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "p.sqlite")
	if err := os.WriteFile(filepath.Join(dir, "pdns.conf"), []byte("launch=gsqlite3\ngsqlite3-database="+db+"\ngsqlite3-dnssec=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, sqlite, db, ".read "+schema)
	pdns := func(args ...string) string {
		return run(t, pdnsutil, append([]string{"--config-dir=" + dir}, args...)...)
	}
	pdns("create-zone", "example")
	for algorithm := range judged {
		k := newKey(t, algorithm, 257)
		stem, err := Write(t.TempDir(), dns.MustName("example."), k, Meta{})
		if err != nil {
			t.Fatal(err)
		}
		id := lastWord(pdns("import-zone-key", "example", stem+".private", "ksk"))
		if out := pdns("export-zone-dnskey", "example", id); !strings.Contains(out, k.RData().Text(dns.TypeDNSKEY)) {
			t.Errorf("PowerDNS took the key as %s, want %s", out, k.RData().Text(dns.TypeDNSKEY))
		}
		private, err := ParsePrivate("export", []byte(pdns("export-zone-key", "example", id)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := private.Key(257)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, k)
		s, err := ParsePEM("export", []byte(pdns("export-zone-key-pem", "example", id)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err = NewKey(s, algorithm, 257); err != nil {
			t.Fatal(err)
		}
		same(t, got, k)
	}
}
