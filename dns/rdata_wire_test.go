package dns

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

// example returns the wire form of rdata of type t.
func example(t testing.TB, typ Type, text string) RData {
	t.Helper()
	d, err := ParseRDataString(typ, text, exampleOrigin)
	if err != nil {
		t.Fatalf("%s %s: %v", typ, text, err)
	}
	return d
}

// everyExample yields all examples of all types.
func everyExample(t testing.TB, yield func(Type, RData)) {
	for typ, texts := range rdataExamples {
		for _, text := range texts {
			yield(typ, example(t, typ, strings.NewReplacer("( ", "", " )", "").Replace(text)))
		}
	}
	for _, e := range wireExamples {
		yield(e.typ, example(t, e.typ, e.text))
	}
}

// TestEveryPrefixIsChecked cuts and lengthens rdata of every type: whatever is
// accepted must be written and read back, and nothing may panic.
func TestEveryPrefixIsChecked(t *testing.T) {
	everyExample(t, func(typ Type, d RData) {
		if err := CheckRData(typ, d); err != nil {
			t.Errorf("%s %x: %v", typ, d, err)
		}
		for n := range len(d) {
			checkAnyRData(t, typ, d[:n])
		}
		checkAnyRData(t, typ, append(slices.Clone(d), 0))
		checkAnyRData(t, typ, append(slices.Clone(d), 0xFF, 0x01))
	})
}

// checkAnyRData holds what must be true of any octets as rdata of type typ.
func checkAnyRData(t *testing.T, typ Type, d []byte) {
	t.Helper()
	text := AppendRDataText([]byte("kept "), typ, d)
	err := CheckRData(typ, d)
	if err != nil && !errors.Is(err, ErrBadRData) {
		t.Fatalf("%s %x: %v is not ErrBadRData", typ, d, err)
	}
	back, perr := ParseRDataString(typ, string(text[5:]), Root)
	if err != nil {
		// It does not fit its type: it is written as of an unknown type.
		back, perr = ParseRDataString(65280, string(text[5:]), Root)
	}
	if perr != nil || !bytes.Equal(back, d) || string(text[:5]) != "kept " {
		t.Fatalf("%s %x: written as %s, read back as %x, %v", typ, d, text, back, perr)
	}
	if err != nil {
		return
	}
	out, uerr := UnpackRData([]byte("kept"), append([]byte("..."), d...), 3, len(d), typ)
	if uerr != nil || string(out) != "kept"+string(d) {
		t.Fatalf("%s %x: unpacked as %x, %v", typ, d, out, uerr)
	}
	canon := AppendCanonicalRData([]byte("kept"), typ, d)
	if again := AppendCanonicalRData(nil, typ, canon[4:]); !bytes.Equal(again, canon[4:]) {
		t.Fatalf("%s %x: canonical form %x, of that %x", typ, d, canon[4:], again)
	}
	if CompareCanonicalRData(typ, d, canon[4:]) != 0 || !EqualRData(typ, d, canon[4:]) {
		t.Fatalf("%s %x: differs from its canonical form %x", typ, d, canon[4:])
	}
}

