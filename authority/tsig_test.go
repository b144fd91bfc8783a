package authority

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onoma/dns"
)

func TestParseKeys(t *testing.T) {
	text := `# both forms
key "one.example" {
	algorithm hmac-sha256;
	secret "c2VjcmV0IG9uZQ==";
};
two.example hmac-sha512 c2VjcmV0IHR3bw== // the other
key three { secret c2VjcmV0IDM= ; algorithm HMAC-SHA384; }
key hmac-sha1 c2VjcmV0IDQ=
`
	keys, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.Name.String()+" "+k.Algorithm.String()+" "+string(k.Secret))
	}
	want := "one.example. hmac-sha256. secret one|two.example. hmac-sha512. secret two|three. hmac-sha384. secret 3|key. hmac-sha1. secret 4"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s\nexpected\n%s", s, want)
	}
}

func TestParseKeysTellsMistakes(t *testing.T) {
	const secret = "c2VjcmV0"
	for text, want := range map[string]string{
		"k hmac-sha256":              "1: expected NAME ALGORITHM SECRET",
		"\nk\nhmac-sha256 " + secret: "2: expected NAME ALGORITHM SECRET",
		"k hmac-md5 " + secret:       "must not be used",
		"k hmac-sha256 " + secret + "\nK hmac-sha256 " + secret:      "2: key K. once more",
		"k hmac-sha256 " + secret + "!":                              "not Base64",
		"key k { algorithm hmac-sha256; };":                          "1: key k has no secret",
		"key k {\nalgorithm hmac-sha256\nsecret \"" + secret + `";}`: `3: expected ";"`,
		"key k { algo x; };":                                         "expected algorithm, secret or }",
		"key k { algorithm":                                          `expected ";"`,
		"a..b hmac-sha256 " + secret:                                 "name of a key",
	} {
		_, err := ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error tells the secret: %v", text, err)
		}
	}
}

func TestReadKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	for mode, open := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.WriteFile(path, []byte("k hmac-sha256 c2VjcmV0\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		keys, isOpen, err := ReadKeys(path)
		if err != nil || len(keys) != 1 || isOpen != open {
			t.Errorf("mode %o: %d keys, open to others %v, %v; expected %v", mode, len(keys), isOpen, err, open)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(`key "a" { algorithm hmac-sha256; secret "c2VjcmV0"; };`)
	f.Add("a hmac-sha256 c2VjcmV0\n")
	f.Add("key {{}};;\"")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			if err := k.Check(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if got, ok := keysOf(keys...).Find(dns.MustName(strings.ToUpper(k.Name.String()))); !ok || !got.Name.Equal(k.Name) {
				t.Errorf("%q: key %s is not found", text, k.Name)
			}
		}
	})
}
