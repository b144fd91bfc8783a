package cookie

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secret(t testing.TB, s string) Secret { return Secret(unhex(t, s)) }

// TestSipHash has vectors of the reference implementation: key 00..0f, messages
// 00 01 02 ... of several lengths.
func TestSipHash(t *testing.T) {
	var key Secret
	var msg [63]byte
	for i := range msg {
		msg[i] = byte(i)
	}
	copy(key[:], msg[:])
	k := newSipKey(key)
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5, 63: 0x958a324ceb064572,
	} {
		if got := k.sum(msg[:n]); got != want {
			t.Errorf("of %d octets: %x, expected %x", n, got, want)
		}
	}
}

const (
	secretA   = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	secretOld = "dd3bdf9344b678b185a6f5cb60fca715"
	secretNew = "445536bcd2513298075a5d379663c962"
)

// TestVectors plays RFC 9018 appendix A.
func TestVectors(t *testing.T) {
	a := NewSecrets(secret(t, secretA))
	rolled := NewSecrets(secret(t, secretNew), secret(t, secretOld))
	for _, v := range []struct {
		section, client string
		secrets         Secrets
		now             uint32
		sent            string
		verdict         Verdict
		answered        string
	}{
		{"A.1", "198.51.100.100", a, 1559731985, "2464c4abcf10c957", Client, "2464c4abcf10c957 010000005cf79f111f8130c3eee29480"},
		{"A.2", "198.51.100.100", a, 1559734385, "2464c4abcf10c957 010000005cf79f111f8130c3eee29480", Renew, "2464c4abcf10c957 010000005cf7a871d4a564a1442aca77"},
		{"A.3", "203.0.113.203", a, 1559734700, "fc93fc62807ddb86 01abcdef5cf78f71a314227b6679ebf5", Bad, "fc93fc62807ddb86 010000005cf7a9acf73a7810aca2381e"},
		{"A.3, earlier", "203.0.113.203", a, 0x5cf78f71 + 60, "fc93fc62807ddb86 01abcdef5cf78f71a314227b6679ebf5", Good, ""},
		{"A.4", "2001:db8:220:1:59de:d0f4:8769:82b8", rolled, 1559741961, "22681ab97d52c298 010000005cf7c57926556bd0934c72f8", Renew, "22681ab97d52c298 010000005cf7c609a6bb79d16625507a"},
	} {
		jar, client, sent := NewJar(v.secrets), netip.MustParseAddr(v.client), unhex(t, v.sent)
		if got := jar.Check(sent, client, v.now); got != v.verdict {
			t.Errorf("%s: verdict %d, expected %d", v.section, got, v.verdict)
		}
		if v.answered == "" {
			continue
		}
		if got := hex.EncodeToString(jar.Append(nil, sent, client, v.now)); got != strings.ReplaceAll(v.answered, " ", "") {
			t.Errorf("%s: answered %s, expected %s", v.section, got, v.answered)
		}
	}
}

var (
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("2001:db8::1")
)

func TestLife(t *testing.T) {
	jar := NewJar(NewSecrets(secret(t, secretA)))
	const made = uint32(0xFFFFFF00) // the time wraps within the cookie's life
	for _, client := range []netip.Addr{alice, bob} {
		data := jar.Append(nil, unhex(t, "0102030405060708"), client, made)
		for _, c := range []struct {
			age  int32
			want Verdict
		}{
			{-301, Bad}, {-300, Good}, {0, Good}, {1800, Good}, {1801, Renew}, {3600, Renew}, {3601, Bad}, {1 << 30, Bad}, {-1 << 31, Bad},
		} {
			if got := jar.Check(data, client, made+uint32(c.age)); got != c.want {
				t.Errorf("%v at age %d: %d, expected %d", client, c.age, got, c.want)
			}
		}
	}
}