func TestUnpackCompressed(t *testing.T) {
	// "example.com." at 0, "mail.example.com." at 13.
	const head = "\x07eXample\x03com\x00\x04mail\xc0\x00"
	const mail = "\x04mail\x07eXample\x03com\x00"
	for _, c := range []struct {
		typ         Type
		rdata, want string
		err         error
	}{
		{TypeNS, "\xc0\x0d", mail, nil},
		{TypeNS, "\x01a\xc0\x0d", "\x01a" + mail, nil},
		{TypeMX, "\x00\x0a\xc0\x0d", "\x00\x0a" + mail, nil},
		{TypeSOA, "\xc0\x0d\x01h\xc0\x00" + strings.Repeat("\x01", 20), mail + "\x01h\x07eXample\x03com\x00" + strings.Repeat("\x01", 20), nil},
		{TypeSRV, "\x00\x01\x00\x02\x00\x03\xc0\x0d", "\x00\x01\x00\x02\x00\x03" + mail, nil},
		{TypeRP, "\xc0\x0d\xc0\x00", mail + "\x07eXample\x03com\x00", nil},
		{TypeNAPTR, "\x00\x01\x00\x02\x01a\x00\x00\xc0\x0d", "\x00\x01\x00\x02\x01a\x00\x00" + mail, nil},
		{TypeNXT, "\xc0\x0d\x40", mail + "\x40", nil},
		{TypeSIG, strings.Repeat("\x01", 18) + "\xc0\x0dxyz", strings.Repeat("\x01", 18) + mail + "xyz", nil},
		// RFC 3597 §4 does not list these.
		{TypeRRSIG, strings.Repeat("\x01", 18) + "\xc0\x0dxyz", "", ErrBadRData},
		{TypeDNAME, "\xc0\x0d", "", ErrBadRData},
		{TypeKX, "\x00\x01\xc0\x0d", "", ErrBadRData},
		{TypeNSEC, "\xc0\x0d\x00\x01\x40", "", ErrBadRData},
		{TypeSVCB, "\x00\x01\xc0\x0d", "", ErrBadRData},
		{TypeLP, "\x00\x01\xc0\x0d", "", ErrBadRData},
		// Opaque octets are never names.
		{Type(65280), "\xc0\x0d", "\xc0\x0d", nil},
		{TypeNULL, "\xc0\x0d", "\xc0\x0d", nil},
		// Names that do not fill the rdata, or run out of it.
		{TypeNS, "\xc0\x0d\x00", "", ErrBadRData},
		{TypeNS, "\xc0", "", ErrTruncated},
		{TypeNS, "\x01a", "", ErrTruncated},
		{TypeNS, "\xc0\x14", "", ErrBadPointer},
		{TypeNS, "", "", ErrTruncated},
		{TypeMX, "\x00", "", ErrBadRData},
	} {
		msg := []byte(head + c.rdata + "behind it")
		got, err := UnpackRData([]byte("kept"), msg, len(head), len(c.rdata), c.typ)
		if !errors.Is(err, c.err) || err == nil && string(got) != "kept"+c.want {
			t.Errorf("%s %q: %q, %v; want %q, %v", c.typ, c.rdata, got, err, c.want, c.err)
		}
		if err != nil && string(got) != "kept" {
			t.Errorf("%s %q: dst is %q after an error", c.typ, c.rdata, got)
		}
	}
	for _, c := range [][2]int{{0, 5}, {4, 1}, {5, 0}, {-1, 2}, {2, -1}, {1 << 62, 1 << 62}} {
		if _, err := UnpackRData(nil, []byte("abcd"), c[0], c[1], TypeNULL); !errors.Is(err, ErrTruncated) {
			t.Errorf("rdata at %d of %d octets in a message of 4: %v", c[0], c[1], err)
		}
	}
}

