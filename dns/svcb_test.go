package dns

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestSVCBVectors has the test vectors of RFC 9460 appendix D.1 and D.2.
func TestSVCBVectors(t *testing.T) {
	const fooCom = "03666f6f076578616d706c6503636f6d00"
	const fooOrg = "03666f6f076578616d706c65036f726700"
	for _, c := range []struct{ text, wire string }{
		{`0 foo.example.com.`, "0000" + fooCom},
		{`1 .`, "000100"},
		{`16 foo.example.com. port=53`, "0010" + fooCom + "000300020035"},
		{`1 foo.example.com. key667=hello`, "0001" + fooCom + "029b000568656c6c6f"},
		{`1 foo.example.com. key667="hello\210qoo"`, "0001" + fooCom + "029b000968656c6c6fd2716f6f"},
		{
			`1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"`,
			"0001" + fooCom + "0006002020010db800000000000000000000000120010db8000000000000000000530001",
		},
		{
			`1 example.com. ipv6hint="2001:db8:122:344::192.0.2.33"`,
			"0001076578616d706c6503636f6d000006001020010db80122034400000000c0000221",
		},
		{
			`16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1`,
			"0010" + fooOrg + "0000000400010004" + "0001000902683205" + "68332d3139" + "00040004c0000201",
		},
		{`16 foo.example.org. alpn="f\\\\oo\\,bar,h2"`, "0010" + fooOrg + "0001000c08665c6f6f2c626172026832"},
		{`16 foo.example.org. alpn=f\\\092oo\092,bar,h2`, "0010" + fooOrg + "0001000c08665c6f6f2c626172026832"},
	} {
		want, err := hex.DecodeString(c.wire)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []Type{TypeSVCB, TypeHTTPS} {
			got, err := ParseRDataString(typ, c.text, Root)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s %s:\n  got %x, %v\n want %x", typ, c.text, got, err, want)
			}
			if back, err := ParseRDataString(typ, got.Text(typ), Root); err != nil || !bytes.Equal(back, want) {
				t.Errorf("%s %s: written as %s, read back as %x, %v", typ, c.text, got.Text(typ), back, err)
			}
		}
	}
}

// TestSVCBFailures has the failure cases of RFC 9460 appendix D.3, and more.
func TestSVCBFailures(t *testing.T) {
	for _, params := range []string{
		`key123=abc key123=def`, `mandatory`, `alpn`, `port`, `ipv4hint`, `ipv6hint`,
		`no-default-alpn=abc`, `mandatory=key123`, `mandatory=mandatory`, `mandatory=key123,key123 key123=abc`,

		`alpn=`, `alpn=""`, `alpn=a,,b`, `alpn=,a`, `alpn=a,`, `alpn=a\\b`, `alpn=a\\`, `alpn=` + strings.Repeat("a", 256),
		`port=65536`, `port=-1`, `port=""`, `port=1,2`, `ipv4hint=1.2.3`, `ipv4hint=1.2.3.4,`, `ipv6hint=1.2.3.4`,
		`ech`, `ech=AAA`, `ech=A-==`, `dohpath`, `ohttp=x`, `tls-supported-groups`, `tls-supported-groups=1,x`,
		`no-default-alpn`, `key65535`, `key00`, `key01=a`, `keyx`, `KEY1=a`, `nokey`, `=a`, `"alpn=h2"`,
		`alpn="h2" x`, `alpn="h2"x`, `alpn=h2"x"`, `key2=abc`, `key3=a`, `key1=\003h2`, `key0=\000\000`,
		`mandatory=alpn`, `alpn=h2 mandatory=alpn,port`, `key700=\256`, `docpath=a,,b`, `alpn= h2`,
	} {
		got, err := ParseRDataString(TypeSVCB, "1 foo.example.com. "+params, Root)
		if err == nil {
			t.Errorf("%s: read as %x, want an error", params, got)
		}
	}
}

