package dns

import (
	"strings"
	"time"
)

// mnemonic is a name that text may have for a number.
type mnemonic struct {
	name string
	code uint16
}

// algorithms are those of RFC 4034 appendix A.1 and the IANA registry.
var algorithms = []mnemonic{
	{"DELETE", 0}, {"RSAMD5", 1}, {"DH", 2}, {"DSA", 3}, {"ECC", 4}, {"RSASHA1", 5},
	{"DSA-NSEC3-SHA1", 6}, {"NSEC3DSA", 6}, {"RSASHA1-NSEC3-SHA1", 7}, {"NSEC3RSASHA1", 7},
	{"RSASHA256", 8}, {"RSASHA512", 10}, {"ECC-GOST", 12}, {"ECCGOST", 12},
	{"ECDSAP256SHA256", 13}, {"ECDSAP384SHA384", 14}, {"ED25519", 15}, {"ED448", 16},
	{"SM2SM3", 17}, {"ECC-GOST12", 23}, {"INDIRECT", 252}, {"PRIVATEDNS", 253}, {"PRIVATEOID", 254},
}

// certTypes are those of RFC 4398 §2.1.
var certTypes = []mnemonic{
	{"PKIX", 1}, {"SPKI", 2}, {"PGP", 3}, {"IPKIX", 4}, {"ISPKI", 5}, {"IPGP", 6},
	{"ACPKIX", 7}, {"IACPKIX", 8}, {"URI", 253}, {"OID", 254},
}

// schemes are those of RFC 9859 §2.2.
var schemes = []mnemonic{{"NOTIFY", 1}}

// protocols are those that WKS records had (RFC 1035 §3.4.2).
var protocols = []mnemonic{{"ICMP", 1}, {"TCP", 6}, {"UDP", 17}}

// tsigErrors are the error codes of TSIG and TKEY (RFC 8945 §3, RFC 2930 §2.6).
var tsigErrors = []mnemonic{
	{"NOERROR", 0}, {"FORMERR", 1}, {"SERVFAIL", 2}, {"NXDOMAIN", 3}, {"NOTIMP", 4}, {"REFUSED", 5},
	{"NOTAUTH", 9}, {"BADSIG", 16}, {"BADKEY", 17}, {"BADTIME", 18}, {"BADMODE", 19},
	{"BADNAME", 20}, {"BADALG", 21}, {"BADTRUNC", 22},
}

func mnemonicsOf(k kind) []mnemonic {
	switch k {
	case algorithm:
		return algorithms
	case certType:
		return certTypes
	case scheme:
		return schemes
	case protocol:
		return protocols
	case errorCode:
		return tsigErrors
	}
	return nil
}

func lookupMnemonic(k kind, s []byte) (uint16, bool) {
	for _, m := range mnemonicsOf(k) {
		if len(m.name) == len(s) && equalFold(m.name, s) {
			return m.code, true
		}
	}
	return 0, false
}

// appendMnemonic writes code by its name where it has one.
func appendMnemonic(dst []byte, k kind, code uint16) []byte {
	for _, m := range mnemonicsOf(k) {
		if m.code == code {
			return append(dst, m.name...)
		}
	}
	return appendUint(dst, uint64(code))
}

// codeNoun says what a field of kind k is, for people.
func codeNoun(k kind) string {
	switch k {
	case algorithm:
		return "algorithm"
	case certType:
		return "certificate type"
	case scheme:
		return "scheme"
	case protocol:
		return "protocol"
	case errorCode:
		return "error code"
	}
	return "number"
}

// codeWant says what a field of kind k may be, for people.
func codeWant(k kind, limit uint64) string {
	list := mnemonicsOf(k)
	if len(list) == 0 {
		return wantNumber(limit)
	}
	var b strings.Builder
	b.WriteString(wantNumber(limit))
	b.WriteString(", or one of")
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" " + m.name)
	}
	return b.String()
}

// ParseTTL reads a TTL: seconds, or numbers each with a unit, of w, d, h, m and
// s, as BIND has them. It fails beyond 2^31-1 (RFC 2181 §8).
func ParseTTL[T octets](s T) (uint32, bool) {
	var total, n uint64
	digits := 0
	units := false
	for i := 0; i < len(s); i++ {
		if isDigit(s[i]) {
			if digits++; digits > 10 {
				return 0, false
			}
			n = n*10 + uint64(s[i]-'0')
			continue
		}
		unit := unitSeconds(lower[s[i]])
		if unit == 0 || digits == 0 {
			return 0, false
		}
		if total += n * unit; total > MaxTTL {
			return 0, false
		}
		n, digits, units = 0, 0, true
	}
	// A number without a unit stands alone: 1h30 could be seconds or minutes.
	if digits == 0 != units || n > MaxTTL {
		return 0, false
	}
	return uint32(total + n), true
}

func unitSeconds(c byte) uint64 {
	switch c {
	case 's':
		return 1
	case 'm':
		return 60
	case 'h':
		return 3600
	case 'd':
		return 86400
	case 'w':
		return 604800
	}
	return 0
}

// parseSigTime reads YYYYMMDDHHmmSS or seconds since 1970 (RFC 4034 §3.2).
// Times are serial numbers of 32 bits: later dates wrap around (§3.1.5).
func parseSigTime(s []byte) (uint32, bool) {
	if len(s) != 14 {
		v, ok := parseUint(s, 1<<32-1)
		return uint32(v), ok
	}
	var f [6]int
	for i, w := range [6][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 12}, {12, 14}} {
		v, ok := parseUint(s[w[0]:w[1]], 9999)
		if !ok {
			return 0, false
		}
		f[i] = int(v)
	}
	t := time.Date(f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], 0, time.UTC)
	y, mo, d := t.Date()
	h, mi, sec := t.Clock()
	if [6]int{y, int(mo), d, h, mi, sec} != f || y < 1970 {
		return 0, false
	}
	return uint32(t.Unix()), true
}

// appendSigTime writes YYYYMMDDHHmmSS, with v as seconds since 1970.
func appendSigTime(dst []byte, v uint32) []byte {
	return time.Unix(int64(v), 0).UTC().AppendFormat(dst, "20060102150405")
}