func TestCheckRData(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		wire string
		ok   bool
	}{
		{TypeA, "010203", false}, {TypeA, "0102030405", false}, {TypeA, "", false},
		{TypeTXT, "", false}, {TypeTXT, "00", true}, {TypeTXT, "0261", false}, {TypeTXT, "016101", false},
		{TypeHINFO, "0161", false}, {TypeHINFO, "01610162", true}, {TypeHINFO, "0161016200", false},
		{TypeISDN, "0161", true}, {TypeISDN, "01610162", true},
		{TypeNSEC, "00", true}, {TypeNSEC, "00000100", false}, {TypeNSEC, "00000140", true},
		{TypeNSEC, "000002400000", false}, {TypeNSEC, "00000140000140", false}, {TypeNSEC, "00010140000140", false},
		{TypeNSEC, "000000", false}, {TypeNSEC, "0000", false}, {TypeNSEC, "000021" + strings.Repeat("01", 33), false},
		{TypeNSEC, "000020" + strings.Repeat("01", 32), true},
		{TypeNXT, "00", false}, {TypeNXT, "0080", false}, {TypeNXT, "004000", false}, {TypeNXT, "0040", true},
		{TypeCAA, "0000", false}, {TypeCAA, "000161", true}, {TypeCAA, "0002", false},
		{TypeLOC, strings.Repeat("00", 16), true}, {TypeLOC, strings.Repeat("00", 15), false},
		{TypeLOC, "01", true}, {TypeLOC, "", false},
		{TypeAPL, "", true}, {TypeAPL, "00011504c0a82000", false}, {TypeAPL, "00011503c0a820", true},
		{TypeAPL, "00012103c0a820", false}, {TypeAPL, "000115", false}, {TypeAPL, "00630102ff00", true},
		{TypeIPSECKEY, "0a0402ff", true}, {TypeIPSECKEY, "0a0102010203", false}, {TypeIPSECKEY, "0a03020161", false},
		{TypeAMTRELAY, "0a0101020304", true}, {TypeAMTRELAY, "0a010102030405", false}, {TypeAMTRELAY, "0a84ff", true},
		{TypeHIP, "0102000101", false}, {TypeHIP, "01020001aabb", true}, {TypeHIP, "01020001aabb0161", false},
		{TypeHIP, "01020001aabb016100017800", true}, {TypeHIP, "01020002aabb", false},
		{TypeA6, "81", false}, {TypeA6, "80", false}, {TypeA6, "8000", true}, {TypeA6, "00" + strings.Repeat("11", 16), true},
		{TypeTSIG, "00000000000000000000030102000000000000", false},
		{TypeWKS, "0102030406" + strings.Repeat("ff", 8192), true}, {TypeWKS, "0102030406" + strings.Repeat("ff", 8193), false},
		{TypeNULL, strings.Repeat("00", 65535), true}, {TypeNULL, strings.Repeat("00", 65536), false},
		{Type(65280), strings.Repeat("00", 65536), false},
	} {
		b, err := hex.DecodeString(c.wire)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckRData(c.typ, b); (err == nil) != c.ok {
			t.Errorf("%s %.60s: %v, want ok %v", c.typ, c.wire, err, c.ok)
		}
	}
}

// TestTextFallsBack has wire that its type's text cannot say.
func TestTextFallsBack(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		wire string
	}{
		{TypeA, "010203"}, {TypeDS, "00010802"}, {TypeDNSKEY, "01000308"}, {TypeNSEC3, "01000000000000"},
		{TypeCAA, "00012d"}, {TypeIPSECKEY, "0a0402ff"}, {TypeAPL, "00630102ff00"}, {TypeLOC, "01"},
		{TypeLOC, "00a3161389172dd070be15f000988d20"}, {TypeLOC, "00031613" + "89172dd070be15f000988d20"},
		{TypeLOC, "0033161300000000" + "70be15f000988d20"}, {TypeWKS, "010203040600"}, {TypeATMA, "0241"}, {TypeATMA, "0141"},
		{TypeA6, "01ff0000000000000000000000000000000000"}, {TypeHIP, "00020001aa"}, {TypeAPL, ""}, {TypeKEY, ""},
	} {
		b, err := hex.DecodeString(c.wire)
		if err != nil {
			t.Fatal(err)
		}
		if got := RData(b).Text(c.typ); !strings.HasPrefix(got, `\#`) {
			t.Errorf("%s %s: written as %s", c.typ, c.wire, got)
		}
		checkAnyRData(t, c.typ, b)
	}
}

