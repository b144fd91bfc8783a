package parent

import (
	"encoding/hex"
	"fmt"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// MakeDS returns the DS set of keys, by each digest (RFC 4034 §5, RFC 8624 §3.3 has which: SHA-256).
func MakeDS(owner dns.Name, keys []dns.DNSKEY, digests []uint8) ([]dns.DS, error) {
	var out []dns.DS
	for _, k := range keys {
		for _, digest := range digests {
			d, err := dnssec.MakeDS(owner, k, digest)
			if err != nil {
				return nil, fmt.Errorf("DS of key %d: %w", k.KeyTag(), err)
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// Requests returns the CDS and CDNSKEY sets by which a zone asks for DS records of keys (RFC 7344 §4), both or neither,
// saying the same (§4: "MUST match"). Without digests both are empty: nothing is asked for.
func Requests(owner dns.Name, keys []dns.DNSKEY, digests []uint8) (cds, cdnskey []dns.RData, err error) {
	if len(digests) == 0 || len(keys) == 0 {
		return nil, nil, nil
	}
	set, err := MakeDS(owner, keys, digests)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range set {
		cds = append(cds, d.RData())
	}
	for _, k := range keys {
		cdnskey = append(cdnskey, k.RData())
	}
	return cds, cdnskey, nil
}

// RequestDeletion returns the CDS and CDNSKEY sets that ask for the end of all DS records (RFC 8078 §4).
func RequestDeletion() (cds, cdnskey []dns.RData) {
	return []dns.RData{dnssec.DeleteCDS()}, []dns.RData{dnssec.DeleteCDNSKEY()}
}

// Handout is what a registrar's form asks for, about one key: ready to be pasted, and the same thing several times over.
type Handout struct {
	DS        string // the record, in one line
	KeyTag    uint16
	Algorithm uint8
	Name      string // of the algorithm
	Digests   []Digest
	DNSKEY    string // the record, for registries that take the key itself
	Flags     uint16
	PublicKey string // base64
}

// Digest is that of a DS record, for forms that ask field by field.
type Digest struct {
	Type uint8
	Hex  string
}

// Handouts returns them for keys.
func Handouts(owner dns.Name, keys []dns.DNSKEY, digests []uint8, ttl uint32) ([]Handout, error) {
	var out []Handout
	for _, k := range keys {
		h := Handout{
			KeyTag: k.KeyTag(), Algorithm: k.Algorithm, Name: dnssec.AlgorithmName(k.Algorithm), Flags: k.Flags,
			DNSKEY: text(owner, ttl, dns.TypeDNSKEY, k.RData()),
		}
		fields := strings.SplitN(k.RData().Text(dns.TypeDNSKEY), " ", 4)
		h.PublicKey = strings.ReplaceAll(fields[len(fields)-1], " ", "")
		set, err := MakeDS(owner, []dns.DNSKEY{k}, digests)
		if err != nil {
			return nil, err
		}
		var lines []string
		for _, d := range set {
			lines = append(lines, text(owner, ttl, dns.TypeDS, d.RData()))
			h.Digests = append(h.Digests, Digest{d.DigestType, strings.ToUpper(hex.EncodeToString(d.Digest))})
		}
		h.DS = strings.Join(lines, "\n")
		out = append(out, h)
	}
	return out, nil
}

func text(owner dns.Name, ttl uint32, t dns.Type, data dns.RData) string {
	return dns.Record{Name: owner, Type: t, Class: dns.ClassIN, TTL: ttl, Data: data}.String()
}

// NeedsSync reports what a change of a zone's own delegation data means for its parent: the types that a CSYNC record has to name
// (RFC 7477 §2.1.1.2.1) where NS records of the apex, or addresses of name servers below it, are others than before. None:
// the parent has nothing to take over.
func NeedsSync(before, after Delegation) []dns.Type {
	var out []dns.Type
	if !sameSet(before.NS, after.NS) {
		out = append(out, dns.TypeNS)
	}
	if !sameSet(before.A, after.A) {
		out = append(out, dns.TypeA)
	}
	if !sameSet(before.AAAA, after.AAAA) {
		out = append(out, dns.TypeAAAA)
	}
	return out
}

func sameSet(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}
