package daemon

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/signer/keystore"
	"onoma/telemetry/control"
	"onoma/zone"
)

// TestKeysFromKnot: a zone goes on with a KSK and a ZSK that Knot had, as it lists them; without the list it is not served.
func TestKeysFromKnot(t *testing.T) {
	const with = "policies: {split: {keys: split, ds: by-hand}}\nzones:\n  a.example: {file: DIR/a, dnssec: split, keys-from: DIR}\n"
	r := signedRig(t, with)
	list, want := "[", []string(nil)
	for i, flags := range []uint16{dns.DNSKEYZone | dns.DNSKEYSEP, dns.DNSKEYZone} {
		k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, flags)
		if err != nil {
			t.Fatal(err)
		}
		text, err := keyfile.AppendPEM(nil, k.Private())
		if err != nil {
			t.Fatal(err)
		}
		r.write(fmt.Sprintf("%040x.pem", i), string(text))
		list += fmt.Sprintf(`{"zone": "a.example.", "id": "%040x", "ksk": %v, "zsk": %v, "tag": %d, "algorithm": 13, "publish": 1000, "active": 1000},`, i, i == 0, i == 1, k.Tag())
		want = append(want, string(k.RData()))
	}
	r.reload(with)
	r.expect("www.a.example.", "SERVFAIL")
	r.write("a.example.json", list[:len(list)-1]+"]")
	r.reload(with)
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeDNSKEY)
	var got []string
	for data := range set.RData() {
		got = append(got, string(data))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the zone has %d keys, which are not the two of Knot's", len(got))
	}
}

// TestKnotsZoneGoesOn: a zone as Knot has left it, with its signatures in the file, goes on with Knot's keys and content.
func TestKnotsZoneGoesOn(t *testing.T) {
	knot := func(program string, args ...string) []byte {
		t.Helper()
		path, err := exec.LookPath(program)
		if err != nil {
			path = filepath.Join("/usr/sbin", program)
		}
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not installed", program)
		}
		out, err := exec.Command(path, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return out
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "knot.conf")
	for path, text := range map[string]string{
		conf: "database:\n  storage: " + dir + "\npolicy:\n  - id: p\n    nsec3: on\nzone:\n  - domain: a.example\n    storage: " + dir +
			"\n    file: zone\n    dnssec-signing: on\n    dnssec-policy: p\n",
		filepath.Join(dir, "zone"): "$ORIGIN a.example.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.77\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	knot("kzonesign", "-c", conf, "-o", dir, "a.example")
	list := knot("keymgr", "-c", conf, "-j", "a.example", "list")
	keys := filepath.Join(dir, "keys", "keys")
	if err := os.WriteFile(filepath.Join(keys, "a.example.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "zone")); err != nil || !strings.Contains(string(text), "NSEC3PARAM") {
		t.Fatalf("kzonesign has not signed: %v\n%s", err, text)
	}
	r := newRig(t, fmt.Sprintf("policies: {knot: {keys: split, denial: nsec3, ds: by-hand}}\nzones:\n  a.example: {file: %s/zone, dnssec: knot, keys-from: %s}\n", dir, keys))
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec3")
	r.expect("www.a.example.", "192.0.2.77")
	listed, err := keyfile.ParseKnotList("list", list)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeDNSKEY)
	for data := range set.RData() {
		k, err := dns.ParseDNSKEY(data)
		if err != nil || !slices.ContainsFunc(listed, func(l keyfile.KnotKey) bool { return l.Tag == k.KeyTag() }) {
			t.Errorf("key %d is none of Knot's: %v", k.KeyTag(), err)
		}
	}
	if set.Count() != len(listed) {
		t.Errorf("%d keys, and Knot has %d", set.Count(), len(listed))
	}
}

// TestRefusedKeysLeaveNoFile: a zone that has keys of its own takes no others, and keeps none of their files.
func TestRefusedKeysLeaveNoFile(t *testing.T) {
	r := signedRig(t, by+"zones:\n  a.example: {file: DIR/a, new: true, dnssec: nsec}\n")
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	stem, err := keyfile.Write(r.dir, id.Name, k, keyfile.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := r.privates.List(t.Context(), id.Name)
	if err != nil || len(own) != 1 {
		t.Fatalf("%d keys of its own, %v", len(own), err)
	}
	again := filepath.Join(r.dir, "own.private")
	var text strings.Builder
	if err := r.privates.Export(t.Context(), own[0].ID, keystore.Private, &text); err != nil {
		t.Fatal(err)
	}
	r.write("own.private", text.String())
	text.Reset()
	if err := r.privates.Export(t.Context(), own[0].ID, keystore.Public, &text); err != nil {
		t.Fatal(err)
	}
	r.write("own.key", text.String())
	for _, files := range [][]string{{stem + ".private"}, {again, stem + ".private"}} {
		if _, err := r.doKeys(t.Context(), id, control.KeyRequest{Do: "import", Files: files}); err == nil {
			t.Errorf("%v were taken", files)
		}
		left, err := r.privates.List(t.Context(), id.Name)
		if err != nil || len(left) != 1 || left[0].ID != own[0].ID {
			t.Errorf("after %v the store has %d keys, expected its own: %v", files, len(left), err)
		}
	}
}