func TestCanonicalRData(t *testing.T) {
	for _, c := range []struct {
		typ        Type
		text, want string
	}{
		{TypeNS, "NS.Example.", "ns.example."},
		{TypeSOA, "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 5"},
		{TypeMX, "10 A.", "10 a."},
		{TypeRP, "A. B.", "a. b."},
		{TypeSRV, "1 2 3 A.", "1 2 3 a."},
		{TypeNAPTR, `1 2 "S" "X" "" A.`, `1 2 "S" "X" "" a.`},
		{TypeKX, "1 A.", "1 a."},
		{TypeDNAME, "A.", "a."},
		{TypeRRSIG, "A 8 2 1 1 1 1 A. QUFB", "A 8 2 1 1 1 1 a. QUFB"},
		{TypeA6, "64 ::1 A.", "64 ::1 a."},
		{TypeNXT, "A. A", "a. A"},
		{TypeHINFO, "CPU OS", `"CPU" "OS"`}, // no names, despite RFC 4034 §6.2 (RFC 6840 §5.1)
		{TypeNSEC, "A. A", "A. A"},          // RFC 6840 §5.1
		{TypeSVCB, "1 A. alpn=H2", `1 A. alpn="H2"`},
		{TypeLP, "1 A.", "1 A."},
		{TypeHIP, "2 20 AA== A. B.", "2 20 AA== A. B."},
		{TypeTXT, "ABC", `"ABC"`},
	} {
		d := example(t, c.typ, c.text)
		want := example(t, c.typ, c.want)
		if got := AppendCanonicalRData(nil, c.typ, d); !bytes.Equal(got, want) {
			t.Errorf("%s %s: canonical form %s, want %s", c.typ, c.text, RData(got).Text(c.typ), c.want)
		}
	}
}

func TestEqualRData(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		a, b string
		want bool
	}{
		{TypeNS, "NS.x.", "ns.X.", true}, {TypeNS, "ns.x.", "ns.y.", false}, {TypeNSEC, "A. A", "a. A", true},
		{TypeNSEC, "a. A", "a. NS", false}, {TypeTXT, "A", "a", false}, {TypeSVCB, "1 A.", "1 a.", true},
		{TypeSVCB, "1 A. alpn=H2", "1 A. alpn=h2", false}, {TypeHIP, "2 20 AA== A. B.", "2 20 AA== a. b.", true},
		{TypeIPSECKEY, "1 3 2 A. AA==", "1 3 2 a. AA==", true}, {TypeIPSECKEY, "1 1 2 65.65.65.65 AA==", "1 1 2 97.65.65.65 AA==", false},
		{TypeIPSECKEY, "1 3 2 A. AA==", "1 1 2 1.65.0.0 AA==", false}, {TypeNAPTR, `1 2 "A" "" "" A.`, `1 2 "a" "" "" A.`, false},
		{TypeSOA, "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 5", true}, {TypeSOA, "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 6", false},
		{Type(65280), `\# 2 4141`, `\# 2 4161`, false},
	} {
		a, b := example(t, c.typ, c.a), example(t, c.typ, c.b)
		if EqualRData(c.typ, a, b) != c.want || EqualRData(c.typ, b, a) != c.want {
			t.Errorf("%s: %s and %s: want equal %v", c.typ, c.a, c.b, c.want)
		}
	}
}

// TestCompareCanonical holds the comparison without copies against the
// definition: canonical forms as octets.
func TestCompareCanonical(t *testing.T) {
	byType := map[Type][]RData{}
	everyExample(t, func(typ Type, d RData) {
		byType[typ] = append(byType[typ], d, bytes.ToUpper(d))
	})
	for typ, list := range byType {
		for _, a := range list {
			for _, b := range list {
				if CheckRData(typ, a) != nil || CheckRData(typ, b) != nil {
					continue // upper case went into a length octet
				}
				checkCompare(t, typ, a, b)
			}
		}
	}
}

func checkCompare(t *testing.T, typ Type, a, b []byte) {
	t.Helper()
	want := bytes.Compare(AppendCanonicalRData(nil, typ, a), AppendCanonicalRData(nil, typ, b))
	if got := sign(CompareCanonicalRData(typ, a, b)); got != want {
		t.Fatalf("%s: %x compared with %x: %d, want %d", typ, a, b, got, want)
	}
	if want == 0 && !EqualRData(typ, a, b) {
		t.Fatalf("%s: %x and %x have one canonical form but are not equal", typ, a, b)
	}
}