// TestNobodyElse: no other address, client cookie, secret or single wrong bit
// goes through.
func TestNobodyElse(t *testing.T) {
	jar := NewJar(NewSecrets(secret(t, secretA)))
	data := jar.Append(nil, unhex(t, "0102030405060708"), alice, 1e9)
	if jar.Check(data, alice, 1e9) != Good || jar.Check(data, netip.AddrFrom16(alice.As16()), 1e9) != Good {
		t.Fatal("the cookie's owner is not recognized, as IPv4 or mapped into IPv6")
	}
	if jar.Check(data, bob, 1e9) != Bad || jar.Check(data, alice.Next(), 1e9) != Bad {
		t.Error("the cookie is good for another address")
	}
	if NewJar(RandomSecrets()).Check(data, alice, 1e9) != Bad {
		t.Error("the cookie is good with another secret")
	}
	for bit := range len(data) * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		if jar.Check(data, alice, 1e9) != Bad {
			t.Errorf("good with bit %d of it wrong", bit)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
}

// TestLengths: RFC 7873 §5.2.2.
func TestLengths(t *testing.T) {
	jar := NewJar(RandomSecrets())
	for n := range 64 {
		want := Malformed
		switch {
		case n == 8:
			want = Client
		case n >= 16 && n <= 40:
			want = Bad
		}
		if got := jar.Check(make([]byte, n), alice, 1); got != want {
			t.Errorf("%d octets: %d, expected %d", n, got, want)
		}
	}
}

// TestRolling plays the stages of RFC 9018 §5 on two servers of one address.
func TestRolling(t *testing.T) {
	old, next := secret(t, secretOld), secret(t, secretNew)
	stages := []Secrets{NewSecrets(old), NewSecrets(old, next), NewSecrets(next, old), NewSecrets(next)}
	for i := range stages[1:] {
		one, two := NewJar(stages[i]), NewJar(stages[i+1])
		for _, pair := range [][2]*Jar{{one, two}, {two, one}} {
			if i == 2 && pair[0] == one || i == 0 && pair[1] == one || i == 1 {
				data := pair[0].Append(nil, make([]byte, 8), bob, 1000)
				if !pair[1].Check(data, bob, 1000).Proves() {
					t.Errorf("between stages %d and %d a cookie of one server is no good at the other", i, i+1)
				}
			}
		}
	}
}

// TestRoll: the cookies of the last secret are good and replaced, older ones are not.
func TestRoll(t *testing.T) {
	jar := NewJar(RandomSecrets())
	data := jar.Append(nil, make([]byte, 8), bob, 1000)
	for rolled, want := range []Verdict{Good, Renew, Bad} {
		if got := jar.Check(data, bob, 1000); got != want {
			t.Errorf("after %d new secrets: %d, expected %d", rolled, got, want)
		}
		jar.Roll()
		if fresh := jar.Append(nil, make([]byte, 8), bob, 1000); jar.Check(fresh, bob, 1000) != Good {
			t.Errorf("after %d new secrets a new cookie is no good", rolled+1)
		}
	}
}

func TestParseSecrets(t *testing.T) {
	for text, want := range map[string]string{
		secretA: "", "# mine\n\n" + secretA + "\n0x" + strings.ToUpper(secretNew) + " # next\n": "",
		"": "0 secrets", "# none\n": "0 secrets", secretA + "\n" + secretA + "\n" + secretA: "3 secrets",
		"\nabcd": "2: 4 digits", "g" + secretA[1:]: "1: not hex", secretA + " " + secretA: "1: 65 digits",
	} {
		_, err := ParseSecrets([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, expected %q", text, err, want)
		case err != nil && strings.Contains(err.Error(), secretA[1:6]):
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte("ab\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecrets(file); err == nil || !strings.HasPrefix(err.Error(), file+":1: ") {
		t.Errorf("%v, expected file and line first", err)
	}
}

// query is one with these options.
func query(t testing.TB, opts ...dns.Option) []byte {
	t.Helper()
	m := dns.NewQuery(1, dns.Question{Name: dns.MustName("www.example."), Type: dns.TypeA, Class: dns.ClassIN}, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, Options: opts}
	msg, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestValid(t *testing.T) {
	jar := NewJar(RandomSecrets())
	now := time.Unix(1e9, 5).UnixNano()
	good := dns.Option{Code: dns.OptionCookie, Data: jar.Append(nil, make([]byte, 8), alice, Seconds(now))}
	bad := dns.Option{Code: dns.OptionCookie, Data: make([]byte, 24)}
	nsid := dns.Option{Code: dns.OptionNSID}
	if !jar.Valid(query(t, good), alice, now) || !jar.Valid(query(t, nsid, good, bad), alice, now) {
		t.Error("a good cookie is not seen")
	}
	if jar.Valid(query(t, good), bob, now) || jar.Valid(query(t), alice, now) || jar.Valid(query(t, bad, good), alice, now) {
		t.Error("seen where there is none, or not first")
	}
	msg := query(t, good)
	for n := range msg {
		if jar.Valid(msg[:n], alice, now) {
			t.Errorf("seen in %d of %d octets", n, len(msg))
		}
	}
	if n := testing.AllocsPerRun(100, func() { jar.Valid(msg, alice, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzValid: it never says more than a full parse does.
func FuzzValid(f *testing.F) {
	jar := NewJar(NewSecrets(secret(f, secretA)))
	const now = int64(1e18)
	good := dns.Option{Code: dns.OptionCookie, Data: jar.Append(nil, make([]byte, 8), alice, Seconds(now))}
	f.Add(query(f, good))
	f.Add(query(f, dns.Option{Code: 65001, Data: make([]byte, 30)}, good))
	f.Add(query(f, good)[:40])
	f.Fuzz(func(t *testing.T, msg []byte) {
		if !jar.Valid(msg, alice, now) {
			return
		}
		var q dns.Query
		if q.Parse(msg) != nil {
			return // what follows the OPT record is not looked at
		}
		for rest := q.Opts; len(rest) > 0; {
			code, data, next := dns.NextOption(rest)
			if code == dns.OptionCookie {
				if !jar.Check(data, alice, Seconds(now)).Proves() {
					t.Fatalf("valid, but its cookie %x is not", data)
				}
				return
			}
			rest = next
		}
		t.Fatal("valid without a cookie")
	})
}

func FuzzParseSecrets(f *testing.F) {
	f.Add([]byte(secretA))
	f.Add([]byte("# x\n0x" + secretNew + "\n" + secretOld))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseSecrets(text); err == nil && (s.n < 1 || s.n > 2) {
			t.Fatalf("%d secrets", s.n)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	jar := NewJar(RandomSecrets())
	data := jar.Append(nil, make([]byte, 8), alice, 1000)
	for b.Loop() {
		jar.Check(data, alice, 1000)
	}
}

func BenchmarkAppend(b *testing.B) {
	jar := NewJar(RandomSecrets())
	client, buf := make([]byte, 8), make([]byte, 0, Size)
	b.ReportAllocs()
	for b.Loop() {
		jar.Append(buf, client, alice, 1000)
	}
}
