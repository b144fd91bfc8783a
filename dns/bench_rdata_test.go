package dns

import (
	"strings"
	"testing"
)

func BenchmarkParseRData(b *testing.B) {
	for _, s := range []string{
		"A 192.0.2.1", "AAAA 2001:db8::1", "NS ns1.example.net.", "SOA ns host 2024010101 2h 15m 2w 1h",
		"DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
		"RRSIG A 13 2 86400 20300322173103 20300220173103 2642 example.com. " + strings.Repeat("oJB1W6WN", 10) + "oJB1W6U=",
		"NSEC3 1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A RRSIG", `TXT "v=spf1 include:_spf.example.net -all"`,
	} {
		name, text, _ := strings.Cut(s, " ")
		typ, _ := ParseType(name)
		toks, err := splitTokens(text)
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, 1024)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRData(dst, typ, toks, exampleOrigin); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendRDataText(b *testing.B) {
	for _, typ := range []Type{TypeA, TypeNS, TypeSOA, TypeRRSIG, TypeNSEC} {
		d := example(b, typ, rdataExamples[typ][0])
		dst := make([]byte, 0, 1024)
		b.Run(typ.String(), func(b *testing.B) {
			for b.Loop() {
				AppendRDataText(dst, typ, d)
			}
		})
	}
}