func TestSVCBUnusualText(t *testing.T) {
	for _, c := range []struct{ params, want string }{
		{`port=1 alpn=h2`, `alpn="h2" port=1`},
		{`key3=\000\053 key1="\002h2"`, `alpn="h2" port=53`},
		{`no-default-alpn="" alpn=h2`, `alpn="h2" no-default-alpn`},
		{`key900 key800=`, `key800 key900`},
		{`docpath`, `docpath`},
		{`alpn="a b"`, `alpn="a b"`},
		{`alpn=\"\;\255`, `alpn="\";\255"`},
		{`key700="a b\"c"`, `key700="a b\"c"`},
	} {
		got, err := ParseRDataString(TypeHTTPS, "1 . "+c.params, Root)
		if err != nil || got.Text(TypeHTTPS) != "1 . "+c.want {
			t.Errorf("%s: %s, %v, want %s", c.params, got.Text(TypeHTTPS), err, c.want)
		}
	}
}

func TestSVCBWire(t *testing.T) {
	for _, c := range []struct {
		what, params string
		ok, text     bool // well-formed, and can be written with its keys
	}{
		{"none", "", true, true},
		{"cut head", "000100", false, false},
		{"cut value", "0003000200", false, false},
		{"twice", "00030002003500030002 0035", false, false},
		{"out of order", "000300020035 0001000302683200", false, false},
		{"empty protocol", "0001000100", false, false},
		{"no protocols", "00010000", false, false},
		{"port of one octet", "0003000100", false, false},
		{"half an address", "000400020102", false, false},
		{"mandatory lists itself", "000000020000", false, false},
		{"mandatory out of order", "0000000400040001 00010003026832 000400 04c0000201", false, false},
		{"mandatory that is missing", "000000020004", true, false},
		{"no-default-alpn alone", "00020000", true, false},
		{"key 65535", "ffff0000", true, false},
		{"key 65534", "fffe0000", true, true},
	} {
		b, err := hex.DecodeString("000100" + strings.ReplaceAll(c.params, " ", ""))
		if err != nil {
			t.Fatal(c.what, err)
		}
		if err := CheckRData(TypeSVCB, b); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
		text := RData(b).Text(TypeSVCB)
		if strings.HasPrefix(text, `\#`) == c.text {
			t.Errorf("%s: written as %s", c.what, text)
		}
		if back, err := ParseRDataString(TypeSVCB, text, Root); c.ok && (err != nil || !bytes.Equal(back, b)) {
			t.Errorf("%s: %s reads back as %x, %v", c.what, text, back, err)
		}
	}
}

func TestSVCBView(t *testing.T) {
	r := MustRecord(`x. HTTPS 3 svc.example. alpn=h3,h2 port=8443 ipv6hint=2001:db8::1 ipv4hint=192.0.2.1,192.0.2.2 key700=abc`)
	s, err := ParseSVCB(r.Data)
	if err != nil || s.Priority != 3 || s.Target != MustName("svc.example.") {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := s.ALPN(); !slices.Equal(got, []string{"h3", "h2"}) {
		t.Errorf("alpn: %v", got)
	}
	if p, ok := s.Port(); !ok || p != 8443 {
		t.Errorf("port: %d, %v", p, ok)
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")}
	if got := s.Hints(); !slices.Equal(got, want) {
		t.Errorf("hints: %v", got)
	}
	if v, ok := s.Value(700); !ok || string(v) != "abc" {
		t.Errorf("key700: %q, %v", v, ok)
	}
	var keys []string
	for k := range s.All() {
		keys = append(keys, k.String())
	}
	if fmt.Sprint(keys) != "[alpn port ipv4hint ipv6hint key700]" {
		t.Errorf("keys: %v", keys)
	}
	empty, err := ParseSVCB(MustRecord("x. SVCB 0 y.").Data)
	if _, ok := empty.Port(); err != nil || ok || empty.ALPN() != nil || empty.Hints() != nil {
		t.Errorf("a record without parameters has some: %+v, %v", empty, err)
	}
	if _, err := ParseSVCB(RData("\x00\x01")); err == nil {
		t.Error("a record without target was read")
	}
}
