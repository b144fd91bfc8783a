package dns

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	oracle "github.com/miekg/dns"
)

func TestSOAView(t *testing.T) {
	r := MustRecord("example. SOA NS1.example. host.example. 2024010101 7200 3600 1209600 300")
	s, err := ParseSOA(r.Data)
	want := SOA{MustName("NS1.example."), MustName("host.example."), 2024010101, 7200, 3600, 1209600, 300}
	if err != nil || s != want || !bytes.Equal(s.RData(), r.Data) {
		t.Errorf("%+v, %v", s, err)
	}
	if SOASerial(r.Data) != 2024010101 || SOAMinimum(r.Data) != 300 {
		t.Errorf("serial %d, minimum %d", SOASerial(r.Data), SOAMinimum(r.Data))
	}
	SetSOASerial(r.Data, 1<<32-1)
	if s, _ = ParseSOA(r.Data); s.Serial != 1<<32-1 || s.Refresh != 7200 {
		t.Errorf("after setting the serial: %+v", s)
	}
	if _, err := ParseSOA(r.Data[:20]); err == nil {
		t.Error("half an SOA was read")
	}
}

func TestTarget(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{"x. NS A.b.", "A.b."}, {"x. CNAME a.", "a."}, {"x. PTR a.", "a."}, {"x. DNAME a.", "a."}, {"x. MX 1 a.", "a."},
		{"x. SRV 1 2 3 a.", "a."}, {"x. HTTPS 1 a. alpn=h2", "a."}, {"x. KX 1 a.", "a."}, {`x. NAPTR 1 2 "a" "b" "c" d.`, "d."},
		{"x. LP 1 a.", "a."}, {"x. SOA a. b. 1 2 3 4 5", ""}, {"x. RRSIG A 8 2 1 1 1 1 a. AA==", ""}, {"x. A 1.2.3.4", ""},
		{`x. TYPE65280 \# 3 016100`, ""},
	} {
		r := MustRecord(c.record)
		if got := r.Data.Target(r.Type).String(); got != c.want {
			t.Errorf("%s: target %q, want %q", c.record, got, c.want)
		}
	}
	for _, bad := range []string{"", "\x00", "\x00\x01", "\x00\x01\x05a", "\x00\x01\xc0\x00"} {
		if got := TargetWire(TypeMX, []byte(bad)); got != nil {
			t.Errorf("target of malformed rdata %x: %x", bad, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "::"} {
		a := netip.MustParseAddr(s)
		typ, d := NewAddr(a)
		if got, ok := d.Addr(typ); !ok || got != a || d.Text(typ) != s {
			t.Errorf("%s: %s %s", s, typ, d.Text(typ))
		}
	}
	if typ, d := NewAddr(netip.MustParseAddr("::ffff:192.0.2.1")); typ != TypeA || d.Text(typ) != "192.0.2.1" {
		t.Errorf("a mapped address: %s %s", typ, d.Text(typ))
	}
	if _, ok := (RData{1, 2, 3, 4}).Addr(TypeAAAA); ok {
		t.Error("four octets are an IPv6 address")
	}
	if _, ok := (RData{1, 2, 3, 4}).Addr(TypeTXT); ok {
		t.Error("TXT has an address")
	}
}

func TestSmallViews(t *testing.T) {
	mx, err := ParseMX(MustRecord("x. MX 10 Mail.x.").Data)
	if err != nil || mx != (MX{10, MustName("Mail.x.")}) || mx.RData().Text(TypeMX) != "10 Mail.x." {
		t.Errorf("MX: %+v, %v", mx, err)
	}
	srv, err := ParseSRV(MustRecord("x. SRV 1 2 443 h.x.").Data)
	if err != nil || srv != (SRV{1, 2, 443, MustName("h.x.")}) || srv.RData().Text(TypeSRV) != "1 2 443 h.x." {
		t.Errorf("SRV: %+v, %v", srv, err)
	}
	caa, err := ParseCAA(MustRecord(`x. CAA 128 issue "ca.example; a=b"`).Data)
	if err != nil || caa != (CAA{128, "issue", "ca.example; a=b"}) {
		t.Errorf("CAA: %+v, %v", caa, err)
	}
	if NewTarget(MustName("a.b.")).Text(TypeNS) != "a.b." {
		t.Error("NS of a.b.")
	}
	for _, n := range []int{0, 1, 255, 256, 510, 600} {
		d := NewTXT(strings.Repeat("x", n))
		parts := slices.Collect(d.Strings())
		if CheckRData(TypeTXT, d) != nil || strings.Join(parts, "") != strings.Repeat("x", n) || len(parts) != max(1, (n+254)/255) {
			t.Errorf("TXT of %d octets: %d strings", n, len(parts))
		}
	}
}

func TestDNSSECViews(t *testing.T) {
	ds := MustRecord("x. DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118")
	if v, err := ParseDS(ds.Data); err != nil || v.KeyTag != 60485 || v.Algorithm != 5 || v.DigestType != 1 || len(v.Digest) != 20 || !bytes.Equal(v.RData(), ds.Data) {
		t.Errorf("DS: %+v, %v", v, err)
	}
	sig := MustRecord("x. RRSIG MX 13 2 86400 20300322173103 20300220173103 2642 Example.com. AQIDBA==")
	v, err := ParseRRSIG(sig.Data)
	if err != nil || v.TypeCovered != TypeMX || v.Algorithm != 13 || v.Labels != 2 || v.OriginalTTL != 86400 ||
		v.KeyTag != 2642 || v.Signer != MustName("Example.com.") || !bytes.Equal(v.Signature, []byte{1, 2, 3, 4}) {
		t.Errorf("RRSIG: %+v, %v", v, err)
	}
	if canon := AppendCanonicalRData(nil, TypeRRSIG, sig.Data); !bytes.Equal(v.RData(), canon) || !bytes.Equal(v.AppendSigned(nil), canon[:len(canon)-4]) {
		t.Errorf("RRSIG as signed: %x", v.AppendSigned(nil))
	}
	if SigCovers(sig.Data) != TypeMX {
		t.Errorf("covers %s", SigCovers(sig.Data))
	}
	nsec := MustRecord("x. NSEC a.x. A NS CAA TYPE65280")
	n, err := ParseNSEC(nsec.Data)
	if err != nil || n.Next != MustName("a.x.") || !bytes.Equal(n.RData(), nsec.Data) {
		t.Errorf("NSEC: %+v, %v", n, err)
	}
	checkBitmapView(t, n.Types, TypeA, TypeNS, TypeCAA, 65280)
	n3rec := MustRecord("x. NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG")
	n3, err := ParseNSEC3(n3rec.Data)
	if err != nil || n3.Hash != 1 || n3.Flags != NSEC3OptOut || n3.Iterations != 12 || !bytes.Equal(n3.RData(), n3rec.Data) ||
		string(AppendBase32Hex(nil, n3.NextHashed)) != "2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S" {
		t.Errorf("NSEC3: %+v, %v", n3, err)
	}
	if h, ok := DecodeBase32Hex(nil, []byte("2vptu5timamqttgl4luu9kg21e0aor3s")); !ok || !bytes.Equal(h, n3.NextHashed) {
		t.Errorf("hash %x", h)
	}
	checkBitmapView(t, n3.Types, TypeA, TypeRRSIG)
	prec := MustRecord("x. NSEC3PARAM 1 0 5 AB")
	if p, err := ParseNSEC3PARAM(prec.Data); err != nil || p.Iterations != 5 || string(p.Salt) != "\xab" || !bytes.Equal(p.RData(), prec.Data) {
		t.Errorf("NSEC3PARAM: %+v, %v", p, err)
	}
}

func checkBitmapView(t *testing.T, b TypeBitmap, want ...Type) {
	t.Helper()
	if got := slices.Collect(b.All()); !slices.Equal(got, want) {
		t.Errorf("types %v, want %v", got, want)
	}
	for v := range 1 << 16 {
		if b.Has(Type(v)) != slices.Contains(want, Type(v)) {
			t.Errorf("has %s: %v", Type(v), b.Has(Type(v)))
		}
	}
	slices.Reverse(want)
	if got := AppendTypeBitmap(nil, want...); !bytes.Equal(got, b) {
		t.Errorf("built %x, want %x", got, b)
	}
}

// TestKeyTag has keys with the oracle's opinion of them, which does not have
// the tags of RSA/MD5 (RFC 4034 appendix B.1).
func TestKeyTag(t *testing.T) {
	for _, text := range append(rdataExamples[TypeDNSKEY], "257 3 8 "+strings.Repeat("////", 600)) {
		d := example(t, TypeDNSKEY, text)
		rr, err := oracle.NewRR("x. DNSKEY " + text)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParseDNSKEY(d)
		if want := rr.(*oracle.DNSKEY).KeyTag(); err != nil || KeyTag(d) != want || k.KeyTag() != want || !bytes.Equal(k.RData(), d) {
			t.Errorf("%.40s: tag %d, %v, want %d", text, KeyTag(d), err, want)
		}
	}
	if got := KeyTag(example(t, TypeDNSKEY, "256 3 1 AQIDBAUG")); got != 0x0405 {
		t.Errorf("tag of an RSA/MD5 key: %#x, want 0x405", got)
	}
	k, _ := ParseDNSKEY(example(t, TypeDNSKEY, "385 3 8 AQID"))
	if !k.IsZoneKey() || !k.IsSEP() || !k.IsRevoked() {
		t.Errorf("flags of 385: %+v", k)
	}
	k.Flags = 0
	if k.IsZoneKey() || k.IsSEP() || k.IsRevoked() {
		t.Errorf("flags of 0: %+v", k)
	}
}

// TestViewsRefuse gives every view every prefix of its rdata.
func TestViewsRefuse(t *testing.T) {
	for typ, read := range map[Type]func(RData) error{
		TypeSOA:        func(d RData) error { _, err := ParseSOA(d); return err },
		TypeMX:         func(d RData) error { _, err := ParseMX(d); return err },
		TypeSRV:        func(d RData) error { _, err := ParseSRV(d); return err },
		TypeCAA:        func(d RData) error { _, err := ParseCAA(d); return err },
		TypeDS:         func(d RData) error { _, err := ParseDS(d); return err },
		TypeDNSKEY:     func(d RData) error { _, err := ParseDNSKEY(d); return err },
		TypeRRSIG:      func(d RData) error { _, err := ParseRRSIG(d); return err },
		TypeNSEC:       func(d RData) error { _, err := ParseNSEC(d); return err },
		TypeNSEC3:      func(d RData) error { _, err := ParseNSEC3(d); return err },
		TypeNSEC3PARAM: func(d RData) error { _, err := ParseNSEC3PARAM(d); return err },
		TypeSVCB:       func(d RData) error { _, err := ParseSVCB(d); return err },
	} {
		for _, text := range rdataExamples[typ] {
			d := example(t, typ, strings.NewReplacer("( ", "", " )", "").Replace(text))
			for n := range len(d) + 1 {
				if err := read(d[:n]); (err == nil) != (CheckRData(typ, d[:n]) == nil) {
					t.Errorf("%s %s: %v", typ, hex.EncodeToString(d[:n]), err)
				}
			}
		}
	}
}
