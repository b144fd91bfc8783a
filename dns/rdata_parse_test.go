package dns

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseRDataErrors(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		text  string
		token int
		says  string // part of the message
	}{
		{TypeA, "1.2.3", 0, `bad IPv4 address "1.2.3", expected four numbers 0-255 with dots between`},
		{TypeA, "1.2.3.256", 0, "bad IPv4 address"},
		{TypeA, "01.2.3.4", 0, "bad IPv4 address"},
		{TypeA, "1.2.3.4.5", 0, "bad IPv4 address"},
		{TypeA, "1..3.4", 0, "bad IPv4 address"},
		{TypeA, "1.2.3.4444444444444444444", 0, "bad IPv4 address"},
		{TypeA, "", 0, "unexpected end of the line, expected four numbers"},
		{TypeA, "1.2.3.4 x", 1, `bad extra field "x", expected the end of the A record`},
		{TypeAAAA, "1.2.3.4", 0, "bad IPv6 address"},
		{TypeAAAA, "1:2:3:4:5:6:7", 0, "bad IPv6 address"},
		{TypeAAAA, "1:2:3:4:5:6:7:8:9", 0, "bad IPv6 address"},
		{TypeAAAA, "1::2::3", 0, "bad IPv6 address"},
		{TypeAAAA, "1::2:3:4:5:6:7:8", 0, "bad IPv6 address"},
		{TypeAAAA, "12345::", 0, "bad IPv6 address"},
		{TypeAAAA, ":1::", 0, "bad IPv6 address"},
		{TypeAAAA, "1:", 0, "bad IPv6 address"},
		{TypeAAAA, ":::", 0, "bad IPv6 address"},
		{TypeAAAA, "::1.2.3", 0, "bad IPv6 address"},
		{TypeAAAA, "::1%eth0", 0, "bad IPv6 address"},
		{TypeAAAA, "1:2:3:4:5:6:7:1.2.3.4", 0, "bad IPv6 address"},
		{TypeMX, "mail 10", 0, `bad number "mail", expected a number from 0 to 65535`},
		{TypeMX, "65536 mail", 0, "bad number"},
		{TypeMX, "10", 1, "unexpected end of the line, expected a domain name"},
		{TypeMX, "10 a..b", 1, `bad name "a..b": empty label`},
		{TypeNS, `a\9`, 0, `three digits`},
		{TypeSOA, "a b 1 2 3 4", 6, "unexpected end of the line, expected seconds, or numbers with units"},
		{TypeSOA, "a b 1 2x 3 4 5", 3, `bad time "2x"`},
		{TypeSOA, "a b 4294967296 2 3 4 5", 2, "expected a number from 0 to 4294967295"},
		{TypeTXT, "", 0, "expected a string"},
		{TypeTXT, strings.Repeat("a", 256), 0, "a string of 256 octets, expected at most 255"},
		{TypeTXT, `a b\300`, 1, "bad escape in"},
		{TypeTXT, `a"b"`, 0, "quotes around the whole string"},
		{TypeDS, "1 8 2", 3, "expected hex digits"},
		{TypeDS, "1 8 2 abc", 3, "an even number of hex digits"},
		{TypeDS, "1 8 2 ab cd xy", 5, `bad hex "xy"`},
		{TypeDS, "1 RSASHA9 2 ab", 1, `bad algorithm "RSASHA9"`},
		{TypeDNSKEY, "256 3 8 AA", 3, "bad end of base64"},
		{TypeDNSKEY, "256 3 8 AA=A", 3, "bad base64"},
		{TypeDNSKEY, "256 3 8 AB==", 3, "bad end of base64"},
		{TypeDNSKEY, "256 3 8 A===", 3, "bad base64"},
		{TypeDNSKEY, "256 3 8 AA== AA==", 4, "bad base64"},
		{TypeDNSKEY, "256 3 8 AA-_", 3, "bad base64"},
		{TypeRRSIG, "A 8 2 1 20240230000000 1 1 . AA==", 4, `bad time "20240230000000", expected YYYYMMDDHHmmSS`},
		{TypeRRSIG, "FOO 8 2 1 1 1 1 . AA==", 0, `bad record type "FOO"`},
		{TypeNSEC, "a A NOTYPE", 2, `bad record type "NOTYPE"`},
		{TypeNSEC, "a TYPE65536", 1, "bad record type"},
		{TypeNSEC3, "1 0 0 abc 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM", 3, "bad salt"},
		{TypeNSEC3, "1 0 0 - 0P9W", 4, "bad hash"},
		{TypeNSEC3, "1 0 0 - 0", 4, "bad hash"},
		{TypeNSEC3, "1 0 0 - 01", 4, "bad hash"},
		{TypeNXT, "a NSEC3 TYPE300", 2, "one from 1 to 127"},
		{TypeCERT, "FOO 1 2 AA==", 0, "or one of PKIX, SPKI"},
		{TypeCAA, `0 is_sue "x"`, 1, "bad tag"},
		{TypeCAA, `0 issue`, 2, "a string in quotes"},
		{TypeLOC, "91 N 0 E 0", 0, "bad number"},
		{TypeLOC, "90 1 N 0 E 0", 2, "at most 90 degrees"},
		{TypeLOC, "1 60 N 0 E 0", 1, "bad angle"},
		{TypeLOC, "1 2 3.1234 N 0 E 0", 2, "bad angle"},
		{TypeLOC, "1 2 3 4 N 0 E 0", 3, "bad angle"},
		{TypeLOC, "1 N 2 W -100000.01", 4, "bad altitude"},
		{TypeLOC, "1 N 2 W 0 90000001", 5, "bad size"},
		{TypeLOC, "1 N 2 W 0 1 2 3 4", 8, "bad extra field"},
		{TypeAPL, "1:1.2.3.4/33", 0, "bad address prefix"},
		{TypeAPL, "3:1.2.3.4/3", 0, "bad address prefix"},
		{TypeAPL, "1:1.2.3.4/8 2:1.2.3.4/8", 1, "bad address prefix"},
		{TypeIPSECKEY, "10 4 2 x AA==", 1, "a gateway type"},
		{TypeIPSECKEY, "10 0 2 x AA==", 3, "a dot"},
		{TypeAMTRELAY, "10 2 1 1.2.3.4", 1, "the discovery bit"},
		{TypeHIP, "2 20 AA== a..b", 3, "empty label"},
		{TypeHIP, "2 2 AA==", 1, "bad host identity tag"},
		{TypeHIP, "2 20 A", 2, "bad public key"},
		{TypeNSAP, "47000580", 0, "bad NSAP address"},
		{TypeNSAP, "0x470", 0, "bad NSAP address"},
		{TypeEUI48, "00-00-5e-00-53", 0, "bad address"},
		{TypeEUI48, "0-0-5e-00-53-2a", 0, "bad address"},
		{TypeEUI64, "00-00-5e-ef-10-00-00-2a-00", 0, "bad address"},
		{TypeNID, "10 0014:4fff:ff20", 1, "bad address"},
		{TypeWKS, "1.2.3.4 TCP nosuch", 2, "bad service"},
		{TypeATMA, "+12x", 0, "bad ATM address"},
		{TypeA6, "129 ::", 0, "a prefix length"},
		{TypeTSIG, "a. 1 1 3 AA==", 4, "as many octets as said"},
		{TypeNULL, "abc", 0, `expected \#`},
		{Type(65280), "", 0, `expected \#`},
		{Type(65280), `\#`, 1, "the length of the rdata"},
		{Type(65280), `\# 3 abcd`, 1, "length 3 before 2 octets of hex"},
		{Type(65280), `\# 1 abc`, 1, "length 1"},
		{Type(65280), `\# 1 xy`, 2, "bad hex"},
		{TypeA, `\# 3 010203`, 0, "malformed rdata"},
		{TypeMX, `\# 2 0001`, 0, "malformed rdata"},
	} {
		got, err := ParseRDataString(c.typ, c.text, exampleOrigin)
		var e *TextError
		if !errors.As(err, &e) {
			t.Errorf("%s %.60s: read as %x, %v, want a *TextError", c.typ, c.text, got, err)
			continue
		}
		if e.Token != c.token || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s %.60s: token %d: %v; want token %d: %s", c.typ, c.text, e.Token, e, c.token, c.says)
		}
	}
	if _, err := ParseRDataString(TypeNS, "a", Name{}); err == nil || !strings.Contains(err.Error(), "a final dot, as there is no origin") {
		t.Errorf("relative name without an origin: %v", err)
	}
}

