package delegation

import (
	"testing"

	"onoma/dns"
)

// TestDenies: which records show that a name has no records of a type.
func TestDenies(t *testing.T) {
	const hash = "3VJV5FKJVQ1JB4V3MVJ3C1JA0EQBF2SB" // of nothing here
	for text, want := range map[string]bool{
		"child.tld. NSEC a.child.tld. NS SOA RRSIG NSEC DNSKEY":         true,
		"child.tld. NSEC a.child.tld. NS SOA RRSIG NSEC DNSKEY CDS":     false,
		"child.tld. NSEC a.child.tld. CNAME RRSIG NSEC":                 false, // RFC 6840 §4.3
		"child.tld. NSEC z.tld. NS RRSIG NSEC":                          false, // the parent's, RFC 6840 §4.1
		"other.child.tld. NSEC a.child.tld. NS SOA RRSIG NSEC DNSKEY":   false,
		"child.tld. A 192.0.2.1":                                        false,
		hash + ".child.tld. NSEC3 1 0 0 - " + hash + " NS SOA RRSIG":    false,
		hash + ".child.tld. NSEC3 1 0 2500 - " + hash + " NS SOA RRSIG": false,
	} {
		if got := denies(dns.MustRecord(text), dns.MustName("child.tld."), dns.TypeCDS); got != want {
			t.Errorf("%s: %v, expected %v", text, got, want)
		}
	}
}