func TestNamesIn(t *testing.T) {
	for _, c := range []struct {
		typ        Type
		text       string
		names      string
		compressed bool
	}{
		{TypeNS, "a.", "a.", true}, {TypeSOA, "a. b. 1 2 3 4 5", "a. b.", true}, {TypeMX, "1 a.", "a.", true},
		{TypeMINFO, "a. b.", "a. b.", true}, {TypeSRV, "1 2 3 a.", "a.", false}, {TypeRP, "a. b.", "a. b.", false},
		{TypeHIP, "2 20 AA== a. b. c.", "a. b. c.", false}, {TypeHIP, "2 20 AA==", "", false},
		{TypeIPSECKEY, "1 3 2 a. AA==", "a.", false}, {TypeIPSECKEY, "1 1 2 1.2.3.4 AA==", "", false},
		{TypeAMTRELAY, "1 1 3 a.", "a.", false}, {TypeA6, "64 ::1 a.", "a.", false}, {TypeA6, "0 ::1", "", false},
		{TypeNAPTR, `1 2 "x" "y" "z" a.`, "a.", false}, {TypeRRSIG, "A 8 2 1 1 1 1 a. AA==", "a.", false},
		{TypeTXT, "a", "", false}, {TypeSVCB, "1 a. alpn=h2", "a.", false}, {Type(65280), `\# 3 016100`, "", false},
	} {
		d := example(t, c.typ, c.text)
		var got []string
		names := namesIn(c.typ, d)
		for s, ok := names.next(); ok; s, ok = names.next() {
			n, err := NameFromWire(d[s.start:s.end])
			if err != nil {
				t.Fatalf("%s %s: %v", c.typ, c.text, err)
			}
			if s.compress() != c.compressed {
				t.Errorf("%s %s: compressed %v", c.typ, c.text, s.compress())
			}
			got = append(got, n.String())
		}
		if strings.Join(got, " ") != c.names {
			t.Errorf("%s %s: names %v, want %s", c.typ, c.text, got, c.names)
		}
		if len(got) > 0 && !HasNames(c.typ) {
			t.Errorf("%s has names", c.typ)
		}
	}
}

func TestRDataWalksDoNotAllocate(t *testing.T) {
	type item struct {
		typ  Type
		toks []Token
		wire RData
	}
	var items []item
	for _, s := range []string{
		"A 192.0.2.1", "AAAA 2001:db8::1", "NS ns1.example.net.", "CNAME www", "MX 10 mail", `TXT "v=spf1 -all"`,
		"SOA ns hostmaster 2024010101 2h 15m 2w 1h", "DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
		"RRSIG A 13 2 86400 20300322173103 20300220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h1",
		"NSEC host.example.com. A MX RRSIG NSEC CAA", "NSEC3 1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A RRSIG",
		"DNSKEY 257 3 13 oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h1", "SRV 1 2 3 a.", `CAA 0 issue "ca.example.net"`, "HTTPS 1 . alpn=h2,h3",
	} {
		name, text, _ := strings.Cut(s, " ")
		typ, _ := ParseType(name)
		toks, err := splitTokens(text)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item{typ, toks, example(t, typ, text)})
	}
	dst, out := make([]byte, 0, 1024), make([]byte, 0, 1024)
	for _, it := range items {
		if n := testing.AllocsPerRun(50, func() {
			_, _ = ParseRData(dst, it.typ, it.toks, exampleOrigin)
			AppendRDataText(dst, it.typ, it.wire)
			_, _ = UnpackRData(out, it.wire, 0, len(it.wire), it.typ)
			_ = CheckRData(it.typ, it.wire)
			AppendCanonicalRData(dst, it.typ, it.wire)
			CompareCanonicalRData(it.typ, it.wire, it.wire)
			EqualRData(it.typ, it.wire, it.wire)
			TargetWire(it.typ, it.wire)
			names := namesIn(it.typ, it.wire)
			for _, ok := names.next(); ok; _, ok = names.next() {
				continue
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", it.typ, n)
		}
	}
	bitmap := example(t, TypeNSEC, ". A MX RRSIG NSEC CAA")[1:]
	if n := testing.AllocsPerRun(50, func() { bitmapHas(bitmap, TypeCAA); nextBitmapType(bitmap, 3) }); n != 0 {
		t.Errorf("type bitmaps: %v allocations, want none", n)
	}
}