func TestParseRDataKeepsDst(t *testing.T) {
	toks := []Token{{Text: []byte("10")}, {Text: []byte("mail")}}
	got, err := ParseRData([]byte("kept"), TypeMX, toks, exampleOrigin)
	if err != nil || string(got) != "kept\x00\x0a\x04mail\x07example\x03com\x00" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = ParseRData([]byte("kept"), TypeMX, toks[:1], exampleOrigin); err == nil || string(got) != "kept" {
		t.Errorf("after an error: %q, %v", got, err)
	}
	huge := make([]Token, 300)
	for i := range huge {
		huge[i].Text = bytesOf('a', 255)
	}
	if _, err = ParseRData(nil, TypeTXT, huge, Root); err == nil || !strings.Contains(err.Error(), "at most 65535") {
		t.Errorf("76,800 octets of rdata: %v", err)
	}
	if got, err = ParseRData(nil, TypeTXT, huge[:255], Root); err != nil || len(got) != 65280 {
		t.Errorf("65,280 octets of rdata: %v", err)
	}
}

func TestParseTTL(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
		ok   bool
	}{
		{"0", 0, true}, {"300", 300, true}, {"1h", 3600, true}, {"1h30m", 5400, true}, {"1H30M", 5400, true},
		{"2w3d4h5m6s", 2*604800 + 3*86400 + 4*3600 + 5*60 + 6, true}, {"30m1h", 5400, true}, {"0s", 0, true},
		{"2147483647", 2147483647, true}, {"2147483648", 0, false}, {"4294967295", 0, false}, {"99999999999", 0, false},
		{"3550w", 3550 * 604800, true}, {"3551w", 0, false}, {"9999999999w9999999999w", 0, false},
		{"", 0, false}, {"h", 0, false}, {"1h30", 0, false}, {"1x", 0, false}, {"-1", 0, false}, {"1 h", 0, false}, {"1hh", 0, false},
	} {
		if got, ok := ParseTTL(c.text); got != c.want || ok != c.ok {
			t.Errorf("%q: %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
		if got, ok := ParseTTL([]byte(c.text)); got != c.want || ok != c.ok {
			t.Errorf("octets %q: %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestSigTime(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
		ok   bool
	}{
		{"19700101000000", 0, true}, {"20380119031408", 1 << 31, true}, {"21060207062815", 1<<32 - 1, true},
		{"21060207062816", 0, true}, // RFC 4034 §3.1.5: serial numbers wrap
		{"20240229120000", 1709208000, true}, {"20230229120000", 0, false}, {"20240101240000", 0, false},
		{"20241301000000", 0, false}, {"2024010100000x", 0, false}, {"19691231235959", 0, false},
		{"1709208000", 1709208000, true}, {"4294967296", 0, false},
	} {
		if got, ok := parseSigTime([]byte(c.text)); got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
	for _, v := range []uint32{0, 1, 951782400, 1709208000, 1 << 31, 1<<32 - 1} {
		if got, ok := parseSigTime(appendSigTime(nil, v)); got != v || !ok {
			t.Errorf("%d written as %s", v, appendSigTime(nil, v))
		}
	}
}

func TestParseRecord(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"example.com. 300 IN A 192.0.2.1", "example.com.\t300\tIN\tA\t192.0.2.1"},
		{"example.com. A 192.0.2.1", "example.com.\t3600\tIN\tA\t192.0.2.1"},
		{"example.com. CH 1h TXT \"a  b\" c", "example.com.\t3600\tCH\tTXT\t\"a  b\" \"c\""},
		{". 518400 IN NS a.root-servers.net", ".\t518400\tIN\tNS\ta.root-servers.net."},
		{`x 0 CLASS32 TYPE65280 \# 1 ff`, "x.\t0\tCLASS32\tTYPE65280\t\\# 1 FF"},
		{`x 1 IN HTTPS 1 . alpn="h2,h3"  key700="a b"`, "x.\t1\tIN\tHTTPS\t1 . alpn=\"h2,h3\" key700=\"a b\""},
	} {
		r, err := ParseRecord(c.text)
		if err != nil || r.String() != c.want {
			t.Errorf("%s: %s, %v, want %s", c.text, r, err, c.want)
			continue
		}
		if back, err := ParseRecord(r.String()); err != nil || back.String() != c.want || !bytes.Equal(back.Data, r.Data) {
			t.Errorf("%s: reads back as %s, %v", r, back, err)
		}
	}
	for _, bad := range []string{"", "x", "x A", "x IN 300", "x FOO bar", `x TXT "open`, "a..b A 1.2.3.4", `x TXT "a\"`} {
		if r, err := ParseRecord(bad); err == nil {
			t.Errorf("%q: read as %s", bad, r)
		}
	}
}

func TestLookupType(t *testing.T) {
	for v := range 1 << 16 {
		want := Type(v)
		name := want.String()
		for _, s := range []string{name, strings.ToLower(name), "type" + string(appendUint(nil, uint64(v)))} {
			if got, ok := ParseType(s); !ok || got != want {
				t.Fatalf("ParseType(%s) = %d, %v, want %d", s, got, ok, v)
			}
			if got, ok := lookupType([]byte(s)); !ok || got != want {
				t.Fatalf("lookupType(%s) = %d, %v, want %d", s, got, ok, v)
			}
		}
	}
	for _, s := range []string{"", "TYPE", "TYPE65536", "TYPE-1", "TYPEA", "AA", "NSAPPTR", "TYPE000000000000001"} {
		if got, ok := lookupType([]byte(s)); ok {
			t.Errorf("%q read as %s", s, got)
		}
	}
}
